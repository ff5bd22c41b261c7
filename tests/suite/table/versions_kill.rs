//! Rows by version: killed between any two pages, of a first load and of a later pass; restored, rewritten, partitioned and
//! replicated databases.

use highwater::source::settings::{Start, TableSettings};
use highwater::source::{Accepted, HoldReason};

use super::Bench;
use super::conformance::Place;
use super::postgres::{settings, source};
use super::versions::{by_version, place};
use crate::support::postgres::{Database, Server};
use crate::support::wait_until;

fn filled(rows: u32) -> Database {
    let place = place("timestamptz");
    place.run(&format!("INSERT INTO item SELECT i, now(), 'row' FROM generate_series(1, {rows}) AS i; ANALYZE item"));
    place
}

#[test]
fn a_first_load_killed_between_pages_loses_and_repeats_nothing() {
    for fail_at in 0..4 {
        let place = filled(3_300);
        let settings = TableSettings { page: 300, ..by_version() };
        let mut bench = Bench::new(Place::source(&place, &settings));
        bench.ledger.fail_at = Some(fail_at);
        bench.try_poll().expect_err("the process is killed");
        assert_eq!(bench.ledger.told.len(), fail_at * 1_000);
        place.run(
            "UPDATE item SET name = 'changed' WHERE id IN (5, 1500, 3299); INSERT INTO item VALUES (0, NULL, 'z')",
        );
        for _ in 0..2 {
            bench.restart(Place::source(&place, &settings));
            bench.poll();
        }
        let changed = |id: &str| bench.ledger.told.iter().any(|told| told.key == id && told.row["name"] == "changed");
        assert!(["5", "1500", "3299"].iter().all(|id| changed(id)), "killed at commit {fail_at}");
        let again = [5, 1_500, 3_299].iter().filter(|id| **id <= fail_at * 1_000).count();
        assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (3_301 + again, 0), "killed at commit {fail_at}");
    }
}

#[test]
fn a_later_pass_killed_between_pages_loses_and_repeats_nothing() {
    for fail_at in 0..4 {
        let place = filled(3_300);
        let mut bench = Bench::new(Place::source(&place, &by_version()));
        bench.poll();
        place.run("UPDATE item SET name = 'second'");
        bench.ledger.told.clear();
        bench.ledger.fail_at = Some(fail_at);
        bench.try_poll().expect_err("the process is killed");
        let early = place.connect();
        early.run("BEGIN; UPDATE item SET name = 'third' WHERE id IN (1, 3300)");
        bench.restart(Place::source(&place, &by_version()));
        bench.poll();
        assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (3_300, 0), "killed at commit {fail_at}");
        early.run("COMMIT");
        bench.ledger.told.clear();
        assert_eq!(bench.told_by_a_poll(), ["1", "3300"]);
        assert!(bench.told_by_a_poll().is_empty());
        assert_eq!(bench.ledger.repeated, 0, "killed at commit {fail_at}");
    }
}

#[test]
fn rows_that_change_while_a_first_load_runs_are_told_as_they_became() {
    let place = filled(3_000);
    let other = place.connect();
    let settings = TableSettings { page: 500, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &settings));
    bench.ledger.before_commit = Some(Box::new(move |commits| {
        other.run(&format!("UPDATE item SET name = 'during {commits}' WHERE id IN (10, 2900)"));
    }));
    bench.poll();
    bench.ledger.before_commit = None;
    bench.poll();
    let last = |id: &str| bench.ledger.told.iter().rfind(|told| told.key == id).expect("told").row["name"].clone();
    let now = place.text("SELECT name FROM item WHERE id = 10");
    assert_eq!((last("10"), last("2900")), (now.as_str().into(), now.as_str().into()));
    assert_eq!(bench.ledger.repeated, 0);
}

/// Moves what the cursor says of transactions, as if the database had been set back by so many.
fn set_back(bench: &mut Bench, by: u64) {
    let text = bench.ledger.cursor.take().expect("a cursor");
    let mut cursor: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for field in ["since_all", "since_window"] {
        let x = cursor["versions"][field].as_u64().expect("a transaction");
        cursor["versions"][field] = (x + by).into();
    }
    bench.ledger.cursor = Some(cursor.to_string());
}

