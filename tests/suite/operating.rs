//! What an operator does while `run` runs, and beside it: a table, a script that can be told to fail, and every command
//! that steers or looks.

use rusqlite::Connection;

use crate::support::highwater::{Highwater, Running};
use crate::support::wait_until;

const CONFIG: &str = r#"
[source.customers]
kind = "sqlite"
path = "erp.sqlite"
table = "customers"
watermark = "updated_at"
key = ["id"]
every = "200ms"
to = ["load"]

[sink.load]
kind = "script"
command = ["./load.sh"]
retry = ["1h"]
"#;

/// Fails while there is a file `fail`; gives an event up while there is a file `give-up`.
const SCRIPT: &str =
    "#!/bin/sh\ncat >/dev/null\necho said\n[ -e fail ] && exit 75\n[ -e give-up ] && exit 65\nexit 0\n";

fn plant() -> Highwater {
    let highwater = Highwater::with_config(CONFIG);
    let script = highwater.write("load.sh", SCRIPT);
    std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let sql = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, updated_at INTEGER NOT NULL)";
    table(&highwater).execute_batch(sql).expect("create");
    highwater
}

fn table(highwater: &Highwater) -> Connection {
    Connection::open(highwater.path("erp.sqlite")).expect("the table's database")
}

fn insert(highwater: &Highwater, id: i64) {
    let sql = "INSERT INTO customers VALUES (?1, 'n', ?1)";
    table(highwater).execute(sql, [id]).expect("insert");
}

fn run(highwater: &Highwater) -> Running {
    let mut running = highwater.spawn(&["run"]);
    let socket = highwater.path("highwater.sock");
    running.wait_for("the control socket is there", |_| socket.exists());
    running
}

/// Waits until a delivery of this row is in this state, and returns its event's id.
fn delivery(highwater: &Highwater, id: i64, state: &str) -> String {
    let mut event = String::new();
    wait_until(&format!("row {id} is {state}"), || {
        let output = highwater.run(&["deliveries", "--key", &id.to_string(), "--state", state, "--json"]);
        if let Some(line) = output.stdout.lines().next() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            event = line["event_id"].as_str().expect("an id").to_owned();
        }
        !event.is_empty()
    });
    event
}

#[test]
fn the_second_process_is_refused_by_name_and_reading_goes_on() {
    let highwater = plant();
    insert(&highwater, 1);
    let running = run(&highwater);
    let first = format!("pid={} command=run", running.pid());
    for second in [&["run"][..], &["once"], &["once", "--wait", "1ms"]] {
        let refused = highwater.run(second).code(5);
        assert!(refused.stderr.contains(&first), "{second:?}: {}", refused.stderr);
    }
    delivery(&highwater, 1, "delivered");
    assert!(highwater.run(&["status"]).ok().starts_with(&format!("running: pid {}", running.pid())));
    assert_eq!(running.terminate(), Some(0));
    assert!(!highwater.path("highwater.sock").exists());
    assert!(highwater.run(&["status"]).ok().starts_with("not running"));
    highwater.run(&["once"]).ok();
}

#[test]
fn what_a_killed_process_leaves_behind_hinders_nobody() {
    let highwater = plant();
    insert(&highwater, 1);
    let running = run(&highwater);
    delivery(&highwater, 1, "delivered");
    running.kill();
    assert!(highwater.path("highwater.sock").exists(), "kill -9 leaves the socket");
    assert!(highwater.run(&["status"]).ok().starts_with("not running"));
    highwater.run(&["pause", "load", "--reason", "x"]).ok();
    highwater.run(&["resume", "load"]).ok();
    let again = run(&highwater);
    insert(&highwater, 2);
    delivery(&highwater, 2, "delivered");
    assert_eq!(again.terminate(), Some(0));
}

#[test]
fn a_paused_sink_says_who_paused_it_and_goes_on_when_resumed() {
    let highwater = plant();
    let _running = run(&highwater);
    let told = highwater.run(&["pause", "load", "--for", "4h", "--reason", "ticket 7"]).ok();
    assert!(told.contains("highwater resume load"), "{told}");
    insert(&highwater, 1);
    delivery(&highwater, 1, "pending");
    let held = highwater.run(&["deliveries", "--json"]).json_lines()[0]["held"].to_string();
    assert!(held.contains("ticket 7") && held.contains("highwater resume load"), "{held}");
    let status: serde_json::Value = serde_json::from_str(&highwater.run(&["status", "--json"]).ok()).expect("JSON");
    assert_eq!(status["sinks"][0]["state"], "paused");
    let check = highwater.run(&["status", "--check"]).code(1);
    assert!(check.stdout.starts_with("HIGHWATER WARNING - sink load paused | "), "{}", check.stdout);
    highwater.run(&["resume", "load"]).ok();
    delivery(&highwater, 1, "delivered");
    highwater.run(&["status", "--check"]).ok();
}

