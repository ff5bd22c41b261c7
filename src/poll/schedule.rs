//! When the next look of a source is due: pure, over the monotonic clock; only cron times look at the wall.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::Schedule;

/// The longest sleep before the wall clock is looked at again: cron times follow it when it is set.
const CRON_SLEEP_MAX: Duration = Duration::from_secs(60);
/// Looks that hints ask for are at least this far apart, or as far as the last one took.
const WAKE_GAP_MIN: Duration = Duration::from_millis(5);
const WAKE_GAP_MAX: Duration = Duration::from_secs(1);

/// What is due next, and in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// How long to wait for it, unless something wakes the source before.
    pub wait: Duration,
    /// Whether that is only to look at the wall clock again.
    pub only_clock: bool,
}

/// How long until the next full poll, given when the last one began (`None`: never).
///
/// # Errors
/// The cron expression or time zone is not valid (they were checked with the configuration).
pub fn until_next(
    schedule: &Schedule,
    began: Option<(Duration, Timestamp)>,
    tick: Duration,
    now: Timestamp,
) -> Result<Next> {
    let Some((began_tick, began_at)) = began else { return Ok(Next { wait: Duration::ZERO, only_clock: false }) };
    match schedule {
        Schedule::Every(every) => {
            let wait = (began_tick + every.duration()).saturating_sub(tick);
            Ok(Next { wait, only_clock: false })
        }
        Schedule::Cron { expression, timezone } => {
            let due = next_cron(expression, timezone, began_at)?;
            let wait = due.since(now);
            Ok(Next { wait: wait.min(CRON_SLEEP_MAX), only_clock: wait > CRON_SLEEP_MAX })
        }
    }
}

/// The first time of a cron expression behind `after`.
pub fn next_cron(expression: &str, timezone: &str, after: Timestamp) -> Result<Timestamp> {
    let bad = |what: &str| Error::new(ErrorKind::Config, format!("schedule \"{expression}\" in {timezone}: {what}"));
    let cron = croner::Cron::from_str(expression).map_err(|e| bad("not a cron expression").because(e.to_string()))?;
    let zone = jiff::tz::TimeZone::get(timezone).map_err(|e| bad("no such time zone").because(e.to_string()))?;
    let from = jiff::Timestamp::from_nanosecond(i128::from(after.nanos())).map_err(|_| bad("time out of range"))?;
    let next = cron
        .find_next_occurrence(&from.to_zoned(zone), false)
        .map_err(|e| bad("no next time").because(e.to_string()))?;
    i64::try_from(next.timestamp().as_nanosecond()).map(Timestamp::from_nanos).map_err(|_| bad("time out of range"))
}

/// How long a hint waits after the last look ended, so that a burst of them is one look and not hundreds.
pub fn wake_gap(last_took: Duration) -> Duration {
    last_took.clamp(WAKE_GAP_MIN, WAKE_GAP_MAX)
}

/// How long a source that failed waits: its own interval, but at most a minute on the first failures of a slow one.
pub fn after_failure(schedule: &Schedule, failures: u32) -> Option<Duration> {
    let Schedule::Every(every) = schedule else { return None };
    let early = Duration::from_secs(5) * 2_u32.saturating_pow(failures.min(10).saturating_sub(1));
    (early < every.duration()).then_some(early)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("valid")
    }

    #[test]
    fn the_first_poll_is_due_at_once_and_the_next_counts_from_the_start_of_the_last() {
        let every = Schedule::Every("10s".parse().expect("valid"));
        let now = at("2026-11-23T10:00:00Z");
        let secs = Duration::from_secs;
        assert_eq!(until_next(&every, None, secs(5), now).expect("valid").wait, Duration::ZERO);
        let began = Some((secs(5), now));
        assert_eq!(until_next(&every, began, secs(7), now).expect("valid").wait, secs(8));
        assert_eq!(until_next(&every, began, secs(99), now).expect("valid").wait, Duration::ZERO);
    }

    #[test]
    fn cron_times_are_those_of_the_named_zone() {
        let next = next_cron("0 6 * * *", "Europe/Berlin", at("2026-11-23T10:00:00Z")).expect("valid");
        assert_eq!(next, at("2026-11-24T05:00:00Z"));
        let schedule = Schedule::Cron { expression: "0 6 * * *".into(), timezone: "Europe/Berlin".into() };
        let began = Some((Duration::ZERO, at("2026-11-23T10:00:00Z")));
        let next = until_next(&schedule, began, Duration::ZERO, at("2026-11-23T10:00:01Z")).expect("valid");
        assert_eq!(next, Next { wait: CRON_SLEEP_MAX, only_clock: true });
    }

    #[test]
    fn a_slow_source_is_tried_again_sooner_after_its_first_failures() {
        let hourly = Schedule::Every("1h".parse().expect("valid"));
        assert_eq!(after_failure(&hourly, 1), Some(Duration::from_secs(5)));
        assert_eq!(after_failure(&hourly, 3), Some(Duration::from_secs(20)));
        let quick = Schedule::Every("2s".parse().expect("valid"));
        assert_eq!(after_failure(&quick, 1), None);
    }
}
