//! Everything can be explained: what happened to a file, row or delivery, what it waits for, when it is tried again, and
//! for every hold the command that ends it.

use super::*;
use crate::support::receiver::Answer;

#[track_caller]
fn explain(highwater: &Highwater, key: &str) -> String {
    highwater.run(&["explain", "orders", key]).ok()
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not said:\n{text}");
    }
}

#[test]
fn a_delivered_file_is_explained_with_event_deliveries_and_attempts() {
    let receiver = Receiver::start();
    receiver.queue([Answer::status(503)]);
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "in/a.csv", "1");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    let id = events(&highwater, &[])[0].id.clone();
    let story = explain(&highwater, "in/a.csv");
    says(&story, &[&id, "created", "revision 1", "to erp: delivered", "attempt 1", "503", "attempt 2", &sha256(b"1")]);
    let path = highwater.path("drop/in/a.csv");
    assert_eq!(highwater.run(&["explain", path.to_str().expect("text")]).ok(), story, "its path means the same");
}

#[test]
fn what_waits_is_explained_with_what_it_waits_for() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("marker = \"{name}.done\"") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 0);
    says(&explain(&highwater, "a.csv"), &["waiting", "a.csv.done", "never told"]);
    assert_eq!(source_status(&highwater, "orders")["waiting"], 1);
    put(&highwater, "a.csv.done", "");
    once(&highwater, 0);
    says(&explain(&highwater, "a.csv"), &["to erp: delivered"]);
    assert_eq!(source_status(&highwater, "orders")["waiting"], 0);
}

#[test]
fn what_is_filtered_out_is_explained_with_the_filter_that_does_it() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("include = [\"*.csv\"]\nexclude = [\"old/**\", \"x-*\"]") + &erp(&receiver, "")));
    for name in ["a.xml", "x-a.csv", "old/b.csv", "c.csv.part"] {
        put(&highwater, name, "1");
    }
    assert!(once(&highwater, 0).contains(" 0 events"));
    says(&explain(&highwater, "a.xml"), &["include"]);
    says(&explain(&highwater, "x-a.csv"), &["x-*"]);
    says(&explain(&highwater, "old/b.csv"), &["old/**"]);
    let ignored = highwater.run(&["peek", "orders", "--ignored"]).ok();
    says(&ignored, &["a.xml", "x-a.csv", "old"]);
}

#[test]
fn what_was_never_seen_is_explained_too() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &items("") + &erp(&receiver, "")));
    says(&explain(&highwater, "nowhere.csv"), &["not there", "no store"]);
    once(&highwater, 0);
    says(&explain(&highwater, "nowhere.csv"), &["not there", "never told"]);
    says(&highwater.run(&["explain", "items", "4711"]).ok(), &["never told"]);
    put(&highwater, "new.csv", "1");
    says(&explain(&highwater, "new.csv"), &["never told"]);
}

#[test]
fn a_dead_letter_and_what_waits_behind_a_retry_are_explained() {
    let receiver = Receiver::start();
    let highwater = plant(
        &(orders("to = [\"erp\", \"load\"]")
            + &erp(&receiver, "retry = [\"1h\"]")
            + &load("command = [\"./load.sh\"]")),
    );
    highwater.write_script("load.sh", "cat >/dev/null; echo no such article; exit 65");
    receiver.answers(|_, _| Answer::status(503));
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    put(&highwater, "a.csv", "2");
    once(&highwater, 4);
    let first = &events(&highwater, &[]).into_iter().find(|told| told.revision == 1).expect("told").id;
    let behind = format!("{first} comes first");
    let story = explain(&highwater, "a.csv");
    says(&story, &["to load: dead", "no such article", "to erp: retrying", "503", "tried again at", &behind]);
    let waits = deliveries(&highwater, &["--sink", "erp", "--state", "pending"]);
    assert!(waits[0]["held"].as_str().is_some_and(|held| held.contains(first.as_str())), "{}", waits[0]);
    let retrying = deliveries(&highwater, &["--sink", "erp", "--state", "retrying"]);
    assert!(retrying[0]["next_at"].is_string() && retrying[0]["last"].is_string(), "{}", retrying[0]);
}

#[test]
fn a_row_is_explained_by_its_key() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("") + &erp(&receiver, "")));
    table(&highwater).execute_batch("INSERT INTO items VALUES (4711, 'a', 1)").expect("insert");
    once(&highwater, 0);
    says(&highwater.run(&["explain", "items", "4711"]).ok(), &["upserted", "to erp: delivered"]);
}

