//! The queue of each sink: outcomes are settled and the next deliveries claimed in one transaction.
//!
//! A delivery whose key is busy with an earlier one is *parked*: it leaves the index of what is due, so that it is not
//! looked at again and again, and comes back when its key is free.
//!
//! Every query here names its partial index: left to itself, SQLite takes the primary key and walks over all that was
//! ever delivered, so that each claim costs more than the one before.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::code::{PARKED, PENDING, content_of, count, int, kind_of, nature_of, state_code, time};
use super::failure::sqlite;
use super::reader::load_sink_hold;
use super::writer::Durability;
use super::{Names, Shared, SqliteStore, action, fate};
use crate::change::{Fingerprint, Key};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{Event, EventId};
use crate::setting::{SinkName, SourceName};
use crate::store::{Claim, Claiming, Settled, SinkHold, State};

/// A delivery that might be claimed.
struct Candidate {
    seq: i64,
    order: Option<i64>,
    also: Option<i64>,
}

impl SqliteStore {
    pub(super) fn settle_and_claim(
        &self,
        sink: &SinkName,
        settled: Vec<Settled>,
        claiming: &Claiming,
    ) -> Result<Vec<Claim>> {
        if settled.is_empty() && claiming.limit == 0 {
            return Ok(Vec::new());
        }
        let sink_id = self.sink_id(sink)?;
        let (claiming, shared, names) = (claiming.clone(), self.shared.clone(), self.names());
        let settles = !settled.is_empty();
        let (claims, left) = self.writer.write(Durability::Process, move |connection| {
            let left = settle_all(connection, sink_id, &settled, &claiming, &shared)?;
            let claims = claim(connection, sink_id, &claiming, &names)?;
            Ok((claims, left))
        })?;
        if settles {
            self.shared.add_backlog(&HashMap::from([(sink_id, -left)]));
        }
        Ok(claims)
    }

    pub(super) fn recover_in_flight(&self, now: Timestamp) -> Result<u64> {
        let (recovered, ended) = self.writer.write(Durability::Power, move |connection| recover(connection, now))?;
        self.shared.add_backlog(&ended.into_iter().map(|(sink, count)| (sink, -count)).collect());
        Ok(recovered)
    }

    pub(super) fn load_next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>> {
        let sink_id = self.sink_id(sink)?;
        self.read(|connection| {
            connection
                .prepare_cached("SELECT min(next_at) FROM delivery WHERE sink_id = ?1 AND state = 2")
                .and_then(|mut s| s.query_row([sink_id], |row| row.get::<_, Option<i64>>(0)))
                .map(|nanos| nanos.map(time))
                .map_err(sqlite("look for the next retry"))
        })
    }

    pub(super) fn store_sink_hold(&self, sink: &SinkName, before: &SinkHold, hold: &SinkHold) -> Result<()> {
        let id = self.sink_id(sink)?;
        let (before, hold) = (before.clone(), hold.clone());
        self.writer.write(Durability::Process, move |connection| {
            let hold = hold.merged(&before, load_sink_hold(connection, id)?);
            let nanos = |at: Option<Timestamp>| at.map(Timestamp::nanos);
            connection
                .prepare_cached(
                    "UPDATE sink SET pause_reason = ?2, pause_until = ?3, not_before = ?4, breaker_until = ?5, last_error = ?6
                     WHERE id = ?1",
                )
                .and_then(|mut s| {
                    s.execute(params![
                        id,
                        hold.pause.as_ref().map(|p| p.reason.as_str()),
                        nanos(hold.pause.as_ref().and_then(|p| p.until)),
                        nanos(hold.not_before),
                        nanos(hold.breaker_until),
                        hold.last_error,
                    ])
                })
                .map_err(sqlite("hold a sink"))?;
            Ok(())
        })?;
        self.shared.ring([id]);
        Ok(())
    }
}

