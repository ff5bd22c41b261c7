//! The embedded store: one SQLite file in WAL mode, one writer thread with group commit, any number of readers.
//! Who may open it for writing is decided by the lock, before it comes here.

mod action;
mod claim;
mod code;
mod failure;
mod fate;
mod keep;
mod known;
mod listing;
mod logins;
mod operate;
mod page;
mod place;
mod queue;
mod reader;
mod register;
mod round;
mod schema;
mod writer;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use failure::sqlite;
use writer::Writer;

use super::{
    ActionEnded, Claim, Claiming, CommitPage, DueAction, Keeping, Kept, Lease, Memory, Operation, PageUnderWay,
    PollEnded, Records, Settled, SinkHold, SourceRegistration, Store,
};
use crate::change::{Key, Known};
use crate::clock::{Bell, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{SinkName, SourceName};
use crate::source::{ActionOrder, Block};

pub use logins::SqliteLogins;
pub use reader::SqliteRecords;
pub use schema::current_version;

/// How long a reader waits for a lock that the writer holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle reading connections kept.
const READERS_KEPT_MAX: usize = 4;

/// The embedded store, open for writing.
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    names: RwLock<Names>,
    shared: Arc<Shared>,
}

/// The numbers that stand for names in the tables.
#[derive(Debug, Default, Clone)]
struct Names {
    sources: HashMap<SourceName, i64>,
    sinks: HashMap<SinkName, i64>,
}

/// What steps on the writer thread and callers share.
#[derive(Debug, Default)]
struct Shared {
    next_seq: AtomicU64,
    /// Whether any after-action is journaled: then every final outcome looks for one.
    has_actions: AtomicBool,
    sinks: Mutex<HashMap<i64, Arc<SinkCounts>>>,
}

#[derive(Debug, Default)]
struct SinkCounts {
    backlog: AtomicI64,
    bell: Bell,
}

impl Shared {
    fn sink(&self, id: i64) -> Arc<SinkCounts> {
        self.sinks.lock().expect("no holder of the sinks panics").entry(id).or_default().clone()
    }

    fn add_backlog(&self, deltas: &HashMap<i64, i64>) {
        for (sink, delta) in deltas {
            self.sink(*sink).backlog.fetch_add(*delta, Ordering::Relaxed);
        }
    }

    fn ring(&self, sinks: impl IntoIterator<Item = i64>) {
        for sink in sinks {
            self.sink(sink).bell.ring();
        }
    }
}

impl SqliteStore {
    /// Opens or makes the store at `path`. The caller holds its lock.
    ///
    /// # Errors
    /// `Corrupt` when the file is no store or a newer one; `Full`, `ReadOnly`, `Denied` as the disk says.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|e| Error::io(format!("make the store's folder {}", folder.display()), e))?;
        }
        if place::exists(path)? {
            free_sidecars(path)?;
        }
        let mut connection = open_connection(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let named = |e: Error| e.while_doing(format!("open store {}", path.display()));
        // Before anything is set: a database that is not ours stays as it is.
        schema::check(&connection).map_err(named)?;
        prepare_writer(&connection).map_err(named)?;
        schema::migrate(&mut connection).map_err(named)?;
        restrict_mode(path)?;
        let shared = Arc::new(Shared::default());
        count_what_is_there(&connection, &shared).map_err(named)?;
        let names = load_names(&connection).map_err(named)?;
        let writer = Writer::start(connection, path)?;
        Ok(Self { path: path.to_owned(), writer, readers: Mutex::default(), names: RwLock::new(names), shared })
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let kept = self.readers.lock().expect("no holder of the readers panics").pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open_connection(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?,
        };
        let outcome = work(&connection);
        let mut readers = self.readers.lock().expect("no holder of the readers panics");
        if readers.len() < READERS_KEPT_MAX {
            readers.push(connection);
        }
        outcome
    }

    fn source_id(&self, source: &SourceName) -> Result<i64> {
        let names = self.names.read().expect("no holder of the names panics");
        let missing = || Error::new(ErrorKind::NotFound, format!("source {source} is not in the store"));
        names.sources.get(source).copied().ok_or_else(missing)
    }

    fn sink_id(&self, sink: &SinkName) -> Result<i64> {
        let names = self.names.read().expect("no holder of the names panics");
        let missing = || Error::new(ErrorKind::NotFound, format!("sink {sink} is not in the store"));
        names.sinks.get(sink).copied().ok_or_else(missing)
    }

    fn names(&self) -> Names {
        self.names.read().expect("no holder of the names panics").clone()
    }
}

