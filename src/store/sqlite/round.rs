//! How a poll begins and ends: leases with epochs.

use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::code::{count, int, time};
use super::failure::sqlite;
use super::writer::Durability;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::{Accepted, Binding, Hold, HoldReason, Settled};
use crate::store::{Lease, Pause, PollEnded};

/// The bits of `source.accepted`.
pub(super) const ACCEPTED_NEW: i64 = 1;
pub(super) const ACCEPTED_REMOVALS: i64 = 2;
/// The configured place is wanted although it is another one.
pub(super) const ACCEPTED_PLACE: i64 = 4;

impl SqliteStore {
    pub(super) fn take_lease(&self, source: &SourceName, now: Timestamp) -> Result<Lease> {
        let id = self.source_id(source)?;
        let name = source.clone();
        self.writer.write(Durability::Process, move |connection| {
            connection
                .prepare_cached("UPDATE source SET epoch = epoch + 1 WHERE id = ?1")
                .and_then(|mut s| s.execute([id]))
                .map_err(sqlite("begin a poll"))?;
            load_lease(connection, id, name, now)
        })
    }

    pub(super) fn store_poll_end(&self, lease: &Lease, ended: PollEnded) -> Result<()> {
        let id = self.source_id(&lease.source)?;
        let epoch = lease.epoch;
        // A poll that changed what the state is bound to, or used an acceptance up, must not be forgotten by a power cut.
        let weighty = ended.accepted_used || ended.hold.is_some() || ended.binding != lease.binding;
        let durability = if weighty { Durability::Power } else { Durability::Process };
        let used_up = if ended.accepted_used { bits(&lease.accepted) } else { 0 };
        self.writer.write(durability, move |connection| {
            check_epoch(connection, id, epoch)?;
            write_poll_end(connection, id, used_up, &ended)
        })
    }
}

/// New entries are only remembered.
pub(super) const SILENT_NEW: i64 = 8;
/// Removals are only remembered.
pub(super) const SILENT_REMOVALS: i64 = 16;

/// Acceptances as they are stored.
fn bits(accepted: &Accepted) -> i64 {
    let all = [
        (accepted.new_entries, ACCEPTED_NEW),
        (accepted.removals, ACCEPTED_REMOVALS),
        (accepted.place, ACCEPTED_PLACE),
        (accepted.silent_new, SILENT_NEW),
        (accepted.silent_removals, SILENT_REMOVALS),
    ];
    all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum()
}

/// Fails with `Conflict` when another poll of this source has begun since.
pub(super) fn check_epoch(connection: &Connection, id: i64, epoch: u64) -> Result<()> {
    let doing = sqlite("check a poll's epoch");
    let current: i64 = connection
        .prepare_cached("SELECT epoch FROM source WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)))
        .map_err(doing)?;
    if count(current) == epoch {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, format!("poll {epoch} of this source was overtaken by poll {current}")))
}

