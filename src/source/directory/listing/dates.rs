//! The date within a line of `ls -l` and what imitates it: `Nov 23 10:15`, `23. Nov 2026`, `2026-11-23 10:15`, `11月 23日 10:15`.
//! In which zone and year that is belongs to `times`.

use super::fields::{Word, number, small, word};
use super::months::month;
use super::times::{Day, OClock, Stamp};

/// The date that begins with the first word at or behind `from`, and where it ends.
pub fn date(line: &[u8], from: usize) -> Option<(Stamp, usize)> {
    let first = word(line, from)?;
    if !first.text[0].is_ascii_digit() {
        let month = month(first.text)?;
        let second = word(line, first.end)?;
        return year_or_clock(line, month, day_of_month(second.text)?, second.end);
    }
    if first.text.contains(&b'-') {
        return dashed(line, first);
    }
    if let Some((month, rest)) = counted_month(first.text) {
        let (day, end) = match rest {
            b"" => word(line, first.end).map(|second| (second.text, second.end))?,
            _ => (rest, first.end),
        };
        return year_or_clock(line, month, day_of_month(day)?, end);
    }
    let day = day_of_month(first.text)?;
    let second = word(line, first.end)?;
    year_or_clock(line, month(second.text)?, day, second.end)
}

fn day_of_month(text: &[u8]) -> Option<i8> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (day, mark) = (small(&text[..digits])?, &text[digits..]);
    let ends = mark.is_empty() || mark == b"." || mark == b"," || mark == "日".as_bytes() || mark == "일".as_bytes();
    (ends && (1..=31).contains(&day)).then_some(day)
}

/// `11月`, `11월`, and what follows in the same word.
fn counted_month(text: &[u8]) -> Option<(i8, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (month, rest) = (small(&text[..digits])?, &text[digits..]);
    let rest = rest.strip_prefix("月".as_bytes()).or_else(|| rest.strip_prefix("월".as_bytes()))?;
    (1..=12).contains(&month).then_some((month, rest))
}

/// What stands behind month and day: a year, or a time of day, or with `ls -T` both.
fn year_or_clock(line: &[u8], month: i8, day: i8, from: usize) -> Option<(Stamp, usize)> {
    let third = word(line, from)?;
    if let Some(year) = year(third.text) {
        return Some((stamp(Some(year), month, day, None), third.end));
    }
    let clock = clock(third.text)?;
    let plain = (stamp(None, month, day, Some(clock)), third.end);
    // `ls -lT` of the BSDs: the year follows a time with seconds.
    let with_year = word(line, third.end)
        .filter(|fourth| clock.second.is_some() && fourth.start == third.end + 1 && fourth.end < line.len())
        .and_then(|fourth| year(fourth.text).map(|year| (stamp(Some(year), month, day, Some(clock)), fourth.end)));
    Some(with_year.unwrap_or(plain))
}

/// `2026-11-23 10:15`, `2026-11-23 10:15:00.123456789 +0100`, `2026-11-23`, `11-23 10:15`.
fn dashed(line: &[u8], first: Word<'_>) -> Option<(Stamp, usize)> {
    let mut parts = first.text.split(|byte| *byte == b'-');
    let three = [parts.next()?, parts.next()?, parts.next().unwrap_or_default()];
    if parts.next().is_some() {
        return None;
    }
    let clock_word = word(line, first.end);
    let time = clock_word.and_then(|word| clock(word.text).map(|clock| (clock, word)));
    if three[2].is_empty() {
        let (clock, word) = time?;
        return Some((stamp(None, small(three[0])?, small(three[1])?, Some(clock)), word.end));
    }
    let (year, month, day) = (year(three[0])?, small(three[1])?, small(three[2])?);
    let Some((clock, clock_word)) = time else {
        // `--time-style=iso` pads a date to the width of `11-23 10:15`.
        let padding = usize::from(line[first.end..].starts_with(b"  "));
        return Some((stamp(Some(year), month, day, None), first.end + padding));
    };
    let plain = stamp(Some(year), month, day, Some(clock));
    // Only `--full-time` has a fraction, and an offset behind it.
    let zone = word(line, clock_word.end)
        .filter(|_| clock_word.text.contains(&b'.'))
        .and_then(|word| offset(word.text).map(|offset| (offset, word.end)));
    Some(match zone {
        Some((offset, end)) => (Stamp { offset: Some(offset), ..plain }, end),
        None => (plain, clock_word.end),
    })
}