#[test]
fn a_database_that_was_set_back_holds_until_accepted() {
    let place = filled(10);
    let mut bench = Bench::new(Place::source(&place, &by_version()));
    bench.poll();
    bench.ledger.told.clear();
    set_back(&mut bench, 1_000_000);
    let hold = bench.poll().hold.expect("a hold");
    assert_eq!(hold.reason, HoldReason::IdentityChanged);
    assert!(hold.detail.contains("cursor erp accept") && hold.detail.contains("cursor erp reset"), "{}", hold.detail);
    bench.accepted = Accepted { place: true, ..Accepted::default() };
    place.run("INSERT INTO item VALUES (11, now(), 'before')");
    assert!(bench.told_by_a_poll().is_empty(), "what is there now is only remembered");
    bench.accepted = Accepted::default();
    place.run("INSERT INTO item VALUES (12, now(), 'after')");
    assert_eq!(bench.told_by_a_poll(), ["12"]);
}

#[test]
fn ids_beyond_half_their_range_read_everything_and_lose_nothing() {
    let server = Server::start();
    let place = server.database();
    place.run("GRANT pg_read_all_data TO reader; CREATE TABLE item (id int PRIMARY KEY, at int, name text)");
    place.run("INSERT INTO item SELECT i, i, 'row' FROM generate_series(1, 10) AS i");
    let table = TableSettings { track_keys: true, ..by_version() };
    let settings = settings(&place.address("reader"), &table);
    let mut bench = Bench::new(source(&settings));
    assert_eq!(bench.told_by_a_poll().len(), 10);
    server.stop();
    server.skip_transactions();
    server.resume();
    server.connect(&place.name).run("UPDATE item SET name = 'x' WHERE id = 4");
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(bench.ledger.repeated, 0);
    server.stop();
}

#[test]
fn what_comes_while_the_first_rows_are_only_remembered_is_told() {
    // A server of its own: transactions of other tests would make rows look as if they had just come.
    let server = Server::start();
    let place = server.database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at timestamptz, name text)");
    place.run("INSERT INTO item SELECT i, now(), 'row' FROM generate_series(1, 3000) AS i");
    let now = TableSettings { start: Start::Now, track_keys: true, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &now));
    bench.ledger.fail_at = Some(1);
    bench.try_poll().expect_err("the process is killed");
    place.run("UPDATE item SET name = 'meanwhile' WHERE id IN (7, 2900); INSERT INTO item VALUES (5000, now(), 'new')");
    bench.restart(Place::source(&place, &now));
    bench.poll();
    bench.poll();
    let mut keys = bench.ledger.take_keys();
    keys.sort();
    assert_eq!(keys, ["2900", "5000", "7"]);
    server.stop();
}

#[test]
fn a_rewritten_table_tells_tracked_rows_nothing() {
    let place = filled(20);
    let settings = TableSettings { track_keys: true, ..by_version() };
    let mut tracked = Bench::new(Place::source(&place, &settings));
    let mut plain = Bench::new(Place::source(&place, &by_version()));
    tracked.poll();
    plain.poll();
    tracked.ledger.told.clear();
    let first = std::mem::take(&mut plain.ledger.told);
    place.run("VACUUM FULL item");
    assert!(plain.told_by_a_poll().is_empty(), "the rows keep their versions");
    place.run("ALTER TABLE item ALTER name TYPE varchar(9), ALTER at TYPE timestamptz(6) USING at + interval '0'");
    assert!(tracked.told_by_a_poll().is_empty());
    plain.poll();
    assert!(plain.ledger.told.iter().all(|told| first.contains(told)), "the same rows have the same ids");
}

