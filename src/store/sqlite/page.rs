//! One page of a poll in one transaction: events, deliveries, contents, known entries, segments and the cursor.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};

use super::code::{
    PARKED, PENDING, RETRYING, SUPERSEDED, count, int, key_hash, kind_code, nature_code, presence, tuple_bytes,
};
use super::failure::sqlite;
use super::queue::release_keys_of;
use super::round::check_epoch;
use super::writer::Durability;
use super::{Names, Shared, SqliteStore, fate};
use crate::change::{Content, Key, Known};
use crate::error::{Error, Result};
use crate::source::SegmentWrite;
use crate::store::{CommitPage, Lease, NewEvent, NewRefused, PageUnderWay};

/// What one page is written for.
struct PageWrite<'a> {
    connection: &'a Connection,
    source_id: i64,
    names: &'a Names,
    now: i64,
}

impl SqliteStore {
    pub(super) fn store_page(&self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay> {
        let source_id = self.source_id(&lease.source)?;
        let (epoch, names, shared) = (lease.epoch, self.names(), self.shared.clone());
        let under_way = self.writer.submit(Durability::Power, move |connection| {
            check_epoch(connection, source_id, epoch)?;
            let write = PageWrite { connection, source_id, names: &names, now: page.now.nanos() };
            write.page(&page, &shared)
        })?;
        let shared = self.shared.clone();
        Ok(PageUnderWay::new(move || {
            let backlog = under_way.wait()?;
            shared.add_backlog(&backlog);
            shared.ring(backlog.into_keys());
            Ok(())
        }))
    }
}

impl PageWrite<'_> {
    /// Writes everything; returns how the backlog of each sink changes.
    fn page(&self, page: &CommitPage, shared: &Arc<Shared>) -> Result<HashMap<i64, i64>> {
        let mut backlog = HashMap::new();
        let mut seq_of = HashMap::new();
        for new in &page.events {
            let seq = shared.next_seq.fetch_add(1, Ordering::Relaxed);
            self.event(new, seq)?;
            self.deliveries(new, seq, seq_of.get(&new.event.key).copied(), &mut backlog)?;
            // What goes to nobody is never delivered: its file stays where it is.
            if let Some(tuple) = new.action_tuple.as_ref().filter(|_| !new.deliveries.is_empty()) {
                self.action(&new.event.key, seq, &tuple_bytes(tuple))?;
                shared.has_actions.store(true, Ordering::Relaxed);
            }
            seq_of.insert(&new.event.key, seq);
        }
        for (key, known) in &page.known {
            self.known(key, known, seq_of.get(key).copied())?;
        }
        for key in &page.forget {
            self.delete_by_key("DELETE FROM known WHERE source_id = ?1 AND key = ?2", key)?;
        }
        for refused in &page.refused {
            self.refused(refused)?;
        }
        for key in &page.unrefused {
            self.delete_by_key("DELETE FROM refused WHERE source_id = ?1 AND key = ?2", key)?;
        }
        for segment in &page.segments {
            self.segment(segment)?;
        }
        self.cursor(page)?;
        Ok(backlog)
    }

