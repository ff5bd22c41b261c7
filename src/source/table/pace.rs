//! How often a dear look may run: never for more than one part in twenty of the time. Pure; what polls do in between belongs
//! to `between`.

use std::time::Duration;

/// A dear look may take one part in so many of the time.
pub const SHARE: u32 = 20;
/// A look that takes less is never put off.
const CHEAP: Duration = Duration::from_millis(20);
/// However dear it is, it runs this often.
const REST_MAX: Duration = Duration::from_secs(86_400);

/// What a look costs, and when it ran last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// What one look costs, smoothed; a single slow one counts for a quarter.
    cost: Option<Duration>,
    /// When the last one began, by the monotonic clock.
    began: Duration,
    /// How many polls did without one since then, and in the turn before.
    without: (u64, u64),
}

impl Pace {
    /// A look began at `began` and cost `cost`.
    pub fn ran(&mut self, began: Duration, cost: Duration) {
        self.cost = Some(self.cost.map_or(cost, |before| (before * 3 + cost) / 4));
        self.began = began;
        self.without = (0, self.without.0);
    }

    /// A poll did without it.
    pub fn did_without(&mut self) {
        self.without.0 += 1;
    }

    /// Whether it may run now. It may in every poll, as long as it costs no more than its share of the time between two.
    pub fn is_due(&self, now: Duration) -> bool {
        let Some(rest) = self.rest() else { return true };
        now < self.began || now - self.began >= rest
    }

    /// How long it is from one look to the next, where looks are not cheap.
    pub fn rest(&self) -> Option<Duration> {
        self.cost.filter(|cost| *cost >= CHEAP).map(|cost| cost.saturating_mul(SHARE).min(REST_MAX))
    }

    /// When the last one began, where polls do without it.
    pub fn put_off(&self) -> Option<Duration> {
        (self.without != (0, 0)).then_some(self.began)
    }

    /// For people; `None` where every poll looks.
    pub fn shown(&self) -> Option<String> {
        let (Some(cost), Some(rest), Some(_)) = (self.cost, self.rest(), self.put_off()) else { return None };
        Some(pace_words(cost, rest))
    }
}

/// What a scan that costs `cost` means.
pub fn pace_words(cost: Duration, rest: Duration) -> String {
    let (cost, rest) = (cost.as_secs_f64(), rest.as_secs_f64());
    format!(
        "a scan by row version takes {cost:.1} s, so it runs every {rest:.0} s; polls in between read behind a fence"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_look_that_costs_at_most_its_share_runs_in_every_poll() {
        let mut pace = Pace::default();
        assert!(pace.is_due(ms(0)), "what it costs is not known");
        pace.ran(ms(0), ms(500));
        assert!(pace.is_due(ms(10_000)), "5 % of 10 s");
        assert!(!pace.is_due(ms(9_999)));
        assert!(pace.shown().is_none(), "no poll did without it");
    }

    #[test]
    fn a_cheap_look_is_never_put_off() {
        let mut pace = Pace::default();
        pace.ran(ms(0), ms(19));
        assert!(pace.is_due(ms(0)) && pace.rest().is_none());
    }

    #[test]
    fn a_single_slow_look_counts_for_a_quarter() {
        let mut pace = Pace::default();
        pace.ran(ms(0), ms(100));
        pace.ran(ms(2_000), ms(500));
        assert_eq!(pace.rest(), Some(ms(4_000)));
        pace.ran(ms(6_000), ms(100));
        assert_eq!(pace.rest(), Some(ms(3_500)));
    }

    #[test]
    fn what_is_put_off_is_said_until_a_turn_without_it() {
        let mut pace = Pace::default();
        pace.ran(ms(0), ms(800));
        pace.did_without();
        let said = "a scan by row version takes 0.8 s, so it runs every 16 s; polls in between read behind a fence";
        assert_eq!(pace.shown().as_deref(), Some(said));
        pace.ran(ms(16_000), ms(800));
        assert!(pace.shown().is_some());
        pace.ran(ms(32_000), ms(800));
        assert!(pace.shown().is_none());
    }

    proptest! {
        #[test]
        fn it_never_takes_more_than_its_share(every in 10u64..5_000, costs in prop::collection::vec(0u64..20_000, 1..60)) {
            // Costs that stay: each for ten looks, so that smoothing has caught up.
            for cost in costs {
                let (mut pace, mut now, mut spent) = (Pace::default(), 0, 0);
                for _ in 0..200 {
                    if pace.is_due(ms(now)) {
                        pace.ran(ms(now), ms(cost));
                        spent += cost;
                        now += cost;
                    } else {
                        pace.did_without();
                    }
                    now += every;
                }
                prop_assert!(cost < 20 || spent <= now / 20 + cost, "{spent} of {now}");
            }
        }

        #[test]
        fn it_is_always_due_some_day(cost in 0u64..1_000_000_000) {
            let mut pace = Pace::default();
            pace.ran(ms(7), ms(cost));
            prop_assert!(pace.is_due(ms(7) + REST_MAX));
        }
    }
}
