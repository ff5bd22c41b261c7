//! Deliveries under way that nobody wants any more: an operator cancelled them, or a newer version takes their place.
//! An attempt can't be called back, so they stay in flight, and keep their key, until it has ended.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::code::{CANCELLED, DELIVERED, IN_FLIGHT, SUPERSEDED, int, state_of};
use super::failure::sqlite;
use super::{action, queue};
use crate::error::Result;
use crate::store::{Settled, State};

/// Stands in `dead_reason` of a delivery under way that an operator cancelled.
pub(super) const CANCELLED_LATER: &str = "cancelled";
/// Stands in `dead_reason` of a delivery under way when there is a newer version.
pub(super) const SUPERSEDED_LATER: &str = "superseded";

/// Notes that a delivery is cancelled, if it is under way and was not cancelled before. Returns whether it was noted.
pub(super) fn cancel_later(connection: &Connection, sink_id: i64, seq: i64) -> Result<bool> {
    let sql =
        "UPDATE delivery SET dead_reason = ?3 WHERE sink_id = ?1 AND seq = ?2 AND state = 1 AND dead_reason IS NOT ?3";
    note(connection, sql, sink_id, seq, CANCELLED_LATER)
}

/// Notes that there is a newer version, if a delivery is under way.
pub(super) fn supersede_later(connection: &Connection, sink_id: i64, seq: i64) -> Result<()> {
    let sql =
        "UPDATE delivery SET dead_reason = ?3 WHERE sink_id = ?1 AND seq = ?2 AND state = 1 AND dead_reason IS NULL";
    note(connection, sql, sink_id, seq, SUPERSEDED_LATER).map(drop)
}

fn note(connection: &Connection, sql: &str, sink_id: i64, seq: i64, reason: &str) -> Result<bool> {
    let noted = connection.prepare_cached(sql).and_then(|mut s| s.execute(params![sink_id, seq, reason]));
    noted.map(|count| count == 1).map_err(sqlite("note that a delivery is not wanted any more"))
}

/// Ends a delivery that was noted, as its attempt came to `one`: what arrived is delivered all the same. Returns its state
/// from now on; `None` when it was not noted.
pub(super) fn end(connection: &Connection, sink_id: i64, one: &Settled) -> Result<Option<State>> {
    let arrived = one.state == State::Delivered;
    let never_made = one.state == State::Pending;
    let ended: Option<i64> = connection
        .prepare_cached(
            "UPDATE delivery SET state = CASE WHEN ?3 THEN ?8 WHEN dead_reason = ?9 THEN ?10 ELSE ?11 END,
                    dead_reason = NULL, next_at = NULL, attempts = attempts - ?4, code = ?5, outcome = ?6, summary = ?7, took_ms = ?12
             WHERE sink_id = ?1 AND seq = ?2 AND state = 1 AND dead_reason IS NOT NULL RETURNING state",
        )
        .and_then(|mut s| {
            let values = params![
                sink_id,
                int(one.seq),
                arrived,
                never_made,
                one.code,
                one.outcome,
                one.summary,
                DELIVERED,
                SUPERSEDED_LATER,
                SUPERSEDED,
                CANCELLED,
                i64::try_from(one.took.as_millis()).unwrap_or(i64::MAX),
            ];
            s.query_row(values, |row| row.get(0)).optional()
        })
        .map_err(sqlite("end a delivery that is not wanted any more"))?;
    Ok(ended.map(state_of))
}

/// Ends what was noted and cut off by a crash; returns how many of each sink.
pub(super) fn end_all(connection: &Connection) -> Result<HashMap<i64, i64>> {
    let doing = sqlite("end what is not wanted any more");
    let mut statement = connection
        .prepare(
            "SELECT sink_id, seq, dead_reason = ?1 FROM delivery INDEXED BY delivery_busy
             WHERE sink_id IN (SELECT id FROM sink) AND state BETWEEN 1 AND 3 AND state = ?2 AND dead_reason IS NOT NULL",
        )
        .map_err(&doing)?;
    let rows = statement
        .query_map(params![SUPERSEDED_LATER, IN_FLIGHT], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(&doing)?;
    let all: Vec<(i64, i64, bool)> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    let mut ended = HashMap::new();
    for (sink_id, seq, is_superseded) in all {
        let state = if is_superseded { SUPERSEDED } else { CANCELLED };
        connection
            .execute(
                "UPDATE delivery SET state = ?3, dead_reason = NULL WHERE sink_id = ?1 AND seq = ?2",
                [sink_id, seq, state],
            )
            .map_err(&doing)?;
        queue::release_keys_of(connection, sink_id, seq)?;
        action::note_final(connection, seq)?;
        *ended.entry(sink_id).or_default() += 1;
    }
    Ok(ended)
}
