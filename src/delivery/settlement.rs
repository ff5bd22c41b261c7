//! What an outcome means for its delivery: the table of DESIGN section 8 as one pure function.
//! Whether an attempt may start at all belongs to `gate`, storing the verdict to `ledger`.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::sink::Outcome;
use crate::sink::settings::DeliverySettings;
use crate::store::State;

/// A receiver may hold a sink by `Retry-After` no longer than this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits after the first, second and third rejection; the next one is final.
pub const REJECTED_RETRY: [Duration; 3] = [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(600)];

/// Waits are lengthened by up to this share, never shortened.
pub const JITTER_SHARE_MAX: f64 = 0.2;

/// The outcome's word of a claim that was handed back before its attempt began.
pub const UNMADE: &str = "unmade";

/// What is known of a delivery when its attempt has ended.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Attempts that count against the schedule, before this one.
    pub charged: u32,
    /// How many of them were rejections; `charged` where that is not known.
    pub rejections: u32,
    /// When the first attempt began; `None` when this is it.
    pub first_at: Option<Timestamp>,
    /// When this attempt began.
    pub began: Timestamp,
    /// When it ended, on the wall clock.
    pub ended: Timestamp,
    /// The same moment on a wall clock that nobody has stepped since this process began.
    pub ended_steady: Timestamp,
}

/// What becomes of a delivery, and of its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The state from now on.
    pub state: State,
    /// When it is due again.
    pub next_at: Option<Timestamp>,
    /// Whether the attempt counts against the schedule.
    pub charged: bool,
    /// Why it is dead.
    pub dead_reason: Option<&'static str>,
    /// The outcome's word, for `attempts`.
    pub outcome: &'static str,
    /// What it means for the sink.
    pub effect: SinkEffect,
    /// What it tells the breaker.
    pub sign: Sign,
}

/// What an outcome means for the whole sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkEffect {
    /// Nothing.
    None,
    /// `Retry-After`: nothing is sent for this long.
    Hold(Duration),
    /// The receiver is gone for good (410): nothing is sent until an operator resumes the sink.
    Pause,
}

/// What an outcome says about the health of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The receiver answered for itself, with yes or no.
    Alive,
    /// It did not, or not as a receiver should.
    Faulty,
    /// It says nothing: the attempt was ended by us, never reached the receiver, or was put off by it.
    Silent,
}

/// What `outcome` means under `policy`. `jitter` is a random number from 0 to 1.
///
/// A delivery is dead `expired` only after an attempt that ended `retry_for` or more after its first one began, so each
/// has a last attempt however long the breaker was open.
pub fn settlement(outcome: &Outcome, facts: &Facts, policy: &DeliverySettings, jitter: f64) -> Verdict {
    let failed = Verdict {
        state: State::Retrying,
        next_at: None,
        charged: true,
        dead_reason: None,
        outcome: word(outcome),
        effect: effect(outcome),
        sign: sign(outcome),
    };
    let scheduled = facts.ended.plus(stretched(step(policy, facts.charged), jitter));
    match outcome {
        Outcome::Delivered => Verdict { state: State::Delivered, ..failed },
        Outcome::Dead => dead("poison", failed),
        Outcome::Rejected => match REJECTED_RETRY.get(facts.rejections as usize) {
            Some(wait) if !expired(facts, policy) => again(facts.ended.plus(stretched(*wait, jitter)), failed),
            _ => dead("rejected", failed),
        },
        Outcome::Transient { .. } | Outcome::Fault if expired(facts, policy) => dead("expired", failed),
        Outcome::Transient { retry_after: Some(wait) } => {
            let asked = facts.ended.plus((*wait).min(RETRY_AFTER_MAX));
            Verdict { charged: false, ..again(scheduled.max(asked), failed) }
        }
        Outcome::Transient { retry_after: None } | Outcome::Fault => again(scheduled, failed),
        Outcome::Gone | Outcome::Stopped => Verdict { charged: false, ..again(facts.ended, failed) },
    }
}

/// The outcome's word, as `attempts` shows it.
pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Transient { .. } => "transient",
        Outcome::Fault => "fault",
        Outcome::Rejected => "rejected",
        Outcome::Dead => "dead",
        Outcome::Gone => "gone",
        Outcome::Stopped => "stopped",
    }
}

/// The longest a next try of this sink can lie ahead: what is stored further off comes from a clock that jumped.
pub fn wait_max(policy: &DeliverySettings) -> Duration {
    let longest = policy.retry.iter().map(|step| step.duration()).max().unwrap_or_default();
    stretched(longest.max(REJECTED_RETRY[2]), 1.0)
}

