//! Exact JSON, written by hand into one buffer. Which value a column holds belongs to the adapters.

use std::fmt::Write;

use data_encoding::BASE64;

/// Integers up to this are exact in every JSON reader; larger ones are written as strings.
const EXACT_MAX: u64 = 1 << 53;
/// The largest value that is told, in bytes; a larger one makes its row refused.
pub const VALUE_MAX: usize = 16 << 20;

/// Why a value of more than [`VALUE_MAX`] bytes can't be told; `None` where it can.
pub fn too_large(bytes: usize) -> Option<String> {
    (bytes > VALUE_MAX).then(|| format!("holds a value of {bytes} bytes, which is larger than {} MiB", VALUE_MAX >> 20))
}

/// Appends `text` as a JSON string.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => push_fmt(out, format_args!("\\u{control:04x}")),
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends an integer: a number where every reader takes it exactly, else a string.
pub fn push_integer(out: &mut String, value: i64) {
    if value.unsigned_abs() <= EXACT_MAX {
        push_fmt(out, format_args!("{value}"));
    } else {
        push_fmt(out, format_args!("\"{value}\""));
    }
}

/// Appends a floating-point number, the shortest that reads back as the same; what JSON can't say is a string.
pub fn push_float(out: &mut String, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => push_fmt(out, format_args!("{number}")),
        None => push_fmt(out, format_args!("\"{}\"", float_word(value))),
    }
}

/// Like [`push_float`], for single precision: 0.1 stays 0.1.
pub fn push_single(out: &mut String, value: f32) {
    if !value.is_finite() {
        return push_fmt(out, format_args!("\"{}\"", float_word(value.into())));
    }
    match serde_json::to_string(&value) {
        Ok(text) => out.push_str(&text),
        Err(_) => push_float(out, value.into()),
    }
}

/// NaN and the infinities, as PostgreSQL spells them.
pub fn float_word(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Appends bytes as a base64 string.
pub fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    BASE64.encode_append(bytes, out);
    out.push('"');
}

/// Appends a JSON text without the white space between its tokens: an event is one line.
pub fn push_compact(out: &mut String, json: &str) {
    let mut in_string = false;
    let mut escaped = false;
    let mut from = 0;
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            out.push_str(&json[from..at]);
            from = at + 1;
        }
    }
    out.push_str(&json[from..]);
}

/// Several texts as a compact JSON array; one text as itself. Keys and notes are made of this.
pub fn joined<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let several = texts.len() > 1;
    for (at, text) in texts.enumerate() {
        if !several {
            return text.to_owned();
        }
        out.push(if at == 0 { '[' } else { ',' });
        push_text(&mut out, text);
    }
    out.push(']');
    out
}

/// A message without line breaks.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Appends formatted text; a `String` takes everything.
pub fn push_fmt(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(make: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        make(&mut out);
        out
    }

    #[test]
    fn integers_beyond_two_to_the_53_are_strings() {
        assert_eq!(made(|o| push_integer(o, 1 << 53)), "9007199254740992");
        assert_eq!(made(|o| push_integer(o, (1 << 53) + 1)), "\"9007199254740993\"");
        assert_eq!(made(|o| push_integer(o, i64::MIN)), "\"-9223372036854775808\"");
        assert_eq!(made(|o| push_integer(o, 0)), "0");
    }

    #[test]
    fn floats_are_shortest_and_never_invalid_json() {
        assert_eq!(made(|o| push_float(o, 0.1)), "0.1");
        assert_eq!(made(|o| push_float(o, 1e300)), "1e+300");
        assert_eq!(made(|o| push_single(o, 0.1)), "0.1");
        assert_eq!(made(|o| push_float(o, f64::NAN)), "\"NaN\"");
        assert_eq!(made(|o| push_single(o, f32::NEG_INFINITY)), "\"-Infinity\"");
    }

    #[test]
    fn embedded_json_loses_white_space_only_between_tokens() {
        let json = "{ \"a b\" :\n [1, \"x \\\" y\\\\\" , true] }";
        assert_eq!(made(|o| push_compact(o, json)), "{\"a b\":[1,\"x \\\" y\\\\\",true]}");
    }

    #[test]
    fn one_text_is_itself_and_several_are_an_array() {
        assert_eq!(joined(["a\"b"].into_iter()), "a\"b");
        assert_eq!(joined(["a\"b", "2"].into_iter()), "[\"a\\\"b\",\"2\"]");
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text in ".*") {
            let json = made(|o| push_text(o, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("valid"), text);
        }
    }
}
