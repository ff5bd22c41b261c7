//! Sweeps: rows that are gone, and rows that polls missed, by the same rules against every database.

use highwater::change::Kind;
use highwater::error::ErrorKind;
use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};
use highwater::source::{Accepted, HoldReason};

use super::conformance::Place;
use super::{Bench, query, table};

/// These settings with a sweep each hour.
pub fn sweeping(settings: TableSettings) -> TableSettings {
    TableSettings { track_keys: true, sweep: Some(Interval::from_secs(3_600)), ..settings }
}

fn items(place: &dyn Place) -> TableSettings {
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER, name TEXT)");
    sweeping(table("item", &["at"], &["id"]))
}

/// A bench whose rows are all told and settled.
pub fn settled(place: &dyn Place, settings: &TableSettings) -> Bench {
    let mut bench = Bench::new(place.source(settings));
    for _ in 0..3 {
        assert_eq!(bench.poll().hold, None);
        bench.wait(100);
    }
    assert_eq!(bench.poll().degraded, None);
    bench.ledger.told.clear();
    bench
}

/// What a poll with a sweep tells, sorted.
pub fn told_by_a_sweep(bench: &mut Bench) -> Vec<(Kind, String, u64)> {
    bench.wait(4_000);
    assert_eq!(bench.poll().hold, None);
    let told = std::mem::take(&mut bench.ledger.told);
    let mut told: Vec<_> = told.into_iter().map(|told| (told.kind, told.key, told.revision)).collect();
    told.sort_by(|a, b| (&a.1, a.2).cmp(&(&b.1, b.2)));
    assert_eq!(bench.ledger.repeated, 0);
    told
}

fn late_found(bench: &mut Bench) -> u64 {
    bench.poll().settled.expect("a sweeping source says it").late_found
}

fn a_deleted_row_is_told_as_removed_once(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 20, 1);
    let mut bench = settled(place, &settings);
    place.run("DELETE FROM item WHERE id IN (7, 20)");
    assert!(bench.told_by_a_poll().is_empty(), "a sweep is not due yet");
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, "20".into(), 2), (Kind::Removed, "7".into(), 2)]);
    assert!(told_by_a_sweep(&mut bench).is_empty());
    bench.restart(place.source(&settings));
    assert!(told_by_a_sweep(&mut bench).is_empty());
    bench.wait_until_an_idle_poll_commits_nothing(0);
    assert_eq!(late_found(&mut bench), 0);
}

fn a_key_that_comes_back_is_created_with_the_next_revision(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 20, 1);
    let mut bench = settled(place, &settings);
    place.run("DELETE FROM item WHERE id IN (7, 8)");
    assert_eq!(told_by_a_sweep(&mut bench).len(), 2);
    place.run("INSERT INTO item VALUES (7, 30, 'row 7'), (8, 8, 'row 8')");
    assert_eq!(bench.told_by_a_poll(), ["7"], "the other one has an old watermark");
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Created, "8".into(), 3)]);
    assert_eq!(late_found(&mut bench), 1);
}

fn rows_that_polls_missed_are_told_and_counted(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 50, 1);
    let mut bench = settled(place, &settings);
    place.run(
        "INSERT INTO item VALUES (100, 3, 'late'), (101, -7, 'late'); UPDATE item SET at = 4, name = 'x' WHERE id = 9",
    );
    assert!(bench.told_by_a_poll().is_empty(), "their watermark was passed");
    let expected = [(Kind::Created, "100".into(), 1), (Kind::Created, "101".into(), 1), (Kind::Changed, "9".into(), 2)];
    assert_eq!(told_by_a_sweep(&mut bench), expected);
    let looked = bench.poll();
    let degraded = looked.degraded.expect("the loss is said");
    assert!(degraded.contains("3 rows that polls had missed") && degraded.contains("(3 since"), "{degraded}");
    bench.restart(place.source(&settings));
    assert_eq!(late_found(&mut bench), 3);
    assert!(told_by_a_sweep(&mut bench).is_empty());
    let looked = bench.poll();
    assert_eq!((looked.degraded, looked.settled.map(|settled| settled.late_found)), (None, Some(3)));
}

