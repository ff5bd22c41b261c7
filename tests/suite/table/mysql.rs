//! MySQL and MariaDB tables: the rules of all adapters, and what is MySQL's own.

use std::sync::Arc;

use highwater::error::ErrorKind;
use highwater::setting::{Secret, SourceName};
use highwater::source::Source;
use highwater::source::settings::{MysqlSettings, TableFrom, TableSettings, TlsSettings};
use highwater::source::table::MysqlSource;

use super::conformance::{Place, conformance_suite};
use super::{Bench, query, table};
use crate::support::accounts::Unguarded;
use crate::support::mariadb::{Database, database};
use crate::support::postgres::RUNTIME;

conformance_suite!(new_place());

fn new_place() -> Database {
    let place = database();
    place.run("SET SESSION sql_mode = 'ANSI_QUOTES'");
    place
}

/// Settings that connect with `address`.
pub fn settings(address: &str, table: &TableSettings) -> MysqlSettings {
    let url = Secret::literal(address);
    MysqlSettings { url, password: None, tls: TlsSettings::default(), table: table.clone() }
}

/// A source with these settings.
pub fn source(settings: &MysqlSettings) -> Box<dyn Source> {
    let source = MysqlSource::new(&SourceName::new("erp"), settings, RUNTIME.handle().clone(), Arc::new(Unguarded));
    Box::new(source.expect("a source"))
}

impl Place for Database {
    fn run(&self, sql: &str) {
        // A TEXT can't be a primary key here.
        Database::run(self, &sql.replace(" TEXT", " VARCHAR(200)"));
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let from = match &table.from {
            TableFrom::Table(name) => TableFrom::Table(name.replace('"', "`")),
            query => query.clone(),
        };
        source(&settings(&self.address("reader"), &TableSettings { from, ..table.clone() }))
    }

    fn settles_by_real_time(&self) -> bool {
        true
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        let last = first + count - 1;
        let rows = format!("SELECT seq, seq DIV {tie}, CONCAT('row ', seq) FROM seq_{first}_to_{last}");
        Database::run(self, &format!("INSERT INTO item {rows}"));
    }
}

#[test]
fn schemas_and_odd_names_are_quoted() {
    let place = database();
    place.run(
        "CREATE TABLE `Cus``tom.ers` (`I d` int PRIMARY KEY, `at\"` int); INSERT INTO `Cus``tom.ers` VALUES (1, 1)",
    );
    let name = format!("{}.`Cus``tom.ers`", place.name);
    let mut bench = Bench::new(place.source(&table(&name, &["at\""], &["I d"])));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn any_comparable_type_serves_as_watermark_and_key() {
    let place = database();
    for (at, kind, values) in [
        (0, "bigint unsigned", ["9007199254740993", "18446744073709551615"]),
        (1, "bigint", ["-9223372036854775808", "9007199254740993"]),
        (2, "decimal(65,30)", ["0.000000000000000000000000000001", "12345678901234567890123456789012345.9"]),
        (3, "timestamp(6)", ["2026-11-23 10:15:00.123456", "2026-11-23 10:15:00.123457"]),
        (4, "datetime(6)", ["0000-00-00", "2026-11-23 10:15:00.000001"]),
        (5, "datetime", ["2026-11-23 00:00:00", "2026-11-23 10:15:00"]),
        (6, "date", ["2026-11-22", "2026-11-23"]),
        (7, "time(6)", ["-838:59:59", "10:15:00.5"]),
        (8, "double", ["0.1", "1e300"]),
        (9, "float", ["0.1", "16777217.1"]),
        (10, "varbinary(8)", ["", "\\0\u{7f}"]),
        (11, "enum('sad','ok')", ["sad", "ok"]),
        (12, "char(8) CHARACTER SET latin1 COLLATE latin1_german2_ci", ["ä", "B"]),
        (13, "uuid", ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"]),
        (14, "inet6", ["::1", "10.0.0.2"]),
        (15, "year", ["1970", "2026"]),
        (16, "varchar(20) COLLATE utf8mb4_bin", ["A", "a"]),
    ] {
        place.run("SET SESSION sql_mode = ''");
        place.run(&format!("CREATE TABLE w{at} (v {kind} PRIMARY KEY)"));
        place.run(&format!("INSERT INTO w{at} VALUES ('{}'), ('{}')", values[0], values[1]));
        let settings = TableSettings { page: 1, ..table(&format!("w{at}"), &["v"], &["v"]) };
        let mut bench = Bench::new(place.source(&settings));
        assert_eq!(bench.poll().seen, 2, "{kind}");
        let mut other = Bench::new(place.source(&settings));
        other.ledger.cursor = bench.ledger.cursor.clone();
        other.ledger.known = bench.ledger.known.clone();
        other.poll();
        assert!(other.ledger.told.is_empty(), "{kind}: a new process goes on from the cursor's text");
    }
}

#[test]
fn texts_that_are_equal_under_a_collation_lose_no_row() {
    let place = database();
    place.run("CREATE TABLE c (k varchar(9), at varchar(9), n int PRIMARY KEY)");
    place.run("INSERT INTO c VALUES ('a', 'x', 1), ('A', 'X', 2), ('ä', 'x', 3), ('B', 'x', 4), ('b', 'y', 5)");
    let mut bench = Bench::new(place.source(&TableSettings { page: 1, ..table("c", &["at"], &["k"]) }));
    assert_eq!(bench.told_by_a_poll().len(), 5, "not unique, so compared by bytes");
    let mut bench = Bench::new(place.source(&TableSettings { page: 1, ..table("c", &["at"], &["n"]) }));
    assert_eq!(bench.told_by_a_poll().len(), 5);
}

#[test]
fn an_index_serves_pages_and_its_absence_is_said() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT)");
    place.fill(1, 20_000, 1);
    let settings = table("item", &["at"], &["id"]);
    let lines = place.source(&settings).probe().expect("a probe").join("\n");
    assert!(lines.contains("no index serves the order (at, id)"), "{lines}");
    place.run("CREATE INDEX item_at ON item (at); ANALYZE TABLE item");
    let lines = place.source(&settings).probe().expect("a probe").join("\n");
    assert!(!lines.contains("no index") && lines.contains("MariaDB 1") && lines.contains("without PROCESS"), "{lines}");
    let mut watching = source(&super::mysql::settings(&place.address("watcher"), &settings));
    let lines = watching.probe().expect("a probe").join("\n");
    assert!(lines.contains("settle: dirty-read") && !lines.contains("without PROCESS"), "{lines}");
    let findings = watching.examine().expect("it can be looked at");
    assert!(findings.iter().any(|finding| finding.detail.contains("PROCESS is granted")), "{findings:?}");
}

