//! The composition root: opens store, sources and sinks, starts and stops them in order.

use std::sync::Arc;
use std::time::Duration;

use crate::change::Key;
use crate::clock::Stop;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::{Event, EventId};
use crate::setting::{SinkName, SourceName};
use crate::source::{Progress, Waiting};
use crate::store::Records;
use crate::web::{Answer, Request};

/// Makes the progress of one look at a source; it is dropped when the look ends.
pub type ProgressOf = Arc<dyn Fn(&SourceName) -> Arc<dyn Progress> + Send + Sync>;

/// How `run` runs.
pub struct RunOptions {
    /// Raised by SIGTERM and Ctrl-C.
    pub stop: Stop,
    /// Told of long looks.
    pub progress: ProgressOf,
    /// Told of each delivery, in a line for people; `None` when nobody watches.
    pub say: Option<Say>,
}

/// Takes one line for the person who started the process.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

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

fn missing<T>() -> Result<T> {
    Err(Error::internal("not composed yet"))
}

pub fn run(_: Config, _: RunOptions) -> Result<()> {
    missing()
}
pub fn once(_: Config, _: OnceOptions) -> Result<OnceSummary> {
    missing()
}
pub fn peek(_: &Config, _: &SourceName, _: usize, _: bool, _: &mut dyn FnMut(Peeked) -> Result<bool>) -> Result<()> {
    missing()
}
pub fn probe(_: &Config) -> Vec<Finding> {
    Vec::new()
}
pub fn plan(_: &Config) -> Result<Vec<String>> {
    missing()
}
pub fn records(_: &Config) -> Result<Box<dyn Records>> {
    missing()
}
pub fn command(_: &Config, _: Request) -> Result<Answer> {
    missing()
}
pub fn explain(_: &Config, _: &SourceName, _: &Key) -> Result<Vec<String>> {
    missing()
}
pub fn test_sink(_: &Config, _: &SinkName, _: Option<EventId>, _: bool) -> Result<TestReport> {
    missing()
}
