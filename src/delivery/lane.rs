//! The claims, attempts and outcomes of one sink, and what may happen next to them. Pure: it is told both clocks, and
//! owned by whoever makes the attempts (`slots`) and stores the outcomes (`ledger`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Change, Ticket};
use super::clock_watch::Moment;
use super::gate::{Gate, Passage};
use super::settlement::{Facts, SinkEffect, UNMADE, settlement};
use super::troubled::Troubled;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::sink::settings::DeliverySettings;
use crate::sink::{Outcome, Report};
use crate::store::{Claim, Settled, SinkHold, State};

/// Attempts quicker than this on average leave slots idle during a commit, so a second set is claimed ahead. For slower
/// ones that would only make more deliveries look under way than are.
const QUICK: Duration = Duration::from_millis(50);

/// What is claimed, under way and ended of one sink.
#[derive(Debug)]
pub struct Lane {
    policy: Arc<DeliverySettings>,
    gate: Gate,
    began: Moment,
    accepting: bool,
    attempts: Attempts,
    queue: VecDeque<Claim>,
    parked: Vec<Claim>,
    running: u32,
    ended: Vec<Ended>,
    news: Vec<News>,
    troubled: Troubled,
    took: Option<Duration>,
}

/// How often a delivery is attempted in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// Whenever it is due.
    AsDue,
    /// Once.
    OneEach,
}

/// An attempt that has begun.
#[derive(Debug)]
pub struct Started {
    /// The delivery.
    pub claim: Claim,
    /// When.
    pub at: Moment,
    ticket: Ticket,
}

/// An attempt that has ended, or a claim handed back, to be stored.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The event, without body and content.
    pub event: Event,
    /// What is stored of it.
    pub settled: Settled,
}

/// Something about the whole sink that people and the store are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The breaker changed.
    Breaker(Change),
    /// The receiver asked to be left alone for this long.
    Held(Duration),
    /// The receiver is gone for good.
    Gone,
    /// A fault whose cause is worth showing.
    Faulty(String),
    /// It works again.
    Well,
}

impl Lane {
    /// An empty lane of a sink that is held as `hold` says.
    pub fn new(policy: Arc<DeliverySettings>, attempts: Attempts, hold: &SinkHold, at: Moment) -> Self {
        Self {
            gate: Gate::new(&policy, hold, at),
            policy,
            began: at,
            accepting: true,
            attempts,
            queue: VecDeque::new(),
            parked: Vec::new(),
            running: 0,
            ended: Vec::new(),
            news: Vec::new(),
            troubled: Troubled::default(),
            took: None,
        }
    }

    /// How many deliveries may be claimed now; outcomes not yet stored count, so that at most twice the concurrency is
    /// claimed at any moment.
    pub fn room(&self, tick: Duration) -> usize {
        if !self.accepting {
            return 0;
        }
        let ahead = self.took.is_some_and(|took| took < QUICK);
        let room = self.gate.room(self.queue.len(), self.running, ahead, tick);
        let bound = 2 * self.policy.concurrency.max(1) as usize;
        room.min(bound.saturating_sub(self.queue.len() + self.running as usize + self.ended.len()))
    }

    /// Takes claimed deliveries, in the order the store gave them.
    pub fn offer(&mut self, claims: Vec<Claim>) {
        for claim in claims {
            if self.attempts == Attempts::OneEach && self.troubled.contains(claim.seq) {
                // It stays claimed until the run ends, so that it is not claimed again and its key stays in order.
                self.parked.push(claim);
            } else {
                self.queue.push_back(claim);
            }
        }
    }

    /// Starts the next attempt, when there is one and it may start.
    pub fn start(&mut self, at: Moment) -> Option<Started> {
        if !self.accepting || self.queue.is_empty() || !self.gate.may_start(self.running, at.tick) {
            return None;
        }
        let claim = self.queue.pop_front()?;
        self.running += 1;
        let ticket = self.gate.start(at.tick);
        Some(Started { claim, at, ticket })
    }

