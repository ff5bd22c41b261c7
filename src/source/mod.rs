//! Places where changes appear. A source looks, and hands what it sees to a [`Ledger`], page by page; what is new, which
//! id it gets and how it is stored belongs to `poll` and `store`, which a source knows only through that trait.
//!
//! Sources are blocking: a poll runs on a thread of its own. Adapters over async libraries block inside.

pub mod directory;
pub mod settings;
mod settled;
pub mod table;
pub mod turn;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::change::{Entry, Fingerprint, Key, Known, Nature, Tuple};
use crate::clock::{Clock, Stop, Timestamp};
use crate::error::Result;
use crate::event::SpoolWriter;
use settings::{SourceKind, SourceSettings};
pub use settled::Settled;

/// A page of entries holds at most this many; the store keeps its writer at most some 20 ms with one.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// A configured place where changes appear.
pub trait Source: Send {
    /// What its entries are.
    fn nature(&self) -> Nature;

    /// Whether known keys tell created from changed.
    fn tracks_keys(&self) -> bool;

    /// What its state is bound to. Another location holds the source, other filters are applied to what is known.
    fn binding(&self) -> Binding;

    /// One look from the cursor. Everything found is committed through `ledger`, page by page; what was committed stays
    /// when a later page fails.
    ///
    /// # Errors
    /// The place could not be looked at, or not to the end. Single bad entries are no error: they are refused.
    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked>;

    /// Tries to reach the place, for `check --connect`; one line for people per finding.
    fn probe(&mut self) -> Result<Vec<String>>;

    /// What it says of one key now, for `explain`: filters that apply, readiness, whether it is there. Lines for people.
    fn explain(&mut self, key: &Key) -> Result<Vec<String>>;

    /// The same, where the source has got to `cursor`.
    fn explain_from(&mut self, key: &Key, _cursor: Option<&str>) -> Result<Vec<String>> {
        self.explain(key)
    }

    /// Tries what the place announces and what of it really works, for `doctor`; leaves nothing behind.
    fn examine(&mut self) -> Result<Vec<Finding>> {
        Ok(self.probe()?.into_iter().map(|line| Finding::new("probe", Verdict::Note, line)).collect())
    }

    /// Begins to watch for hints; `None` where watching is not possible, with the reason in the log, once.
    fn watch(&mut self, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
        let _ = wake;
        None
    }

    /// Carries out one after-action on exactly the version it names.
    fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
        let _ = order;
        Ok(Acted::Impossible("this kind of source has no after-actions".into()))
    }
}

/// Opens a source from its settings; it asks `accounts` before each login. Nothing is connected or read before its first
/// look.
///
/// # Errors
/// `Config` with rule and remedy, naming the source.
pub fn open(
    settings: &SourceSettings,
    runtime: &tokio::runtime::Handle,
    accounts: Arc<dyn Accounts>,
) -> Result<Box<dyn Source>> {
    let name = &settings.name;
    let opened: Result<Box<dyn Source>> = match &settings.kind {
        SourceKind::Folder(folder) => {
            directory::FolderSource::new(name, folder, settings.max_size).map(|source| Box::new(source) as _)
        }
        SourceKind::Ftp(ftp) => {
            directory::FtpSource::new(name, ftp, settings.max_size, accounts).map(|source| Box::new(source) as _)
        }
        SourceKind::Sftp(sftp) => directory::SftpSource::new(name, sftp, settings.max_size, accounts, runtime.clone())
            .map(|source| Box::new(source) as _),
        SourceKind::Sqlite(sqlite) => table::SqliteSource::new(name, sqlite).map(|source| Box::new(source) as _),
        SourceKind::Postgres(postgres) => {
            table::PostgresSource::new(name, postgres, runtime.clone(), accounts).map(|source| Box::new(source) as _)
        }
        SourceKind::Mysql(mysql) => {
            table::MysqlSource::new(name, mysql, runtime.clone(), accounts).map(|source| Box::new(source) as _)
        }
        SourceKind::Odbc(odbc) => table::OdbcSource::new(name, odbc, accounts).map(|source| Box::new(source) as _),
    };
    opened.map_err(|e| e.while_doing(format!("source.{name}")))
}

