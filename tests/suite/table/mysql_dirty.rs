//! Dirty reads: what commits late is never passed, whoever waits for it and however it was drawn.

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use highwater::source::Source;

use super::mysql::{settings, source};
use super::{Bench, table};
use crate::support::mariadb::{Database, quiet_database};
use crate::support::wait_until;

/// A table whose rows are older than any guard, so that the bound follows what is in flight alone.
fn place(kind: &str) -> (Database, MutexGuard<'static, ()>) {
    let (place, guard) = quiet_database();
    place.run("SET SESSION time_zone = '+00:00'");
    place.run(&format!("CREATE TABLE item (id int AUTO_INCREMENT PRIMARY KEY, at {kind} NOT NULL, n int, KEY (at))"));
    (place, guard)
}

fn item(place: &Database, user: &str) -> Box<dyn Source> {
    source(&settings(&place.address(user), &table("item", &["at"], &["id"])))
}

/// SAFE as the cursor has it.
fn safe(bench: &Bench) -> Option<String> {
    let cursor: serde_json::Value = serde_json::from_str(bench.ledger.cursor.as_deref()?).expect("JSON");
    cursor["safe"][0].as_str().map(str::to_owned)
}

#[test]
fn an_insert_in_flight_with_an_earlier_watermark_is_not_passed() {
    for user in ["reader", "watcher"] {
        let (place, _alone) = place("datetime(6)");
        place.run("INSERT INTO item VALUES (1, '2020-01-01 10:00:00', 0)");
        let mut bench = Bench::new(item(&place, user));
        assert_eq!(bench.told_by_a_poll(), ["1"]);
        assert_eq!(safe(&bench).as_deref(), Some("2020-01-01 10:00:00"));
        let other = place.connect();
        other.run("BEGIN; INSERT INTO item VALUES (2, '2020-01-01 10:00:05', 0)");
        place.run("INSERT INTO item VALUES (3, '2020-01-01 10:00:09', 0)");
        assert_eq!(bench.told_by_a_poll(), ["3"], "a long transaction delays nothing else");
        assert_eq!(safe(&bench).as_deref(), Some("2020-01-01 10:00:04.999999"));
        other.run("COMMIT");
        assert_eq!(bench.told_by_a_poll(), ["2"]);
        assert_eq!(safe(&bench).as_deref(), Some("2020-01-01 10:00:09"));
        assert_eq!(bench.ledger.repeated, 0);
    }
}

#[test]
fn an_update_in_flight_holds_the_bound_and_a_rollback_lets_it_go() {
    let (place, _alone) = place("datetime");
    place.run("INSERT INTO item VALUES (1, '2020-01-01 10:00:00', 0), (2, '2020-01-01 10:00:01', 0)");
    let mut bench = Bench::new(item(&place, "reader"));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    let other = place.connect();
    other.run("BEGIN; UPDATE item SET at = '2020-01-01 10:00:03', n = 1 WHERE id = 1");
    place.run("INSERT INTO item VALUES (3, '2020-01-01 10:00:03', 0), (4, '2020-01-01 10:00:04', 0)");
    assert_eq!(bench.told_by_a_poll(), ["3", "4"]);
    assert_eq!(safe(&bench).as_deref(), Some("2020-01-01 10:00:02.999999"), "ties of whole seconds are waited for");
    other.run("ROLLBACK");
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(safe(&bench).as_deref(), Some("2020-01-01 10:00:04"));
    other.run("BEGIN; UPDATE item SET at = '2020-01-01 10:00:06', n = 2 WHERE id = 1");
    place.run("INSERT INTO item VALUES (5, '2020-01-01 10:00:07', 0)");
    assert_eq!(bench.told_by_a_poll(), ["5"]);
    other.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1"]);
}

#[test]
fn what_is_younger_than_the_guard_is_read_again() {
    let (place, _alone) = place("datetime(6)");
    place.run("INSERT INTO item VALUES (1, '2020-01-01', 0), (2, NOW(6), 0)");
    let mut bench = Bench::new(item(&place, "reader"));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    let safe = safe(&bench).expect("a bound");
    let apart = format!("SELECT TIMESTAMPDIFF(SECOND, '{safe}', NOW(6)) BETWEEN 5 AND 60");
    assert_eq!(place.text(&apart), "1", "{safe}");
    // Drawn before the poll, written after it.
    place.run("INSERT INTO item VALUES (3, (SELECT MAX(at) FROM item i) - INTERVAL 1 SECOND, 0)");
    assert_eq!(bench.told_by_a_poll(), ["3"]);
}

