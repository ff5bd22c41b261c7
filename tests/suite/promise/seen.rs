//! `cursor NAME seen --from LIST`: what another tool has processed already is not told again.

use super::*;

fn seen(highwater: &Highwater, list: impl AsRef<[u8]>) -> String {
    highwater.write("seen.txt", list);
    highwater.run(&["cursor", "orders", "seen", "--from", "seen.txt"]).ok()
}

#[test]
fn listed_files_are_only_remembered_and_told_when_they_change() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("events = [\"created\", \"changed\", \"removed\"]") + &erp(&receiver, "")));
    for name in ["a.csv", "in/b.csv", "in/c.csv", "new.csv", "crlf.csv"] {
        put(&highwater, name, name);
    }
    let absolute = highwater.path("drop/in/c.csv").display().to_string();
    let said = seen(&highwater, format!("a.csv\n./in/b.csv\n\n{absolute}\ncrlf.csv\r\nnever.csv\na.csv\n"));
    assert!(said.contains("5 keys of orders") && said.contains("not told"), "{said}");
    let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
    assert!(story.contains("named as seen"), "{story}");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created new.csv"]);
    assert_eq!(source_status(&highwater, "orders")["known"], 5);

    put(&highwater, "a.csv", "changed");
    std::fs::remove_file(highwater.path("drop/in/b.csv")).expect("remove");
    let rights = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(highwater.path("drop/in/c.csv"), rights).expect("chmod");
    put(&highwater, "never.csv", "came later");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["changed a.csv", "created new.csv", "removed in/b.csv"]);
    put(&highwater, "never.csv", "and changed");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["changed a.csv", "changed never.csv", "created new.csv", "removed in/b.csv"]);
    assert!(once(&highwater, 0).contains(" 0 events"));
}

#[test]
fn listed_files_do_not_count_as_new_and_what_was_told_stays_told() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("max_new = 2") + &erp(&receiver, "")));
    put(&highwater, "told.csv", "1");
    once(&highwater, 0);
    for number in 0..40 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    assert!(once(&highwater, 3).contains("held (max_new)"));
    let running = run(&highwater);
    let list: String = (0..39).map(|number| format!("{number}.csv\n")).collect();
    let said = seen(&highwater, format!("{list}told.csv\n"));
    assert!(said.contains("39 keys of orders") && said.contains("1 was known already"), "{said}");
    wait_for_delivered(&highwater, "erp", 2);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(kinds(&receiver), ["created 39.csv", "created told.csv"]);
    put(&highwater, "told.csv", "2");
    once(&highwater, 0);
    assert_eq!(told(&receiver.received()).last().map(|told| told.revision), Some(2));
}

#[test]
fn names_of_every_sort_come_by_standard_input_and_long_lists_in_parts() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let long = |number: usize| format!("{}-{number:04}.csv", "x".repeat(200));
    let mut list = b"two\nlines.csv\0".to_vec();
    put(&highwater, "two\nlines.csv", "1");
    for number in 0..1_000 {
        put(&highwater, &long(number), "1");
        list.extend_from_slice(long(number).as_bytes());
        list.push(0);
    }
    let said = highwater.run_with_input(&["cursor", "orders", "seen", "--from", "-"], &list).ok();
    assert!(said.contains("1001 keys of orders"), "{said}");
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert_eq!(source_status(&highwater, "orders")["known"], 1_001);
}

#[test]
fn listed_rows_are_not_told_until_they_change() {
    for track in ["", "track = \"keys\""] {
        let receiver = Receiver::start();
        let highwater = plant(&(items(track) + &erp(&receiver, "")));
        let sql = "INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)";
        table(&highwater).execute_batch(sql).expect("insert");
        highwater.write("seen.txt", "1\n3\n");
        highwater.run(&["cursor", "items", "seen", "--from", "seen.txt"]).ok();
        once(&highwater, 0);
        assert_eq!(told(&receiver.received()).iter().map(|told| told.key.as_str()).collect::<Vec<_>>(), ["2"]);
        table(&highwater).execute_batch("UPDATE items SET name = 'z', updated = 9 WHERE id IN (1, 2)").expect("update");
        once(&highwater, 0);
        let mut keys: Vec<String> = told(&receiver.received()).into_iter().map(|told| told.key).collect();
        keys.sort();
        assert_eq!(keys, ["1", "2", "2"], "{track}");
        assert!(once(&highwater, 0).contains(" 0 events"));
    }
}

#[test]
fn a_list_that_makes_no_sense_is_refused_and_names_the_line() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    highwater.write("seen.txt", "a.csv\n/elsewhere/b.csv\n");
    let refused = highwater.run(&["cursor", "orders", "seen", "--from", "seen.txt"]).code(2).stderr;
    assert!(refused.contains("entry 2") && refused.contains("/elsewhere/b.csv"), "{refused}");
    let missing = highwater.run(&["cursor", "orders", "seen", "--from", "none.txt"]).code(1).stderr;
    assert!(missing.contains("none.txt"), "{missing}");
    highwater.write("empty.txt", "\n\n");
    let empty = highwater.run(&["cursor", "orders", "seen", "--from", "empty.txt"]).code(2).stderr;
    assert!(empty.contains("names nothing"), "{empty}");
}
