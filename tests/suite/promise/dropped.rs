//! Nothing is dropped silently: what can't be delivered is a dead letter, what can't become an event is refused; both are
//! listed with the reason, and both can be taken up again.

use std::time::Duration;

use super::*;
use crate::support::receiver::Answer;

/// Given up at the first rejection: it takes longer than `retry_for`.
const SHORT: &str = "retry = [\"10ms\"]\nretry_for = \"1s\"";

fn rejecting() -> Receiver {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(400).body("unknown customer").after(Duration::from_millis(1_050)));
    receiver
}

fn dead(highwater: &Highwater) -> Vec<Value> {
    highwater.run(&["dead", "list", "--json"]).code(0).json_lines()
}

#[test]
fn a_rejected_event_becomes_a_dead_letter_with_its_reason_and_dead_retry_delivers_it() {
    let receiver = rejecting();
    let highwater = plant(&(orders("") + &erp(&receiver, SHORT)));
    put(&highwater, "a.csv", "1");
    let summary = once(&highwater, 4);
    assert!(summary.contains("1 dead"), "{summary}");
    let letters = dead(&highwater);
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0]["kind"], &letters[0]["key"], &letters[0]["sink"]),
        (&"dead".into(), &"a.csv".into(), &"erp".into())
    );
    assert_eq!(letters[0]["reason"], "rejected");
    let output = highwater.run(&["attempts", "--json", "--output"]).code(0).json_lines();
    assert_eq!((&output[0]["code"], &output[0]["output"]), (&400.into(), &"unknown customer".into()));
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 1, "given up is given up");

    receiver.answers(|_, _| Answer::status(204));
    let id = letters[0]["event_id"].as_str().expect("an id");
    highwater.run(&["dead", "retry", id]).ok();
    assert!(once(&highwater, 0).contains("1 delivered"));
    assert_eq!(dead(&highwater).len(), 0);
    assert_eq!(ids(&receiver).into_iter().collect::<Vec<_>>(), [id]);
    assert_eq!(deliveries(&highwater, &[])[0]["state"], "delivered");
}

#[test]
fn a_receiver_that_stays_away_too_long_ends_in_a_dead_letter_and_the_next_event_says_that_there_is_a_gap() {
    let receiver = Receiver::start();
    receiver.answers(|received, _| match received.json()["data"]["revision"].as_u64() {
        Some(1) => Answer::status(503),
        _ => Answer::status(204),
    });
    let highwater = plant(&(orders("") + &erp(&receiver, "retry = [\"100ms\"]\nretry_for = \"1s\"")));
    put(&highwater, "a.csv", "1");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(4);
    let letters = dead(&highwater);
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"expired".into()));
    assert!(receiver.received().len() > 1, "it was tried again and again");
    put(&highwater, "a.csv", "2");
    once(&highwater, 0);
    let last = receiver.received().pop().expect("one");
    assert_eq!(last.json()["data"]["revision"], 2);
    assert!(last.header("highwater-gap").is_some(), "{:?}", last.headers);

    // Sent now, the older version would undo the newer one: that takes a word of its own.
    receiver.answers(|_, _| Answer::status(204));
    let count = receiver.received().len();
    highwater.run(&["dead", "retry", "--all"]);
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), count);
    highwater.run(&["dead", "retry", "--all", "--out-of-order"]).ok();
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), count + 1);
    assert_eq!(dead(&highwater).len(), 0);
}

#[test]
fn after_a_dead_letter_a_key_waits_for_an_operator_where_that_is_asked_for() {
    let highwater = plant(&(orders("to = [\"load\"]") + &load("command = [\"./load.sh\"]\nafter_dead = \"hold\"")));
    highwater.write_script(
        "load.sh",
        "cat >/dev/null; [ -e bad ] && exit 65; echo $HIGHWATER_KEY-$HIGHWATER_REVISION >>done",
    );
    highwater.write("bad", "");
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    std::fs::remove_file(highwater.path("bad")).expect("remove");
    put(&highwater, "a.csv", "2");
    put(&highwater, "b.csv", "1");
    once(&highwater, 4);
    let done = || std::fs::read_to_string(highwater.path("done")).unwrap_or_default();
    assert_eq!(done(), "b.csv-1\n", "only the key of the dead letter waits");
    let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
    let id = dead(&highwater)[0]["event_id"].as_str().expect("an id").to_owned();
    assert!(story.contains(&format!("{id} is dead and comes first; \"highwater dead retry {id}\"")), "{story}");
    highwater.run(&["dead", "retry", &id]).ok();
    once(&highwater, 0);
    assert_eq!(done(), "b.csv-1\na.csv-1\na.csv-2\n");
}

#[test]
fn an_edit_of_after_dead_frees_what_waits_behind_a_dead_letter() {
    let holding = load("command = [\"./load.sh\"]\nafter_dead = \"hold\"");
    let highwater = plant(&(orders("to = [\"load\"]") + &holding));
    highwater.write_script(
        "load.sh",
        "cat >/dev/null; [ $HIGHWATER_REVISION = 1 ] && exit 65; echo $HIGHWATER_REVISION >>done",
    );
    for version in ["1", "2"] {
        put(&highwater, "a.csv", version);
        once(&highwater, 4);
    }
    highwater.configure(&(orders("to = [\"load\"]") + &load("command = [\"./load.sh\"]")));
    once(&highwater, 0);
    assert_eq!(std::fs::read_to_string(highwater.path("done")).expect("written"), "2\n");
}