fn rows_that_polls_will_see_are_left_to_them(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 20, 1);
    let mut bench = settled(place, &settings);
    place.run("INSERT INTO item VALUES (30, 30, 'new'); DELETE FROM item WHERE id = 3; UPDATE item SET at = NULL WHERE id = 4");
    let expected = [(Kind::Removed, "3".into(), 2), (Kind::Created, "30".into(), 1), (Kind::Removed, "4".into(), 2)];
    assert_eq!(told_by_a_sweep(&mut bench), expected);
    assert_eq!(late_found(&mut bench), 0);
}

fn a_mass_of_removals_waits_for_an_operator(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 2_500, 1);
    for skip in [false, true] {
        let mut bench = settled(place, &settings);
        place.run("DELETE FROM item WHERE id > 1200; INSERT INTO item VALUES (9000, 9000, 'new')");
        bench.wait(4_000);
        let looked = bench.poll();
        let hold = looked.hold.expect("a hold");
        assert_eq!(hold.reason, HoldReason::MassRemoval);
        assert!(hold.detail.contains("1000 of 2501") && hold.detail.contains("cursor erp accept"), "{}", hold.detail);
        assert_eq!(bench.ledger.take_keys(), ["9000"], "new rows are told all the same");
        bench.restart(place.source(&settings));
        assert_eq!(bench.poll().hold.map(|hold| hold.reason), Some(HoldReason::MassRemoval));
        assert!(bench.ledger.told.is_empty());
        bench.accepted = Accepted { removals: true, silent_removals: skip, ..Accepted::default() };
        assert_eq!(bench.told_by_a_poll().len(), if skip { 0 } else { 1_300 });
        bench.accepted = Accepted::default();
        assert!(told_by_a_sweep(&mut bench).is_empty());
        place.run("DELETE FROM item");
        place.fill(1, 2_500, 1);
    }
}

fn a_table_that_was_emptied_and_filled_again_tells_nothing(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 1_500, 1);
    let mut bench = settled(place, &settings);
    place.run("DELETE FROM item");
    bench.wait(4_000);
    assert!(bench.poll().hold.is_some());
    place.fill(1, 1_500, 1);
    assert!(bench.poll().hold.is_some(), "it is not looked at in each poll");
    bench.wait(300);
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!(late_found(&mut bench), 0);
}

fn the_first_sweep_of_a_source_that_kept_no_keys_only_records(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 1_300, 1);
    let mut bench = settled(place, &TableSettings { track_keys: false, sweep: None, ..settings.clone() });
    assert!(bench.ledger.known.len() < 10);
    bench.restart(place.source(&settings));
    bench.ledger.track();
    assert!(bench.told_by_a_poll().is_empty());
    assert_eq!((bench.ledger.known.len(), late_found(&mut bench)), (1_300, 0));
    place.run("DELETE FROM item WHERE id = 5; INSERT INTO item VALUES (5000, 2, 'late')");
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, "5".into(), 1), (Kind::Created, "5000".into(), 1)]);
}

fn what_leaves_by_an_edit_of_the_filter_is_forgotten_and_later_removed(place: &dyn Place) {
    items(place);
    place.fill(1, 2_000, 1);
    let of = |sql: &str| sweeping(query(sql, &["at"], &["id"]));
    let mut bench = settled(place, &of("SELECT * FROM item WHERE id <= 1900"));
    bench.restart(place.source(&of("SELECT * FROM item WHERE id > 100")));
    bench.filters_changed = true;
    assert_eq!(bench.told_by_a_poll().len(), 100, "what enters is created");
    bench.filters_changed = false;
    assert_eq!(late_found(&mut bench), 0);
    place.run("UPDATE item SET id = -5 WHERE id = 500");
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, "500".into(), 2)]);
}

