//! MySQL's values as they come over the binary protocol, which rounds nothing: as exact JSON, and as the text that
//! watermarks and keys travel as. How a text becomes a value again is in `layout`.

use data_encoding::HEXUPPER;
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Value};

use crate::source::table::json::{
    push_bytes, push_compact, push_float, push_fmt, push_integer, push_single, push_text,
};

/// The number that stands for "binary" among the character sets.
const BINARY: u16 = 63;
/// Integers up to this are exact in every JSON reader.
const EXACT_MAX: u64 = 1 << 53;

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// TINYINT to BIGINT, YEAR.
    Whole,
    /// FLOAT.
    Single,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal,
    /// Texts of any character set, ENUM, SET.
    Text,
    /// JSON.
    Json,
    /// BINARY, VARBINARY, BLOB.
    Bytes,
    /// BIT.
    Bits,
    /// DATE.
    Date,
    /// DATETIME: without a zone.
    Moment,
    /// TIMESTAMP: UTC.
    Instant,
    /// TIME, which may be negative or longer than a day.
    Time,
    /// A spatial value.
    Geometry,
}

/// Why a value can't be said.
pub type Problem = &'static str;

const ODD: Problem = "came in an unexpected form";

impl Cell {
    /// How values of this column are read.
    pub fn of(column: &Column) -> Self {
        match column.column_type() {
            ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_LONGLONG
            | ColumnType::MYSQL_TYPE_YEAR => Self::Whole,
            ColumnType::MYSQL_TYPE_FLOAT => Self::Single,
            ColumnType::MYSQL_TYPE_DOUBLE => Self::Double,
            ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => Self::Decimal,
            ColumnType::MYSQL_TYPE_BIT => Self::Bits,
            ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => Self::Date,
            ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => Self::Moment,
            ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => Self::Instant,
            ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => Self::Time,
            ColumnType::MYSQL_TYPE_JSON => Self::Json,
            ColumnType::MYSQL_TYPE_GEOMETRY => Self::Geometry,
            _ if column.character_set() == BINARY => Self::Bytes,
            _ => Self::Text,
        }
    }

    /// Whether it is a point in time.
    pub fn is_clock(self) -> bool {
        matches!(self, Self::Date | Self::Moment | Self::Instant)
    }

    /// Appends the value as JSON.
    pub fn push_json(self, out: &mut String, value: &Value) -> Result<(), Problem> {
        match (self, value) {
            (_, Value::NULL) => out.push_str("null"),
            (_, Value::Int(number)) => push_integer(out, *number),
            (_, Value::UInt(number)) => push_unsigned(out, *number),
            (_, Value::Float(number)) => push_single(out, *number),
            (_, Value::Double(number)) => push_float(out, *number),
            (Self::Bits, Value::Bytes(bytes)) => push_unsigned(out, bits(bytes)?),
            (Self::Bytes | Self::Geometry, Value::Bytes(bytes)) => push_bytes(out, bytes),
            (Self::Json, Value::Bytes(bytes)) => push_checked(out, utf8(bytes)?)?,
            (_, Value::Bytes(bytes)) => push_text(out, utf8(bytes)?),
            (_, Value::Date(year, month, day, ..)) => {
                if *month == 0 || *day == 0 {
                    return Err("holds a zero date, which is no date");
                }
                if *year == 0 {
                    return Err("holds a date in the year 0");
                }
                out.push('"');
                let from = out.len();
                self.push_text(out, value)?;
                if self != Self::Date {
                    out.replace_range(from + 10..from + 11, "T");
                }
                out.push_str(if self == Self::Instant { "Z\"" } else { "\"" });
            }
            (_, Value::Time(..)) => {
                out.push('"');
                self.push_text(out, value)?;
                out.push('"');
            }
        }
        Ok(())
    }

