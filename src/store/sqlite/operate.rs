//! Operators' changes: pause, resume, cancel, dead letters, cursors. One transaction each, synced.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::code::{CANCELLED, DEAD, DELIVERED, IN_FLIGHT, RETRYING, key_hash};
use super::failure::sqlite;
use super::reader::find_event;
use super::round::{ACCEPTED_NEW, ACCEPTED_PLACE, ACCEPTED_REMOVALS, SILENT_NEW, SILENT_REMOVALS};
use super::writer::Durability;
use super::{Names, SqliteStore, action, fate, known, logins, queue};
use crate::change::Key;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventId;
use crate::setting::SinkName;
use crate::store::{DeadFilter, Operation};

/// How many records changed, and how the backlog of each sink did.
type Changed = (u64, HashMap<i64, i64>);

/// Whether what holds a source shall be told, or only remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

struct Operating<'a> {
    connection: &'a Connection,
    names: &'a Names,
    now: Timestamp,
}

impl SqliteStore {
    pub(super) fn carry_out(&self, operation: &Operation, now: Timestamp) -> Result<u64> {
        let (operation, names) = (operation.clone(), self.names());
        let (changed, backlog) = self.writer.write(Durability::Power, move |connection| {
            Operating { connection, names: &names, now }.carry_out(&operation)
        })?;
        self.shared.add_backlog(&backlog);
        // Whatever was changed, every worker may have something to do now.
        self.shared.ring(self.names().sinks.into_values());
        Ok(changed)
    }
}

