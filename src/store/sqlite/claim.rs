//! Claims the next deliveries of a sink, in the order of their keys.
//!
//! A delivery whose key is busy with an earlier one is *parked*: it leaves the index of what is due, so that it is not
//! looked at again and again, and comes back when its key is free (`queue`).
//!
//! Every query here names its partial index: left to itself, SQLite takes the primary key and walks over all that was
//! ever delivered, so that each claim costs more than the one before.

use rusqlite::{Connection, OptionalExtension, params};

use super::Names;
use super::code::{PARKED, content_of, count, int, kind_of, nature_of, time};
use super::failure::sqlite;
use super::queue::set_state;
use crate::change::{Fingerprint, Key};
use crate::error::{Error, Result};
use crate::event::{Event, EventId};
use crate::store::{Claim, Claiming};

/// A delivery that might be claimed.
struct Candidate {
    seq: i64,
    order: Option<i64>,
    also: Option<i64>,
    attempts: u32,
    charged: u32,
    first_at: Option<i64>,
}

/// One turn parks at most so many, some 10 ms of the writer's time, and rings for the next turn: a sink in order of its
/// source has one key, behind which its whole backlog is parked.
const PARKED_MAX: usize = 1_000;

/// What a turn took from the queue.
#[derive(Default)]
pub(super) struct Claimed {
    /// The claims.
    pub claims: Vec<Claim>,
    /// Parking went to its limit: there may be more to claim.
    pub more: bool,
    parked: usize,
}

/// Claims up to `claiming.limit` deliveries that are due.
pub(super) fn claim(connection: &Connection, sink_id: i64, claiming: &Claiming, names: &Names) -> Result<Claimed> {
    let mut claimed = Claimed::default();
    if claiming.limit == 0 {
        return Ok(claimed);
    }
    pull_in(connection, sink_id, claiming)?;
    let due = candidates(
        connection,
        "SELECT seq, order_key, order_also, attempts, charged, first_at FROM delivery INDEXED BY delivery_retry
         WHERE sink_id = ?1 AND state = 2 AND next_at <= ?2 ORDER BY next_at LIMIT ?3",
        [sink_id, claiming.now.nanos(), int(claiming.limit as u64)],
    )?;
    for candidate in due {
        claimed.claim_or_park(connection, sink_id, &candidate, claiming, names)?;
    }
    let mut behind = 0;
    while claimed.claims.len() < claiming.limit {
        if claimed.parked >= PARKED_MAX {
            claimed.more = true;
            break;
        }
        let wanted = int((claiming.limit - claimed.claims.len()) as u64);
        let pending = candidates(
            connection,
            "SELECT seq, order_key, order_also, attempts, charged, first_at FROM delivery INDEXED BY delivery_pending
             WHERE sink_id = ?1 AND state = 0 AND seq > ?2 ORDER BY seq LIMIT ?3",
            [sink_id, behind, wanted],
        )?;
        let Some(last) = pending.last() else { break };
        behind = last.seq;
        for candidate in pending {
            claimed.claim_or_park(connection, sink_id, &candidate, claiming, names)?;
        }
    }
    Ok(claimed)
}

impl Claimed {
    fn claim_or_park(
        &mut self,
        connection: &Connection,
        sink_id: i64,
        candidate: &Candidate,
        claiming: &Claiming,
        names: &Names,
    ) -> Result<()> {
        if is_blocked(connection, sink_id, candidate, claiming.hold_after_dead)? {
            self.parked += 1;
            return set_state(connection, sink_id, candidate.seq, PARKED);
        }
        self.claims.push(take(connection, sink_id, candidate, claiming, names)?);
        Ok(())
    }
}

fn candidates(connection: &Connection, sql: &str, values: [i64; 3]) -> Result<Vec<Candidate>> {
    let doing = sqlite("look for due deliveries");
    let mut statement = connection.prepare_cached(sql).map_err(&doing)?;
    let rows = statement
        .query_map(values, |row| {
            Ok(Candidate {
                seq: row.get(0)?,
                order: row.get(1)?,
                also: row.get(2)?,
                attempts: row.get(3)?,
                charged: row.get(4)?,
                first_at: row.get(5)?,
            })
        })
        .map_err(&doing)?;
    rows.collect::<Result<_, _>>().map_err(&doing)
}

/// Asked before the rarer updates: an UPDATE that finds its rows by a search sets up a table of its own at every run,
/// which costs ten times the search.
fn exists(connection: &Connection, sql: &str, values: &[i64]) -> Result<bool> {
    connection
        .prepare_cached(sql)
        .and_then(|mut s| s.query_row(rusqlite::params_from_iter(values), |row| row.get(0)))
        .map_err(sqlite("look before an update"))
}

