//! What every table adapter must do, as one list of rules that each of them runs against its real database.

use highwater::change::Kind;
use highwater::clock::Stop;
use highwater::error::ErrorKind;
use highwater::setting::Interval;
use highwater::source::settings::{Settle, Start, TableSettings};
use highwater::source::{Accepted, HoldReason, Source};

use super::{Bench, query, table};
use crate::support::wait_until;

/// A database of its own for one test.
pub trait Place {
    /// Runs statements that every database understands.
    fn run(&self, sql: &str);
    /// A source over it.
    fn source(&self, settings: &TableSettings) -> Box<dyn Source>;
    /// Whether rows are found by the transaction that wrote them: then there is no SAFE, and no watermark is needed.
    fn is_by_version(&self) -> bool {
        false
    }
    /// Whether rows settle by clocks that no test sets; an overlap is used where a rule lets time pass.
    fn settles_by_real_time(&self) -> bool {
        false
    }
    /// Statements that insert so many rows `(id, at)` into `item`, ids from `first`, `at` = id / `tie`.
    fn fill(&self, first: u32, count: u32, tie: u32);
}

fn items(place: &dyn Place) -> TableSettings {
    place.run("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, at INTEGER, name TEXT)");
    table("item", &["at"], &["id"])
}

pub fn rows_are_told_once_and_idle_polls_commit_nothing(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, 20, 'b')");
    let mut bench = Bench::new(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["1", "2"]);
    bench.wait_until_an_idle_poll_commits_nothing(100);
    place.run("INSERT INTO item VALUES (3, 30, 'c'); UPDATE item SET name = 'A', at = 31 WHERE id = 1");
    assert_eq!(bench.told_by_a_poll(), ["1", "3"]);
    for _ in 0..3 {
        bench.wait(100);
        assert!(bench.told_by_a_poll().is_empty());
    }
    bench.wait_until_an_idle_poll_commits_nothing(100);
    assert_eq!(bench.ledger.repeated, 0);
}

pub fn equal_watermarks_across_pages_are_all_told(place: &dyn Place) {
    let settings = TableSettings { page: 7, ..items(place) };
    place.fill(1, 2_500, 900);
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    let mut ids: Vec<u32> = bench.ledger.take_keys().iter().map(|key| key.parse().expect("a number")).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=2_500).collect::<Vec<_>>());
    bench.wait(100);
    assert!(bench.told_by_a_poll().is_empty());
}

pub fn a_row_that_comes_with_a_watermark_already_seen_is_told(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (5, 10, 'a')");
    let mut bench = Bench::new(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["5"]);
    place.run("INSERT INTO item VALUES (4, 10, 'b')");
    assert_eq!(bench.told_by_a_poll(), ["4"]);
    bench.wait(1_000);
    assert!(bench.told_by_a_poll().is_empty());
    place.run("INSERT INTO item VALUES (6, 10, 'c')");
    assert_eq!(bench.told_by_a_poll(), ["6"], "nobody knows when a number is drawn for the last time");
}

pub fn a_change_without_a_new_watermark_is_told_while_it_is_read_again(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a')");
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    place.run("UPDATE item SET name = 'b' WHERE id = 1");
    bench.poll();
    assert_eq!(bench.ledger.told[1].row["name"], "b");
    let revisions: Vec<u64> = bench.ledger.told.iter().map(|told| told.revision).collect();
    // What is settled need not be remembered: the row's content alone tells the two events apart.
    assert!(revisions == [1, 2] || place.is_by_version());
    assert_eq!((revisions.len(), bench.ledger.repeated), (2, 0));
}

/// A kill before any commit of a pass loses nothing and tells nothing twice.
pub fn a_killed_pass_goes_on_where_it_was(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 3_300, 1_100);
    for fail_at in 0..4 {
        let mut bench = Bench::new(place.source(&settings));
        bench.ledger.fail_at = Some(fail_at);
        let error = bench.try_poll().expect_err("the process is killed");
        assert_eq!(error.kind(), ErrorKind::Stopped);
        assert_eq!(bench.ledger.told.len(), fail_at * 1_000);
        bench.restart(place.source(&settings));
        bench.poll();
        bench.wait(100);
        bench.poll();
        assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (3_300, 0), "killed at commit {fail_at}");
    }
}

