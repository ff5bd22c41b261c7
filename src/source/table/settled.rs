//! How far SAFE has come, and who keeps it from moving, for `status` and `explain`. When it may move belongs to `settling`.

use std::time::Duration;

use super::settling::{Moment, Settling};
use super::versions::{Horizon, Versions};
use super::{Table, TableSource};
use crate::error::Result;
use crate::setting::Interval;
use crate::source::Settled;

/// At most so many of those that keep SAFE from moving are named.
const HELD_BY_MAX: usize = 20;

/// Which transactions were running when a snapshot was taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Running {
    /// Whether any were.
    any: bool,
    /// The oldest.
    oldest: u64,
    /// The first one to come.
    next: u64,
    /// When it was first seen to be the oldest, by the monotonic clock.
    since: Duration,
}

impl Running {
    /// What `horizon` says, after `before`.
    pub(super) fn of(horizon: &Horizon, before: Self, now: Moment) -> Self {
        let stays = before.any && before.oldest == horizon.xmin;
        let since = if stays { before.since } else { now.tick };
        Self { any: horizon.xmin < horizon.xmax, oldest: horizon.xmin, next: horizon.xmax, since }
    }
}

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
    pub(super) fn how_far(&mut self, now: Moment) -> Result<Option<Settled>> {
        if self.settling() == Settling::RowVersion {
            return self.how_far_by_version(now);
        }
        let Some(memory) = &self.memory else { return Ok(None) };
        let safe = memory.cursor.safe.clone();
        let lag = match &safe {
            Some(safe) => self.table.lag(safe)?,
            None => None,
        };
        let mut held_by = self.held_by();
        held_by.extend(self.table.holders()?);
        held_by.truncate(HELD_BY_MAX);
        let mode = self.mode();
        Ok(Some(Settled { mode, safe: safe.map(|safe| self.table.shown(&safe)), lag, held_by, ..Settled::default() }))
    }

    /// The same where rows are found by the transaction that wrote them: everything before X has been seen.
    fn how_far_by_version(&mut self, now: Moment) -> Result<Option<Settled>> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let versions = memory.cursor.versions.as_ref().filter(|versions| versions.since_all.is_some());
        let x = versions.map(Versions::since);
        let safe = x.map(|x| format!("transaction {x}"));
        // A snapshot ends behind the last transaction that has ended: one that runs beyond it is not within.
        let holders = self.by_version()?.holders()?;
        let seen_for = now.tick.saturating_sub(self.running.since);
        let held_for = match holders.iter().filter_map(|holder| holder.age).max() {
            Some(age) => Some(age),
            None if holders.is_empty() && !self.running.any => Some(Duration::ZERO),
            // Somebody is there of whom this user may not know since when.
            None => (!seen_for.is_zero()).then_some(seen_for),
        };
        // What only a scan can see is as old as the last one.
        let put_off = self.between.pace.put_off().filter(|_| x.is_none_or(|x| x < self.running.next));
        let scanned = put_off.map_or(Duration::ZERO, |at| now.tick.saturating_sub(at));
        Ok(Some(Settled {
            mode: self.mode(),
            lag: held_for.filter(|_| safe.is_some()).map(|held_for| held_for.max(scanned)),
            safe,
            held_by: holders.into_iter().map(|holder| holder.shown).take(HELD_BY_MAX).collect(),
            pace: self.between.pace.shown(),
            ..Settled::default()
        }))
    }

    /// The way to settle that is in use, as `settle` has it.
    pub(super) fn mode(&self) -> String {
        match self.settling() {
            Settling::Bound => self.table.bound_word().into(),
            other => other.word(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn how_long_the_oldest_transaction_stays_is_counted_from_when_it_was_first_seen() {
        let at = |secs| Moment { wall: Timestamp::from_millis(0), tick: Duration::from_secs(secs) };
        let of = |xmin, xmax| Horizon { xmin, xmax, ..Horizon::default() };
        let first = Running::of(&of(7, 8), Running::default(), at(5));
        assert!(first.any);
        assert_eq!(Running::of(&of(7, 20), first, at(9)).since, Duration::from_secs(5));
        assert_eq!(Running::of(&of(8, 20), first, at(9)).since, Duration::from_secs(9));
        assert!(!Running::of(&of(20, 20), first, at(9)).any);
    }
}
