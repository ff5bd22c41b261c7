//! Rows by version: nothing is skipped, however late it commits and whatever its watermark says. Two sessions driven by
//! hand; random writers with kills.

use highwater::change::Kind;
use highwater::source::settings::{Settle, TableSettings, Window};
use highwater::source::{Accepted, HoldReason};

use super::conformance::Place;
use super::settling::Play;
use super::{Bench, table};
use crate::support::postgres::{Database, database};

/// A database with the table `item`.
pub fn place(kind: &str) -> Database {
    let place = database();
    place.run(&format!("CREATE TABLE item (id int PRIMARY KEY, at {kind}, name text); CREATE INDEX ON item (at)"));
    place
}

/// Settings of `item` by row version.
pub fn by_version() -> TableSettings {
    TableSettings { settle: Settle::RowVersion, ..table("item", &["at"], &["id"]) }
}

fn bench(place: &Database) -> Bench {
    Bench::new(Place::source(place, &by_version()))
}

#[test]
fn a_number_drawn_first_and_committed_last_is_told() {
    let place = place("bigint");
    place.run("CREATE SEQUENCE s");
    let early = place.connect();
    early.run("BEGIN");
    assert_eq!(early.text("SELECT nextval('s')::text"), "1");
    place.run("INSERT INTO item VALUES (2, nextval('s'), 'b')");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    early.run("INSERT INTO item VALUES (1, 1, 'drawn first')");
    assert!(bench.told_by_a_poll().is_empty());
    early.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn sequences_that_are_cached_by_sessions_skip_nothing() {
    let place = place("bigint");
    place.run("CREATE SEQUENCE s CACHE 10");
    let (first, second) = (place.connect(), place.connect());
    first.run("INSERT INTO item SELECT n, n, 'a' FROM nextval('s') AS n");
    second.run("INSERT INTO item SELECT n, n, 'b' FROM nextval('s') AS n");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["1", "11"]);
    first.run("INSERT INTO item SELECT n, n, 'a' FROM nextval('s') AS n");
    assert_eq!(bench.told_by_a_poll(), ["2"]);
}