pub fn a_raised_stop_ends_the_poll_and_the_next_goes_on(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 1_500, 1);
    let mut bench = Bench::new(place.source(&settings));
    let stop = Stop::new();
    stop.raise();
    assert_eq!(bench.poll_until(&stop).expect_err("stopped").kind(), ErrorKind::Stopped);
    assert_eq!(bench.told_by_a_poll().len(), 1_500);
}

pub fn rows_without_watermark_are_counted_and_the_rest_is_told(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, NULL, 'a'), (2, 20, 'b'), (3, NULL, 'c')");
    let mut bench = Bench::new(place.source(&settings));
    let looked = bench.poll();
    if place.is_by_version() {
        assert_eq!(looked.degraded, None);
        assert_eq!(bench.ledger.told[0].watermark, "{\"at\":null}");
        assert_eq!(bench.ledger.take_keys(), ["1", "2", "3"]);
        place.run("UPDATE item SET name = 'A' WHERE id = 1");
        return assert_eq!(bench.told_by_a_poll(), ["1"]);
    }
    assert_eq!(bench.ledger.take_keys(), ["2"]);
    assert_eq!(looked.degraded.as_deref(), Some("2 rows have no watermark (at is NULL) and can't be told"));
    place.run("UPDATE item SET at = 30 WHERE at IS NULL");
    let looked = bench.poll();
    assert_eq!(bench.ledger.take_keys(), ["1", "3"]);
    assert_eq!(looked.degraded, None);
}

pub fn odd_watermarks_are_values_like_any_other(place: &dyn Place) {
    place.run("CREATE TABLE odd (id INTEGER PRIMARY KEY, n INTEGER, t TEXT)");
    place.run("INSERT INTO odd VALUES (1, -5, ''), (2, 0, '0'), (3, 7, 'a''b'), (4, 8, 'ü\"')");
    for watermark in ["n", "t"] {
        let mut bench = Bench::new(place.source(&table("odd", &[watermark], &["id"])));
        assert_eq!(bench.told_by_a_poll(), ["1", "2", "3", "4"]);
        bench.restart(place.source(&table("odd", &[watermark], &["id"])));
        assert!(bench.told_by_a_poll().is_empty(), "{watermark}");
    }
    place.run("CREATE TABLE zero (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO zero VALUES (1, 0)");
    let settings = table("zero", &["n"], &["id"]);
    let mut bench = Bench::new(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["1"]);
    bench.wait(100);
    bench.poll();
    bench.restart(place.source(&settings));
    assert!(bench.told_by_a_poll().is_empty(), "a cursor at 0 is a cursor");
}

pub fn start_decides_what_of_the_first_rows_is_told(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, -1, 'a'), (2, 0, 'b'), (3, 5, 'c'), (4, 12, 'd')");
    let told = |start: Start| {
        let settings = TableSettings { start, ..settings.clone() };
        let mut bench = Bench::new(place.source(&settings));
        (bench.told_by_a_poll(), bench, settings)
    };
    assert_eq!(told(Start::All).0, ["1", "2", "3", "4"]);
    assert_eq!(told(Start::Value("0".into())).0, ["3", "4"]);
    assert_eq!(told(Start::Value("-1".into())).0, ["2", "3", "4"]);
    assert!(told(Start::Value("12".into())).0.is_empty());
    let (keys, mut bench, settings) = told(Start::Now);
    assert!(keys.is_empty());
    place.run("INSERT INTO item VALUES (5, 12, 'same watermark'), (6, 13, 'later')");
    assert_eq!(bench.told_by_a_poll(), ["5", "6"]);
    bench.restart(place.source(&settings));
    assert!(bench.told_by_a_poll().is_empty());
}

pub fn an_empty_table_at_first_is_no_reason_to_skip_later_rows(place: &dyn Place) {
    let settings = items(place);
    for start in [Start::Now, Start::All, Start::Value("1".into())] {
        place.run("DELETE FROM item");
        let mut bench = Bench::new(place.source(&TableSettings { start: start.clone(), ..settings.clone() }));
        assert!(bench.told_by_a_poll().is_empty());
        place.run("INSERT INTO item VALUES (1, 2, 'a')");
        assert_eq!(bench.told_by_a_poll(), ["1"], "{start:?}");
    }
}