fn stamp(year: Option<i16>, month: i8, day: i8, clock: Option<OClock>) -> Stamp {
    Stamp { day: Day { year, month, day }, clock, offset: None }
}

fn year(text: &[u8]) -> Option<i16> {
    if text.len() == 4 { number(text).and_then(|year| i16::try_from(year).ok()) } else { None }
}

/// `10:15`, `9:05`, `10:15:30`, `10:15:30.123`: 24 hours.
pub fn clock(text: &[u8]) -> Option<OClock> {
    let text = text.split(|byte| *byte == b'.').next()?;
    let mut parts = text.split(|byte| *byte == b':');
    let (hour, minute) = (small(parts.next()?)?, two_digits(parts.next()?)?);
    let second = match parts.next() {
        Some(part) => Some(two_digits(part)?),
        None => None,
    };
    let ends = parts.next().is_none();
    let fits = hour <= 23 && minute <= 59 && second.unwrap_or(0) <= 60;
    // A leap second is the last of its minute.
    (ends && fits).then_some(OClock { hour, minute, second: second.map(|second| second.min(59)) })
}

fn two_digits(text: &[u8]) -> Option<i8> {
    if text.len() == 2 { small(text) } else { None }
}

/// `+0100` in seconds.
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (two_digits(&digits[..2])?, two_digits(&digits[2..])?);
    (hours <= 14 && minutes <= 59).then_some(sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, usize)> {
        let (stamp, end) = date(text.as_bytes(), 0)?;
        let Day { year, month, day } = stamp.day;
        let year = year.map_or("-".into(), |year| year.to_string());
        let clock = stamp.clock.map_or(String::new(), |OClock { hour, minute, second }| {
            let second = second.map_or(String::new(), |second| format!(":{second:02}"));
            format!(" {hour:02}:{minute:02}{second}")
        });
        let offset = stamp.offset.map_or(String::new(), |offset| format!(" {offset:+}"));
        Some((format!("{year} {month} {day}{clock}{offset}"), end))
    }

    #[test]
    fn a_date_is_read_in_all_its_shapes() {
        let shapes = [
            ("Nov 23 10:15 x", "- 11 23 10:15", 12),
            ("Nov  3  2025 x", "2025 11 3", 12),
            ("Nov 23 10:15:59 x", "- 11 23 10:15:59", 15),
            ("Nov 23 10:15:59 2025 x", "2025 11 23 10:15:59", 20),
            ("23 Nov 10:15 x", "- 11 23 10:15", 12),
            ("23. Okt  2025 x", "2025 10 23", 13),
            ("2026-11-23 10:15 x", "2026 11 23 10:15", 16),
            ("2026-11-23 10:15:30 x", "2026 11 23 10:15:30", 19),
            ("2026-11-23 10:15:30.123456789 +0130 x", "2026 11 23 10:15:30 +5400", 35),
            ("2026-11-23  x", "2026 11 23", 11),
            ("11-23 10:15 x", "- 11 23 10:15", 11),
            ("11月 23日 10:15 x", "- 11 23 10:15", 17),
            ("11月23日  2025 x", "2025 11 23", 16),
            ("11월 23일  9:05 x", "- 11 23 09:05", 17),
        ];
        for (text, expected, end) in shapes {
            assert_eq!(read(text), Some((expected.into(), end)), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_date_is_none() {
        let others = [
            "",
            "Nov",
            "Nov 23",
            "Nov 32 10:15",
            "Nov 23 24:00",
            "Nov 23 10:60",
            "Nov 23 10:5",
            "Nov 23 20256",
            "23 10:15",
            "2026-11",
            "2026-11-23-1 10:15",
            "11-23",
            "13月 1日 10:15",
            "Foo 23 10:15",
            "0 Nov 10:15",
        ];
        for text in others {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
