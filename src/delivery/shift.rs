//! The loop of a worker's thread: listen, obey, one turn of the store, tell, wait. What may start is decided by `lane`,
//! attempts run in `slots`, the store is spoken to by `ledger` and `hold_record`.

use std::sync::Arc;
use std::time::Duration;

use super::clock_watch::Moment;
use super::gate::Passage;
use super::hold_record::HoldRecord;
use super::lane::{Attempts, Ended, Lane};
use super::ledger::{Ledger, Turned, WhenFull};
use super::observer::{Observer, SettledAttempt, SinkChange};
use super::settlement::UNMADE;
use super::slots::Slots;
use super::worker::{Mode, Orders, WorkerSetup, WorkerSummary};
use crate::clock::{Bell, Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SinkName;
use crate::store::{State, Store};

/// Attempts under way at a stop get so long before they are ended.
pub const GRACE: Duration = Duration::from_secs(30);

/// Outcomes that are not stored so long after that are given up, as an error: they read `unknown` after the next start.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The store is asked again after this long without a ring: a ring that was lost costs a minute, not a delivery.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A delivery that the store calls due and yet does not hand out is asked for again after this long.
const OVERDUE_WAIT: Duration = Duration::from_millis(250);

/// Outcomes are gathered for at most a millisecond, looked at in these steps.
const GATHER_STEP: Duration = Duration::from_micros(100);
const GATHER_STEPS: u32 = 10;

pub(super) struct Shift {
    name: SinkName,
    mode: Mode,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    orders: Arc<Orders>,
    bell: Bell,
    slots: Arc<Slots>,
    ledger: Ledger,
    hold: HoldRecord,
    summary: WorkerSummary,
    /// The last turn handed out all that was due.
    exhausted: bool,
    /// When the next one is due, where that was asked since.
    next_due: Option<Option<Timestamp>>,
    /// When the store was asked for deliveries last.
    asked: Moment,
    rings_of_others: u64,
    stopping: Option<Duration>,
}

impl Shift {
    /// Reads what holds the sink.
    ///
    /// # Errors
    /// The store's.
    pub fn begin(setup: WorkerSetup, orders: Arc<Orders>, bell: Bell) -> Result<Self> {
        let WorkerSetup { name, sink, settings, store, clock, runtime, mode, observer } = setup;
        let at = Moment::of(&*clock);
        let hold = HoldRecord::load(name.clone(), Arc::clone(&store))?;
        let when_full = if mode == Mode::Run { WhenFull::Wait } else { WhenFull::GiveUp };
        let ledger = Ledger::new(name.clone(), Arc::clone(&store), &settings, when_full);
        let attempts = match mode {
            Mode::Run | Mode::Once { retries: true, .. } => Attempts::AsDue,
            Mode::Once { retries: false, .. } => Attempts::OneEach,
        };
        let timeout = settings.timeout.duration();
        let lane = Lane::new(Arc::new(settings), attempts, hold.known(), at);
        let slots = Arc::new(Slots::new(sink, lane, timeout, bell.clone(), Arc::clone(&clock), runtime));
        Ok(Self {
            name,
            mode,
            store,
            clock,
            observer,
            orders,
            rings_of_others: bell.rings(),
            bell,
            slots,
            ledger,
            hold,
            summary: WorkerSummary::default(),
            exhausted: false,
            next_due: None,
            asked: at,
            stopping: None,
        })
    }

    /// Works until there is a reason to end.
    ///
    /// # Errors
    /// The store's, when it does not take outcomes.
    pub fn run(mut self) -> Result<WorkerSummary> {
        loop {
            self.gather();
            let rings = self.bell.rings();
            let at = Moment::of(&*self.clock);
            self.listen(rings, at);
            self.obey(at);
            self.turn(at)?;
            self.tell(at);
            if self.is_over(rings, at)? {
                break;
            }
            let wait = self.wake_at(at).saturating_sub(at.tick);
            if !wait.is_zero() {
                self.bell.wait(rings, wait);
            }
        }
        let at = Moment::of(&*self.clock);
        if self.hold.write_at().is_some() {
            self.hold.touch(at);
            self.hold.write(&self.slots, at);
        }
        self.summary.retrying = self.slots.with(|lane| lane.troubled()) as u64;
        self.summary.waiting = self.store.backlog(&self.name);
        Ok(self.summary)
    }

    /// While the slots have claims to go on with, outcomes wait a moment for each other: one commit then stores many,
    /// where a fast receiver would make it one commit each.
    fn gather(&self) {
        for _ in 0..GATHER_STEPS {
            if !self.slots.with(|lane| lane.may_gather()) {
                return;
            }
            std::thread::sleep(GATHER_STEP);
        }
    }

    /// Notices whether others than our own attempts rang: there may be more to claim, or an operator changed the hold.
    fn listen(&mut self, rings: u64, at: Moment) {
        let others = self.slots.rings_of_others(rings);
        // An attempt counts its ring before it rings, so the difference may fall for a moment.
        let rang = others.wrapping_sub(self.rings_of_others).cast_signed() > 0;
        let silent_for = at.tick.saturating_sub(self.asked.tick);
        if rang || silent_for >= LOOK_AGAIN {
            self.rings_of_others = self.rings_of_others.max(others);
            self.asked = at;
            self.look_again();
            if self.hold.read(&self.slots, at) {
                self.tell_change(&SinkChange::HoldChanged);
            }
        }
        if self.slots.with(|lane| lane.gate().end_pause(at.tick)) {
            self.hold.touch(at);
            self.tell_change(&SinkChange::HoldChanged);
        }
        if self.exhausted && self.due_tick(at).is_some_and(|due| due <= at.tick) {
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        self.exhausted = false;
        self.next_due = None;
    }

    fn obey(&mut self, at: Moment) {
        let too_late = matches!(self.mode, Mode::Once { deadline: Some(deadline), .. } if deadline <= at.tick);
        match self.stopping {
            None if self.orders.stop() || too_late => self.close(at),
            Some(since) if since.saturating_add(GRACE) <= at.tick => self.slots.cut_off(),
            _ => {}
        }
    }

    fn close(&mut self, at: Moment) {
        self.stopping = Some(at.tick);
        self.slots.with(|lane| lane.close(at));
    }

    fn turn(&mut self, at: Moment) -> Result<()> {
        if self.ledger.retry_at(at.tick).is_some() {
            self.slots.offer(Vec::new());
            return Ok(());
        }
        let (ended, room) = self.slots.with(|lane| {
            lane.hand_back(at);
            (lane.take_ended(), lane.room(at.tick))
        });
        self.ledger.add(ended);
        let limit = if self.exhausted && self.ledger.unsaved() == 0 { 0 } else { room };
        if limit == 0 && self.ledger.unsaved() == 0 {
            // Nothing to store or claim, but a token of `rate` or the end of a hold may let a queued one start.
            self.slots.offer(Vec::new());
            return Ok(());
        }
        self.asked = at;
        if let Turned::Done { claims, settled } = self.ledger.turn(limit, at.now, at.tick)? {
            self.exhausted = claims.len() < limit;
            if settled.iter().any(|ended| ended.settled.state != State::Delivered) {
                self.next_due = None;
            }
            // Those claimed start before anything is told of those settled.
            self.slots.offer(claims);
            self.tell_settled(&settled);
        }
        Ok(())
    }

    fn tell_settled(&mut self, settled: &[Ended]) {
        for Ended { event, settled } in settled {
            if settled.outcome == UNMADE {
                continue;
            }
            self.summary.attempts += 1;
            let attempt = SettledAttempt { sink: &self.name, event, settled };
            attempt.log();
            self.observer.settled(&attempt);
            match settled.state {
                State::Delivered => self.summary.delivered += 1,
                State::Dead => {
                    self.summary.dead += 1;
                    if self.summary.dead == 1 {
                        self.tell_change(&SinkChange::FirstDead);
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, at: Moment) {
        let news = self.slots.with(|lane| lane.take_news());
        for one in &news {
            self.hold.note(one, at);
            if let Some(change) = SinkChange::of(one) {
                self.tell_change(&change);
            }
        }
        self.hold.write(&self.slots, at);
    }

    fn tell_change(&self, change: &SinkChange) {
        change.log(&self.name);
        self.observer.sink_changed(&self.name, change);
    }

    fn is_over(&mut self, rings: u64, at: Moment) -> Result<bool> {
        let idle = self.ledger.unsaved() == 0 && self.slots.with(|lane| lane.is_idle());
        if let Some(since) = self.stopping {
            if !idle && since.saturating_add(GRACE + LAST_WORDS) <= at.tick {
                return Err(self.unfinished());
            }
            return Ok(idle);
        }
        // What was committed before the order to finish has rung before it: unless it rang since the top of this round,
        // nothing has come in that the turn did not see.
        if idle && self.orders.finish() && self.bell.rings() == rings && self.nothing_left(at) {
            self.close(at);
            return Ok(self.slots.with(|lane| lane.is_idle()));
        }
        Ok(false)
    }

    fn nothing_left(&mut self, at: Moment) -> bool {
        let Mode::Once { retries, deadline } = self.mode else { return false };
        let beyond = |tick: Duration| !retries || deadline.is_some_and(|deadline| deadline < tick);
        match self.slots.with(|lane| lane.gate().passage(at.tick)) {
            Passage::Shut => true,
            Passage::ShutUntil(end) => beyond(end),
            Passage::Free if !self.exhausted => self.store.backlog(&self.name) == 0,
            Passage::Free => self.due_tick(at).is_none_or(beyond),
        }
    }

    fn unfinished(&self) -> Error {
        let running = self.slots.with(|lane| lane.running());
        let unsaved = self.ledger.unsaved();
        let fact = format!(
            "stop sink {}: {unsaved} outcomes could not be stored and {running} attempts did not end; \
             they read unknown after the next start and are made again",
            self.name
        );
        Error::new(ErrorKind::Internal, fact)
    }

    /// When something is to be done although nobody rings.
    fn wake_at(&mut self, at: Moment) -> Duration {
        let mut wakes = vec![at.tick.saturating_add(LOOK_AGAIN)];
        wakes.extend(self.hold.write_at());
        match self.ledger.retry_at(at.tick) {
            Some(retry) => wakes.push(retry),
            None if self.slots.with(|lane| lane.has_ended()) || self.ledger.unsaved() > 0 => return at.tick,
            None => {}
        }
        match (self.stopping, self.mode) {
            (Some(since), _) => {
                wakes.extend([GRACE, GRACE + LAST_WORDS].map(|wait| since + wait).into_iter().filter(|w| *w > at.tick));
            }
            (None, Mode::Once { deadline: Some(deadline), .. }) => wakes.push(deadline),
            (None, _) => {}
        }
        match self.slots.with(|lane| lane.gate().passage(at.tick)) {
            Passage::Shut => {}
            Passage::ShutUntil(end) => wakes.push(end),
            Passage::Free => {
                wakes.extend(self.slots.with(|lane| lane.token_at(at.tick)));
                if self.exhausted {
                    wakes.extend(self.due_tick(at));
                } else if self.ledger.retry_at(at.tick).is_none() && self.slots.with(|lane| lane.room(at.tick)) > 0 {
                    return at.tick;
                }
            }
        }
        wakes.into_iter().min().unwrap_or(at.tick)
    }

    /// The tick at which the next delivery is due.
    fn due_tick(&mut self, at: Moment) -> Option<Duration> {
        let next_due = match self.next_due {
            Some(known) => known,
            None => match self.store.next_due(&self.name) {
                Ok(due) => *self.next_due.insert(due),
                Err(error) => {
                    tracing::warn!(sink = %self.name, %error, "next due delivery could not be read");
                    Some(at.now)
                }
            },
        };
        let overdue = self.asked.tick.saturating_add(OVERDUE_WAIT);
        next_due.map(|due| if due <= self.asked.now { overdue } else { at.tick_of(due) })
    }
}
