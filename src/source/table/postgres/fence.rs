//! Who may still commit rows: the virtual transactions that are open in this database, and the prepared ones. When SAFE may
//! advance because of it belongs to `settling`.
//!
//! A transaction has a virtual id from its first statement on, also while it has no transaction id: before it drew from a
//! sequence, and before its `now()`. Its lock is let go after its rows have become visible. Virtual ids begin anew with the
//! server, so the server's start is part of ours; a prepared transaction survives it and goes by its transaction id.

use std::time::Duration;

use super::super::Writer;
use super::super::versions::Holder;
use crate::clock::Stop;
use crate::error::Result;

/// How long the first look waits for the transactions that were open, so that what it reads need not be remembered.
const FIRST_MAX: Duration = Duration::from_secs(30);
/// How often it asks for them meanwhile.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// Open transactions; vacuum holds its own for hours and writes no rows.
const SESSIONS: &str = "\
SELECT DISTINCT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text, l.virtualtransaction, l.pid::text, \
  a.usename::text, a.application_name, a.state, to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid IS NOT NULL \
  AND l.pid <> pg_catalog.pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'autovacuum worker' \
  AND (a.pid IS NULL OR a.datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))";

/// Prepared transactions, with the virtual id under which they began as long as the server knows it.
const PREPARED: &str = "\
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text, p.transaction::text, p.gid, p.owner::text, \
  to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), l.virtualtransaction \
FROM pg_catalog.pg_prepared_xacts p LEFT JOIN pg_catalog.pg_locks l ON l.locktype = 'transactionid' AND l.pid IS NULL \
  AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid = p.transaction \
WHERE p.database = current_database()";

/// Sessions and prepared transactions that keep the oldest transaction id from moving, of all databases of the server.
const HORIZON: &str = "\
WITH oldest AS (SELECT (pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::numeric % 4294967296)::text AS xid) \
SELECT a.pid::text, a.usename::text, a.application_name, a.state, \
  to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
  extract(epoch FROM clock_timestamp() - a.xact_start)::text \
FROM pg_catalog.pg_stat_activity a, oldest \
WHERE a.backend_xid::text = oldest.xid AND a.pid <> pg_catalog.pg_backend_pid()";
const PREPARED_HORIZON: &str = "\
WITH oldest AS (SELECT (pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::numeric % 4294967296)::text AS xid) \
SELECT p.gid, p.owner::text, to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
  extract(epoch FROM clock_timestamp() - p.prepared)::text \
FROM pg_catalog.pg_prepared_xacts p, oldest WHERE p.transaction::text = oldest.xid";

/// The rows of a query.
type Answer = Vec<Vec<Option<String>>>;

/// What was read before the present snapshot was opened.
#[derive(Default)]
pub struct Before {
    /// Who could still commit.
    pub writers: Vec<Writer>,
    /// How far everything was visible when the first snapshot was opened.
    pub bound: Option<super::Values>,
}

/// Everyone who may still commit rows in this database. `awaited` are the ids that marks wait for: where a transaction was
/// prepared and the server does not know any more under which virtual id it began, it may be each of them.
pub fn writers(ask: impl Fn(&str) -> Result<Answer>, awaited: &[String]) -> Result<Vec<Writer>> {
    // In this order: a session that prepares its transaction meanwhile is seen at least once.
    let sessions = ask(SESSIONS)?;
    let prepared = ask(PREPARED)?;
    Ok(writers_of(sessions, prepared, awaited))
}

fn writers_of(sessions: Answer, prepared: Answer, awaited: &[String]) -> Vec<Writer> {
    let mut writers: Vec<Writer> = sessions.into_iter().map(session).collect();
    for row in prepared {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten().unwrap_or_default();
        let (boot, xid, gid, owner, since, origin) = (next(), next(), next(), next(), next(), next());
        let shown = prepared_shown(&gid, &owner, &since);
        writers.push(Writer { id: prepared_id(&xid), shown: shown.clone() });
        if origin.is_empty() || origin.starts_with('-') {
            let lost = awaited.iter().filter(|id| id.starts_with(SESSION));
            writers.extend(lost.map(|id| Writer { id: id.clone(), shown: shown.clone() }));
        } else {
            writers.push(Writer { id: session_id(&boot, &origin), shown });
        }
    }
    writers
}

