//! Everything has a limit with a name: the backlog of a sink and the room in the spool hold sources, by name, and go on by
//! themselves.

use super::*;

#[test]
fn at_max_backlog_the_sources_that_name_the_sink_pause_naming_it_and_go_on_when_there_is_room() {
    let (receiver, other) = (Receiver::start(), Receiver::start());
    let well = format!("[sink.well]\nkind = \"http\"\nurl = \"{}\"\n", other.url("/"));
    let highwater = plant(&(orders("") + &items("to = [\"well\"]") + &erp(&receiver, "max_backlog = 5") + &well));
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "upgrade"]).ok();
    for number in 0..5 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    once(&highwater, 4);
    put(&highwater, "later.csv", "later");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    let summary = once(&highwater, 3);
    assert!(summary.contains("held (backlog)") && summary.contains("erp"), "{summary}");
    let held = source_status(&highwater, "orders")["held"].as_str().expect("a reason").to_owned();
    assert!(held.contains("sink erp") && held.contains("max_backlog is 5"), "{held}");
    assert_eq!(sink_status(&highwater, "erp")["pending"], 5);
    assert_eq!(other.received().len(), 1, "who does not name the sink goes on");

    let running = run(&highwater);
    highwater.run(&["resume", "erp"]).ok();
    wait_for_delivered(&highwater, "erp", 6);
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_full_spool_holds_the_source_and_goes_on_when_deliveries_have_made_room() {
    let receiver = Receiver::start();
    let state = "[state]\nspool_max = \"300KiB\"\n";
    let highwater = plant(&(state.to_owned() + &orders("") + &erp(&receiver, "content = \"raw\"")));
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "upgrade"]).ok();
    for number in 0..3 {
        put(&highwater, &format!("{number}.bin"), vec![number; 100 * 1024]);
        once(&highwater, 4);
    }
    put(&highwater, "3.bin", vec![3; 100 * 1024]);
    let summary = once(&highwater, 3);
    assert!(summary.contains("held (spool_full)"), "{summary}");
    let held = source_status(&highwater, "orders")["held"].as_str().expect("a reason").to_owned();
    assert!(held.contains("spool_full") && held.contains("spool_max"), "{held}");
    assert_eq!(spooled(&highwater).len(), 3, "what was not stored takes no room");

    highwater.run(&["resume", "erp"]).ok();
    once(&highwater, 3);
    once(&highwater, 0);
    let bodies: BTreeSet<String> = receiver.received().iter().map(|received| sha256(&received.body)).collect();
    assert_eq!((bodies.len(), receiver.received().len()), (4, 4));
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
}

#[test]
fn less_room_than_min_free_holds_the_source_and_names_the_limit() {
    let receiver = Receiver::start();
    let state = "[state]\nmin_free = \"4000TiB\"\n";
    let highwater = plant(&(state.to_owned() + &orders("") + &erp(&receiver, "content = \"raw\"")));
    put(&highwater, "large.bin", vec![1; 100 * 1024]);
    let summary = once(&highwater, 3);
    assert!(summary.contains("held (spool_full)") && summary.contains("min_free"), "{summary}");
    highwater.configure(&(orders("") + &erp(&receiver, "content = \"raw\"")));
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_rate_is_never_passed() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "rate = \"10/s\"\nconcurrency = 8")));
    for number in 0..25 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    once(&highwater, 0);
    let received = receiver.received();
    assert_eq!(received.len(), 25);
    // A burst of one second's worth, then one every tenth of a second.
    let span = received[24].at - received[0].at;
    assert!(span.as_millis() >= 1_300, "{span:?}");
}

#[test]
fn a_poll_that_takes_too_long_is_ended_and_what_it_committed_stays() {
    let receiver = Receiver::start();
    let highwater =
        plant(&(items("poll_timeout = \"10ms\"\npage = 10\nevery = \"20ms\"") + &erp(&receiver, "concurrency = 16")));
    let mut connection = table(&highwater);
    let transaction = connection.transaction().expect("begin");
    for id in 0..3_000 {
        transaction.execute("INSERT INTO items VALUES (?1, 'name', ?1)", [id]).expect("insert");
    }
    transaction.commit().expect("commit");
    let running = run(&highwater);
    wait_for_delivered(&highwater, "erp", 3_000);
    assert_eq!(ids(&receiver).len(), 3_000);
    assert_eq!(running.terminate(), Some(0));
}
