//! ODBC values as JSON: integers exact, decimals as strings, points in time as RFC 3339, bytes as base64.
//! Which column has which class belongs to `layout`.

use super::wire::{Cell, Class};
use crate::source::table::json::{push_bytes, push_float, push_fmt, push_integer, push_single, push_text};

/// Appends a value as JSON; what can't be said is null, and the reason is returned.
pub fn push_json(out: &mut String, cell: &Cell, class: Class, value_max: usize) -> Result<(), String> {
    match cell {
        Cell::Null => out.push_str("null"),
        Cell::Text(text) => push_word(out, text, class),
        Cell::Double(number) => push_float(out, *number),
        Cell::Single(number) => push_single(out, *number),
        Cell::Bytes(bytes) => push_bytes(out, bytes),
        Cell::Cut(size) => {
            out.push_str("null");
            let size = if *size == 0 { String::new() } else { format!(" of {size} bytes") };
            return Err(format!("holds a value{size}, which is larger than {} MiB", value_max >> 20));
        }
        Cell::Broken => {
            out.push_str("null");
            return Err("holds a text that is not valid Unicode".into());
        }
    }
    Ok(())
}

fn push_word(out: &mut String, text: &str, class: Class) {
    match class {
        Class::Integer => match text.trim().parse::<i64>() {
            Ok(number) => push_integer(out, number),
            Err(_) => push_text(out, text.trim()),
        },
        Class::Bit => match text.trim() {
            "0" => out.push_str("false"),
            "1" => out.push_str("true"),
            other => push_text(out, other),
        },
        Class::Decimal => push_decimal(out, text.trim()),
        Class::Timestamp => push_moment(out, text.trim()),
        Class::Guid => push_text(out, &text.to_ascii_lowercase()),
        Class::Date | Class::Time => push_text(out, text.trim()),
        Class::Text | Class::Single | Class::Double | Class::Binary => push_text(out, text),
    }
}

/// Some drivers leave out the zero before the point.
fn push_decimal(out: &mut String, text: &str) {
    match (text.strip_prefix("-."), text.strip_prefix('.')) {
        (Some(digits), _) => push_fmt(out, format_args!("\"-0.{digits}\"")),
        (None, Some(digits)) => push_fmt(out, format_args!("\"0.{digits}\"")),
        (None, None) => push_text(out, text),
    }
}

/// `2026-11-23 10:15:00.5` becomes `2026-11-23T10:15:00.5`, with `+01:00` behind a blank drawn to it; anything else stays.
fn push_moment(out: &mut String, text: &str) {
    let form = b"dddd-dd-dd dd:dd:dd";
    let fits = |(byte, form): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
    if text.len() < form.len() || !text.bytes().zip(*form).all(fits) {
        return push_text(out, text);
    }
    let (date, rest) = text.split_at(10);
    push_text(out, &format!("{date}T{}", rest[1..].replace(' ', "")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str, class: Class) -> String {
        let mut out = String::new();
        push_json(&mut out, &Cell::Text(text.into()), class, 16 << 20).expect("sayable");
        out
    }

    #[test]
    fn values_are_exact() {
        assert_eq!(json("9007199254740993", Class::Integer), "\"9007199254740993\"");
        assert_eq!(json("18446744073709551615", Class::Integer), "\"18446744073709551615\"");
        assert_eq!(json("-5", Class::Integer), "-5");
        assert_eq!(json("-.50", Class::Decimal), "\"-0.50\"");
        assert_eq!(json("1", Class::Bit), "true");
        assert_eq!(json("2026-11-23 10:15:00.1234567", Class::Timestamp), "\"2026-11-23T10:15:00.1234567\"");
        assert_eq!(json("2026-11-23 10:15:00.5 +01:00", Class::Timestamp), "\"2026-11-23T10:15:00.5+01:00\"");
        assert_eq!(json("infinity", Class::Timestamp), "\"infinity\"");
        assert_eq!(json("AB", Class::Guid), "\"ab\"");
    }

    #[test]
    fn a_value_that_does_not_fit_says_how_large_it_is() {
        let problem =
            push_json(&mut String::new(), &Cell::Cut(17 << 20), Class::Text, 16 << 20).expect_err("too large");
        assert_eq!(problem, "holds a value of 17825792 bytes, which is larger than 16 MiB");
    }
}