/// Who keeps the oldest transaction id of the server from moving: sessions that have written and not yet ended.
pub fn horizon_holders(ask: impl Fn(&str) -> Result<Answer>) -> Result<Vec<Holder>> {
    let text = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let age = |row: &[Option<String>], at: usize| Duration::try_from_secs_f64(text(row, at).parse().ok()?).ok();
    let sessions = ask(HORIZON)?;
    let sessions = sessions.iter().map(|row| {
        let each = [text(row, 0), text(row, 1), text(row, 2), text(row, 3), text(row, 4)];
        Holder { shown: session_shown(&each), age: age(row, 5) }
    });
    let mut all: Vec<Holder> = sessions.collect();
    let prepared = ask(PREPARED_HORIZON)?;
    let prepared = prepared.iter().map(|row| {
        let shown = prepared_shown(&text(row, 0), &text(row, 1), &text(row, 2));
        Holder { shown, age: age(row, 3) }
    });
    all.extend(prepared);
    Ok(all)
}

/// Waits until none of those who were open at `bound` is any more; then everything up to it is visible.
pub fn settle_first<V>(bound: V, ask: impl Fn(&str) -> Result<Answer>, stop: &Stop) -> Result<Option<V>> {
    let open: Vec<String> = writers(&ask, &[])?.into_iter().map(|writer| writer.id).collect();
    let wait = stop.within(FIRST_MAX);
    loop {
        if !writers(&ask, &open)?.iter().any(|writer| open.contains(&writer.id)) {
            return Ok(Some(bound));
        }
        if wait.wait(FIRST_LOOK) {
            stop.check()?;
            return Ok(None);
        }
    }
}

/// How the id of a session's transaction begins.
const SESSION: &str = "session ";

fn session_id(boot: &str, virtual_id: &str) -> String {
    format!("{SESSION}{boot} {virtual_id}")
}

fn prepared_id(xid: &str) -> String {
    format!("prepared {xid}")
}

fn session(row: Vec<Option<String>>) -> Writer {
    let mut row = row.into_iter();
    let mut next = || row.next().flatten().unwrap_or_default();
    let id = session_id(&next(), &next());
    Writer { id, shown: session_shown(&[next(), next(), next(), next(), next()]) }
}

/// A session's process, user, application, state and the start of its transaction; a role without `pg_read_all_stats` is not
/// shown the last two.
fn session_shown([pid, user, application, state, since]: &[String; 5]) -> String {
    let mut shown = format!("pid {pid}");
    for (word, value) in [("user", user), ("application", application), ("since", since)] {
        if !value.is_empty() {
            shown.push_str(&format!(", {word} {value}"));
        }
    }
    if !state.is_empty() {
        shown.push_str(&format!(" ({state})"));
    }
    shown
}

fn prepared_shown(gid: &str, owner: &str, since: &str) -> String {
    format!("prepared transaction {gid}, user {owner}, since {since}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
    }

    fn ids(writers: &[Writer]) -> Vec<&str> {
        writers.iter().map(|writer| writer.id.as_str()).collect()
    }

    #[test]
    fn a_session_is_named_as_far_as_the_role_may_see() {
        let all = session(row(&["17", "3/7", "4711", "erp", "psql", "idle in transaction", "2026-11-24T02:00:00Z"]));
        assert_eq!(all.id, "session 17 3/7");
        let shown = "pid 4711, user erp, application psql, since 2026-11-24T02:00:00Z (idle in transaction)";
        assert_eq!(all.shown, shown);
        assert_eq!(session(row(&["17", "3/7", "4711", "erp"])).shown, "pid 4711, user erp");
    }

    #[test]
    fn a_prepared_transaction_holds_what_its_session_held() {
        let awaited = ["session 17 3/7".to_owned(), "prepared 9".to_owned()];
        let known = row(&["17", "733", "gid", "erp", "2026-11-24T02:00:00Z", "3/7"]);
        assert_eq!(ids(&writers_of(vec![], vec![known], &[])), ["prepared 733", "session 17 3/7"]);
        for origin in ["", "-1/733"] {
            let lost = row(&["18", "733", "gid", "erp", "2026-11-24T02:00:00Z", origin]);
            assert_eq!(ids(&writers_of(vec![], vec![lost], &awaited)), ["prepared 733", "session 17 3/7"]);
        }
        assert!(writers_of(vec![], vec![], &awaited).is_empty());
    }
}
