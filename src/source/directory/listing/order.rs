//! Whether `04/05/06` begins with the day, the month or the year: what the dates of one listing leave possible.

use super::fields::{number, small};
use super::times::{Day, Times, days};

/// In which order a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// 11/23/26
    MonthDayYear,
    /// 23.11.26
    DayMonthYear,
    /// 26/11/23
    YearMonthDay,
}

/// One order, and what its readings of the dates came to.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    order: Order,
    /// Dates that it can't be.
    misfits: u32,
    /// The years it puts the dates in.
    years: Option<(i16, i16)>,
}

/// What the dates seen so far say.
#[derive(Debug, Clone)]
pub struct Orders {
    candidates: [Candidate; 3],
}

impl Orders {
    /// Nothing was seen; the first of these wins until the dates say otherwise.
    pub fn new(preferred: [Order; 3]) -> Self {
        Self { candidates: preferred.map(|order| Candidate { order, misfits: 0, years: None }) }
    }

    /// Reads a date of three numbers with the order that fits best by now, and learns from it.
    pub fn read(&mut self, text: &[u8], times: &Times) -> Option<Day> {
        let parts = parts(text)?;
        for candidate in &mut self.candidates {
            match day(parts, candidate.order).filter(|day| is_plausible(*day, times)) {
                Some(Day { year, .. }) => {
                    let year = year.unwrap_or(0);
                    let (first, last) = candidate.years.unwrap_or((year, year));
                    candidate.years = Some((first.min(year), last.max(year)));
                }
                None => candidate.misfits = candidate.misfits.saturating_add(1),
            }
        }
        day(parts, self.best()).filter(|day| exists(*day))
    }

    /// The order with the fewest misfits; among those, the one that puts the files closest together.
    fn best(&self) -> Order {
        let rank = |candidate: &Candidate| {
            let spread = candidate.years.map_or(i16::MAX, |(first, last)| last - first);
            (candidate.misfits, spread)
        };
        let first = &self.candidates[0];
        let best = self.candidates.iter().min_by_key(|candidate| rank(candidate));
        best.unwrap_or(first).order
    }
}

/// No system that writes dates in two-digit years lists files from before 1980, and none lists files of the day after tomorrow.
fn is_plausible(day: Day, times: &Times) -> bool {
    let year = day.year.unwrap_or(0);
    year >= 1980 && exists(day) && !times.is_future(year, day.month, day.day)
}

fn exists(day: Day) -> bool {
    days(day.year.unwrap_or(0), day.month, day.day).is_some()
}

/// The three numbers of a date, and how many digits the first and the last of them have.
type Parts = ([i16; 3], [usize; 3]);

fn parts(text: &[u8]) -> Option<Parts> {
    let mark = text.iter().find(|byte| !byte.is_ascii_digit())?;
    if !matches!(mark, b'/' | b'-' | b'.' | b',') {
        return None;
    }
    let mut split = text.split(|byte| byte == mark);
    let three = [split.next()?, split.next()?, split.next()?];
    if split.next().is_some() {
        return None;
    }
    let value = |part: &[u8]| match part.len() {
        1 | 2 => small(part).map(i16::from),
        4 => number(part).and_then(|year| i16::try_from(year).ok()),
        _ => None,
    };
    Some(([value(three[0])?, value(three[1])?, value(three[2])?], three.map(<[u8]>::len)))
}

fn day((values, digits): Parts, order: Order) -> Option<Day> {
    let [day, month, year] = match order {
        Order::MonthDayYear => [1, 0, 2],
        Order::DayMonthYear => [0, 1, 2],
        Order::YearMonthDay => [2, 1, 0],
    };
    if digits[day] > 2 || digits[month] > 2 || digits[year] == 1 {
        return None;
    }
    let small = |at: usize| i8::try_from(values[at]).ok();
    let full_year = if digits[year] == 4 { values[year] } else { full_year(values[year]) };
    Some(Day { year: Some(full_year), month: small(month)?, day: small(day)? })
}

/// 1970 to 2069.
pub fn full_year(two_digits: i16) -> i16 {
    if two_digits >= 70 { 1900 + two_digits } else { 2000 + two_digits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const IBM: [Order; 3] = [Order::MonthDayYear, Order::DayMonthYear, Order::YearMonthDay];

    fn read(preferred: [Order; 3], dates: &[&str]) -> Vec<String> {
        let now = Timestamp::parse_rfc3339("2026-11-23T10:15:00Z").expect("a time");
        let times = Times::new("UTC", now).expect("a zone");
        let mut orders = Orders::new(preferred);
        // As a listing is read: once to learn, once to tell.
        dates.iter().for_each(|date| {
            orders.read(date.as_bytes(), &times);
        });
        let show = |day: Option<Day>| {
            day.map_or("-".into(), |day| format!("{:04}-{:02}-{:02}", day.year.unwrap_or(0), day.month, day.day))
        };
        dates.iter().map(|date| show(orders.read(date.as_bytes(), &times))).collect()
    }

    #[test]
    fn a_date_that_only_one_order_allows_decides_for_all() {
        assert_eq!(read(IBM, &["04/05/06", "04/23/06"]), ["2006-04-05", "2006-04-23"]);
        assert_eq!(read(IBM, &["04/05/06", "23/04/06"]), ["2006-05-04", "2006-04-23"]);
        assert_eq!(read(IBM, &["26/05/06", "26/04/31", "26/04/30"]), ["2026-05-06", "-", "2026-04-30"]);
    }

    #[test]
    fn dates_in_the_future_speak_against_an_order() {
        // Day first would put the second into 2028.
        assert_eq!(read(IBM, &["26/05/06", "26/05/28"]), ["2026-05-06", "2026-05-28"]);
    }

    #[test]
    fn among_possible_orders_the_one_that_puts_files_closest_together_wins() {
        assert_eq!(read(IBM, &["25/05/06", "26/05/21", "26/05/11"]), ["2025-05-06", "2026-05-21", "2026-05-11"]);
        assert_eq!(read(IBM, &["04/05/06"]), ["2006-04-05"]);
    }

    #[test]
    fn a_file_may_be_from_the_future_all_the_same() {
        assert_eq!(read(IBM, &["04/23/06", "12/31/26"]), ["2006-04-23", "2026-12-31"]);
        assert_eq!(read(IBM, &["12/31/26"]), ["2026-12-31"]);
    }

    #[test]
    fn four_digits_are_the_year() {
        assert_eq!(read(IBM, &["2026-11-05"]), ["2026-11-05"]);
        assert_eq!(read(IBM, &["05.11.2026", "23.11.2026"]), ["2026-11-05", "2026-11-23"]);
        assert_eq!(read(IBM, &["2026", "1/2", "1/2/3/4", "1.2/3", "a/b/c", "1/2/345"]), ["-"; 6]);
    }
}