/// Writes outcomes; returns by how many deliveries the backlog fell.
fn settle_all(
    connection: &Connection,
    sink_id: i64,
    settled: &[Settled],
    claiming: &Claiming,
    shared: &Arc<Shared>,
) -> Result<i64> {
    let mut left = 0;
    let mut delivered = 0_i64;
    for one in settled {
        let Some(state) = settle(connection, sink_id, one)? else { continue };
        let is_final = state.is_final();
        left += i64::from(is_final);
        delivered += i64::from(state == State::Delivered);
        let keeps_key = state == State::Dead && claiming.hold_after_dead;
        if is_final && !keeps_key || state == State::Pending {
            release_keys_of(connection, sink_id, int(one.seq))?;
        }
        if is_final && shared.has_actions.load(std::sync::atomic::Ordering::Relaxed) {
            action::note_final(connection, int(one.seq))?;
        }
    }
    if delivered > 0 {
        connection
            .prepare_cached("UPDATE sink SET delivered = delivered + ?2 WHERE id = ?1")
            .and_then(|mut s| s.execute([sink_id, delivered]))
            .map_err(sqlite("count deliveries"))?;
    }
    Ok(left)
}

/// Writes one outcome; returns the state that came of it, which is another one where the delivery is not wanted any more.
fn settle(connection: &Connection, sink_id: i64, one: &Settled) -> Result<Option<State>> {
    if one.state == State::Pending {
        let taken_back = take_back(connection, sink_id, one)?;
        return if taken_back { Ok(Some(State::Pending)) } else { fate::end(connection, sink_id, one) };
    }
    let doing = sqlite("settle a delivery");
    let retry = one.state == State::Retrying;
    let changed = connection
        .prepare_cached(
            "UPDATE delivery SET state = ?3, charged = charged + ?4, next_at = ?5, dead_reason = ?6, took_ms = ?7,
                    code = ?8, outcome = ?9, summary = ?10
             WHERE sink_id = ?1 AND seq = ?2 AND state = 1 AND dead_reason IS NULL",
        )
        .and_then(|mut s| {
            s.execute(params![
                sink_id,
                int(one.seq),
                state_code(one.state),
                i64::from(one.charged),
                one.next_at.filter(|_| retry).map(Timestamp::nanos),
                one.dead_reason,
                i64::try_from(one.took.as_millis()).unwrap_or(i64::MAX),
                one.code,
                one.outcome,
                one.summary,
            ])
        })
        .map_err(&doing)?;
    // The first attempt of a delivery that arrives at once stands in the delivery itself.
    let plain = one.state == State::Delivered && one.attempt == 1 && one.output.is_empty();
    if !plain {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO attempt (seq, sink_id, number, at, took_ms, outcome, code, summary, output)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    int(one.seq),
                    sink_id,
                    one.attempt,
                    one.began.nanos(),
                    i64::try_from(one.took.as_millis()).unwrap_or(i64::MAX),
                    one.outcome,
                    one.code,
                    one.summary,
                    (!one.output.is_empty()).then_some(&one.output),
                ])
            })
            .map_err(&doing)?;
        forget_middle_attempts(connection, sink_id, one)?;
    }
    if changed == 1 { Ok(Some(one.state)) } else { fate::end(connection, sink_id, one) }
}

/// A claim that was never attempted takes its attempt back: the delivery waits as before, due now, and what its last
/// attempt came to stays.
fn take_back(connection: &Connection, sink_id: i64, one: &Settled) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE delivery SET state = CASE WHEN attempts > 1 THEN 2 ELSE 0 END,
                    next_at = CASE WHEN attempts > 1 THEN ?3 END, first_at = CASE WHEN attempts > 1 THEN first_at END,
                    attempts = attempts - 1
             WHERE sink_id = ?1 AND seq = ?2 AND state = 1 AND dead_reason IS NULL",
        )
        .and_then(|mut s| s.execute(params![sink_id, int(one.seq), one.began.nanos()]))
        .map_err(sqlite("take a claim back"))?;
    Ok(changed == 1)
}

