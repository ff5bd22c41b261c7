//! The tables, as numbered migrations. A store newer than this program is refused; an older one is brought up to date.
//!
//! Large tables grow at their end: their keys begin with the event's number, never with a hash (PERF.md (c): 5 to 6 times
//! the inserts per second). Look-ups by id and by key go through `event_lookup`, which housekeeping fills behind the
//! commits; what it has not reached yet is found by reading the tail.
//!
//! The conditions of partial indexes compare and never list: SQLite builds a table of its own for every `IN (1, 2, 3)`
//! that it evaluates, at each write of a row.

use rusqlite::Connection;

use super::failure::sqlite;
use crate::error::{Error, ErrorKind, Result};

/// Marks the file as Highwater's: `HWTR`.
const APPLICATION_ID: i32 = 0x4857_5452;

/// Each entry brings the store one version further.
const MIGRATIONS: [&str; 5] = [FIRST, GONE_KEYS, LOGINS, COMPARING, SETTLED];

/// How far the cursor of a table has settled, as JSON.
const SETTLED: &str = "ALTER TABLE source ADD COLUMN settled TEXT;";

/// Indexes whose conditions compare instead of listing.
const COMPARING: &str = "
DROP INDEX delivery_busy;
DROP INDEX delivery_busy_also;
CREATE INDEX delivery_busy ON delivery (sink_id, order_key, seq) WHERE state BETWEEN 1 AND 3;
CREATE INDEX delivery_busy_also ON delivery (sink_id, order_also, seq) WHERE state BETWEEN 1 AND 3 AND order_also IS NOT NULL;
DROP INDEX action_due;
CREATE INDEX action_due ON action (source_id, state) WHERE state BETWEEN 1 AND 2;
";

const LOGINS: &str = "
CREATE TABLE login_salt (salt BLOB NOT NULL);
INSERT INTO login_salt VALUES (randomblob(32));

CREATE TABLE login_attempts (
    account TEXT NOT NULL,
    digest BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) WITHOUT ROWID;

CREATE TABLE login_account (source TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (source, account)) WITHOUT ROWID;
";

const FIRST: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    location TEXT,
    filters TEXT,
    cursor TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL DEFAULT 0,
    pruned_revision INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    unrouted INTEGER NOT NULL DEFAULT 0,
    pause_reason TEXT,
    pause_until INTEGER,
    hold_reason TEXT,
    hold_detail TEXT,
    accepted INTEGER NOT NULL DEFAULT 0,
    degraded TEXT,
    waiting INTEGER NOT NULL DEFAULT 0,
    last_poll INTEGER,
    last_success INTEGER,
    last_error TEXT
);

CREATE TABLE sink (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    delivered INTEGER NOT NULL DEFAULT 0,
    pause_reason TEXT,
    pause_until INTEGER,
    not_before INTEGER,
    breaker_until INTEGER,
    last_error TEXT
);

CREATE TABLE known (
    source_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    fingerprint BLOB,
    revision INTEGER NOT NULL,
    presence INTEGER NOT NULL,
    size INTEGER NOT NULL,
    tuple BLOB,
    note BLOB NOT NULL,
    seq INTEGER,
    touched INTEGER NOT NULL,
    PRIMARY KEY (source_id, key)
) WITHOUT ROWID;

CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL,
    folder BLOB NOT NULL,
    ordinal INTEGER NOT NULL,
    entries BLOB NOT NULL
);
CREATE UNIQUE INDEX segment_place ON segment (source_id, folder, ordinal);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL,
    id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    nature INTEGER NOT NULL,
    key BLOB NOT NULL,
    revision INTEGER NOT NULL,
    fingerprint BLOB,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    body BLOB NOT NULL
);

CREATE TABLE event_lookup (hash INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (hash, seq)) WITHOUT ROWID;

CREATE TABLE content (seq INTEGER PRIMARY KEY, size INTEGER NOT NULL, inline BLOB, name TEXT);
CREATE INDEX content_name ON content (name) WHERE name IS NOT NULL;

