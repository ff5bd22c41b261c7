//! One round of a source: lease, look, commit, confirm. Its errors are values: a source that fails is degraded, the
//! others go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::action::carry_out_due;
use super::ledger::{PollLedger, Storing, Tally};
use super::logins::is_spent;
use super::plan::SourcePlan;
use crate::change::{Key, Policy};
use crate::clock::{Clock, Stop, Timestamp};
use crate::error::{ErrorKind, Result};
use crate::event::{Captures, Spool};
use crate::source::{AUTH_REFUSED, Accepted, Hold, HoldReason, Look, Looked, Patience, Progress, Scope, Source};
use crate::store::{Lease, PollEnded, Store};

/// A source and everything its rounds need.
pub struct Poller {
    source: Box<dyn Source>,
    plan: SourcePlan,
    store: Arc<dyn Store>,
    spool: Spool,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
    refused_before: HashMap<Key, String>,
    waiting_before: u64,
    last_state: Option<RoundState>,
}

/// What a round came to.
#[derive(Debug, Clone)]
pub struct Round {
    /// Whether the source is well, held, paused or failed.
    pub state: RoundState,
    /// Events told.
    pub told: u64,
    /// Entries refused.
    pub refused: u64,
    /// Entries that wait.
    pub waiting: u64,
    /// When it is worth looking at what waits.
    pub look_again_in: Option<Duration>,
    /// How long the look took.
    pub took: Duration,
}

/// How a source is after a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundState {
    /// All is well.
    Ok,
    /// It was looked at, but something of it is not well.
    Degraded(String),
    /// It, or part of what it saw, waits for an operator or for room.
    Held(Hold),
    /// An operator paused it.
    Paused(String),
    /// The look ended with an error.
    Failed(String),
    /// The process is stopping.
    Stopped,
}

impl Poller {
    /// A poller for one source.
    pub fn new(
        source: Box<dyn Source>,
        plan: SourcePlan,
        store: Arc<dyn Store>,
        spool: Spool,
        clock: Arc<dyn Clock>,
        progress: Arc<dyn Progress>,
    ) -> Self {
        let refused_before = HashMap::new();
        Self { source, plan, store, spool, clock, progress, refused_before, waiting_before: u64::MAX, last_state: None }
    }

    /// The source's plan.
    pub fn plan(&self) -> &SourcePlan {
        &self.plan
    }

    /// The source itself, for probing and watching.
    pub fn source(&mut self) -> &mut dyn Source {
        &mut *self.source
    }

    /// Carries out after-actions that are due; returns how many.
    pub fn act(&mut self) -> Result<usize> {
        carry_out_due(&mut *self.source, &self.plan, &*self.store, &*self.clock)
    }

    /// One round over `scope`.
    ///
    /// # Errors
    /// The store's own: those of the place looked at are in [`Round::state`].
    pub fn round(&mut self, scope: Scope, stop: &Stop) -> Result<Round> {
        let (began, began_tick) = (self.clock.now(), self.clock.tick());
        let lease = self.store.begin_poll(&self.plan.name, began)?;
        if let Some(pause) = &lease.pause {
            return Ok(self.quiet(RoundState::Paused(pause.reason.clone())));
        }
        if let Some(hold) = self.standing_hold(&lease) {
            let ended = PollEnded { hold: Some(hold.clone()), ..self.ended(began, &lease) };
            self.store.end_poll(&lease, ended)?;
            return Ok(self.quiet(RoundState::Held(hold)));
        }
        let full = scope == Scope::Everything;
        let (looked, tally) = self.look(scope, &lease, stop);
        let took = self.clock.tick().saturating_sub(began_tick);
        let state = self.state_of(&looked, tally);
        let waited = looked.as_ref().map_or(0, |l| l.waiting);
        let look_again_in = looked.as_ref().ok().and_then(|l| l.look_again_in);
        self.end(&lease, began, full, looked, tally, &state)?;
        self.say(&state);
        Ok(Round { state, told: tally.told, refused: tally.refused, waiting: waited, look_again_in, took })
    }

