//! What `doctor` tells of an SQLite table in particular: the journal, and numbers that are used again.

use rusqlite::params;

use super::SqliteTable;
use crate::error::Result;
use crate::source::settings::TableFrom;
use crate::source::{Finding, Verdict};

/// Tells it, inside a snapshot.
///
/// # Errors
/// As the database answers.
pub fn examine(table: &SqliteTable) -> Result<Vec<Finding>> {
    let connection = &table.opened()?.connection;
    let failed = |e: rusqlite::Error| table.failed(&e);
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)?;
    let effect = match mode.as_str() {
        "wal" => "a look and a writer never wait for each other; the folder must be readable",
        _ => "a look waits up to 5 s for a writer, and writers wait for a look",
    };
    let mut findings = vec![Finding::new("journal", Verdict::Note, format!("journal_mode is {mode}: {effect}"))];
    let TableFrom::Table(name) = &table.table().from else { return Ok(findings) };
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let made: Option<String> =
        rusqlite::OptionalExtension::optional(connection.query_row(sql, params![name], |row| row.get(0)))
            .map_err(failed)?;
    let is_counted = made.is_some_and(|sql| sql.to_ascii_uppercase().contains("AUTOINCREMENT"));
    let column = "SELECT name FROM pragma_table_info(?1) WHERE pk = 1 AND upper(type) = 'INTEGER' \
                  AND (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0) = 1";
    let rowid: Option<String> =
        rusqlite::OptionalExtension::optional(connection.query_row(column, params![name], |row| row.get(0)))
            .map_err(failed)?;
    let is_rowid = |column: &String| {
        let plain = column.to_ascii_lowercase();
        plain == "rowid" || rowid.as_ref().is_some_and(|rowid| rowid.to_ascii_lowercase() == plain)
    };
    if let Some(column) = table.table().watermark.iter().find(|column| is_rowid(column)) {
        findings.push(match is_counted {
            true => Finding::new("rowid", Verdict::Works, format!("{column} is AUTOINCREMENT: no number comes twice")),
            false => {
                let detail = format!(
                    "{column} is the rowid without AUTOINCREMENT: the number of a deleted newest row is given to the next \
                     one, which is told only while that number is read again; use a column of times"
                );
                Finding::new("rowid", Verdict::Problem, detail)
            }
        });
    }
    Ok(findings)
}