#[test]
fn a_dropped_dead_letter_is_cancelled_and_not_forgotten() {
    let highwater = plant(&(orders("to = [\"load\"]") + &load("command = [\"./load.sh\"]")));
    highwater.write_script("load.sh", "cat >/dev/null; echo no such article; exit 65");
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    let counted = highwater.run(&["dead", "drop", "--all", "--dry-run"]).ok();
    assert!(counted.contains('1'), "{counted}");
    assert_eq!(dead(&highwater).len(), 1);
    highwater.run(&["dead", "drop", "--all"]).ok();
    assert_eq!(dead(&highwater).len(), 0);
    assert_eq!(deliveries(&highwater, &[])[0]["state"], "cancelled");
    let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
    assert!(story.contains("no such article"), "{story}");
}

#[test]
fn a_refused_entry_is_listed_with_key_and_reason_and_told_once_it_has_changed() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("max_size = \"1KiB\"") + &erp(&receiver, "")));
    put(&highwater, "large.csv", vec![b'x'; 2_000]);
    for _ in 0..2 {
        once(&highwater, 0);
        let refused = dead(&highwater);
        assert_eq!(refused.len(), 1);
        assert_eq!((&refused[0]["kind"], &refused[0]["key"]), (&"refused".into(), &"large.csv".into()));
        let reason = refused[0]["reason"].as_str().expect("a reason");
        assert!(reason.contains("max_size") && reason.contains("2000"), "{reason}");
    }
    let story = highwater.run(&["explain", "orders", "large.csv"]).ok();
    assert!(story.contains("max_size"), "{story}");
    put(&highwater, "large.csv", "now it fits");
    assert!(once(&highwater, 0).contains("1 event, 1 delivered"));
    assert_eq!(dead(&highwater).len(), 0);
    assert_eq!(source_status(&highwater, "orders")["refused"], 0);
    assert_eq!(told(&receiver.received())[0].revision, 1);
}

#[test]
fn a_refused_entry_that_vanishes_is_refused_no_longer() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("max_size = \"1KiB\"") + &erp(&receiver, "")));
    put(&highwater, "stays.csv", "x");
    put(&highwater, "large.csv", vec![b'x'; 2_000]);
    once(&highwater, 0);
    assert_eq!(dead(&highwater).len(), 1);
    std::fs::remove_file(highwater.path("drop/large.csv")).expect("remove");
    once(&highwater, 0);
    assert_eq!(dead(&highwater).len(), 0);
}

#[test]
fn an_unreadable_file_is_refused_told_once_it_is_readable_and_stops_no_other() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "good.csv", "1");
    put(&highwater, "locked.csv", "2");
    let locked = highwater.path("drop/locked.csv");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).expect("chmod");
    let mut once = as_nobody(&highwater, &["once"]);
    let ended = once.output().expect("starts");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert_eq!(kinds(&receiver), ["created good.csv"]);
    let refused = String::from_utf8(as_nobody(&highwater, &["dead", "list"]).output().expect("starts").stdout);
    assert!(refused.expect("text").contains("locked.csv"));
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    assert_eq!(as_nobody(&highwater, &["once"]).status().expect("starts").code(), Some(0));
    assert_eq!(kinds(&receiver), ["created good.csv", "created locked.csv"]);
}

#[test]
fn what_no_route_takes_is_counted_and_degrades_the_source() {
    let receiver = Receiver::start();
    let routed = "[source.orders]\nkind = \"folder\"\npath = \"drop\"\nstable_for = \"0s\"\n[[source.orders.route]]\nmatch = \"*.csv\"\nto = [\"erp\"]\n";
    let highwater = plant(&(routed.to_owned() + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    put(&highwater, "b.xml", "2");
    let summary = once(&highwater, 0);
    assert!(summary.contains("2 events, 1 delivered") && summary.contains("no route"), "{summary}");
    assert_eq!(source_status(&highwater, "orders")["state"], "degraded");
}

#[test]
fn a_receiver_that_is_gone_for_good_pauses_its_sink_and_loses_nothing() {
    let receiver = Receiver::start();
    receiver.queue([Answer::status(410)]);
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 1")));
    put(&highwater, "a.csv", "1");
    put(&highwater, "b.csv", "2");
    once(&highwater, 4);
    let sink = sink_status(&highwater, "erp");
    assert_eq!(sink["state"], "paused");
    assert!(sink["held"].as_str().is_some_and(|held| held.contains("410") && held.contains("highwater resume erp")));
    highwater.run(&["resume", "erp"]).ok();
    once(&highwater, 0);
    assert_eq!(ids(&receiver).len(), 2);
}

#[test]
fn with_versions_latest_an_older_version_that_nobody_got_is_superseded_and_says_so() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("versions = \"latest\"") + &erp(&receiver, "")));
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "down"]).ok();
    for version in ["1", "2", "3"] {
        put(&highwater, "a.csv", version);
        once(&highwater, 4);
    }
    highwater.run(&["resume", "erp"]).ok();
    once(&highwater, 0);
    let told = told(&receiver.received());
    assert_eq!(told.iter().map(|told| told.revision).collect::<Vec<_>>(), [3]);
    let states: Vec<String> =
        deliveries(&highwater, &[]).iter().map(|delivery| delivery["state"].to_string()).collect();
    assert_eq!(states, ["\"delivered\"", "\"superseded\"", "\"superseded\""]);
}
