//! Turns of the store: outcomes in, claims out, in one transaction. Outcomes that the store does not take are kept and
//! tried again; none is ever dropped silently.

use std::sync::Arc;
use std::time::Duration;

use super::lane::Ended;
use super::settlement::wait_max;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SinkName;
use crate::sink::settings::{AfterDead, DeliverySettings};
use crate::store::{Claim, Claiming, Store};

/// The wait after a refused turn; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A store that fails for another reason than room or rights is tried so often in a row.
const FAILURES_MAX: u32 = 6;

/// What a full store means for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// It waits until there is room: a daemon.
    Wait,
    /// It ends with the error after a few tries: a run of cron, whose next one finds everything where it was.
    GiveUp,
}

pub(super) struct Ledger {
    sink: SinkName,
    when_full: WhenFull,
    store: Arc<dyn Store>,
    hold_after_dead: bool,
    wait_max: Duration,
    unsaved: Vec<Ended>,
    failures: u32,
    retry_at: Option<Duration>,
}

/// What a turn came to.
pub(super) enum Turned {
    /// It is stored.
    Done { claims: Vec<Claim>, settled: Vec<Ended> },
    /// The store does not take it now; try again later.
    Later,
}

impl Ledger {
    pub fn new(sink: SinkName, store: Arc<dyn Store>, policy: &DeliverySettings, when_full: WhenFull) -> Self {
        Self {
            sink,
            when_full,
            store,
            hold_after_dead: policy.after_dead == AfterDead::Hold,
            wait_max: wait_max(policy),
            unsaved: Vec::new(),
            failures: 0,
            retry_at: None,
        }
    }

    /// Until when no turn is tried.
    pub fn retry_at(&self, tick: Duration) -> Option<Duration> {
        self.retry_at.filter(|at| *at > tick)
    }

    /// How many outcomes are not stored yet.
    pub fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Adds outcomes to be stored with the next turn.
    pub fn add(&mut self, ended: Vec<Ended>) {
        self.unsaved.extend(ended);
    }

    /// Stores what is unsaved and claims up to `limit`.
    ///
    /// # Errors
    /// The store's, when it failed too often in a row; not while it is only full or read-only.
    pub fn turn(&mut self, limit: usize, now: Timestamp, tick: Duration) -> Result<Turned> {
        let claiming = Claiming { limit, now, hold_after_dead: self.hold_after_dead, wait_max: self.wait_max };
        let settled = self.unsaved.iter().map(|ended| ended.settled.clone()).collect();
        match self.store.turn(&self.sink, settled, &claiming) {
            Ok(claims) => {
                if self.failures > 0 {
                    tracing::info!(sink = %self.sink, "store takes outcomes again");
                }
                (self.failures, self.retry_at) = (0, None);
                Ok(Turned::Done { claims, settled: std::mem::take(&mut self.unsaved) })
            }
            Err(error) => self.refused(error, tick),
        }
    }

    fn refused(&mut self, error: Error, tick: Duration) -> Result<Turned> {
        let waits = self.when_full == WhenFull::Wait && matches!(error.kind(), ErrorKind::Full | ErrorKind::ReadOnly);
        if self.failures == 0 {
            let (sink, unsaved) = (&self.sink, self.unsaved.len());
            tracing::error!(%sink, %error, unsaved, "store refuses outcomes: they are kept and nothing new is sent");
        }
        self.failures = self.failures.saturating_add(1);
        if !waits && self.failures >= FAILURES_MAX {
            let fact = format!("store {} outcomes of sink {}", self.unsaved.len(), self.sink);
            return Err(error.while_doing(fact));
        }
        let wait = BACKOFF_MIN.saturating_mul(1 << (self.failures - 1).min(16)).min(BACKOFF_MAX);
        self.retry_at = Some(tick.saturating_add(wait));
        Ok(Turned::Later)
    }
}
