//! Rows that polls missed, told behind them. Which buckets are read belongs to `run`.

use super::digest::{Parts, each_present};
use super::state::Swept;
use crate::change::{Entry, Key, Known, Presence, Sight};
use crate::clock::Stop;
use crate::error::Result;
use crate::source::table::Row;
use crate::source::table::batch::{Refusals, Terms, entry, hash, is_news};
use crate::source::table::cursor::Cursor;
use crate::source::{Ledger, PAGE_ENTRIES_MAX, Page};

/// Takes the rows of differing buckets and tells those that were missed.
pub struct Teller<'a> {
    /// What is the same for all rows.
    pub terms: &'a Terms,
    /// Whether rows that are not known are only remembered.
    pub silent: bool,
    /// Whether rows that were missed count: not those that an edit of the filters let in.
    pub counts: bool,
    /// Goes along with every page, so that the count can't be lost.
    pub cursor: &'a mut Cursor,
    /// What was refused lately.
    pub refusals: &'a mut Refusals,
    rows: Vec<(Entry, bool)>,
    /// Hashes of all keys that are there.
    pub met: Vec<u64>,
}

impl<'a> Teller<'a> {
    /// A teller that has taken nothing.
    pub fn new(
        terms: &'a Terms,
        silent: bool,
        counts: bool,
        cursor: &'a mut Cursor,
        refusals: &'a mut Refusals,
    ) -> Self {
        Self { terms, silent, counts, cursor, refusals, rows: Vec::new(), met: Vec::new() }
    }

    /// Takes one row; true when a page is full.
    pub fn take(&mut self, row: &Row) -> bool {
        self.met.push(hash(&row.key));
        self.rows.push((entry(row, self.terms), row.settled));
        self.rows.len() >= PAGE_ENTRIES_MAX
    }

    /// Commits what is new of the rows taken; returns how many were taken.
    pub fn flush(&mut self, ledger: &mut dyn Ledger) -> Result<u64> {
        let rows = std::mem::take(&mut self.rows);
        let count = rows.len() as u64;
        let keys: Vec<_> = rows.iter().map(|(entry, _)| entry.key.clone()).collect();
        let known = ledger.known(&keys)?;
        let mut entries = Vec::new();
        let mut late = 0;
        for ((entry, settled), known) in rows.into_iter().zip(known) {
            // What lies beyond SAFE is the polls' affair.
            if !settled || !is_news(&entry, known.as_ref(), self.terms, self.refusals) {
                continue;
            }
            let is_version = matches!(entry.sight, Sight::Version(_));
            let unknown = known.is_none();
            let silent = self.silent && unknown;
            late += u64::from(is_version && !silent && !known.as_ref().is_some_and(Known::is_vouched));
            entries.push(if silent { seen(entry) } else { entry });
        }
        if entries.is_empty() {
            return Ok(count);
        }
        if self.counts && late > 0 {
            let swept: &mut Swept = self.cursor.sweep.get_or_insert_default();
            swept.late_found += late;
            swept.late_last += late;
        }
        ledger.commit(Page { entries, cursor: Some(self.cursor.to_text()), ..Page::default() })?;
        Ok(count)
    }
}

fn seen(entry: Entry) -> Entry {
    let sight = match entry.sight {
        Sight::Version(version) => Sight::Seen(version),
        other => other,
    };
    Entry { sight, ..entry }
}

/// Takes keys that are gone; says whether more are wanted.
pub type EachGone<'a> = dyn FnMut(&mut dyn Ledger, Vec<Key>) -> Result<bool> + 'a;

/// The known keys of `wanted` buckets that are not among the `met` ones, in pages.
pub fn each_unmet(
    ledger: &mut dyn Ledger,
    (parts, buckets): (Parts, u64),
    wanted: &[u64],
    met: &[u64],
    stop: &Stop,
    each: &mut EachGone<'_>,
) -> Result<bool> {
    let mut goes_on = true;
    each_present(ledger, stop, &mut |ledger, page| {
        let unmet = page.into_iter().filter(|(key, known)| {
            debug_assert!(known.presence == Presence::Present, "only what is there is handed on");
            met.binary_search(&hash(key.as_bytes())).is_err()
                && wanted.binary_search(&parts.bucket(key.as_bytes(), buckets)).is_ok()
        });
        let unmet: Vec<_> = unmet.map(|(key, _)| key).collect();
        if goes_on && !unmet.is_empty() {
            goes_on = each(ledger, unmet)?;
        }
        Ok(())
    })?;
    Ok(goes_on)
}
