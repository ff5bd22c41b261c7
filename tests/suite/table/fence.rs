//! Nothing is lost behind a fence: every way in which a transaction can commit late, with two sessions driven by hand.

use std::sync::mpsc;
use std::thread;

use highwater::clock::Stop;
use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};
use highwater::source::{Settled, Verdict};

use super::conformance::Place;
use super::postgres::{settings, source};
use super::{Bench, query, table};
use crate::support::postgres::{Client, Database, Server, database};
use crate::support::wait_until;

fn place(columns: &str) -> Database {
    let place = database();
    prepare(&place, columns);
    place
}

fn prepare(place: &Database, columns: &str) {
    place.run("GRANT pg_read_all_data TO reader");
    place.run(&format!("CREATE TABLE item ({columns}); CREATE INDEX ON item (at, id)"));
}

const SERIAL: &str = "id int PRIMARY KEY, at bigserial, name text";
const CLOCK: &str = "id int PRIMARY KEY, at timestamptz DEFAULT now(), name text";

fn fence() -> TableSettings {
    TableSettings { settle: Settle::Fence, ..table("item", &["at"], &["id"]) }
}

fn bench(place: &Database) -> Bench {
    Bench::new(Place::source(place, &fence()))
}

/// A bench that has told row 1, which `sql` writes.
fn begun(place: &Database, sql: &str) -> Bench {
    place.run(sql);
    let mut bench = bench(place);
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    bench
}

fn settled(bench: &mut Bench) -> Settled {
    bench.poll().settled.expect("a table says how far it has settled")
}

/// Polls until nothing waits any more; nothing may be told.
fn rest(bench: &mut Bench) {
    for _ in 0..3 {
        assert!(bench.told_by_a_poll().is_empty());
    }
    assert_eq!(bench.ledger.repeated, 0);
}

/// A writer has drawn its watermark, others commit beyond it, and polls go on for days: its row is told when it commits.
fn told_when_it_commits(place: &Database, bench: &mut Bench, late: &Client, insert: &str, commit: &str) {
    for id in 3..6 {
        place.run(&format!("INSERT INTO item (id) VALUES ({id})"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()], "an open transaction delays nobody");
        assert!(bench.told_by_a_poll().is_empty());
        bench.wait(100_000);
    }
    bench.restart(Place::source(place, &fence()));
    assert!(bench.told_by_a_poll().is_empty());
    late.run(insert);
    assert!(bench.told_by_a_poll().is_empty());
    late.run(commit);
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    rest(bench);
}

#[test]
fn a_number_drawn_before_the_transaction_has_an_id_is_waited_for() {
    let place = place(SERIAL);
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("BEGIN");
    let number = late.text("SELECT nextval('item_at_seq')::text");
    assert_eq!(late.text("SELECT coalesce(pg_current_xact_id_if_assigned()::text, 'none')"), "none");
    told_when_it_commits(&place, &mut bench, &late, &format!("INSERT INTO item VALUES (2, {number})"), "COMMIT");
}

#[test]
fn a_time_fixed_at_begin_is_waited_for() {
    let place = place(CLOCK);
    let mut bench = begun(&place, "INSERT INTO item VALUES (1, now() - interval '1 hour')");
    let late = place.connect();
    // The database's own clock must pass beyond the time in which ties are waited for anyway.
    late.run("BEGIN; SELECT now(), pg_sleep(7)");
    told_when_it_commits(&place, &mut bench, &late, "INSERT INTO item (id) VALUES (2)", "COMMIT");
}

#[test]
fn rows_of_savepoints_are_waited_for() {
    let place = place(SERIAL);
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("BEGIN; SAVEPOINT one; INSERT INTO item (id) VALUES (2); SAVEPOINT two; SELECT nextval('item_at_seq')");
    told_when_it_commits(&place, &mut bench, &late, "ROLLBACK TO two; RELEASE one", "COMMIT");
}

#[test]
fn prepared_transactions_are_waited_for() {
    let place = place(SERIAL);
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2); PREPARE TRANSACTION 'in two phases'");
    place.run("INSERT INTO item (id) VALUES (9)");
    assert_eq!(bench.told_by_a_poll(), ["9"]);
    let held = settled(&mut bench).held_by.join("\n");
    assert!(held.contains("prepared transaction in two phases") && held.contains("postgres"), "{held}");
    told_when_it_commits(&place, &mut bench, &late, "SELECT 1", "COMMIT PREPARED 'in two phases'");
}

