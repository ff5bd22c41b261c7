//! SQLite tables: the rules of all adapters, and what is SQLite's own.

use std::path::PathBuf;

use highwater::error::ErrorKind;
use highwater::setting::SourceName;
use highwater::source::settings::{SqliteSettings, TableSettings};
use highwater::source::table::SqliteSource;
use highwater::source::{Accepted, HoldReason, Source};
use rusqlite::Connection;

use super::conformance::{Place, conformance_suite};
use super::{Bench, table};

conformance_suite!(File::new());

/// A database file in a folder of its own.
pub struct File {
    folder: tempfile::TempDir,
    writer: Connection,
}

impl File {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = Connection::open(folder.path().join("erp.sqlite")).expect("a database");
        Self { folder, writer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("erp.sqlite")
    }

    /// The database that has the name now.
    fn reopen(&self) -> Connection {
        Connection::open(self.path()).expect("a database")
    }

    fn settings(&self, table: &TableSettings) -> SqliteSettings {
        SqliteSettings { path: self.path(), init: None, table: table.clone() }
    }
}

impl Place for File {
    fn run(&self, sql: &str) {
        self.writer.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    fn source(&self, settings: &TableSettings) -> Box<dyn Source> {
        source(&self.settings(settings))
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO item SELECT i, i / {tie}, 'row ' || i FROM n",
            first + count - 1
        ));
    }
}

fn source(settings: &SqliteSettings) -> Box<dyn Source> {
    Box::new(SqliteSource::new(&SourceName::new("erp"), settings).expect("a source"))
}

#[test]
fn values_are_told_exactly_as_they_are_stored() {
    let file = File::new();
    file.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at DATETIME, v)");
    let cases = [
        ("1", "1"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "\"9007199254740993\""),
        ("-9223372036854775808", "\"-9223372036854775808\""),
        ("1.5", "1.5"),
        ("0.1", "0.1"),
        ("9e999", "\"Infinity\""),
        ("-9e999", "\"-Infinity\""),
        ("'text \" with \\ and ' || char(10) || char(1)", "\"text \\\" with \\\\ and \\n\\u0001\""),
        ("x'00ff'", "\"AP8=\""),
        ("NULL", "null"),
        ("true", "1"),
        ("'2026-11-23 10:15:00.123456'", "\"2026-11-23 10:15:00.123456\""),
        ("'a' || char(0) || 'b'", "\"a\\u0000b\""),
    ];
    for (at, (sql, _)) in cases.iter().enumerate() {
        file.run(&format!("INSERT INTO v VALUES ({at}, datetime('now'), {sql})"));
    }
    let mut bench = Bench::new(file.source(&table("v", &["at"], &["id"])));
    bench.poll();
    for (told, (sql, json)) in bench.ledger.told.iter().zip(cases) {
        assert!(told.row_text.ends_with(&format!(",\"v\":{json}}}")), "{sql}: {}", told.row_text);
    }
    assert_eq!(bench.ledger.told.len(), cases.len());
}

