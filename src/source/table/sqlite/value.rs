//! SQLite values: as JSON, as the text of a key, and as literals that keep their storage class.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Result, ToSql};

use crate::source::table::json::{float_word, push_bytes, push_float, push_fmt, push_integer, push_text};

/// A literal on its way back into a query. A text that is no UTF-8 stays a text.
pub enum Parameter {
    Plain(Value),
    OddText(Vec<u8>),
}

impl ToSql for Parameter {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Plain(value) => ToSqlOutput::Borrowed(ValueRef::from(value)),
            Self::OddText(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
        })
    }
}

/// The value as an SQL literal: `17`, `1.5`, `'text'`, `x'00ff'`; `None` for NULL.
pub fn literal(value: ValueRef<'_>) -> Option<String> {
    if value == ValueRef::Null {
        return None;
    }
    let mut out = String::new();
    push_literal(&mut out, value);
    Some(out)
}

/// Appends the value as an SQL literal.
pub fn push_literal(out: &mut String, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.push_str("NULL"),
        ValueRef::Integer(number) => push_fmt(out, format_args!("{number}")),
        ValueRef::Real(number) => push_real(out, number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => {
                out.push('\'');
                out.push_str(&text.replace('\'', "''"));
                out.push('\'');
            }
            Err(_) => push_fmt(out, format_args!("CAST(x'{}' AS TEXT)", data_encoding::HEXLOWER.encode(bytes))),
        },
        ValueRef::Blob(bytes) => push_fmt(out, format_args!("x'{}'", data_encoding::HEXLOWER.encode(bytes))),
    }
}

fn push_real(out: &mut String, number: f64) {
    if number.is_infinite() {
        // SQLite has no word for it; any literal beyond the range is read as infinity.
        out.push_str(if number > 0.0 { "9e999" } else { "-9e999" });
    } else {
        push_fmt(out, format_args!("{number:?}"));
    }
}

/// The value that a literal stands for. What is no literal is a text.
pub fn parsed(literal: &str) -> Parameter {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
    if let Some(text) = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Parameter::Plain(Value::Text(text.replace("''", "'")));
    }
    if let Some(bytes) = literal.strip_prefix("x'").and_then(|rest| rest.strip_suffix('\'')).and_then(hex) {
        return Parameter::Plain(Value::Blob(bytes));
    }
    let odd = literal.strip_prefix("CAST(x'").and_then(|rest| rest.strip_suffix("' AS TEXT)"));
    if let Some(bytes) = odd.and_then(hex) {
        return Parameter::OddText(bytes);
    }
    if let Ok(number) = literal.parse::<i64>() {
        return Parameter::Plain(Value::Integer(number));
    }
    match literal.parse::<f64>() {
        Ok(number) => Parameter::Plain(Value::Real(number)),
        Err(_) => Parameter::Plain(Value::Text(literal.to_owned())),
    }
}

/// What people write as a literal: a number where `is_number` allows it, else a text.
pub fn written(text: &str, is_number: bool) -> String {
    let number = text.parse::<i64>().is_ok() || text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number && number {
        return text.to_owned();
    }
    let mut out = String::new();
    push_literal(&mut out, ValueRef::Text(text.as_bytes()));
    out
}

/// Appends the value as JSON, the numbers of `decimal` columns as strings. Fails for a text that is no UTF-8.
pub fn push_json(out: &mut String, value: ValueRef<'_>, decimal: bool) -> std::result::Result<(), &'static str> {
    match value {
        ValueRef::Integer(number) if decimal => push_fmt(out, format_args!("\"{number}\"")),
        ValueRef::Real(number) if decimal && number.is_finite() => push_fmt(out, format_args!("\"{number}\"")),
        ValueRef::Null => out.push_str("null"),
        ValueRef::Integer(number) => push_integer(out, number),
        ValueRef::Real(number) => push_float(out, number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => push_text(out, text),
            Err(_) => {
                out.push_str("null");
                return Err("holds a text that is not valid UTF-8");
            }
        },
        ValueRef::Blob(bytes) => push_bytes(out, bytes),
    }
    Ok(())
}

/// Appends the bytes that identify a value in a key: a text's own bytes, a number's digits, a blob as `x'00ff'`.
pub fn push_key(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(bytes) => out.extend_from_slice(bytes),
        ValueRef::Real(number) if number.is_infinite() => out.extend_from_slice(float_word(number).as_bytes()),
        other => {
            let mut text = String::new();
            push_literal(&mut text, other);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(value: ValueRef<'_>) -> Parameter {
        parsed(&literal(value).expect("not NULL"))
    }

    #[test]
    fn a_literal_keeps_the_storage_class() {
        assert!(matches!(back(ValueRef::Text(b"17")), Parameter::Plain(Value::Text(t)) if t == "17"));
        assert!(matches!(back(ValueRef::Integer(-17)), Parameter::Plain(Value::Integer(-17))));
        assert!(matches!(back(ValueRef::Real(2.0)), Parameter::Plain(Value::Real(n)) if n == 2.0));
        assert!(matches!(back(ValueRef::Real(f64::INFINITY)), Parameter::Plain(Value::Real(n)) if n == f64::INFINITY));
        assert!(matches!(back(ValueRef::Blob(b"\x00'")), Parameter::Plain(Value::Blob(b)) if b == b"\x00'"));
        assert!(matches!(back(ValueRef::Text(b"\xff")), Parameter::OddText(b) if b == b"\xff"));
    }

    #[test]
    fn what_people_write_is_a_number_only_where_numbers_are_stored() {
        assert_eq!(written("100", true), "100");
        assert_eq!(written("100", false), "'100'");
        assert_eq!(written("it's", true), "'it''s'");
    }

    proptest! {
        #[test]
        fn texts_and_numbers_read_back_exactly(text in ".*", number in any::<f64>().prop_filter("a number", |n| !n.is_nan())) {
            prop_assert!(matches!(back(ValueRef::Text(text.as_bytes())), Parameter::Plain(Value::Text(t)) if t == text));
            prop_assert!(matches!(back(ValueRef::Real(number)), Parameter::Plain(Value::Real(n)) if n == number));
        }
    }
}
