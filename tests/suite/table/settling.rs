//! Nothing is skipped because it committed late: two sessions driven by hand against a source with an overlap.

use std::time::Duration;

use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};

use super::conformance::Place;
use super::{Bench, table};
use crate::support::postgres::{Database, database};

fn place(kind: &str) -> Database {
    let place = database();
    place.run("GRANT pg_read_all_data TO reader");
    place.run(&format!("CREATE TABLE item (id int PRIMARY KEY, at {kind}, name text); CREATE INDEX ON item (at, id)"));
    place
}

fn overlap(seconds: u64) -> TableSettings {
    let settle = Settle::Overlap(Interval::from_millis(seconds * 1_000));
    TableSettings { settle, ..table("item", &["at"], &["id"]) }
}

#[test]
fn a_row_that_commits_late_is_told_within_the_overlap() {
    for kind in ["timestamptz", "timestamp", "timestamptz(0)", "date", "bigint"] {
        let place = place(kind);
        let now = if kind == "bigint" { "extract(epoch FROM now())::bigint" } else { "now()" };
        let early = place.connect();
        early.run(&format!("BEGIN; INSERT INTO item VALUES (1, {now}, 'late')"));
        place.run(&format!("INSERT INTO item VALUES (2, {now}, 'b')"));
        let mut bench = Bench::new(Place::source(&place, &overlap(60)));
        assert_eq!(bench.told_by_a_poll(), ["2"], "{kind}");
        bench.wait(30);
        assert!(bench.told_by_a_poll().is_empty(), "{kind}");
        bench.restart(Place::source(&place, &overlap(60)));
        bench.wait(20);
        place.run(&format!("INSERT INTO item VALUES (3, {now}, 'c')"));
        assert_eq!(bench.told_by_a_poll(), ["3"], "{kind}: an open transaction delays nobody");
        early.run("COMMIT");
        assert_eq!(bench.told_by_a_poll(), ["1"], "{kind}");
        for _ in 0..3 {
            bench.wait(100_000);
            assert!(bench.told_by_a_poll().is_empty(), "{kind}");
        }
        assert_eq!(bench.ledger.repeated, 0, "{kind}");
    }
}

#[test]
fn a_late_commit_with_imported_times_is_told_too() {
    let place = place("timestamp");
    let early = place.connect();
    early.run("BEGIN; INSERT INTO item VALUES (1, '2020-01-01 10:00:00', 'late')");
    place.run("INSERT INTO item VALUES (2, '2020-01-01 10:00:01', 'b'), (0, '2019-01-01 10:00:00', 'old')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    assert_eq!(bench.told_by_a_poll(), ["0", "2"]);
    assert_eq!(bench.ledger.known.len(), 1, "what is far behind the newest need not be remembered");
    early.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn old_rows_are_not_read_again_once_they_are_settled() {
    let place = place("timestamptz");
    place.run(
        "INSERT INTO item SELECT i, now() - interval '1 day' - i * interval '1 s', 'x' FROM generate_series(1, 2500) i",
    );
    let mut bench = Bench::new(Place::source(&place, &table("item", &["at"], &["id"])));
    assert_eq!(bench.poll().seen, 2_500);
    assert!(bench.ledger.known.len() < 100, "{} rows are remembered", bench.ledger.known.len());
    assert!(bench.poll().seen < 100);
    bench.wait(70);
    bench.poll();
    bench.wait(10);
    assert_eq!(bench.poll().seen, 0);
    assert!(bench.ledger.known.is_empty());
}

#[test]
fn a_row_from_the_future_does_not_hide_those_of_today() {
    for kind in ["timestamptz", "date", "timestamp"] {
        let place = place(kind);
        place.run("INSERT INTO item VALUES (1, '9999-12-31', 'for ever'), (2, now(), 'b')");
        let mut bench = Bench::new(Place::source(&place, &table("item", &["at"], &["id"])));
        assert_eq!(bench.told_by_a_poll(), ["1", "2"], "{kind}");
        for id in 3..6 {
            bench.wait(100);
            assert!(bench.told_by_a_poll().is_empty());
            place.run(&format!("INSERT INTO item VALUES ({id}, now(), 'c')"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{kind}");
        }
        assert_eq!(bench.ledger.repeated, 0, "{kind}");
    }
}

#[test]
fn a_wall_clock_that_is_set_forward_settles_nothing_early() {
    let place = place("timestamptz");
    let early = place.connect();
    early.run("BEGIN; INSERT INTO item VALUES (1, now(), 'late')");
    place.run("INSERT INTO item VALUES (2, now(), 'b')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    bench.poll();
    let forward = highwater::clock::Clock::now(&*bench.clock).plus(Duration::from_secs(86_400));
    bench.clock.step_to(forward);
    bench.poll();
    bench.poll();
    early.run("COMMIT");
    bench.ledger.told.clear();
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn deleting_the_newest_row_moves_nothing_back() {
    let place = place("bigint");
    place.run("INSERT INTO item VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
    let mut bench = Bench::new(Place::source(&place, &overlap(60)));
    bench.poll();
    bench.wait(100);
    bench.poll();
    place.run("DELETE FROM item WHERE id = 3; INSERT INTO item VALUES (4, 4, 'd')");
    bench.ledger.told.clear();
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    place.run("DELETE FROM item WHERE id = 4");
    for _ in 0..4 {
        bench.wait(100);
        assert!(bench.told_by_a_poll().is_empty());
    }
    assert_eq!(bench.ledger.repeated, 0);
}
