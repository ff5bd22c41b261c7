//! PostgreSQL values in their binary form: as exact JSON, and as the database's own text.
//! Formats: the `..._send` functions of PostgreSQL's `src/backend/utils/adt`. What has no case here is asked for as text.

use tokio_postgres::types::{Kind, Type};

use super::numeric::push_numeric;
use crate::source::table::calendar::{Style, Zone, push_clock, push_date, push_moment};
use crate::source::table::json::{
    push_bytes, push_compact, push_float, push_fmt, push_integer, push_single, push_text,
};

/// How a column's bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
    Array(Box<Cell>),
    /// Asked for as `::text`; a JSON string.
    AsText,
    /// Asked for as `to_json(..)::text`; JSON already.
    AsJson,
}

/// Why a value can't be said.
pub type Problem = &'static str;

impl Cell {
    /// How values of this type are read.
    pub fn of(kind: &Type) -> Self {
        match *kind {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::OID => Self::Oid,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => Self::Numeric,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Self::Text,
            Type::BYTEA => Self::Bytes,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::TimestampTz,
            Type::UUID => Self::Uuid,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Jsonb,
            _ => match kind.kind() {
                Kind::Enum(_) => Self::Text,
                Kind::Domain(base) => Self::of(base),
                Kind::Array(element) => match Self::of(element) {
                    Self::AsText | Self::AsJson => Self::AsJson,
                    cell => Self::Array(Box::new(cell)),
                },
                _ => Self::AsText,
            },
        }
    }

    /// How the column stands in a SELECT.
    pub fn selected(&self, sql: &str) -> String {
        match self {
            Self::AsText => format!("{sql}::text"),
            Self::AsJson => format!("to_json({sql})::text"),
            _ => sql.to_owned(),
        }
    }

    /// Whether [`Cell::push_text`] gives just the text that the database's own cast gives.
    pub fn has_text(&self) -> bool {
        !matches!(self, Self::Float4 | Self::Float8 | Self::Json | Self::Jsonb | Self::Array(_) | Self::AsJson)
    }

    /// Appends the value as JSON.
    pub fn push_json(&self, out: &mut String, raw: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Bool => out.push_str(if raw == [1] { "true" } else { "false" }),
            Self::Int2 => push_integer(out, i16::from_be_bytes(sized(raw)?).into()),
            Self::Int4 => push_integer(out, i32::from_be_bytes(sized(raw)?).into()),
            Self::Int8 => push_integer(out, i64::from_be_bytes(sized(raw)?)),
            Self::Oid => push_integer(out, u32::from_be_bytes(sized(raw)?).into()),
            Self::Float4 => push_single(out, f32::from_be_bytes(sized(raw)?)),
            Self::Float8 => push_float(out, f64::from_be_bytes(sized(raw)?)),
            Self::Text | Self::AsText => push_text(out, utf8(raw)?),
            Self::Bytes => push_bytes(out, raw),
            Self::Timestamp => in_quotes(out, |out| {
                push_moment(out, i64::from_be_bytes(sized(raw)?), Zone::Absent, Style::Rfc3339);
                Ok(())
            })?,
            Self::TimestampTz => in_quotes(out, |out| {
                push_moment(out, i64::from_be_bytes(sized(raw)?), Zone::Utc, Style::Rfc3339);
                Ok(())
            })?,
            Self::Numeric | Self::Date | Self::Time | Self::Uuid => in_quotes(out, |out| self.push_text(out, raw))?,
            Self::Json | Self::AsJson => push_compact(out, utf8(raw)?),
            // A version byte stands before the text (jsonb_send).
            Self::Jsonb => push_compact(out, utf8(raw.get(1..).ok_or(DAMAGED)?)?),
            Self::Array(element) => push_array(out, element, raw)?,
        }
        Ok(())
    }

    /// Appends the value as the database's own text.
    pub fn push_text(&self, out: &mut String, raw: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Bool => out.push_str(if raw == [1] { "true" } else { "false" }),
            Self::Int2 => push_fmt(out, format_args!("{}", i16::from_be_bytes(sized(raw)?))),
            Self::Int4 => push_fmt(out, format_args!("{}", i32::from_be_bytes(sized(raw)?))),
            Self::Int8 => push_fmt(out, format_args!("{}", i64::from_be_bytes(sized(raw)?))),
            Self::Oid => push_fmt(out, format_args!("{}", u32::from_be_bytes(sized(raw)?))),
            Self::Numeric => push_numeric(out, raw)?,
            Self::Text | Self::AsText => out.push_str(utf8(raw)?),
            Self::Bytes => {
                out.push_str("\\x");
                data_encoding::HEXLOWER.encode_append(raw, out);
            }
            Self::Date => push_date(out, i32::from_be_bytes(sized(raw)?)),
            Self::Time => push_clock(out, i64::from_be_bytes(sized(raw)?)),
            Self::Timestamp => push_moment(out, i64::from_be_bytes(sized(raw)?), Zone::Absent, Style::Database),
            Self::TimestampTz => push_moment(out, i64::from_be_bytes(sized(raw)?), Zone::Utc, Style::Database),
            Self::Uuid => push_uuid(out, sized(raw)?),
            Self::Float4 | Self::Float8 | Self::Json | Self::Jsonb | Self::Array(_) | Self::AsJson => {
                return Err("has no text to compare by");
            }
        }
        Ok(())
    }
}

