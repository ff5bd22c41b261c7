//! Sweeps over keys of all kinds: whatever the key is, nothing differs when nothing was changed, and one removed row is found.

use highwater::change::Kind;

use super::conformance::Place;
use super::sweep::{settled, sweep_suite, sweeping, told_by_a_sweep};
use super::table;
use crate::support::highwater::Highwater;

/// Sweeps a table `k` with these rows, deletes the one that `removed` names, and sweeps again.
fn check(place: &dyn Place, create: &str, rows: &str, key: &[&str], removed: (&str, &str)) {
    place.run(create);
    place.run(&format!("INSERT INTO k VALUES {rows}"));
    let mut bench = settled(place, &sweeping(table("k", &["at"], key)));
    assert!(told_by_a_sweep(&mut bench).is_empty());
    assert_eq!(bench.swept.rows(), 0, "the digests of both sides agree");
    place.run(&format!("DELETE FROM k WHERE {}", removed.0));
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, removed.1.to_owned(), 2)]);
    assert!(told_by_a_sweep(&mut bench).is_empty());
}

fn composite_keys_are_swept(place: &dyn Place) {
    let rows = "('a,\"b', -1, 1), ('', 0, 2), ('é\n', 7, 3)";
    check(
        place,
        "CREATE TABLE k (a TEXT, b INTEGER, at INTEGER, PRIMARY KEY (a, b))",
        rows,
        &["a", "b"],
        ("b = -1", "[\"a,\\\"b\",\"-1\"]"),
    );
}

fn texts_are_swept_as_their_bytes(place: &dyn Place) {
    let rows = "('a', '2026-01-01'), ('A', ''), ('ß', '''q'''), ('a ', 'ü'), ('10', '9')";
    check(place, "CREATE TABLE k (id TEXT PRIMARY KEY, at TEXT)", rows, &["id"], ("id = 'A'", "A"));
}

fn negative_and_huge_integers_are_swept(place: &dyn Place) {
    let rows = "(-9223372036854775807, -5), (9223372036854775807, 1), (0, 0), (-1, 4000000000)";
    let create = "CREATE TABLE k (id BIGINT PRIMARY KEY, at BIGINT)";
    check(place, create, rows, &["id"], ("id < -1", "-9223372036854775807"));
}

fn numeric_keys_and_real_watermarks_are_swept(place: &dyn Place) {
    let rows = "(1.50, 0.1), (-0.25, 2.0), (7, 1.5e20)";
    let create = "CREATE TABLE k (id NUMERIC PRIMARY KEY, at DOUBLE PRECISION)";
    check(place, create, rows, &["id"], ("id = -0.25", "-0.25"));
}

fn watermarks_of_several_columns_are_swept(place: &dyn Place) {
    let rows = "(1, '2026-01-01', 2), (2, '2026-01-01', 1)";
    place.run("CREATE TABLE k (id INTEGER PRIMARY KEY, day TEXT, n INTEGER)");
    place.run(&format!("INSERT INTO k VALUES {rows}"));
    let mut bench = settled(place, &sweeping(table("k", &["day", "n"], &["id"])));
    assert!(told_by_a_sweep(&mut bench).is_empty());
    assert_eq!(bench.swept.rows(), 0);
}

sweep_suite! {
    composite_keys_are_swept,
    texts_are_swept_as_their_bytes,
    negative_and_huge_integers_are_swept,
    numeric_keys_and_real_watermarks_are_swept,
    watermarks_of_several_columns_are_swept,
}

#[test]
fn types_of_postgresql_are_swept() {
    let types = [
        ("timestamptz", "'2026-01-01 10:00:00.123456+02'", "'infinity'"),
        ("timestamp", "'2026-01-01 10:00:00'", "'0044-03-15 00:00:00 BC'"),
        ("date", "'2026-01-01'", "'1999-12-31'"),
        ("uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "'00000000-0000-0000-0000-000000000000'"),
        ("varchar(9) COLLATE \"C\"", "'b'", "'a'"),
        ("numeric(12,3)", "1.5", "-7"),
        ("real", "0.1", "1e30"),
        ("bytea", "'\\x00ff'", "'\\x'"),
        ("boolean", "true", "false"),
    ];
    for (kind, first, second) in types {
        let place = super::postgres::new_place();
        let place: &dyn Place = &place;
        place.run(&format!("CREATE TABLE k (id {kind} PRIMARY KEY, at integer)"));
        place.run(&format!("INSERT INTO k VALUES ({first}, 1), ({second}, 2)"));
        let mut bench = settled(place, &sweeping(table("k", &["at"], &["id"])));
        assert!(told_by_a_sweep(&mut bench).is_empty(), "{kind}");
        assert_eq!(bench.swept.rows(), 0, "{kind}: the digests of both sides agree");
    }
}

#[test]
fn once_with_a_sweep_tells_a_removed_row_with_table_key_and_last_digest() {
    let highwater = Highwater::with_config(
        "[source.items]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n\
         sweep = \"1s\"\nto = [\"out\"]\n\n[sink.out]\nkind = \"script\"\ncommand = [\"sh\", \"-c\", \"cat >> out; echo >> out\"]\n",
    );
    let table = rusqlite::Connection::open(highwater.path("erp.sqlite")).expect("open");
    let sql = "CREATE TABLE item (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO item VALUES (7, 1), (8, 2)";
    table.execute_batch(sql).expect("create");
    highwater.run(&["once"]).ok();
    table.execute_batch("DELETE FROM item WHERE id = 7").expect("delete");
    let body = || {
        highwater.run(&["once"]).ok();
        let text = std::fs::read_to_string(highwater.path("out")).expect("events");
        let mut events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.find(|event| event["type"] == "highwater.row.removed")
    };
    let mut removed = None;
    crate::support::wait_until("a sweep is due and tells it", || {
        removed = body();
        removed.is_some()
    });
    let event = removed.expect("it was told");
    assert_eq!(event["subject"], "7");
    let data = event["data"].as_object().expect("an object");
    assert_eq!(data.keys().map(String::as_str).collect::<Vec<_>>(), ["table", "key", "sha256", "revision"]);
    assert_eq!((&data["table"], &data["key"], &data["revision"]), (&"item".into(), &"7".into(), &2.into()));
}
