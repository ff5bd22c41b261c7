//! What is remembered: cursors, known entries, events, deliveries and attempts, behind two traits.
//!
//! [`Store`] is what the one process that holds the lock writes through; [`Records`] is what commands read, also while
//! another process runs. Both speak of names, keys and sequences only, so that a second implementation (PostgreSQL, with
//! row leases and epochs) can stand behind them; one conformance suite in `tests/` runs against every implementation.

pub mod lock;
pub mod logins;
pub mod operation;
pub mod records;
pub mod settings;
pub mod sqlite;

pub use logins::{Login, LoginBook, LoginStep, LoginTurn};
pub use operation::{DeadFilter, Operation};
pub use records::Records;

use std::time::Duration;

use crate::change::{Fingerprint, Key, Known, Tuple};
use crate::clock::{Bell, Timestamp};
use crate::error::Result;
use crate::event::{Event, EventId};
use crate::setting::{SinkName, SourceName};
use crate::source::{Accepted, Action, ActionOrder, Binding, Block, Hold, SegmentWrite, Waiting};

/// What a look compares with: known entries and listings, as of the last commit.
pub trait Memory {
    /// What is known of these keys, in their order.
    fn known(&self, source: &SourceName, keys: &[Key]) -> Result<Vec<Option<Known>>>;

    /// Known keys that begin with `prefix`, in byte order, behind `after`, at most `limit`.
    fn known_below(
        &self,
        source: &SourceName,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Known)>>;