pub fn composite_watermarks_and_keys_compare_as_tuples(place: &dyn Place) {
    place.run("CREATE TABLE \"Odd Table\" (\"a b\" TEXT, k2 INTEGER, day TEXT, n INTEGER, PRIMARY KEY (\"a b\", k2))");
    place.run(
        "INSERT INTO \"Odd Table\" VALUES ('x,y', 1, '2026-01-02', 1), ('x\"y', 2, '2026-01-01', 9), ('é', 3, '2026-01-02', 0)",
    );
    let settings = TableSettings { page: 1, ..table("\"Odd Table\"", &["day", "n"], &["a b", "k2"]) };
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    if place.is_by_version() {
        bench.ledger.told.sort_by_key(|told| told.row["n"] != 9);
        bench.ledger.told[1..].sort_by_key(|told| told.row["n"].to_string());
    }
    let keys: Vec<&str> = bench.ledger.told.iter().map(|told| told.key.as_str()).collect();
    assert_eq!(keys, ["[\"x\\\"y\",\"2\"]", "[\"é\",\"3\"]", "[\"x,y\",\"1\"]"]);
    assert_eq!(bench.ledger.told[2].key_json, "{\"a b\":\"x,y\",\"k2\":1}");
    assert_eq!(bench.ledger.told[2].watermark, "{\"day\":\"2026-01-02\",\"n\":1}");
    place.run("INSERT INTO \"Odd Table\" VALUES ('late', 4, '2026-01-02', 1)");
    assert_eq!(bench.told_by_a_poll_of_new(), ["[\"late\",\"4\"]"]);
}

pub fn a_query_is_a_source_like_a_table(place: &dyn Place) {
    let settings = items(place);
    place.run("CREATE TABLE kind (item INTEGER, label TEXT); INSERT INTO kind VALUES (1, 'x'), (2, 'y')");
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')");
    let sql = "SELECT i.id, i.at, k.label FROM item i JOIN kind k ON k.item = i.id -- join;\n;";
    let mut bench = Bench::new(place.source(&query(sql, &["at"], &["id"])));
    assert_eq!(bench.poll().hold, None);
    assert_eq!(bench.ledger.told[1].row, serde_json::json!({"id": 2, "at": 20, "label": "y"}));
    assert_eq!(bench.ledger.take_keys(), ["1", "2"]);
    drop(settings);
}

pub fn a_key_seen_twice_holds_the_source_with_its_value(place: &dyn Place) {
    items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'a')");
    let mut bench = Bench::new(place.source(&table("item", &["at"], &["name"])));
    let hold = bench.poll().hold.expect("a hold");
    assert_eq!(hold.reason, HoldReason::DuplicateKey);
    assert!(hold.detail.replace('\'', "").contains("key a "), "{}", hold.detail);
    assert!(bench.ledger.told.is_empty());
    place.run("UPDATE item SET name = 'c' WHERE id = 3");
    assert_eq!(bench.told_by_a_poll(), ["a", "b", "c"]);
    place.run("INSERT INTO item VALUES (4, 40, 'd'), (5, 50, 'd')");
    let hold = bench.poll().hold.expect("a hold");
    assert!(hold.detail.contains("key d "), "{}", hold.detail);
}

pub fn what_is_wrong_with_the_table_is_one_clear_line(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a')");
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    let fails = |bench: &mut Bench, kind: ErrorKind, words: &[&str]| {
        let error = bench.try_poll().expect_err("the poll fails");
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(!text.contains('\n') && words.iter().all(|word| text.contains(word)), "{text}");
    };
    place.run("ALTER TABLE item RENAME COLUMN at TO moved");
    fails(&mut bench, ErrorKind::NotFound, &["\"at\"", "moved"]);
    place.run("ALTER TABLE item RENAME COLUMN moved TO at");
    assert!(bench.told_by_a_poll_of_new().is_empty());
    place.run("ALTER TABLE item RENAME TO other");
    fails(&mut bench, ErrorKind::NotFound, &["item"]);
    place.run("ALTER TABLE other RENAME TO item; INSERT INTO item VALUES (2, 20, 'b')");
    assert_eq!(bench.told_by_a_poll_of_new(), ["2"]);
    place.run("DROP TABLE item; CREATE TABLE item (id INTEGER PRIMARY KEY, at TEXT, name TEXT)");
    fails(&mut bench, ErrorKind::Invalid, &["at", "reset"]);
}

