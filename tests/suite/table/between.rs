//! Scans by row version that are dear run less often, and a fence serves in between: what it can see is told at once, what it
//! can't by the next scan, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use highwater::clock::{Clock, ManualClock, Stop, Timestamp};
use highwater::source::settings::TableSettings;
use highwater::source::{Accepted, HoldReason, Look, Looked, Patience, Scope};

use super::conformance::Place;
use super::versions::by_version;
use super::{Bench, table};
use crate::support::postgres::{Database, database};

/// A clock that goes on by this much at each look at it.
#[derive(Debug)]
struct Going(Arc<ManualClock>, Duration);

/// What a scan takes, as the clock says, while its cost is found out.
const DEAR: Duration = Duration::from_secs(2);
/// What it takes later: what it took before still counts.
const LATER: Duration = Duration::from_millis(1);

impl Clock for Going {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn tick(&self) -> Duration {
        self.0.advance(self.1);
        self.0.tick()
    }
}

fn place(columns: &str) -> Database {
    let place = database();
    place.run(&format!("CREATE TABLE item (id int PRIMARY KEY, {columns})"));
    place
}

/// One poll on such a clock.
fn look(bench: &mut Bench, takes: Duration) -> Looked {
    let (clock, stop) = (Going(bench.clock.clone(), takes), Stop::new());
    let look = Look {
        scope: Scope::Everything,
        first: bench.ledger.cursor.is_none(),
        filters_changed: false,
        accepted: Accepted::default(),
        max_new: bench.max_new,
        patience: Patience::Return,
        clock: &clock,
        stop: &stop,
        progress: &bench.swept,
    };
    bench.source.poll(&look, &mut bench.ledger).expect("the poll ends well")
}

/// The keys that one poll tells.
fn told(bench: &mut Bench) -> Vec<String> {
    told_in(bench, LATER)
}

fn told_in(bench: &mut Bench, takes: Duration) -> Vec<String> {
    let looked = look(bench, takes);
    assert_eq!(looked.hold, None);
    let mut keys = bench.ledger.take_keys();
    keys.sort();
    keys
}

/// A bench that has told rows 1 to 3 and knows what a scan costs.
fn begun(place: &Database, settings: &TableSettings) -> Bench {
    place.run("INSERT INTO item VALUES (1, '2020-01-01', 'a'), (2, '2020-01-02', 'b')");
    let mut bench = Bench::new(Place::source(place, settings));
    assert_eq!(told(&mut bench), ["1", "2"]);
    place.run("INSERT INTO item VALUES (3, '2020-01-03', 'c')");
    assert_eq!(told_in(&mut bench, DEAR), ["3"]);
    bench
}

const COLUMNS: &str = "at timestamptz, name text";

fn indexed() -> Database {
    let place = place(COLUMNS);
    place.run("CREATE INDEX ON item (at)");
    place
}

#[test]
fn between_dear_scans_a_fence_tells_rows_at_once_and_the_scan_the_rest() {
    let place = indexed();
    let mut bench = begun(&place, &by_version());
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item VALUES (4, '2020-01-04', 'late')");
    place.run("INSERT INTO item VALUES (5, '2020-01-05', 'e')");
    place.run("UPDATE item SET name = 'A' WHERE id = 1; INSERT INTO item VALUES (6, NULL, 'without watermark')");
    assert_eq!(told(&mut bench), ["5"], "new rows are told at once");
    assert!(told(&mut bench).is_empty());
    late.run("COMMIT");
    assert_eq!(told(&mut bench), ["4"], "also those that commit late");
    assert!(told(&mut bench).is_empty());
    bench.wait(1);
    let settled = look(&mut bench, LATER).settled.expect("it says how far it is");
    let pace = settled.pace.expect("it says how often it scans");
    assert!(pace.contains("polls in between read behind a fence"), "{pace}");
    assert!(settled.lag.is_some_and(|lag| lag >= Duration::from_secs(1)), "what only a scan sees is that old");
    bench.wait(60);
    assert_eq!(told(&mut bench), ["1", "6"], "a watermark that stayed, and one that is NULL");
    place.run("UPDATE item SET name = 'B' WHERE id = 2");
    assert!(told(&mut bench).is_empty());
    bench.wait(60);
    assert_eq!(told(&mut bench), ["2"]);
    bench.wait(60);
    assert!(told(&mut bench).is_empty());
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn a_new_process_begins_with_a_scan_and_tells_nothing_twice() {
    let place = indexed();
    let mut bench = begun(&place, &by_version());
    place.run("INSERT INTO item VALUES (5, '2020-01-05', 'e'); UPDATE item SET name = 'A' WHERE id = 1");
    assert_eq!(told(&mut bench), ["5"]);
    bench.restart(Place::source(&place, &by_version()));
    assert_eq!(told(&mut bench), ["1"]);
    bench.wait(60);
    assert!(told(&mut bench).is_empty());
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn many_rows_between_scans_are_told_in_pages_and_once() {
    let place = indexed();
    let mut bench = begun(&place, &by_version());
    place.run("INSERT INTO item SELECT i, '2020-02-01', 'n' FROM generate_series(100, 3099) AS i");
    assert_eq!(told(&mut bench).len(), 3_000);
    place.run("DELETE FROM item WHERE id = 100; INSERT INTO item VALUES (100, '2020-02-02', 'again')");
    assert_eq!(told(&mut bench), ["100"]);
    bench.wait(600);
    assert!(told(&mut bench).is_empty());
    bench.wait(600);
    place.run("INSERT INTO item VALUES (7, '2020-03-01', 'x')");
    bench.poll();
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn the_brake_holds_between_scans_too() {
    let place = indexed();
    let mut bench = begun(&place, &by_version());
    bench.max_new = Some(2);
    place.run("INSERT INTO item SELECT i, '2020-02-01', 'n' FROM generate_series(10, 12) AS i");
    assert_eq!(look(&mut bench, LATER).hold.map(|hold| hold.reason), Some(HoldReason::MaxNew));
    assert!(bench.ledger.take_keys().is_empty());
}

#[test]
fn where_a_fence_would_not_hold_every_poll_scans_however_dear() {
    for columns in [COLUMNS, "at text, name text"] {
        let place = place(columns);
        if columns == COLUMNS {
            place.run("CREATE INDEX ON item (id, at)");
        } else {
            place.run("CREATE SEQUENCE s CACHE 10 OWNED BY item.at; CREATE INDEX ON item (at)");
        }
        let mut bench = begun(&place, &TableSettings { ..by_version() });
        for name in ["A", "B", "C"] {
            place.run(&format!("UPDATE item SET name = '{name}' WHERE id = 1"));
            assert_eq!(told(&mut bench), ["1"], "{columns}");
        }
        assert_eq!(look(&mut bench, LATER).settled.and_then(|settled| settled.pace), None);
    }
}

#[test]
fn a_table_without_watermark_is_scanned_by_every_poll() {
    let place = place("name text");
    place.run("INSERT INTO item VALUES (1, 'a')");
    let settings = TableSettings { track_keys: true, ..table("item", &[], &["id"]) };
    let mut bench = Bench::new(Place::source(&place, &settings));
    assert_eq!(told(&mut bench), ["1"]);
    for name in ["A", "B", "C"] {
        place.run(&format!("UPDATE item SET name = '{name}' WHERE id = 1"));
        assert_eq!(told_in(&mut bench, DEAR), ["1"]);
    }
}
