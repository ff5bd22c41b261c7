//! NUMERIC from its binary form (`numeric_send`): base-10,000 digits, written out with every digit they stand for.

use super::cell::{DAMAGED, Problem};
use crate::source::table::json::push_fmt;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// Appends the number as PostgreSQL writes it, with as many fraction digits as it was stored with.
pub fn push_numeric(out: &mut String, raw: &[u8]) -> Result<(), Problem> {
    let (head, digits) = raw.split_first_chunk::<8>().ok_or(DAMAGED)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let weight = i32::from(word(2).cast_signed());
    let scale = usize::from(word(6));
    if digits.len() != usize::from(word(0)) * 2 {
        return Err(DAMAGED);
    }
    match word(4) {
        NAN => return push_word(out, "NaN"),
        INFINITY => return push_word(out, "Infinity"),
        MINUS_INFINITY => return push_word(out, "-Infinity"),
        NEGATIVE => out.push('-'),
        _ => {}
    }
    let digit = |place: i32| {
        let at = usize::try_from(weight - place).ok().map(|at| at * 2);
        at.and_then(|at| digits.get(at..at + 2)).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if weight < 0 {
        out.push('0');
    }
    for place in (0..=weight).rev() {
        let value = digit(place);
        if place == weight { push_fmt(out, format_args!("{value}")) } else { push_fmt(out, format_args!("{value:04}")) }
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut place = -1;
        while out.len() < end {
            push_fmt(out, format_args!("{:04}", digit(place)));
            place -= 1;
        }
        out.truncate(end);
    }
    Ok(())
}

fn push_word(out: &mut String, word: &str) -> Result<(), Problem> {
    out.push_str(word);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> String {
        let mut raw = Vec::new();
        let count = u16::try_from(digits.len()).expect("few digits");
        for word in [count, weight.cast_unsigned(), sign, scale].iter().chain(digits) {
            raw.extend(word.to_be_bytes());
        }
        let mut out = String::new();
        push_numeric(&mut out, &raw).expect("valid");
        out
    }

    #[test]
    fn every_digit_and_the_scale_are_kept() {
        assert_eq!(text(0, 0, 2, &[12, 5000]), "12.50");
        assert_eq!(text(1, NEGATIVE, 0, &[1, 2]), "-10002");
        assert_eq!(text(2, 0, 0, &[1]), "100000000");
        assert_eq!(text(-2, 0, 6, &[100]), "0.000001");
        assert_eq!(text(0, 0, 3, &[]), "0.000");
        assert_eq!(text(0, NAN, 0, &[]), "NaN");
        assert_eq!(text(0, MINUS_INFINITY, 0, &[]), "-Infinity");
    }
}
