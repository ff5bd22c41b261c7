//! The reading side: views for commands, on a connection of their own that can't write.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params, params_from_iter};

use super::code::{PARKED, content_of, count, id_hash, int, kind_of, nature_of, time};
use super::failure::sqlite;
use super::listing::{Conditions, attempt_of};
use super::round::{hold_of, load_lease, pause_of};
use super::{Names, action, known, load_names, open_connection, place, schema};
use crate::change::{Content, Fingerprint, Key, Known};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, EventId};
use crate::setting::{SinkName, SourceName};
use crate::source::{Block, Settled, Waiting};
use crate::store::records::{
    AttemptRecord, DeliveryFilter, DeliveryRecord, EventFilter, EventRecord, RefusedRecord, SinkRecord, SourceRecord,
};
use crate::store::{Lease, Memory, Records, SinkHold};

/// The embedded store, open for reading.
pub struct SqliteRecords {
    pub(super) connection: Connection,
    pub(super) names: Names,
}

impl SqliteRecords {
    /// Opens the store at `path` for reading; works while another process writes.
    ///
    /// # Errors
    /// `NotFound` when there is no store yet.
    pub fn open(path: &Path) -> Result<Self> {
        if !place::exists(path)? {
            return Err(no_store_yet(path));
        }
        let named = |e: Error| e.while_doing(format!("read store {}", path.display()));
        let connection = open_reading(path).map_err(named)?;
        let version = schema::check(&connection).map_err(named)?;
        if version == 0 {
            // Whoever makes it is not that far yet.
            return Err(no_store_yet(path));
        }
        if version < schema::current_version() {
            let fact = format!(
                "store {} has version {version}, this program reads {}; `highwater run` or `once` brings it up to date",
                path.display(),
                schema::current_version()
            );
            return Err(Error::new(ErrorKind::Corrupt, fact));
        }
        let names = load_names(&connection).map_err(named)?;
        Ok(Self { connection, names })
    }

    pub(super) fn source_id(&self, source: &SourceName) -> Result<i64> {
        let missing = || Error::new(ErrorKind::NotFound, format!("source {source} is not in the store yet"));
        self.names.sources.get(source).copied().ok_or_else(missing)
    }

    pub(super) fn sink_id(&self, sink: &SinkName) -> Result<i64> {
        let missing = || Error::new(ErrorKind::NotFound, format!("sink {sink} is not in the store yet"));
        self.names.sinks.get(sink).copied().ok_or_else(missing)
    }
}

fn no_store_yet(path: &Path) -> Error {
    let fact = format!("there is no store at {} yet; `highwater run` or `once` makes it", path.display());
    Error::new(ErrorKind::NotFound, fact)
}

/// Read-only where the folder lets us; a WAL without its index file needs one writable open, which changes no data. Where
/// nothing may be written and there is no WAL, nobody writes, and the file alone is all there is.
fn open_reading(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let opened = open_connection(path, flags).and_then(is_readable);
    let opened = opened.or_else(|_| {
        let connection = open_connection(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "query_only", true).map_err(sqlite("open the store for reading"))?;
        is_readable(connection)
    });
    opened.or_else(|error| {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        if Path::new(&wal).exists() {
            return Err(error);
        }
        open_connection(&immutable(path), flags | OpenFlags::SQLITE_OPEN_URI).and_then(is_readable)
    })
}

fn is_readable(connection: Connection) -> Result<Connection> {
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())).map_err(sqlite("read its tables"))?;
    Ok(connection)
}

/// The path as a URI that says that nobody writes the file (sqlite.org/uri.html).
fn immutable(path: &Path) -> PathBuf {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let escaped = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let path: String = path.as_os_str().as_bytes().iter().copied().map(escaped).collect();
    PathBuf::from(format!("file:{path}?immutable=1"))
}

/// The number of an event: by the look-up where it reaches, else by reading the tail behind it.
pub(super) fn find_event(connection: &Connection, id: EventId) -> Result<Option<i64>> {
    let doing = sqlite("look up an event");
    let by_lookup = connection
        .query_row(
            "SELECT e.seq FROM event_lookup l JOIN event e ON e.seq = l.seq WHERE l.hash = ?1 AND e.id = ?2",
            params![id_hash(&id.0), &id.0[..]],
            |row| row.get(0),
        )
        .optional()
        .map_err(&doing)?;
    if by_lookup.is_some() {
        return Ok(by_lookup);
    }
    connection
        .query_row(
            "SELECT seq FROM event WHERE seq > coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0) AND id = ?1",
            [&id.0[..]],
            |row| row.get(0),
        )
        .optional()
        .map_err(&doing)
}

