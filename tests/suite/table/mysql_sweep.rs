//! Sweeps over MySQL and MariaDB: the rules of all adapters, keys of all types, and what the engine does to them.

use highwater::change::Kind;
use highwater::error::ErrorKind;
use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};
use highwater::source::{Source, Verdict};

use super::conformance::Place;
use super::sweep::{settled, sweeping, told_by_a_sweep};
use super::table;
use crate::support::mariadb::{Database, database};

/// A database whose tables are read with an overlap, and whose texts are told apart by their bytes.
pub struct Overlapped(pub Database);

/// A new one.
pub fn new_place() -> Overlapped {
    let place = database();
    place.run("SET SESSION sql_mode = 'ANSI_QUOTES'");
    Overlapped(place)
}

impl Place for Overlapped {
    fn run(&self, sql: &str) {
        let sql = sql.replace(" TEXT", " VARCHAR(200) COLLATE utf8mb4_nopad_bin");
        self.0.run(&sql.replace(" NUMERIC ", " NUMERIC(20,2) "));
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let settle = Settle::Overlap(Interval::from_secs(60));
        Place::source(&self.0, &TableSettings { settle, ..table.clone() })
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.0.fill(first, count, tie);
    }
}

/// Sweeps a table of two keys, deletes the first of them, and sweeps again.
fn check(kind: &str, keys: [&str; 2], at: [&str; 3]) {
    let place = new_place();
    place.0.run("SET SESSION sql_mode = ''");
    place.0.run(&format!("CREATE TABLE k (id {kind} PRIMARY KEY, n int, at {})", at[0]));
    place.0.run(&format!("INSERT INTO k VALUES ({}, 1, {}), ({}, 2, {})", keys[0], at[1], keys[1], at[2]));
    let mut bench = settled(&place, &sweeping(table("k", &["at"], &["id"])));
    assert!(told_by_a_sweep(&mut bench).is_empty(), "{kind}, {at:?}");
    assert_eq!(bench.swept.rows(), 0, "{kind}, {at:?}: the digests of both sides agree");
    place.0.run("DELETE FROM k WHERE n = 1");
    let told: Vec<Kind> = told_by_a_sweep(&mut bench).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(told, [Kind::Removed], "{kind}, {at:?}");
    assert!(told_by_a_sweep(&mut bench).is_empty(), "{kind}, {at:?}");
}

#[test]
fn keys_of_any_type_are_swept() {
    for (kind, first, second) in [
        ("bigint unsigned", "18446744073709551615", "0"),
        ("int zerofill", "7", "8"),
        ("decimal(12,3)", "1.5", "-7"),
        ("decimal(12,3) zerofill", "1.5", "7"),
        ("bit(12)", "b'101'", "b'0'"),
        ("year", "2026", "'0000'"),
        ("date", "'2026-01-01'", "'1999-12-31'"),
        ("datetime", "'2026-01-01 10:00:00'", "'2026-01-01 00:00:00'"),
        ("datetime(6)", "'2026-01-01 10:00:00.120'", "'2026-01-01 10:00:00'"),
        ("timestamp(3)", "'2026-01-01 10:00:00.100'", "'2026-01-01 10:00:10'"),
        ("time(6)", "'-838:59:59'", "'10:15:00.5'"),
        ("double", "0.1", "1e300"),
        ("float", "0.1", "16777217.1"),
        ("varbinary(8)", "x'00ff'", "''"),
        ("binary(4)", "x'00'", "'ab'"),
        ("enum('sad','ok')", "'sad'", "'ok'"),
        ("char(8) CHARACTER SET latin1 COLLATE latin1_german2_ci", "'ä'", "'B '"),
        ("varchar(20) COLLATE utf8mb4_unicode_ci", "'Grüße 🦀'", "'a\\nb'"),
        ("uuid", "'11111111-1111-1111-1111-111111111111'", "'22222222-2222-2222-2222-222222222222'"),
        ("inet6", "'::1'", "'10.0.0.2'"),
    ] {
        check(kind, [first, second], ["int", "1", "2"]);
    }
}

#[test]
fn watermarks_of_any_type_are_swept() {
    for at in [
        ["datetime(6)", "'2026-01-01 10:00:00.5'", "'2026-01-01 10:00:01'"],
        ["timestamp", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:01'"],
        ["datetime", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:10'"],
        ["double", "0.1", "7"],
        ["varchar(20)", "'a'", "'Ä'"],
        ["decimal(65,30)", "0.000000000000000000000000000001", "7"],
    ] {
        check("int", ["7", "8"], at);
    }
}

#[test]
fn behind_dirty_reads_a_removed_row_and_a_missed_one_are_told() {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at datetime(6) NOT NULL, INDEX (at))");
    place.run("INSERT INTO item SELECT seq, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_100");
    let mut bench = settled(&place, &sweeping(table("item", &["at"], &["id"])));
    place.run("DELETE FROM item WHERE id = 7; INSERT INTO item VALUES (500, '2026-01-01 00:00:01.5')");
    let expected = [(Kind::Created, "500".to_owned(), 1), (Kind::Removed, "7".to_owned(), 2)];
    assert_eq!(told_by_a_sweep(&mut bench), expected);
    let looked = bench.poll();
    assert_eq!(looked.settled.map(|settled| settled.late_found), Some(1));
}

#[test]
fn without_snapshots_a_row_is_gone_when_two_sweeps_miss_it() {
    let place = new_place();
    place.0.run("CREATE TABLE item (id int PRIMARY KEY, at int) ENGINE=MyISAM; INSERT INTO item VALUES (1, 1), (2, 2)");
    let mut bench = settled(&place, &sweeping(table("item", &["at"], &["id"])));
    place.0.run("DELETE FROM item WHERE id = 1");
    assert!(told_by_a_sweep(&mut bench).is_empty());
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, "1".to_owned(), 2)]);
}

#[test]
fn dirty_reads_that_see_nothing_are_an_error_where_they_were_asked_for() {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int) ENGINE=MyISAM; CREATE VIEW v AS SELECT * FROM item");
    place.run("INSERT INTO item VALUES (1, 1)");
    let asked = |name: &str| TableSettings { settle: Settle::DirtyRead, ..table(name, &["at"], &["id"]) };
    let error = place.source(&asked("item")).probe().expect_err("nothing is seen in flight");
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config, "{text}");
    assert!(text.contains("MyISAM") && text.contains("overlap:60s"), "{text}");
    for (settings, words) in [
        (table("item", &["at"], &["id"]), "an overlap is used instead"),
        (asked("v"), "is not seen, if they are read here"),
    ] {
        let findings = place.source(&settings).examine().expect("it can be looked at");
        let found = findings.iter().find(|finding| finding.topic == "engine").expect("it is said");
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.detail.contains("MyISAM") && found.detail.contains(words), "{}", found.detail);
    }
}
