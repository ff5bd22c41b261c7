//! PostgreSQL tables: the rules of all adapters, and what is PostgreSQL's own.

use std::sync::Arc;

use highwater::error::ErrorKind;
use highwater::setting::{Interval, Secret, SourceName};
use highwater::source::Source;
use highwater::source::settings::{PostgresSettings, Settle, TableSettings, TlsSettings};
use highwater::source::table::PostgresSource;

use super::conformance::{Place, conformance_suite};
use super::{Bench, query, table};
use crate::support::accounts::Unguarded;
use crate::support::postgres::{Database, RUNTIME, Server, database};

conformance_suite!(new_place());

/// Views and queries have no row versions: the same rules with an overlap.
mod overlap {
    use super::{Overlapped, conformance_suite, new_place};
    conformance_suite!(Overlapped(new_place()));
}

/// The same rules with the fence.
mod fence {
    use super::{Fenced, conformance_suite, new_place};
    conformance_suite!(Fenced(new_place()));
}

/// A database whose tables are read with the fence.
pub struct Fenced(pub Database);

impl Place for Fenced {
    fn run(&self, sql: &str) {
        self.0.run(sql);
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        self.0.source(&TableSettings { settle: Settle::Fence, ..table.clone() })
    }

    fn settles_by_real_time(&self) -> bool {
        true
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.0.fill(first, count, tie);
    }
}

/// A database whose tables are read with an overlap.
pub struct Overlapped(pub Database);

impl Place for Overlapped {
    fn run(&self, sql: &str) {
        self.0.run(sql);
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let settle = Settle::Overlap(Interval::from_secs(60));
        self.0.source(&TableSettings { settle, ..table.clone() })
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.0.fill(first, count, tie);
    }
}

pub fn new_place() -> Database {
    let database = database();
    database.run("GRANT pg_read_all_data TO reader");
    database
}

/// Settings that connect with `address`.
pub fn settings(address: &str, table: &TableSettings) -> PostgresSettings {
    let url = Secret::literal(address);
    PostgresSettings { url, password: None, listen: None, tls: TlsSettings::default(), table: table.clone() }
}

/// A source with these settings.
pub fn source(settings: &PostgresSettings) -> Box<dyn Source> {
    let source = PostgresSource::new(&SourceName::new("erp"), settings, RUNTIME.handle().clone(), Arc::new(Unguarded));
    Box::new(source.expect("a source"))
}

impl Place for Database {
    fn run(&self, sql: &str) {
        Database::run(self, sql);
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        source(&settings(&self.address("reader"), table))
    }

    fn is_by_version(&self) -> bool {
        true
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        let last = first + count - 1;
        Database::run(
            self,
            &format!("INSERT INTO item SELECT i, i / {tie}, 'row ' || i FROM generate_series({first}, {last}) AS i"),
        );
    }
}

#[test]
fn schemas_and_odd_names_are_quoted() {
    let place = new_place();
    place.run("CREATE SCHEMA \"Sales.EU\"; CREATE TABLE \"Sales.EU\".\"Cus\"\"tomers\" (\"I d\" int PRIMARY KEY, \"at\"\"\" int)");
    place.run("INSERT INTO \"Sales.EU\".\"Cus\"\"tomers\" VALUES (1, 1)");
    let mut bench = Bench::new(place.source(&table("\"Sales.EU\".\"Cus\"\"tomers\"", &["at\""], &["I d"])));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    place.run("CREATE SCHEMA sales; CREATE TABLE sales.customers AS SELECT 2 AS id, 2 AS at");
    assert_eq!(Bench::new(place.source(&table("sales.customers", &["at"], &["id"]))).told_by_a_poll(), ["2"]);
}

