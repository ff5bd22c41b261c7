//! The play on SQLite: several writers that wait for each other.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::play::Play;
use crate::support::writers::{Dialect, Hand};

const DIALECT: Dialect = Dialect {
    begin: &["BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN"],
    draw_id: None,
    draw_mark: None,
    insert: |_, _, version| {
        format!("INSERT INTO item (version, at, sec) VALUES ('{version}', {AT}, datetime('now')) RETURNING id")
    },
    update: |id, _, version| {
        format!("UPDATE item SET version = '{version}', at = {AT}, sec = datetime('now') WHERE id = {id}")
    },
    // Whoever pauses in a transaction makes all others wait.
    long_pauses: (15, 3),
    two_phase: None,
};

const AT: &str = "strftime('%Y-%m-%d %H:%M:%f', 'now')";

struct Session(Connection);

impl Hand for Session {
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let ask = || -> rusqlite::Result<Vec<Vec<String>>> {
            let mut statement = self.0.prepare(sql)?;
            let width = statement.column_count();
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |at| {
                    Ok(match row.get_ref(at)? {
                        ValueRef::Integer(number) => number.to_string(),
                        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                        _ => String::new(),
                    })
                };
                all.push((0..width).map(text).collect::<rusqlite::Result<_>>()?);
            }
            Ok(all)
        };
        ask().map_err(|e| e.to_string())
    }
}

#[test]
fn sqlite_loses_nothing_and_tells_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("erp.sqlite");
    let connect = || {
        let connection = Connection::open(&path).expect("open");
        connection.busy_timeout(Duration::from_secs(5)).expect("a setting");
        connection.pragma_update(None, "synchronous", "OFF").expect("a setting");
        connection
    };
    let first = connect();
    first.pragma_update(None, "journal_mode", "WAL").expect("a journal");
    let sql = "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, at TEXT NOT NULL, sec DATETIME NOT NULL); \
               CREATE INDEX item_at ON item (at, id); CREATE INDEX item_sec ON item (sec, id); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO item \
               SELECT i, 'first', strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour', i || ' seconds'), \
               datetime('now', '-1 hour', i || ' seconds') FROM n";
    first.execute_batch(sql).expect("a table");
    let source = |name: &str, rest: &str| {
        format!(
            "[source.{name}]\nkind = \"sqlite\"\npath = \"{}\"\ntable = \"item\"\nkey = [\"id\"]\npage = 200\nevery = \"100ms\"\n{rest}\nto = [\"out\"]\n",
            path.display()
        )
    };
    let sources = [source("millis", "watermark = \"at\""), source("seconds", "watermark = \"sec\"\ntrack = \"keys\"")];
    Play {
        database: "SQLite",
        dialect: DIALECT,
        connect: &|| Box::new(Session(connect())),
        sources: &sources.concat(),
        naive: &[("sec", "2000-01-01")],
        caught_up: &|| (),
    }
    .run();
}