#[test]
fn a_dead_letter_is_listed_retried_and_dropped() {
    let highwater = plant();
    highwater.write("give-up", "");
    insert(&highwater, 1);
    insert(&highwater, 2);
    highwater.run(&["once"]).code(4);
    let dead = highwater.run(&["dead", "list", "--json"]).json_lines();
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|line| line["kind"] == "dead" && line["sink"] == "load"), "{dead:?}");
    highwater.run(&["status", "--check"]).code(1);

    let would = highwater.run(&["dead", "retry", "--all", "--dry-run"]).ok();
    assert_eq!(would.trim(), "2 records would be delivered again");
    std::fs::remove_file(highwater.path("give-up")).expect("remove");
    let first = delivery(&highwater, 1, "dead");
    highwater.run(&["dead", "retry", &first]).ok();
    highwater.run(&["once"]).ok();
    delivery(&highwater, 1, "delivered");
    highwater.run(&["dead", "drop", "--sink", "load"]).ok();
    delivery(&highwater, 2, "cancelled");
    assert!(highwater.run(&["dead", "list"]).code(0).stderr.contains("nothing is dead"));
}

#[test]
fn an_acknowledged_dead_letter_stays_and_alarms_nobody() {
    let highwater = plant();
    highwater.write("give-up", "");
    insert(&highwater, 1);
    highwater.run(&["once"]).code(4);
    highwater.run(&["status", "--check"]).code(1);
    highwater.run(&["dead", "ack", "--all"]).ok();
    highwater.run(&["status", "--check"]).ok();
    delivery(&highwater, 1, "dead");
}

#[test]
fn a_delivery_that_waits_is_explained_and_can_be_cancelled() {
    let highwater = plant();
    highwater.write("fail", "");
    insert(&highwater, 1);
    let _running = run(&highwater);
    let event = delivery(&highwater, 1, "retrying");
    let story = highwater.run(&["explain", "customers", "1"]).ok();
    for part in ["now ", &event, "retrying", "tried again at", "attempt 1", "exit code 75"] {
        assert!(story.contains(part), "no {part:?} in\n{story}");
    }
    let attempts = highwater.run(&["attempts", "show", &event, "--output"]).ok();
    assert!(attempts.contains("said"), "{attempts}");
    highwater.run(&["cancel", &event]).ok();
    delivery(&highwater, 1, "cancelled");
    let again = highwater.run(&["cancel", &event]).code(2);
    assert!(again.stderr.contains("no unfinished delivery"), "{}", again.stderr);
}

#[test]
fn events_are_printed_exactly_as_they_are_delivered() {
    let highwater = plant();
    insert(&highwater, 1);
    let peeked = highwater.run(&["peek", "customers", "--json"]).json_lines();
    highwater.run(&["once"]).ok();
    let events = highwater.run(&["events", "--json"]).json_lines();
    assert_eq!((events.len(), &events[0]["specversion"], &events[0]["id"]), (1, &"1.0".into(), &peeked[0]["id"]));
    let id = events[0]["id"].as_str().expect("an id");
    assert_eq!(highwater.run(&["events", "show", id, "--body"]).json_lines(), events);
    assert_eq!(highwater.run(&["events", "--sink", "load", "--state", "delivered", "--json"]).json_lines(), events);
    assert!(highwater.run(&["events", "--state", "dead", "--json"]).json_lines().is_empty());
    assert!(highwater.run(&["events", "show", &id.replace(&id[4..8], "aaaa")]).code(2).stderr.contains("no event"));
    let more = highwater.run(&["peek", "customers", "--json"]);
    assert!(more.stdout.is_empty() && more.stderr.contains("nothing new"), "{}", more.stderr);
}

#[test]
fn tail_follows_events_and_attempts() {
    let highwater = plant();
    insert(&highwater, 1);
    highwater.run(&["once"]).ok();
    let _running = run(&highwater);
    let mut tail = highwater.spawn_apart("tail", &["tail", "--json"]);
    // What was there before is not told: insert until the tail has begun to look.
    let mut id = 1;
    tail.wait_for("an event and its attempt are told", |tail| {
        id += 1;
        insert(&highwater, id);
        tail.printed().contains("\"specversion\"") && tail.printed().contains("\"outcome\":\"delivered\"")
    });
    assert!(!tail.printed().contains("\"subject\":\"1\""), "{}", tail.printed());
    assert_eq!(tail.terminate(), Some(0));
}

#[test]
fn a_reload_with_a_problem_changes_nothing_and_a_sound_one_is_taken() {
    let highwater = plant();
    let _running = run(&highwater);
    highwater.configure(&CONFIG.replace("every", "evry"));
    assert!(highwater.run(&["reload"]).code(2).stderr.contains("evry"));
    highwater.configure(
        &CONFIG.replace("[sink.load]", "[sink.other]\nkind = \"script\"\ncommand = [\"./load.sh\"]\n[sink.load]"),
    );
    highwater.run(&["reload"]).ok();
    wait_until("the new sink is there", || highwater.run(&["test", "other"]).status == Some(0));
}

#[test]
fn commands_that_need_a_process_say_so_where_none_runs() {
    let highwater = plant();
    let refused = highwater.run(&["reload"]).code(1);
    assert!(refused.stderr.contains("highwater run"), "{}", refused.stderr);
    let empty = highwater.run(&["events"]).code(1);
    assert!(empty.stderr.contains("no store"), "{}", empty.stderr);
}
