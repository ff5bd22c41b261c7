//! The token bucket behind `rate`. Pure: moments are ticks of the monotonic clock.
//! It is kept as the moment at which the bucket would be full, so nothing has to refill it.

use std::time::Duration;

use crate::sink::settings::Rate;

/// A bucket holds what comes in during this time, at least one token: timers are not exact, and a rate of thousands a
/// second must not depend on them. It is far too short for a burst that a receiver would notice.
pub const BURST: Duration = Duration::from_millis(20);

/// Hands out one token per attempt.
#[derive(Debug, Clone)]
pub struct Bucket {
    spacing: Duration,
    slack: Duration,
    full_at: Duration,
}

impl Bucket {
    /// A full bucket for `rate`.
    pub fn new(rate: Rate) -> Self {
        let spacing = (rate.per.duration() / rate.count.max(1)).max(Duration::from_nanos(1));
        let tokens = u32::try_from(BURST.as_nanos() / spacing.as_nanos()).unwrap_or(u32::MAX).max(1);
        Self { spacing, slack: spacing.saturating_mul(tokens - 1), full_at: Duration::ZERO }
    }

    /// When the next token is there; not after `tick` when it is there already.
    pub fn ready_at(&self) -> Duration {
        self.full_at.saturating_sub(self.slack)
    }

    /// Takes a token, which [`Bucket::ready_at`] said is there.
    pub fn take(&mut self, tick: Duration) {
        debug_assert!(self.ready_at() <= tick, "no token is taken before it is there");
        self.full_at = self.full_at.max(tick).saturating_add(self.spacing);
    }

    /// How many tokens are there at `tick` or come in during `ahead` after it.
    pub fn tokens(&self, tick: Duration, ahead: Duration) -> usize {
        let first = self.full_at.max(tick).saturating_sub(self.slack);
        match tick.saturating_add(ahead).checked_sub(first) {
            None => 0,
            Some(span) => usize::try_from(span.as_nanos() / self.spacing.as_nanos() + 1).unwrap_or(usize::MAX),
        }
    }
}