    fn event(&self, new: &NewEvent, seq: u64) -> Result<()> {
        let event = &new.event;
        self.connection
            .prepare_cached(
                "INSERT INTO event (seq, source_id, id, kind, nature, key, revision, fingerprint, sequence, time, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    int(seq),
                    self.source_id,
                    &event.id.0[..],
                    kind_code(event.kind),
                    nature_code(event.nature),
                    event.key.as_bytes(),
                    int(event.revision),
                    event.fingerprint.as_ref().map(|f| &f.0[..]),
                    int(event.sequence),
                    event.time.nanos(),
                    event.body,
                ])
            })
            .map_err(sqlite("store an event"))?;
        let Some(content) = &event.content else { return Ok(()) };
        let (inline, name) = match content {
            Content::Inline(bytes) => (Some(bytes), None),
            Content::Spooled { name, .. } => (None, Some(name)),
        };
        self.connection
            .prepare_cached("INSERT INTO content (seq, size, inline, name) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut s| s.execute(params![int(seq), int(content.size()), inline, name]))
            .map_err(sqlite("store a content"))?;
        Ok(())
    }

    /// `older` is the key's event before in the same page.
    fn deliveries(&self, new: &NewEvent, seq: u64, older: Option<u64>, backlog: &mut HashMap<i64, i64>) -> Result<()> {
        let older = if new.supersedes { self.older_version(&new.event.key, older)? } else { None };
        for delivery in &new.deliveries {
            let missing = || Error::internal(format!("sink {} was not registered", delivery.sink));
            let sink_id = *self.names.sinks.get(&delivery.sink).ok_or_else(missing)?;
            let signed = |order: u64| i64::from_le_bytes(order.to_le_bytes());
            self.connection
                .prepare_cached(
                    "INSERT INTO delivery (sink_id, seq, state, order_key, order_also) VALUES (?1, ?2, 0, ?3, ?4)",
                )
                .and_then(|mut s| {
                    s.execute(params![sink_id, int(seq), delivery.order.map(signed), delivery.order_also.map(signed)])
                })
                .map_err(sqlite("store a delivery"))?;
            *backlog.entry(sink_id).or_default() += 1;
            if let Some(older) = older {
                *backlog.entry(sink_id).or_default() -= self.supersede(sink_id, older)?;
            }
        }
        Ok(())
    }

    /// The number of the key's event before this one: in the same page, else as known from before.
    fn older_version(&self, key: &Key, in_page: Option<u64>) -> Result<Option<i64>> {
        if let Some(seq) = in_page {
            return Ok(Some(int(seq)));
        }
        self.connection
            .prepare_cached("SELECT seq FROM known WHERE source_id = ?1 AND key = ?2")
            .and_then(|mut s| s.query_row(params![self.source_id, key.as_bytes()], |row| row.get(0)).optional())
            .map(Option::flatten)
            .map_err(sqlite("look for an older version"))
    }

    /// An older version is not sent any more; one under way only if this attempt fails. Returns how many wait no more.
    fn supersede(&self, sink_id: i64, older: i64) -> Result<i64> {
        let superseded = self
            .connection
            .prepare_cached(
                "UPDATE delivery SET state = ?3, next_at = NULL
                 WHERE sink_id = ?1 AND seq = ?2 AND state IN (?4, ?5, ?6)",
            )
            .and_then(|mut s| s.execute(params![sink_id, older, SUPERSEDED, PENDING, RETRYING, PARKED]))
            .map_err(sqlite("supersede an older version"))?;
        if superseded == 0 {
            fate::supersede_later(self.connection, sink_id, older)?;
            return Ok(0);
        }
        // It will never be settled, so nobody else frees what is parked behind it.
        release_keys_of(self.connection, sink_id, older)?;
        Ok(1)
    }

    fn action(&self, key: &Key, seq: u64, tuple: &[u8]) -> Result<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO action (source_id, key, seq, tuple) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut s| s.execute(params![self.source_id, key.as_bytes(), int(seq), tuple]))
            .map_err(sqlite("queue an after-action"))?;
        Ok(())
    }

    fn known(&self, key: &Key, known: &Known, seq: Option<u64>) -> Result<()> {
        let tuple = known.tuple.as_ref().map(tuple_bytes);
        self.connection
            .prepare_cached(
                "INSERT INTO known (source_id, key, fingerprint, revision, presence, size, tuple, note, seq, touched)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (source_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
                    revision = excluded.revision, presence = excluded.presence, size = excluded.size,
                    tuple = excluded.tuple, note = excluded.note, seq = coalesce(excluded.seq, seq),
                    touched = excluded.touched",
            )
            .and_then(|mut s| {
                s.execute(params![
                    self.source_id,
                    key.as_bytes(),
                    known.fingerprint.as_ref().map(|f| &f.0[..]),
                    int(known.revision),
                    presence(known),
                    int(known.size),
                    tuple.as_ref().map(|t| &t[..]),
                    &known.note[..],
                    seq.map(int),
                    self.now,
                ])
            })
            .map_err(sqlite("remember an entry"))?;
        Ok(())
    }

    fn refused(&self, refused: &NewRefused) -> Result<()> {
        let tuple = refused.tuple.as_ref().map(tuple_bytes);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO refused (source_id, key, reason, tuple, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .and_then(|mut s| {
                let tuple = tuple.as_ref().map(|t| &t[..]);
                s.execute(params![self.source_id, refused.key.as_bytes(), refused.reason, tuple, self.now])
            })
            .map_err(sqlite("remember a refused entry"))?;
        Ok(())
    }

    fn delete_by_key(&self, sql: &str, key: &Key) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut s| s.execute(params![self.source_id, key.as_bytes()]))
            .map_err(sqlite("drop what is known of an entry"))?;
        Ok(())
    }

    fn segment(&self, write: &SegmentWrite) -> Result<()> {
        let done = match write {
            SegmentWrite::Put { folder, block } => self
                .connection
                .prepare_cached(
                    "INSERT INTO segment (source_id, folder, ordinal, entries) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (source_id, folder, ordinal) DO UPDATE SET entries = excluded.entries",
                )
                .and_then(|mut s| s.execute(params![self.source_id, folder, block.ordinal, block.bytes])),
            SegmentWrite::Delete { folder, ordinal } => self
                .connection
                .prepare_cached("DELETE FROM segment WHERE source_id = ?1 AND folder = ?2 AND ordinal = ?3")
                .and_then(|mut s| s.execute(params![self.source_id, folder, ordinal])),
            SegmentWrite::DeleteFolder { folder } => self
                .connection
                .prepare_cached("DELETE FROM segment WHERE source_id = ?1 AND folder = ?2")
                .and_then(|mut s| s.execute(params![self.source_id, folder])),
        };
        done.map(|_| ()).map_err(sqlite("store a segment"))
    }

    fn cursor(&self, page: &CommitPage) -> Result<()> {
        let last = page.events.last().map(|new| int(new.event.sequence));
        if last.is_none() && page.cursor.is_none() {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "UPDATE source SET sequence = coalesce(?2, sequence), cursor = coalesce(?3, cursor) WHERE id = ?1",
            )
            .and_then(|mut s| s.execute(params![self.source_id, last, page.cursor]))
            .map_err(sqlite("store the cursor"))?;
        Ok(())
    }
}

