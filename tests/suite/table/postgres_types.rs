//! PostgreSQL's types: what is stored, as the exact JSON it is told as.

use super::postgres::{settings, source};
use super::{Bench, query};
use crate::support::postgres::database;

/// SQL expression, the JSON it must be told as.
const CASES: &[(&str, &str)] = &[
    ("NULL::int", "null"),
    ("true", "true"),
    ("32767::int2", "32767"),
    ("'-2147483648'::int4", "-2147483648"),
    ("9007199254740992::int8", "9007199254740992"),
    ("9007199254740993::int8", "\"9007199254740993\""),
    ("'-9223372036854775808'::int8", "\"-9223372036854775808\""),
    ("4294967295::oid", "4294967295"),
    ("0.1::float4", "0.1"),
    ("0.1::float8", "0.1"),
    ("'NaN'::float8", "\"NaN\""),
    ("'-Infinity'::float4", "\"-Infinity\""),
    ("12.50::numeric(10,2)", "\"12.50\""),
    ("'123456789012345678901234567890.123456789'::numeric", "\"123456789012345678901234567890.123456789\""),
    ("-0.000001::numeric", "\"-0.000001\""),
    ("0::numeric(9,3)", "\"0.000\""),
    ("10000::numeric", "\"10000\""),
    ("'NaN'::numeric", "\"NaN\""),
    ("'a\"b\\c' || chr(10) || chr(1)", "\"a\\\"b\\\\c\\n\\u0001\""),
    ("'Grüße €'::varchar(20)", "\"Grüße €\""),
    ("'ab'::char(4)", "\"ab  \""),
    ("'x'::\"char\"", "\"x\""),
    ("'\\x00ff10'::bytea", "\"AP8Q\""),
    ("''::bytea", "\"\""),
    ("'2026-11-23'::date", "\"2026-11-23\""),
    ("'0044-03-15 BC'::date", "\"0044-03-15 BC\""),
    ("'infinity'::date", "\"infinity\""),
    ("'10:15:00.123456'::time", "\"10:15:00.123456\""),
    ("'2026-11-23 10:15:00.123456'::timestamp", "\"2026-11-23T10:15:00.123456\""),
    ("'2026-11-23 10:15:00.1'::timestamp", "\"2026-11-23T10:15:00.1\""),
    ("'2026-11-23 12:15:00.123456+02'::timestamptz", "\"2026-11-23T10:15:00.123456Z\""),
    ("'1969-12-31 23:59:59.999999+00'::timestamptz", "\"1969-12-31T23:59:59.999999Z\""),
    ("'-infinity'::timestamptz", "\"-infinity\""),
    ("'20000-01-01'::timestamp", "\"20000-01-01 00:00:00\""),
    ("'1 year 2 days 03:04:05.6'::interval", "\"P1Y2DT3H4M5.6S\""),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
    ("'{\"b\": [1,\n 2.50], \"a\": \"x y\"}'::json", "{\"b\":[1,2.50],\"a\":\"x y\"}"),
    ("'{\"b\": 12345678901234567890}'::jsonb", "{\"b\":12345678901234567890}"),
    ("ARRAY[1, NULL, 3]", "[1,null,3]"),
    ("ARRAY[[1.5, 2.0], [3, 4]]::numeric[]", "[[\"1.5\",\"2.0\"],[\"3\",\"4\"]]"),
    ("'{}'::text[]", "[]"),
    ("ARRAY['a,b', '\"']", "[\"a,b\",\"\\\"\"]"),
    ("'[2:3]={1,2}'::int[]", "[1,2]"),
    ("ARRAY['2026-11-23 10:15:00+00'::timestamptz]", "[\"2026-11-23T10:15:00Z\"]"),
    ("ARRAY['10.0.0.1'::inet]", "[\"10.0.0.1\"]"),
    ("'happy'::mood", "\"happy\""),
    ("ARRAY['happy'::mood]", "[\"happy\"]"),
    ("7::small", "7"),
    ("'[1,5)'::int4range", "\"[1,5)\""),
    ("'(1,2)'::point", "\"(1,2)\""),
    ("ROW(1, 'a b')::pair", "\"(1,\\\"a b\\\")\""),
    ("'10.0.0.0/8'::cidr", "\"10.0.0.0/8\""),
    ("B'101'", "\"101\""),
    ("'<a/>'::xml", "\"<a/>\""),
    ("'a:1 b'::tsvector", "\"'a':1 'b'\""),
];

#[test]
fn every_value_is_told_exactly() {
    let place = database();
    place.run("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 10)");
    place.run("CREATE TYPE pair AS (n int, t text); GRANT pg_read_all_data TO reader");
    let columns: Vec<String> = CASES.iter().enumerate().map(|(at, (sql, _))| format!("{sql} AS c{at}")).collect();
    let sql = format!("SELECT 1 AS id, 1 AS at, {}", columns.join(", "));
    let mut bench = Bench::new(source(&settings(&place.address("reader"), &query(&sql, &["at"], &["id"]))));
    bench.poll();
    let text = &bench.ledger.told[0].row_text;
    for (at, (sql, json)) in CASES.iter().enumerate() {
        let ends = [format!("\"c{at}\":{json},\"c{}\"", at + 1), format!("\"c{at}\":{json}}}")];
        assert!(ends.iter().any(|end| text.contains(end)), "{sql} should be {json} in {text}");
    }
}

#[test]
fn keys_are_the_database_s_own_text() {
    let place = database();
    place.run("GRANT pg_read_all_data TO reader");
    for (sql, key) in [
        ("12.50::numeric", "12.50"),
        ("'2026-11-23 10:15:00.5+00'::timestamptz", "2026-11-23 10:15:00.5+00"),
        ("'\\x00ff'::bytea", "\\x00ff"),
        ("true", "true"),
        ("1.5::float8", "1.5"),
        ("'10.0.0.1'::inet", "10.0.0.1/32"),
        ("'{1,2}'::int[]", "{1,2}"),
    ] {
        assert_eq!(place.text(&format!("SELECT ({sql})::text")).trim_end_matches("/32"), key.trim_end_matches("/32"));
        let sql = format!("SELECT {sql} AS id, 1 AS at");
        let mut bench = Bench::new(source(&settings(&place.address("reader"), &query(&sql, &["at"], &["id"]))));
        assert_eq!(bench.told_by_a_poll()[0].trim_end_matches("/32"), key.trim_end_matches("/32"));
    }
}
