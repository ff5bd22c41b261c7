//! Tends one source for as long as the process runs: full polls when due, looks at what waits, hints, after-actions.

use std::sync::Arc;
use std::time::Duration;

use super::listener::Listener;
use crate::clock::{Clock, Stop, Timestamp};
use crate::error::{ErrorKind, Result};
use crate::poll::schedule::{after_failure, until_next, wake_gap};
use crate::poll::{Poller, RoundState, WakeQueue};
use crate::source::Scope;

/// A store that can't be written is tried again after this.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// A source that is paused or held by a backlog looks this often whether it may go on.
const PAUSED_LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest sleep: after-actions that failed are due by the wall clock.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// One source and what it is tended with.
pub struct Tending {
    /// The source.
    pub poller: Poller,
    /// Its hints.
    pub wakes: Arc<WakeQueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process, or this configuration, ends.
    pub stop: Stop,
    /// Told when the process can't go on.
    pub listener: Arc<Listener>,
}

/// What is due next.
enum Due {
    Look(Scope),
    Sleep(Duration),
}

struct Course {
    /// When the last full poll began.
    began: Option<(Duration, Timestamp)>,
    /// When what waits is looked at.
    look_again: Option<Duration>,
    /// Sooner than the schedule says, after a failure or while it may not look.
    soon: Option<Duration>,
    last_end: Duration,
    last_took: Duration,
    failures: u32,
}

impl Tending {
    /// Runs until `stop` is raised. Watches are set before the first look.
    pub fn run(mut self) {
        let _watch = self.poller.source().watch(self.wakes.clone());
        let mut course = Course {
            began: None,
            look_again: None,
            soon: None,
            last_end: Duration::ZERO,
            last_took: Duration::ZERO,
            failures: 0,
        };
        while !self.stop.is_raised() {
            let heard = self.wakes.bell().rings();
            if let Err(error) = self.step(&mut course, heard) {
                if !matches!(
                    error.kind(),
                    ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Unavailable | ErrorKind::Conflict
                ) {
                    self.listener.fail(error.while_doing(format!("poll source {}", self.poller.plan().name)));
                    return;
                }
                tracing::error!(source = %self.poller.plan().name, %error, "the store could not be written; the source is tried again");
                self.stop.wait(STORE_RETRY);
            }
        }
    }

    fn step(&mut self, course: &mut Course, heard: u64) -> Result<()> {
        self.poller.act()?;
        match self.due(course)? {
            Due::Sleep(wait) => {
                self.wakes.bell().wait(heard, wait);
                Ok(())
            }
            Due::Look(scope) => self.look(course, scope),
        }
    }

    fn due(&self, course: &Course) -> Result<Due> {
        let tick = self.clock.tick();
        let next = until_next(&self.poller.plan().schedule, course.began, tick, self.clock.now())?;
        let soon = course.soon.map(|at| at.saturating_sub(tick));
        if next.wait.is_zero() && !next.only_clock && course.soon.is_none() || soon.is_some_and(|wait| wait.is_zero()) {
            return Ok(Due::Look(Scope::Everything));
        }
        let again = course.look_again.map(|at| at.saturating_sub(tick));
        if again.is_some_and(|wait| wait.is_zero()) {
            return Ok(Due::Look(Scope::Waiting));
        }
        let gap = (course.last_end + wake_gap(course.last_took)).saturating_sub(tick);
        let woken = self.wakes.is_woken();
        if woken && gap.is_zero() {
            return Ok(self.wakes.take().map_or(Due::Sleep(Duration::ZERO), Due::Look));
        }
        let waits = [soon.or(Some(next.wait)), again, woken.then_some(gap)];
        let wait = waits.into_iter().flatten().min().unwrap_or(SLEEP_MAX);
        Ok(Due::Sleep(wait.min(SLEEP_MAX)))
    }

    fn look(&mut self, course: &mut Course, scope: Scope) -> Result<()> {
        let (tick, now) = (self.clock.tick(), self.clock.now());
        if scope == Scope::Everything {
            course.began = Some((tick, now));
            course.soon = None;
            // Whatever was hinted at is seen by the full poll.
            self.wakes.take();
        }
        if scope == Scope::Waiting {
            course.look_again = None;
        }
        let round = self.poller.round(scope, &self.stop)?;
        course.last_end = self.clock.tick();
        course.last_took = round.took;
        if let Some(wait) = round.look_again_in {
            course.look_again = Some(course.last_end + wait);
        }
        let plan = self.poller.plan();
        course.failures = if matches!(round.state, RoundState::Failed(_)) { course.failures + 1 } else { 0 };
        let wait = match round.state {
            RoundState::Failed(_) => after_failure(&plan.schedule, course.failures),
            RoundState::Paused(_) | RoundState::Held(_) if round.took.is_zero() => Some(PAUSED_LOOK_EVERY),
            _ => None,
        };
        if let Some(wait) = wait {
            course.soon = Some(course.last_end + wait);
        }
        Ok(())
    }
}