/// A transaction writes, draws a time, and writes with it when the guard alone no longer protects it; `poll` looks before that.
fn a_time_drawn_long_before_it_is_written(place: &Database, mut poll: impl FnMut(&mut Bench)) {
    place.run("INSERT INTO item VALUES (1, '2020-01-01', 0), (2, NOW(6), 0)");
    let mut bench = Bench::new(item(place, "watcher"));
    let other = place.connect();
    other.run("BEGIN; UPDATE item SET n = 1 WHERE id = 1");
    let drawn = other.text("SELECT NOW(6)");
    wait_until("the guard is over", || place.text(&format!("SELECT NOW(6) > '{drawn}' + INTERVAL 6 SECOND")) == "1");
    place.run("INSERT INTO item VALUES (4, NOW(6), 0)");
    poll(&mut bench);
    let safe = safe(&bench);
    assert!(safe.as_ref().is_none_or(|safe| *safe < drawn), "{safe:?} is below {drawn}");
    other.run(&format!("INSERT INTO item VALUES (3, '{drawn}', 0); COMMIT"));
    assert!(bench.told_by_a_poll().contains(&"3".to_owned()));
}

#[test]
fn with_process_a_transaction_holds_the_bound_at_its_start() {
    let (place, _alone) = place("datetime(6)");
    a_time_drawn_long_before_it_is_written(&place, |bench| assert_eq!(bench.told_by_a_poll(), ["1", "2", "4"]));
}

#[test]
fn somebody_who_watches_the_transactions_all_the_time_hides_none() {
    let (place, _alone) = place("datetime(6)");
    let monitor = place.connect();
    let (over, looks) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        // The server renews what it shows only when nobody has looked at it for a tenth of a second.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                monitor.text("SELECT COUNT(*) FROM information_schema.innodb_trx");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_until("the monitor looks", || looks.load(Ordering::Relaxed) > 2);
        a_time_drawn_long_before_it_is_written(&place, |bench| {
            assert_eq!(bench.told_by_a_poll(), ["1", "2", "4"]);
            over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn numbers_that_commit_out_of_order_are_all_told() {
    let (place, _alone) = quiet_database();
    place.run("CREATE TABLE log (id bigint AUTO_INCREMENT PRIMARY KEY, n int)");
    let log = |user: &str| source(&settings(&place.address(user), &table("log", &["id"], &["id"])));
    for user in ["reader", "watcher"] {
        let mut bench = Bench::new(log(user));
        bench.poll();
        bench.ledger.take_keys();
        let (one, two) = (place.connect(), place.connect());
        one.run("BEGIN; INSERT INTO log (n) VALUES (1)");
        two.run("BEGIN; INSERT INTO log (n) VALUES (2)");
        let last = two.text("SELECT LAST_INSERT_ID()");
        two.run("COMMIT");
        assert_eq!(bench.told_by_a_poll(), [last]);
        let first = one.text("SELECT LAST_INSERT_ID()");
        one.run("COMMIT");
        assert_eq!(bench.told_by_a_poll(), [first]);
    }
}

#[test]
fn a_number_settles_once_it_is_older_than_the_guard_and_not_before_what_is_in_flight() {
    let (place, _alone) = quiet_database();
    place.run("CREATE TABLE log (id bigint AUTO_INCREMENT PRIMARY KEY, n int)");
    place.run("INSERT INTO log (n) VALUES (1), (2)");
    let mut bench = Bench::new(source(&settings(&place.address("reader"), &table("log", &["id"], &["id"]))));
    bench.poll();
    assert_eq!(safe(&bench), None);
    let other = place.connect();
    other.run("BEGIN; INSERT INTO log (n) VALUES (3)");
    place.run("INSERT INTO log (n) VALUES (4)");
    // What was there at the first look settles first, if a poll falls between; then all up to what is in flight.
    wait_until("everything settles up to the number in flight", || {
        bench.poll();
        let safe = safe(&bench);
        assert!(safe.as_deref().is_none_or(|safe| safe == "2" || safe == "3"), "{safe:?}");
        safe.as_deref() == Some("3")
    });
    other.run("COMMIT");
    wait_until("the rest settles", || {
        bench.poll();
        safe(&bench).as_deref() == Some("4")
    });
    assert_eq!(bench.ledger.take_keys(), ["1", "2", "4", "3"]);
    assert_eq!(bench.ledger.repeated, 0);
}