#[test]
fn decimals_are_strings_as_in_every_database() {
    let file = File::new();
    file.run("CREATE TABLE d (id INTEGER PRIMARY KEY, at INTEGER, price DECIMAL(10,2), n numeric, f REAL, ok BOOLEAN)");
    file.run("INSERT INTO d VALUES (1, 1, 12.50, 7, 12.5, 1), (2, 2, '0.1', 'n/a', 7, NULL)");
    let mut bench = Bench::new(file.source(&table("d", &["at"], &["id"])));
    bench.poll();
    let rows: Vec<&str> = bench.ledger.told.iter().map(|told| told.row_text.as_str()).collect();
    let expected = [
        r#"{"id":1,"at":1,"price":"12.5","n":"7","f":12.5,"ok":1}"#,
        r#"{"id":2,"at":2,"price":"0.1","n":"n/a","f":7.0,"ok":null}"#,
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_text_that_is_no_utf_8_makes_its_row_refused_and_the_poll_goes_on() {
    let file = File::new();
    file.run("CREATE TABLE v (id PRIMARY KEY, at INTEGER, v)");
    file.run("INSERT INTO v VALUES ('a', 1, CAST(x'ff' AS TEXT)), ('b', 1, 'fine'), (CAST(x'fe' AS TEXT), 1, 'key')");
    let mut bench = Bench::new(file.source(&table("v", &["at"], &["id"])));
    assert_eq!(bench.told_by_a_poll(), ["b"]);
    let refused: Vec<(&[u8], bool)> =
        bench.ledger.refused.iter().map(|(key, reason)| (key.as_bytes(), reason.contains("UTF-8"))).collect();
    assert_eq!(refused, [(&b"a"[..], true), (&b"\xfe"[..], true)]);
    file.run("INSERT INTO v VALUES ('c', 1, 'more')");
    assert_eq!(bench.told_by_a_poll(), ["c"]);
    assert_eq!(bench.ledger.refused.len(), 2, "the same refusal is committed once");
}

#[test]
fn storage_classes_and_nocase_columns_keep_their_order_across_pages() {
    let file = File::new();
    file.run("CREATE TABLE m (k TEXT COLLATE NOCASE, w BLOB, UNIQUE (k COLLATE BINARY))");
    file.run("INSERT INTO m VALUES ('a', 1), ('A', 1), ('b', 1.5), ('B', '1'), ('c', x'31'), ('C', '')");
    let settings = table("m", &["w"], &["k"]);
    let mut bench = Bench::new(file.source(&settings));
    bench.ledger.fail_at = Some(0);
    bench.try_poll().expect_err("killed");
    bench.restart(file.source(&settings));
    bench.poll();
    assert_eq!(bench.ledger.take_keys(), ["A", "a", "b", "C", "B", "c"]);
}

#[test]
fn a_row_in_the_same_second_as_start_now_is_told() {
    let file = File::new();
    file.run("CREATE TABLE s (id INTEGER PRIMARY KEY, at TEXT)");
    file.run("INSERT INTO s VALUES (1, '2026-11-23 10:15:00'), (2, '2026-11-23 10:15:00')");
    let settings = TableSettings { start: highwater::source::settings::Start::Now, ..table("s", &["at"], &["id"]) };
    let mut bench = Bench::new(file.source(&settings));
    assert!(bench.told_by_a_poll().is_empty());
    file.run("INSERT INTO s VALUES (3, '2026-11-23 10:15:00')");
    assert_eq!(bench.told_by_a_poll(), ["3"]);
}

#[test]
fn a_date_from_the_future_does_not_hide_the_rows_of_today() {
    let file = File::new();
    file.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT)");
    file.run("INSERT INTO t VALUES (1, '9999-12-31 00:00:00'), (2, datetime('now'))");
    let mut bench = Bench::new(file.source(&table("t", &["at"], &["id"])));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    for id in 3..6 {
        file.run(&format!("INSERT INTO t VALUES ({id}, datetime('now'))"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
    }
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn both_journal_modes_are_read_while_someone_writes() {
    for mode in ["wal", "delete"] {
        let file = File::new();
        file.run(&format!(
            "PRAGMA journal_mode = {mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER) WITHOUT ROWID"
        ));
        let mut bench = Bench::new(file.source(&table("t", &["at"], &["id"])));
        for id in 1..=3 {
            file.run(&format!("BEGIN IMMEDIATE; INSERT INTO t VALUES ({id}, {id})"));
            assert!(bench.told_by_a_poll().is_empty(), "{mode}: nothing is committed yet");
            file.run("COMMIT");
            assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{mode}");
        }
    }
}

#[test]
fn a_missing_file_is_not_found_and_init_makes_it_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new.sqlite");
    let script = folder.path().join("new.sql");
    let mut settings = SqliteSettings { path: path.clone(), init: None, table: table("t", &["at"], &["id"]) };
    let error = Bench::new(source(&settings)).try_poll().expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("new.sqlite"), "{error}");
    settings.init = Some(script.clone());
    std::fs::write(&script, "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO broken").expect("write");
    let error = Bench::new(source(&settings)).try_poll().expect_err("a broken script");
    assert!(error.to_string().contains("new.sql") && !path.exists(), "{error}");
    std::fs::write(&script, "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO t VALUES (7, 1)")
        .expect("write");
    assert_eq!(Bench::new(source(&settings)).told_by_a_poll(), ["7"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 2, "no temporary file stays");
}

#[test]
fn what_is_no_database_is_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "this is not a database, but long enough to be looked at".repeat(30)).expect("write");
    let settings = SqliteSettings { path, init: None, table: table("t", &["at"], &["id"]) };
    let error = Bench::new(source(&settings)).try_poll().expect_err("no database");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("notes.txt"), "{error}");
}

