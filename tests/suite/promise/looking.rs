//! Looking changes nothing, and shows exactly what is, was or would be delivered.

use super::*;
use crate::support::receiver::Answer;

#[test]
fn peek_shows_the_events_that_the_next_poll_then_tells_and_changes_nothing() {
    let receiver = Receiver::start();
    let configuration = orders("stable_for = \"1s\"\nmax_size = \"1KiB\"") + &items("") + &erp(&receiver, "");
    let highwater = plant(&configuration);
    let rows = |text: &str| table(&highwater).execute_batch(text).expect("a statement");
    put(&highwater, "a.csv", "1");
    put(&highwater, "large.csv", vec![b'x'; 2_000]);
    rows("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)");
    let peek = |source: &str| -> BTreeSet<String> {
        let output = highwater.run(&["peek", source, "--json"]).code(0);
        output.json_lines().iter().map(|event| Told::of(event).id).collect()
    };
    let both = || &peek("orders") | &peek("items");
    let before = both();
    assert!(!highwater.path("highwater.db").exists(), "there was nothing yet, and there is nothing now");
    let words = highwater.run(&["peek", "orders"]).code(0);
    assert!(words.stderr.contains("large.csv") && words.stderr.contains("max_size"), "{}", words.stderr);
    once(&highwater, 0);
    assert_eq!(before, ids(&receiver));
    assert_eq!(both(), BTreeSet::new());

    put(&highwater, "a.csv", "2");
    rows("INSERT INTO items VALUES (3, 'c', 3)");
    let next = both();
    assert_eq!(next.len(), 2);
    assert_eq!(both(), next);
    assert_eq!(events(&highwater, &[]).len(), 3);
    once(&highwater, 0);
    assert_eq!(&before | &next, ids(&receiver));
}

#[test]
fn listings_are_narrowed_by_source_sink_state_key_and_count() {
    let receiver = Receiver::start();
    receiver.answers(|received, _| match received.json()["subject"].as_str() {
        Some("bad.csv") => Answer::status(500),
        _ => Answer::status(204),
    });
    let configuration = orders("to = [\"erp\", \"load\"]")
        + &items("")
        + &erp(&receiver, "retry = [\"1h\"]")
        + &load("command = [\"true\"]");
    let highwater = plant(&configuration);
    put(&highwater, "good.csv", "1");
    put(&highwater, "bad.csv", "2");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    once(&highwater, 4);
    let count = |command: &str, further: &[&str]| listing(&highwater, command, further).stdout.lines().count();
    for (command, further, expected) in [
        ("events", &["--source", "orders"][..], 2),
        ("events", &["--key", "bad.csv"], 1),
        ("events", &["--source", "orders", "--key", "bad.csv"], 1),
        ("events", &["--source", "items", "--key", "bad.csv"], 0),
        ("events", &["--key", "1"], 1),
        ("deliveries", &[], 5),
        ("deliveries", &["--sink", "load"], 2),
        ("deliveries", &["--state", "retrying"], 1),
        ("deliveries", &["--key", "bad.csv"], 2),
        ("deliveries", &["--key", "bad.csv", "--sink", "erp"], 1),
        ("attempts", &["--key", "bad.csv"], 2),
        ("attempts", &["--source", "items"], 1),
        ("attempts", &["--since", "1h"], 5),
    ] {
        assert_eq!(count(command, further), expected, "{command} {further:?}");
    }
    assert_eq!(highwater.run(&["events", "--json", "--limit", "2"]).code(0).json_lines().len(), 2);
}

#[test]
fn status_check_is_one_line_with_the_codes_that_nagios_knows() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "retry = [\"1h\"]")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    let check = |code: i32| {
        let output = highwater.run(&["status", "--check"]).code(code);
        assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
        output.stdout
    };
    assert!(check(0).contains("OK"));
    std::fs::rename(highwater.path("drop"), highwater.path("gone")).expect("rename");
    once(&highwater, 3);
    let said = highwater.run(&["status", "--check"]);
    assert!(matches!(said.status, Some(1 | 2)) && said.stdout.contains("orders"), "{said:?}");
}

#[test]
fn once_quiet_says_nothing_when_all_is_well_and_one_line_when_it_is_not() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &items("") + &erp(&receiver, "retry = [\"1h\"]")));
    put(&highwater, "a.csv", "1");
    let quiet = highwater.run(&["once", "--quiet"]).code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    receiver.answers(|_, _| Answer::status(503));
    put(&highwater, "b.csv", "2");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    let loud = highwater.run(&["once", "--quiet", "--source", "orders"]).code(4);
    assert_eq!(loud.stdout, "");
    assert!(loud.stderr.lines().last().is_some_and(|line| line.contains("1 event, 0 delivered")), "{}", loud.stderr);
    assert_eq!(events(&highwater, &["--source", "items"]).len(), 0, "the other source was not asked for");
}

#[test]
fn a_probe_delivery_shows_the_request_and_leaves_no_delivery_behind() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "bearer = \"hunter2\"")));
    let shown = highwater.run(&["test", "erp", "--dry-run"]).ok();
    assert!(shown.contains("curl") && !shown.contains("hunter2"), "{shown}");
    assert!(receiver.received().is_empty());
    highwater.run(&["test", "erp"]).ok();
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(deliveries(&highwater, &[]).len(), 0);

    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    let id = events(&highwater, &[])[0].id.clone();
    highwater.run(&["test", "erp", "--event", &id]).ok();
    let received = receiver.received();
    assert_eq!(received[1].body, received[2].body, "the event's own bytes");
    receiver.answers(|_, _| Answer::status(503));
    highwater.run(&["test", "erp"]).code(4);
}

#[test]
fn what_was_delivered_is_kept_for_the_retention_and_not_told_again_afterwards() {
    let receiver = Receiver::start();
    let highwater =
        plant(&("[state]\nretention = \"1s\"\n".to_owned() + &orders("") + &items("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)").expect("insert");
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 3);
    wait_until("old events are pruned", || {
        once(&highwater, 0);
        events(&highwater, &[]).len() == 1
    });
    highwater.run(&["cursor", "orders", "reset"]).ok();
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 3);
    put(&highwater, "a.csv", "2");
    once(&highwater, 0);
    assert_eq!(told(&receiver.received())[3].revision, 2);
}