/// One line of `doctor`: what was tried, how it went, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `MLSD`, `session reuse`, `clock`. Stable, for scripts.
    pub topic: String,
    /// How it went.
    pub verdict: Verdict,
    /// The facts, for people, one line.
    pub detail: String,
}

impl Finding {
    /// One line.
    pub fn new(topic: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { topic: topic.into(), verdict, detail: detail.into() }
    }
}

impl Verdict {
    /// The word in `doctor --json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Absent => "absent",
            Self::Problem => "problem",
            Self::Note => "note",
        }
    }
}

/// How something that `doctor` tried went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Works,
    /// The place does not offer it; something else is used.
    Absent,
    /// It is offered and does not work, or makes the source less safe.
    Problem,
    /// A fact without judgement.
    Note,
}

/// How the text of an error begins that holds a source until its secret changes.
pub const AUTH_REFUSED: &str = "auth_refused: ";

/// Who may try to log in, and how often: a refused login is tried at most twice with the same secret, across restarts
/// and over all sources of the account, because partners lock accounts.
pub trait Accounts: Send + Sync + std::fmt::Debug {
    /// Asked before a connection is opened, and counts nothing: the server of a held account must hear nothing of us.
    ///
    /// # Errors
    /// `Denied` as from [`Accounts::attempt`], when this secret was refused too often.
    fn check(&self, account: &str, secret: &[u8]) -> Result<()> {
        let _ = (account, secret);
        Ok(())
    }

    /// Asked before each attempt, and counted durably before it is made, so that a crash can't make a third one.
    /// `account` is `ftp://user@host:port`; `secret` is never kept, only a salted digest of it. While two attempts with it
    /// are under way this waits for one of them to end: it blocks its thread, so it must not be called in a spawned task.
    ///
    /// # Errors
    /// `Denied` with the hold's text, which begins with [`AUTH_REFUSED`], when this secret was refused too often; nothing may
    /// be sent then. Passed on as it is, also with facts around it, it holds the source. `Unavailable` when those under way
    /// don't end; `Stopped` and `TimedOut` when `stop` was raised meanwhile.
    fn attempt(&self, account: &str, secret: &[u8], stop: &Stop) -> Result<()>;

    /// The login succeeded: earlier attempts don't count any more.
    fn accepted(&self, account: &str, secret: &[u8]);

    /// The attempt ended before the server judged the secret (connection lost, 421): it does not count.
    fn unanswered(&self, account: &str, secret: &[u8]);

    /// The server refused the secret. Without it the attempt counts all the same, but others of the account wait until it
    /// is certain that it is not under way any more.
    fn refused(&self, account: &str, secret: &[u8]) {
        let _ = (account, secret);
    }
}

/// What a source's state is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The place, without secrets: a path, `postgres://host/db table`.
    pub location: String,
    /// Whatever decides which entries belong to the source, in a canonical text.
    pub filters: String,
}

/// How one look is to be taken.
#[derive(Debug)]
pub struct Look<'a> {
    /// How much of the place.
    pub scope: Scope,
    /// Whether no poll of this source was ever completed: `start` applies.
    pub first: bool,
    /// Whether the filters differ from those the known state was made with.
    pub filters_changed: bool,
    /// What an operator has accepted for this one poll.
    pub accepted: Accepted,
    /// More new entries than this hold the source; `None` lifts the brake.
    pub max_new: Option<u64>,
    /// How a look that finds something not ready goes on.
    pub patience: Patience,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Raised when the process shall end, or the poll's own deadline has passed.
    pub stop: &'a Stop,
    /// Told how far a long look has come.
    pub progress: &'a dyn Progress,
}

/// How much of the place is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it: the poll that is the truth.
    Everything,
    /// These folders alone, without those below them: a wake-up named them. Relative, `/`-separated, `""` is the root.
    Folders(Vec<Vec<u8>>),
    /// Only what waited at the last look.
    Waiting,
}