    /// The blocks of one folder's segment, in order.
    fn segment(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Block>>;

    /// The folders below `folder` that have segments, without itself, in byte order.
    fn folders_below(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Vec<u8>>>;
}

/// A page that the store was handed.
#[must_use = "whether it was stored is known only when it was waited for"]
pub struct PageUnderWay(Box<dyn FnOnce() -> Result<()>>);

impl PageUnderWay {
    /// A page that is stored when `wait` returns.
    pub fn new(wait: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Waits until it is durable.
    ///
    /// # Errors
    /// As [`Store::commit_page`].
    pub fn wait(self) -> Result<()> {
        (self.0)()
    }
}

/// The writing side of the store. Every method is one durable step; all block.
pub trait Store: Memory + LoginBook + Send + Sync {
    /// Makes sure these sinks and sources exist, applies `was`, and marks deliveries to sinks not named as dead
    /// (`sink_gone`). Called once at start with the whole configuration.
    fn register(&self, sources: &[SourceRegistration], sinks: &[SinkName], now: Timestamp) -> Result<()>;

    /// Ends what a crash left in flight: such attempts become `unknown`, their deliveries are due again.
    /// Returns how many there were.
    fn recover(&self, now: Timestamp) -> Result<u64>;

    /// Begins a poll: takes the next epoch and returns what the source needs. Later commits of earlier epochs fail.
    fn begin_poll(&self, source: &SourceName, now: Timestamp) -> Result<Lease>;

    /// Ends a poll: remembers how it went.
    fn end_poll(&self, lease: &Lease, ended: PollEnded) -> Result<()>;

    /// One page in one transaction, synced: nothing of it, or all of it. `Conflict` when the lease is not the latest.
    fn commit_page(&self, lease: &Lease, page: CommitPage) -> Result<()> {
        self.submit_page(lease, page)?.wait()
    }

    /// The same, not waited for: pages are durable in the order in which they are handed in. Whoever hands in the next one
    /// has waited for this one, so that nothing is stored behind a page that is not.
    fn submit_page(&self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay>;

    /// Settles outcomes and claims the next deliveries of one sink, in one transaction. Claimed ones are `in_flight`
    /// with their attempt counted before this returns.
    fn turn(&self, sink: &SinkName, settled: Vec<Settled>, claiming: &Claiming) -> Result<Vec<Claim>>;

    /// When the next delivery of this sink that waits for a time is due; `None` when none waits.
    fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>>;

    /// Rings whenever deliveries of this sink were added, released, resumed or cancelled.
    fn bell(&self, sink: &SinkName) -> Bell;

    /// How many deliveries of this sink are neither final nor dead. Cheap: kept in memory.
    fn backlog(&self, sink: &SinkName) -> u64;

    /// Holds or pauses a whole sink, or lets it go on. `before` is what the caller last knew to be stored: what somebody
    /// else changed since stays as it is ([`SinkHold::merged`]).
    fn set_sink_hold(&self, sink: &SinkName, before: &SinkHold, hold: &SinkHold, now: Timestamp) -> Result<()>;

    /// What holds this sink, as stored.
    fn sink_hold(&self, sink: &SinkName) -> Result<SinkHold>;

    /// One operator's change. Returns how many records it touched.
    fn operate(&self, operation: &Operation, now: Timestamp) -> Result<u64>;

    /// After-actions of this source that are due at `now`, at most `limit`.
    fn actions_due(&self, source: &SourceName, limit: usize, now: Timestamp) -> Result<Vec<DueAction>>;

    /// Journals the exact order before it is carried out. `Conflict` when it is not due any more: it must not be.
    fn journal_action(&self, source: &SourceName, order: &ActionOrder) -> Result<()>;

    /// Remembers what came of an after-action.
    fn end_action(&self, source: &SourceName, key: &Key, ended: ActionEnded, now: Timestamp) -> Result<()>;

    /// One step of housekeeping: prunes, indexes, releases contents. Returns the spool files nobody refers to any more
    /// (to be removed by the caller, after this commit) and whether there is more to do.
    fn keep(&self, keeping: &Keeping, now: Timestamp) -> Result<Kept>;

    /// Whether a spool file is named by an event.
    fn names_spool_file(&self, name: &str) -> Result<bool>;

    /// A reader of the same store.
    fn records(&self) -> Result<Box<dyn Records>>;
}

/// A source as the configuration names it.
#[derive(Debug, Clone)]
pub struct SourceRegistration {
    /// Its name.
    pub name: SourceName,
    /// The name whose state and ids it takes over.
    pub was: Option<SourceName>,
    /// The kind's word.
    pub kind: &'static str,
}

/// The right to commit for one source, and what its poll starts from.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The source.
    pub source: SourceName,
    /// Rises with every poll of this source.
    pub epoch: u64,
    /// The name that goes into ids: an earlier one when the source was renamed (`was`).
    pub identity: SourceName,
    /// How often the store was restored.
    pub generation: u64,
    /// Where the source has got to.
    pub cursor: Option<String>,
    /// The sequence of its last event.
    pub sequence: u64,
    /// The highest revision that was pruned.
    pub pruned_revision: u64,
    /// How many polls of it were completed.
    pub completed: u64,
    /// Whether no key of it is known.
    pub knows_nothing: bool,
    /// How many entries of it are refused.
    pub refused: u64,
    /// What its state is bound to; `None` before the first completed poll.
    pub binding: Option<Binding>,
    /// What an operator has accepted since the last poll.
    pub accepted: Accepted,
    /// What holds it.
    pub hold: Option<Hold>,
    /// The operator's pause.
    pub pause: Option<Pause>,
}

/// An operator's pause of a source or sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The operator's reason.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// How a poll went.
#[derive(Debug, Clone)]
pub struct PollEnded {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Whether the whole place was looked at to the end.
    pub completed: bool,
    /// Whether we were asked to stop before its end: how the source is, stays as it was told by the poll before.
    pub cut_short: bool,
    /// What the state is bound to from now on, when it was completed.
    pub binding: Option<Binding>,
    /// The error that ended it.
    pub error: Option<String>,
    /// Why the source is only partly well.
    pub degraded: Option<String>,
    /// How far the cursor of a table has settled; `None` leaves what is stored.
    pub settled: Option<crate::source::Settled>,
    /// What holds it from now on.
    pub hold: Option<Hold>,
    /// How many entries wait.
    pub waiting: u64,
    /// The first of them; `None` leaves the list as it is.
    pub waiting_shown: Option<Vec<Waiting>>,
    /// What the operator had accepted is used up.
    pub accepted_used: bool,
    /// Entries that no route took, in this poll.
    pub unrouted: u64,
}

/// What one transaction of a poll makes durable.
#[derive(Debug, Default)]
pub struct CommitPage {
    /// New events in the order of their sequence, each with its deliveries.
    pub events: Vec<NewEvent>,
    /// What is known from now on.
    pub known: Vec<(Key, Known)>,
    /// Keys whose known state is dropped.
    pub forget: Vec<Key>,
    /// Entries that could not become events.
    pub refused: Vec<NewRefused>,
    /// Keys that are refused no longer.
    pub unrefused: Vec<Key>,
    /// Changes of the known listing.
    pub segments: Vec<SegmentWrite>,
    /// The new cursor.
    pub cursor: Option<String>,
    /// When it was seen.
    pub now: Timestamp,
}

/// An event and where it goes.
#[derive(Debug)]
pub struct NewEvent {
    /// The event; its sequence continues the lease's.
    pub event: Event,
    /// One delivery per sink.
    pub deliveries: Vec<NewDelivery>,
    /// The version an after-action would be for, where the source has after-actions.
    pub action_tuple: Option<Tuple>,
    /// Whether older undelivered events of the key are superseded (`versions = "latest"`).
    pub supersedes: bool,
}

/// A delivery to be made.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// To which sink.
    pub sink: SinkName,
    /// Deliveries of one sink with equal keys go one after the other; `None` waits for nobody.
    pub order: Option<u64>,
    /// A second key it waits for: the one a renamed file had before.
    pub order_also: Option<u64>,
}

/// An entry that could not become an event.
#[derive(Debug, Clone)]
pub struct NewRefused {
    /// Its key.
    pub key: Key,
    /// Rule and remedy.
    pub reason: String,
    /// What the listing said.
    pub tuple: Option<Tuple>,
}

/// The states of a delivery (DESIGN section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its first attempt.
    Pending,
    /// An attempt is under way.
    InFlight,
    /// It arrived.
    Delivered,
    /// An attempt failed; another one is due later.
    Retrying,
    /// Given up; can be retried by an operator.
    Dead,
    /// An operator cancelled it.
    Cancelled,
    /// A newer version took its place.
    Superseded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::InFlight, Self::Delivered, Self::Retrying, Self::Dead, Self::Cancelled, Self::Superseded];

