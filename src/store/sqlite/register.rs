//! Names and their numbers: what the configuration names is made, renamed or, for sinks that are gone, wound up.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::code::{CANCELLED, DEAD, SUPERSEDED};
use super::failure::sqlite;
use super::fate::{CANCELLED_LATER, SUPERSEDED_LATER};
use super::writer::Durability;
use super::{Names, SqliteStore, action, load_names};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{SinkName, SourceName};
use crate::store::SourceRegistration;

impl SqliteStore {
    pub(super) fn register_names(
        &self,
        sources: &[SourceRegistration],
        sinks: &[SinkName],
        _now: Timestamp,
    ) -> Result<()> {
        let (sources, sinks) = (sources.to_vec(), sinks.to_vec());
        let (names, gone) = self.writer.write(Durability::Power, move |connection| {
            for source in &sources {
                register_source(connection, source)?;
            }
            for sink in &sinks {
                connection
                    .execute("INSERT INTO sink (name) VALUES (?1) ON CONFLICT (name) DO NOTHING", [sink.as_str()])
                    .map_err(sqlite("register a sink"))?;
            }
            let names = load_names(connection)?;
            let gone = wind_up_missing_sinks(connection, &names, &sinks)?;
            for id in names.sinks.values() {
                look_again_behind_dead(connection, *id)?;
            }
            Ok((names, gone))
        })?;
        self.shared.add_backlog(&gone);
        *self.names.write().expect("no holder of the names panics") = names;
        Ok(())
    }
}

fn register_source(connection: &Connection, source: &SourceRegistration) -> Result<()> {
    let doing = format!("register source {}", source.name);
    let known: Option<String> = connection
        .query_row("SELECT kind FROM source WHERE name = ?1", [source.name.as_str()], |row| row.get(0))
        .optional()
        .map_err(sqlite(&doing))?;
    if let Some(kind) = known {
        if kind != source.kind {
            let fact = format!(
                "source {} was of kind \"{kind}\" and is now \"{}\"; give it another name, or keep the kind",
                source.name, source.kind
            );
            return Err(Error::new(ErrorKind::Config, fact));
        }
        return Ok(());
    }
    if let Some(was) = &source.was {
        let taken_over = connection
            .execute(
                "UPDATE source SET name = ?1 WHERE name = ?2 AND kind = ?3",
                params![source.name.as_str(), was.as_str(), source.kind],
            )
            .map_err(sqlite(&doing))?;
        if taken_over == 1 {
            return Ok(());
        }
    }
    let identity = free_identity(connection, &source.name)?;
    connection
        .execute(
            "INSERT INTO source (name, identity, kind) VALUES (?1, ?2, ?3)",
            params![source.name.as_str(), identity, source.kind],
        )
        .map_err(sqlite(&doing))?;
    Ok(())
}

/// The name that goes into a new source's ids: its own, unless another source had it before and took its ids along. Then
/// it is told apart by a number behind a slash, which no configured name has.
fn free_identity(connection: &Connection, name: &SourceName) -> Result<String> {
    let mut identity = name.to_string();
    for number in 2_u64.. {
        let taken: bool = connection
            .query_row("SELECT EXISTS (SELECT 1 FROM source WHERE identity = ?1)", [&identity], |row| row.get(0))
            .map_err(sqlite("find a name for the ids of a source"))?;
        if !taken {
            break;
        }
        identity = format!("{name}/{number}");
    }
    Ok(identity)
}

/// What waits behind a dead letter is looked at anew: `after_dead` may be another one than when it was parked.
fn look_again_behind_dead(connection: &Connection, sink_id: i64) -> Result<()> {
    connection
        .execute(
            "UPDATE delivery INDEXED BY delivery_busy SET state = 0
             WHERE sink_id = ?1 AND state BETWEEN 1 AND 3 AND state = 3 AND order_key IN
                (SELECT order_key FROM delivery INDEXED BY delivery_dead WHERE sink_id = ?1 AND state = 5)",
            [sink_id],
        )
        .map_err(sqlite("look again behind dead letters"))?;
    Ok(())
}

/// Deliveries to sinks the configuration does not name any more become dead letters; returns the backlog's changes.
fn wind_up_missing_sinks(connection: &Connection, names: &Names, sinks: &[SinkName]) -> Result<HashMap<i64, i64>> {
    let mut gone = HashMap::new();
    for (name, id) in names.sinks.iter().filter(|(name, _)| !sinks.contains(name)) {
        let mut wound_up = 0;
        // By the partial indexes: every command comes by here, and what was ever delivered may be millions.
        for (index, open) in [("delivery_pending", "state = 0"), ("delivery_busy", "state BETWEEN 1 AND 3")] {
            let sql = format!(
                "UPDATE delivery INDEXED BY {index} SET next_at = NULL,
                    state = CASE dead_reason WHEN ?3 THEN ?4 WHEN ?5 THEN ?6 ELSE ?2 END,
                    dead_reason = CASE WHEN dead_reason IS NULL THEN 'sink_gone' END
                 WHERE sink_id = ?1 AND {open}"
            );
            let values = params![id, DEAD, CANCELLED_LATER, CANCELLED, SUPERSEDED_LATER, SUPERSEDED];
            wound_up += connection.execute(&sql, values).map_err(sqlite("wind up a sink that is gone"))?;
        }
        if wound_up > 0 {
            tracing::warn!(sink = %name, count = wound_up, "the sink is gone from the configuration: its deliveries are dead letters");
            gone.insert(*id, -i64::try_from(wound_up).unwrap_or(i64::MAX));
        }
    }
    if !gone.is_empty() {
        action::note_all_final(connection)?;
    }
    Ok(gone)
}
