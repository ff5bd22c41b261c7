//! The queue of each sink: outcomes are settled and the next deliveries claimed in one transaction. Which delivery may be
//! claimed is decided by `claim`.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::claim::claim;
use super::code::{PENDING, count, int, state_code, time};
use super::failure::sqlite;
use super::reader::load_sink_hold;
use super::writer::Durability;
use super::{Names, Shared, SqliteStore, action, fate};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::setting::{SinkName, SourceName};
use crate::store::{Claim, Claiming, Settled, SinkHold, State};

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
        let (claimed, left) = self.writer.write(Durability::Process, move |connection| {
            let left = settle_all(connection, sink_id, &settled, &claiming, &shared)?;
            let claimed = claim(connection, sink_id, &claiming, &names)?;
            Ok((claimed, left))
        })?;
        if settles {
            self.shared.add_backlog(&HashMap::from([(sink_id, -left)]));
        }
        if claimed.more {
            self.shared.ring([sink_id]);
        }
        Ok(claimed.claims)
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
                 WHERE sink_id = ?1 AND {column} = ?2 AND {column} IS NOT NULL AND state BETWEEN 1 AND 3 AND state = 3"
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

pub(super) fn set_state(connection: &Connection, sink_id: i64, seq: i64, state: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE delivery SET state = ?3 WHERE sink_id = ?1 AND seq = ?2")
        .and_then(|mut s| s.execute([sink_id, seq, state]))
        .map_err(sqlite("change a delivery"))?;
    Ok(())
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
             WHERE sink_id IN (SELECT id FROM sink) AND state BETWEEN 1 AND 3 AND state = 1",
            [now.nanos()],
        )
        .map_err(&doing)?;
    let ended = fate::end_all(connection)?;
    let recovered = connection
        .execute(
            "UPDATE delivery INDEXED BY delivery_busy SET state = 2, next_at = ?1, outcome = 'unknown',
                    summary = 'the process ended during the attempt; it may have arrived'
             WHERE sink_id IN (SELECT id FROM sink) AND state BETWEEN 1 AND 3 AND state = 1",
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
