//! The composition root: opens store, sources and sinks, starts and stops them in order.
//! What commands print, and with which exit code they end, belongs to `cli`.

mod command;
mod doctor;
mod explain;
mod house;
mod listener;
mod once;
mod peek;
mod plan;
mod probe;
mod run;
mod tend;
mod told;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use crate::change::Key;
use crate::clock::Stop;
use crate::config::Config;
use crate::error::Result;
use crate::event::Event;
use crate::setting::SourceName;
use crate::source::{Progress, Waiting};
use crate::store::Records;
use crate::store::sqlite::SqliteRecords;

pub use command::command;
pub use doctor::doctor;
pub use explain::explain;
pub use once::once;
pub use peek::peek;
pub use plan::plan;
pub use probe::probe;
pub use run::run;
pub use trial::test_sink;

/// Makes the progress of one look at a source; it is dropped when the look ends.
pub type ProgressOf = Arc<dyn Fn(&SourceName) -> Arc<dyn Progress> + Send + Sync>;

/// Takes one line for the person who started the process.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// Called once when everything is open and about to start.
pub type Ready = Arc<dyn Fn() + Send + Sync>;

/// How `run` runs.
pub struct RunOptions {
    /// Raised by SIGTERM and Ctrl-C.
    pub stop: Stop,
    /// Told of long looks.
    pub progress: ProgressOf,
    /// Told of each delivery, in a line for people; `None` when nobody watches.
    pub say: Option<Say>,
    /// Greets who watches; without it the start is logged.
    pub ready: Option<Ready>,
}

/// How `once` runs.
pub struct OnceOptions {
    /// Only these; all when empty.
    pub sources: Vec<SourceName>,
    /// Whether to wait for retries.
    pub drain: bool,
    /// When to end at the latest.
    pub deadline: Option<Duration>,
    /// How long to wait for the lock.
    pub wait: Option<Duration>,
    /// Raised by SIGTERM and Ctrl-C.
    pub stop: Stop,
    /// Told of long looks.
    pub progress: ProgressOf,
}

/// What `once` came to.
#[derive(Debug, Clone, Default)]
pub struct OnceSummary {
    /// One line for people.
    pub line: String,
    /// Something unexpected happened.
    pub unexpected: bool,
    /// A source could not be polled or is held.
    pub source_trouble: bool,
    /// Deliveries wait for a retry or became dead.
    pub delivery_trouble: bool,
}

/// What `peek` shows.
#[derive(Debug, Clone)]
pub enum Peeked {
    /// What would be told now.
    Event(Box<Event>),
    /// What is not ready.
    Waiting(Waiting),
    /// What can't become an event, and why.
    Refused(Key, String),
    /// What filters take out, and which.
    Ignored(Key, String),
}

/// What `check --connect` found out about one source or sink.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was tried.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// Lines for people, or why it failed.
    pub outcome: std::result::Result<Vec<String>, String>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A source.
    Source,
    /// A sink.
    Sink,
}

/// What came of `test SINK`.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// The request or command, for people to copy.
    pub command: String,
    /// What came of it; `None` for a dry run.
    pub report: Option<crate::sink::Report>,
}

/// The store's reading side, also while another process runs.
///
/// # Errors
/// `NotFound` while there is no store yet.
pub fn records(config: &Config) -> Result<Box<dyn Records>> {
    Ok(Box::new(SqliteRecords::open(&config.state.path)?))
}
