//! Who is told what a worker does, and the log lines it writes. Lines and counts of commands belong to `app` and `cli`.

use std::time::Duration;

use super::breaker::Change;
use super::lane::News;
use crate::error::Error;
use crate::event::Event;
use crate::setting::SinkName;
use crate::store::{Settled, State};

/// Told of what workers do, on the worker's own thread: answers at once and never blocks.
pub trait Observer: Send + Sync {
    /// An attempt was made and its outcome is stored.
    fn settled(&self, _attempt: &SettledAttempt<'_>) {}

    /// A whole sink was held, or goes on.
    fn sink_changed(&self, _sink: &SinkName, _change: &SinkChange) {}

    /// A worker has ended because the store does not take its outcomes: the process must end with exit code 1.
    fn failed(&self, _sink: &SinkName, _error: &Error) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// An attempt whose outcome is stored.
#[derive(Debug, Clone, Copy)]
pub struct SettledAttempt<'a> {
    /// To which sink.
    pub sink: &'a SinkName,
    /// The event, without body and content.
    pub event: &'a Event,
    /// What was stored.
    pub settled: &'a Settled,
}

/// A change of a whole sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkChange {
    /// The breaker opened: nothing is sent for this long.
    BreakerOpened(Duration),
    /// The breaker closed after a probe was answered.
    BreakerClosed,
    /// `Retry-After`: nothing is sent for this long.
    Held(Duration),
    /// The receiver answered 410: nothing is sent until an operator resumes the sink.
    Gone,
    /// The first delivery in this run was given up.
    FirstDead,
    /// A pause has ended, or an operator changed what holds the sink.
    HoldChanged,
}

impl SinkChange {
    /// The change that a piece of news is, where people are told.
    pub(super) fn of(news: &News) -> Option<Self> {
        match news {
            News::Breaker(Change::Opened(span)) => Some(Self::BreakerOpened(*span)),
            News::Breaker(Change::Closed) => Some(Self::BreakerClosed),
            News::Held(wait) => Some(Self::Held(*wait)),
            News::Gone => Some(Self::Gone),
            News::Faulty(_) | News::Well => None,
        }
    }

    pub(super) fn log(&self, sink: &SinkName) {
        match self {
            Self::BreakerOpened(span) => {
                tracing::warn!(%sink, open_ms = millis(*span), "breaker opened: nothing is sent until a probe is answered");
            }
            Self::BreakerClosed => tracing::info!(%sink, "breaker closed"),
            Self::Held(wait) => tracing::warn!(%sink, wait_ms = millis(*wait), "receiver asked to wait"),
            Self::Gone => tracing::error!(%sink, "receiver is gone: sink paused until `highwater resume` names it"),
            Self::FirstDead => tracing::error!(%sink, "first dead letter: `highwater dead list` shows it"),
            Self::HoldChanged => tracing::info!(%sink, "hold of the sink changed"),
        }
    }
}

/// The log's target for what came of attempts.
pub const ATTEMPTS: &str = "highwater::attempt";

impl SettledAttempt<'_> {
    pub(super) fn log(&self) {
        let Self { sink, event, settled } = self;
        let (event_id, attempt, status) = (&event.id, settled.attempt, settled.code);
        match settled.state {
            State::Delivered => {
                tracing::debug!(target: ATTEMPTS, %sink, %event_id, attempt, status, took_ms = millis(settled.took), "delivered");
            }
            State::Dead => {
                let (reason, answer) = (settled.dead_reason, &settled.summary);
                tracing::warn!(target: ATTEMPTS, %sink, %event_id, attempt, status, reason, %answer, "delivery dead");
            }
            _ if !settled.charged && settled.outcome == "stopped" => {
                tracing::info!(target: ATTEMPTS, %sink, %event_id, attempt, "delivery stopped");
            }
            _ => {
                let ended = settled.began.plus(settled.took);
                let retry_in_ms = settled.next_at.map(|at| millis(at.since(ended)));
                let answer = &settled.summary;
                tracing::warn!(target: ATTEMPTS, %sink, %event_id, attempt, status, retry_in_ms, %answer, "delivery refused");
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
