//! Points in time as PostgreSQL stores them (microseconds or days since 2000-01-01), written without loss.
//! Integer arithmetic only: no date type stands in between that could round.

use super::json::push_fmt;

const MICROS_A_DAY: i64 = 86_400_000_000;
/// From 0000-03-01 to 2000-01-01, in days of the proleptic Gregorian calendar.
const DAYS_TO_2000: i64 = 730_425;

/// How a point in time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// RFC 3339, for JSON: `2026-11-23T10:15:00.123456Z`.
    Rfc3339,
    /// As PostgreSQL writes it with `DateStyle` ISO: `2026-11-23 10:15:00.123456+00`.
    Database,
}

/// Whether a point in time has an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// It is UTC and says so.
    Utc,
    /// It has none.
    Absent,
}

/// Appends a `timestamp` or `timestamptz`.
pub fn push_moment(out: &mut String, micros: i64, zone: Zone, style: Style) {
    if let Some(word) = infinity(micros, i64::MAX, i64::MIN) {
        return out.push_str(word);
    }
    let (days, rest) = (micros.div_euclid(MICROS_A_DAY), micros.rem_euclid(MICROS_A_DAY));
    let (year, month, day) = civil(days);
    // RFC 3339 has four digits for a year; what lies outside is written as the database does.
    let style = if (0..=9999).contains(&year) && year > 0 { style } else { Style::Database };
    push_date_parts(out, year, month, day);
    out.push(if style == Style::Rfc3339 { 'T' } else { ' ' });
    push_clock(out, rest);
    match (zone, style) {
        (Zone::Absent, _) => {}
        (Zone::Utc, Style::Rfc3339) => out.push('Z'),
        (Zone::Utc, Style::Database) => out.push_str("+00"),
    }
    push_era(out, year);
}

/// Appends a `date`.
pub fn push_date(out: &mut String, days: i32) {
    if let Some(word) = infinity(days.into(), i32::MAX.into(), i32::MIN.into()) {
        return out.push_str(word);
    }
    let (year, month, day) = civil(days.into());
    push_date_parts(out, year, month, day);
    push_era(out, year);
}

/// Appends a time of day: `10:15:00.5`.
pub fn push_clock(out: &mut String, micros: i64) {
    let seconds = micros / 1_000_000;
    push_fmt(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    let mut fraction = micros % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = 6;
    while fraction % 10 == 0 {
        fraction /= 10;
        digits -= 1;
    }
    push_fmt(out, format_args!(".{fraction:0digits$}"));
}

fn infinity(value: i64, top: i64, bottom: i64) -> Option<&'static str> {
    if value == top {
        Some("infinity")
    } else if value == bottom {
        Some("-infinity")
    } else {
        None
    }
}

fn push_date_parts(out: &mut String, year: i64, month: i64, day: i64) {
    let shown = if year > 0 { year } else { 1 - year };
    push_fmt(out, format_args!("{shown:04}-{month:02}-{day:02}"));
}

fn push_era(out: &mut String, year: i64) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

/// Year, month and day of a day since 2000-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_2000;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(micros: i64, zone: Zone, style: Style) -> String {
        let mut out = String::new();
        push_moment(&mut out, micros, zone, style);
        out
    }

    #[test]
    fn microseconds_are_kept_and_trailing_zeros_are_not() {
        assert_eq!(moment(0, Zone::Utc, Style::Rfc3339), "2000-01-01T00:00:00Z");
        assert_eq!(moment(123_456, Zone::Absent, Style::Rfc3339), "2000-01-01T00:00:00.123456");
        assert_eq!(moment(-500_000, Zone::Utc, Style::Database), "1999-12-31 23:59:59.5+00");
    }

    #[test]
    fn what_rfc_3339_cannot_say_is_written_as_the_database_does() {
        assert_eq!(moment(i64::MAX, Zone::Utc, Style::Rfc3339), "infinity");
        let mut out = String::new();
        push_date(&mut out, -746_117);
        assert_eq!(out, "0044-03-15 BC");
    }

    proptest! {
        #[test]
        fn dates_agree_with_an_independent_calendar(days in -700_000i32..2_900_000) {
            let mut out = String::new();
            push_date(&mut out, days);
            let base = jiff::civil::date(2000, 1, 1);
            let expected = base.checked_add(jiff::Span::new().days(days)).expect("in range");
            prop_assert_eq!(out, expected.to_string());
        }
    }
}
