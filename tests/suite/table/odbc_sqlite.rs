//! SQLite through its ODBC driver: the rules of all adapters.

use highwater::error::ErrorKind;
use highwater::source::Source;
use highwater::source::settings::TableSettings;
use rusqlite::Connection;

use super::conformance::{Place, conformance};
use super::odbc::{driver, settings, source};
use super::{Bench, table};

// All but queries with a semicolon in a comment, which this driver takes for two statements.
conformance! { Driven::new();
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

/// An SQLite file that is read through ODBC.
pub struct Driven {
    folder: tempfile::TempDir,
    writer: Connection,
}

impl Driven {
    /// A new one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = Connection::open(folder.path().join("erp.sqlite")).expect("a database");
        Self { folder, writer }
    }
}

impl Place for Driven {
    fn run(&self, sql: &str) {
        self.writer.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let file = self.folder.path().join("erp.sqlite");
        let connection = format!("Driver={};Database={};Timeout=5000", driver("libsqlite3odbc.so"), file.display());
        source(&settings(&connection, table))
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO item SELECT i, i / {tie}, 'row ' || i FROM n",
            first + count - 1
        ));
    }
}

#[test]
fn wide_characters_and_numbers_come_exactly() {
    let place = Driven::new();
    place.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at INTEGER, word VARCHAR(10), d DOUBLE, raw BLOB)");
    place.run("INSERT INTO v VALUES (1, 9007199254740993, 'Grüße 🦀 and more than declared', 0.1, x'00ff')");
    let mut bench = Bench::new(place.source(&table("v", &["at"], &["id"])));
    bench.poll();
    let row = &bench.ledger.told[0].row;
    assert_eq!(row["at"], "9007199254740993");
    assert_eq!(row["word"], "Grüße 🦀 and more than declared");
    assert_eq!((&row["d"], &row["raw"]), (&serde_json::json!(0.1), &serde_json::json!("AP8=")));
}

#[test]
fn a_missing_table_is_said_so() {
    let place = Driven::new();
    let error = Bench::new(place.source(&table("nothing", &["at"], &["id"]))).try_poll().expect_err("no table");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
