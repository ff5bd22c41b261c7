//! PostgreSQL through its ODBC driver: the rules of all adapters, types, long values, drivers that hang or are gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater::clock::Stop;
use highwater::error::ErrorKind;
use highwater::setting::{Interval, Secret, SourceName};
use highwater::source::Source;
use highwater::source::settings::{OdbcSettings, TableSettings};
use highwater::source::table::OdbcSource;

use super::conformance::{Place, conformance_suite};
use super::{Bench, query, table};
use crate::support::accounts::Unguarded;
use crate::support::postgres::{Database, PASSWORD, database};

conformance_suite!(new_place());

/// A PostgreSQL database that is read through ODBC.
pub struct Driven(Database);

/// A new one.
pub fn new_place() -> Driven {
    let database = database();
    database.run("GRANT pg_read_all_data TO reader");
    Driven(database)
}

/// A driver of Debian, by its full path: no odbcinst.ini is needed.
pub fn driver(name: &str) -> String {
    let folders = ["/usr/lib/x86_64-linux-gnu/odbc", "/usr/lib/aarch64-linux-gnu/odbc", "/usr/lib/odbc"];
    let path = folders.iter().map(|folder| PathBuf::from(folder).join(name)).find(|path| path.exists());
    path.unwrap_or_else(|| panic!("{name} is not installed; ./scripts/test installs it")).display().to_string()
}

/// Settings for a connection string.
pub fn settings(connection: &str, table: &TableSettings) -> OdbcSettings {
    OdbcSettings {
        connection: Secret::literal(connection),
        password: None,
        helper: Some(env!("CARGO_BIN_EXE_highwater-odbc").into()),
        connect_timeout: Interval::from_secs(30),
        answer_timeout: Interval::from_secs(60),
        table: table.clone(),
    }
}

/// A source with these settings.
pub fn source(settings: &OdbcSettings) -> Box<dyn Source> {
    Box::new(OdbcSource::new(&SourceName::new("erp"), settings, Arc::new(Unguarded)).expect("a source"))
}

impl Driven {
    fn connection(&self) -> String {
        let Database { name, port, .. } = &self.0;
        let driver = driver("psqlodbcw.so");
        format!("Driver={driver};Servername=127.0.0.1;Port={port};Database={name};UID=reader;BoolsAsChar=0")
    }

    fn settings(&self, table: &TableSettings) -> OdbcSettings {
        OdbcSettings { password: Some(Secret::literal(PASSWORD)), ..settings(&self.connection(), table) }
    }
}

impl Place for Driven {
    fn run(&self, sql: &str) {
        self.0.run(sql);
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        source(&self.settings(table))
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        let last = first + count - 1;
        let rows = format!("generate_series({first}, {last}) AS i");
        self.run(&format!("INSERT INTO item SELECT i, i / {tie}, 'row ' || i FROM {rows}"));
    }
}

#[test]
fn values_are_exact() {
    let place = new_place();
    place.run(
        "CREATE TABLE v (id int PRIMARY KEY, at timestamptz NOT NULL, big bigint, n numeric(30,10), d float8, s float4, \
         b boolean, day date, clock time, t timestamp, word varchar(20), c char(4), long text, raw bytea, u uuid)",
    );
    place.run(
        "INSERT INTO v VALUES (1, '2026-11-23 10:15:00.123456+00', 9007199254740993, 12345678901234567890.0123456789, \
         0.1, 0.1, true, '2026-11-23', '10:15:01', '2026-11-23 10:15:00.000001', 'Grüße 🦀', 'ab', E'\"\\\\\\n', '\\x00ff', \
         'AAAAAAAA-0000-0000-0000-000000000001'), (2, '2026-11-24 00:00:00+00', 7, NULL, NULL, NULL, NULL, NULL, NULL, \
         NULL, '', NULL, NULL, NULL, NULL)",
    );
    let mut bench = Bench::new(place.source(&table("v", &["at"], &["id"])));
    bench.poll();
    let first = serde_json::json!({
        "id": 1, "at": "2026-11-23T10:15:00.123456", "big": "9007199254740993",
        "n": "12345678901234567890.0123456789", "d": 0.1, "s": 0.1, "b": true, "day": "2026-11-23", "clock": "10:15:01",
        "t": "2026-11-23T10:15:00.000001", "word": "Grüße 🦀", "c": "ab  ", "long": "\"\\\n", "raw": "AP8=",
        "u": "aaaaaaaa-0000-0000-0000-000000000001"
    });
    assert_eq!(bench.ledger.told[0].row, first);
    assert_eq!(bench.ledger.told[1].row["n"], serde_json::Value::Null);
    assert_eq!(bench.ledger.told[1].row["word"], "");
}

