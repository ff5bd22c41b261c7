//! Watermarks that are local times: up to where they have been drawn for the last time.
//! When SAFE moves belongs to `settling`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::error::{Error, ErrorKind, Result};

/// So many coming transitions are looked at: the clocks of one day never go back more often.
const TRANSITIONS: usize = 2;

/// The local time in `zone` below which nothing is drawn at `micros` (microseconds since the epoch, UTC) or later, as
/// `2026-10-25 02:00:00.000000`. Mostly that is the local time itself. Ahead of an hour that is going to be repeated it
/// stays where that hour begins: what is drawn in it for the second time is smaller than what was drawn before.
///
/// # Errors
/// `Config` when this machine does not know the zone, `Invalid` when the time is out of range.
pub fn floor_of_coming(zone: &str, micros: i64) -> Result<String> {
    let unknown = |e: jiff::Error| Error::new(ErrorKind::Config, format!("time zone {zone}")).because(e);
    let zone = TimeZone::get(zone).map_err(unknown)?;
    let now = Timestamp::from_microsecond(micros)
        .map_err(|e| Error::new(ErrorKind::Invalid, "the database's clock").because(e))?;
    let coming = zone.following(now).take(TRANSITIONS).map(|transition| zone.to_datetime(transition.timestamp()));
    let floor: DateTime = coming.fold(zone.to_datetime(now), DateTime::min);
    Ok(floor.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(utc: &str) -> String {
        let now: Timestamp = utc.parse().expect("a time");
        floor_of_coming("Europe/Berlin", now.as_microsecond()).expect("a known zone")
    }

    #[test]
    fn it_never_enters_an_hour_that_will_be_repeated() {
        // On 2026-10-25 at 01:00 UTC the clocks go back from 03:00 to 02:00.
        assert_eq!(floor("2026-10-24T23:59:59Z"), "2026-10-25 01:59:59.000000");
        assert_eq!(floor("2026-10-25T00:00:01Z"), "2026-10-25 02:00:00.000000");
        assert_eq!(floor("2026-10-25T00:59:59.5Z"), "2026-10-25 02:00:00.000000");
        assert_eq!(floor("2026-10-25T01:30:00Z"), "2026-10-25 02:30:00.000000");
        assert_eq!(floor("2026-10-25T02:00:00.25Z"), "2026-10-25 03:00:00.250000");
    }

    #[test]
    fn an_hour_that_is_left_out_changes_nothing() {
        assert_eq!(floor("2026-03-29T00:59:59Z"), "2026-03-29 01:59:59.000000");
        assert_eq!(floor("2026-03-29T01:00:00Z"), "2026-03-29 03:00:00.000000");
        assert!(floor_of_coming("Mars/Olympus", 0).is_err());
    }

    #[test]
    fn it_never_goes_back() {
        let begin: Timestamp = "2026-10-24T20:00:00Z".parse().expect("a time");
        let floors = (0..600).map(|minute| {
            floor_of_coming("Europe/Berlin", begin.as_microsecond() + minute * 60_000_000).expect("a known zone")
        });
        assert!(floors.is_sorted());
    }
}