fn open_connection(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let context = format!("open store {}", path.display());
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite(&context))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite(&context))?;
    connection.set_prepared_statement_cache_capacity(128);
    // Without this, a statement whose plan could depend on a parameter is compiled anew whenever that changes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite(&context))?;
    Ok(connection)
}

fn prepare_writer(connection: &Connection) -> Result<()> {
    let set =
        |name: &str, value: &str| connection.pragma_update(None, name, value).map_err(sqlite("prepare the store"));
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sqlite("switch the store to WAL"))?;
    if mode != "wal" {
        let fact = "the store's disk can't hold a write-ahead log; put state.path on a local disk";
        return Err(Error::new(ErrorKind::ReadOnly, fact));
    }
    // Measured (PERF.md (c)): a larger cache and rarer checkpoints are worth twice the inserts.
    set("cache_size", "-32768")?;
    set("wal_autocheckpoint", "16000")?;
    set("journal_size_limit", "67108864")?;
    set("synchronous", "FULL")
}

/// The store may hold partners' data: only its owner reads it.
fn restrict_mode(path: &Path) -> Result<()> {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).map_err(|e| Error::io(format!("restrict store {}", path.display()), e))
}

/// SQLite makes its files beside the store with the store's own mode. Those made while it was read-only would keep it
/// read-only for ever.
fn free_sidecars(path: &Path) -> Result<()> {
    let is_locked = |path: &Path| std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o200 == 0);
    for suffix in ["-wal", "-shm"] {
        let mut sidecar = path.as_os_str().to_owned();
        sidecar.push(suffix);
        let sidecar = PathBuf::from(sidecar);
        if is_locked(&sidecar) && !is_locked(path) {
            restrict_mode(&sidecar)?;
        }
    }
    Ok(())
}

fn count_what_is_there(connection: &Connection, shared: &Shared) -> Result<()> {
    let read = |sql: &str| -> Result<i64> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite("count what the store holds"))
    };
    shared.next_seq.store(code::count(read("SELECT coalesce(max(seq), 0) FROM event")?) + 1, Ordering::Relaxed);
    shared.has_actions.store(read("SELECT EXISTS (SELECT 1 FROM action)")? == 1, Ordering::Relaxed);
    let mut statement = connection
        .prepare(
            "SELECT id, (SELECT count(*) FROM delivery INDEXED BY delivery_pending WHERE sink_id = sink.id AND state = 0)
                      + (SELECT count(*) FROM delivery INDEXED BY delivery_busy WHERE sink_id = sink.id AND state BETWEEN 1 AND 3) FROM sink",
        )
        .map_err(sqlite("count the backlog"))?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .map_err(sqlite("count the backlog"))?;
    for row in rows {
        let (sink, backlog) = row.map_err(sqlite("count the backlog"))?;
        shared.sink(sink).backlog.store(backlog, Ordering::Relaxed);
    }
    Ok(())
}

fn load_names(connection: &Connection) -> Result<Names> {
    let list = |sql: &str| -> Result<Vec<(String, i64)>> {
        let mut statement = connection.prepare(sql).map_err(sqlite("read the store's names"))?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite("read the store's names"))?;
        rows.collect::<Result<_, _>>().map_err(sqlite("read the store's names"))
    };
    let sources = list("SELECT name, id FROM source")?;
    let sinks = list("SELECT name, id FROM sink")?;
    Ok(Names {
        sources: sources.into_iter().map(|(name, id)| (SourceName::new(name), id)).collect(),
        sinks: sinks.into_iter().map(|(name, id)| (SinkName::new(name), id)).collect(),
    })
}

