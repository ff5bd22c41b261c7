//! Housekeeping in small steps: the look-up index, contents nobody waits for, old events, rows of removed keys.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::code::{count, int};
use super::failure::sqlite;
use super::page::extend_lookup;
use super::writer::Durability;
use super::{SqliteStore, code};
use crate::change::Key;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{Keeping, Kept};

impl SqliteStore {
    pub(super) fn keep_house(&self, keeping: &Keeping, now: Timestamp) -> Result<Kept> {
        let keeping = keeping.clone();
        self.writer.write(Durability::Process, move |connection| {
            let step = keeping.step_max.max(1);
            let mut kept = Kept::default();
            let looked_up = extend_lookup(connection, step)?;
            kept.more |= looked_up >= step as u64;
            release_contents(connection, step, &mut kept)?;
            if keeping.pruning {
                prune_events(connection, &keeping, now, &mut kept)?;
                prune_removed_keys(connection, now, keeping.delivered_for, step)?;
            }
            Ok(kept)
        })
    }
}

/// Spooled contents whose deliveries are all delivered, cancelled or superseded are released; dead ones may be retried.
fn release_contents(connection: &Connection, step: usize, kept: &mut Kept) -> Result<()> {
    let doing = sqlite("release contents");
    let mut statement = connection
        .prepare_cached(
            "SELECT c.seq, c.name FROM content c WHERE c.name IS NOT NULL AND NOT EXISTS
                (SELECT 1 FROM delivery d WHERE d.sink_id IN (SELECT id FROM sink) AND d.seq = c.seq AND d.state IN (0, 1, 2, 3, 5))
             LIMIT ?1",
        )
        .map_err(&doing)?;
    let rows = statement.query_map([int(step as u64)], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&doing)?;
    let free: Vec<(i64, String)> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    kept.more |= free.len() >= step;
    for (seq, name) in free {
        connection
            .prepare_cached("DELETE FROM content WHERE seq = ?1")
            .and_then(|mut s| s.execute([seq]))
            .map_err(&doing)?;
        kept.spool_files.push(name);
    }
    Ok(())
}

/// Old events go with everything that hangs on them. The newest event always stays, so that numbers never come again.
fn prune_events(connection: &Connection, keeping: &Keeping, now: Timestamp, kept: &mut Kept) -> Result<()> {
    let doing = sqlite("prune old events");
    let mut statement = connection
        .prepare_cached(
            "SELECT e.seq, e.source_id, e.id, e.key, c.name FROM event e LEFT JOIN content c ON c.seq = e.seq
             WHERE e.time < ?1 AND e.seq < (SELECT max(seq) FROM event)
               AND e.seq <= coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0)
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.sink_id IN (SELECT id FROM sink) AND d.seq = e.seq
                   AND (d.state IN (0, 1, 2, 3) OR (d.state = 5 AND coalesce(d.last_at, e.time) >= ?2)))
               AND NOT EXISTS (SELECT 1 FROM action a WHERE a.seq = e.seq AND a.state IN (0, 1, 2))
             ORDER BY e.seq LIMIT ?3",
        )
        .map_err(&doing)?;
    let oldest = |span: Duration| now.minus(span).nanos();
    let rows = statement
        .query_map(
            params![oldest(keeping.delivered_for), oldest(keeping.dead_for), int(keeping.step_max as u64)],
            |row| {
                let key: Vec<u8> = row.get(3)?;
                let id: Vec<u8> = row.get(2)?;
                let hashes = [code::id_hash(&id), code::key_hash(row.get(1)?, &Key::from(key))];
                Ok((row.get::<_, i64>(0)?, hashes, row.get::<_, Option<String>>(4)?))
            },
        )
        .map_err(&doing)?;
    let old: Vec<(i64, [i64; 2], Option<String>)> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    kept.more |= old.len() >= keeping.step_max;
    for (seq, hashes, name) in old {
        for sql in [
            "DELETE FROM delivery WHERE sink_id IN (SELECT id FROM sink) AND seq = ?1",
            "DELETE FROM attempt WHERE seq = ?1",
            "DELETE FROM content WHERE seq = ?1",
            "DELETE FROM action WHERE seq = ?1",
            "DELETE FROM event WHERE seq = ?1",
        ] {
            connection.prepare_cached(sql).and_then(|mut s| s.execute([seq])).map_err(&doing)?;
        }
        for hash in hashes {
            connection
                .prepare_cached("DELETE FROM event_lookup WHERE hash = ?1 AND seq = ?2")
                .and_then(|mut s| s.execute([hash, seq]))
                .map_err(&doing)?;
        }
        kept.spool_files.extend(name);
        kept.pruned += 1;
    }
    Ok(())
}

/// Rows of keys that were removed long ago go; the source keeps the highest of their revisions, so that none comes again.
fn prune_removed_keys(connection: &Connection, now: Timestamp, retention: Duration, step: usize) -> Result<()> {
    let doing = sqlite("prune removed keys");
    let before = now.minus(retention).nanos();
    // Scanning all known rows for the few that can go is for once in a while: at most daily.
    let last: i64 = connection
        .query_row("SELECT coalesce((SELECT value FROM meta WHERE name = 'keys_pruned'), 0)", [], |row| row.get(0))
        .map_err(&doing)?;
    let day = Duration::from_secs(86_400);
    let too_early = now.nanos() >= last && now.since(code::time(last)) < day;
    if too_early {
        return Ok(());
    }
    let mut statement = connection
        .prepare(
            "SELECT source_id, key, revision FROM known WHERE presence = 2 AND touched < ?1
             AND NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = known.seq) LIMIT ?2",
        )
        .map_err(&doing)?;
    let rows = statement
        .query_map(params![before, int(step as u64)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(&doing)?;
    let old: Vec<(i64, Vec<u8>, i64)> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    for (source, key, revision) in &old {
        connection
            .execute("UPDATE source SET pruned_revision = max(pruned_revision, ?2) WHERE id = ?1", [source, revision])
            .map_err(&doing)?;
        connection
            .execute("DELETE FROM known WHERE source_id = ?1 AND key = ?2", params![source, key])
            .map_err(&doing)?;
    }
    if count(i64::try_from(old.len()).unwrap_or(i64::MAX)) < step as u64 {
        connection
            .execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('keys_pruned', ?1)", [now.nanos()])
            .map_err(&doing)?;
    }
    Ok(())
}