    /// Ends an attempt: judges its report, and tells the gate at once. `jitter` is a random number from 0 to 1.
    pub fn end(&mut self, started: Started, report: Report, at: Moment, jitter: f64) {
        let Started { claim, at: began, ticket } = started;
        let rejections = self.troubled.rejections(claim.seq, claim.charged);
        let facts = Facts {
            charged: claim.charged,
            rejections,
            first_at: claim.first_at,
            began: began.now,
            ended: at.now,
            ended_steady: self.began.steady_at(at.tick),
        };
        let verdict = settlement(&report.outcome, &facts, &self.policy, jitter);
        let rejected = u32::from(report.outcome == Outcome::Rejected);
        self.troubled.note(claim.seq, verdict.state, rejections.saturating_add(rejected));
        self.running -= 1;
        let took = at.tick.saturating_sub(began.tick);
        self.took = Some(self.took.map_or(took, |average| average.saturating_mul(7).saturating_add(took) / 8));
        let change = self.gate.end(ticket, claim.seq, verdict.sign, verdict.effect, at);
        self.news.extend(change.map(News::Breaker));
        self.note(&report, verdict.effect);
        self.ended.push(Ended {
            settled: Settled {
                seq: claim.seq,
                attempt: claim.attempt,
                state: verdict.state,
                next_at: verdict.next_at,
                charged: verdict.charged,
                dead_reason: verdict.dead_reason,
                began: began.now,
                took,
                outcome: verdict.outcome,
                code: report.code,
                summary: report.summary,
                output: report.output,
            },
            event: bare(claim.event),
        });
    }

    /// Hands back what is claimed and must not start: everything queued when the sink is held or the lane is closed.
    pub fn hand_back(&mut self, at: Moment) {
        if self.accepting && self.gate.passage(at.tick) == Passage::Free {
            return;
        }
        self.ended.extend(self.queue.drain(..).map(|claim| unmade(claim, at.now)));
    }

    /// Starts no more attempts.
    pub fn close(&mut self, at: Moment) {
        self.accepting = false;
        self.queue.extend(self.parked.drain(..));
        self.hand_back(at);
    }

    /// What has ended since the last call, to be stored.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// What has happened to the sink since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether nothing is queued, under way or ended but not taken.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running == 0 && self.ended.is_empty()
    }

    /// Whether something has ended that was not taken yet.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Whether outcomes may be gathered for a moment: claims are there to go on with, and fewer attempts have ended than
    /// run at once.
    pub fn may_gather(&self) -> bool {
        !self.queue.is_empty() && !self.ended.is_empty() && self.ended.len() < self.policy.concurrency as usize
    }

    /// How many attempts are under way.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// When something may start or be claimed that may not now because of `rate`.
    pub fn token_at(&self, tick: Duration) -> Option<Duration> {
        self.gate.token_at().filter(|at| *at > tick)
    }

    /// How many deliveries failed in this run and still wait.
    pub fn troubled(&self) -> usize {
        self.troubled.len()
    }

    /// What holds the sink.
    pub fn gate(&mut self) -> &mut Gate {
        &mut self.gate
    }

    fn note(&mut self, report: &Report, effect: SinkEffect) {
        match (&report.outcome, effect) {
            // Attempts side by side are told the same: it is news once.
            (_, SinkEffect::Hold(_)) if matches!(self.news.last(), Some(News::Held(_))) => {}
            (_, SinkEffect::Hold(wait)) => self.news.push(News::Held(wait)),
            (_, SinkEffect::Pause) => self.news.push(News::Gone),
            (Outcome::Transient { .. } | Outcome::Fault, _) => self.news.push(News::Faulty(report.summary.clone())),
            (Outcome::Delivered, _) if self.news.last() != Some(&News::Well) => self.news.push(News::Well),
            _ => {}
        }
    }
}

/// A claim whose attempt never began: due again at once, and not charged.
fn unmade(claim: Claim, now: Timestamp) -> Ended {
    Ended {
        settled: Settled {
            seq: claim.seq,
            attempt: claim.attempt,
            state: State::Pending,
            next_at: None,
            charged: false,
            dead_reason: None,
            began: now,
            took: Duration::ZERO,
            outcome: UNMADE,
            code: None,
            summary: "handed back before it began".to_owned(),
            output: Vec::new(),
        },
        event: bare(claim.event),
    }
}

fn bare(mut event: Event) -> Event {
    event.body = Vec::new();
    event.content = None;
    event
}