impl Memory for SqliteStore {
    fn known(&self, source: &SourceName, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        let id = self.source_id(source)?;
        self.read(|connection| known::load(connection, id, keys))
    }

    fn known_below(
        &self,
        source: &SourceName,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Known)>> {
        let id = self.source_id(source)?;
        self.read(|connection| known::load_below(connection, id, prefix, after, limit))
    }

    fn segment(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Block>> {
        let id = self.source_id(source)?;
        self.read(|connection| known::load_segment(connection, id, folder))
    }

    fn folders_below(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        let id = self.source_id(source)?;
        self.read(|connection| known::load_folders_below(connection, id, folder))
    }
}

impl Store for SqliteStore {
    fn register(&self, sources: &[SourceRegistration], sinks: &[SinkName], now: Timestamp) -> Result<()> {
        self.register_names(sources, sinks, now)
    }

    fn recover(&self, now: Timestamp) -> Result<u64> {
        self.recover_in_flight(now)
    }

    fn begin_poll(&self, source: &SourceName, now: Timestamp) -> Result<Lease> {
        self.take_lease(source, now)
    }

    fn end_poll(&self, lease: &Lease, ended: PollEnded) -> Result<()> {
        self.store_poll_end(lease, ended)
    }

    fn submit_page(&self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay> {
        self.store_page(lease, page)
    }

    fn turn(&self, sink: &SinkName, settled: Vec<Settled>, claiming: &Claiming) -> Result<Vec<Claim>> {
        self.settle_and_claim(sink, settled, claiming)
    }

    fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>> {
        self.load_next_due(sink)
    }

    fn bell(&self, sink: &SinkName) -> Bell {
        self.sink_id(sink).map(|id| self.shared.sink(id).bell.clone()).unwrap_or_default()
    }

    fn backlog(&self, sink: &SinkName) -> u64 {
        self.sink_id(sink).map_or(0, |id| code::count(self.shared.sink(id).backlog.load(Ordering::Relaxed)))
    }

    fn set_sink_hold(&self, sink: &SinkName, before: &SinkHold, hold: &SinkHold, _now: Timestamp) -> Result<()> {
        self.store_sink_hold(sink, before, hold)
    }

    fn sink_hold(&self, sink: &SinkName) -> Result<SinkHold> {
        let id = self.sink_id(sink)?;
        self.read(|connection| reader::load_sink_hold(connection, id))
    }

    fn operate(&self, operation: &Operation, now: Timestamp) -> Result<u64> {
        self.carry_out(operation, now)
    }

    fn actions_due(&self, source: &SourceName, limit: usize, now: Timestamp) -> Result<Vec<DueAction>> {
        self.load_actions_due(source, limit, now)
    }

    fn journal_action(&self, source: &SourceName, order: &ActionOrder) -> Result<()> {
        self.store_action_journal(source, order)
    }

    fn end_action(&self, source: &SourceName, key: &Key, ended: ActionEnded, now: Timestamp) -> Result<()> {
        self.store_action_end(source, key, ended, now)
    }

    fn keep(&self, keeping: &Keeping, now: Timestamp) -> Result<Kept> {
        self.keep_house(keeping, now)
    }

    fn names_spool_file(&self, name: &str) -> Result<bool> {
        self.read(|connection| {
            connection
                .query_row("SELECT EXISTS (SELECT 1 FROM content WHERE name = ?1)", [name], |row| row.get(0))
                .map_err(sqlite("look up a spool file"))
        })
    }

    fn records(&self) -> Result<Box<dyn Records>> {
        Ok(Box::new(SqliteRecords::open(&self.path)?))
    }
}