/// Reads a sink's holds.
pub(super) fn load_sink_hold(connection: &Connection, id: i64) -> Result<SinkHold> {
    connection
        .query_row(
            "SELECT pause_reason, pause_until, not_before, breaker_until, last_error FROM sink WHERE id = ?1",
            [id],
            |row| sink_hold_of(row, 0),
        )
        .map_err(sqlite("read what holds a sink"))
}

fn sink_hold_of(row: &Row<'_>, at: usize) -> rusqlite::Result<SinkHold> {
    let (not_before, breaker): (Option<i64>, Option<i64>) = (row.get(at + 2)?, row.get(at + 3)?);
    Ok(SinkHold {
        pause: pause_of(row, at)?,
        not_before: not_before.map(time),
        breaker_until: breaker.map(time),
        last_error: row.get(at + 4)?,
    })
}

const EVENT_COLUMNS: &str = "e.seq, e.source_id, e.id, e.kind, e.nature, e.key, e.revision, e.fingerprint, e.sequence,
    e.time, e.body, (SELECT size FROM content c WHERE c.seq = e.seq)";

impl SqliteRecords {
    fn event_of(&self, row: &Row<'_>) -> rusqlite::Result<EventRecord> {
        let id: Vec<u8> = row.get(2)?;
        let fingerprint: Option<Vec<u8>> = row.get(7)?;
        let event = Event {
            id: EventId::from_slice(&id).unwrap_or(EventId([0; 20])),
            source: self.names.source_of(row.get(1)?),
            kind: kind_of(row.get(3)?),
            nature: nature_of(row.get(4)?),
            key: Key::from(row.get::<_, Vec<u8>>(5)?),
            revision: count(row.get(6)?),
            fingerprint: fingerprint.and_then(|f| Fingerprint::from_slice(&f)),
            sequence: count(row.get(8)?),
            time: time(row.get(9)?),
            body: row.get(10)?,
            content: None,
        };
        let size: Option<i64> = row.get(11)?;
        Ok(EventRecord { seq: count(row.get(0)?), event, content_size: size.map(count) })
    }
}

impl Memory for SqliteRecords {
    fn known(&self, source: &SourceName, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        known::load(&self.connection, self.source_id(source)?, keys)
    }

    fn known_below(
        &self,
        source: &SourceName,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Known)>> {
        known::load_below(&self.connection, self.source_id(source)?, prefix, after, limit)
    }