/// How a look that finds something not ready goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is remembered as waiting, and the look ends; [`Looked::look_again_in`] says when to come back.
    Return,
    /// Everything counts as ready on sight: `peek`, which changes nothing.
    OnSight,
}

/// What an operator has accepted by `cursor NAME accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// More than `max_new` new entries.
    pub new_entries: bool,
    /// A mass removal.
    pub removals: bool,
    /// Another place, or another identity of the place.
    pub place: bool,
    /// New entries are not wanted (`cursor NAME skip`): they are only remembered.
    pub silent_new: bool,
    /// Removals are not wanted: they are only remembered.
    pub silent_removals: bool,
}

/// What a look came to.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Whether the whole scope was seen: parsed to the end, nothing unknown.
    pub complete: bool,
    /// Why the source is only partly well, although the look ended: unknown lines, unreadable folders, NULL watermarks.
    pub degraded: Option<String>,
    /// Why part of the look was not told and waits for an operator.
    pub hold: Option<Hold>,
    /// How many entries are not ready yet.
    pub waiting: u64,
    /// The first of them, at most [`WAITING_SHOWN_MAX`].
    pub waiting_shown: Vec<Waiting>,
    /// When it is worth looking at what waits, counted from now.
    pub look_again_in: Option<Duration>,
    /// How many entries were seen.
    pub seen: u64,
    /// Entries that filters take out, at most [`WAITING_SHOWN_MAX`]; only gathered for `peek --ignored`.
    pub ignored_shown: Vec<(Key, String)>,
    /// How far the cursor of a table has settled.
    pub settled: Option<Settled>,
}

/// At most this many waiting or ignored entries are listed by name.
pub const WAITING_SHOWN_MAX: usize = 1_000;

/// An entry that is not ready yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its key.
    pub key: Key,
    /// What it waits for, one line: `still changing`, `marker orders.csv.done is missing`.
    pub reason: String,
    /// When it was first seen like this.
    pub since: Timestamp,
    /// When it is looked at again, where that is known.
    pub until: Option<Timestamp>,
}

/// Why a source, or part of what it saw, waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The reason's name.
    pub reason: HoldReason,
    /// The facts and the command that ends it.
    pub detail: String,
}

/// The named reasons for holding a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldReason {
    /// More new entries than `max_new`.
    MaxNew,
    /// Too many entries vanished at once.
    MassRemoval,
    /// The configured place is another one than before.
    LocationChanged,
    /// The place's identity changed: another device, a restored database.
    IdentityChanged,
    /// A key was seen twice in one snapshot.
    DuplicateKey,
    /// A login was refused; it is not tried again.
    AuthRefused,
    /// A sink's `max_backlog` is reached.
    Backlog,
    /// The spool or its disk is full.
    SpoolFull,
}

impl HoldReason {
    /// The word in `status --json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxNew => "max_new",
            Self::MassRemoval => "mass_removal",
            Self::LocationChanged => "location_changed",
            Self::IdentityChanged => "identity_changed",
            Self::DuplicateKey => "duplicate_key",
            Self::AuthRefused => "auth_refused",
            Self::Backlog => "backlog",
            Self::SpoolFull => "spool_full",
        }
    }

    /// The reason a word stands for.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::MaxNew,
            Self::MassRemoval,
            Self::LocationChanged,
            Self::IdentityChanged,
            Self::DuplicateKey,
            Self::AuthRefused,
            Self::Backlog,
            Self::SpoolFull,
        ];
        all.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What a source may ask of, and hand to, the poll that runs it.
pub trait Ledger {
    /// Where the source has got to, in its own words (JSON); `None` before the first commit of one.
    fn cursor(&self) -> Option<&str>;

    /// What is known of these keys, in their order.
    fn known(&mut self, keys: &[Key]) -> Result<Vec<Option<Known>>>;

    /// Known keys that begin with `prefix`, in byte order, behind `after`, at most `limit`.
    fn known_below(&mut self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Known)>>;