#[test]
fn the_time_of_begin_hides_no_insert_and_no_update() {
    let place = place("timestamptz");
    place.run("INSERT INTO item VALUES (1, now(), 'a')");
    let early = place.connect();
    early.run("BEGIN; SELECT now()");
    place.run("INSERT INTO item VALUES (2, now(), 'b')");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    early.run("UPDATE item SET at = now(), name = 'A' WHERE id = 1; INSERT INTO item VALUES (3, now(), 'c'); COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1", "3"]);
    place.run("UPDATE item SET name = 'without a new watermark' WHERE id = 2");
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn a_long_transaction_delays_nothing_else_and_nothing_is_told_twice() {
    let place = place("bigint");
    let long = place.connect();
    long.run("BEGIN; INSERT INTO item VALUES (1000, 0, 'long')");
    let mut bench = bench(&place);
    for id in 1..=5 {
        place.run(&format!("INSERT INTO item VALUES ({id}, {id}, 'x')"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
        bench.restart(Place::source(&place, &by_version()));
        assert!(bench.told_by_a_poll().is_empty());
    }
    assert!(bench.ledger.known.len() >= 5, "what will be read again is remembered");
    long.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1000"]);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn savepoints_rollbacks_and_prepared_transactions_are_what_they_come_to() {
    let place = place("bigint");
    let (one, two) = (place.connect(), place.connect());
    one.run("BEGIN; INSERT INTO item VALUES (1, 1, 'a'); SAVEPOINT s; INSERT INTO item VALUES (2, 2, 'b')");
    one.run("SAVEPOINT t; INSERT INTO item VALUES (3, 3, 'c'); ROLLBACK TO t; INSERT INTO item VALUES (4, 4, 'd')");
    two.run("BEGIN; INSERT INTO item VALUES (5, 5, 'e')");
    let name = &place.name;
    two.run(&format!("PREPARE TRANSACTION '{name}'"));
    place.run("INSERT INTO item VALUES (6, 6, 'f')");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["6"]);
    one.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1", "2", "4"]);
    two.run("BEGIN; INSERT INTO item VALUES (7, 7, 'g'); ROLLBACK");
    assert!(bench.told_by_a_poll().is_empty());
    two.run(&format!("COMMIT PREPARED '{name}'"));
    assert_eq!(bench.told_by_a_poll(), ["5"]);
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn random_writers_and_kills_lose_nothing_and_repeat_nothing() {
    for (seed, kind) in [(1, "bigint"), (2, "timestamp"), (3, "bigint"), (4, "timestamp")] {
        let mut play = Play::new(kind, seed);
        let window = if seed < 3 { Window::default() } else { Window::None };
        let settings = TableSettings { window, ..by_version() };
        let mut bench = Bench::new(Place::source(&play.place, &settings));
        play.run(400, &mut bench, &settings);
        assert!(bench.ledger.told.len() > 100, "the play is a lively one");
        assert_eq!((play.lost(&bench), bench.ledger.repeated), (0, 0), "seed {seed}, {kind}");
    }
}

#[test]
fn a_row_without_a_watermark_is_told_and_a_table_needs_none() {
    let place = place("bigint");
    place.run("INSERT INTO item VALUES (1, NULL, 'a'), (2, 2, 'b')");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    let settings = TableSettings { watermark: Vec::new(), track_keys: true, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &settings));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    for (name, revision) in [("B", 2), ("b", 3), ("B", 4)] {
        place.run(&format!("UPDATE item SET name = '{name}' WHERE id = 2"));
        bench.poll();
        let told = bench.ledger.told.pop().expect("told");
        assert_eq!((told.kind, told.revision, told.watermark.as_str()), (Kind::Changed, revision, "{}"));
    }
    assert_eq!(bench.source.explain(&"2".into()).expect("a story")[0], "the row is there");
    assert!(bench.source.probe().expect("a probe").join("\n").contains("without a watermark"));
}

#[test]
fn beyond_the_window_a_change_is_found_once_a_day() {
    let place = place("timestamptz");
    place.run("INSERT INTO item VALUES (1, now() - interval '30 days', 'old'), (2, now(), 'new'), (3, NULL, 'none')");
    let mut bench = bench(&place);
    assert_eq!(bench.told_by_a_poll(), ["1", "2", "3"]);
    place.run("UPDATE item SET name = name || '!'");
    assert_eq!(bench.told_by_a_poll(), ["2", "3"]);
    bench.wait(86_000);
    bench.restart(Place::source(&place, &by_version()));
    assert!(bench.told_by_a_poll().is_empty());
    bench.wait(400);
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    place.run("UPDATE item SET name = name || '!'");
    assert_eq!(bench.told_by_a_poll(), ["2", "3"], "and then the window serves again");
    let everything = TableSettings { window: Window::None, ..by_version() };
    bench.restart(Place::source(&place, &everything));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn the_brake_counts_what_is_new_and_not_what_is_read_again() {
    let place = place("bigint");
    let long = place.connect();
    long.run("BEGIN; INSERT INTO item VALUES (1000, 0, 'long')");
    place.run("INSERT INTO item VALUES (1, 1, 'a'), (2, 2, 'b')");
    let mut bench = bench(&place);
    bench.max_new = Some(3);
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    place.run("INSERT INTO item VALUES (3, 3, 'c'), (4, 4, 'd')");
    assert_eq!(bench.told_by_a_poll(), ["3", "4"], "four are read and two are new");
    place.run("INSERT INTO item SELECT i, i, 'x' FROM generate_series(5, 8) AS i");
    assert_eq!(bench.poll().hold.expect("a hold").reason, HoldReason::MaxNew);
    assert!(bench.ledger.take_keys().is_empty());
    bench.accepted = Accepted { new_entries: true, ..Accepted::default() };
    assert_eq!(bench.told_by_a_poll(), ["5", "6", "7", "8"]);
    long.run("ROLLBACK");
}
