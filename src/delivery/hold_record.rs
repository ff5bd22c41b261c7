//! Keeps what holds a sink the same in the gate and in the store: what happens to the sink is written down, what an
//! operator changes is taken over. What holds mean belongs to `gate`.

use std::sync::Arc;
use std::time::Duration;

use super::clock_watch::Moment;
use super::lane::News;
use super::slots::Slots;
use crate::error::Result;
use crate::setting::SinkName;
use crate::store::{SinkHold, Store};

/// A change that only concerns `last_error` is written no more often than this: a receiver that fails every other time
/// must not cost a commit each.
const WRITE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct HoldRecord {
    sink: SinkName,
    store: Arc<dyn Store>,
    /// As last read or written.
    known: SinkHold,
    last_error: Option<String>,
    write_at: Option<Duration>,
    written: Duration,
}

impl HoldRecord {
    /// Reads what holds the sink.
    pub fn load(sink: SinkName, store: Arc<dyn Store>) -> Result<Self> {
        let known = store.sink_hold(&sink)?;
        let last_error = known.last_error.clone();
        Ok(Self { sink, store, known, last_error, write_at: None, written: Duration::ZERO })
    }

    /// The hold as last read or written.
    pub fn known(&self) -> &SinkHold {
        &self.known
    }

    /// Takes over what an operator changed. Returns whether anything changed.
    pub fn read(&mut self, slots: &Slots, at: Moment) -> bool {
        match self.store.sink_hold(&self.sink) {
            Ok(stored) => {
                let changed = slots.with(|lane| lane.gate().adopt(&stored, &self.known, at));
                self.known = stored;
                changed
            }
            Err(error) => {
                tracing::warn!(sink = %self.sink, %error, "hold of the sink could not be read");
                false
            }
        }
    }

    /// Notes what happened to the sink; [`HoldRecord::write`] writes it when it is time.
    pub fn note(&mut self, news: &News, at: Moment) {
        match news {
            News::Faulty(cause) => {
                if self.last_error.as_ref() != Some(cause) {
                    self.last_error = Some(cause.clone());
                    self.later();
                }
            }
            News::Well => {
                if self.last_error.take().is_some() {
                    self.later();
                }
            }
            News::Breaker(_) | News::Held(_) | News::Gone => self.write_at = Some(at.tick),
        }
    }

    /// Has everything written with the next [`HoldRecord::write`].
    pub fn touch(&mut self, at: Moment) {
        self.write_at = Some(at.tick);
    }

    /// When something is to be written.
    pub fn write_at(&self) -> Option<Duration> {
        self.write_at
    }

    /// Writes what has changed, when it is time. What an operator changed meanwhile is taken over first.
    pub fn write(&mut self, slots: &Slots, at: Moment) {
        if self.write_at.is_none_or(|due| due > at.tick) {
            return;
        }
        self.write_at = None;
        self.written = at.tick;
        self.read(slots, at);
        let hold = slots.with(|lane| lane.gate().hold(self.last_error.clone(), at));
        if hold == self.known {
            return;
        }
        match self.store.set_sink_hold(&self.sink, &self.known, &hold, at.now) {
            // What an operator changed in between was left as it is, has rung, and is read next.
            Ok(()) => self.known = hold,
            Err(error) => {
                tracing::warn!(sink = %self.sink, %error, "hold of the sink could not be stored");
                self.later();
            }
        }
    }

    fn later(&mut self) {
        self.write_at.get_or_insert(self.written.saturating_add(WRITE_EVERY));
    }
}
