//! What a look compares with: known entries and the segments of listings.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::code::{KNOWN_COLUMNS, int, known_of};
use super::failure::sqlite;
use crate::change::{Key, Known};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::source::Block;

/// What is known of these keys, in their order.
pub(super) fn load(connection: &Connection, source_id: i64, keys: &[Key]) -> Result<Vec<Option<Known>>> {
    let doing = sqlite("look up known entries");
    let sql = format!("SELECT {KNOWN_COLUMNS} FROM known WHERE source_id = ?1 AND key = ?2");
    let mut statement = connection.prepare_cached(&sql).map_err(&doing)?;
    let one = |key: &Key| statement.query_row(params![source_id, key.as_bytes()], |row| known_of(row, 0)).optional();
    keys.iter().map(one).collect::<Result<_, _>>().map_err(&doing)
}

/// Known keys that begin with `prefix`, in byte order, behind `after`, at most `limit`.
pub(super) fn load_below(
    connection: &Connection,
    source_id: i64,
    prefix: &[u8],
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<(Key, Known)>> {
    let doing = sqlite("list known entries");
    let from = after.map_or(prefix, Key::as_bytes);
    let comparison = if after.is_some() { ">" } else { ">=" };
    let end = end_of_prefix(prefix);
    let upper = if end.is_some() { "AND key < ?4" } else { "AND ?4 IS NULL" };
    let sql = format!(
        "SELECT key, {KNOWN_COLUMNS} FROM known WHERE source_id = ?1 AND key {comparison} ?2 {upper} ORDER BY key LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(&doing)?;
    let read = |row: &Row<'_>| Ok((Key::from(row.get::<_, Vec<u8>>(0)?), known_of(row, 1)?));
    let rows = statement.query_map(params![source_id, from, int(limit as u64), end], read).map_err(&doing)?;
    rows.collect::<Result<_, _>>().map_err(&doing)
}

/// Remembers a key as seen ([`Known::vouched`]) unless it is there already; returns how many rows changed.
pub(super) fn vouch_for(connection: &Connection, source_id: i64, key: &Key, now: Timestamp) -> Result<u64> {
    let vouched = connection
        .prepare_cached(
            "INSERT INTO known (source_id, key, revision, presence, size, note, touched)
             VALUES (?1, ?2, (SELECT pruned_revision FROM source WHERE id = ?1), 1, 0, x'', ?3)
             ON CONFLICT (source_id, key) DO UPDATE SET fingerprint = NULL, presence = 1, size = 0, tuple = NULL,
                note = x'', touched = excluded.touched
             WHERE presence <> 0 AND (presence = 2 OR fingerprint IS NOT NULL OR tuple IS NOT NULL OR note <> x'')",
        )
        .and_then(|mut s| s.execute(params![source_id, key.as_bytes(), now.nanos()]));
    vouched.map(|count| count as u64).map_err(sqlite("remember a key as seen"))
}

/// The blocks of one folder's segment, in order.
pub(super) fn load_segment(connection: &Connection, source_id: i64, folder: &[u8]) -> Result<Vec<Block>> {
    let doing = sqlite("read a segment");
    let mut statement = connection
        .prepare_cached("SELECT ordinal, entries FROM segment WHERE source_id = ?1 AND folder = ?2 ORDER BY ordinal")
        .map_err(&doing)?;
    let read = |row: &Row<'_>| Ok(Block { ordinal: row.get(0)?, bytes: row.get(1)? });
    let rows = statement.query_map(params![source_id, folder], read).map_err(&doing)?;
    rows.collect::<Result<_, _>>().map_err(&doing)
}

/// The folders below `folder` that have segments, without itself, in byte order.
pub(super) fn load_folders_below(connection: &Connection, source_id: i64, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
    let doing = sqlite("list folders");
    let mut prefix = folder.to_vec();
    if !prefix.is_empty() {
        prefix.push(b'/');
    }
    let mut statement = connection
        .prepare_cached(
            "SELECT DISTINCT folder FROM segment
             WHERE source_id = ?1 AND folder >= ?2 AND (?3 IS NULL OR folder < ?3) ORDER BY folder",
        )
        .map_err(&doing)?;
    let end = end_of_prefix(&prefix);
    let rows = statement.query_map(params![source_id, prefix, end], |row| row.get::<_, Vec<u8>>(0)).map_err(&doing)?;
    let all: Vec<Vec<u8>> = rows.collect::<Result<_, _>>().map_err(&doing)?;
    Ok(all.into_iter().filter(|f| f != folder).collect())
}

/// The smallest byte string behind all that begin with `prefix`; `None` when there is none.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_behind_everything_below_it() {
        assert_eq!(end_of_prefix(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(end_of_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of_prefix(b"\xff\xff"), None);
        assert_eq!(end_of_prefix(b""), None);
    }
}
