//! Housekeeping in small steps: the look-up index, contents nobody waits for, old events, rows of removed keys.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::code::int;
use super::failure::sqlite;
use super::page::extend_lookup;
use super::queue::release_keys_of;
use super::writer::Durability;
use super::{SqliteStore, code};
use crate::change::Key;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{Keeping, Kept};

/// Events that one step puts into the look-up: some 10 ms of the writer's time.
const LOOKUP_STEP: usize = 4_000;

impl SqliteStore {
    pub(super) fn keep_house(&self, keeping: &Keeping, now: Timestamp) -> Result<Kept> {
        let keeping = keeping.clone();
        let kept = self.writer.write(Durability::Process, move |connection| {
            let step = keeping.step_max.max(1);
            let mut kept = Kept::default();
            let looked_up = extend_lookup(connection, LOOKUP_STEP)?;
            kept.more |= looked_up >= LOOKUP_STEP as u64;
            release_contents(connection, step, &mut kept)?;
            if keeping.pruning {
                prune_events(connection, &keeping, now, &mut kept)?;
                kept.more |= prune_gone_keys(connection, now, keeping.delivered_for, step)?;
            }
            Ok(kept)
        })?;
        if kept.pruned > 0 {
            self.shared.ring(self.names().sinks.into_values());
        }
        Ok(kept)
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

/// An old event that nothing waits for.
struct Old {
    seq: i64,
    hashes: [i64; 2],
    content: Option<String>,
}

/// Old events go with everything that hangs on them. The newest event always stays, so that numbers never come again.
///
/// Events lie in the order of their numbers, which is that of their times: a step looks at the next few from where the
/// last one stopped, and begins again at the first once it has come to the young ones.
fn prune_events(connection: &Connection, keeping: &Keeping, now: Timestamp, kept: &mut Kept) -> Result<()> {
    let doing = sqlite("prune old events");
    let reached = load_meta(connection, "prune_at")?;
    let step = int(keeping.step_max as u64);
    let young = now.minus(keeping.delivered_for.min(keeping.dead_for)).nanos();
    let (looked_at, last): (i64, Option<i64>) = connection
        .prepare_cached(
            "SELECT count(*), max(seq) FROM (SELECT seq, time FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2)
             WHERE time < ?3 AND seq < (SELECT max(seq) FROM event)
               AND seq <= coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0)",
        )
        .and_then(|mut s| s.query_row(params![reached, step, young], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(&doing)?;
    if let Some(last) = last {
        for old in old_events(connection, keeping, now, reached, last)? {
            prune_event(connection, &old)?;
            kept.spool_files.extend(old.content);
            kept.pruned += 1;
        }
    }
    let goes_on = looked_at > 0;
    kept.more |= goes_on;
    let next = last.filter(|_| goes_on).unwrap_or(0);
    if next != reached { store_meta(connection, "prune_at", next) } else { Ok(()) }
}

fn old_events(connection: &Connection, keeping: &Keeping, now: Timestamp, from: i64, to: i64) -> Result<Vec<Old>> {
    let doing = sqlite("look for old events");
    let oldest = |span: Duration| now.minus(span).nanos();
    let mut statement = connection
        .prepare_cached(
            "SELECT e.seq, e.source_id, e.id, e.key, c.name FROM event e LEFT JOIN content c ON c.seq = e.seq
             WHERE e.seq > ?1 AND e.seq <= ?2 AND e.time < ?3
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.sink_id IN (SELECT id FROM sink) AND d.seq = e.seq
                   AND (d.state IN (0, 1, 2, 3) OR (d.state = 5 AND coalesce(d.last_at, e.time) >= ?4)))
               AND NOT EXISTS (SELECT 1 FROM action a WHERE a.seq = e.seq AND a.state IN (0, 1, 2))
             ORDER BY e.seq",
        )
        .map_err(&doing)?;
    let read = |row: &Row<'_>| {
        let (id, key): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let hashes = [code::id_hash(&id), code::key_hash(row.get(1)?, &Key::from(key))];
        Ok(Old { seq: row.get(0)?, hashes, content: row.get(4)? })
    };
    let values = params![from, to, oldest(keeping.delivered_for), oldest(keeping.dead_for)];
    let rows = statement.query_map(values, read).map_err(&doing)?;
    rows.collect::<Result<_, _>>().map_err(&doing)
}

fn prune_event(connection: &Connection, old: &Old) -> Result<()> {
    let doing = sqlite("prune an old event");
    // With `after_dead = "hold"`, later ones of its key are parked behind a dead letter that nobody can drop any more.
    let mut dead = connection
        .prepare_cached(
            "SELECT sink_id FROM delivery WHERE sink_id IN (SELECT id FROM sink) AND seq = ?1 AND state = 5",
        )
        .map_err(&doing)?;
    let sinks = dead.query_map([old.seq], |row| row.get(0)).map_err(&doing)?;
    for sink_id in sinks.collect::<std::result::Result<Vec<i64>, _>>().map_err(&doing)? {
        release_keys_of(connection, sink_id, old.seq)?;
    }
    for sql in [
        "DELETE FROM delivery WHERE sink_id IN (SELECT id FROM sink) AND seq = ?1",
        "DELETE FROM attempt WHERE seq = ?1",
        "DELETE FROM content WHERE seq = ?1",
        "DELETE FROM action WHERE seq = ?1",
        "DELETE FROM event WHERE seq = ?1",
    ] {
        connection.prepare_cached(sql).and_then(|mut s| s.execute([old.seq])).map_err(&doing)?;
    }
    for hash in old.hashes {
        connection
            .prepare_cached("DELETE FROM event_lookup WHERE hash = ?1 AND seq = ?2")
            .and_then(|mut s| s.execute([hash, old.seq]))
            .map_err(&doing)?;
    }
    Ok(())
}

fn load_meta(connection: &Connection, name: &str) -> Result<i64> {
    connection
        .query_row("SELECT coalesce((SELECT value FROM meta WHERE name = ?1), 0)", [name], |row| row.get(0))
        .map_err(sqlite("read a mark of housekeeping"))
}

fn store_meta(connection: &Connection, name: &str, value: i64) -> Result<()> {
    connection
        .execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, value])
        .map(|_| ())
        .map_err(sqlite("store a mark of housekeeping"))
}