    /// Whether nothing at all is known of this source: then [`Ledger::known`] need not be asked.
    fn knows_nothing(&self) -> bool;

    /// The blocks of one folder's segment, in order; empty when it has none.
    fn segment(&mut self, folder: &[u8]) -> Result<Vec<Block>>;

    /// The folders below `folder` that have segments, without itself.
    fn folders_below(&mut self, folder: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Takes a content while it is read; `None` when nobody will want the bytes.
    fn content_writer(&mut self) -> Result<Option<SpoolWriter>>;

    /// A nameless file for temporary use, beside the spool.
    fn scratch(&mut self) -> Result<File>;

    /// Makes everything in `page` durable, in one transaction: events, deliveries, known entries, segments, cursor.
    ///
    /// # Errors
    /// `Conflict` when another poll of this source has begun: end without touching anything. `Full`, `ReadOnly`: nothing
    /// of the page was kept.
    fn commit(&mut self, page: Page) -> Result<()>;

    /// The same, but what comes next may be prepared while it is being made durable: for pages of which nothing is done before
    /// the next one but reading on. Pages become durable in order, and nothing behind one that did not; a failure is told by
    /// the next call that changes or reads anything, and at the latest at the end of the poll.
    ///
    /// # Errors
    /// As [`Ledger::commit`], also those of the page before.
    fn commit_behind(&mut self, page: Page) -> Result<()> {
        self.commit(page)
    }
}

/// What is committed together.
#[derive(Debug, Default)]
pub struct Page {
    /// What was seen, in the order in which it is to be told.
    pub entries: Vec<Entry>,
    /// Changes of the known listing, committed with the entries they cover.
    pub segments: Vec<SegmentWrite>,
    /// Keys whose known state is dropped, revisions included: rows at or below SAFE.
    pub forget: Vec<Key>,
    /// The new cursor.
    pub cursor: Option<String>,
}

/// A run of one folder's known listing. What is in it is the directory sources' own affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its place among the folder's blocks; not dense.
    pub ordinal: i64,
    /// The encoded entries.
    pub bytes: Vec<u8>,
}

/// A change of one folder's known listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentWrite {
    /// Store this block, replacing the one with its ordinal.
    Put {
        /// The folder.
        folder: Vec<u8>,
        /// The block.
        block: Block,
    },
    /// Drop one block.
    Delete {
        /// The folder.
        folder: Vec<u8>,
        /// Its place.
        ordinal: i64,
    },
    /// Drop the whole folder.
    DeleteFolder {
        /// The folder.
        folder: Vec<u8>,
    },
}

/// Receives hints that it is worth looking now.
pub trait Wake: Send + Sync {
    /// A hint naming a folder (relative, `""` is the root), or everything when it names none.
    fn wake(&self, folder: Option<&[u8]>);
}

/// Told how far a long look has come.
pub trait Progress: Send + Sync + std::fmt::Debug {
    /// So many more entries were listed and so many more were read, in so many bytes.
    fn advance(&self, listed: u64, read: u64, bytes: u64);

    /// The look is over.
    fn end(&self) {}
}

/// Progress that nobody watches.
#[derive(Debug)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn advance(&self, _: u64, _: u64, _: u64) {}
}

/// What to do with one version of a file whose deliveries are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOrder {
    /// The file.
    pub key: Key,
    /// The version the order is for; another one is left alone.
    pub tuple: Tuple,
    /// Its content.
    pub fingerprint: Fingerprint,
    /// What to do.
    pub action: Action,
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Delete it.
    Delete,
    /// Move it to this path, relative to the root. A numbered name is taken when another content is there.
    Move(Vec<u8>),
}

/// What came of an after-action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It is done, or was done before; where the file is now.
    Done(Option<Vec<u8>>),
    /// The file is another version by now: nothing was done, the poll reports it.
    OtherVersion,
    /// The file is not there any more.
    Gone,
    /// It can't be done, for this reason; it is not tried again until an operator asks.
    Impossible(String),
}