#[test]
fn a_database_put_in_its_place_is_followed_and_one_that_is_behind_holds() {
    let file = File::new();
    file.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO t VALUES (1, 10)");
    let mut bench = Bench::new(file.source(&table("t", &["at"], &["id"])));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    let put = |rows: &str| {
        let other = file.folder.path().join("other.sqlite");
        let writer = Connection::open(&other).expect("a database");
        writer
            .execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO t VALUES {rows}"))
            .expect("rows");
        drop(writer);
        std::fs::rename(other, file.path()).expect("rename");
    };
    put("(1, 10), (2, 20)");
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    put("(1, 10)");
    let hold = bench.poll().hold.expect("a hold");
    assert_eq!(hold.reason, HoldReason::IdentityChanged);
    assert!(
        hold.detail.contains("10") && hold.detail.contains("20") && hold.detail.contains("erp accept"),
        "{}",
        hold.detail
    );
    put("(1, 10), (3, 30)");
    assert_eq!(bench.told_by_a_poll(), ["3"]);
    put("(1, 10)");
    assert!(bench.poll().hold.is_some());
    bench.accepted = Accepted { place: true, ..Accepted::default() };
    assert!(bench.told_by_a_poll().is_empty());
    bench.accepted = Accepted::default();
    file.reopen().execute_batch("INSERT INTO t VALUES (4, 11)").expect("a row");
    assert_eq!(bench.told_by_a_poll(), ["4"], "it goes on from what was there");
}

#[test]
fn a_locked_database_is_unavailable_and_the_next_poll_goes_on() {
    let file = File::new();
    file.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO t VALUES (1, 10)");
    let mut bench = Bench::new(file.source(&table("t", &["at"], &["id"])));
    file.run("BEGIN EXCLUSIVE");
    let error = bench.try_poll().expect_err("locked");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    file.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn a_local_time_beyond_the_clock_of_its_zone_does_not_carry_the_cursor() {
    let place = File::new();
    place.run("CREATE TABLE s (id INTEGER PRIMARY KEY, at TEXT)");
    // Eleven hours behind UTC: in the database's own terms all of this is long past.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Pacific/Pago_Pago").expect("a zone"));
    let hours = |hours: i64| now.checked_add(jiff::Span::new().hours(hours)).expect("a time");
    let text = |at: jiff::Zoned| at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    place.run(&format!("INSERT INTO s VALUES (1, '{}'), (2, '{}')", text(hours(-3)), text(hours(5))));
    let settings =
        TableSettings { watermark_timezone: Some("Pacific/Pago_Pago".into()), ..table("s", &["at"], &["id"]) };
    let mut bench = Bench::new(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    place.run(&format!("INSERT INTO s VALUES (3, '{}')", text(hours(-1))));
    assert_eq!(bench.told_by_a_poll(), ["3"]);
}

#[test]
fn a_clock_that_is_corrected_by_seconds_hides_no_row() {
    for separator in [" ", "T"] {
        let file = File::new();
        file.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT)");
        let row = |id: u32, back: u32| {
            let at = format!("strftime('%Y-%m-%d{separator}%H:%M:%f', 'now', '-{back} seconds')");
            file.run(&format!("INSERT INTO t VALUES ({id}, {at})"));
        };
        row(1, 3_600);
        row(2, 0);
        let mut bench = Bench::new(file.source(&table("t", &["at"], &["id"])));
        assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
        for id in 3..9 {
            row(id, id % 5);
            assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{separator:?}");
            bench.restart(file.source(&table("t", &["at"], &["id"])));
        }
        assert!(bench.told_by_a_poll().is_empty());
        assert_eq!(bench.ledger.repeated, 0);
        assert!(bench.ledger.known.len() < 9, "what is long past need not be remembered");
    }
}
