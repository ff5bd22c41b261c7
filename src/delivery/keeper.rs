//! Housekeeping: prunes what is old in small steps, and removes contents that nothing refers to any more.
//! What is pruned by which rule belongs to the store.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::clock_watch::{ClockWatch, Moment};
use crate::clock::{Clock, Stop, Timestamp};
use crate::error::{Error, Result};
use crate::event::Spool;
use crate::store::records::DeliveryFilter;
use crate::store::{Keeping, State, Store};

/// Dead letters are kept this long.
pub const DEAD_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// So long before they are pruned they are announced, once a day.
pub const ANNOUNCED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Pruning pauses for this long after a step of the wall clock.
const DISTRUST: Duration = Duration::from_secs(24 * 60 * 60);

/// A round is done this often.
const ROUND_EVERY: Duration = Duration::from_secs(60);

/// A step touches at most this many records, so that it holds the writer only for moments.
const STEP_MAX: usize = 500;

/// Between two steps others get their turn.
const BREATH: Duration = Duration::from_millis(10);

/// What the keeper needs.
pub struct KeeperSetup {
    /// What is kept in order.
    pub store: Arc<dyn Store>,
    /// Where large contents are.
    pub spool: Spool,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// How long delivered events are kept.
    pub retention: Duration,
}

/// The keeper's thread.
pub struct Keeper {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, when there can be no more threads.
    pub fn start(setup: KeeperSetup) -> Result<Self> {
        let stop = Stop::new();
        let raised = stop.clone();
        let mut rounds = Rounds::new(setup);
        let thread = std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || {
                while !raised.wait(ROUND_EVERY) {
                    rounds.round(&raised);
                }
            })
            .map_err(|error| Error::io("start the keeper", error))?;
        Ok(Self { stop, thread })
    }

    /// Ends after the step under way, and waits for that.
    pub fn stop(self) {
        self.stop.raise();
        if self.thread.join().is_err() {
            tracing::error!("keeper panicked; please report it");
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// The rounds of housekeeping, and what is remembered between them.
pub struct Rounds {
    setup: KeeperSetup,
    watch: ClockWatch,
    announced: Option<Duration>,
    failing: bool,
}

impl Rounds {
    /// Before the first round.
    pub fn new(setup: KeeperSetup) -> Self {
        let watch = ClockWatch::new(Moment::of(&*setup.clock));
        Self { setup, watch, announced: None, failing: false }
    }

    /// One round: steps until there is nothing more to do, or `stop` is raised. Failures are logged once.
    pub fn round(&mut self, stop: &Stop) {
        let at = Moment::of(&*self.setup.clock);
        if let Some(step) = self.watch.look(at) {
            tracing::warn!(step_s = step.as_secs(), "wall clock was stepped: pruning pauses for a day");
        }
        let kept = self.steps(stop, at.now);
        match &kept {
            Ok(()) if self.failing => tracing::info!("housekeeping works again"),
            Err(error) if !self.failing => tracing::warn!(%error, "housekeeping failed: nothing is pruned"),
            _ => {}
        }
        self.failing = kept.is_err();
        let day = Duration::from_secs(24 * 60 * 60);
        if kept.is_ok() && self.announced.is_none_or(|last| at.tick.saturating_sub(last) >= day) {
            self.announced = Some(at.tick);
            self.announce(at.now);
        }
    }

    fn steps(&self, stop: &Stop, now: Timestamp) -> Result<()> {
        let keeping = Keeping {
            delivered_for: self.setup.retention,
            dead_for: DEAD_FOR,
            pruning: !self.watch.stepped_within(DISTRUST),
            step_max: STEP_MAX,
        };
        loop {
            let kept = self.setup.store.keep(&keeping, now)?;
            for name in &kept.spool_files {
                // One that stays is an orphan, which the next start cleans.
                if let Err(error) = self.setup.spool.remove(name) {
                    tracing::warn!(%error, "spool file could not be removed");
                }
            }
            if kept.pruned > 0 {
                tracing::debug!(pruned = kept.pruned, "old events pruned");
            }
            if !kept.more || stop.wait(BREATH) {
                return Ok(());
            }
        }
    }

    fn announce(&self, now: Timestamp) {
        match self.ending(now) {
            Ok(0) => {}
            Ok(ending) => {
                tracing::warn!(ending, "dead letters will be pruned within 7 days: `highwater dead list` shows them");
            }
            Err(error) => tracing::warn!(%error, "dead letters could not be counted"),
        }
    }

    /// How many dead letters will be pruned within [`ANNOUNCED`].
    ///
    /// # Errors
    /// The store's.
    pub fn ending(&self, now: Timestamp) -> Result<u64> {
        let (mut ending, border) = (0_u64, now.minus(DEAD_FOR - ANNOUNCED));
        let filter = DeliveryFilter { state: Some(State::Dead), ..DeliveryFilter::default() };
        self.setup.store.records()?.deliveries(&filter, &mut |record| {
            ending += u64::from(record.last_at.is_some_and(|last| last < border));
            Ok(true)
        })?;
        Ok(ending)
    }
}
