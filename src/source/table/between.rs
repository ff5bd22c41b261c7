//! Polls between two dear scans by row version: rows at or beyond a fence's SAFE, as far as they were written since the last
//! look. Nothing depends on them: the next scan reads everything since the one before, and recognises what was told.
//! How often scans run belongs to `pace`, the scans to `versions_pass`.

use super::batch::Batch;
use super::cursor::{Cursor, Mark};
use super::pace::Pace;
use super::round::Memory;
use super::settling::{Moment, closed_mark, mark_at, push_mark};
use super::versions::{Horizon, Next, VersionSpan, Versions};
use super::{Edge, Table, TableSource, Values};
use crate::error::{Error, Result};
use crate::source::{Accepted, Ledger, Look, Looked, Patience};

/// The fence that serves between scans. It is kept in memory alone: a new process begins with a scan.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// How often scans run.
    pub(super) pace: Pace,
    /// Up to here nothing is missing but what only a scan can see.
    safe: Option<Values>,
    /// How far earlier looks saw, and who could still commit below.
    marks: Vec<Mark>,
    /// X of the last look.
    x: u64,
}

/// A look between two scans.
pub(super) struct Glance {
    /// What it reads.
    pub(super) span: VersionSpan,
    /// X of its snapshot.
    x: u64,
    /// The mark that was closed before its snapshot: SAFE when it is over.
    closed: Option<Values>,
}

impl Between {
    /// Whether the next poll may do without a scan, so that it must know who could commit before its snapshot.
    pub(super) fn is_possible(&self, look: &Look<'_>) -> bool {
        (self.safe.is_some() || !self.marks.is_empty()) && !self.pace.is_due(look.clock.tick())
    }

    /// SAFE is at `closed` now.
    fn close(&mut self, closed: Option<&Values>) {
        if let Some(at) = self.marks.iter().rposition(|mark| Some(&mark.watermark) == closed) {
            self.safe = self.marks.drain(..=at).next_back().map(|mark| mark.watermark);
        }
    }

    /// The writers that marks wait for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &String> {
        self.marks.iter().flat_map(|mark| &mark.writers)
    }
}

impl<T: Table> TableSource<T> {
    /// The look that serves instead of a scan that was `next`; `None` where the scan is due, or is the only way.
    pub(super) fn glance(
        &mut self,
        next: Next,
        versions: &Versions,
        horizon: &Horizon,
        look: &Look<'_>,
        now: Moment,
    ) -> Result<Option<Glance>> {
        let is_plain = look.patience == Patience::Return && look.accepted == Accepted::default();
        let is_put_off = is_plain && !look.filters_changed && !self.sweeps && !self.between.pace.is_due(now.tick);
        if !is_put_off || next == Next::Nothing || !self.by_version()?.has_fence()? {
            return Ok(None);
        }
        let between = &mut self.between;
        let closed = closed_mark(&between.marks, self.table.writers_before());
        let closed = closed.map(|at| between.marks[at].watermark.clone());
        // What those who have ended committed lies below that mark: it is read once more from where SAFE was.
        let Some(at) = between.safe.clone().or_else(|| between.marks.first().map(|mark| mark.watermark.clone())) else {
            return Ok(None);
        };
        let span = VersionSpan {
            since: Some(versions.since().max(between.x)),
            beyond: Some(Edge { at, ties: true }),
            // The scan reads all of them again.
            settled: 0,
            ..VersionSpan::default()
        };
        Ok(Some(Glance { span, x: horizon.xmin, closed }))
    }

    /// Tells the rows of a glance. The cursor stays: what follows from it is the scan's affair.
    pub(super) fn run_glance(
        &mut self,
        cursor: Cursor,
        glance: &Glance,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Looked> {
        let terms = self.terms_by_version(false, ledger);
        let (mut batch, mut held) = (Batch::default(), None);
        let text = cursor.to_text();
        let mut durable = ledger.cursor().map(str::to_owned);
        let refusals = &mut self.refusals;
        let mut commit = |batch: &mut Batch, ledger: &mut dyn Ledger| match batch.page(&terms, refusals, ledger)? {
            Err(hold) => {
                held = Some(hold);
                Err(Error::internal("the look ends at a key that occurs twice"))
            }
            Ok(None) => Ok(()),
            Ok(Some(mut page)) => {
                durable = Some(text.clone());
                page.cursor.clone_from(&durable);
                ledger.commit(page)
            }
        };
        let versions = self.table.versions().ok_or_else(super::versions_pass::no_versions)?;
        let streamed = versions.stream_versions(&glance.span, look.stop, &mut |row| {
            batch.take(row, &terms);
            if batch.is_full() {
                commit(&mut batch, ledger)?;
                look.progress.advance(batch.seen, batch.seen, 0);
            }
            look.stop.check()
        });
        let told = streamed.and_then(|_| commit(&mut batch, ledger));
        if let Some(hold) = held {
            return Ok(Looked { hold: Some(hold), ..Looked::default() });
        }
        told?;
        self.between.pace.did_without();
        self.between.x = glance.x;
        self.between.close(glance.closed.as_ref());
        self.note_writers(now)?;
        self.memory = Some(Memory { durable, cursor });
        Ok(Looked { complete: true, seen: batch.seen, ..Looked::default() })
    }

    /// At the end of a look: how far it saw, and who could still commit rows below.
    pub(super) fn note_writers(&mut self, now: Moment) -> Result<()> {
        if self.between.pace.rest().is_none() || !self.by_version()?.has_fence()? {
            return Ok(());
        }
        let Some(newest) = self.newest()? else { return Ok(()) };
        let watermark = self.table.drawn(newest)?;
        let seen = self.between.marks.last().map(|mark| &mark.watermark).or(self.between.safe.as_ref()).cloned();
        let beyond = match seen {
            Some(seen) => seen != watermark && self.is_later(&watermark, &seen)?,
            None => true,
        };
        if beyond {
            let writers = self.table.writers_now()?.into_iter().map(|writer| writer.id).collect();
            push_mark(&mut self.between.marks, Mark { writers, fenced: true, ..mark_at(now, watermark) });
        }
        Ok(())
    }
}
