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
