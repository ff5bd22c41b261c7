//! Fields of a line: words between blanks, and the numbers in them. What a field means is its format's affair.

/// A word and where it stands in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// Its bytes, at least one.
    pub text: &'a [u8],
    /// Where it begins.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The first word of `line` at or behind `from`.
pub fn word(line: &[u8], from: usize) -> Option<Word<'_>> {
    let start = from + line.get(from..)?.iter().position(|byte| !is_blank(*byte))?;
    let len = line[start..].iter().position(|byte| is_blank(*byte)).unwrap_or(line.len() - start);
    Some(Word { text: &line[start..start + len], start, end: start + len })
}

/// All words of `line` at or behind `from`.
pub fn words(line: &[u8], from: usize) -> impl Iterator<Item = Word<'_>> {
    let mut at = from;
    std::iter::from_fn(move || {
        let next = word(line, at)?;
        at = next.end;
        Some(next)
    })
}

/// Whether there is nothing but blanks.
pub fn is_empty(line: &[u8]) -> bool {
    line.iter().all(|byte| is_blank(*byte))
}

/// Without blanks at its beginning.
pub fn unindented(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_blank(**byte)).count();
    &line[blanks..]
}

/// A number that is all digits and fits.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(digit.into()) }
    })
}

/// A number of one or two digits.
pub fn small(text: &[u8]) -> Option<i8> {
    if text.len() > 2 { None } else { number(text).and_then(|value| i8::try_from(value).ok()) }
}

/// A number with digits in groups of three: `1,234,567`, `1.234.567`, `1'234'567`; or without groups.
pub fn grouped_number(text: &[u8]) -> Option<u64> {
    let Some(mark) = text.iter().find(|byte| !byte.is_ascii_digit()) else { return number(text) };
    if !matches!(mark, b',' | b'.' | b'\'' | 0xa0) {
        return None;
    }
    let mut groups = text.split(|byte| byte == mark);
    let first = groups.next().filter(|group| (1..=3).contains(&group.len()))?;
    groups.try_fold(number(first)?, |sum, group| {
        let value = if group.len() == 3 { number(group)? } else { return None };
        sum.checked_mul(1_000)?.checked_add(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_between_blanks_and_know_their_place() {
        let line = b"  ab\tc  ";
        let seen: Vec<_> = words(line, 0).map(|word| (word.text.to_vec(), word.start, word.end)).collect();
        assert_eq!(seen, [(b"ab".to_vec(), 2, 4), (b"c".to_vec(), 5, 6)]);
        assert_eq!(word(line, 99), None);
    }

    #[test]
    fn a_number_is_digits_that_fit_in_64_bits() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"1K", b"-1", b"+1", b"1.0"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn thousands_may_be_grouped_but_only_by_three() {
        assert_eq!(grouped_number(b"1,234,567"), Some(1_234_567));
        assert_eq!(grouped_number(b"1.234"), Some(1_234));
        assert_eq!(grouped_number(b"1234567"), Some(1_234_567));
        for bad in [&b"1,23"[..], b"1234,567", b",123", b"1,234.567", b"1,,234", b"1,234,"] {
            assert_eq!(grouped_number(bad), None, "{bad:?}");
        }
    }
}
