//! What table sources need to know about themselves. The meaning of each value is DESIGN section 6.2.

use std::path::PathBuf;

use super::{Start, TlsSettings};
use crate::setting::{Interval, Secret};

/// What all table sources share.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// A table, possibly schema-qualified, or a query.
    pub from: TableFrom,
    /// The high-water-mark columns, compared as a tuple; empty only where row versions serve instead.
    pub watermark: Vec<String>,
    /// The key columns, at least one.
    pub key: Vec<String>,
    /// How late commits are waited for.
    pub settle: Settle,
    /// How far back polls by row version look, between two looks at everything.
    pub window: Window,
    /// The time zone of watermark columns that hold local times, an IANA name.
    pub watermark_timezone: Option<String>,
    /// Rows a page.
    pub page: u32,
    /// What exists at first.
    pub start: Start,
    /// Whether known keys tell created from changed; implied by `sweep`.
    pub track_keys: bool,
    /// How often removed rows, and rows that polls missed, are looked for.
    pub sweep: Option<Interval>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableFrom {
    /// A table or view by name: `customers`, `sales.customers`.
    Table(String),
    /// A SELECT, used as a derived table.
    Query(String),
}

#[cfg(test)]
impl TableSettings {
    /// Settings of a table with the documented defaults, for tests.
    pub fn sample(name: &str, watermark: &str, key: &str) -> Self {
        Self {
            from: TableFrom::Table(name.into()),
            watermark: vec![watermark.into()],
            key: vec![key.into()],
            settle: Settle::Auto,
            window: Window::default(),
            watermark_timezone: None,
            page: 5_000,
            start: Start::All,
            track_keys: false,
            sweep: None,
        }
    }
}

impl TableFrom {
    /// What events call it.
    pub fn word(&self) -> &str {
        match self {
            Self::Table(name) => name,
            Self::Query(_) => "query",
        }
    }
}

/// How rows that commit late are waited for (DESIGN 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// The best the database allows.
    Auto,
    /// Rows by the transaction that wrote them (PostgreSQL).
    RowVersion,
    /// SAFE waits until every transaction that was open when its mark was made has ended (PostgreSQL).
    Fence,
    /// SAFE stays below what a dirty read shows in flight (MySQL, MariaDB).
    DirtyRead,
    /// SAFE is `MIN_ACTIVE_ROWVERSION()` (SQL Server).
    ActiveRowversion,
    /// SAFE is the newest watermark, and rows with just that one are read again: one writer at a time.
    Inclusive,
    /// The cursor stays this far behind what was seen.
    Overlap(Interval),
}

/// How far back polls by row version look. Everything older is looked at once a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// All rows at every poll.
    None,
    /// Rows whose watermark is not older; needs a watermark that is a point in time, and an index that begins with it.
    Span(Interval),
}

impl Default for Window {
    fn default() -> Self {
        Self::Span(Interval::from_secs(7 * 86_400))
    }
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
    /// A channel whose NOTIFY makes the source look at once.
    pub listen: Option<String>,
    /// Certificates beyond what `sslmode` and `sslrootcert` say.
    pub tls: TlsSettings,
    /// What all table sources share.
    pub table: TableSettings,
}

/// A table of a MySQL or MariaDB database.
#[derive(Debug, Clone)]
pub struct MysqlSettings {
    /// A `mysql://` URL, with or without the password.
    pub url: Secret,
    /// The password, when it is not part of `url`.
    pub password: Option<Secret>,
    /// Certificates beyond what `ssl-mode` and `ssl-ca` say; without `pin` and `min`.
    pub tls: TlsSettings,
    /// What all table sources share.
    pub table: TableSettings,
}

/// A table behind an ODBC driver.
#[derive(Debug, Clone)]
pub struct OdbcSettings {
    /// The connection string, with or without the password.
    pub connection: Secret,
    /// The password, when it is not part of `connection`.
    pub password: Option<Secret>,
    /// The helper program; `None` is the one beside this program.
    pub helper: Option<PathBuf>,
    /// How long logging in may take.
    pub connect_timeout: Interval,
    /// How long the driver may take for one answer.
    pub answer_timeout: Interval,
    /// What all table sources share.
    pub table: TableSettings,
}
