//! After-actions: queued with their event, due when its deliveries are final, journaled before they are carried out.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::code::{int, kind_of, nature_of, tuple_of};
use super::failure::sqlite;
use super::queue::unsettled;
use super::writer::Durability;
use crate::change::{Fingerprint, Key};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventId, body};
use crate::setting::SourceName;
use crate::source::{Action, ActionOrder};
use crate::store::{ActionEnded, DueAction};

/// Its deliveries are not final.
const WAITS: i64 = 0;
/// Every delivery arrived or was cancelled.
const DUE_DELIVERED: i64 = 1;
/// All deliveries are final, one is dead.
const DUE_DEAD: i64 = 2;
/// Carried out for a dead letter; a later success makes it due again.
const DONE_DEAD: i64 = 3;
/// It can't be carried out.
const IMPOSSIBLE: i64 = 4;

/// Makes the action of this event due, if it has one and all its deliveries are final now.
pub(super) fn note_final(connection: &Connection, seq: i64) -> Result<()> {
    let doing = sqlite("look for an after-action");
    let state: Option<i64> = connection
        .prepare_cached("SELECT state FROM action WHERE seq = ?1")
        .and_then(|mut s| s.query_row([seq], |row| row.get(0)).optional())
        .map_err(&doing)?;
    let Some(state) = state else { return Ok(()) };
    let (open, dead) = unsettled(connection, seq)?;
    if open > 0 {
        return Ok(());
    }
    let due = if dead > 0 { DUE_DEAD } else { DUE_DELIVERED };
    if due == DUE_DEAD && state != WAITS {
        return Ok(());
    }
    connection
        .prepare_cached("UPDATE action SET state = ?2, next_at = NULL WHERE seq = ?1")
        .and_then(|mut s| s.execute([seq, due]))
        .map_err(&doing)?;
    Ok(())
}

/// Takes back the action of an event whose dead letter is retried, unless it may have begun: then it is ended first.
pub(super) fn take_back(connection: &Connection, seq: i64) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE action SET state = ?2, next_at = NULL WHERE seq = ?1 AND state = ?3 AND journaled IS NULL",
        )
        .and_then(|mut s| s.execute([seq, WAITS, DUE_DEAD]))
        .map_err(sqlite("take an after-action back"))?;
    Ok(())
}

/// Makes due whatever became final without passing through a settlement: a sink that is gone.
pub(super) fn note_all_final(connection: &Connection) -> Result<()> {
    let doing = sqlite("look for after-actions");
    let mut statement = connection.prepare("SELECT seq FROM action WHERE state IN (0, 3)").map_err(&doing)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(&doing)?;
    let all: Vec<i64> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    all.into_iter().try_for_each(|seq| note_final(connection, seq))
}

impl SqliteStore {
    pub(super) fn load_actions_due(&self, source: &SourceName, limit: usize, now: Timestamp) -> Result<Vec<DueAction>> {
        if !self.shared.has_actions.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let id = self.source_id(source)?;
        self.read(|connection| {
            let doing = sqlite("look for due after-actions");
            let mut statement = connection
                .prepare_cached(
                    "SELECT a.key, e.id, e.kind, e.nature, a.tuple, e.fingerprint, a.state, a.journaled, a.target
                     FROM action a JOIN event e ON e.seq = a.seq
                     WHERE a.source_id = ?1 AND a.state BETWEEN 1 AND 2
                       AND (a.next_at IS NULL OR a.next_at <= ?3) ORDER BY a.seq LIMIT ?2",
                )
                .map_err(&doing)?;
            let rows = statement.query_map(params![id, int(limit as u64), now.nanos()], due_of).map_err(&doing)?;
            let all: Vec<Option<DueAction>> = rows.collect::<Result<_, _>>().map_err(&doing)?;
            Ok(all.into_iter().flatten().collect())
        })
    }

    pub(super) fn store_action_journal(&self, source: &SourceName, order: &ActionOrder) -> Result<()> {
        let id = self.source_id(source)?;
        let key = order.key.clone();
        let (word, target) = match &order.action {
            Action::Delete => ("delete", None),
            Action::Move(target) => ("move", Some(target.clone())),
        };
        self.writer.write(Durability::Power, move |connection| {
            let journaled = connection
                .prepare_cached(
                    "UPDATE action SET journaled = ?3, target = ?4
                     WHERE source_id = ?1 AND key = ?2 AND state IN (1, 2)",
                )
                .and_then(|mut s| s.execute(params![id, key.as_bytes(), word, target]))
                .map_err(sqlite("journal an after-action"))?;
            let taken_back = || Error::new(ErrorKind::Conflict, "the after-action is not due any more");
            (journaled == 1).then_some(()).ok_or_else(taken_back)
        })
    }