#[test]
fn text_keys_keep_their_collation_and_fuzzy_ones_lose_no_row() {
    let place = new_place();
    place.run("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    place.run("CREATE TABLE c (k text COLLATE loose, k2 text COLLATE \"en-x-icu\", at int)");
    place.run(
        "INSERT INTO c VALUES ('a', '1', 1), ('A', '2', 1), ('ä', 'b', 1), ('B', 'B', 1), ('b', 'ä', 1), ('Ä', 'z', 2)",
    );
    for key in [["k"], ["k2"]] {
        let mut bench = Bench::new(place.source(&TableSettings { page: 1, ..table("c", &["at"], &key) }));
        assert_eq!(bench.told_by_a_poll().len(), 6, "{key:?}");
    }
    let watermark = TableSettings { page: 1, ..table("c", &["k2"], &["k"]) };
    let mut bench = Bench::new(place.source(&watermark));
    assert_eq!(bench.told_by_a_poll().len(), 6);
    bench.wait(100);
    assert!(bench.told_by_a_poll().is_empty());
}

#[test]
fn any_comparable_type_serves_as_watermark_and_key() {
    let place = new_place();
    place.run("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')");
    for (at, kind, values) in [
        (0, "uuid", ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"]),
        (1, "numeric(20,10)", ["0.0000000001", "12345678.9"]),
        (2, "timestamptz", ["2026-11-23 10:15:00.123456+00", "2026-11-23 10:15:00.123457+00"]),
        (3, "timestamp", ["2026-11-23 10:15:00", "2026-11-23 10:15:00.000001"]),
        (4, "timestamp(0)", ["2026-11-23 00:00:00", "2026-11-23 10:15:00"]),
        (5, "date", ["2026-11-22", "2026-11-23"]),
        (6, "time", ["10:15:00", "10:15:00.5"]),
        (7, "float8", ["0.1", "1e300"]),
        (8, "float4", ["0.1", "0.2"]),
        (9, "bytea", ["\\x00", "\\xff"]),
        (10, "mood", ["sad", "ok"]),
        (11, "inet", ["10.0.0.1", "10.0.0.2"]),
        (12, "interval", ["1 day", "2 days 00:00:01.5"]),
        (13, "int[]", ["{1,2}", "{1,3}"]),
        (14, "boolean", ["false", "true"]),
        (15, "char(8)", ["a", "b"]),
        (16, "timestamptz", ["0044-03-15 BC", "infinity"]),
    ] {
        place.run(&format!("CREATE TABLE w{at} (v {kind} PRIMARY KEY)"));
        place.run(&format!("INSERT INTO w{at} VALUES ('{}'), ('{}')", values[0], values[1]));
        let settings = TableSettings { page: 1, ..table(&format!("w{at}"), &["v"], &["v"]) };
        let mut bench = Bench::new(place.source(&settings));
        assert_eq!(bench.poll().seen, 2, "{kind}");
        assert_eq!(bench.ledger.take_keys().len(), 2, "{kind}");
        let mut other = Bench::new(place.source(&settings));
        other.ledger.cursor = bench.ledger.cursor.clone();
        other.ledger.known = bench.ledger.known.clone();
        assert!(other.told_by_a_poll().is_empty(), "{kind}: a new process goes on from the cursor's text");
        bench.wait(200_000);
        assert!(bench.told_by_a_poll().is_empty(), "{kind}");
    }
}

#[test]
fn an_index_serves_pages_and_its_absence_is_said() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT)");
    place.fill(1, 20_000, 1);
    place.run("ANALYZE item");
    let settle = Settle::Overlap(Interval::from_secs(60));
    let settings = TableSettings { settle, ..table("item", &["at"], &["id"]) };
    let lines = place.source(&settings).probe().expect("a probe").join("\n");
    assert!(lines.contains("no index serves the order (at, id)"), "{lines}");
    place.run("CREATE INDEX ON item (at); ANALYZE item");
    let lines = place.source(&settings).probe().expect("a probe").join("\n");
    assert!(!lines.contains("no index") && lines.contains("PostgreSQL 1"), "{lines}");
}

#[test]
fn a_query_that_writes_is_refused() {
    let place = new_place();
    place.run("CREATE TABLE t (id int, at int)");
    place.run("CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'INSERT INTO t VALUES (1, 1) RETURNING *'");
    let mut bench = Bench::new(place.source(&query("SELECT * FROM f()", &["at"], &["id"])));
    assert_eq!(bench.try_poll().expect_err("it writes").kind(), ErrorKind::Denied);
}

#[test]
fn a_column_that_is_added_or_changes_its_type_is_seen_at_once() {
    let place = new_place();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int, n int); INSERT INTO item VALUES (1, 1, 1)");
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    bench.poll();
    place.run("ALTER TABLE item ADD extra text DEFAULT 'x', ALTER n TYPE numeric(5,2); INSERT INTO item VALUES (2, 2, 2, 'y')");
    bench.poll();
    let last = bench.ledger.told.last().expect("told");
    assert_eq!(last.row, serde_json::json!({"id": 2, "at": 2, "n": "2.00", "extra": "y"}));
}

#[test]
fn a_connection_lost_within_a_poll_is_unavailable_and_the_next_poll_goes_on() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT)");
    place.run("CREATE INDEX ON item (at, id)");
    place.fill(1, 5_000, 7);
    place.run("ANALYZE item");
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    let other = place.connect();
    bench.ledger.before_commit = Some(Box::new(move |commits| {
        if commits == 1 {
            let found = "FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reader'";
            assert_eq!(other.text(&format!("SELECT count(pg_terminate_backend(pid))::text {found}")), "1");
        }
    }));
    let error = bench.try_poll().expect_err("the connection is lost");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let told = bench.ledger.told.len();
    assert!((1_000..5_000).contains(&told), "{told} rows were told before");
    bench.poll();
    assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (5_000, 0));
}

#[test]
fn a_server_that_restarts_between_and_within_polls_is_found_again() {
    let server = Server::start();
    let place = server.database();
    place.run("GRANT pg_read_all_data TO reader");
    place.run("CREATE TABLE item (id INTEGER PRIMARY KEY, at INTEGER, name TEXT)");
    place.fill(1, 3_000, 1);
    let settings = settings(&place.address("reader"), &table("item", &["at"], &["id"]));
    let mut bench = Bench::new(source(&settings));
    bench.ledger.fail_at = Some(1);
    bench.try_poll().expect_err("killed");
    server.stop();
    let error = bench.try_poll().expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    server.resume();
    bench.poll();
    server.stop();
    server.resume();
    assert!(bench.told_by_a_poll_since(3_000).is_empty());
    let client = server.connect(&place.name);
    client.run("INSERT INTO item VALUES (9000, 9000, 'x')");
    assert_eq!(bench.told_by_a_poll_since(0), ["9000"]);
    assert_eq!(bench.ledger.repeated, 0);
    server.stop();
}

impl Bench {
    /// What a poll tells, after `told` rows were told before.
    fn told_by_a_poll_since(&mut self, told: usize) -> Vec<String> {
        if told > 0 {
            assert_eq!(self.ledger.take_keys().len(), told);
        }
        self.told_by_a_poll()
    }
}