    /// The word in `deliveries --json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InFlight => "in_flight",
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    /// The state a word stands for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing will happen to it by itself any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Dead | Self::Cancelled | Self::Superseded)
    }
}

/// How many deliveries to claim, and which.
#[derive(Debug, Clone)]
pub struct Claiming {
    /// At most this many.
    pub limit: usize,
    /// The time against which dues are compared.
    pub now: Timestamp,
    /// Whether a dead letter keeps its key's later deliveries waiting.
    pub hold_after_dead: bool,
    /// A next try stored further off than this is pulled in: clocks jump.
    pub wait_max: Duration,
}

/// A delivery that is ours to attempt now.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The event's number in this store.
    pub seq: u64,
    /// The event with its content.
    pub event: Event,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Attempts that count against the schedule, before this one.
    pub charged: u32,
    /// When the first attempt began; `None` when this is it.
    pub first_at: Option<Timestamp>,
    /// Whether an earlier event of the key is dead.
    pub gap: bool,
}

/// What an attempt came to, to be stored.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The event's number.
    pub seq: u64,
    /// The attempt's number.
    pub attempt: u32,
    /// The delivery's state from now on: `Delivered`, `Retrying` or `Dead`; `Pending` when the attempt was never made:
    /// it then waits as it did before the claim, due at once, and nothing of this attempt is kept.
    pub state: State,
    /// When it is due again (retrying).
    pub next_at: Option<Timestamp>,
    /// Whether this attempt counts against the schedule.
    pub charged: bool,
    /// Why it is dead: `exhausted`, `expired`, `rejected`, `poison`.
    pub dead_reason: Option<&'static str>,
    /// When the attempt began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The outcome's word, for `attempts`.
    pub outcome: &'static str,
    /// HTTP status or exit code.
    pub code: Option<i32>,
    /// One line for people.
    pub summary: String,
    /// Body or output, already limited.
    pub output: Vec<u8>,
}

/// What holds a whole sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkHold {
    /// The operator's pause, or the receiver's 410.
    pub pause: Option<Pause>,
    /// `Retry-After`: nothing is sent before.
    pub not_before: Option<Timestamp>,
    /// The breaker is open until then.
    pub breaker_until: Option<Timestamp>,
    /// The last fault, for `status`.
    pub last_error: Option<String>,
}

impl SinkHold {
    /// What is to be stored: `self`, but for what differs between `stored` and `before`. That was changed by somebody else
    /// since it was read, an operator as a rule, who has the last word.
    #[must_use]
    pub fn merged(self, before: &Self, stored: Self) -> Self {
        Self {
            pause: if stored.pause == before.pause { self.pause } else { stored.pause },
            not_before: if stored.not_before == before.not_before { self.not_before } else { stored.not_before },
            breaker_until: if stored.breaker_until == before.breaker_until {
                self.breaker_until
            } else {
                stored.breaker_until
            },
            last_error: self.last_error,
        }
    }
}

/// An after-action whose deliveries are final.
#[derive(Debug, Clone)]
pub struct DueAction {
    /// The file.
    pub key: Key,
    /// The id of the event it follows.
    pub event: EventId,
    /// The event's type, for placeholders.
    pub event_type: String,
    /// The version.
    pub tuple: Tuple,
    /// Its content.
    pub fingerprint: Fingerprint,
    /// Whether every delivery arrived or was cancelled; otherwise one is dead.
    pub delivered: bool,
    /// The order journaled by an earlier run that may have been cut off.
    pub journaled: Option<Action>,
}

/// What came of an after-action, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionEnded {
    /// Done: the key counts as taken away by us.
    Done,
    /// Nothing to do (`keep`, or the file is another version or gone).
    Nothing,
    /// It failed for now, for this reason; it is tried again at this time.
    Later(String, Timestamp),
    /// It can't be done.
    Impossible(String),
}

/// What housekeeping keeps.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Delivered events older than this are pruned.
    pub delivered_for: Duration,
    /// Dead letters older than this are pruned.
    pub dead_for: Duration,
    /// Whether pruning is allowed now; false for a day after the clock jumped.
    pub pruning: bool,
    /// At most this many records a step.
    pub step_max: usize,
}

/// What one step of housekeeping did.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Spool files that nothing refers to any more.
    pub spool_files: Vec<String>,
    /// Events pruned.
    pub pruned: u64,
    /// Whether another step would find work.
    pub more: bool,
}
