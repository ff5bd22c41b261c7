//! What commands read: views of the store that change nothing and work while another process runs.

use crate::change::{Content, Key};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::{Event, EventId};
use crate::setting::{SinkName, SourceName};
use crate::source::{Hold, Settled, Waiting};

use super::{Lease, Memory, Pause, SinkHold, State};

/// The reading side of the store. Lists are handed to `each` one by one, newest first unless said otherwise; `each`
/// ends the list early by returning `false`.
pub trait Records: Memory + Send {
    /// Every source the store knows, by name.
    fn sources(&self) -> Result<Vec<SourceRecord>>;

    /// Every sink the store knows, by name.
    fn sinks(&self) -> Result<Vec<SinkRecord>>;

    /// Events that fit.
    fn events(&self, filter: &EventFilter, each: &mut dyn FnMut(EventRecord) -> Result<bool>) -> Result<()>;

    /// Deliveries that fit.
    fn deliveries(&self, filter: &DeliveryFilter, each: &mut dyn FnMut(DeliveryRecord) -> Result<bool>) -> Result<()>;

    /// Attempts of deliveries that fit, newest first.
    fn attempts(&self, filter: &DeliveryFilter, each: &mut dyn FnMut(AttemptRecord) -> Result<bool>) -> Result<()>;

    /// Refused entries, by key.
    fn refused(&self, source: Option<&SourceName>, each: &mut dyn FnMut(RefusedRecord) -> Result<bool>) -> Result<()>;

    /// Entries of a source that wait, as of its last poll.
    fn waiting(&self, source: &SourceName) -> Result<Vec<Waiting>>;

    /// One event with its content.
    fn event(&self, id: EventId) -> Result<Option<EventRecord>>;

    /// The captured bytes of an event; `None` when none were captured or they are gone.
    fn content(&self, seq: u64) -> Result<Option<Content>>;

    /// What a look of this source would start from now, without the right to commit.
    fn lease(&self, source: &SourceName, now: Timestamp) -> Result<Lease>;

    /// The after-action of one key, as a line for people.
    fn action(&self, source: &SourceName, key: &Key) -> Result<Option<String>>;
}

/// A source as stored.
#[derive(Debug, Clone)]
pub struct SourceRecord {
    /// Its name.
    pub name: SourceName,
    /// The kind's word.
    pub kind: String,
    /// The cursor, in the source's own words.
    pub cursor: Option<String>,
    /// The operator's pause.
    pub pause: Option<Pause>,
    /// What holds it.
    pub hold: Option<Hold>,
    /// Why it is only partly well.
    pub degraded: Option<String>,
    /// How far the cursor of a table had settled at the last poll.
    pub settled: Option<Settled>,
    /// How many keys are known and present.
    pub known: u64,
    /// How many entries wait.
    pub waiting: u64,
    /// How many events it has had.
    pub events: u64,
    /// How many entries are refused.
    pub refused: u64,
    /// How many entries no route took.
    pub unrouted: u64,
    /// When the last poll ended.
    pub last_poll: Option<Timestamp>,
    /// When a poll ended well last.
    pub last_success: Option<Timestamp>,
    /// The error that ended the last poll.
    pub last_error: Option<String>,
}

/// A sink as stored.
#[derive(Debug, Clone)]
pub struct SinkRecord {
    /// Its name.
    pub name: SinkName,
    /// What holds it.
    pub hold: SinkHold,
    /// Deliveries that wait for their first attempt.
    pub pending: u64,
    /// Deliveries under way.
    pub in_flight: u64,
    /// Deliveries that wait for another attempt.
    pub retrying: u64,
    /// Dead letters.
    pub dead: u64,
    /// Deliveries that arrived, ever.
    pub delivered: u64,
    /// When the oldest undelivered event was noticed.
    pub oldest: Option<Timestamp>,
}

/// An event as stored.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// Its number in this store.
    pub seq: u64,
    /// The event, without its content.
    pub event: Event,
    /// Whether a content was captured, and how many bytes.
    pub content_size: Option<u64>,
}

/// A delivery as stored.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The event's number.
    pub seq: u64,
    /// The event's id.
    pub event: EventId,
    /// The event's source.
    pub source: SourceName,
    /// The event's key.
    pub key: Key,
    /// The sink.
    pub sink: SinkName,
    /// Its state.
    pub state: State,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// The event that must be settled before this one.
    pub blocked_by: Option<EventId>,
    /// Whether that event is a dead letter, which keeps its key until an operator decides.
    pub blocked_by_dead: bool,
    /// Why it is dead.
    pub dead_reason: Option<String>,
    /// When the last attempt began.
    pub last_at: Option<Timestamp>,
    /// What the last attempt came to.
    pub last: Option<String>,
}

/// An attempt as stored.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    /// The event's id.
    pub event: EventId,
    /// The sink.
    pub sink: SinkName,
    /// Its number.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds; `None` when a crash cut it off.
    pub took_ms: Option<u64>,
    /// The outcome's word; `unknown` after a crash.
    pub outcome: String,
    /// HTTP status or exit code.
    pub code: Option<i32>,
    /// One line for people.
    pub summary: String,
    /// Body or output.
    pub output: Vec<u8>,
}

/// An entry that could not become an event, as stored.
#[derive(Debug, Clone)]
pub struct RefusedRecord {
    /// The source.
    pub source: SourceName,
    /// The key.
    pub key: Key,
    /// Rule and remedy.
    pub reason: String,
    /// When it was refused last.
    pub at: Timestamp,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this key.
    pub key: Option<Key>,
    /// Only those noticed since.
    pub since: Option<Timestamp>,
    /// Only those behind this number, oldest first: for `tail`.
    pub after_seq: Option<u64>,
    /// At most this many.
    pub limit: Option<usize>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only to this sink.
    pub sink: Option<SinkName>,
    /// Only of this key.
    pub key: Option<Key>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only of events noticed since.
    pub since: Option<Timestamp>,
    /// At most this many.
    pub limit: Option<usize>,
}