pub(super) const DAMAGED: Problem = "came in an unexpected binary form";

fn sized<const N: usize>(raw: &[u8]) -> Result<[u8; N], Problem> {
    raw.try_into().map_err(|_| DAMAGED)
}

fn utf8(raw: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(raw).map_err(|_| "holds a text that is not valid UTF-8")
}

fn in_quotes(out: &mut String, push: impl FnOnce(&mut String) -> Result<(), Problem>) -> Result<(), Problem> {
    out.push('"');
    push(out)?;
    out.push('"');
    Ok(())
}

fn push_uuid(out: &mut String, bytes: [u8; 16]) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_fmt(out, format_args!("{byte:02x}"));
    }
}

/// `array_send`: dimensions, a flag, the element type, length and lower bound of each dimension, then the elements.
fn push_array(out: &mut String, element: &Cell, raw: &[u8]) -> Result<(), Problem> {
    let mut rest = raw;
    let dimensions = usize::try_from(take_i32(&mut rest)?).map_err(|_| DAMAGED)?;
    take_i32(&mut rest)?;
    take_i32(&mut rest)?;
    let mut lengths = Vec::with_capacity(dimensions.min(6));
    for _ in 0..dimensions {
        lengths.push(take_i32(&mut rest)?);
        take_i32(&mut rest)?;
    }
    if lengths.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    push_dimension(out, element, &lengths, &mut rest)
}

fn push_dimension(out: &mut String, element: &Cell, lengths: &[i32], rest: &mut &[u8]) -> Result<(), Problem> {
    let Some((length, inner)) = lengths.split_first() else {
        let size = take_i32(rest)?;
        let Ok(size) = usize::try_from(size) else {
            out.push_str("null");
            return Ok(());
        };
        let value = rest.get(..size).ok_or(DAMAGED)?;
        *rest = &rest[size..];
        return element.push_json(out, value);
    };
    out.push('[');
    for at in 0..*length {
        if at > 0 {
            out.push(',');
        }
        push_dimension(out, element, inner, rest)?;
    }
    out.push(']');
    Ok(())
}

fn take_i32(rest: &mut &[u8]) -> Result<i32, Problem> {
    let (first, after) = rest.split_first_chunk::<4>().ok_or(DAMAGED)?;
    *rest = after;
    Ok(i32::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(cell: &Cell, raw: &[u8]) -> Result<String, Problem> {
        let mut out = String::new();
        cell.push_json(&mut out, raw).map(|()| out)
    }

    #[test]
    fn a_value_of_the_wrong_size_is_a_problem_and_no_panic() {
        for cell in [Cell::Int8, Cell::Date, Cell::Uuid, Cell::Numeric, Cell::Array(Box::new(Cell::Int4)), Cell::Jsonb]
        {
            assert_eq!(json(&cell, &[]), Err(DAMAGED), "{cell:?}");
        }
        assert!(json(&Cell::Text, b"\xff").is_err());
    }

    #[test]
    fn arrays_nest_by_dimension() {
        let mut raw = Vec::new();
        for number in [2i32, 1, 23, 2, 1, 1, 1] {
            raw.extend(number.to_be_bytes());
        }
        for element in [Some(7i32), None] {
            match element {
                Some(value) => raw.extend([4i32.to_be_bytes(), value.to_be_bytes()].concat()),
                None => raw.extend((-1i32).to_be_bytes()),
            }
        }
        assert_eq!(json(&Cell::Array(Box::new(Cell::Int4)), &raw), Ok("[[7],[null]]".into()));
    }
}
