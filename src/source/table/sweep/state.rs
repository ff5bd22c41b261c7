//! What is remembered of sweeps, and when the next one is due: pure rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::source::table::settling::Moment;
use crate::source::{Accepted, Hold, HoldReason};

/// While a sweep's finding is held, it is looked at again this often at least.
const HELD_AGAIN: Duration = Duration::from_secs(300);
/// An overlap that turned out too small is doubled up to this.
const OVERLAP_MAX: Duration = Duration::from_secs(86_400);
/// An overlap of nothing is widened to this at first.
const OVERLAP_MIN: Duration = Duration::from_secs(60);

/// What is remembered of sweeps, in the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// When the last one ended, milliseconds since the epoch by our wall clock; `None` before the first end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// The same by the monotonic clock; only within one process.
    #[serde(skip)]
    pub ended_tick_ms: Option<u64>,
    /// Rows that sweeps found and polls had missed, since the cursor began.
    #[serde(default)]
    pub late_found: u64,
    /// Those of the last sweep that ended, or of the one that did not.
    #[serde(default)]
    pub late_last: u64,
    /// The overlap, seconds, when it had to be widened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_s: Option<u64>,
    /// Whether the filters were edited, so that what left them is forgotten by the next sweep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refiltered: bool,
    /// What waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// A sweep's finding that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The reason's word.
    pub reason: String,
    /// The facts and the command that ends it.
    pub detail: String,
    /// When it was found, milliseconds since the epoch.
    pub at_ms: i64,
}

impl Swept {
    /// Whether a sweep is due that comes this long after the last one.
    pub fn is_due(&self, every: Duration, now: Moment, accepted: Accepted) -> bool {
        if let Some(held) = &self.held {
            let age = now.wall.millis().checked_sub(held.at_ms).and_then(|age| u64::try_from(age).ok());
            return accepted != Accepted::default()
                || age.is_none_or(|age| Duration::from_millis(age) >= every.min(HELD_AGAIN));
        }
        let Some(ended) = self.ended_ms.filter(|_| !self.refiltered) else { return true };
        match self.ended_tick_ms {
            Some(tick) => now.tick.saturating_sub(Duration::from_millis(tick)) >= every,
            // A wall clock that went back says nothing.
            None => ended > now.wall.millis() || now.wall.since(Timestamp::from_millis(ended)) >= every,
        }
    }

    /// Whether rows that are not known are only to be recorded: no sweep ever ended.
    pub fn is_first(&self) -> bool {
        self.ended_ms.is_none()
    }

    /// A sweep ended.
    pub fn end(&mut self, now: Moment) {
        self.ended_ms = Some(now.wall.millis());
        self.ended_tick_ms = u64::try_from(now.tick.as_millis()).ok();
        self.refiltered = false;
        self.held = None;
    }

    /// A sweep's finding is held.
    pub fn hold(&mut self, hold: &Hold, now: Moment) {
        let (reason, detail) = (hold.reason.as_str().to_owned(), hold.detail.clone());
        self.held = Some(Held { reason, detail, at_ms: now.wall.millis() });
    }

    /// What waits for an operator.
    pub fn standing_hold(&self) -> Option<Hold> {
        let held = self.held.as_ref()?;
        Some(Hold { reason: HoldReason::parse(&held.reason)?, detail: held.detail.clone() })
    }

    /// The overlap in use where `configured` is what the configuration says.
    pub fn overlap(&self, configured: Duration) -> Duration {
        self.overlap_s.map_or(configured, |widened| configured.max(Duration::from_secs(widened)))
    }

    /// Doubles the overlap; the new one, unless it is as wide as can be.
    pub fn widen(&mut self, configured: Duration) -> Option<Duration> {
        let now = self.overlap(configured);
        let wider = (now * 2).clamp(OVERLAP_MIN, OVERLAP_MAX.max(now));
        self.overlap_s = Some(wider.as_secs());
        (wider > now).then_some(wider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(wall: i64, tick: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall * 1_000), tick: Duration::from_secs(tick) }
    }

    #[test]
    fn a_sweep_is_due_at_first_and_then_so_long_after_the_end_of_the_last() {
        let mut swept = Swept::default();
        let due = |swept: &Swept, now| swept.is_due(HOUR, now, Accepted::default());
        assert!(due(&swept, at(0, 0)) && swept.is_first());
        swept.end(at(10_000, 10));
        assert!(!due(&swept, at(13_000, 3_000)) && due(&swept, at(13_610, 3_610)));
        assert!(!due(&swept, at(90_000, 20)), "within one process the wall clock is not asked");
        swept.ended_tick_ms = None;
        assert!(!due(&swept, at(13_000, 0)) && due(&swept, at(13_600, 0)) && due(&swept, at(9_000, 0)));
    }

    #[test]
    fn what_is_held_is_looked_at_again_when_an_operator_spoke_or_time_has_passed() {
        let mut swept = Swept::default();
        swept.end(at(0, 0));
        swept.hold(&Hold { reason: HoldReason::MassRemoval, detail: "x".into() }, at(4_000, 4_000));
        assert!(!swept.is_due(HOUR, at(4_100, 4_100), Accepted::default()));
        assert!(swept.is_due(HOUR, at(4_300, 4_300), Accepted::default()));
        assert!(swept.is_due(HOUR, at(4_001, 4_001), Accepted { removals: true, ..Accepted::default() }));
        assert_eq!(swept.standing_hold().map(|hold| hold.reason), Some(HoldReason::MassRemoval));
    }

    #[test]
    fn an_overlap_is_doubled_up_to_a_day() {
        let mut swept = Swept::default();
        assert_eq!(swept.widen(Duration::ZERO), Some(OVERLAP_MIN));
        assert_eq!(swept.widen(Duration::ZERO), Some(2 * OVERLAP_MIN));
        assert_eq!(swept.widen(20 * HOUR), Some(OVERLAP_MAX));
        assert_eq!(swept.widen(20 * HOUR), None);
        assert_eq!(swept.overlap(30 * HOUR), 30 * HOUR);
        assert_eq!(swept.widen(30 * HOUR), None);
    }
}
