//! Folders that are missing, closed or no folders: their source fails by name and is tried again, others go on.

use super::{LOAD, TO_SCRIPT, chmod, refused, run_as_mortal, said, script, to_script};
use crate::support::highwater::Highwater;
use crate::support::wait_until;

const TWO: &str = r#"
[source.lost]
kind = "folder"
path = "lost"
stable_for = "0s"
every = "200ms"
to = ["load"]
"#;

fn two() -> Highwater {
    let highwater = Highwater::with_config(&format!("{TO_SCRIPT}{TWO}"));
    script(&highwater, "load.sh", LOAD);
    highwater.write("in/a.csv", "a");
    highwater
}

#[test]
fn a_missing_folder_fails_by_name_holds_up_no_other_and_is_polled_when_it_appears() {
    let highwater = two();
    let missing = "lost is not there; make it, mount it or correct path";
    let output = highwater.run(&["once"]).code(3);
    said(&output.stdout, &["2 sources polled, 1 event, 1 delivered; lost: folder ", missing]);
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    assert!(highwater.path("out/a.csv").exists(), "the other source went on");

    let mut running = highwater.spawn(&["run"]);
    running.wait_for_log("source could not be polled");
    let status: serde_json::Value = serde_json::from_str(&highwater.run(&["status", "--json"]).ok()).expect("JSON");
    let lost = status["sources"].as_array().expect("a list").iter().find(|source| source["name"] == "lost");
    let lost = lost.expect("it is listed");
    assert_eq!(lost["state"], "failing");
    said(lost["last_error"].as_str().expect("a text"), &[missing]);
    refused(&highwater.run(&["peek", "lost"]), 3, &[missing]);
    said(&highwater.run(&["explain", "lost", "x"]).code(3).stdout, &["can't be looked at", missing]);
    said(&highwater.run(&["check", "--connect"]).code(3).stdout, &["source lost: FAILED", missing]);

    highwater.write("lost/b.csv", "b");
    wait_until("the file of the folder that appeared is delivered", || highwater.path("out/b.csv").exists());
    running.wait_for_log("source is well again");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn what_may_not_be_read_is_refused_by_name_and_told_when_it_may() {
    let highwater = to_script();
    let closed = highwater.write("in/closed.csv", "secret");
    highwater.write("in/open.csv", "open");
    chmod(&closed, 0o000);
    let output = run_as_mortal(&highwater, &["once"]).code(0);
    said(&output.stdout, &["1 event, 1 delivered, 1 refused", "closed.csv", "Permission denied"]);
    said(&highwater.run(&["dead", "list"]).ok(), &["closed.csv", "refused", "Permission denied"]);

    chmod(&highwater.path("in"), 0o000);
    let output = run_as_mortal(&highwater, &["once"]).code(3);
    said(&output.stdout, &["orders: folder ", "may not be read; give this user read and search permission"]);
    chmod(&highwater.path("in"), 0o755);
    chmod(&closed, 0o644);
    run_as_mortal(&highwater, &["once"]).ok();
    assert_eq!(std::fs::read(highwater.path("out/closed.csv")).expect("delivered"), b"secret");
    assert_eq!(highwater.run(&["events", "--json"]).json_lines().len(), 2, "nothing was lost or told twice");
}

#[test]
fn a_closed_folder_below_is_named_and_the_rest_is_told() {
    let highwater = to_script();
    highwater.write("in/a.csv", "a");
    highwater.write("in/below/b.csv", "b");
    chmod(&highwater.path("in/below"), 0o000);
    let output = run_as_mortal(&highwater, &["once"]);
    chmod(&highwater.path("in/below"), 0o755);
    said(&output.code(0).stdout, &["1 event, 1 delivered", "orders: degraded", "below", "Permission denied"]);
    run_as_mortal(&highwater, &["once"]).ok();
    assert!(highwater.path("out/b.csv").exists());
}

#[test]
fn a_path_that_is_a_file_is_no_folder() {
    let highwater = Highwater::with_config(TO_SCRIPT);
    script(&highwater, "load.sh", LOAD);
    highwater.write("in", "a file");
    let output = highwater.run(&["once"]).code(3);
    said(&output.stdout, &["orders: ", "is not a folder"]);
    refused(&highwater.run(&["peek", "orders"]), 3, &["is not a folder"]);
}

#[test]
fn a_working_folder_that_may_not_be_written_is_named_before_anything_happens() {
    let highwater = to_script();
    highwater.write("in/a.csv", "a");
    let folder = highwater.path("");
    chmod(&folder, 0o555);
    let outputs = [&["once"][..], &["run"], &["poll", "orders"]].map(|command| run_as_mortal(&highwater, command));
    let init = run_as_mortal(&highwater, &["init", "other.toml"]);
    let peeked = run_as_mortal(&highwater, &["peek", "orders", "--json"]);
    chmod(&folder, 0o755);
    for output in outputs {
        refused(&output, 1, &["highwater.db.lock; the folder of state.path must be writable", "Permission denied"]);
    }
    refused(&init, 1, &["write other.toml", "Permission denied"]);
    assert_eq!(peeked.json_lines().len(), 1, "what only looks needs no store");
}