/// Writes the look-up rows of events that have none yet, at most `limit`; returns how many events were covered.
pub(super) fn extend_lookup(connection: &Connection, limit: usize) -> Result<u64> {
    let doing = sqlite("extend the event look-up");
    let reached: i64 = connection
        .query_row("SELECT coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0)", [], |row| row.get(0))
        .map_err(&doing)?;
    let mut statement = connection
        .prepare_cached("SELECT seq, source_id, id, key FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")
        .map_err(&doing)?;
    let rows = statement
        .query_map(params![reached, int(limit as u64)], |row| {
            let (seq, source_id): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (id, key): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            Ok((seq, [super::code::id_hash(&id), key_hash(source_id, &Key::from(key))]))
        })
        .map_err(&doing)?;
    let found: Vec<(i64, [i64; 2])> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    let Some((last, _)) = found.last() else { return Ok(0) };
    let last = *last;
    let mut pairs: Vec<(i64, i64)> = found.iter().flat_map(|(seq, hashes)| hashes.map(|h| (h, *seq))).collect();
    pairs.sort_unstable();
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO event_lookup (hash, seq) VALUES (?1, ?2)").map_err(&doing)?;
    for (hash, seq) in &pairs {
        insert.execute(params![hash, seq]).map_err(&doing)?;
    }
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('looked_up', ?1)", [last]).map_err(&doing)?;
    Ok(count(i64::try_from(found.len()).unwrap_or(i64::MAX)))
}
