//! What a source needs to know about itself, already checked: made by `config`, used by the adapters.
//! The meaning of each value is DESIGN sections 4 and 6.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::change::Kind;
use crate::setting::{ByteCount, Interval, Secret, SinkName, SourceName, Template};

/// One configured source.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Its name, unique among sources.
    pub name: SourceName,
    /// The name it had before (`was`), whose state and ids it takes over.
    pub was: Option<SourceName>,
    /// The sinks every event goes to; empty when `routes` decide.
    pub to: Vec<SinkName>,
    /// Routes, first match wins; empty when `to` decides.
    pub routes: Vec<Route>,
    /// What becomes of entries that no route takes.
    pub unrouted: Unrouted,
    /// When it is looked at.
    pub schedule: Schedule,
    /// More new entries than this in one poll hold the source; `None` lifts the brake.
    pub max_new: Option<u64>,
    /// A poll that takes longer is ended and reported; its committed pages stay.
    pub poll_timeout: Option<Interval>,
    /// Larger entries are refused.
    pub max_size: Option<ByteCount>,
    /// What kind of place it is.
    pub kind: SourceKind,
}

/// When a source is polled.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// This long after the start of the poll before.
    Every(Interval),
    /// At the times of a cron expression, in an IANA time zone.
    Cron {
        /// Five or six fields.
        expression: String,
        /// `Europe/Berlin`; `UTC` when absent.
        timezone: String,
    },
}

/// One route of a source.
#[derive(Debug, Clone)]
pub struct Route {
    /// Globs of which one must match the key; empty matches all.
    pub matches: Vec<String>,
    /// Kinds it takes; empty takes all.
    pub types: Vec<Kind>,
    /// JSON pointers into the event and the values they must have.
    pub when: BTreeMap<String, Value>,
    /// The sinks.
    pub to: Vec<SinkName>,
}

/// What becomes of entries that no route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrouted {
    /// Counted; the source is degraded.
    Degrade,
    /// Counted only.
    Ignore,
}

/// The place a source looks at.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// A local folder.
    Folder(FolderSettings),
    /// A table or query of an SQLite database.
    Sqlite(SqliteSettings),
    /// A table or query of a PostgreSQL database.
    Postgres(PostgresSettings),
}

impl SourceKind {
    /// The word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// A local folder.
#[derive(Debug, Clone)]
pub struct FolderSettings {
    /// The root, absolute.
    pub path: PathBuf,
    /// Whether changes are also watched for; the poll stays the truth.
    pub watch: bool,
    /// What all directory sources share.
    pub directory: DirectorySettings,
}

/// What all directory sources share.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// Globs of which one must match; empty takes everything.
    pub include: Vec<String>,
    /// Globs that take an entry out, the built-in ones included unless `include` names them.
    pub exclude: Vec<String>,
    /// How names are compared with the globs.
    pub case: Case,
    /// Whether folders below the root are looked at.
    pub recursive: bool,
    /// How long the tuple must stand still.
    pub stable_for: Interval,
    /// A file beside the data file that says it is complete.
    pub marker: Option<Template>,
    /// A sidecar with the SHA-256 or MD5 the content must have.
    pub checksum: Option<Template>,
    /// Text the last 4 KiB must contain, compared at the end with trailing white space ignored; `*` stands for any text.
    pub ends_with: Option<String>,
    /// What becomes of files of 0 bytes.
    pub empty: Empty,
    /// The kinds that are told.
    pub events: Vec<Kind>,
    /// Whether every version is delivered or only the newest.
    pub versions: Versions,
    /// What is done with a file once every delivery of its latest event is delivered or cancelled.
    pub on_delivered: AfterAction,
    /// What is done once all are final and one is dead.
    pub on_dead: AfterAction,
    /// What exists at first.
    pub start: Start,
}

/// How names are compared with globs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `A` is not `a`.
    Exact,
    /// `A` is `a`.
    Ignore,
}

/// What becomes of files of 0 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// They are events like any other.
    Deliver,
    /// They wait until they have content.
    Wait,
    /// They are left out.
    Ignore,
}

/// Which versions are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// Every version that was seen.
    All,
    /// Only the newest of several undelivered ones.
    Latest,
}

/// What is done with a file when its deliveries are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAction {
    /// Nothing.
    Keep,
    /// It is deleted.
    Delete,
    /// It is moved to this folder, relative to the root.
    Move(Template),
}

/// What exists when a source is polled for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Is told.
    All,
    /// Is only remembered.
    Now,
    /// Is told when its watermark is beyond this value (tables only), in the database's own text.
    Value(String),
}

/// What all table sources share.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// A table, possibly schema-qualified, or a query.
    pub from: TableFrom,
    /// The high-water-mark columns, compared as a tuple; empty only where the settle mode needs none.
    pub watermark: Vec<String>,
    /// The key columns, at least one.
    pub key: Vec<String>,
    /// How late commits are waited for.
    pub settle: Settle,
    /// Rows a page.
    pub page: u32,
    /// What exists at first.
    pub start: Start,
    /// Whether known keys tell created from changed.
    pub track_keys: bool,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableFrom {
    /// A table or view by name: `customers`, `sales.customers`.
    Table(String),
    /// A SELECT, used as a derived table.
    Query(String),
}

/// How rows that commit late are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// The best the database allows.
    Auto,
    /// The cursor stays this far behind what was seen.
    Overlap(Interval),
}

/// A table of an SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteSettings {
    /// The database file, absolute.
    pub path: PathBuf,
    /// A script that makes the database when the file is absent; for samples and tests.
    pub init: Option<PathBuf>,
    /// What all table sources share.
    pub table: TableSettings,
}

/// A table of a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// A `postgres://` URL or `key=value` connection string, with or without the password.
    pub url: Secret,
    /// The password, when it is not part of `url`.
    pub password: Option<Secret>,
    /// Certificates beyond what `sslmode` and `sslrootcert` say.
    pub tls: TlsSettings,
    /// What all table sources share.
    pub table: TableSettings,
}

pub use crate::net::TlsSettings;

#[cfg(test)]
impl FolderSettings {
    /// Settings with the documented defaults, for tests.
    pub fn sample(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            watch: false,
            directory: DirectorySettings {
                include: Vec::new(),
                exclude: Vec::new(),
                case: Case::Exact,
                recursive: true,
                stable_for: Interval::from_secs(2),
                marker: None,
                checksum: None,
                ends_with: None,
                empty: Empty::Deliver,
                events: vec![Kind::Created, Kind::Changed],
                versions: Versions::All,
                on_delivered: AfterAction::Keep,
                on_dead: AfterAction::Keep,
                start: Start::All,
            },
        }
    }
}
