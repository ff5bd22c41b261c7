//! SQLite through its ODBC driver: the rules of all adapters.

use highwater::error::ErrorKind;
use highwater::source::Source;
use highwater::source::settings::TableSettings;
use rusqlite::Connection;

use super::conformance::{Place, conformance_suite};
use super::odbc::{driver, settings, source};
use super::{Bench, table};

conformance_suite!(Driven::new());

/// An SQLite file that is read through ODBC.
struct Driven {
    folder: tempfile::TempDir,
    writer: Connection,
}

impl Driven {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = Connection::open(folder.path().join("erp.sqlite")).expect("a database");
        Self { folder, writer }
    }
}

impl Place for Driven {
    fn run(&self, sql: &str) {
        self.writer.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let file = self.folder.path().join("erp.sqlite");
        let connection = format!("Driver={};Database={};Timeout=5000", driver("libsqlite3odbc.so"), file.display());
        source(&settings(&connection, table))
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO item SELECT i, i / {tie}, 'row ' || i FROM n",
            first + count - 1
        ));
    }
}

#[test]
fn wide_characters_and_numbers_come_exactly() {
    let place = Driven::new();
    place.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at INTEGER, word VARCHAR(10), d DOUBLE, raw BLOB)");
    place.run("INSERT INTO v VALUES (1, 9007199254740993, 'Grüße 🦀 and more than declared', 0.1, x'00ff')");
    let mut bench = Bench::new(place.source(&table("v", &["at"], &["id"])));
    bench.poll();
    let row = &bench.ledger.told[0].row;
    assert_eq!(row["at"], "9007199254740993");
    assert_eq!(row["word"], "Grüße 🦀 and more than declared");
    assert_eq!((&row["d"], &row["raw"]), (&serde_json::json!(0.1), &serde_json::json!("AP8=")));
}

#[test]
fn a_missing_table_is_said_so() {
    let place = Driven::new();
    let error = Bench::new(place.source(&table("nothing", &["at"], &["id"]))).try_poll().expect_err("no table");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