    pub(super) fn store_action_end(
        &self,
        source: &SourceName,
        key: &Key,
        ended: ActionEnded,
        now: Timestamp,
    ) -> Result<()> {
        let id = self.source_id(source)?;
        let key = key.clone();
        self.writer.write(Durability::Power, move |connection| end(connection, id, &key, &ended, now))
    }
}

fn due_of(row: &Row<'_>) -> rusqlite::Result<Option<DueAction>> {
    let id: Vec<u8> = row.get(1)?;
    let tuple: Vec<u8> = row.get(4)?;
    let fingerprint: Option<Vec<u8>> = row.get(5)?;
    let journaled: Option<String> = row.get(7)?;
    let target: Option<Vec<u8>> = row.get(8)?;
    let parts = (EventId::from_slice(&id), tuple_of(&tuple), fingerprint.and_then(|f| Fingerprint::from_slice(&f)));
    let (Some(event), Some(tuple), Some(fingerprint)) = parts else { return Ok(None) };
    let journaled = match (journaled.as_deref(), target) {
        (Some("delete"), _) => Some(Action::Delete),
        (Some("move"), Some(target)) => Some(Action::Move(target)),
        _ => None,
    };
    Ok(Some(DueAction {
        key: Key::from(row.get::<_, Vec<u8>>(0)?),
        event,
        event_type: body::type_name(nature_of(row.get(3)?), kind_of(row.get(2)?)),
        tuple,
        fingerprint,
        delivered: row.get::<_, i64>(6)? == DUE_DELIVERED,
        journaled,
    }))
}

fn end(connection: &Connection, source_id: i64, key: &Key, ended: &ActionEnded, now: Timestamp) -> Result<()> {
    let doing = sqlite("end an after-action");
    match ended {
        ActionEnded::Done => {
            // Gone by our own hand: a new file of that name is a new file, and no removal is told.
            connection
                .execute(
                    "UPDATE known SET presence = 2, touched = ?3 WHERE source_id = ?1 AND key = ?2",
                    params![source_id, key.as_bytes(), now.nanos()],
                )
                .map_err(&doing)?;
            finish(connection, source_id, key)
        }
        ActionEnded::Nothing => finish(connection, source_id, key),
        ActionEnded::Later(note, at) => {
            let later = params![source_id, key.as_bytes(), note, at.max(&now).nanos()];
            connection
                .execute("UPDATE action SET note = ?3, next_at = ?4 WHERE source_id = ?1 AND key = ?2", later)
                .map_err(&doing)?;
            Ok(())
        }
        ActionEnded::Impossible(note) => {
            let values = params![source_id, key.as_bytes(), note, IMPOSSIBLE];
            connection
                .execute("UPDATE action SET note = ?3, state = ?4 WHERE source_id = ?1 AND key = ?2", values)
                .map_err(&doing)?;
            Ok(())
        }
    }
}

/// What followed a dead letter is kept, so that a later success still has its own action.
fn finish(connection: &Connection, source_id: i64, key: &Key) -> Result<()> {
    let doing = sqlite("end an after-action");
    let values = params![source_id, key.as_bytes(), DONE_DEAD, DUE_DEAD];
    connection
        .execute(
            "UPDATE action SET state = ?3, journaled = NULL, target = NULL,
                    note = CASE WHEN target IS NOT NULL THEN 'moved to ' || CAST(target AS TEXT) END
             WHERE source_id = ?1 AND key = ?2 AND state = ?4",
            values,
        )
        .map_err(&doing)?;
    connection
        .execute(
            "DELETE FROM action WHERE source_id = ?1 AND key = ?2 AND state = ?3",
            params![source_id, key.as_bytes(), DUE_DELIVERED],
        )
        .map_err(&doing)?;
    Ok(())
}

/// The after-action of one key, as a line for people.
pub(super) fn describe(connection: &Connection, source_id: i64, key: &Key) -> Result<Option<String>> {
    let row: Option<(Vec<u8>, i64, Option<String>)> = connection
        .query_row(
            "SELECT e.id, a.state, a.note FROM action a JOIN event e ON e.seq = a.seq WHERE a.source_id = ?1 AND a.key = ?2",
            params![source_id, key.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .map_err(sqlite("read an after-action"))?;
    Ok(row.map(|(id, state, note)| {
        let what = match state {
            WAITS => "waits until every delivery is final",
            DUE_DELIVERED => "on_delivered is due",
            DUE_DEAD => "on_dead is due",
            DONE_DEAD => "on_dead is done, on_delivered follows if a retry succeeds",
            _ => "can't be done",
        };
        let note = note.map(|n| format!(": {n}")).unwrap_or_default();
        let event = EventId::from_slice(&id).unwrap_or(EventId([0; 20]));
        format!("after-action of {event}: {what}{note}")
    }))
}