pub(super) fn load_lease(connection: &Connection, id: i64, source: SourceName, now: Timestamp) -> Result<Lease> {
    let doing = sqlite("begin a poll");
    let generation: i64 = connection
        .query_row("SELECT coalesce((SELECT value FROM meta WHERE name = 'generation'), 0)", [], |row| row.get(0))
        .map_err(&doing)?;
    let knows_nothing: bool = connection
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM known WHERE source_id = ?1)")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)))
        .map_err(&doing)?;
    let mut statement = connection
        .prepare_cached(
            "SELECT epoch, identity, cursor, sequence, pruned_revision, completed, location, filters, accepted,
                    hold_reason, hold_detail, pause_reason, pause_until,
                    (SELECT count(*) FROM refused r WHERE r.source_id = source.id) FROM source WHERE id = ?1",
        )
        .map_err(&doing)?;
    let read = |row: &Row<'_>| {
        let location: Option<String> = row.get(6)?;
        let filters: Option<String> = row.get(7)?;
        let accepted: i64 = row.get(8)?;
        Ok(Lease {
            source: source.clone(),
            epoch: count(row.get(0)?),
            identity: SourceName::new(row.get::<_, String>(1)?),
            generation: count(generation),
            cursor: row.get(2)?,
            sequence: count(row.get(3)?),
            pruned_revision: count(row.get(4)?),
            completed: count(row.get(5)?),
            knows_nothing,
            refused: count(row.get(13)?),
            binding: location.zip(filters).map(|(location, filters)| Binding { location, filters }),
            accepted: Accepted {
                new_entries: accepted & ACCEPTED_NEW != 0,
                removals: accepted & ACCEPTED_REMOVALS != 0,
                place: accepted & ACCEPTED_PLACE != 0,
                silent_new: accepted & SILENT_NEW != 0,
                silent_removals: accepted & SILENT_REMOVALS != 0,
            },
            hold: hold_of(row, 9)?,
            pause: pause_of(row, 11)?.filter(|p| p.until.is_none_or(|until| until > now)),
        })
    };
    statement.query_row([id], read).map_err(&doing)
}

/// Reads `hold_reason, hold_detail` from column `at` on.
pub(super) fn hold_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Hold>> {
    let reason: Option<String> = row.get(at)?;
    let detail: Option<String> = row.get(at + 1)?;
    let reason = reason.and_then(|word| HoldReason::parse(&word));
    Ok(reason.map(|reason| Hold { reason, detail: detail.unwrap_or_default() }))
}

/// Reads `pause_reason, pause_until` from column `at` on.
pub(super) fn pause_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Pause>> {
    let reason: Option<String> = row.get(at)?;
    let until: Option<i64> = row.get(at + 1)?;
    Ok(reason.map(|reason| Pause { reason, until: until.map(time) }))
}

/// `used_up` are the acceptances that this poll began with and used; those given meanwhile are for the next one.
fn write_poll_end(connection: &Connection, id: i64, used_up: i64, ended: &PollEnded) -> Result<()> {
    let doing = sqlite("end a poll");
    if ended.cut_short {
        let sql = "UPDATE source SET unrouted = unrouted + ?2 WHERE id = ?1";
        return connection.execute(sql, params![id, int(ended.unrouted)]).map(drop).map_err(doing);
    }
    connection
        .prepare_cached(
            "UPDATE source SET last_poll = ?2, last_error = ?3, degraded = ?4, hold_reason = ?5, hold_detail = ?6,
                    waiting = ?7, unrouted = unrouted + ?8, completed = completed + ?9,
                    last_success = CASE WHEN ?3 IS NULL THEN ?2 ELSE last_success END,
                    location = coalesce(?10, location), filters = coalesce(?11, filters),
                    accepted = accepted & ~?12, settled = coalesce(?13, settled)
             WHERE id = ?1",
        )
        .and_then(|mut s| {
            s.execute(params![
                id,
                ended.ended.nanos(),
                ended.error,
                ended.degraded,
                ended.hold.as_ref().map(|h| h.reason.as_str()),
                ended.hold.as_ref().map(|h| h.detail.as_str()),
                int(ended.waiting),
                int(ended.unrouted),
                i64::from(ended.completed),
                ended.binding.as_ref().map(|b| b.location.as_str()),
                ended.binding.as_ref().map(|b| b.filters.as_str()),
                used_up,
                ended.settled.as_ref().map(Settled::to_text),
            ])
        })
        .map_err(&doing)?;
    let Some(waiting) = &ended.waiting_shown else { return Ok(()) };
    connection.execute("DELETE FROM waiting WHERE source_id = ?1", [id]).map_err(&doing)?;
    let mut insert = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO waiting (source_id, key, reason, since, until) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .map_err(&doing)?;
    for one in waiting {
        let until = one.until.map(Timestamp::nanos);
        insert.execute(params![id, one.key.as_bytes(), one.reason, one.since.nanos(), until]).map_err(&doing)?;
    }
    Ok(())
}