    fn segment(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Block>> {
        known::load_segment(&self.connection, self.source_id(source)?, folder)
    }

    fn folders_below(&self, source: &SourceName, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        known::load_folders_below(&self.connection, self.source_id(source)?, folder)
    }
}

impl Records for SqliteRecords {
    fn sources(&self) -> Result<Vec<SourceRecord>> {
        let doing = sqlite("list sources");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT name, kind, cursor, pause_reason, pause_until, hold_reason, hold_detail, degraded, waiting,
                        sequence, unrouted, last_poll, last_success, last_error,
                        (SELECT count(*) FROM known k WHERE k.source_id = source.id AND k.presence = 0),
                        (SELECT count(*) FROM refused r WHERE r.source_id = source.id AND r.acked = 0), settled
                 FROM source ORDER BY name",
            )
            .map_err(&doing)?;
        let read = |row: &Row<'_>| {
            let (last_poll, last_success): (Option<i64>, Option<i64>) = (row.get(11)?, row.get(12)?);
            Ok(SourceRecord {
                name: SourceName::new(row.get::<_, String>(0)?),
                kind: row.get(1)?,
                cursor: row.get(2)?,
                pause: pause_of(row, 3)?,
                hold: hold_of(row, 5)?,
                degraded: row.get(7)?,
                known: count(row.get(14)?),
                waiting: count(row.get(8)?),
                events: count(row.get(9)?),
                refused: count(row.get(15)?),
                unrouted: count(row.get(10)?),
                last_poll: last_poll.map(time),
                last_success: last_success.map(time),
                last_error: row.get(13)?,
                settled: row.get::<_, Option<String>>(16)?.and_then(|text| Settled::parse(&text)),
            })
        };
        let rows = statement.query_map([], read).map_err(&doing)?;
        rows.collect::<Result<_, _>>().map_err(&doing)
    }

    fn sinks(&self) -> Result<Vec<SinkRecord>> {
        let doing = sqlite("list sinks");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT name, pause_reason, pause_until, not_before, breaker_until, last_error, delivered,
                        (SELECT count(*) FROM delivery INDEXED BY delivery_pending WHERE sink_id = s.id AND state = 0)
                      + (SELECT count(*) FROM delivery INDEXED BY delivery_busy WHERE sink_id = s.id AND state BETWEEN 1 AND 3 AND state = 3),
                        (SELECT count(*) FROM delivery INDEXED BY delivery_busy WHERE sink_id = s.id AND state BETWEEN 1 AND 3 AND state = 1),
                        (SELECT count(*) FROM delivery INDEXED BY delivery_retry WHERE sink_id = s.id AND state = 2),
                        (SELECT count(*) FROM delivery INDEXED BY delivery_dead WHERE sink_id = s.id AND state = 5 AND acked = 0),
                        (SELECT e.time FROM event e WHERE e.seq = min(
                            coalesce((SELECT min(seq) FROM delivery INDEXED BY delivery_pending WHERE sink_id = s.id AND state = 0), 9223372036854775807),
                            coalesce((SELECT min(seq) FROM delivery INDEXED BY delivery_busy WHERE sink_id = s.id AND state BETWEEN 1 AND 3), 9223372036854775807)))
                 FROM sink s ORDER BY name",
            )
            .map_err(&doing)?;
        let read = |row: &Row<'_>| {
            let oldest: Option<i64> = row.get(11)?;
            Ok(SinkRecord {
                name: SinkName::new(row.get::<_, String>(0)?),
                hold: sink_hold_of(row, 1)?,
                delivered: count(row.get(6)?),
                pending: count(row.get(7)?),
                in_flight: count(row.get(8)?),
                retrying: count(row.get(9)?),
                dead: count(row.get(10)?),
                oldest: oldest.map(time),
            })
        };
        let rows = statement.query_map([], read).map_err(&doing)?;
        rows.collect::<Result<_, _>>().map_err(&doing)
    }

    fn events(&self, filter: &EventFilter, each: &mut dyn FnMut(EventRecord) -> Result<bool>) -> Result<()> {
        let mut conditions = Conditions::default();
        self.place_conditions(filter.source.as_ref(), filter.key.as_ref(), &mut conditions)?;
        if let Some(since) = filter.since {
            conditions.and("e.time >= ?", since.nanos());
        }
        if let Some(seq) = filter.after_seq {
            conditions.and("e.seq > ?", int(seq));
        }
        conditions.sql.push_str(if filter.after_seq.is_some() { " ORDER BY e.seq" } else { " ORDER BY e.seq DESC" });
        conditions.limit(filter.limit);
        let doing = sqlite("list events");
        let sql = format!("SELECT {EVENT_COLUMNS} FROM event e{}", conditions.sql);
        let mut statement = self.connection.prepare(&sql).map_err(&doing)?;
        let mut rows = statement.query(params_from_iter(conditions.values)).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            if !each(self.event_of(row).map_err(&doing)?)? {
                break;
            }
        }
        Ok(())
    }

    fn deliveries(&self, filter: &DeliveryFilter, each: &mut dyn FnMut(DeliveryRecord) -> Result<bool>) -> Result<()> {
        let Some(mut conditions) = self.delivery_conditions(filter)? else { return Ok(()) };
        conditions.sql.push_str(" ORDER BY d.seq DESC, d.sink_id");
        conditions.limit(filter.limit);
        let doing = sqlite("list deliveries");
        let sql = format!(
            "SELECT d.seq, e.id, e.source_id, e.key, d.sink_id, d.state, d.attempts, d.next_at, d.dead_reason, d.last_at,
                    d.summary, d.order_key, d.order_also
             FROM delivery d JOIN event e ON e.seq = d.seq{}",
            conditions.sql
        );
        let mut statement = self.connection.prepare(&sql).map_err(&doing)?;
        let mut rows = statement.query(params_from_iter(conditions.values)).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            let (mut record, order, also) = self.delivery_of(row).map_err(&doing)?;
            let is_parked = row.get::<_, i64>(5).map_err(&doing)? == PARKED;
            self.note_blocked(&mut record, order, also, is_parked)?;
            if !each(record)? {
                break;
            }
        }
        Ok(())
    }

    fn attempts(&self, filter: &DeliveryFilter, each: &mut dyn FnMut(AttemptRecord) -> Result<bool>) -> Result<()> {
        let Some(mut conditions) = self.delivery_conditions(filter)? else { return Ok(()) };
        conditions.sql.push_str(" ORDER BY at DESC, a.number DESC");
        conditions.limit(filter.limit);
        let doing = sqlite("list attempts");
        // A delivery that arrived at its first attempt without a word has no row of its own in `attempt`.
        let sql = format!(
            "SELECT e.id, d.sink_id, coalesce(a.number, d.attempts), coalesce(a.at, d.last_at) AS at,
                    coalesce(a.took_ms, CASE WHEN a.number IS NULL THEN d.took_ms END), coalesce(a.outcome, d.outcome),
                    coalesce(a.code, CASE WHEN a.number IS NULL THEN d.code END), coalesce(a.summary, d.summary), a.output
             FROM delivery d JOIN event e ON e.seq = d.seq
                  LEFT JOIN attempt a ON a.seq = d.seq AND a.sink_id = d.sink_id{} ",
            conditions.sql.replacen(" WHERE ", " WHERE (a.number IS NOT NULL OR d.outcome IS NOT NULL) AND ", 1)
        );
        let mut statement = self.connection.prepare(&sql).map_err(&doing)?;
        let mut rows = statement.query(params_from_iter(conditions.values)).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            let record = attempt_of(row, &self.names).map_err(&doing)?;
            if !each(record)? {
                break;
            }
        }
        Ok(())
    }

    fn refused(&self, source: Option<&SourceName>, each: &mut dyn FnMut(RefusedRecord) -> Result<bool>) -> Result<()> {
        let doing = sqlite("list refused entries");
        let mut conditions = Conditions::default();
        if let Some(source) = source {
            conditions.and("source_id = ?", self.source_id(source)?);
        }
        let sql = format!("SELECT source_id, key, reason, at FROM refused{} ORDER BY source_id, key", conditions.sql);
        let mut statement = self.connection.prepare(&sql).map_err(&doing)?;
        let mut rows = statement.query(params_from_iter(conditions.values)).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            let read = || -> rusqlite::Result<RefusedRecord> {
                Ok(RefusedRecord {
                    source: self.names.source_of(row.get(0)?),
                    key: Key::from(row.get::<_, Vec<u8>>(1)?),
                    reason: row.get(2)?,
                    at: time(row.get(3)?),
                })
            };
            if !each(read().map_err(&doing)?)? {
                break;
            }
        }
        Ok(())
    }

    fn waiting(&self, source: &SourceName) -> Result<Vec<Waiting>> {
        let id = self.source_id(source)?;
        let doing = sqlite("list waiting entries");
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, reason, since, until FROM waiting WHERE source_id = ?1 ORDER BY key")
            .map_err(&doing)?;
        let read = |row: &Row<'_>| {
            let until: Option<i64> = row.get(3)?;
            Ok(Waiting {
                key: Key::from(row.get::<_, Vec<u8>>(0)?),
                reason: row.get(1)?,
                since: time(row.get(2)?),
                until: until.map(time),
            })
        };
        let rows = statement.query_map([id], read).map_err(&doing)?;
        rows.collect::<Result<_, _>>().map_err(&doing)
    }

    fn event(&self, id: EventId) -> Result<Option<EventRecord>> {
        let Some(seq) = find_event(&self.connection, id)? else { return Ok(None) };
        let sql = format!("SELECT {EVENT_COLUMNS} FROM event e WHERE e.seq = ?1");
        let found = self.connection.query_row(&sql, [seq], |row| self.event_of(row)).optional();
        found.map_err(sqlite("read an event"))
    }

    fn content(&self, seq: u64) -> Result<Option<Content>> {
        let found = self
            .connection
            .query_row("SELECT inline, name, size FROM content WHERE seq = ?1", [int(seq)], |row| content_of(row, 0))
            .optional();
        found.map(Option::flatten).map_err(sqlite("read a content"))
    }

    fn lease(&self, source: &SourceName, now: Timestamp) -> Result<Lease> {
        load_lease(&self.connection, self.source_id(source)?, source.clone(), now)
    }

    fn action(&self, source: &SourceName, key: &Key) -> Result<Option<String>> {
        let id = self.source_id(source)?;
        action::describe(&self.connection, id, key)
    }
}