    /// Appends the value as a text that the database reads back as the same.
    pub fn push_text(self, out: &mut String, value: &Value) -> Result<(), Problem> {
        match (self, value) {
            (_, Value::NULL) => return Err("is NULL"),
            (_, Value::Int(number)) => push_fmt(out, format_args!("{number}")),
            (_, Value::UInt(number)) => push_fmt(out, format_args!("{number}")),
            // The double that it is exactly: as a FLOAT's own text it would be rounded.
            (_, Value::Float(number)) => push_fmt(out, format_args!("{}", f64::from(*number))),
            (_, Value::Double(number)) => push_fmt(out, format_args!("{number}")),
            (Self::Bits, Value::Bytes(bytes)) => push_fmt(out, format_args!("{}", bits(bytes)?)),
            (Self::Bytes | Self::Geometry, Value::Bytes(bytes)) => HEXUPPER.encode_append(bytes, out),
            (_, Value::Bytes(bytes)) => out.push_str(utf8(bytes)?),
            (_, Value::Date(year, month, day, hour, minute, second, micros)) => {
                push_fmt(out, format_args!("{year:04}-{month:02}-{day:02}"));
                if self != Self::Date {
                    push_fmt(out, format_args!(" {hour:02}:{minute:02}:{second:02}"));
                    push_fraction(out, *micros);
                }
            }
            (_, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                let hours = u64::from(*days) * 24 + u64::from(*hours);
                let sign = if *negative { "-" } else { "" };
                push_fmt(out, format_args!("{sign}{hours:02}:{minutes:02}:{seconds:02}"));
                push_fraction(out, *micros);
            }
        }
        Ok(())
    }
}

fn push_unsigned(out: &mut String, number: u64) {
    match number {
        0..=EXACT_MAX => push_fmt(out, format_args!("{number}")),
        _ => push_fmt(out, format_args!("\"{number}\"")),
    }
}

/// Microseconds, without trailing zeros.
fn push_fraction(out: &mut String, micros: u32) {
    if micros > 0 {
        push_fmt(out, format_args!(".{micros:06}"));
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// JSON as MariaDB keeps it is a text that somebody promised to be JSON.
fn push_checked(out: &mut String, json: &str) -> Result<(), Problem> {
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
        return Err("holds a text that is not valid JSON");
    }
    push_compact(out, json);
    Ok(())
}

fn bits(bytes: &[u8]) -> Result<u64, Problem> {
    if bytes.len() > 8 {
        return Err(ODD);
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| "holds a text that is not valid UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(cell: Cell, value: &Value) -> Result<String, Problem> {
        let mut out = String::new();
        cell.push_json(&mut out, value).map(|()| out)
    }

    #[test]
    fn points_in_time_keep_their_digits_and_say_their_zone_where_they_have_one() {
        let value = Value::Date(2026, 11, 23, 10, 15, 0, 120_000);
        assert_eq!(json(Cell::Instant, &value), Ok("\"2026-11-23T10:15:00.12Z\"".into()));
        assert_eq!(json(Cell::Moment, &value), Ok("\"2026-11-23T10:15:00.12\"".into()));
        assert_eq!(json(Cell::Date, &value), Ok("\"2026-11-23\"".into()));
        assert_eq!(json(Cell::Time, &Value::Time(true, 34, 22, 59, 59, 1)), Ok("\"-838:59:59.000001\"".into()));
        assert!(json(Cell::Date, &Value::Date(0, 0, 0, 0, 0, 0, 0)).is_err());
        assert!(json(Cell::Moment, &Value::Date(2026, 0, 1, 0, 0, 0, 0)).is_err());
    }

    #[test]
    fn what_is_no_json_or_no_text_is_a_problem_and_no_panic() {
        assert!(json(Cell::Json, &Value::Bytes(b"{".to_vec())).is_err());
        assert!(json(Cell::Text, &Value::Bytes(b"\xff".to_vec())).is_err());
        assert!(json(Cell::Bits, &Value::Bytes(vec![0; 9])).is_err());
        assert_eq!(json(Cell::Bits, &Value::Bytes(vec![1, 0])), Ok("256".into()));
    }
}