/// Attempts kept of one delivery: the first five and the last 45.
const FIRST_ATTEMPTS_KEPT: u32 = 5;
const LAST_ATTEMPTS_KEPT: u32 = 45;

fn forget_middle_attempts(connection: &Connection, sink_id: i64, one: &Settled) -> Result<()> {
    if one.attempt <= FIRST_ATTEMPTS_KEPT + LAST_ATTEMPTS_KEPT {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM attempt WHERE seq = ?1 AND sink_id = ?2 AND number > ?3 AND number <= ?4")
        .and_then(|mut s| {
            s.execute(params![int(one.seq), sink_id, FIRST_ATTEMPTS_KEPT, one.attempt - LAST_ATTEMPTS_KEPT])
        })
        .map_err(sqlite("forget old attempts"))?;
    Ok(())
}

/// Makes the next parked delivery of each key of this one due again.
pub(super) fn release_keys_of(connection: &Connection, sink_id: i64, seq: i64) -> Result<()> {
    let doing = sqlite("free a key");
    let keys: Option<(Option<i64>, Option<i64>)> = connection
        .prepare_cached("SELECT order_key, order_also FROM delivery WHERE sink_id = ?1 AND seq = ?2")
        .and_then(|mut s| s.query_row([sink_id, seq], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(&doing)?;
    let Some((order, also)) = keys else { return Ok(()) };
    for key in [order, also].into_iter().flatten() {
        for (column, index) in [("order_key", "delivery_busy"), ("order_also", "delivery_busy_also")] {
            let sql = format!(
                "SELECT min(seq) FROM delivery INDEXED BY {index}
                 WHERE sink_id = ?1 AND {column} = ?2 AND {column} IS NOT NULL AND state IN (1, 2, 3) AND state = 3"
            );
            let parked: Option<i64> = connection
                .prepare_cached(&sql)
                .and_then(|mut s| s.query_row([sink_id, key], |row| row.get(0)))
                .map_err(&doing)?;
            if let Some(next) = parked {
                set_state(connection, sink_id, next, PENDING)?;
            }
        }
    }
    Ok(())
}

fn claim(connection: &Connection, sink_id: i64, claiming: &Claiming, names: &Names) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    if claiming.limit == 0 {
        return Ok(claims);
    }
    pull_in(connection, sink_id, claiming)?;
    let due = candidates(
        connection,
        "SELECT seq, order_key, order_also FROM delivery INDEXED BY delivery_retry
         WHERE sink_id = ?1 AND state = 2 AND next_at <= ?2 ORDER BY next_at LIMIT ?3",
        [sink_id, claiming.now.nanos(), int(claiming.limit as u64)],
    )?;
    for candidate in due {
        claim_or_park(connection, sink_id, &candidate, claiming, names, &mut claims)?;
    }
    let mut behind = 0;
    while claims.len() < claiming.limit {
        let wanted = int((claiming.limit - claims.len()) as u64);
        let pending = candidates(
            connection,
            "SELECT seq, order_key, order_also FROM delivery INDEXED BY delivery_pending
             WHERE sink_id = ?1 AND state = 0 AND seq > ?2 ORDER BY seq LIMIT ?3",
            [sink_id, behind, wanted],
        )?;
        let Some(last) = pending.last() else { break };
        behind = last.seq;
        for candidate in pending {
            claim_or_park(connection, sink_id, &candidate, claiming, names, &mut claims)?;
        }
    }
    Ok(claims)
}

fn claim_or_park(
    connection: &Connection,
    sink_id: i64,
    candidate: &Candidate,
    claiming: &Claiming,
    names: &Names,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    if is_blocked(connection, sink_id, candidate, claiming.hold_after_dead)? {
        return set_state(connection, sink_id, candidate.seq, PARKED);
    }
    claims.push(take(connection, sink_id, candidate, claiming, names)?);
    Ok(())
}

fn candidates(connection: &Connection, sql: &str, values: [i64; 3]) -> Result<Vec<Candidate>> {
    let doing = sqlite("look for due deliveries");
    let mut statement = connection.prepare_cached(sql).map_err(&doing)?;
    let rows = statement
        .query_map(values, |row| Ok(Candidate { seq: row.get(0)?, order: row.get(1)?, also: row.get(2)? }))
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
                WHERE sink_id = ?1 AND order_key = ?2 AND seq < ?3 AND state IN (1, 2, 3))")?
            || ask(
                "SELECT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_busy_also
                WHERE sink_id = ?1 AND order_also = ?2 AND order_also IS NOT NULL AND seq < ?3 AND state IN (1, 2, 3))",
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

pub(super) fn set_state(connection: &Connection, sink_id: i64, seq: i64, state: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE delivery SET state = ?3 WHERE sink_id = ?1 AND seq = ?2")
        .and_then(|mut s| s.execute([sink_id, seq, state]))
        .map_err(sqlite("change a delivery"))?;
    Ok(())
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
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 1, attempts = attempts + 1, first_at = coalesce(first_at, ?3), last_at = ?3,
                    next_at = NULL
             WHERE sink_id = ?1 AND seq = ?2",
        )
        .and_then(|mut s| s.execute([sink_id, candidate.seq, now]))
        .map_err(&doing)?;
    let (attempts, charged, first): (u32, u32, i64) = connection
        .prepare_cached("SELECT attempts, charged, first_at FROM delivery WHERE sink_id = ?1 AND seq = ?2")
        .and_then(|mut s| s.query_row([sink_id, candidate.seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(&doing)?;
    let gap = tell_gap(connection, sink_id, candidate)?;
    let event = load_event(connection, candidate.seq, names)?;
    let first_at = (attempts > 1).then(|| time(first));
    Ok(Claim { seq: count(candidate.seq), event, attempt: attempts, charged, first_at, gap })
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

impl Names {
    /// The source's name; sources are never dropped from the store.
    pub(super) fn source_of(&self, id: i64) -> SourceName {
        let found = self.sources.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| SourceName::new(format!("source-{id}")), |(name, _)| name.clone())
    }
}

/// Returns how many deliveries are due again, and how many of each sink are not wanted any more.
fn recover(connection: &Connection, now: Timestamp) -> Result<(u64, HashMap<i64, i64>)> {
    let doing = sqlite("recover what was in flight");
    connection
        .execute(
            "INSERT OR REPLACE INTO attempt (seq, sink_id, number, at, outcome, summary)
             SELECT seq, sink_id, attempts, coalesce(last_at, ?1), 'unknown', 'the process ended during the attempt; it may have arrived'
             FROM delivery INDEXED BY delivery_busy
             WHERE sink_id IN (SELECT id FROM sink) AND state IN (1, 2, 3) AND state = 1",
            [now.nanos()],
        )
        .map_err(&doing)?;
    let ended = fate::end_all(connection)?;
    let recovered = connection
        .execute(
            "UPDATE delivery INDEXED BY delivery_busy SET state = 2, next_at = ?1, outcome = 'unknown',
                    summary = 'the process ended during the attempt; it may have arrived'
             WHERE sink_id IN (SELECT id FROM sink) AND state IN (1, 2, 3) AND state = 1",
            [now.nanos()],
        )
        .map_err(&doing)?;
    Ok((count(i64::try_from(recovered).unwrap_or(i64::MAX)), ended))
}

/// Deliveries of one event that are not settled, over all sinks.
pub(super) fn unsettled(connection: &Connection, seq: i64) -> Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(state IN (0, 1, 2, 3)), 0), coalesce(sum(state = 5), 0)
             FROM delivery WHERE seq = ?1 AND sink_id IN (SELECT id FROM sink)",
        )
        .and_then(|mut s| s.query_row([seq], |row| Ok((count(row.get(0)?), count(row.get(1)?)))))
        .map_err(sqlite("look for unsettled deliveries"))
}
