//! May an attempt start now? Puts the breaker, `rate`, `Retry-After` and the operator's pause together, and turns them
//! into what the store keeps. Pure: both clocks are passed in.

use std::time::Duration;

use super::breaker::{Breaker, Change, Ticket};
use super::clock_watch::Moment;
use super::rate::Bucket;
use super::settlement::{RETRY_AFTER_MAX, Sign, SinkEffect};
use crate::sink::settings::DeliverySettings;
use crate::store::{Pause, SinkHold};

/// Deliveries are claimed so far ahead of the tokens they will need.
const RATE_AHEAD: Duration = Duration::from_millis(100);

/// Everything that can hold a whole sink.
#[derive(Debug)]
pub struct Gate {
    breaker: Breaker,
    bucket: Option<Bucket>,
    pause: Option<(Pause, Option<Duration>)>,
    not_before: Option<Duration>,
    concurrency: u32,
}

/// Whether the sink is held, apart from `rate` and slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It is not.
    Free,
    /// Until this tick.
    ShutUntil(Duration),
    /// Until an operator opens it.
    Shut,
}

impl Gate {
    /// The gate of a sink as the store remembers its hold.
    pub fn new(policy: &DeliverySettings, hold: &SinkHold, at: Moment) -> Self {
        let concurrency = policy.concurrency.max(1);
        let breaker = match hold.breaker_until {
            Some(until) => Breaker::reopened(concurrency, until.since(at.now), at.tick),
            None => Breaker::new(concurrency),
        };
        let bucket = policy.rate.map(Bucket::new);
        let mut gate = Self { breaker, bucket, pause: None, not_before: None, concurrency };
        gate.set_pause(hold.pause.clone(), at);
        gate.not_before = hold.not_before.map(|until| hold_end(until.since(at.now), at.tick));
        gate
    }

    /// Whether the sink is held.
    pub fn passage(&self, tick: Duration) -> Passage {
        let paused_until = match &self.pause {
            Some((_, None)) => return Passage::Shut,
            Some((_, until)) => *until,
            None => None,
        };
        let ends = [paused_until, self.not_before, self.breaker.open_until(tick)];
        match ends.into_iter().flatten().filter(|end| *end > tick).max() {
            Some(end) => Passage::ShutUntil(end),
            None => Passage::Free,
        }
    }

    /// Whether one more attempt may start while `running` run.
    pub fn may_start(&self, running: u32, tick: Duration) -> bool {
        self.passage(tick) == Passage::Free
            && self.breaker.room(running, tick) > 0
            && self.bucket.as_ref().is_none_or(|bucket| bucket.ready_at() <= tick)
    }

    /// When the next token of `rate` is there.
    pub fn token_at(&self) -> Option<Duration> {
        self.bucket.as_ref().map(Bucket::ready_at)
    }

    /// How many deliveries may be claimed while `queued` wait and `running` run; `ahead` allows a second set, so that
    /// slots of a fast receiver are busy during a commit.
    pub fn room(&self, queued: usize, running: u32, ahead: bool, tick: Duration) -> usize {
        if self.passage(tick) != Passage::Free {
            return 0;
        }
        let level = self.breaker.level();
        let slots = if self.breaker.is_tripped() {
            self.breaker.room(running, tick) as usize
        } else {
            let sets = if ahead && level == self.concurrency { 2 } else { 1 };
            (level as usize * sets).saturating_sub(running as usize)
        };
        let tokens = self
            .bucket
            .as_ref()
            .map_or(usize::MAX, |bucket| if bucket.ready_at() <= tick { bucket.tokens(tick, RATE_AHEAD) } else { 0 });
        slots.min(tokens).saturating_sub(queued)
    }

    /// Notes that an attempt starts, which [`Gate::may_start`] allowed.
    pub fn start(&mut self, tick: Duration) -> Ticket {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(tick);
        }
        if self.not_before.take().is_some() {
            // The receiver asked for rest: it is not met with everything at once.
            self.breaker.ease();
        }
        self.breaker.start(tick)
    }

    /// Notes how an attempt of delivery `seq` ended.
    pub fn end(&mut self, ticket: Ticket, seq: u64, sign: Sign, effect: SinkEffect, at: Moment) -> Option<Change> {
        match effect {
            SinkEffect::None => {}
            SinkEffect::Hold(wait) => self.not_before = self.not_before.max(Some(hold_end(wait, at.tick))),
            SinkEffect::Pause => {
                let reason = "the receiver answered that it is gone for good (410)".to_owned();
                self.pause.get_or_insert((Pause { reason, until: None }, None));
            }
        }
        self.breaker.end(ticket, seq, sign, at.tick)
    }

    /// Takes over what an operator changed: `stored` is the hold as it is now, `known` as it was last read or written.
    /// Returns whether anything changed.
    pub fn adopt(&mut self, stored: &SinkHold, known: &SinkHold, at: Moment) -> bool {
        let mut changed = false;
        if stored.pause != known.pause {
            self.set_pause(stored.pause.clone(), at);
            changed = true;
        }
        if stored.not_before.is_none() && known.not_before.is_some() {
            self.not_before = None;
            changed = true;
        }
        if stored.breaker_until.is_none() && known.breaker_until.is_some() && self.breaker.is_tripped() {
            self.breaker.start_slowly();
            changed = true;
        }
        changed
    }

    /// What the store shall remember.
    pub fn hold(&self, last_error: Option<String>, at: Moment) -> SinkHold {
        let wall = |end: Duration| (end > at.tick).then(|| at.now.plus(end - at.tick));
        let breaker_until = match self.breaker.open_until(at.tick) {
            Some(end) => wall(end),
            // Half open: a restart must begin with a probe again, not with everything.
            None => self.breaker.is_tripped().then_some(at.now),
        };
        SinkHold {
            pause: self.pause.as_ref().map(|(pause, _)| pause.clone()),
            not_before: self.not_before.and_then(wall),
            breaker_until,
            last_error,
        }
    }

    /// Ends a pause whose time is over. Returns whether there was one.
    pub fn end_pause(&mut self, tick: Duration) -> bool {
        self.pause.take_if(|(_, until)| until.is_some_and(|until| until <= tick)).is_some()
    }

    fn set_pause(&mut self, pause: Option<Pause>, at: Moment) {
        self.pause = pause.map(|pause| {
            let until = pause.until.map(|until| at.tick_of(until));
            (pause, until)
        });
    }
}

fn hold_end(wait: Duration, tick: Duration) -> Duration {
    tick.saturating_add(wait.min(RETRY_AFTER_MAX))
}