/// Gone and old, oldest first, and no event refers to it any more.
const GONE_KEYS: &str = "SELECT source_id, key, revision FROM known INDEXED BY known_gone
    WHERE presence > 0 AND touched < ?1 AND NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = known.seq)
    ORDER BY touched LIMIT ?2";

/// Rows of keys that are gone since long ago go, whether that was told or not; the source keeps the highest of their
/// revisions, so that none comes again. Returns whether there may be more.
fn prune_gone_keys(connection: &Connection, now: Timestamp, retention: Duration, step: usize) -> Result<bool> {
    let doing = sqlite("prune keys that are gone");
    let before = now.minus(retention).nanos();
    // It ends polls under way, so it is done at most daily.
    let last = load_meta(connection, "keys_pruned")?;
    let day = Duration::from_secs(86_400);
    let too_early = now.nanos() >= last && now.since(code::time(last)) < day;
    if too_early {
        return Ok(false);
    }
    let mut statement = connection.prepare_cached(GONE_KEYS).map_err(&doing)?;
    let rows = statement
        .query_map(params![before, int(step as u64)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(&doing)?;
    let old: Vec<(i64, Vec<u8>, i64)> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    for (source, key, revision) in &old {
        connection
            .execute(
                // A poll under way counts from the revision before, and would give a pruned one again: it ends with a
                // conflict, and the next one counts from this.
                "UPDATE source SET pruned_revision = ?2, epoch = epoch + 1 WHERE id = ?1 AND pruned_revision < ?2",
                [source, revision],
            )
            .map_err(&doing)?;
        connection
            .execute("DELETE FROM known WHERE source_id = ?1 AND key = ?2", params![source, key])
            .map_err(&doing)?;
    }
    let more = old.len() >= step;
    if !more {
        store_meta(connection, "keys_pruned", now.nanos())?;
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn keys_that_are_there_are_not_looked_at_to_find_those_that_are_gone() {
        let mut connection = Connection::open_in_memory().expect("open");
        schema::migrate(&mut connection).expect("migrate");
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {GONE_KEYS}")).expect("prepare");
        let steps = statement.query_map([1, 1], |row| row.get::<_, String>(3)).expect("explain");
        let plan: Vec<String> = steps.collect::<Result<_, _>>().expect("read");
        assert_eq!(plan[0], "SEARCH known USING INDEX known_gone (touched<?)", "{plan:?}");
        assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
