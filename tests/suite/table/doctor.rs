//! What `doctor` says of tables: each line is a fact of the database at hand.

use highwater::setting::Interval;
use highwater::source::settings::{Settle, TableSettings};
use highwater::source::{Source, Verdict};

use super::conformance::Place;
use super::table;
use crate::support::postgres::database;

/// The verdict and text of a topic.
fn found(source: &mut Box<dyn Source>, topic: &str) -> (Verdict, String) {
    let findings = source.examine().expect("it can be looked at");
    let found = findings.iter().find(|finding| finding.topic == topic);
    let found = found.unwrap_or_else(|| panic!("no line about {topic}: {findings:?}"));
    (found.verdict, found.detail.clone())
}

#[test]
fn a_sound_postgres_table_has_no_problem() {
    let place = database();
    place.run("CREATE TABLE item (id bigint PRIMARY KEY, at timestamptz NOT NULL)");
    place.run(
        "CREATE INDEX ON item (at, id); INSERT INTO item VALUES (1, now()); ANALYZE item; SET enable_seqscan = on",
    );
    place.run("INSERT INTO item SELECT i, now() - i * interval '1 s' FROM generate_series(2, 20000) i; ANALYZE item");
    let settings = TableSettings { settle: Settle::Fence, ..table("item", &["at"], &["id"]) };
    let findings = Place::source(&place, &settings).examine().expect("it can be looked at");
    let problems: Vec<_> = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
    for topic in ["server", "table", "key", "index", "nulls", "round trip", "ties", "resolution", "replica", "settle"] {
        assert!(findings.iter().any(|finding| finding.topic == topic), "{topic}: {findings:?}");
    }
}

#[test]
fn the_index_that_is_missed_can_be_pasted_whatever_the_names_are() {
    let place = database();
    place.run("CREATE TABLE \"Kunden; Stamm\" (\"order\" int PRIMARY KEY, \"ge \"\"ändert\" timestamptz NOT NULL)");
    place.run("INSERT INTO \"Kunden; Stamm\" VALUES (1, now())");
    for settle in [Settle::RowVersion, Settle::Fence] {
        let settings = TableSettings { settle, ..table("\"Kunden; Stamm\"", &["ge \"ändert"], &["order"]) };
        let mut source = Place::source(&place, &settings);
        let (verdict, detail) = found(&mut source, "index");
        assert_eq!(verdict, Verdict::Problem, "{detail}");
        let (_, sql) = detail.split_once("; CREATE").expect("it says what to do");
        place.run(&format!("CREATE{sql}"));
        let mut source = Place::source(&place, &settings);
        assert_eq!(found(&mut source, "index").0, Verdict::Works);
        place.run("DROP INDEX \"Kunden; Stamm_by_watermark\"");
    }
}

#[test]
fn what_makes_a_postgres_table_less_safe_is_a_problem() {
    let place = database();
    place.run("CREATE TABLE item (id int, at timestamp)");
    place.run(&format!("ALTER DATABASE {} SET TimeZone = 'Europe/Berlin'", place.name));
    place.run(
        "INSERT INTO item VALUES (1, NULL); INSERT INTO item SELECT i, '2026-01-01' FROM generate_series(2, 3000) i",
    );
    let settle = Settle::Overlap(Interval::from_secs(60));
    let mut source = Place::source(&place, &TableSettings { settle, ..table("item", &["at"], &["id"]) });
    for (topic, words) in [
        ("index", "no index serves"),
        ("nulls", "1 row has no watermark"),
        ("ties", "2999"),
        ("time zone", "Europe/Berlin"),
    ] {
        let (verdict, detail) = found(&mut source, topic);
        assert!(verdict == Verdict::Problem && detail.contains(words), "{topic}: {detail}");
    }
    place.run("CREATE MATERIALIZED VIEW shown AS SELECT * FROM item");
    let mut source = Place::source(&place, &table("shown", &["at"], &["id"]));
    assert_eq!(found(&mut source, "relation").0, Verdict::Problem);
}
