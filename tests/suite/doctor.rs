//! `doctor`: every kind of source can be probed, for people and for programs, and nothing stays behind.

use std::fs;

use crate::support::highwater::Highwater;

const FOLDER: &str = "[source.orders]\nkind = \"folder\"\npath = \"drop\"\nto = [\"load\"]\n";
const TABLE: &str = "[source.items]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"items\"\nwatermark = \"updated\"\nkey = [\"id\"]\nto = [\"load\"]\n";
const SINK: &str = "[sink.load]\nkind = \"script\"\ncommand = [\"cat\"]\n";

fn plant() -> Highwater {
    Highwater::with_config(&format!("{FOLDER}{TABLE}{SINK}"))
}

#[test]
fn a_folder_is_probed_for_its_file_system_and_wake_ups() {
    let highwater = plant();
    fs::create_dir(highwater.path("drop")).expect("a folder");
    let shown = highwater.run(&["doctor", "orders"]).ok();
    assert!(shown.lines().next().is_some_and(|header| header.starts_with("TRIED")), "{shown}");
    for line in ["file system  note", "wake-ups", "folder       works"] {
        assert!(shown.lines().any(|shown| shown.starts_with(line)), "{line} in\n{shown}");
    }
    let findings = highwater.run(&["doctor", "orders", "--json"]).code(0).json_lines();
    let topics: Vec<&str> = findings.iter().map(|finding| finding["topic"].as_str().expect("a topic")).collect();
    assert_eq!(topics, ["file system", "wake-ups", "folder"]);
    assert_eq!(findings[2]["verdict"], "works");
    assert_eq!(fs::read_dir(highwater.path("drop")).expect("a folder").count(), 0, "nothing stays");
    assert!(!highwater.path("highwater.db").exists(), "and nothing is made");
}

#[test]
fn a_table_is_probed_and_what_is_out_of_reach_ends_with_3() {
    let highwater = plant();
    let missing = highwater.run(&["doctor", "items"]).code(3);
    assert!(missing.stderr.contains("erp.sqlite"), "{}", missing.stderr);
    let database = rusqlite::Connection::open(highwater.path("erp.sqlite")).expect("a database");
    database.execute_batch("CREATE TABLE items (id INTEGER PRIMARY KEY, updated INTEGER)").expect("a table");
    let findings = highwater.run(&["doctor", "items", "--json"]).code(0).json_lines();
    for topic in ["server", "table", "key", "index", "nulls", "settle", "journal"] {
        assert!(findings.iter().any(|finding| finding["topic"] == topic), "{topic}: {findings:?}");
    }
    highwater.run(&["doctor", "orders"]).code(3);
    let unknown = highwater.run(&["doctor", "ordres"]).code(2);
    assert!(unknown.stderr.contains("orders"), "{}", unknown.stderr);
}
