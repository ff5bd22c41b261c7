//! Nothing is told twice as something new: restarts, touches, new listings and renamed sources find what is known, and a
//! change keeps its id.

use super::*;
use crate::support::receiver::Answer;

const RENAMED: &str =
    "[source.purchases]\nkind = \"folder\"\npath = \"drop\"\nstable_for = \"0s\"\nwas = \"orders\"\nto = [\"erp\"]\n";

fn three_files(receiver: &Receiver, said: &str) -> Highwater {
    let highwater = plant(&(orders(said) + &erp(receiver, "")));
    for name in ["a.csv", "in/b.csv", "in/deep/c.csv"] {
        put(&highwater, name, name);
    }
    once(&highwater, 0);
    assert_eq!(kinds(receiver), ["created a.csv", "created in/b.csv", "created in/deep/c.csv"]);
    highwater
}

#[test]
fn what_is_known_is_not_told_again_after_a_restart_a_touch_a_copy_or_a_reset() {
    let receiver = Receiver::start();
    let highwater = three_files(&receiver, "");
    let again = |what: &str| {
        assert!(once(&highwater, 0).contains(" 0 events"), "{what}");
        assert_eq!(receiver.received().len(), 3, "{what}");
    };
    again("another run");
    touch(&highwater.path("drop/a.csv"));
    again("a touch");
    put(&highwater, "in/b.csv", "in/b.csv");
    again("the same bytes in another inode");
    highwater.run(&["cursor", "orders", "reset"]).ok();
    again("a reset");
    let running = run(&highwater);
    running.kill();
    again("a kill");
    assert_eq!(source_status(&highwater, "orders")["events"], 3);
}

#[test]
fn content_that_comes_back_is_a_change_of_its_own_and_a_file_that_comes_back_goes_on_counting() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("events = [\"created\", \"changed\", \"removed\"]") + &erp(&receiver, "")));
    // One that stays: when everything vanishes at once, the brake is put on.
    put(&highwater, "stays.csv", "stays");
    for content in ["A", "B", "A"] {
        put(&highwater, "a.csv", content);
        once(&highwater, 0);
    }
    std::fs::remove_file(highwater.path("drop/a.csv")).expect("remove");
    once(&highwater, 0);
    put(&highwater, "a.csv", "A");
    once(&highwater, 0);
    let events: Vec<Told> = told(&receiver.received()).into_iter().filter(|told| told.key == "a.csv").collect();
    let story: Vec<(&str, u64)> = events.iter().map(|told| (told.kind.as_str(), told.revision)).collect();
    assert_eq!(story, [("created", 1), ("changed", 2), ("changed", 3), ("removed", 4), ("created", 5)]);
    let ids: BTreeSet<&str> = events.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn without_its_store_a_file_at_its_first_version_gets_the_same_id_again() {
    let receiver = Receiver::start();
    let highwater = three_files(&receiver, "");
    let before = ids(&receiver);
    for name in ["highwater.db", "highwater.db-wal", "highwater.db-shm"] {
        let _ = std::fs::remove_file(highwater.path(name));
    }
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 6);
    assert_eq!(ids(&receiver), before);
}

#[test]
fn the_id_of_the_contract_comes_out_of_a_real_file() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "2026/orders-17.csv", "id;amount\n1;9.50\n");
    once(&highwater, 0);
    let event = receiver.received()[0].json();
    assert_eq!(event["id"], "evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4");
    assert_eq!((&event["source"], &event["specversion"]), (&"/main/orders".into(), &"1.0".into()));
    assert_eq!(event["data"]["sha256"], "c2e03b1802492dea5ffbf9d9c8f1e9266dd738833d8fd53be7f891925b82d538");
}

#[test]
fn a_renamed_source_takes_over_what_is_known_and_goes_on_with_the_ids_of_its_old_name() {
    let receiver = Receiver::start();
    let highwater = three_files(&receiver, "");
    highwater.configure(&(RENAMED.to_owned() + &erp(&receiver, "")));
    assert!(once(&highwater, 0).contains(" 0 events"));
    put(&highwater, "a.csv", "changed");
    once(&highwater, 0);
    let received = told(&receiver.received());
    let new = &received[3];
    assert_eq!((new.source.as_str(), new.kind.as_str(), new.revision), ("purchases", "changed", 2));

    // What an installation that never renamed its source would have said.
    let other_receiver = Receiver::start();
    let other = three_files(&other_receiver, "");
    put(&other, "a.csv", "changed");
    once(&other, 0);
    assert_eq!(told(&other_receiver.received())[3].id, new.id);
}

#[test]
fn every_attempt_of_a_delivery_carries_the_same_id_and_the_same_bytes_also_after_a_kill() {
    let receiver = Receiver::start();
    receiver.answers(|_, number| if number < 3 { Answer::status(500) } else { Answer::status(204) });
    let highwater = plant(&(orders("") + &erp(&receiver, "retry = [\"50ms\"]")));
    put(&highwater, "a.csv", "1");
    let running = run(&highwater);
    receiver.wait_for(2);
    running.kill();
    let running = run(&highwater);
    wait_for_delivered(&highwater, "erp", 1);
    assert_eq!(running.terminate(), Some(0));
    let received = receiver.received();
    assert!(received.len() >= 4, "{}", received.len());
    assert_eq!(ids(&receiver).len(), 1);
    assert!(received.iter().all(|one| one.body == received[0].body));
}

#[test]
fn rows_that_are_read_again_are_not_told_again() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("track = \"keys\"") + &erp(&receiver, "")));
    let sql = |text: &str| table(&highwater).execute_batch(text).expect("a statement");
    sql("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 2)");
    once(&highwater, 0);
    once(&highwater, 0);
    highwater.run(&["cursor", "items", "reset"]).ok();
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created 1", "created 2", "created 3"]);
    sql("UPDATE items SET updated = 3 WHERE id = 1");
    sql("UPDATE items SET name = 'B', updated = 3 WHERE id = 2");
    once(&highwater, 0);
    let changed: Vec<String> = kinds(&receiver).into_iter().filter(|kind| kind.starts_with("changed")).collect();
    assert!(changed.contains(&"changed 2".to_owned()), "{changed:?}");
    assert_eq!(ids(&receiver).len(), receiver.received().len());
}

#[test]
fn a_table_that_is_looked_at_anew_after_a_reset_tells_nothing_that_was_told() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("") + &erp(&receiver, "")));
    let sql = "INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 2)";
    table(&highwater).execute_batch(sql).expect("insert");
    once(&highwater, 0);
    highwater.run(&["cursor", "items", "reset"]).ok();
    once(&highwater, 0);
    assert_eq!(ids(&receiver).len(), 3, "nothing is told as something new");
    let sql = "INSERT INTO items VALUES (4, 'd', 1)";
    table(&highwater).execute_batch(sql).expect("insert");
    highwater.run(&["cursor", "items", "reset"]).ok();
    once(&highwater, 0);
    assert_eq!(ids(&receiver).len(), 4, "what was below the mark is found");
}