pub fn tracked_keys_tell_created_from_changed(place: &dyn Place) {
    let settings = TableSettings { track_keys: true, ..items(place) };
    place.run("INSERT INTO item VALUES (1, 10, 'a')");
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    bench.wait(1_000);
    bench.poll();
    place.run("UPDATE item SET at = 20, name = 'b' WHERE id = 1; INSERT INTO item VALUES (2, 21, 'c')");
    bench.poll();
    let told: Vec<_> = bench.ledger.told.iter().map(|told| (told.kind, told.key.as_str(), told.revision)).collect();
    assert_eq!(told, [(Kind::Created, "1", 1), (Kind::Changed, "1", 2), (Kind::Created, "2", 1)]);
}

pub fn more_new_rows_than_max_new_hold_until_accepted(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')");
    let mut bench = Bench::new(place.source(&settings));
    bench.max_new = Some(2);
    let hold = bench.poll().hold.expect("a hold");
    assert_eq!((hold.reason, bench.ledger.commits), (HoldReason::MaxNew, 0));
    bench.accepted = Accepted { new_entries: true, ..Accepted::default() };
    assert_eq!(bench.told_by_a_poll(), ["1", "2", "3"]);
    bench.accepted = Accepted::default();
    assert!(bench.told_by_a_poll().is_empty(), "known rows are not new");
    place.run("INSERT INTO item VALUES (4, 40, 'd'), (5, 50, 'e')");
    assert_eq!(bench.told_by_a_poll(), ["4", "5"]);
}

pub fn skipped_rows_are_passed_over_in_silence(place: &dyn Place) {
    let settings = items(place);
    place.fill(1, 1_100, 1);
    let mut bench = Bench::new(place.source(&settings));
    bench.max_new = Some(1_000);
    assert!(bench.poll().hold.is_some());
    bench.accepted = Accepted { new_entries: true, silent_new: true, ..Accepted::default() };
    assert!(bench.told_by_a_poll().is_empty());
    bench.accepted = Accepted::default();
    place.run("INSERT INTO item VALUES (5000, 5000, 'new'), (5001, 1100, 'tie')");
    bench.restart(place.source(&settings));
    assert_eq!(bench.told_by_a_poll(), ["5000", "5001"]);
    bench.wait(1_000);
    assert!(bench.told_by_a_poll().is_empty());
}

pub fn a_cursor_set_by_hand_is_a_watermark(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')");
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    bench.ledger.take_keys();
    bench.ledger.cursor = Some("10".into());
    bench.ledger.known.clear();
    assert_eq!(bench.told_by_a_poll(), ["2", "3"]);
    assert!(bench.told_by_a_poll().is_empty());
    bench.ledger.cursor = Some("{\"v\":0}".into());
    let error = bench.try_poll().expect_err("no cursor of ours");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("cursor erp reset"), "{error}");
}

pub fn known_rows_are_forgotten_once_they_are_settled(place: &dyn Place) {
    let settings = items(place);
    let settings = match place.settles_by_real_time() {
        true => TableSettings { settle: Settle::Overlap(Interval::from_secs(60)), ..settings },
        false => settings,
    };
    place.fill(1, 1_200, 1);
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    for _ in 0..3 {
        bench.wait(100);
        bench.poll();
    }
    place.run("INSERT INTO item VALUES (5000, 5000, 'z')");
    bench.poll();
    bench.wait(100);
    bench.poll();
    bench.wait(100);
    place.run("INSERT INTO item VALUES (5001, 5001, 'z')");
    bench.poll();
    assert!(bench.ledger.known.len() <= 2, "{} rows are remembered", bench.ledger.known.len());
    assert_eq!(bench.ledger.repeated, 0);
}

pub fn what_is_known_of_deleted_rows_is_dropped(place: &dyn Place) {
    let settings = items(place);
    let mut bench = Bench::new(place.source(&settings));
    for id in 1..=20 {
        place.run(&format!("INSERT INTO item VALUES ({id}, {id}, 'job'); DELETE FROM item WHERE id < {id}"));
        assert_eq!(bench.told_by_a_poll(), [id.to_string()]);
        bench.wait(200);
    }
    assert!(bench.ledger.known.len() <= 5, "{} rows are remembered", bench.ledger.known.len());
    assert_eq!(bench.ledger.repeated, 0);
}