#[test]
fn a_partition_attached_with_old_rows_is_read_as_a_whole() {
    let place = place("bigint");
    place.run("CREATE TABLE part (id int, at int, name text, PRIMARY KEY (id)) PARTITION BY RANGE (id)");
    place.run("CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10); INSERT INTO part VALUES (1, 1, 'a')");
    place.run("CREATE TABLE part2 (id int PRIMARY KEY, at int, name text); INSERT INTO part2 VALUES (11, 1, 'loaded')");
    let from = TableSettings { from: super::table("part", &[], &[]).from, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &from));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    place.run("INSERT INTO part VALUES (2, 2, 'b')");
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    place.run("ALTER TABLE part ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20)");
    assert_eq!(bench.told_by_a_poll(), ["11"]);
    bench.restart(Place::source(&place, &from));
    assert!(bench.told_by_a_poll().is_empty());
    place.run("ALTER TABLE part DETACH PARTITION part2; UPDATE part2 SET name = 'apart'");
    assert!(bench.told_by_a_poll().is_empty());
    place.run("ALTER TABLE part ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20)");
    assert_eq!(bench.told_by_a_poll(), ["11"]);
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn a_table_that_takes_the_name_is_read_as_a_whole() {
    let place = filled(3);
    place.run(
        "CREATE TABLE next (LIKE item INCLUDING ALL); INSERT INTO next VALUES (1, now(), 'row'), (9, now(), 'swapped')",
    );
    let settings = TableSettings { track_keys: true, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &settings));
    assert_eq!(bench.told_by_a_poll().len(), 3);
    place.run("INSERT INTO item VALUES (4, now(), 'x')");
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    place.run("ALTER TABLE item RENAME TO old; ALTER TABLE next RENAME TO item; UPDATE item SET at = old.at FROM old WHERE old.id = item.id");
    let told = bench.told_by_a_poll();
    assert!(told.contains(&"9".to_owned()), "{told:?}");
}

#[test]
fn a_cursor_of_an_overlap_goes_on_by_version() {
    let place = filled(5);
    let overlap = highwater::source::settings::Settle::Overlap(highwater::setting::Interval::from_secs(60));
    let mut bench = Bench::new(Place::source(&place, &TableSettings { settle: overlap, ..by_version() }));
    assert_eq!(bench.told_by_a_poll().len(), 5);
    bench.wait(100);
    bench.poll();
    place.run("INSERT INTO item VALUES (6, now(), 'f')");
    bench.restart(Place::source(&place, &by_version()));
    assert_eq!(bench.told_by_a_poll(), ["6"]);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn start_now_and_a_value_hold_for_rows_in_flight_too() {
    let place = filled(5);
    let early = place.connect();
    early.run("BEGIN; INSERT INTO item VALUES (6, now() - interval '1 day', 'in flight')");
    let now = TableSettings { start: Start::Now, ..by_version() };
    let mut bench = Bench::new(Place::source(&place, &now));
    assert!(bench.told_by_a_poll().is_empty());
    bench.restart(Place::source(&place, &now));
    early.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["6"]);
}

#[test]
fn a_hot_standby_is_polled_without_loss() {
    let primary = Server::start();
    let writer = primary.database();
    writer.run("GRANT pg_read_all_data TO reader; CREATE TABLE item (id int PRIMARY KEY, at timestamptz, name text)");
    let standby = primary.standby();
    let replica = standby.existing(&writer.name);
    let catch_up = || {
        let lsn = writer.text("SELECT pg_current_wal_lsn()::text");
        let done = format!("SELECT (pg_last_wal_replay_lsn() >= '{lsn}')::text");
        wait_until("the standby has caught up", || replica.text(&done) == "true");
    };
    let late = primary.connect(&writer.name);
    late.run(
        "BEGIN; INSERT INTO item VALUES (1, now(), 'late'); SAVEPOINT s; INSERT INTO item VALUES (2, now(), 'late')",
    );
    writer.run("INSERT INTO item VALUES (3, now(), 'c')");
    catch_up();
    let mut bench = Bench::new(source(&settings(&replica.address("reader"), &by_version())));
    assert_eq!(bench.told_by_a_poll(), ["3"]);
    writer.run("INSERT INTO item VALUES (4, now(), 'd')");
    catch_up();
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    late.run("COMMIT");
    catch_up();
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(bench.ledger.repeated, 0);
    standby.stop();
    primary.stop();
}
