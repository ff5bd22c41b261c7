//! Table sources against real databases, through the library's own interface and a ledger in memory.

mod between;
mod conformance;
mod doctor;
mod edges;
mod fence;
mod holes;
mod huge;
mod listen;
mod mysql;
mod mysql_access;
mod mysql_clock;
mod mysql_dirty;
mod mysql_sweep;
mod mysql_types;
#[cfg(feature = "odbc")]
mod odbc;
#[cfg(feature = "odbc")]
mod odbc_mariadb;
mod odbc_process;
#[cfg(feature = "odbc")]
mod odbc_sqlite;
mod operated;
mod postgres;
mod postgres_access;
mod postgres_types;
mod settling;
mod sqlite;
mod status;
mod sweep;
mod sweep_keys;
mod versions;
mod versions_kill;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater::change::Nature;
use highwater::clock::{Clock, ManualClock, Stop, Timestamp};
use highwater::error::Result;
use highwater::source::settings::{Settle, Start, TableFrom, TableSettings, Window};
use highwater::source::{Accepted, Look, Looked, Patience, Progress, Scope, Source};

use super::support::ledger::MemoryLedger;

/// A source with the ledger and the clock it is polled with.
pub struct Bench {
    pub source: Box<dyn Source>,
    pub ledger: MemoryLedger,
    pub clock: Arc<ManualClock>,
    pub max_new: Option<u64>,
    pub accepted: Accepted,
    pub filters_changed: bool,
    /// Rows that sweeps read, in all.
    pub swept: Swept,
}

/// Counts the rows that sweeps read, which list nothing.
#[derive(Debug, Default)]
pub struct Swept(AtomicU64);

impl Progress for Swept {
    fn advance(&self, listed: u64, read: u64, _: u64) {
        if listed == 0 {
            self.0.fetch_add(read, Ordering::Relaxed);
        }
    }
}

impl Swept {
    pub fn rows(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Bench {
    /// A bench with an empty ledger, at the real time: databases have their own clocks.
    pub fn new(source: Box<dyn Source>) -> Self {
        assert_eq!(source.nature(), Nature::Row);
        let ledger = MemoryLedger::new(source.tracks_keys());
        let clock = ManualClock::at(highwater::clock::SystemClock::new().now());
        let (accepted, swept) = (Accepted::default(), Swept::default());
        Self { source, ledger, clock, max_new: None, accepted, filters_changed: false, swept }
    }

    /// One poll that must end well.
    pub fn poll(&mut self) -> Looked {
        self.try_poll().expect("the poll ends well")
    }

    /// One poll.
    pub fn try_poll(&mut self) -> Result<Looked> {
        self.poll_until(&Stop::new())
    }

    /// One poll that ends when `stop` is raised.
    pub fn poll_until(&mut self, stop: &Stop) -> Result<Looked> {
        let look = Look {
            scope: Scope::Everything,
            first: self.ledger.cursor.is_none(),
            filters_changed: self.filters_changed,
            accepted: self.accepted,
            max_new: self.max_new,
            patience: Patience::Return,
            clock: &*self.clock,
            stop,
            progress: &self.swept,
        };
        self.source.poll(&look, &mut self.ledger)
    }

    /// The keys that one poll tells, sorted.
    pub fn told_by_a_poll(&mut self) -> Vec<String> {
        let looked = self.poll();
        assert_eq!(looked.hold, None);
        assert!(looked.complete);
        let mut keys = self.ledger.take_keys();
        keys.sort();
        keys
    }

    /// Lets time pass, on both clocks.
    pub fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Goes on with another source object, as a new process would.
    pub fn restart(&mut self, source: Box<dyn Source>) {
        self.source = source;
        // A new process has a new monotonic clock.
        self.clock = ManualClock::at(Timestamp::from_nanos(self.clock.now().nanos()));
    }
}

/// Settings of a table named `name`.
pub fn table(name: &str, watermark: &[&str], key: &[&str]) -> TableSettings {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    TableSettings {
        from: TableFrom::Table(name.into()),
        watermark: owned(watermark),
        key: owned(key),
        settle: Settle::Auto,
        window: Window::default(),
        watermark_timezone: None,
        page: 500,
        start: Start::All,
        track_keys: false,
        sweep: None,
    }
}

/// Settings of a query.
pub fn query(sql: &str, watermark: &[&str], key: &[&str]) -> TableSettings {
    TableSettings { from: TableFrom::Query(sql.into()), ..table("", watermark, key) }
}
