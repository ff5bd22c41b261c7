//! How deliveries and attempts are picked and read for lists. Which lists there are belongs to `reader`.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

use super::Names;
use super::code::{count, int, key_hash, state_code, state_of, time};
use super::failure::sqlite;
use super::reader::{SqliteRecords, find_event};
use crate::change::Key;
use crate::error::Result;
use crate::event::EventId;
use crate::setting::SourceName;
use crate::store::State;
use crate::store::records::{AttemptRecord, DeliveryFilter, DeliveryRecord};

/// Conditions of a query, gathered one by one.
#[derive(Default)]
pub(super) struct Conditions {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Conditions {
    pub fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.values.push(value.into());
    }

    /// Only events of this key, in any of these sources: by the look-up where it reaches, else in the tail behind it.
    pub fn and_key(&mut self, sources: &[i64], key: &Key) {
        let hashes: Vec<String> = sources.iter().map(|source| key_hash(*source, key).to_string()).collect();
        let known = format!(
            "(e.seq IN (SELECT seq FROM event_lookup WHERE hash IN ({}))
              OR e.seq > coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0)) AND e.key = ?",
            hashes.join(", ")
        );
        self.and(&known, key.as_bytes().to_vec());
    }

    pub fn limit(&mut self, limit: Option<usize>) {
        if let Some(limit) = limit {
            self.sql.push_str(" LIMIT ?");
            self.values.push(Value::from(int(limit as u64)));
        }
    }
}

impl SqliteRecords {
    pub(super) fn delivery_of(&self, row: &Row<'_>) -> rusqlite::Result<(DeliveryRecord, Option<i64>, Option<i64>)> {
        let id: Vec<u8> = row.get(1)?;
        let (next, last): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(9)?);
        let sink_id: i64 = row.get(4)?;
        let record = DeliveryRecord {
            seq: count(row.get(0)?),
            event: EventId::from_slice(&id).unwrap_or(EventId([0; 20])),
            source: self.names.source_of(row.get(2)?),
            key: Key::from(row.get::<_, Vec<u8>>(3)?),
            sink: self.names.sink_of(sink_id),
            state: state_of(row.get(5)?),
            attempts: row.get(6)?,
            next_at: next.map(time),
            blocked_by: None,
            blocked_by_dead: false,
            dead_reason: row.get(8)?,
            last_at: last.map(time),
            last: row.get(10)?,
        };
        Ok((record, row.get(11)?, row.get(12)?))
    }

    /// Notes which earlier event keeps this delivery's key busy, or which dead letter holds it.
    pub(super) fn note_blocked(
        &self,
        record: &mut DeliveryRecord,
        order: Option<i64>,
        also: Option<i64>,
        is_parked: bool,
    ) -> Result<()> {
        if record.state != State::Pending {
            return Ok(());
        }
        // As the queue looks: the keys of this one among both keys of those before, and among those of dead letters.
        for (index, column, condition, is_dead) in [
            ("delivery_busy", "order_key", "d.state BETWEEN 1 AND 3", false),
            ("delivery_busy_also", "order_also", "d.order_also IS NOT NULL AND d.state BETWEEN 1 AND 3", false),
            ("delivery_dead", "order_key", "d.state = 5", true),
        ] {
            // Without `after_dead = "hold"` a dead letter keeps nobody waiting, and nothing is parked behind it.
            if is_dead && !is_parked {
                return Ok(());
            }
            let sql = format!(
                "SELECT e.id FROM delivery d INDEXED BY {index} JOIN event e ON e.seq = d.seq
                 WHERE d.sink_id = ?1 AND d.{column} = ?2 AND d.seq < ?3 AND {condition} ORDER BY d.seq LIMIT 1"
            );
            let sink_id = self.sink_id(&record.sink)?;
            for key in [order, also].into_iter().flatten() {
                let found: Option<Vec<u8>> = self
                    .connection
                    .prepare_cached(&sql)
                    .and_then(|mut s| s.query_row(params![sink_id, key, int(record.seq)], |row| row.get(0)).optional())
                    .map_err(sqlite("look what blocks a delivery"))?;
                if let Some(id) = found {
                    (record.blocked_by, record.blocked_by_dead) = (EventId::from_slice(&id), is_dead);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Only events of this source and this key; a key alone is looked for in every source.
    pub(super) fn place_conditions(
        &self,
        source: Option<&SourceName>,
        key: Option<&Key>,
        conditions: &mut Conditions,
    ) -> Result<()> {
        let mut sources: Vec<i64> = self.names.sources.values().copied().collect();
        if let Some(source) = source {
            sources = vec![self.source_id(source)?];
            conditions.and("e.source_id = ?", sources[0]);
        }
        if let Some(key) = key {
            conditions.and_key(&sources, key);
        }
        Ok(())
    }

    pub(super) fn delivery_conditions(&self, filter: &DeliveryFilter) -> Result<Option<Conditions>> {
        let mut conditions = Conditions::default();
        conditions.and("d.sink_id IN (SELECT id FROM sink) AND 1 = ?", 1_i64);
        if let Some(id) = filter.event {
            let Some(seq) = find_event(&self.connection, id)? else { return Ok(None) };
            conditions.and("d.seq = ?", seq);
        }
        if let Some(sink) = &filter.sink {
            conditions.and("d.sink_id = ?", self.sink_id(sink)?);
        }
        self.place_conditions(filter.source.as_ref(), filter.key.as_ref(), &mut conditions)?;
        match filter.state {
            Some(State::Pending) => conditions.and("d.state IN (0, 3) AND 1 = ?", 1_i64),
            Some(state) => conditions.and("d.state = ?", state_code(state)),
            None => {}
        }
        if let Some(since) = filter.since {
            conditions.and("e.time >= ?", since.nanos());
        }
        Ok(Some(conditions))
    }
}

pub(super) fn attempt_of(row: &Row<'_>, names: &Names) -> rusqlite::Result<AttemptRecord> {
    let id: Vec<u8> = row.get(0)?;
    let took: Option<i64> = row.get(4)?;
    let output: Option<Vec<u8>> = row.get(8)?;
    Ok(AttemptRecord {
        event: EventId::from_slice(&id).unwrap_or(EventId([0; 20])),
        sink: names.sink_of(row.get(1)?),
        number: row.get(2)?,
        at: time(row.get::<_, Option<i64>>(3)?.unwrap_or(0)),
        took_ms: took.map(count),
        outcome: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        code: row.get(6)?,
        summary: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        output: output.unwrap_or_default(),
    })
}
