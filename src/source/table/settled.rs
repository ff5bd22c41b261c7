//! How far SAFE has come, and who keeps it from moving, for `status` and `explain`. When it may move belongs to `settling`.

use super::settling::Settling;
use super::{Table, TableSource};
use crate::error::Result;
use crate::setting::Interval;
use crate::source::Settled;

/// At most so many of those that keep SAFE from moving are named.
const HELD_BY_MAX: usize = 20;

impl Settling {
    /// As `status` shows it, and `settle` has it where it can be written.
    pub fn word(self) -> String {
        match self {
            Self::Inclusive => "inclusive".into(),
            Self::Overlap(by) => {
                format!("overlap:{}", Interval::from_millis(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
            }
            Self::RowVersion => "row-version".into(),
            Self::Fence => "fence".into(),
            Self::Bound => "bound".into(),
        }
    }
}

impl<T: Table> TableSource<T> {
    /// How far SAFE has come at the end of a look, inside its snapshot; `None` where the look ended early.
    pub(super) fn how_far(&mut self) -> Result<Option<Settled>> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let safe = memory.cursor.safe.clone();
        let lag = match &safe {
            Some(safe) => self.table.lag(safe)?,
            None => None,
        };
        let settled = Settled {
            mode: self.settling().word(),
            safe: safe.map(|safe| safe.join(", ")),
            lag,
            held_by: self.held_by(),
            late_found: 0,
        };
        Ok(Some(settled))
    }

    /// The writers that the oldest mark waits for, as far as they were there when this look began.
    fn held_by(&self) -> Vec<String> {
        let Some(mark) = self.memory.as_ref().and_then(|memory| memory.cursor.marks.first()) else { return Vec::new() };
        let mut shown: Vec<String> = Vec::new();
        for writer in self.table.writers_before().iter().filter(|writer| mark.writers.contains(&writer.id)) {
            if shown.len() < HELD_BY_MAX && !shown.contains(&writer.shown) {
                shown.push(writer.shown.clone());
            }
        }
        shown
    }
}