/// The wait after an attempt before which `charged` ones counted; the last step repeats.
fn step(policy: &DeliverySettings, charged: u32) -> Duration {
    let step = policy.retry.get(charged as usize).or(policy.retry.last());
    step.map_or(Duration::ZERO, |step| step.duration())
}

fn stretched(wait: Duration, jitter: f64) -> Duration {
    let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 } * JITTER_SHARE_MAX;
    wait.saturating_add(Duration::try_from_secs_f64(wait.as_secs_f64() * share).unwrap_or_default())
}

fn expired(facts: &Facts, policy: &DeliverySettings) -> bool {
    policy.retry_for.is_some_and(|limit| age(facts) >= limit.duration())
}

/// How long ago the first attempt began. Where the wall clock was stepped since, the steady one decides if it is the
/// smaller: a jump ahead must not make everything expire. A first attempt after such a jump lies ahead of the steady
/// clock, so there the wall clock decides.
fn age(facts: &Facts) -> Duration {
    let first = facts.first_at.unwrap_or(facts.began);
    let by_wall = facts.ended.since(first);
    if first <= facts.ended_steady { by_wall.min(facts.ended_steady.since(first)) } else { by_wall }
}

fn effect(outcome: &Outcome) -> SinkEffect {
    match outcome {
        Outcome::Transient { retry_after: Some(wait) } => SinkEffect::Hold((*wait).min(RETRY_AFTER_MAX)),
        Outcome::Gone => SinkEffect::Pause,
        _ => SinkEffect::None,
    }
}

// A receiver that says when to come back is at work: the hold it asks for takes the place of the breaker.
fn sign(outcome: &Outcome) -> Sign {
    match outcome {
        Outcome::Delivered | Outcome::Rejected => Sign::Alive,
        Outcome::Transient { retry_after: None } | Outcome::Fault => Sign::Faulty,
        Outcome::Transient { .. } | Outcome::Dead | Outcome::Gone | Outcome::Stopped => Sign::Silent,
    }
}

fn again(next_at: Timestamp, failed: Verdict) -> Verdict {
    Verdict { state: State::Retrying, next_at: Some(next_at), ..failed }
}