pub fn a_row_is_explained(place: &dyn Place) {
    let settings = items(place);
    place.run("INSERT INTO item VALUES (1, 10, 'a'), (2, NULL, 'b')");
    let mut bench = Bench::new(place.source(&settings));
    bench.poll();
    let mut story = |key: &str| bench.source.explain(&key.into()).expect("an explanation").join("\n");
    assert!(story("1").contains("is there with watermark 10"), "{}", story("1"));
    assert!(story("2").contains("at is NULL"));
    assert!(story("3").contains("no row of item"));
    let lines = bench.source.probe().expect("a probe").join("\n");
    assert!(lines.contains("connected: "), "{lines}");
    if place.is_by_version() {
        return assert!(lines.contains("settle: row-version") && !lines.contains("no watermark"), "{lines}");
    }
    assert!(lines.contains("1 row has no watermark"), "{lines}");
    assert!(lines.contains("no index serves the order"), "{lines}");
}

pub fn a_hundred_thousand_rows_stream_in_pages(place: &dyn Place) {
    let settings = items(place);
    place.run("CREATE INDEX item_at ON item (at, id)");
    place.fill(1, 100_000, 3);
    let mut bench = Bench::new(place.source(&TableSettings { page: 5_000, ..settings }));
    assert_eq!(bench.poll().seen, 100_000);
    assert_eq!((bench.ledger.told.len(), bench.ledger.repeated), (100_000, 0));
    assert!(bench.ledger.commits >= 100, "each page is committed by itself");
}

impl Bench {
    /// Like `told_by_a_poll`, for what was not told before.
    fn told_by_a_poll_of_new(&mut self) -> Vec<String> {
        self.ledger.told.clear();
        self.told_by_a_poll()
    }

    /// Polls remember what is not settled while a transaction is open, also one of another test or of the server's own.
    pub fn wait_until_an_idle_poll_commits_nothing(&mut self, every_s: u64) {
        wait_until("an idle poll commits nothing", || {
            let commits = self.ledger.commits;
            self.wait(every_s);
            assert!(self.told_by_a_poll().is_empty());
            self.ledger.commits == commits
        });
    }
}

/// Makes one test per rule for an adapter.
macro_rules! conformance {
    ($place:expr; $($rule:ident),* $(,)?) => {
        $(
            #[test]
            fn $rule() {
                crate::table::conformance::$rule(&$place);
            }
        )*
    };
}

/// Every rule, for an adapter whose places `$place` makes.
macro_rules! conformance_suite {
    ($place:expr) => {
        crate::table::conformance::conformance! { $place;
            rows_are_told_once_and_idle_polls_commit_nothing,
            equal_watermarks_across_pages_are_all_told,
            a_row_that_comes_with_a_watermark_already_seen_is_told,
            a_change_without_a_new_watermark_is_told_while_it_is_read_again,
            a_killed_pass_goes_on_where_it_was,
            a_raised_stop_ends_the_poll_and_the_next_goes_on,
            rows_without_watermark_are_counted_and_the_rest_is_told,
            odd_watermarks_are_values_like_any_other,
            start_decides_what_of_the_first_rows_is_told,
            an_empty_table_at_first_is_no_reason_to_skip_later_rows,
            composite_watermarks_and_keys_compare_as_tuples,
            a_query_is_a_source_like_a_table,
            a_key_seen_twice_holds_the_source_with_its_value,
            what_is_wrong_with_the_table_is_one_clear_line,
            tracked_keys_tell_created_from_changed,
            more_new_rows_than_max_new_hold_until_accepted,
            skipped_rows_are_passed_over_in_silence,
            a_cursor_set_by_hand_is_a_watermark,
            known_rows_are_forgotten_once_they_are_settled,
            what_is_known_of_deleted_rows_is_dropped,
            a_row_is_explained,
            a_hundred_thousand_rows_stream_in_pages,
        }
    };
}

pub(crate) use {conformance, conformance_suite};