    fn quiet(&mut self, state: RoundState) -> Round {
        self.say(&state);
        Round { state, told: 0, refused: 0, waiting: 0, look_again_in: None, took: Duration::ZERO }
    }

    /// What holds the source before it is even looked at.
    fn standing_hold(&self, lease: &Lease) -> Option<Hold> {
        let name = &self.plan.name;
        let now_bound = self.source.binding();
        if let Some(bound) =
            lease.binding.as_ref().filter(|b| b.location != now_bound.location && !lease.accepted.place)
        {
            let detail = format!(
                "it was bound to {} and is now at {}; `highwater cursor {name} accept` keeps what is known, `highwater cursor {name} reset` looks anew",
                bound.location, now_bound.location
            );
            return Some(Hold { reason: HoldReason::LocationChanged, detail });
        }
        let full = self.plan.routes.all_sinks().find(|(sink, facts)| self.store.backlog(sink) >= facts.max_backlog);
        full.map(|(sink, facts)| Hold {
            reason: HoldReason::Backlog,
            detail: format!(
                "sink {sink} has {} undelivered events and max_backlog is {}; it goes on by itself when there are fewer",
                self.store.backlog(sink),
                facts.max_backlog
            ),
        })
    }

    fn look(&mut self, scope: Scope, lease: &Lease, stop: &Stop) -> (Result<Looked>, Tally) {
        let own_stop = self.plan.poll_timeout.map_or_else(|| stop.clone(), |limit| stop.within(limit.duration()));
        let look = Look {
            scope,
            first: lease.completed == 0,
            filters_changed: lease.binding.as_ref().is_some_and(|b| b.filters != self.source.binding().filters),
            accepted: lease.accepted,
            max_new: self.plan.max_new,
            patience: Patience::Return,
            clock: &*self.clock,
            stop: &own_stop,
            progress: &*self.progress,
        };
        let nature = self.source.nature();
        let policy =
            Policy { tracks_keys: self.source.tracks_keys(), received: false, pruned_revision: lease.pruned_revision };
        let mut outlet = Storing(&*self.store);
        let mut ledger = PollLedger {
            plan: &self.plan,
            store: &*self.store,
            outlet: &mut outlet,
            captured: Captures::new(self.spool.clone()),
            captures: true,
            clock: &*self.clock,
            nature,
            policy,
            lease: lease.clone(),
            refused_before: &mut self.refused_before,
            tally: Tally::default(),
            behind: None,
        };
        let looked = self.source.poll(&look, &mut ledger);
        // A page that could not be kept is why the rest was not, and the poll did not go well without it.
        let looked = ledger.settle().and(looked);
        self.progress.end();
        (looked, ledger.tally)
    }

    fn state_of(&self, looked: &Result<Looked>, tally: Tally) -> RoundState {
        match looked {
            Ok(Looked { hold: Some(hold), .. }) => RoundState::Held(hold.clone()),
            Ok(looked) => {
                let unrouted = (tally.unrouted > 0).then(|| format!("{} events have no route", tally.unrouted));
                let reasons: Vec<String> = [looked.degraded.clone(), unrouted].into_iter().flatten().collect();
                if reasons.is_empty() { RoundState::Ok } else { RoundState::Degraded(reasons.join("; ")) }
            }
            Err(error) if error.kind() == ErrorKind::Stopped => RoundState::Stopped,
            Err(error) if error.kind() == ErrorKind::Full => {
                let detail = format!("{error}; it goes on by itself when there is room");
                RoundState::Held(Hold { reason: HoldReason::SpoolFull, detail })
            }
            Err(error) if is_spent(error) => {
                let detail = error.to_string().replace(AUTH_REFUSED, "");
                RoundState::Held(Hold { reason: HoldReason::AuthRefused, detail })
            }
            Err(error) => RoundState::Failed(error.to_string()),
        }
    }

