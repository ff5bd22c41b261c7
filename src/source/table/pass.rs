//! Running a pass: stream its rows, commit them page by page with the position, move SAFE at its end.
//! What the pass is belongs to `plan`.

use std::collections::HashSet;
use std::time::Duration;

use super::batch::{Batch, Terms, forget_unmet};
use super::cursor::{Cursor, Mark, Pass};
use super::round::Memory;
use super::settling::{Moment, Settling, mark_at, push_mark};
use super::{Row, Span, Table, TableSource, Values};
use crate::error::{Error, Result};
use crate::source::{Ledger, Look, Looked, Patience};

/// How often remembered rows that were deleted are looked for.
const FORGET_AGAIN: Duration = Duration::from_secs(600);

impl<T: Table> TableSource<T> {
    /// Goes through the rows of `pass`. What was committed stays when a later page fails.
    pub(super) fn run_pass(
        &mut self,
        mut cursor: Cursor,
        pass: &Pass,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Looked> {
        let terms = self.terms(pass, ledger);
        let mut durable = ledger.cursor().map(str::to_owned);
        let gathers = is_whole(pass, &cursor) && self.is_time_to_forget(look, &terms);
        let mut batch = Batch::default();
        batch.gathered = gathers.then(HashSet::new);
        let mut held = None;
        let span = Span { floor: pass.floor_edge(), after: pass.position.clone(), settled: pass.next_edge() };
        let refusals = &mut self.refusals;
        let streamed = self.table.stream(&span, look.stop, &mut |row: &Row| {
            batch.take(row, &terms);
            if !batch.is_full() {
                return Ok(());
            }
            match batch.page(&terms, refusals, ledger)? {
                Err(hold) => {
                    held = Some(hold);
                    return Err(Error::internal("the pass ends at a key that occurs twice"));
                }
                Ok(None) => {}
                Ok(Some(mut page)) => {
                    cursor.pass = Some(Pass { position: batch.last.clone(), ..pass.clone() });
                    durable = Some(cursor.to_text());
                    page.cursor.clone_from(&durable);
                    ledger.commit_behind(page)?;
                }
            }
            look.progress.advance(batch.seen, batch.seen, 0);
            look.stop.check()
        });
        if let Some(hold) = held {
            return Ok(Looked { hold: Some(hold), ..Looked::default() });
        }
        streamed?;
        let page = match batch.page(&terms, &mut self.refusals, ledger)? {
            Err(hold) => return Ok(Looked { hold: Some(hold), ..Looked::default() }),
            Ok(page) => page,
        };
        // Where an operator wrote a watermark, a cursor takes its place; else the next process would begin there again.
        let is_written = durable.as_deref().is_some_and(|text| !text.trim_start().starts_with('{'));
        let under_way = cursor.pass.take().is_some() || pass.position.is_some() || is_written;
        let whole = is_whole(pass, &cursor);
        self.finish(&mut cursor, pass, batch.last.map(|last| last.watermark), now)?;
        if page.is_some() || under_way || durable.is_none() || batch.settled > 0 {
            durable = Some(cursor.to_text());
            let mut page = page.unwrap_or_default();
            page.cursor.clone_from(&durable);
            ledger.commit(page)?;
        }
        if look.patience == Patience::Return {
            if let Some(gathered) = batch.gathered {
                forget_unmet(&gathered, ledger)?;
                self.forgot = Some(now.tick);
            }
            if whole {
                self.window = Some((now.tick, look.clock.tick().saturating_sub(now.tick)));
            }
            self.memory = Some(Memory { durable, cursor });
        }
        Ok(Looked { complete: true, seen: batch.seen, ..Looked::default() })
    }

    fn terms(&self, pass: &Pass, ledger: &dyn Ledger) -> Terms {
        Terms {
            table: self.table_word(),
            tracks_keys: self.settings.track_keys,
            silent: pass.silent,
            tells_unsettled: false,
            may_know: !ledger.knows_nothing(),
        }
    }

    /// Whether this pass looks for remembered rows that are there no longer.
    pub(super) fn is_time_to_forget(&self, look: &Look<'_>, terms: &Terms) -> bool {
        let recent = self.forgot.is_some_and(|at| look.clock.tick().saturating_sub(at) < FORGET_AGAIN);
        terms.may_know && !terms.tracks_keys && !recent
    }

    /// The pass is over: SAFE moves, and what was seen becomes a mark.
    fn finish(&mut self, cursor: &mut Cursor, pass: &Pass, last: Option<Values>, now: Moment) -> Result<()> {
        cursor.safe.clone_from(&pass.next);
        cursor.ties = pass.next_ties;
        if let Some(at) = cursor.marks.iter().rposition(|mark| Some(&mark.watermark) == cursor.safe.as_ref()) {
            cursor.marks.drain(..=at);
        }
        if matches!(self.settling(), Settling::Bound | Settling::Inclusive) {
            return self.note_seen(cursor, last, now);
        }
        let Some(last) = last else { return Ok(()) };
        let fenced = self.settling() == Settling::Fence;
        let (watermark, writers) = match self.settling() {
            Settling::Overlap(_) => (self.table.capped(last)?, Vec::new()),
            Settling::Fence => {
                let watermark = self.table.drawn(last)?;
                let writers = self.table.writers_now()?;
                (watermark, writers.into_iter().map(|writer| writer.id).collect())
            }
            Settling::Inclusive | Settling::Bound | Settling::RowVersion => return Ok(()),
        };
        let beyond = match cursor.seen().cloned() {
            Some(seen) => seen != watermark && self.is_later(&watermark, &seen)?,
            None => true,
        };
        if beyond {
            push_mark(&mut cursor.marks, Mark { writers, fenced, ..mark_at(now, watermark) });
        }
        Ok(())
    }

    /// Where marks don't say what SAFE is, one mark says how far was seen: what lies beyond it is new.
    fn note_seen(&mut self, cursor: &mut Cursor, last: Option<Values>, now: Moment) -> Result<()> {
        let seen = match last {
            Some(last) => Some(self.table.capped(last)?),
            None => None,
        };
        let beyond = match (&seen, &cursor.safe) {
            (Some(seen), Some(safe)) => self.is_later(seen, safe)?,
            (seen, _) => seen.is_some(),
        };
        if seen.as_ref() != cursor.marks.last().map(|mark| &mark.watermark) || !beyond {
            cursor.marks = seen.filter(|_| beyond).map(|seen| mark_at(now, seen)).into_iter().collect();
        }
        Ok(())
    }
}

/// Whether a pass goes through everything beyond SAFE.
fn is_whole(pass: &Pass, cursor: &Cursor) -> bool {
    pass.floor == cursor.safe && pass.position.is_none() && !pass.silent
}