#[test]
fn any_comparable_type_serves_as_watermark_and_key() {
    let place = new_place();
    for (at, kind, values) in [
        (0, "uuid", ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"]),
        (1, "numeric(20,10)", ["0.0000000001", "12345678.9"]),
        (2, "timestamptz", ["2026-11-23 10:15:00.123456+00", "2026-11-23 10:15:00.123457+00"]),
        (3, "timestamp", ["2026-11-23 10:15:00", "2026-11-23 10:15:00.000001"]),
        (4, "date", ["2026-11-22", "2026-11-23"]),
        (5, "time", ["10:15:00", "10:15:00.5"]),
        (6, "float8", ["0.1", "1e300"]),
        (7, "bytea", ["\\x00", "\\xff"]),
        (8, "boolean", ["false", "true"]),
        (9, "char(8)", ["a", "b"]),
        (10, "bigint", ["9", "9007199254740993"]),
        (11, "text", ["ä'\"\\", "🦀"]),
    ] {
        place.run(&format!("CREATE TABLE w{at} (v {kind} PRIMARY KEY)"));
        place.run(&format!("INSERT INTO w{at} VALUES ($a${}$a$), ($a${}$a$)", values[0], values[1]));
        let settings = TableSettings { page: 1, ..table(&format!("w{at}"), &["v"], &["v"]) };
        let mut bench = Bench::new(place.source(&settings));
        assert_eq!(bench.poll().seen, 2, "{kind}");
        assert_eq!(bench.ledger.take_keys().len(), 2, "{kind}");
        bench.wait(200_000);
        assert!(bench.told_by_a_poll().is_empty(), "{kind}");
        bench.restart(place.source(&settings));
        assert!(bench.told_by_a_poll().is_empty(), "{kind}: a new process goes on from the cursor's text");
    }
}

#[test]
fn long_values_come_whole_and_too_long_ones_make_their_row_refused() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT, raw BYTEA)");
    place.run("INSERT INTO item SELECT i, i, repeat('x', 50) FROM generate_series(1, 20) AS i");
    place.run("UPDATE item SET name = repeat('ü🦀', 100000), raw = decode(repeat('00ff', 50000), 'hex') WHERE id = 10");
    place.run("UPDATE item SET name = repeat('y', 9000000) WHERE id = 15");
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    let looked = bench.poll();
    assert_eq!((looked.seen, bench.ledger.repeated), (20, 0));
    let told = &bench.ledger.told;
    let long = told.iter().find(|told| told.key == "10").expect("told");
    assert_eq!(long.row["name"].as_str().map(|text| text.chars().count()), Some(200_000));
    assert_eq!(long.row["raw"].as_str().map(str::len), Some(133_336));
    assert!(told.iter().all(|told| told.key != "15"), "18 MB of UTF-16 are refused");
}

#[test]
fn a_query_that_writes_is_refused() {
    let place = new_place();
    place.run("CREATE TABLE t (id int, at int)");
    place.run("CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'INSERT INTO t VALUES (1, 1) RETURNING *'");
    let mut bench = Bench::new(place.source(&query("SELECT * FROM f()", &["at"], &["id"])));
    let error = bench.try_poll().expect_err("it writes");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[test]
fn a_driver_that_hangs_is_ended_at_its_deadline_and_by_a_stop() {
    let place = new_place();
    let slow = query("SELECT 1 AS id, 1 AS at, CAST(pg_sleep(60) AS text) AS z", &["at"], &["id"]);
    let hanging = OdbcSettings { answer_timeout: Interval::from_secs(2), ..place.settings(&slow) };
    let began = Instant::now();
    let error = Bench::new(source(&hanging)).try_poll().expect_err("it hangs");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("no answer from the ODBC driver within 2 s"), "{error}");
    let error = Bench::new(place.source(&slow)).poll_until(&Stop::new().within(Duration::from_secs(2)));
    assert_eq!(error.expect_err("it is stopped").kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn wrong_passwords_missing_drivers_and_missing_servers_are_one_clear_line() {
    let place = new_place();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int)");
    let item = table("item", &["at"], &["id"]);
    let fails = |settings: &OdbcSettings, kind: ErrorKind, words: &[&str]| {
        let error = Bench::new(source(settings)).try_poll().expect_err("the poll fails");
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(!text.contains('\n') && words.iter().all(|word| text.contains(word)), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains("sesame"), "{text}");
    };
    let wrong = OdbcSettings { password: Some(Secret::literal("sesame")), ..place.settings(&item) };
    fails(&wrong, ErrorKind::Denied, &["connect to odbc:psqlodbcw.so/127.0.0.1", "UID", "authentication failed"]);
    let absent = settings("Driver=/nowhere/driver.so;Server=x;PWD=sesame", &item);
    fails(&absent, ErrorKind::NotFound, &["install the driver", "/nowhere/driver.so"]);
    let unknown = settings("DSN=nobody;PWD=sesame", &item);
    fails(&unknown, ErrorKind::NotFound, &["odbc.ini"]);
    let connection = format!("Driver={};Servername=127.0.0.1;Port=1;Database=x;UID=y", driver("psqlodbcw.so"));
    fails(&settings(&connection, &item), ErrorKind::Unavailable, &["the next poll tries again"]);
}

#[test]
fn a_connection_lost_within_a_poll_is_unavailable_and_the_next_poll_goes_on() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT)");
    place.fill(1, 5_000, 7);
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    let other = place.0.connect();
    bench.ledger.before_commit = Some(Box::new(move |commits| {
        if commits == 1 {
            let found = "FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reader'";
            assert_eq!(other.text(&format!("SELECT count(pg_terminate_backend(pid))::text {found}")), "1");
        }
    }));
    let error = bench.try_poll().expect_err("the connection is lost");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    bench.poll();
    assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (5_000, 0));
}
