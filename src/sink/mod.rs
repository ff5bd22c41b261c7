//! Receivers. A sink makes one attempt and says what came of it; retries, order and states belong to `delivery`.

pub mod http;
pub mod mask;
pub mod placeholder;
pub mod script;
pub mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::{Event, Spool};
use settings::{SinkKind, SinkSettings};

/// One attempt to deliver one event.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The event, with its captured content where there is any.
    pub event: &'a Event,
    /// 1 for the first attempt.
    pub number: u32,
    /// When it began, for signatures and headers.
    pub at: Timestamp,
    /// Whether an earlier event of the same key was given up (`highwater-gap`).
    pub gap: bool,
}

/// What came of one attempt. A receiver's failure is a value, ours is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it means for the delivery.
    pub outcome: Outcome,
    /// The HTTP status or exit code, where there was one.
    pub code: Option<i32>,
    /// One line for people: `503 Service Unavailable`, `connection refused`, `exit code 75`.
    pub summary: String,
    /// The answer's body, or the script's output: at most the first 16 KiB and the last 48 KiB.
    pub output: Vec<u8>,
}

/// What an attempt means for its delivery (DESIGN section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// Worth trying again by the full schedule.
    Transient {
        /// The receiver asked the whole sink to wait this long; costs no attempt.
        retry_after: Option<Duration>,
    },
    /// The sink itself is broken or misconfigured: full schedule, the breaker counts it, the cause is named.
    Fault,
    /// The receiver refuses this event: short schedule, then dead.
    Rejected,
    /// This event can't be delivered at all; dead at once.
    Dead,
    /// The receiver is gone for good (410): the sink is paused.
    Gone,
    /// The process is stopping: the attempt was ended by us and does not count.
    Stopped,
}

impl Report {
    /// A report without code and output.
    pub fn new(outcome: Outcome, summary: impl Into<String>) -> Self {
        Self { outcome, code: None, summary: summary.into(), output: Vec::new() }
    }
}

/// One receiver, ready to be called from many tasks at once.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Makes one attempt, bounded by the sink's own timeout.
    ///
    /// # Errors
    /// Ours only: an unreadable secret, a missing spool file. They count as a fault with the error's text.
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report>;

    /// Tries to reach the receiver without delivering: `check --connect`. Returns a line for people.
    async fn probe(&self) -> Result<String>;

    /// The request or command that would deliver `attempt`, for people to copy: a curl command line or an argv.
    fn dry_run(&self, attempt: Attempt<'_>) -> Result<String>;
}

/// Opens a sink from its settings. Scripts find their private copies below `run_folder`. Nothing is connected or started.
///
/// # Errors
/// `Config` with rule and remedy, naming the sink.
pub fn open(settings: &SinkSettings, spool: &Spool, run_folder: &Path) -> Result<Arc<dyn Sink>> {
    let SinkSettings { name, delivery, kind } = settings;
    let opened: Result<Arc<dyn Sink>> = match kind {
        SinkKind::Http(http) => http::HttpSink::new(http, delivery, spool.clone()).map(|sink| {
            if sink.is_exposed() {
                tracing::warn!(sink = %name, "the sink's url is http and not this machine, so events travel unencrypted");
            }
            Arc::new(sink) as _
        }),
        SinkKind::Script(script) => {
            script::ScriptSink::new(script, delivery, name, spool.clone(), run_folder.to_owned())
                .map(|sink| Arc::new(sink) as _)
        }
    };
    opened.map_err(|e| e.while_doing(format!("sink.{name}")))
}