#[test]
fn other_engines_fall_back_to_an_overlap_and_say_so() {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int) ENGINE=MyISAM; INSERT INTO item VALUES (1, 1)");
    let settings = table("item", &["at"], &["id"]);
    let lines = place.source(&settings).probe().expect("a probe").join("\n");
    assert!(lines.contains("settle: overlap:1m") && lines.contains("warning: engine: engine MyISAM"), "{lines}");
    let mut bench = Bench::new(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn a_column_that_is_added_or_changes_its_type_is_seen_at_once() {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int, n int); INSERT INTO item VALUES (1, 1, 1)");
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    bench.poll();
    place.run(
        "ALTER TABLE item ADD extra text DEFAULT 'x', MODIFY n decimal(5,2); INSERT INTO item VALUES (2, 2, 2, 'y')",
    );
    bench.poll();
    let last = bench.ledger.told.last().expect("told");
    assert_eq!(last.row, serde_json::json!({"id": 2, "at": 2, "n": "2.00", "extra": "y"}));
}

#[test]
fn a_query_that_writes_is_refused() {
    let place = database();
    place.run("CREATE TABLE t (id int, at int)");
    place.run("CREATE FUNCTION f() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (1, 1); RETURN 1; END");
    place.run("GRANT EXECUTE ON *.* TO reader@'%'");
    let mut bench = Bench::new(place.source(&query("SELECT f() AS id, 1 AS at", &["at"], &["id"])));
    let error = bench.try_poll().expect_err("it writes");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[test]
fn a_connection_lost_within_a_poll_is_unavailable_and_the_next_poll_goes_on() {
    let place = new_place();
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, name TEXT)");
    place.run("CREATE INDEX item_at ON item (at, id)");
    place.fill(1, 5_000, 7);
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["id"])));
    let (other, name) = (place.connect(), place.name.clone());
    bench.ledger.before_commit = Some(Box::new(move |commits| {
        if commits == 1 {
            let found = format!("FROM information_schema.processlist WHERE db = '{name}' AND user = 'reader'");
            other.run(&format!("KILL {}", other.text(&format!("SELECT id {found}"))));
        }
    }));
    let error = bench.try_poll().expect_err("the connection is lost");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let told = bench.ledger.told.len();
    assert!((1_000..5_000).contains(&told), "{told} rows were told before");
    bench.poll();
    assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (5_000, 0));
}
