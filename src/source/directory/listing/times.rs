//! Places times of a listing: the server's local time in its zone, and the year where none is told.
//! What the digits of a time mean is read by `dates`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::Precision;

use super::row::Modified;

const DAY_SECONDS: i64 = 86_400;
const NANOS: i64 = 1_000_000_000;
/// Days whose beginning is remembered; a power of two.
const DAYS_KEPT: usize = 256;

/// A day, with a year or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// `None`: the most recent one that fits.
    pub year: Option<i16>,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OClock {
    /// 0 to 23.
    pub hour: i8,
    /// 0 to 59.
    pub minute: i8,
    /// 0 to 59; `None` where only minutes are told.
    pub second: Option<i8>,
}

/// What a listing says of a time: a day, perhaps a time of day, perhaps an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The day.
    pub day: Day,
    /// The time of day.
    pub clock: Option<OClock>,
    /// Seconds east of UTC, where the listing says so itself.
    pub offset: Option<i32>,
}

/// The server's zone and the time there.
#[derive(Debug)]
pub struct Times {
    zone: TimeZone,
    /// Local time in a day: nothing is later, except where a clock is wrong.
    tomorrow: DateTime,
    /// Day and the second in UTC at which it begins, of days of 24 hours.
    days: Box<[Option<(i64, i64)>; DAYS_KEPT]>,
}

impl Times {
    /// Times in the zone with this IANA name, seen at `now`.
    ///
    /// # Errors
    /// `Config`: there is no such zone.
    pub fn new(zone: &str, now: Timestamp) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(|e| {
            Error::new(
                ErrorKind::Config,
                format!("\"{zone}\" is no time zone; write an IANA name such as Europe/Berlin"),
            )
            .because(e.to_string())
        })?;
        let tomorrow = jiff::Timestamp::new(now.seconds().saturating_add(DAY_SECONDS), 0)
            .map_err(|e| Error::internal("the clock is out of range").because(e.to_string()))?;
        let tomorrow = zone.to_datetime(tomorrow);
        Ok(Self { zone, tomorrow, days: Box::new([None; DAYS_KEPT]) })
    }

    /// Whether a day is later than any file can be from.
    pub fn is_future(&self, year: i16, month: i8, day: i8) -> bool {
        let last = self.tomorrow;
        (year, month, day) > (last.year(), last.month(), last.day())
    }

    /// When that was; `None` when there is no such day.
    pub fn modified(&mut self, stamp: &Stamp) -> Option<Modified> {
        let Day { year, month, day } = stamp.day;
        let clock = stamp.clock.unwrap_or(OClock { hour: 0, minute: 0, second: None });
        let year = match year {
            Some(year) => year,
            None => self.guessed_year(month, day, clock)?,
        };
        let precision = match stamp.clock {
            None => Precision::Day,
            Some(OClock { second: None, .. }) => Precision::Minute,
            Some(_) => Precision::Second,
        };
        let days = days(year, month, day)?;
        let of_day = seconds_of_day(clock);
        let utc = match stamp.offset {
            Some(offset) => Some(days * DAY_SECONDS + of_day - i64::from(offset)),
            None => self.utc(days, of_day, year, month, day, clock),
        };
        // A year that no file can be from stands for a time that the server does not know.
        let told = utc.and_then(|utc| utc.checked_mul(NANOS)).map(|nanos| Modified { nanos, precision });
        Some(told.unwrap_or(Modified::UNTOLD))
    }

    /// The most recent year in which that time is not more than a day ahead of now.
    fn guessed_year(&self, month: i8, day: i8, clock: OClock) -> Option<i16> {
        let last = self.tomorrow;
        let clock = (clock.hour, clock.minute, clock.second.unwrap_or(0));
        let ahead = (month, day, clock) > (last.month(), last.day(), (last.hour(), last.minute(), last.second()));
        let first = if ahead { last.year() - 1 } else { last.year() };
        // 29 February may be up to eight years back.
        (0..8).map(|back| first - back).find(|year| days(*year, month, day).is_some())
    }

    /// Seconds in UTC. In an hour that a clock change leaves out, the time counts as after it; in one that comes twice,
    /// as the first.
    fn utc(&mut self, days: i64, of_day: i64, year: i16, month: i8, day: i8, clock: OClock) -> Option<i64> {
        let slot = days.rem_euclid(DAYS_KEPT as i64) as usize;
        match self.days[slot] {
            Some((kept, begin)) if kept == days => return Some(begin + of_day),
            _ => {}
        }
        let midnight = DateTime::new(year, month, day, 0, 0, 0, 0).ok()?;
        let begin = self.seconds_at(midnight)?;
        let next = midnight.checked_add(jiff::Span::new().days(1)).ok().and_then(|next| self.seconds_at(next))?;
        if next - begin == DAY_SECONDS {
            self.days[slot] = Some((days, begin));
            return Some(begin + of_day);
        }
        let exact = DateTime::new(year, month, day, clock.hour, clock.minute, clock.second.unwrap_or(0), 0).ok()?;
        self.seconds_at(exact)
    }

    fn seconds_at(&self, local: DateTime) -> Option<i64> {
        self.zone.to_ambiguous_timestamp(local).compatible().ok().map(|at| at.as_second())
    }
}

fn seconds_of_day(clock: OClock) -> i64 {
    i64::from(clock.hour) * 3_600 + i64::from(clock.minute) * 60 + i64::from(clock.second.unwrap_or(0))
}

/// Nanoseconds since the epoch of a time in UTC; `Err` when there is no such day, `Ok(None)` when it is out of range.
pub fn utc_nanos(year: i16, month: i8, day: i8, clock: OClock, fraction: i64) -> Result<Option<i64>, NoSuchDay> {
    let days = days(year, month, day).ok_or(NoSuchDay)?;
    let seconds = days * DAY_SECONDS + seconds_of_day(clock);
    Ok(seconds.checked_mul(NANOS).and_then(|nanos| nanos.checked_add(fraction)))
}

/// 30 February and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchDay;

/// Days since 1970-01-01 in the Gregorian calendar; `None` when there is no such day.
pub fn days(year: i16, month: i8, day: i8) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const LENGTH: [i8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = LENGTH.get(month)? + i8::from(leap && month == 1);
    if day < 1 || day > length {
        return None;
    }
    let before = i64::from(year) - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let of_year = BEFORE[month] + i64::from(leap && month > 1) + i64::from(day) - 1;
    // 719,162 days lie between 0001-01-01 and 1970-01-01.
    Some(before * 365 + leap_days + of_year - 719_162)
}
