//! The quick start: what is there is told within seconds, then what changes; killed and started again, nothing twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::sample::{FILES, ROWS, sample, seen_by_git};
use crate::support::highwater::Highwater;
use crate::support::wait_until;

const CONFIG: [&str; 2] = ["-c", "config/quickstart.toml"];

fn with<'a>(command: &[&'a str]) -> Vec<&'a str> {
    command.iter().copied().chain(CONFIG).collect()
}

/// The lines of `scripts/show-event`'s log.
fn log(highwater: &Highwater) -> Vec<String> {
    let text = std::fs::read_to_string(highwater.path("quickstart/events.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_for_line(highwater: &Highwater, words: &[&str]) {
    let has = |line: &String| words.iter().all(|word| line.contains(word));
    wait_until(&format!("a line with {words:?} is told"), || log(highwater).iter().any(has));
}

#[test]
fn the_quick_start_tells_what_is_there_then_what_changes_and_nothing_twice() {
    let highwater = sample();
    let before = seen_by_git(&highwater);
    let started = Instant::now();
    let running = highwater.spawn(&with(&["run"]));
    wait_until("everything that is there is told", || log(&highwater).len() == FILES + ROWS);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    wait_for_line(&highwater, &["file created", "drop/orders/ORDERS-000417.edi", "revision 1", "bytes, begins UNA:"]);
    wait_for_line(&highwater, &["row created", "customers/10023", "name Müller Maschinenbau GmbH & Co. KG"]);

    // Drop a file, then give it other content.
    let original = std::fs::read(highwater.path("fixtures/drop/orders/orders-20261123.csv")).expect("read");
    let dropped = highwater.write("fixtures/drop/orders/try-1.csv", &original);
    wait_for_line(&highwater, &["file created", "drop/orders/try-1.csv", "revision 1"]);
    std::fs::write(&dropped, [&original[..], b"4500017734;10\n"].concat()).expect("write");
    wait_for_line(&highwater, &["file changed", "drop/orders/try-1.csv", "revision 2"]);
    // Change a row, and insert one.
    let table = Connection::open(highwater.path("quickstart/erp.sqlite")).expect("open");
    table.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    table.execute("UPDATE customers SET city = 'Hamburg' WHERE id = 10057", []).expect("update");
    wait_for_line(&highwater, &["row changed", "customers/10057", "revision 2", "city Hamburg"]);
    table.execute("INSERT INTO customers (id, name, city) VALUES (10200, 'Neu AG', 'Bern')", []).expect("insert");
    wait_for_line(&highwater, &["row created", "customers/10200", "name Neu AG"]);

    // Kill it, change something meanwhile, start it again.
    wait_until("nothing is in flight", || {
        let status: serde_json::Value =
            serde_json::from_str(&highwater.run(&with(&["status", "--json"])).ok()).expect("JSON");
        status["sinks"][0]["delivered"] == FILES + ROWS + 4 && status["sinks"][0]["pending"] == 0
    });
    running.kill();
    highwater.write("fixtures/drop/try-2.csv", "while nobody looked\n");
    let running = highwater.spawn(&with(&["run"]));
    wait_for_line(&highwater, &["file created", "drop/try-2.csv"]);
    std::fs::remove_file(&dropped).expect("remove");
    wait_for_line(&highwater, &["file removed", "drop/orders/try-1.csv", "revision 3", "gone"]);
    assert_eq!(running.terminate(), Some(0));

    let expected = FILES + ROWS + 6;
    assert_eq!(log(&highwater).len(), expected, "each change once:\n{}", log(&highwater).join("\n"));
    let events = highwater.run(&with(&["events", "--json", "--limit", "0"])).json_lines();
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!((events.len(), ids.len()), (expected, expected));
    assert_eq!(seen_by_git(&highwater), before, "git status stays clean");
    let story = highwater.run(&with(&["explain", "drop", "orders/try-1.csv"])).ok();
    assert!(story.contains("removed") && story.contains("to show: delivered"), "{story}");
}

#[test]
fn what_run_prints_is_one_line_an_event_with_what_the_script_said() {
    let highwater = sample();
    let mut running = highwater.spawn(&with(&["run"]));
    running.wait_for("everything is told", |running| running.printed().lines().count() >= FILES + ROWS);
    let printed = running.printed();
    assert_eq!(printed.lines().count(), FILES + ROWS, "{printed}");
    let columns: BTreeSet<Option<usize>> = printed.lines().map(|line| line.find("-> show  ok: ")).collect();
    assert_eq!(columns.len(), 1, "the columns line up:\n{printed}");
    assert!(printed.contains("Z  drop       created   orders/ORDERS-000417.edi  "), "{printed}");
    assert!(printed.contains("-> show  ok: 522 bytes, begins UNA:"), "{printed}");
    assert!(printed.contains("Z  customers  created   10023 "), "{printed}");
    assert!(!printed.contains("evt_"), "ids are for those who ask");
    let log = running.log();
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "no error noise: {log}");
    assert_eq!(running.terminate(), Some(0));
}
