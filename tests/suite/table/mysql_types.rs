//! MySQL's types: what is stored, as the exact JSON it is told as.

use super::mysql::{settings, source};
use super::{Bench, table};
use crate::support::mariadb::database;

/// Type, SQL expression, the JSON it must be told as.
const CASES: &[(&str, &str, &str)] = &[
    ("int", "NULL", "null"),
    ("bool", "TRUE", "1"),
    ("tinyint unsigned", "255", "255"),
    ("bigint", "9007199254740992", "9007199254740992"),
    ("bigint", "-9223372036854775808", "\"-9223372036854775808\""),
    ("bigint unsigned", "18446744073709551615", "\"18446744073709551615\""),
    ("float", "0.1", "0.1"),
    ("float", "16777216", "16777216.0"),
    ("double", "0.1", "0.1"),
    ("decimal(10,2)", "12.5", "\"12.50\""),
    (
        "decimal(65,30)",
        "12345678901234567890123456789012345.000000000000000000000000000001",
        "\"12345678901234567890123456789012345.000000000000000000000000000001\"",
    ),
    ("bit(9)", "b'100000001'", "257"),
    ("date", "'2026-11-23'", "\"2026-11-23\""),
    ("datetime", "'2026-11-23 10:15:00'", "\"2026-11-23T10:15:00\""),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", "\"9999-12-31T23:59:59.999999\""),
    ("timestamp(3)", "'2026-11-23 10:15:00.120'", "\"2026-11-23T10:15:00.12Z\""),
    ("time(6)", "'-838:59:59.999999'", "\"-838:59:59.999999\""),
    ("time", "'25:00:01'", "\"25:00:01\""),
    ("year", "2026", "2026"),
    ("char(4)", "'ab'", "\"ab\""),
    ("varchar(20) CHARACTER SET latin1", "'Grüße'", "\"Grüße\""),
    ("text", "'€ 😀 \"\\\\'", "\"€ 😀 \\\"\\\\\""),
    ("varchar(9) CHARACTER SET utf16", "'ü'", "\"ü\""),
    ("binary(3)", "X'00ff'", "\"AP8A\""),
    ("blob", "X'00ff10'", "\"AP8Q\""),
    ("json", "'{\"b\": [1,\\n 2.50], \"a\": \"x y\"}'", "{\"b\":[1,2.50],\"a\":\"x y\"}"),
    ("enum('sad','happy')", "'happy'", "\"happy\""),
    ("set('a','b','c')", "'a,c'", "\"a,c\""),
    ("point", "POINT(1, 2)", "\"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==\""),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
];

#[test]
fn every_value_is_told_exactly() {
    let place = database();
    place.run("SET SESSION time_zone = '+00:00'");
    let columns: Vec<String> = CASES.iter().enumerate().map(|(at, (kind, ..))| format!("c{at} {kind} NULL")).collect();
    place.run(&format!("CREATE TABLE v (id int PRIMARY KEY, at int, {})", columns.join(", ")));
    let values: Vec<&str> = CASES.iter().map(|(_, sql, _)| *sql).collect();
    place.run(&format!("INSERT INTO v VALUES (1, 1, {})", values.join(", ")));
    let mut bench = Bench::new(source(&settings(&place.address("reader"), &table("v", &["at"], &["id"]))));
    bench.poll();
    let text = &bench.ledger.told[0].row_text;
    for (at, (kind, sql, json)) in CASES.iter().enumerate() {
        let ends = [format!("\"c{at}\":{json},\"c{}\"", at + 1), format!("\"c{at}\":{json}}}")];
        assert!(ends.iter().any(|end| text.contains(end)), "{kind} {sql} should be {json} in {text}");
    }
}

#[test]
fn a_zero_date_refuses_its_row_and_no_other() {
    let place = database();
    place.run("SET SESSION sql_mode = ''; CREATE TABLE z (id int PRIMARY KEY, at int, d date)");
    place.run("INSERT INTO z VALUES (1, 1, '0000-00-00'), (2, 2, '2026-11-23'), (3, 3, '2026-00-10')");
    let mut bench = Bench::new(source(&settings(&place.address("reader"), &table("z", &["at"], &["id"]))));
    assert_eq!(bench.told_by_a_poll(), ["2"]);
    assert!(bench.ledger.refused.iter().all(|(_, reason)| reason.contains("column d") && reason.contains("zero date")));
    assert_eq!(bench.ledger.refused.len(), 2);
}
