//! MariaDB through its ODBC driver: the rules of all adapters, exact values, sweeps.

use std::sync::MutexGuard;

use highwater::error::ErrorKind;
use highwater::setting::Secret;
use highwater::source::Source;
use highwater::source::settings::{OdbcSettings, TableFrom, TableSettings};

use super::conformance::{Place, conformance_suite};
use super::odbc::{driver, settings, source};
use super::{Bench, table};
use crate::support::mariadb::{Database, PASSWORD, database, quiet_database};

conformance_suite!(new_place());

/// A MariaDB database that is read through ODBC.
pub struct Driven(
    Database,
    #[expect(dead_code, reason = "held while the server has to be quiet")] Option<MutexGuard<'static, ()>>,
);

/// A new one.
pub fn new_place() -> Driven {
    let place = database();
    place.run("SET SESSION sql_mode = 'ANSI_QUOTES'");
    Driven(place, None)
}

/// One on a server without tables of other engines, of which nobody knows whether they are meant.
pub fn new_quiet_place() -> Driven {
    let (place, guard) = quiet_database();
    place.run("SET SESSION sql_mode = 'ANSI_QUOTES'");
    Driven(place, Some(guard))
}

impl Place for Driven {
    fn run(&self, sql: &str) {
        let sql = sql.replace(" TEXT", " VARCHAR(200) COLLATE utf8mb4_nopad_bin");
        self.0.run(&sql.replace(" NUMERIC ", " NUMERIC(20,2) "));
    }

    fn source(&self, table: &TableSettings) -> Box<dyn Source> {
        let from = match &table.from {
            TableFrom::Table(name) => TableFrom::Table(name.replace('"', "`")),
            query => query.clone(),
        };
        let Database { name, port, .. } = &self.0;
        let driver = driver("libmaodbc.so");
        let connection = format!("Driver={driver};Server=127.0.0.1;Port={port};Database={name};UID=reader");
        let table = TableSettings { from, ..table.clone() };
        source(&OdbcSettings { password: Some(Secret::literal(PASSWORD)), ..settings(&connection, &table) })
    }

    fn fill(&self, first: u32, count: u32, tie: u32) {
        self.0.fill(first, count, tie);
    }
}

#[test]
fn values_are_exact() {
    let place = new_place();
    place.0.run(
        "CREATE TABLE v (id int PRIMARY KEY, at datetime(6) NOT NULL, big bigint unsigned, n decimal(30,10), d double, \
         day date, clock time, word varchar(20), raw varbinary(9))",
    );
    place.0.run(
        "INSERT INTO v VALUES (1, '2026-11-23 10:15:00.123456', 18446744073709551615, \
         12345678901234567890.0123456789, 0.1, '2026-11-23', '10:15:01', 'Grüße 🦀', x'00ff'), \
         (2, '2026-11-24', NULL, NULL, NULL, NULL, NULL, '', NULL)",
    );
    let mut bench = Bench::new(place.source(&table("v", &["at"], &["id"])));
    bench.poll();
    let first = serde_json::json!({
        "id": 1, "at": "2026-11-23T10:15:00.123456", "big": "18446744073709551615",
        "n": "12345678901234567890.0123456789", "d": 0.1, "day": "2026-11-23", "clock": "10:15:01", "word": "Grüße 🦀",
        "raw": "AP8="
    });
    assert_eq!(bench.ledger.told[0].row, first);
    assert_eq!(bench.ledger.told[1].row["word"], "");
    assert_eq!(bench.ledger.told[1].row["n"], serde_json::Value::Null);
}

#[test]
fn a_wrong_password_is_one_clear_line() {
    let place = new_place();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int)");
    let Database { port, .. } = &place.0;
    let connection = format!("Driver={};Server=127.0.0.1;Port={port};UID=reader", driver("libmaodbc.so"));
    let wrong = settings(&connection, &table("item", &["at"], &["id"]));
    let wrong = OdbcSettings { password: Some(Secret::literal("sesame")), ..wrong };
    let error = Bench::new(source(&wrong)).try_poll().expect_err("the password is wrong");
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Denied, "{text}");
    assert!(!text.contains('\n') && !text.contains("sesame"), "{text}");
}
