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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::setting::Interval;

    fn rate(count: u32, per_ms: u64) -> Rate {
        Rate { count, per: Interval::from_millis(per_ms) }
    }

    #[test]
    fn a_slow_rate_is_even_and_has_no_burst_after_a_rest() {
        let mut bucket = Bucket::new(rate(2, 1_000));
        let mut tick = Duration::from_secs(3_600);
        for _ in 0..5 {
            assert!(bucket.ready_at() <= tick);
            bucket.take(tick);
            tick += Duration::from_millis(500);
            assert_eq!(bucket.ready_at(), tick);
        }
    }

    #[test]
    fn tokens_are_counted_as_far_as_one_looks_ahead() {
        let mut bucket = Bucket::new(rate(50, 1_000));
        let tick = Duration::from_secs(10);
        assert_eq!(bucket.tokens(tick, Duration::ZERO), 1);
        assert_eq!(bucket.tokens(tick, Duration::from_millis(100)), 6);
        bucket.take(tick);
        assert_eq!(bucket.tokens(tick, Duration::ZERO), 0);
        assert_eq!(bucket.tokens(tick, Duration::from_millis(20)), 1);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_its_rate_and_the_burst(
            count in 1_u32..100_000, per_ms in 1_u64..100_000, waits in proptest::collection::vec(0_u64..50_000_000, 1..300),
        ) {
            let mut bucket = Bucket::new(rate(count, per_ms));
            let (mut tick, mut taken) = (Duration::ZERO, Vec::new());
            for wait in waits {
                tick += Duration::from_nanos(wait);
                while bucket.ready_at() <= tick && taken.len() < 300 {
                    bucket.take(tick);
                    taken.push(tick);
                }
            }
            let per = Duration::from_millis(per_ms);
            let burst = (u128::from(count) * BURST.as_nanos() / per.as_nanos()).max(1) + 1;
            let spaced = per.as_nanos() / u128::from(count);
            for (at, begin) in taken.iter().enumerate() {
                let within = taken[at..].iter().take_while(|one| **one < *begin + per).count() as u128;
                let allowed = per.as_nanos().div_ceil(spaced.max(1)) + burst;
                prop_assert!(within <= allowed, "{} within {:?}, allowed are {}", within, per, allowed);
            }
        }
    }
}