impl Operating<'_> {
    fn carry_out(&self, operation: &Operation) -> Result<Changed> {
        let plain = |changed: u64| (changed, HashMap::new());
        match operation {
            Operation::Pause { name, reason, until_ms } => {
                let until = until_ms.map(|ms| Timestamp::from_millis(ms).nanos());
                self.set_pause(name, Some(reason), until).map(plain)
            }
            Operation::Resume { name } => self.resume(name).map(plain),
            Operation::Cancel { event, sink } => self.cancel(event, sink.as_deref()),
            Operation::DeadRetry(filter) => self.dead_retry(filter),
            Operation::DeadDrop(filter) => self.dead_drop(filter).map(plain),
            Operation::DeadAck(filter) => self.dead_ack(filter).map(plain),
            Operation::CursorReset { source } => self.cursor_reset(source).map(plain),
            Operation::CursorSet { source, cursor } => {
                let sql = "UPDATE source SET cursor = ?2, epoch = epoch + 1 WHERE id = ?1";
                self.on_source(source, sql, vec![Value::from(cursor.clone())]).map(plain)
            }
            Operation::CursorAccept { source } => self.cursor_accept(source, Wanted::Yes).map(plain),
            Operation::CursorSkip { source } => self.cursor_accept(source, Wanted::No).map(plain),
            Operation::CursorSeen { source, keys_b64 } => self.cursor_seen(source, keys_b64).map(plain),
        }
    }

    fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64> {
        let changed = self.connection.execute(sql, params_from_iter(values)).map_err(sqlite("carry out a command"))?;
        Ok(changed as u64)
    }

    fn source_id(&self, name: &str) -> Result<i64> {
        let missing = || Error::new(ErrorKind::Usage, format!("there is no source \"{name}\" in the store"));
        self.names.sources.get(name).copied().ok_or_else(missing)
    }

    fn sink_id(&self, name: &str) -> Result<i64> {
        let missing = || Error::new(ErrorKind::Usage, format!("there is no sink \"{name}\" in the store"));
        self.names.sinks.get(name).copied().ok_or_else(missing)
    }

    fn on_source(&self, name: &str, sql: &str, further: Vec<Value>) -> Result<u64> {
        let mut values = vec![Value::from(self.source_id(name)?)];
        values.extend(further);
        self.execute(sql, values)
    }

    fn set_pause(&self, name: &str, reason: Option<&str>, until: Option<i64>) -> Result<u64> {
        let (table, id) = self.place(name)?;
        let sql = format!("UPDATE {table} SET pause_reason = ?2, pause_until = ?3 WHERE id = ?1");
        let text = reason.map_or(Value::Null, |r| Value::from(r.to_owned()));
        self.execute(&sql, vec![Value::from(id), text, until.map_or(Value::Null, Value::from)])
    }

    /// A name that both a source and a sink have means the source, as `status` lists it first.
    fn place(&self, name: &str) -> Result<(&'static str, i64)> {
        if let Some(id) = self.names.sources.get(name) {
            return Ok(("source", *id));
        }
        if let Some(id) = self.names.sinks.get(name) {
            return Ok(("sink", *id));
        }
        Err(Error::new(ErrorKind::Usage, format!("there is no source or sink \"{name}\" in the store")))
    }

    fn resume(&self, name: &str) -> Result<u64> {
        let (table, id) = self.place(name)?;
        let sql = if table == "sink" {
            "UPDATE sink SET pause_reason = NULL, pause_until = NULL, not_before = NULL, breaker_until = NULL WHERE id = ?1"
        } else {
            "UPDATE source SET pause_reason = NULL, pause_until = NULL,
                    hold_reason = CASE WHEN hold_reason = 'auth_refused' THEN NULL ELSE hold_reason END WHERE id = ?1"
        };
        if table == "source" {
            logins::forgive(self.connection, name)?;
        }
        self.execute(sql, vec![Value::from(id)])
    }

    fn cancel(&self, event: &str, sink: Option<&str>) -> Result<Changed> {
        let seq = self.find(event)?;
        let mut backlog = HashMap::new();
        let mut changed = 0;
        for (name, id) in &self.names.sinks {
            if sink.is_some_and(|wanted| wanted != name.as_str()) {
                continue;
            }
            let later = u64::from(fate::cancel_later(self.connection, *id, seq)?);
            let open = self.execute(
                "UPDATE delivery SET state = ?3, next_at = NULL WHERE sink_id = ?1 AND seq = ?2 AND state IN (0, 2, 3)",
                vec![Value::from(*id), Value::from(seq), Value::from(CANCELLED)],
            )?;
            let dead = self.execute(
                "UPDATE delivery SET state = ?3 WHERE sink_id = ?1 AND seq = ?2 AND state = ?4",
                vec![Value::from(*id), Value::from(seq), Value::from(CANCELLED), Value::from(DEAD)],
            )?;
            if open + dead > 0 {
                queue::release_keys_of(self.connection, *id, seq)?;
            }
            backlog.insert(*id, -i64::try_from(open).unwrap_or(i64::MAX));
            changed += open + dead + later;
        }
        action::note_final(self.connection, seq)?;
        Ok((changed, backlog))
    }

    fn find(&self, event: &str) -> Result<i64> {
        let id = EventId::parse(event)?;
        let missing = || Error::new(ErrorKind::Usage, format!("there is no event {id}; `highwater events` lists them"));
        find_event(self.connection, id)?.ok_or_else(missing)
    }

    /// The dead letters a filter means, as (sink, event number).
    fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<(i64, i64)>> {
        let mut sql = String::from(
            "SELECT d.sink_id, d.seq FROM delivery d INDEXED BY delivery_dead WHERE d.state = 5 AND d.sink_id IN (SELECT id FROM sink)",
        );
        let mut values = Vec::new();
        if let Some(sink) = &filter.sink {
            sql.push_str(" AND d.sink_id = ?");
            values.push(Value::from(self.sink_id(sink)?));
        }
        if let Some(event) = &filter.event {
            sql.push_str(" AND d.seq = ?");
            values.push(Value::from(self.find(event)?));
        }
        if let Some(source) = &filter.source {
            sql.push_str(" AND (SELECT source_id FROM event e WHERE e.seq = d.seq) = ?");
            values.push(Value::from(self.source_id(source)?));
        }
        sql.push_str(" ORDER BY d.sink_id, d.seq");
        let doing = sqlite("list dead letters");
        let mut statement = self.connection.prepare(&sql).map_err(&doing)?;
        let rows =
            statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?))).map_err(&doing)?;
        rows.collect::<Result<_, _>>().map_err(&doing)
    }

    fn dead_retry(&self, filter: &DeadFilter) -> Result<Changed> {
        let mut backlog: HashMap<i64, i64> = HashMap::new();
        let mut changed = 0;
        for (sink, seq) in self.dead_letters(filter)? {
            if !filter.out_of_order && self.newer_was_delivered(sink, seq)? {
                continue;
            }
            changed += 1;
            if filter.dry_run {
                continue;
            }
            // Retrying, not pending: so that it keeps its key busy before later ones from now on.
            self.execute(
                "UPDATE delivery SET state = ?3, next_at = ?4, charged = 0, first_at = NULL, dead_reason = NULL, gap_told = 0
                 WHERE sink_id = ?1 AND seq = ?2",
                vec![Value::from(sink), Value::from(seq), Value::from(RETRYING), Value::from(self.now.nanos())],
            )?;
            action::take_back(self.connection, seq)?;
            *backlog.entry(sink).or_default() += 1;
        }
        Ok((changed, backlog))
    }

    /// Whether a later event of the same key arrived at this sink already, or may any moment.
    fn newer_was_delivered(&self, sink: i64, seq: i64) -> Result<bool> {
        let doing = sqlite("look for newer deliveries of a key");
        let place: Option<(i64, Vec<u8>)> = self
            .connection
            .query_row("SELECT source_id, key FROM event WHERE seq = ?1", [seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(&doing)?;
        let Some((source, key)) = place else { return Ok(false) };
        let delivered = "CROSS JOIN delivery d ON d.sink_id = ?3 AND d.seq = e.seq
                    WHERE e.source_id = ?1 AND e.key = ?2 AND d.state IN (?5, ?7)";
        // By the look-up where it reaches, else by reading the tail behind it.
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM event_lookup l CROSS JOIN event e ON e.seq = l.seq {delivered}
                    AND l.hash = ?6 AND l.seq > ?4)
                 OR EXISTS (SELECT 1 FROM event e {delivered}
                    AND e.seq > max(?4, coalesce((SELECT value FROM meta WHERE name = 'looked_up'), 0)))"
        );
        let hash = key_hash(source, &Key::from(key.clone()));
        self.connection
            .query_row(&sql, params![source, key, sink, seq, DELIVERED, hash, IN_FLIGHT], |row| row.get(0))
            .map_err(&doing)
    }

    /// Dead letters and refused entries that were seen are counted no more; they stay where they are.
    fn dead_ack(&self, filter: &DeadFilter) -> Result<u64> {
        let letters = self.dead_letters(filter)?;
        if !filter.dry_run {
            for (sink, seq) in &letters {
                let place = vec![Value::from(*sink), Value::from(*seq)];
                self.execute("UPDATE delivery SET acked = 1 WHERE sink_id = ?1 AND seq = ?2", place)?;
            }
        }
        let refused = self.on_refused(filter, "UPDATE refused SET acked = 1")?;
        Ok(letters.len() as u64 + refused)
    }

    /// Refused entries are meant by their source, or by everything; never by a sink or an event.
    fn on_refused(&self, filter: &DeadFilter, sql: &str) -> Result<u64> {
        if filter.sink.is_some() || filter.event.is_some() {
            return Ok(0);
        }
        let source = filter.source.as_deref().map(|name| self.source_id(name)).transpose()?;
        let wanted = source.map_or(Value::Null, Value::from);
        if filter.dry_run {
            return self
                .connection
                .query_row("SELECT count(*) FROM refused WHERE ?1 IS NULL OR source_id = ?1", [wanted], |row| {
                    row.get(0)
                })
                .map(super::code::count)
                .map_err(sqlite("count refused entries"));
        }
        self.execute(&format!("{sql} WHERE ?1 IS NULL OR source_id = ?1"), vec![wanted])
    }

    fn dead_drop(&self, filter: &DeadFilter) -> Result<u64> {
        let letters = self.dead_letters(filter)?;
        let refused = self.on_refused(filter, "DELETE FROM refused")?;
        if filter.dry_run {
            return Ok(letters.len() as u64 + refused);
        }
        for (sink, seq) in &letters {
            queue::set_state(self.connection, *sink, *seq, CANCELLED)?;
            queue::release_keys_of(self.connection, *sink, *seq)?;
            action::note_final(self.connection, *seq)?;
        }
        Ok(letters.len() as u64 + refused)
    }

    /// Forgets cursor and segments, and lifts holds; revisions and known versions stay.
    fn cursor_reset(&self, source: &str) -> Result<u64> {
        let id = self.source_id(source)?;
        self.execute("DELETE FROM segment WHERE source_id = ?1", vec![Value::from(id)])?;
        self.execute(
            "UPDATE source SET cursor = NULL, epoch = epoch + 1, location = NULL, filters = NULL, completed = 0,
                    hold_reason = NULL, hold_detail = NULL, accepted = 0 WHERE id = ?1",
            vec![Value::from(id)],
        )
    }

    /// What is there stays as it was told or remembered. A poll under way may have looked already: it ends with a conflict.
    fn cursor_seen(&self, source: &str, keys_b64: &[String]) -> Result<u64> {
        let id = self.source_id(source)?;
        self.on_source(source, "UPDATE source SET epoch = epoch + 1 WHERE id = ?1", Vec::new())?;
        let mut changed = 0;
        for key in keys_b64 {
            let no_key = |e| Error::new(ErrorKind::Usage, format!("\"{key}\" is not Base64")).because(e);
            let key = data_encoding::BASE64.decode(key.as_bytes()).map_err(no_key)?;
            changed += known::vouch_for(self.connection, id, &Key::from(key), self.now)?;
        }
        Ok(changed)
    }

    fn cursor_accept(&self, source: &str, wanted: Wanted) -> Result<u64> {
        let id = self.source_id(source)?;
        let held: Option<String> = self
            .connection
            .query_row("SELECT hold_reason FROM source WHERE id = ?1", [id], |row| row.get(0))
            .map_err(sqlite("look what holds a source"))?;
        let bit = match held.as_deref() {
            Some("max_new") if wanted == Wanted::No => ACCEPTED_NEW | SILENT_NEW,
            Some("mass_removal") if wanted == Wanted::No => ACCEPTED_REMOVALS | SILENT_REMOVALS,
            Some("max_new") => ACCEPTED_NEW,
            Some("mass_removal") => ACCEPTED_REMOVALS,
            Some("location_changed" | "identity_changed") if wanted == Wanted::Yes => ACCEPTED_PLACE,
            Some(other) => {
                let verb = if wanted == Wanted::Yes { "accepted" } else { "skipped" };
                let fact = format!(
                    "source {source} is held by {other}, which can't be {verb}; `highwater status` says what ends it"
                );
                return Err(Error::new(ErrorKind::Usage, fact));
            }
            None => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("source {source} is not held: there is nothing to accept or skip"),
                ));
            }
        };
        self.execute(
            "UPDATE source SET accepted = accepted | ?2, hold_reason = NULL, hold_detail = NULL WHERE id = ?1",
            vec![Value::from(id), Value::from(bit)],
        )
    }
}

