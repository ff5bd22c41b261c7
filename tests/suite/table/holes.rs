//! Ways in which pollers lose rows, one by one, that `versions`, `fence` and `settling` don't show: prepared transactions beyond
//! the snapshot, times from triggers, from applications, from other servers, from clocks that were set, deep savepoints.

use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings, Window};

use super::conformance::Place;
use super::postgres::{settings, source};
use super::{Bench, table};
use crate::support::highwater::Highwater;
use crate::support::postgres::{Database, Server, database};
use crate::support::wait_until;

fn place(columns: &str) -> Database {
    let place = database();
    place.run(&format!("CREATE TABLE item ({columns}); CREATE INDEX ON item (at, id)"));
    place
}

const SERIAL: &str = "id int PRIMARY KEY, at bigserial, name text";

/// Both ways that wait for transactions.
const WAYS: [Settle; 2] = [Settle::RowVersion, Settle::Fence];

fn by(settle: Settle) -> TableSettings {
    TableSettings { settle, ..table("item", &["at"], &["id"]) }
}

fn rest(bench: &mut Bench) {
    for _ in 0..3 {
        assert!(bench.told_by_a_poll().is_empty());
    }
    assert_eq!(bench.ledger.repeated, 0);
}

#[test]
fn a_prepared_transaction_beyond_every_snapshot_is_told_when_it_commits() {
    // A server of its own: transactions of others would push the snapshots on.
    let server = Server::start();
    for settle in WAYS {
        let place = server.database();
        place.run(&format!(
            "GRANT pg_read_all_data TO reader; CREATE TABLE item ({SERIAL}); INSERT INTO item VALUES (1)"
        ));
        let mut bench = Bench::new(source(&settings(&place.address("reader"), &by(settle))));
        assert_eq!(bench.told_by_a_poll(), ["1"]);
        let late = server.connect(&place.name);
        late.run("BEGIN; INSERT INTO item VALUES (2)");
        let xid = late.text("SELECT pg_current_xact_id()::text");
        late.run("PREPARE TRANSACTION 'newest'");
        assert_eq!(place.text("SELECT pg_current_snapshot()::text"), format!("{xid}:{xid}:"), "no snapshot names it");
        for _ in 0..3 {
            assert!(bench.told_by_a_poll().is_empty());
        }
        late.run("COMMIT PREPARED 'newest'");
        assert_eq!(bench.told_by_a_poll(), ["2"], "{settle:?}");
        rest(&mut bench);
    }
    server.stop();
}

