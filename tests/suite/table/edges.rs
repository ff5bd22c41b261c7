//! Odd tables: names that would be SQL, rows of very many columns, times that differ by a microsecond or not at all, keys of
//! exact decimals and of texts that compare as equal.

use highwater::source::settings::{Settle, Start, TableSettings};

use super::conformance::Place;
use super::sqlite::File;
use super::{Bench, table};
use crate::support::{mariadb, postgres};

/// A database of every kind.
fn places() -> [(&'static str, Box<dyn Place>); 3] {
    [
        ("PostgreSQL", Box::new(super::postgres::new_place())),
        ("MariaDB", Box::new(mariadb::database())),
        ("SQLite", Box::new(File::new())),
    ]
}

/// A name in the quotes of SQL, as the configuration has it; MariaDB's place writes its own quotes for them.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[test]
fn names_that_would_be_sql_are_names() {
    for (kind, place) in places() {
        let quote = if kind == "MariaDB" { '`' } else { '"' };
        let sql = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")));
        place.run("CREATE TABLE victim (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO victim VALUES (1, 1)");
        let (id, at) = ("id'; DROP TABLE victim; --", "at\\ ü $1 ? :x , (SELECT 1)");
        for name in ["x; DROP TABLE victim; --", "a b.c'd", "ünï 表 🙂"] {
            // Characters beyond 16 bits can't be in a name there.
            let name = if kind == "MariaDB" { name.replace(" 🙂", "") } else { name.to_owned() };
            place.run(&format!(
                "CREATE TABLE {} ({} INTEGER PRIMARY KEY, {} INTEGER, {} INTEGER)",
                sql(&name),
                sql(id),
                sql(at),
                sql("x' OR '1'='1")
            ));
            place.run(&format!("INSERT INTO {} VALUES (7, 1, 0), (8, 2, 0)", sql(&name)));
            let settings = TableSettings { page: 1, ..table(&quoted(&name), &[at], &[id]) };
            let mut bench = Bench::new(place.source(&settings));
            assert_eq!(bench.told_by_a_poll(), ["7", "8"], "{kind}: {name}");
            place.run(&format!("INSERT INTO {} VALUES (9, 3, 0)", sql(&name)));
            assert_eq!(bench.told_by_a_poll(), ["9"], "{kind}: {name}");
        }
        for name in
            ["victim; DROP TABLE victim; --", "victim WHERE 1=0; DROP TABLE victim", "\"victim\"; DROP TABLE victim"]
        {
            Bench::new(place.source(&table(name, &["at"], &["id"]))).try_poll().expect_err(name);
        }
        for column in ["at; DROP TABLE victim", "at\" FROM victim; DROP TABLE victim; --", "1) OR (1=1"] {
            Bench::new(place.source(&table("victim", &[column], &["id"]))).try_poll().expect_err(column);
            Bench::new(place.source(&table("victim", &["at"], &[column]))).try_poll().expect_err(column);
        }
        let start = Start::Value("0'; DROP TABLE victim; --".into());
        // Refused or compared, never run.
        let _ = Bench::new(place.source(&TableSettings { start, ..table("victim", &["at"], &["id"]) })).try_poll();
        let mut bench = Bench::new(place.source(&table("victim", &["at"], &["id"])));
        assert_eq!(bench.told_by_a_poll(), ["1"], "{kind}: the table is still there");
    }
}

#[test]
fn rows_of_as_many_columns_as_a_table_can_have_are_told() {
    for (kind, place) in places() {
        let columns = if kind == "MariaDB" { 1_017 } else { 1_600 };
        let names: Vec<String> = (1..=columns).map(|at| format!("c{at} INTEGER")).collect();
        place.run(&format!("CREATE TABLE wide ({}, PRIMARY KEY (c1, c2))", names.join(", ")));
        for row in 1..=3 {
            let values: Vec<String> = (1..=columns).map(|at| (at * row).to_string()).collect();
            place.run(&format!("INSERT INTO wide VALUES ({})", values.join(", ")));
        }
        let settings = table("wide", &["c3", "c4"], &["c1", "c2"]);
        let mut bench = Bench::new(place.source(&settings));
        assert_eq!(bench.poll().seen, 3, "{kind}");
        let row = bench.ledger.told[2].row.as_object().expect("a row").clone();
        assert_eq!((row.len(), &row[&format!("c{columns}")]), (columns, &(columns * 3).into()), "{kind}");
    }
}

#[test]
fn keys_of_exact_decimals_are_neither_skipped_nor_repeated_across_pages() {
    for (kind, place) in places() {
        place.run("CREATE TABLE item (id NUMERIC(38,10) PRIMARY KEY, at NUMERIC(38,10), name TEXT)");
        // SQLite keeps them as numbers of 64 bits.
        let big = if kind == "SQLite" { "12" } else { "9007199254740993123456" };
        for at in 0..40 {
            place.run(&format!("INSERT INTO item VALUES ({big}.{at:010}, {}.5, 'x')", at / 15));
        }
        let settings = TableSettings { page: 3, ..table("item", &["at"], &["id"]) };
        let mut bench = Bench::new(place.source(&settings));
        let told = bench.told_by_a_poll().len();
        assert_eq!((told, bench.ledger.repeated), (40, 0), "{kind}");
        bench.restart(place.source(&settings));
        assert!(bench.told_by_a_poll().is_empty(), "{kind}");
    }
}

#[test]
fn keys_that_a_collation_takes_for_equal_are_neither_skipped_nor_repeated_across_pages() {
    let place = postgres::database();
    place.run("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)");
    let ways = ["text COLLATE loose", "text COLLATE \"de-x-icu\"", "text COLLATE \"C\""];
    for (at, kind) in ways.into_iter().enumerate() {
        place.run(&format!("CREATE TABLE k{at} (k {kind}, n int, at int)"));
        let texts = "ARRAY['a', 'A', 'ä', 'Ä', 'b', 'B', 'ß', 'ss', 'a b', 'ab', 'æ', 'ae']";
        place.run(&format!(
            "INSERT INTO k{at} SELECT t || n, n, n / 2 FROM unnest({texts}) t, generate_series(1, 5) n; \
             INSERT INTO k{at} SELECT t, 0, 9 FROM unnest({texts}) t"
        ));
        for settle in [Settle::RowVersion, Settle::Fence] {
            let settings = TableSettings { page: 1, settle, ..table(&format!("k{at}"), &["at"], &["k"]) };
            let mut bench = Bench::new(Place::source(&place, &settings));
            let mut told = bench.told_by_a_poll();
            told.dedup();
            assert_eq!((told.len(), bench.ledger.repeated), (72, 0), "{kind} {settle:?}");
            bench.restart(Place::source(&place, &settings));
            assert!(bench.told_by_a_poll().is_empty(), "{kind} {settle:?}");
        }
    }
}

#[test]
fn a_microsecond_later_is_later_and_the_same_second_is_not_passed() {
    for (kind, exact, whole) in [("PostgreSQL", "timestamp(6)", "timestamp(0)"), ("MariaDB", "datetime(6)", "datetime")]
    {
        let place: Box<dyn Place> = match kind {
            "PostgreSQL" => Box::new(super::postgres::new_place()),
            _ => Box::new(mariadb::database()),
        };
        place.run(&format!("CREATE TABLE exact (id INTEGER PRIMARY KEY, at {exact})"));
        place.run(&format!("CREATE TABLE whole (id INTEGER PRIMARY KEY, at {whole})"));
        for settle in [Settle::Auto, Settle::Overlap(highwater::setting::Interval::from_secs(60))] {
            place.run("DELETE FROM exact; DELETE FROM whole");
            let by = |name: &str| TableSettings { settle, page: 2, ..table(name, &["at"], &["id"]) };
            let mut exactly = Bench::new(place.source(&by("exact")));
            let mut wholly = Bench::new(place.source(&by("whole")));
            for id in 1..8 {
                place.run(&format!("INSERT INTO exact VALUES ({id}, '2026-11-23 10:15:00.12345{id}')"));
                place.run(&format!("INSERT INTO whole VALUES ({id}, now())"));
                assert_eq!(exactly.told_by_a_poll(), [id.to_string()], "{kind} {settle:?}");
                assert_eq!(wholly.told_by_a_poll(), [id.to_string()], "{kind} {settle:?}");
                exactly.restart(place.source(&by("exact")));
                assert!(exactly.told_by_a_poll().is_empty(), "{kind} {settle:?}");
                assert!(wholly.told_by_a_poll().is_empty(), "{kind} {settle:?}");
            }
            assert_eq!(exactly.ledger.repeated + wholly.ledger.repeated, 0, "{kind} {settle:?}");
        }
    }
}