impl Names {
    /// The sink's name.
    pub(super) fn sink_of(&self, id: i64) -> SinkName {
        let found = self.sinks.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| SinkName::new(format!("sink-{id}")), |(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::SourceName;
    use crate::source::{Accepted, Hold, HoldReason};
    use crate::store::{CommitPage, Lease, NewRefused, PollEnded, SourceRegistration, Store};

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    struct Fixture {
        _folder: tempfile::TempDir,
        store: SqliteStore,
        source: SourceName,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let store = SqliteStore::open(&folder.path().join("s.db")).expect("a new store");
            let source = SourceName::new("orders");
            let registration = SourceRegistration { name: source.clone(), was: None, kind: "folder" };
            store.register(&[registration], &[], NOW).expect("registers");
            Self { _folder: folder, store, source }
        }

        fn begin(&self) -> Lease {
            self.store.begin_poll(&self.source, NOW).expect("begins")
        }

        fn end(&self, lease: &Lease, hold: Option<HoldReason>, accepted_used: bool) {
            let hold = hold.map(|reason| Hold { reason, detail: String::new() });
            let ended = PollEnded {
                began: NOW,
                ended: NOW,
                completed: false,
                cut_short: false,
                binding: None,
                error: None,
                degraded: None,
                settled: None,
                hold,
                waiting: 0,
                waiting_shown: None,
                accepted_used,
                unrouted: 0,
            };
            self.store.end_poll(lease, ended).expect("ends");
        }

        fn operate(&self, operation: Operation) -> Result<u64> {
            self.store.operate(&operation, NOW)
        }

        fn refused(&self) -> u64 {
            self.store.records().expect("opens").sources().expect("reads")[0].refused
        }
    }

    #[test]
    fn what_is_skipped_is_accepted_and_only_remembered_for_one_poll() {
        let fixture = Fixture::new();
        fixture.end(&fixture.begin(), Some(HoldReason::MaxNew), false);
        assert_eq!(fixture.operate(Operation::CursorSkip { source: "orders".into() }).expect("held"), 1);
        let lease = fixture.begin();
        assert!(lease.accepted.new_entries && lease.accepted.silent_new && lease.hold.is_none());
        fixture.end(&lease, None, true);
        assert_eq!(fixture.begin().accepted, Accepted::default());
    }

    #[test]
    fn what_is_not_held_by_its_entries_can_not_be_skipped() {
        let fixture = Fixture::new();
        let skip = || fixture.operate(Operation::CursorSkip { source: "orders".into() });
        assert_eq!(skip().expect_err("not held").kind(), ErrorKind::Usage);
        fixture.end(&fixture.begin(), Some(HoldReason::LocationChanged), false);
        assert_eq!(skip().expect_err("held by its place").kind(), ErrorKind::Usage);
    }

    #[test]
    fn acknowledged_entries_are_counted_no_more_until_they_are_refused_again() {
        let fixture = Fixture::new();
        let refuse = || {
            let refused = NewRefused { key: Key::from("a\nb"), reason: "line feed".into(), tuple: None };
            let page = CommitPage { refused: vec![refused], now: NOW, ..CommitPage::default() };
            fixture.store.commit_page(&fixture.begin(), page).expect("commits");
        };
        let ack = |dry_run| fixture.operate(Operation::DeadAck(DeadFilter { dry_run, ..DeadFilter::default() }));
        refuse();
        assert_eq!((ack(true).expect("counts"), fixture.refused()), (1, 1));
        assert_eq!((ack(false).expect("marks"), fixture.refused()), (1, 0));
        refuse();
        assert_eq!(fixture.refused(), 1);
    }

    #[test]
    fn dropped_refused_entries_are_forgotten_unless_a_sink_is_named() {
        let fixture = Fixture::new();
        let refused = NewRefused { key: Key::from("a"), reason: "too large".into(), tuple: None };
        let page = CommitPage { refused: vec![refused], now: NOW, ..CommitPage::default() };
        fixture.store.commit_page(&fixture.begin(), page).expect("commits");
        let of_source = DeadFilter { source: Some("orders".into()), ..DeadFilter::default() };
        let dry = DeadFilter { dry_run: true, ..of_source.clone() };
        assert_eq!((fixture.operate(Operation::DeadDrop(dry)).expect("counts"), fixture.refused()), (1, 1));
        assert_eq!((fixture.operate(Operation::DeadDrop(of_source)).expect("drops"), fixture.refused()), (1, 0));
    }
}