#[test]
fn status_has_exactly_the_documented_fields() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &items("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)").expect("insert");
    once(&highwater, 0);
    let status = status(&highwater);
    let fields = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(fields(&status), "sources sinks");
    for source in status["sources"].as_array().expect("a list") {
        assert_eq!(fields(source), "name kind state held known waiting events refused last_poll last_error cursor");
    }
    assert_eq!(fields(&status["sinks"][0]), "name kind state held pending retrying dead delivered");
    let orders = source_status(&highwater, "orders");
    assert_eq!((&orders["kind"], &orders["state"]), (&"folder".into(), &"ok".into()));
    assert_eq!((&orders["known"], &orders["events"]), (&1.into(), &1.into()));
    let items = source_status(&highwater, "items");
    assert_eq!((&items["kind"], &items["events"]), (&"sqlite".into(), &2.into()));
    assert!(items["cursor"].is_string() && items["last_poll"].is_string(), "{items}");
    assert_eq!(sink_status(&highwater, "erp")["delivered"], 3);
    assert_eq!(fields(&deliveries(&highwater, &[])[0]), "event_id sink state attempts next_at held last");
}

#[test]
fn too_many_new_entries_hold_the_source_until_the_command_that_the_hold_names() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("max_new = 3") + &erp(&receiver, "")));
    for number in 0..5 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let summary = once(&highwater, 3);
    says(&summary, &["held (max_new)", "highwater cursor orders accept"]);
    assert!(receiver.received().is_empty(), "none of them is told before");
    let status = source_status(&highwater, "orders");
    assert_eq!(status["state"], "held");
    says(status["held"].as_str().expect("a reason"), &["max_new", "highwater cursor orders accept"]);
    says(&explain(&highwater, "1.csv"), &["max_new", "highwater cursor orders accept"]);
    once(&highwater, 3);
    highwater.run(&["cursor", "orders", "accept"]).ok();
    assert!(once(&highwater, 0).contains("5 events, 5 delivered"));
    for number in 5..10 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    assert!(once(&highwater, 3).contains("held (max_new)"), "it was accepted once, not for ever");
    highwater.run(&["cursor", "orders", "skip"]).ok();
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert_eq!(receiver.received().len(), 5);
    assert_eq!(source_status(&highwater, "orders")["known"], 10);
}

#[test]
fn a_mass_removal_is_held_while_what_is_new_goes_on_and_told_once_it_is_accepted() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("events = [\"created\", \"changed\", \"removed\"]") + &erp(&receiver, "")));
    for number in 0..8 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    once(&highwater, 0);
    std::fs::remove_file(highwater.path("drop/0.csv")).expect("remove");
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 9, "one of eight is no mass");

    for number in 1..6 {
        std::fs::remove_file(highwater.path(format!("drop/{number}.csv"))).expect("remove");
    }
    put(&highwater, "new.csv", "new");
    let summary = once(&highwater, 3);
    says(&summary, &["held (mass_removal)", "highwater cursor orders accept"]);
    assert_eq!(receiver.received().len(), 10);
    assert_eq!(told(&receiver.received())[9].key, "new.csv");
    says(
        source_status(&highwater, "orders")["held"].as_str().expect("a reason"),
        &["mass_removal", "highwater cursor orders accept"],
    );
    highwater.run(&["cursor", "orders", "accept"]).ok();
    assert!(once(&highwater, 0).contains("5 events, 5 delivered"));
    assert_eq!(kinds(&receiver).iter().filter(|kind| kind.starts_with("removed")).count(), 6);
}

#[test]
fn removals_that_were_an_accident_are_forgotten_when_the_files_are_back() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("events = [\"created\", \"changed\", \"removed\"]") + &erp(&receiver, "")));
    for number in 0..4 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    once(&highwater, 0);
    let move_all = |from: &str, to: &str| {
        std::fs::create_dir_all(highwater.path(to)).expect("a folder");
        for number in 0..4 {
            let name = format!("{number}.csv");
            std::fs::rename(highwater.path(from).join(&name), highwater.path(to).join(&name)).expect("rename");
        }
    };
    move_all("drop", "aside");
    assert!(once(&highwater, 3).contains("held (mass_removal)"));
    move_all("aside", "drop");
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
    assert_eq!(receiver.received().len(), 4);
}