/// A next try stored further off than any wait of ours was stored before the clock jumped.
fn pull_in(connection: &Connection, sink_id: i64, claiming: &Claiming) -> Result<()> {
    let latest = claiming.now.plus(claiming.wait_max).nanos();
    let ask = "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_retry WHERE sink_id = ?1 AND state = 2 AND next_at > ?2)";
    if !exists(connection, ask, &[sink_id, latest])? {
        return Ok(());
    }
    connection
        .prepare_cached("UPDATE delivery SET next_at = ?2 WHERE sink_id = ?1 AND state = 2 AND next_at > ?2")
        .and_then(|mut s| s.execute([sink_id, latest]))
        .map_err(sqlite("pull retries in"))?;
    Ok(())
}

fn is_blocked(connection: &Connection, sink_id: i64, candidate: &Candidate, hold_after_dead: bool) -> Result<bool> {
    let doing = sqlite("look whether a key is busy");
    for key in [candidate.order, candidate.also].into_iter().flatten() {
        let ask = |sql: &str| -> Result<bool> {
            connection
                .prepare_cached(sql)
                .and_then(|mut s| s.query_row([sink_id, key, candidate.seq], |row| row.get(0)))
                .map_err(&doing)
        };
        let busy = ask("SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_busy
                WHERE sink_id = ?1 AND order_key = ?2 AND seq < ?3 AND state BETWEEN 1 AND 3)")?
            || ask(
                "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_busy_also
                WHERE sink_id = ?1 AND order_also = ?2 AND order_also IS NOT NULL AND seq < ?3 AND state BETWEEN 1 AND 3)",
            )?;
        let held = hold_after_dead
            && ask("SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_dead
                    WHERE sink_id = ?1 AND order_key = ?2 AND seq < ?3 AND state = 5)")?;
        if busy || held {
            return Ok(true);
        }
    }
    Ok(false)
}

fn take(
    connection: &Connection,
    sink_id: i64,
    candidate: &Candidate,
    claiming: &Claiming,
    names: &Names,
) -> Result<Claim> {
    let doing = sqlite("claim a delivery");
    let now = claiming.now.nanos();
    let first = candidate.first_at.unwrap_or(now);
    let attempt = candidate.attempts.saturating_add(1);
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 1, attempts = ?3, first_at = ?4, last_at = ?5, next_at = NULL
             WHERE sink_id = ?1 AND seq = ?2",
        )
        .and_then(|mut s| s.execute(params![sink_id, candidate.seq, attempt, first, now]))
        .map_err(&doing)?;
    let gap = tell_gap(connection, sink_id, candidate)?;
    let event = load_event(connection, candidate.seq, names)?;
    let first_at = (attempt > 1).then(|| time(first));
    Ok(Claim { seq: count(candidate.seq), event, attempt, charged: candidate.charged, first_at, gap })
}

/// Whether an earlier event of the key is dead, which only the next one says.
fn tell_gap(connection: &Connection, sink_id: i64, candidate: &Candidate) -> Result<bool> {
    let Some(order) = candidate.order else { return Ok(false) };
    let ask = "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_dead
               WHERE sink_id = ?1 AND order_key = ?2 AND seq < ?3 AND state = 5)";
    if !exists(connection, ask, &[sink_id, order, candidate.seq])? {
        return Ok(false);
    }
    let told = connection
        .prepare_cached(
            "UPDATE delivery INDEXED BY delivery_dead SET gap_told = ?3
             WHERE sink_id = ?1 AND order_key = ?2 AND seq < ?3 AND state = 5 AND gap_told IN (0, ?3)",
        )
        .and_then(|mut s| s.execute([sink_id, order, candidate.seq]))
        .map_err(sqlite("look for dead letters of a key"))?;
    Ok(told > 0)
}

fn load_event(connection: &Connection, seq: i64, names: &Names) -> Result<Event> {
    let doing = sqlite("read an event");
    let event = connection
        .prepare_cached(
            "SELECT e.source_id, e.id, e.kind, e.nature, e.key, e.revision, e.fingerprint, e.sequence, e.time, e.body,
                    c.inline, c.name, c.size
             FROM event e LEFT JOIN content c ON c.seq = e.seq WHERE e.seq = ?1",
        )
        .and_then(|mut s| {
            s.query_row([seq], |row| {
                let source_id: i64 = row.get(0)?;
                let id: Vec<u8> = row.get(1)?;
                let fingerprint: Option<Vec<u8>> = row.get(6)?;
                Ok(Event {
                    id: EventId::from_slice(&id).unwrap_or(EventId([0; 20])),
                    source: names.source_of(source_id),
                    kind: kind_of(row.get(2)?),
                    nature: nature_of(row.get(3)?),
                    key: Key::from(row.get::<_, Vec<u8>>(4)?),
                    revision: count(row.get(5)?),
                    fingerprint: fingerprint.and_then(|f| Fingerprint::from_slice(&f)),
                    sequence: count(row.get(7)?),
                    time: time(row.get(8)?),
                    body: row.get(9)?,
                    content: content_of(row, 10)?,
                })
            })
            .optional()
        })
        .map_err(&doing)?;
    event.ok_or_else(|| Error::internal(format!("event {seq} has a delivery, but is not stored")))
}