fn dead(reason: &'static str, failed: Verdict) -> Verdict {
    Verdict { state: State::Dead, dead_reason: Some(reason), ..failed }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::tests::{policy, start};
    use crate::setting::Interval;

    const HOUR: u64 = 3_600;

    fn facts(charged: u32, age_secs: u64) -> Facts {
        let began = start().plus(Duration::from_secs(age_secs));
        let ended = began.plus(Duration::from_secs(1));
        let first_at = (charged > 0).then(start);
        Facts { charged, rejections: charged, first_at, began, ended, ended_steady: ended }
    }

    #[test]
    fn each_outcome_has_its_line_in_the_table() {
        let transient = Outcome::Transient { retry_after: None };
        let asked = |secs| Outcome::Transient { retry_after: Some(Duration::from_secs(secs)) };
        // outcome, charged before, age in seconds, then: state, wait in seconds, charged, reason
        let table = [
            (Outcome::Delivered, 0, 0, State::Delivered, None, true, None),
            (transient.clone(), 0, 0, State::Retrying, Some(5), true, None),
            (transient.clone(), 1, 6, State::Retrying, Some(30), true, None),
            (Outcome::Fault, 3, 200, State::Retrying, Some(600), true, None),
            (transient.clone(), 99, 71 * HOUR, State::Retrying, Some(600), true, None),
            (transient.clone(), 2, 72 * HOUR, State::Dead, None, true, Some("expired")),
            (Outcome::Fault, 2, 72 * HOUR, State::Dead, None, true, Some("expired")),
            (asked(7_200), 0, 0, State::Retrying, Some(7_200), false, None),
            (asked(2), 0, 0, State::Retrying, Some(5), false, None),
            (asked(999_999_999), 0, 0, State::Retrying, Some(24 * HOUR), false, None),
            (asked(60), 4, 72 * HOUR, State::Dead, None, true, Some("expired")),
            (Outcome::Rejected, 0, 0, State::Retrying, Some(0), true, None),
            (Outcome::Rejected, 1, 1, State::Retrying, Some(60), true, None),
            (Outcome::Rejected, 2, 70, State::Retrying, Some(600), true, None),
            (Outcome::Rejected, 3, 700, State::Dead, None, true, Some("rejected")),
            (Outcome::Rejected, 1, 72 * HOUR, State::Dead, None, true, Some("rejected")),
            (Outcome::Dead, 0, 0, State::Dead, None, true, Some("poison")),
            (Outcome::Gone, 0, 0, State::Retrying, Some(0), false, None),
            (Outcome::Gone, 1, 99 * HOUR, State::Retrying, Some(0), false, None),
            (Outcome::Stopped, 1, 99 * HOUR, State::Retrying, Some(0), false, None),
        ];
        for (outcome, charged, age, state, wait, is_charged, reason) in table {
            let facts = facts(charged, age);
            let verdict = settlement(&outcome, &facts, &policy(), 0.0);
            let next_at = wait.map(|secs| facts.ended.plus(Duration::from_secs(secs)));
            let got = (verdict.state, verdict.next_at, verdict.charged, verdict.dead_reason);
            assert_eq!(got, (state, next_at, is_charged, reason), "{outcome:?} after {charged} at {age} s");
        }
    }

    #[test]
    fn retry_after_and_gone_concern_the_whole_sink_and_nothing_else_does() {
        let effect = |outcome| settlement(&outcome, &facts(0, 0), &policy(), 0.5).effect;
        let asked = |secs| Outcome::Transient { retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(effect(asked(9)), SinkEffect::Hold(Duration::from_secs(9)));
        assert_eq!(effect(asked(90_000)), SinkEffect::Hold(RETRY_AFTER_MAX));
        assert_eq!(effect(Outcome::Gone), SinkEffect::Pause);
        for outcome in [Outcome::Delivered, Outcome::Fault, Outcome::Rejected, Outcome::Dead, Outcome::Stopped] {
            assert_eq!(effect(outcome), SinkEffect::None);
        }
    }

    #[test]
    fn retries_for_ever_never_expire() {
        let forever = DeliverySettings { retry_for: None, ..policy() };
        let verdict = settlement(&Outcome::Fault, &facts(9_999, 9_999 * HOUR), &forever, 0.0);
        assert_eq!(verdict.state, State::Retrying);
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Transient { retry_after: None }),
            (0_u64..200_000).prop_map(|s| Outcome::Transient { retry_after: Some(Duration::from_secs(s)) }),
            Just(Outcome::Fault),
            Just(Outcome::Rejected),
        ]
    }

    proptest! {
        #[test]
        fn a_retry_is_never_before_its_schedule_nor_a_fifth_behind_it(
            outcome in outcomes(), charged in 0_u32..20, age in 0_u64..70 * HOUR, jitter in any::<f64>(),
        ) {
            let facts = Facts { rejections: charged.min(2), ..facts(charged, age) };
            let verdict = settlement(&outcome, &facts, &policy(), jitter);
            let step = match &outcome {
                Outcome::Rejected => REJECTED_RETRY[facts.rejections as usize],
                _ => step(&policy(), charged),
            };
            let asked = match &outcome {
                Outcome::Transient { retry_after: Some(wait) } => (*wait).min(RETRY_AFTER_MAX),
                _ => Duration::ZERO,
            };
            let wait = verdict.next_at.expect("it is tried again").since(facts.ended);
            prop_assert!(wait >= step.max(asked), "{:?} is before {:?}", wait, step);
            prop_assert!(wait <= (step + step / 5).max(asked) + Duration::from_nanos(1));
            prop_assert!(asked > Duration::ZERO || wait <= wait_max(&policy()) + Duration::from_nanos(1));
        }

        #[test]
        fn nothing_expires_before_its_time_however_the_wall_clock_jumps(
            outcome in outcomes(), elapsed in 0_u64..200 * HOUR, jump in -500_000_000_i64..500_000_000,
        ) {
            let elapsed = Duration::from_secs(elapsed);
            let steady = start().plus(elapsed);
            let by = Duration::from_secs(jump.unsigned_abs());
            let ended = if jump < 0 { steady.minus(by) } else { steady.plus(by) };
            let facts = Facts {
                charged: 1, rejections: 1, first_at: Some(start()), began: ended, ended, ended_steady: steady,
            };
            let verdict = settlement(&outcome, &facts, &policy(), 0.0);
            if elapsed < Duration::from_secs(72 * HOUR) {
                prop_assert_eq!(verdict.state, State::Retrying);
            } else if jump >= 0 {
                prop_assert_eq!(verdict.state, State::Dead);
            }
        }
    }

    #[test]
    fn a_first_attempt_after_a_jump_ahead_expires_by_the_wall_clock() {
        let jumped = start().plus(Duration::from_secs(50 * 365 * 24 * HOUR));
        let limit = Interval::from_secs(HOUR);
        let policy = DeliverySettings { retry_for: Some(limit), ..policy() };
        for (secs, state) in [(HOUR - 1, State::Retrying), (HOUR, State::Dead)] {
            let ended = jumped.plus(Duration::from_secs(secs));
            let facts = Facts {
                charged: 1,
                rejections: 0,
                first_at: Some(jumped),
                began: ended,
                ended,
                ended_steady: start().plus(Duration::from_secs(secs)),
            };
            assert_eq!(settlement(&Outcome::Fault, &facts, &policy, 0.0).state, state);
        }
    }
}