#[test]
fn a_transaction_that_is_prepared_after_it_was_seen_is_waited_for() {
    let place = place(SERIAL);
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
    place.run("INSERT INTO item (id) VALUES (9)");
    assert_eq!(bench.told_by_a_poll(), ["9"]);
    late.run("PREPARE TRANSACTION 'seen before'");
    told_when_it_commits(&place, &mut bench, &late, "SELECT 1", "COMMIT PREPARED 'seen before'");
}

#[test]
fn a_prepared_transaction_is_waited_for_across_a_restart_of_the_server() {
    let server = Server::start();
    for seen_before in [false, true] {
        let place = server.database();
        prepare(&place, SERIAL);
        let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
        let late = server.connect(&place.name);
        late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
        if seen_before {
            place.run("INSERT INTO item (id) VALUES (9)");
            assert_eq!(bench.told_by_a_poll(), ["9"]);
        }
        late.run(&format!("PREPARE TRANSACTION 'outlives {seen_before}'"));
        place.run("INSERT INTO item (id) VALUES (3)");
        assert_eq!(bench.told_by_a_poll(), ["3"]);
        server.stop();
        server.resume();
        let again = server.connect(&place.name);
        for id in 4..7 {
            again.run(&format!("INSERT INTO item (id) VALUES ({id})"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
            assert!(bench.told_by_a_poll().is_empty());
        }
        again.run(&format!("COMMIT PREPARED 'outlives {seen_before}'"));
        assert_eq!(bench.told_by_a_poll(), ["2"]);
        rest(&mut bench);
    }
}

#[test]
fn a_long_transaction_holds_safe_alone_and_is_named() {
    let place = place(SERIAL);
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("SET application_name = 'month end'; BEGIN; INSERT INTO item (id) VALUES (2)");
    place.run("INSERT INTO item (id) VALUES (3)");
    assert_eq!(bench.told_by_a_poll(), ["3"]);
    let before = settled(&mut bench);
    place.run("INSERT INTO item (id) VALUES (4)");
    assert_eq!(bench.told_by_a_poll(), ["4"], "delivery goes on");
    let during = settled(&mut bench);
    assert_eq!((during.mode.as_str(), &during.safe), ("fence", &before.safe));
    let (pid, held) = (late.text("SELECT pg_backend_pid()::text"), during.held_by.join("\n"));
    for word in [&format!("pid {pid}"), "user postgres", "application month end"] {
        assert!(held.contains(word), "{word}: {held}");
    }
    late.run("ROLLBACK");
    bench.poll();
    let after = settled(&mut bench);
    assert!(after.safe.is_some() && after.safe != during.safe && after.held_by.is_empty(), "{after:?}");
    rest(&mut bench);
}

#[test]
fn old_rows_are_not_read_again_once_their_writers_have_ended() {
    let place = place(CLOCK);
    place.run("INSERT INTO item SELECT i, now() - interval '1 hour' FROM generate_series(1, 2500) i");
    let mut bench = bench(&place);
    assert_eq!(bench.poll().seen, 2_500);
    assert!(bench.ledger.known.len() < 100, "{} rows are remembered", bench.ledger.known.len());
    bench.poll();
    assert_eq!(bench.poll().seen, 0);
    let settled = settled(&mut bench);
    assert!(settled.lag.is_some_and(|lag| lag.as_secs() >= 3_600), "{settled:?}");
}

/// Until a source has asked for open transactions.
fn until_asked(watcher: &Client) {
    let asked = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reader' \
                 AND query LIKE '%prepared_xacts%'";
    wait_until("the source asks for open transactions", || watcher.text(asked) != "0");
}

#[test]
fn a_first_look_waits_a_moment_for_those_who_write() {
    let place = place(SERIAL);
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
    place.run("INSERT INTO item (id) SELECT i FROM generate_series(10, 1500) i");
    let mut bench = bench(&place);
    let (ready, go) = mpsc::channel();
    thread::scope(|scope| {
        let watcher = place.connect();
        scope.spawn(move || {
            until_asked(&watcher);
            late.run("COMMIT");
            ready.send(()).expect("the test waits");
        });
        let told = bench.told_by_a_poll();
        assert!(told.contains(&"2".to_owned()) && told.len() == 1_492);
    });
    go.recv().expect("it committed while the look waited");
    assert!(bench.ledger.known.len() < 10, "{} rows are remembered", bench.ledger.known.len());
    rest(&mut bench);
}

#[test]
fn a_first_look_ends_when_it_is_asked_to_also_while_it_waits() {
    let place = place(SERIAL);
    place.run("INSERT INTO item (id) VALUES (1)");
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
    let mut bench = bench(&place);
    let stop = Stop::new();
    thread::scope(|scope| {
        let (watcher, raised) = (place.connect(), stop.clone());
        scope.spawn(move || {
            until_asked(&watcher);
            raised.raise();
        });
        bench.poll_until(&stop).expect_err("it was stopped");
    });
    late.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
}

#[test]
fn a_transaction_open_through_the_whole_first_look_is_waited_for() {
    let place = place(SERIAL);
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
    let mut bench = begun(&place, "INSERT INTO item (id) VALUES (1)");
    told_when_it_commits(&place, &mut bench, &late, "SELECT 1", "COMMIT");
}

#[test]
fn marks_of_an_overlap_close_no_fence() {
    let place = place(SERIAL);
    place.run("INSERT INTO item (id) VALUES (1)");
    let settle = Settle::Overlap(Interval::from_secs(60));
    let mut bench = Bench::new(Place::source(&place, &TableSettings { settle, ..fence() }));
    bench.poll();
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item (id) VALUES (2)");
    place.run("INSERT INTO item (id) VALUES (3)");
    bench.poll();
    bench.ledger.told.clear();
    bench.restart(Place::source(&place, &fence()));
    bench.poll();
    bench.poll();
    late.run("COMMIT");
    assert_eq!(bench.told_by_a_poll(), ["2"]);
}

#[test]
fn a_sequence_that_hands_out_blocks_is_refused_with_the_remedy() {
    for option in ["CACHE 10", "INCREMENT 50"] {
        let place = place("id int PRIMARY KEY, at bigint GENERATED ALWAYS AS IDENTITY, name text");
        place.run(&format!("ALTER SEQUENCE item_at_seq {option}"));
        let error = bench(&place).try_poll().expect_err(option).to_string();
        assert!(error.contains(option) && error.contains("row-version"), "{error}");
        let settle = Settle::Overlap(Interval::from_secs(60));
        let overlap = TableSettings { settle, ..table("item", &["at"], &["id"]) };
        let findings = Place::source(&place, &overlap).examine().expect("it can be looked at");
        let found = findings.iter().find(|f| f.topic == "sequence").expect("a line about the sequence");
        assert_eq!(found.verdict, Verdict::Problem, "{}", found.detail);
        let looked = Bench::new(Place::source(&place, &overlap)).poll();
        assert!(looked.degraded.is_some_and(|text| text.contains(option)));
    }
}

#[test]
fn views_and_queries_are_fenced_by_themselves() {
    let place = place(SERIAL);
    place.run("CREATE VIEW shown AS SELECT * FROM item");
    for settings in [table("shown", &["at"], &["id"]), query("SELECT * FROM item", &["at"], &["id"])] {
        let mut bench = Bench::new(Place::source(&place, &settings));
        assert_eq!(settled(&mut bench).mode, "fence");
    }
}

#[test]
fn a_role_without_privileges_sees_who_holds_safe() {
    let place = database();
    place.run(&format!("CREATE TABLE item ({SERIAL}); GRANT SELECT ON item TO stranger"));
    place.run("INSERT INTO item (id) VALUES (1)");
    let mut bench = Bench::new(source(&settings(&place.address("stranger"), &fence())));
    bench.poll();
    let late = place.connect();
    late.run("SET application_name = 'nightly'; BEGIN; INSERT INTO item (id) VALUES (2)");
    place.run("INSERT INTO item (id) VALUES (3)");
    bench.poll();
    let held = settled(&mut bench).held_by.join("\n");
    assert!(held.contains("user postgres") && held.contains("application nightly"), "{held}");
}
