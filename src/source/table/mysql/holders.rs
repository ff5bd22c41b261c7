//! Who keeps SAFE below what is in flight, for `status`. What SAFE is belongs to `fence`.

use super::session::Session;
use crate::clock::{Stop, Timestamp};
use crate::error::Result;
use crate::source::table::Values;

/// At most so many are asked for.
const HOLDERS_MAX: u32 = 20;

/// What SAFE was kept below.
#[derive(Debug, Clone)]
pub enum HeldAt {
    /// A row that was written and not committed.
    Row(Values),
    /// Whoever is at work for a second or longer.
    AtWork,
}

/// Writing transactions of others, and statements that run for long, oldest first, a line each. Without PROCESS nothing is known
/// of them.
///
/// # Errors
/// As the server answers.
pub fn holders(session: &mut Session, processes: bool, held_at: &HeldAt, stop: &Stop) -> Result<Vec<String>> {
    if !processes {
        return Ok(match held_at {
            HeldAt::Row(watermark) => {
                let row = watermark.join(", ");
                vec![format!("an open transaction that wrote a row with {row} (GRANT PROCESS ON *.* shows whose)")]
            }
            HeldAt::AtWork => Vec::new(),
        });
    }
    // Versions differ in whether the start is in the session's time or the system's; so both are the same.
    session.run("SET SESSION time_zone = 'SYSTEM'", stop)?;
    let found = transactions(session, stop);
    session.run("SET SESSION time_zone = '+00:00'", stop)?;
    let mut all = found?;
    if all.is_empty() {
        all = statements(session, stop)?;
    }
    Ok(all)
}

fn transactions(session: &mut Session, stop: &Stop) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT CAST(t.trx_mysql_thread_id AS CHAR), p.user, p.host, p.db, p.command, \
           CAST(CAST(UNIX_TIMESTAMP(t.trx_started) AS SIGNED) AS CHAR) \
         FROM information_schema.innodb_trx t LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
         WHERE t.trx_mysql_thread_id <> CONNECTION_ID() AND t.trx_is_read_only = 0 ORDER BY t.trx_started LIMIT {HOLDERS_MAX}"
    );
    Ok(session.ask(&sql, &[], stop)?.iter().map(|row| shown(row)).collect())
}

fn statements(session: &mut Session, stop: &Stop) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT CAST(id AS CHAR), user, host, db, command, CAST(CAST(UNIX_TIMESTAMP(NOW()) AS SIGNED) - time AS CHAR) \
         FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND command IN ('Query', 'Execute') AND time > 0 \
           AND user <> 'system user' ORDER BY time DESC LIMIT {HOLDERS_MAX}"
    );
    Ok(session.ask(&sql, &[], stop)?.iter().map(|row| shown(row)).collect())
}

/// A connection's number, user, host, database, what it does and since when.
fn shown(row: &[Option<String>]) -> String {
    let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
    let since = text(5).parse::<i64>().ok().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1_000)));
    let mut shown = match text(0) {
        // InnoDB gives them no connection.
        "0" => "a prepared XA transaction (XA RECOVER lists them)".to_owned(),
        id => format!("connection {id}"),
    };
    for (word, value) in [("user", text(1)), ("host", text(2)), ("database", text(3))] {
        if !value.is_empty() {
            shown.push_str(&format!(", {word} {value}"));
        }
    }
    if let Some(since) = since {
        shown.push_str(&format!(", since {since}"));
    }
    match text(4) {
        "" => {}
        "Sleep" => shown.push_str(" (idle in transaction)"),
        command => shown.push_str(&format!(" ({})", command.to_lowercase())),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_with_what_it_does() {
        let row = |texts: [&str; 6]| texts.map(|text| (!text.is_empty()).then(|| text.to_owned())).to_vec();
        let idle = shown(&row(["17", "erp", "10.0.0.7:4711", "shop", "Sleep", "1795485600"]));
        let expected = "connection 17, user erp, host 10.0.0.7:4711, database shop, since 2026-11-24T02:00:00Z \
                        (idle in transaction)";
        assert_eq!(idle, expected);
        assert!(shown(&row(["0", "", "", "", "", ""])).starts_with("a prepared XA transaction"));
    }
}