#[test]
fn a_time_that_a_trigger_draws_is_waited_for() {
    for settle in WAYS {
        let place = place("id int PRIMARY KEY, at timestamptz, name text");
        place.run(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := clock_timestamp(); RETURN NEW; END'; \
             CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION touch()",
        );
        let late = place.connect();
        late.run("BEGIN; INSERT INTO item VALUES (2)");
        place.run("INSERT INTO item VALUES (1)");
        let mut bench = Bench::new(Place::source(&place, &by(settle)));
        assert_eq!(bench.told_by_a_poll(), ["1"]);
        // Longer than ties are waited for anyway.
        place.run("SELECT pg_sleep(6)");
        for id in 3..6 {
            place.run(&format!("INSERT INTO item VALUES ({id})"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
            assert!(bench.told_by_a_poll().is_empty());
        }
        late.run("UPDATE item SET name = 'touched' WHERE id = 2; COMMIT");
        assert_eq!(bench.told_by_a_poll(), ["2"], "{settle:?}");
        rest(&mut bench);
    }
}

#[test]
fn more_savepoints_than_a_snapshot_lists_are_waited_for() {
    for settle in WAYS {
        let place = place(SERIAL);
        place.run("INSERT INTO item (id) VALUES (1)");
        let mut bench = Bench::new(Place::source(&place, &by(settle)));
        assert_eq!(bench.told_by_a_poll(), ["1"]);
        let late = place.connect();
        late.run("BEGIN");
        for id in 100..200 {
            late.run(&format!("SAVEPOINT s{id}; INSERT INTO item (id) VALUES ({id})"));
        }
        late.run("ROLLBACK TO s190");
        for id in 2..4 {
            place.run(&format!("INSERT INTO item (id) VALUES ({id})"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
            assert!(bench.told_by_a_poll().is_empty());
        }
        late.run("COMMIT");
        assert_eq!(bench.told_by_a_poll().len(), 90, "{settle:?}");
        rest(&mut bench);
    }
}

#[test]
fn times_of_applications_with_wrong_clocks_hide_nothing_by_version() {
    let place = place("id int PRIMARY KEY, at timestamptz, name text");
    let mut bench = Bench::new(Place::source(&place, &by(Settle::RowVersion)));
    bench.poll();
    for (id, apart) in [(1, "0 s"), (2, "3 hours"), (3, "-3 hours"), (4, "1 day"), (5, "-6 days"), (6, "2 s")] {
        place.run(&format!("INSERT INTO item VALUES ({id}, now() + interval '{apart}', 'a')"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{apart}");
        place.run(&format!("UPDATE item SET at = at - interval '1 minute', name = 'b' WHERE id = {id}"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{apart}");
    }
    rest(&mut bench);
}

#[test]
fn rows_loaded_from_elsewhere_with_old_times_are_told_at_once_or_within_a_day() {
    let place = place("id int PRIMARY KEY, at timestamptz, name text");
    place.run("INSERT INTO item VALUES (1, now(), 'a'); ANALYZE item");
    let mut windowed = Bench::new(Place::source(&place, &by(Settle::RowVersion)));
    let everything = TableSettings { window: Window::None, ..by(Settle::RowVersion) };
    let mut unwindowed = Bench::new(Place::source(&place, &everything));
    assert_eq!((windowed.told_by_a_poll(), unwindowed.told_by_a_poll()), (vec!["1".to_owned()], vec!["1".to_owned()]));
    let load = place.connect();
    load.run("BEGIN; INSERT INTO item SELECT i, now() - i * interval '1 day', 'loaded' FROM generate_series(2, 30) i");
    assert!(windowed.told_by_a_poll().is_empty() && unwindowed.told_by_a_poll().is_empty());
    load.run("COMMIT");
    assert_eq!(unwindowed.told_by_a_poll().len(), 29);
    let soon = windowed.told_by_a_poll().len();
    assert!((4..8).contains(&soon), "{soon} rows lie within the window");
    assert!(windowed.told_by_a_poll().is_empty());
    windowed.wait(86_500);
    assert_eq!(windowed.told_by_a_poll().len(), 29 - soon);
    rest(&mut windowed);
    rest(&mut unwindowed);
}

#[test]
fn a_clock_that_is_set_back_hides_nothing() {
    let place = place("id int PRIMARY KEY, at timestamptz, name text");
    let overlap = Settle::Overlap(Interval::from_secs(60));
    for settle in [Settle::RowVersion, overlap, Settle::Fence] {
        place.run("TRUNCATE item");
        let mut bench = Bench::new(Place::source(&place, &by(settle)));
        bench.poll();
        // A fence guards against what corrects clocks; the others bear more.
        let step = if settle == Settle::Fence { 4 } else { 50 };
        for id in 1..20 {
            let back = if id > 10 { step } else { 0 };
            place.run(&format!("INSERT INTO item VALUES ({id}, clock_timestamp() - interval '{back} s', 'x')"));
            assert_eq!(bench.told_by_a_poll(), [id.to_string()], "{settle:?}");
        }
        rest(&mut bench);
    }
}

#[test]
fn a_second_process_on_the_same_source_is_turned_away_and_nothing_is_told_twice() {
    let place = place(SERIAL);
    place.run("GRANT pg_read_all_data TO reader; INSERT INTO item VALUES (1)");
    let url = place.address("reader");
    let highwater = Highwater::with_config(&format!(
        "[source.item]\nkind = \"postgres\"\nurl = \"{url}\"\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n\
         settle = \"fence\"\nevery = \"100ms\"\nto = [\"out\"]\n[sink.out]\nkind = \"script\"\ncommand = [\"true\"]\n"
    ));
    let told = || {
        let events = highwater.run(&["events", "--json", "--limit", "0"]).json_lines();
        let mut keys: Vec<String> = events.iter().map(|e| e["subject"].as_str().expect("a key").to_owned()).collect();
        keys.sort();
        keys
    };
    let running = highwater.spawn(&["run"]);
    wait_until("it tells the first row", || told() == ["1"]);
    let late = place.connect();
    late.run("BEGIN; INSERT INTO item VALUES (2)");
    highwater.run(&["once"]).code(5);
    place.run("INSERT INTO item VALUES (3)");
    wait_until("it tells the third row", || told() == ["1", "3"]);
    highwater.run(&["peek", "item"]).ok();
    highwater.run(&["once"]).code(5);
    late.run("COMMIT");
    wait_until("it tells the late row", || told() == ["1", "2", "3"]);
    running.kill();
    highwater.run(&["once"]).ok();
    assert_eq!(told(), ["1", "2", "3"]);
}
