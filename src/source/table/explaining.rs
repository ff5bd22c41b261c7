//! What a table source says of one row, in lines for people: `explain`. What it says of itself belongs to `doctor`.

use super::cursor::Cursor;
use super::plan::written_values;
use super::settling::Settling;
use super::versions::Versions;
use super::{Table, TableSource};
use crate::change::Key;
use crate::error::Result;

impl<T: Table> TableSource<T> {
    /// What is to be said of one key, inside a snapshot.
    pub(super) fn story(&mut self, key: &Key, cursor: Option<&str>) -> Result<Vec<String>> {
        let shown = key.shown();
        let values = self.table.written_key(written_values(&shown, &self.settings.key)?);
        let statement = self.table.shape().watermark_of(&values);
        let by_version = self.settling() == Settling::RowVersion;
        let found = self.ask(&statement)?;
        let Some(row) = found.first() else {
            return Ok(vec![format!("no row of {} has the key {shown} now", self.table_word())]);
        };
        if found.len() > 1 {
            return Ok(vec![format!("several rows of {} have the key {shown}", self.table_word())]);
        }
        let Some(watermark) = row.iter().cloned().collect::<Option<Vec<String>>>() else {
            return Ok(vec![format!("the row is there, but {} is NULL", self.settings.watermark.join(" or "))]);
        };
        let mut lines = vec![match self.settings.watermark.is_empty() {
            true => "the row is there".into(),
            false => format!("the row is there with watermark {}", self.table.shown(&watermark)),
        }];
        let cursor = match (&self.memory, cursor) {
            (Some(memory), _) => Some(memory.cursor.clone()),
            (None, Some(text)) => Cursor::parse(text, &self.name).ok(),
            (None, None) => None,
        };
        let Some(cursor) = cursor else {
            lines.push("the source has no cursor yet: its first poll decides by \"start\"".into());
            return Ok(lines);
        };
        if by_version {
            if let Some(x) =
                cursor.versions.as_ref().filter(|versions| versions.since_all.is_some()).map(Versions::since)
            {
                lines.push(format!("any change of it that commits is told: rows of transaction {x} or later are read"));
            }
        } else if let Some(safe) = cursor.safe {
            let place = match self.is_later(&watermark, &safe)? {
                true => "beyond SAFE: the next poll reads it",
                false if cursor.ties && watermark == safe => "just at SAFE: the next poll reads it",
                false => "at or below SAFE: it was passed, and is told when its watermark rises",
            };
            lines.push(format!("{place} ({})", self.table.shown(&safe)));
        }
        Ok(lines)
    }
}