CREATE TABLE delivery (
    sink_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    order_key INTEGER,
    order_also INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    charged INTEGER NOT NULL DEFAULT 0,
    first_at INTEGER,
    last_at INTEGER,
    next_at INTEGER,
    took_ms INTEGER,
    code INTEGER,
    outcome TEXT,
    summary TEXT,
    dead_reason TEXT,
    gap_told INTEGER NOT NULL DEFAULT 0,
    acked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sink_id, seq)
) WITHOUT ROWID;
CREATE INDEX delivery_pending ON delivery (sink_id, seq) WHERE state = 0;
CREATE INDEX delivery_retry ON delivery (sink_id, next_at) WHERE state = 2;
CREATE INDEX delivery_busy ON delivery (sink_id, order_key, seq) WHERE state BETWEEN 1 AND 3;
CREATE INDEX delivery_busy_also ON delivery (sink_id, order_also, seq) WHERE state BETWEEN 1 AND 3 AND order_also IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (sink_id, order_key, seq) WHERE state = 5;

CREATE TABLE attempt (
    seq INTEGER NOT NULL,
    sink_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took_ms INTEGER,
    outcome TEXT NOT NULL,
    code INTEGER,
    summary TEXT NOT NULL,
    output BLOB,
    PRIMARY KEY (seq, sink_id, number)
) WITHOUT ROWID;

CREATE TABLE refused (
    source_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    reason TEXT NOT NULL,
    tuple BLOB,
    at INTEGER NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source_id, key)
) WITHOUT ROWID;

CREATE TABLE waiting (
    source_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (source_id, key)
) WITHOUT ROWID;

CREATE TABLE action (
    source_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    seq INTEGER NOT NULL,
    tuple BLOB NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,
    journaled TEXT,
    target BLOB,
    note TEXT,
    PRIMARY KEY (source_id, key)
) WITHOUT ROWID;
CREATE INDEX action_event ON action (seq);
CREATE INDEX action_due ON action (source_id, state) WHERE state BETWEEN 1 AND 2;
";

/// Keys that are gone are found without those that are there: there may be millions of these.
const GONE_KEYS: &str = "CREATE INDEX known_gone ON known (touched) WHERE presence > 0;";

/// The version of the store in the file, 0 for an empty one; nothing is changed.
///
/// # Errors
/// `Corrupt` when the file is not a Highwater store, or newer than this program.
pub fn check(connection: &Connection) -> Result<usize> {
    let read = |sql: &str| -> Result<i64> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite("read the store's version"))
    };
    let application = read("PRAGMA application_id")?;
    if application != i64::from(APPLICATION_ID) && read("SELECT count(*) FROM sqlite_master")? > 0 {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the file is an SQLite database, but not a Highwater store; choose another state.path",
        ));
    }
    let version = usize::try_from(read("PRAGMA user_version")?).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        let fact = format!("the store has version {version}, this program knows {known}; use the newer highwater");
        return Err(Error::new(ErrorKind::Corrupt, fact));
    }
    Ok(version)
}

/// Brings a store that was checked to this program's version.
///
/// # Errors
/// As the disk says.
pub fn migrate(connection: &mut Connection) -> Result<()> {
    let version = check(connection)?;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    // All in one: a process that is killed leaves no version that commands which only read would refuse.
    let migration = connection.transaction().map_err(sqlite("begin a migration"))?;
    for step in MIGRATIONS.iter().skip(version) {
        migration.execute_batch(step).map_err(sqlite("migrate the store"))?;
    }
    migration.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite("mark the store"))?;
    let reached = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    migration.pragma_update(None, "user_version", reached).map_err(sqlite("mark the store"))?;
    migration.commit().map_err(sqlite("migrate the store"))
}

/// The version this program writes.
pub const fn current_version() -> usize {
    MIGRATIONS.len()
}