    fn ended(&self, began: Timestamp, lease: &Lease) -> PollEnded {
        PollEnded {
            began,
            ended: self.clock.now(),
            completed: false,
            cut_short: false,
            binding: lease.binding.clone(),
            error: None,
            degraded: None,
            settled: None,
            // These end by themselves, and are found again by each look.
            hold: lease.hold.clone().filter(|h| !ends_by_itself(h.reason)),
            waiting: 0,
            waiting_shown: None,
            accepted_used: false,
            unrouted: 0,
        }
    }

    fn end(
        &mut self,
        lease: &Lease,
        began: Timestamp,
        full: bool,
        looked: Result<Looked>,
        tally: Tally,
        state: &RoundState,
    ) -> Result<()> {
        let mut ended = self.ended(began, lease);
        ended.unrouted = tally.unrouted;
        match looked {
            Ok(looked) => {
                ended.completed = full && looked.hold.is_none();
                // What an edit of the filters means is worked off by one full look, and by nothing less.
                if full || lease.binding.is_none() {
                    ended.binding = Some(self.source.binding());
                }
                ended.accepted_used = full && lease.accepted != Accepted::default();
                ended.degraded = if let RoundState::Degraded(why) = state { Some(why.clone()) } else { None };
                // A look at a part says nothing of what holds the whole.
                ended.hold = if full { looked.hold } else { looked.hold.or(ended.hold) };
                let unchanged = looked.waiting == 0 && self.waiting_before == 0;
                ended.waiting = looked.waiting;
                ended.settled = looked.settled;
                ended.waiting_shown = (!unchanged).then_some(looked.waiting_shown);
                self.waiting_before = looked.waiting;
            }
            Err(error) => {
                ended.cut_short = *state == RoundState::Stopped;
                if let RoundState::Held(hold) = state {
                    ended.hold = Some(hold.clone());
                }
                ended.error = Some(error.to_string());
                ended.waiting = if self.waiting_before == u64::MAX { 0 } else { self.waiting_before };
            }
        }
        match self.store.end_poll(lease, ended) {
            Err(error) if matches!(error.kind(), ErrorKind::Full | ErrorKind::Conflict) => {
                tracing::warn!(source = %self.plan.name, %error, "the end of a poll could not be stored");
                Ok(())
            }
            other => other,
        }
    }

    /// A line when the state changes, and only then.
    fn say(&mut self, state: &RoundState) {
        if self.last_state.as_ref() == Some(state) {
            return;
        }
        let name = &self.plan.name;
        match state {
            RoundState::Ok if self.last_state.is_some() => tracing::info!(source = %name, "source is well again"),
            RoundState::Ok | RoundState::Stopped => {}
            RoundState::Degraded(why) => tracing::warn!(source = %name, why, "source is degraded"),
            RoundState::Held(hold) => {
                tracing::warn!(source = %name, reason = hold.reason.as_str(), detail = %hold.detail, "source is held");
            }
            RoundState::Paused(reason) => tracing::info!(source = %name, reason, "source is paused"),
            RoundState::Failed(error) => {
                tracing::warn!(source = %name, error, "source could not be polled; it is tried again")
            }
        }
        self.last_state = Some(state.clone());
    }
}

const fn ends_by_itself(reason: HoldReason) -> bool {
    matches!(reason, HoldReason::Backlog | HoldReason::LocationChanged | HoldReason::AuthRefused)
}

impl RoundState {
    /// What is not well, in a line for people.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Ok => None,
            Self::Degraded(why) => Some(format!("degraded: {why}")),
            Self::Held(hold) => Some(format!("held ({}): {}", hold.reason.as_str(), hold.detail)),
            Self::Paused(reason) => Some(format!("paused: {reason}")),
            Self::Failed(error) => Some(error.clone()),
            Self::Stopped => Some("stopped before the end".into()),
        }
    }

    /// The word in `status`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded(_) => "degraded",
            Self::Held(_) => "held",
            Self::Paused(_) => "paused",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
        }
    }
}
