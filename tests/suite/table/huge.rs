//! Values of a hundred megabytes: their row is refused by key and column, the others are told, and memory stays small.

use crate::support::highwater::Highwater;
use crate::support::{mariadb, postgres};

/// What one `once` may have resident: the row itself as the driver holds it, and no row more.
const MEMORY_MAX_KIB: u64 = 330 * 1_024;

/// `once` over a table `item` whose row 2 holds `bytes` in the column `scan`.
fn is_refused_alone(source: &str, bytes: usize) {
    let highwater = Highwater::with_config(&format!(
        "[source.item]\n{source}\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\nto = [\"out\"]\n\
         [sink.out]\nkind = \"script\"\ncommand = [\"true\"]\n"
    ));
    let peak = highwater.peak_of_once(0);
    let events = highwater.run(&["events", "--json"]).json_lines();
    let mut keys: Vec<&str> = events.iter().map(|event| event["subject"].as_str().expect("a key")).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["1", "3"], "the others are told");
    let refused = highwater.run(&["dead", "list"]).ok();
    for word in ["item", "2", "column scan", &bytes.to_string(), "16 MiB"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB were resident");
}

#[test]
fn a_huge_bytea_is_refused_and_the_others_are_told() {
    let place = postgres::database();
    place.run("GRANT pg_read_all_data TO reader; CREATE TABLE item (id int PRIMARY KEY, at int, scan bytea)");
    place.run(
        "INSERT INTO item VALUES (1, 1, 'a'), (3, 3, 'c'), \
         (2, 2, convert_to(repeat(repeat('0123456789', 1000), 10485), 'SQL_ASCII'))",
    );
    let bytes = place.text("SELECT octet_length(scan)::text FROM item WHERE id = 2").parse().expect("a number");
    assert!(bytes > 100_000_000);
    is_refused_alone(&format!("kind = \"postgres\"\nurl = \"{}\"", place.address("reader")), bytes);
}

#[test]
fn a_huge_blob_in_sqlite_is_refused_and_the_others_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("erp.sqlite");
    let writer = rusqlite::Connection::open(&path).expect("open");
    writer
        .execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, at INTEGER, scan BLOB); CREATE INDEX item_at ON item (at, id); \
             INSERT INTO item VALUES (1, 1, 'a'), (2, 2, zeroblob(104857600)), (3, 3, 'c')",
        )
        .expect("rows");
    is_refused_alone(&format!("kind = \"sqlite\"\npath = \"{}\"", path.display()), 104_857_600);
}

#[test]
fn a_huge_blob_in_mariadb_is_refused_and_the_others_are_told() {
    let place = mariadb::restless_database();
    // What is longer than this can't be sent by the server at all.
    place.run("SET GLOBAL max_allowed_packet = 268435456");
    let writer = place.connect();
    writer.run("CREATE TABLE item (id int PRIMARY KEY, at int, scan longblob)");
    writer.run("INSERT INTO item VALUES (1, 1, 'a'), (2, 2, REPEAT('x', 104857600)), (3, 3, 'c')");
    is_refused_alone(&format!("kind = \"mysql\"\nurl = \"{}\"", place.address("reader")), 104_857_600);
}
