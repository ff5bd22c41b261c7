//! What a table source says of itself (`check --connect`) and of one row (`explain`), in lines for people.

use super::plan::written_values;
use super::settling::{Resolution, Settling};
use super::{Table, TableSource};
use crate::change::Key;
use crate::error::Result;

impl<T: Table> TableSource<T> {
    /// What `probe` found, inside a snapshot.
    pub(super) fn findings(&mut self) -> Result<Vec<String>> {
        let server = self.table.server()?;
        let table = self.table_word();
        let mut lines = vec![format!("connected: {server}")];
        self.test_round_trip()?;
        lines.push(match self.newest()? {
            None if self.settings.watermark.is_empty() => format!("{table} is read without a watermark"),
            Some(newest) => format!("newest watermark of {table}: {}", newest.join(", ")),
            None => format!("{table} has no row with a watermark yet"),
        });
        lines.push(match (self.settling(), self.table.shape().resolution) {
            (Settling::Inclusive, _) => "settle: inclusive (one writer at a time)".into(),
            (Settling::Overlap(by), Resolution::Clock) => format!("settle: overlap of {} s", by.as_secs()),
            (Settling::Overlap(by), Resolution::Unknown) => {
                format!("settle: overlap of {} s, by the time a value was first seen", by.as_secs())
            }
            (Settling::RowVersion, _) => "settle: row-version (rows by the transaction that wrote them)".into(),
            (Settling::Fence, _) => "settle: fence (SAFE waits for the transactions that were open)".into(),
            (Settling::Bound, _) => "settle: SAFE stays below what is in flight".into(),
        });
        // A small table is sorted rather than read through an index, which is no reason to say anything.
        let by_version = self.settling() == Settling::RowVersion && self.table.shape().unique_key;
        if !by_version && !self.table.is_indexed()? {
            let shape = self.table.shape();
            let columns: Vec<&str> = shape.order().map(|column| column.name.as_str()).collect();
            lines.push(match shape.settling {
                Settling::RowVersion => {
                    format!("no index serves the order ({}): a first load sorts all rows", self.key_words())
                }
                _ => format!("no index serves the order ({}): every poll reads all rows", columns.join(", ")),
            });
        }
        if !self.table.shape().unique_key {
            lines.push(format!("{} is not kept unique by an index: the first load checks it", self.key_words()));
        }
        lines.extend(self.incomplete_rows()?);
        Ok(lines)
    }

    /// What is to be said of one key, inside a snapshot.
    pub(super) fn story(&mut self, key: &Key) -> Result<Vec<String>> {
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
        if by_version {
            return Ok(vec![match watermark.is_empty() || self.settings.watermark.is_empty() {
                true => "the row is there".into(),
                false => format!("the row is there with watermark {}", watermark.join(", ")),
            }]);
        }
        let mut lines = vec![format!("the row is there with watermark {}", watermark.join(", "))];
        if let Some(safe) = self.memory.as_ref().and_then(|memory| memory.cursor.safe.clone()) {
            let beyond = self.is_later(&watermark, &safe)?;
            let place = if beyond { "beyond SAFE: the next poll reads it" } else { "at or below SAFE: it was passed" };
            lines.push(format!("{place} ({})", safe.join(", ")));
        }
        Ok(lines)
    }

    fn key_words(&self) -> String {
        self.settings.key.join(", ")
    }
}