fn a_kill_before_any_page_of_a_sweep_loses_and_repeats_nothing(place: &dyn Place) {
    let settings = items(place);
    for fail_at in 0..7 {
        place.run("DELETE FROM item");
        place.fill(1, 2_000, 1);
        let mut bench = settled(place, &settings);
        place.run("DELETE FROM item WHERE id > 1100");
        place.fill(10_000, 2_500, 1_000_000);
        bench.wait(4_000);
        bench.ledger.fail_at = Some(fail_at);
        let killed = bench.try_poll();
        assert_eq!(killed.is_err(), fail_at < 5, "killed at commit {fail_at}");
        assert!(killed.err().is_none_or(|error| error.kind() == ErrorKind::Stopped));
        bench.ledger.fail_at = None;
        bench.restart(place.source(&settings));
        assert_eq!(bench.poll().hold, None);
        assert_eq!(bench.ledger.told.len(), 3_400, "killed at commit {fail_at}");
        assert!(told_by_a_sweep(&mut bench).len() == 3_400 && told_by_a_sweep(&mut bench).is_empty());
        assert_eq!(late_found(&mut bench), 2_500);
    }
}

fn of_a_hundred_thousand_keys_one_bucket_is_read(place: &dyn Place) {
    let settings = items(place);
    place.run("CREATE INDEX item_at ON item (at, id)");
    place.fill(1, 100_000, 3);
    let mut bench = settled(place, &settings);
    place.run("DELETE FROM item WHERE id = 77777");
    let before = bench.swept.rows();
    assert_eq!(told_by_a_sweep(&mut bench), [(Kind::Removed, "77777".into(), 2)]);
    let read = bench.swept.rows() - before;
    assert!((1..4_300).contains(&read), "{read} rows were read");
    let before = bench.swept.rows();
    assert!(told_by_a_sweep(&mut bench).is_empty());
    assert_eq!(bench.swept.rows(), before, "nothing differs, nothing is read");
}

#[test]
fn an_overlap_that_was_too_small_is_widened_and_stays_so() {
    let place = super::postgres::new_place();
    let place: &dyn Place = &place;
    let settings = TableSettings { settle: Settle::Overlap(Interval::from_secs(60)), ..items(place) };
    place.fill(1, 50, 1);
    let mut bench = settled(place, &settings);
    for (id, seconds) in [(100, 120), (101, 240)] {
        place.run(&format!("INSERT INTO item VALUES ({id}, 3, 'late')"));
        assert_eq!(told_by_a_sweep(&mut bench).len(), 1);
        bench.restart(place.source(&settings));
        let degraded = bench.poll().degraded.expect("the loss is said");
        assert!(degraded.contains(&format!("the overlap is {seconds} s now")), "{degraded}");
    }
}

/// Makes one test per rule for each adapter.
macro_rules! sweep_suite {
    ($($rule:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $rule() { super::$rule(&crate::table::sqlite::File::new()); })*
        }
        mod postgres {
            use crate::table::postgres::{Overlapped, new_place};
            $(#[test] fn $rule() { super::$rule(&Overlapped(new_place())); })*
        }
        mod mysql {
            $(#[test] fn $rule() { super::$rule(&crate::table::mysql_sweep::new_place()); })*
        }
        #[cfg(feature = "odbc")]
        mod odbc {
            $(#[test] fn $rule() { super::$rule(&crate::table::odbc::new_place()); })*
        }
        #[cfg(feature = "odbc")]
        mod odbc_mariadb {
            $(#[test] fn $rule() { super::$rule(&crate::table::odbc_mariadb::new_quiet_place()); })*
        }
        #[cfg(feature = "odbc")]
        mod odbc_sqlite {
            $(#[test] fn $rule() { super::$rule(&crate::table::odbc_sqlite::Driven::new()); })*
        }
    };
}

pub(crate) use sweep_suite;

sweep_suite! {
    a_deleted_row_is_told_as_removed_once,
    a_key_that_comes_back_is_created_with_the_next_revision,
    rows_that_polls_missed_are_told_and_counted,
    rows_that_polls_will_see_are_left_to_them,
    a_mass_of_removals_waits_for_an_operator,
    a_table_that_was_emptied_and_filled_again_tells_nothing,
    the_first_sweep_of_a_source_that_kept_no_keys_only_records,
    what_leaves_by_an_edit_of_the_filter_is_forgotten_and_later_removed,
    a_kill_before_any_page_of_a_sweep_loses_and_repeats_nothing,
    of_a_hundred_thousand_keys_one_bucket_is_read,
}
