//! Notices steps of the wall clock by comparing it with the monotonic one. Pure: both are passed in.
//! What follows from a step belongs to `settlement` (expiry) and `keeper` (pruning).

use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// A smaller difference is drift or slewing.
pub const STEP_MIN: Duration = Duration::from_secs(60 * 60);

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock.
    pub tick: Duration,
}

impl Moment {
    /// Both clocks as they are.
    pub fn of(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), tick: clock.tick() }
    }

    /// What the wall clock says at `tick` when nobody steps it after this moment.
    pub fn steady_at(&self, tick: Duration) -> Timestamp {
        self.now.plus(tick.saturating_sub(self.tick))
    }

    /// The tick at which the wall clock reaches `at` when nobody steps it after this moment.
    pub fn tick_of(&self, at: Timestamp) -> Duration {
        self.tick.saturating_add(at.since(self.now))
    }
}

/// Remembers the last look.
#[derive(Debug)]
pub struct ClockWatch {
    last: Moment,
    stepped_at: Option<Duration>,
}

impl ClockWatch {
    /// Starts with the clocks as they are.
    pub fn new(moment: Moment) -> Self {
        Self { last: moment, stepped_at: None }
    }

    /// Looks again; returns by how much the wall clock was stepped since the last look, when by more than [`STEP_MIN`].
    pub fn look(&mut self, moment: Moment) -> Option<Duration> {
        let steady = self.last.steady_at(moment.tick);
        let step = steady.since(moment.now).max(moment.now.since(steady));
        self.last = moment;
        if step <= STEP_MIN {
            return None;
        }
        self.stepped_at = Some(moment.tick);
        Some(step)
    }

    /// Whether a step was seen less than `span` ago.
    pub fn stepped_within(&self, span: Duration) -> bool {
        self.stepped_at.is_some_and(|at| self.last.tick.saturating_sub(at) < span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn moment(now_hours: u32, tick_hours: u32) -> Moment {
        Moment { now: Timestamp::from_nanos(0).plus(HOUR * now_hours), tick: HOUR * tick_hours }
    }

    #[test]
    fn steps_in_both_directions_are_seen_once_and_time_that_passes_is_none() {
        let mut watch = ClockWatch::new(moment(100, 0));
        assert_eq!(watch.look(moment(150, 50)), None);
        assert_eq!(watch.look(moment(151, 50)), None, "an hour is still drift");
        assert_eq!(watch.look(moment(161, 51)), Some(HOUR * 9));
        assert_eq!(watch.look(moment(162, 52)), None);
        assert!(watch.stepped_within(HOUR * 2) && !watch.stepped_within(HOUR));
        assert_eq!(watch.look(moment(10, 53)), Some(HOUR * 153));
    }

    #[test]
    fn a_wall_time_becomes_a_tick_and_the_past_becomes_now() {
        let at = moment(100, 7);
        assert_eq!(at.tick_of(moment(103, 0).now), HOUR * 10);
        assert_eq!(at.tick_of(moment(3, 0).now), HOUR * 7);
        assert_eq!(at.steady_at(HOUR * 9), moment(102, 0).now);
    }
}
