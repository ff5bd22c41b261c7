//! Which pass a poll makes: from where, up to where SAFE may move, and what forbids it. Running it belongs to `pass`.

use super::batch::duplicate;
use super::cursor::{Cursor, Pass};
use super::pace::SHARE;
use super::settling::{Moment, Settling, closed_mark, guard, settled_mark, ties_remain};
use super::{Table, TableSource, Values};
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::Start;
use crate::source::{Hold, HoldReason, Ledger, Look};

/// What a poll is going to do.
pub(super) enum Plan {
    /// Go through these rows.
    Pass(Pass),
    /// Nothing new, nothing waits.
    Nothing,
    /// Wait for an operator.
    Hold(Hold),
}

impl<T: Table> TableSource<T> {
    /// What this poll does; `cursor` may be bound to another database by it.
    pub(super) fn plan(
        &mut self,
        cursor: &mut Cursor,
        look: &Look<'_>,
        ledger: &dyn Ledger,
        now: Moment,
    ) -> Result<Plan> {
        if let Some(hold) = self.check_identity(cursor, look)? {
            return Ok(Plan::Hold(hold));
        }
        if let Some(pass) = cursor.pass.take() {
            return Ok(Plan::Pass(pass));
        }
        let fresh = ledger.cursor().is_none();
        if fresh && let Some(hold) = self.check_keys()? {
            return Ok(Plan::Hold(hold));
        }
        let pass = if fresh { self.first_pass()? } else { self.next_pass(cursor, now)? };
        // `cursor NAME skip`: what is new is only remembered, this once.
        let pass = Pass { silent: pass.silent || look.accepted.silent_new, ..pass };
        let Some(max) = look.max_new.filter(|_| !pass.silent && !look.accepted.new_entries) else {
            return Ok(Plan::Pass(pass));
        };
        let seen = cursor.seen().or(pass.floor.as_ref());
        let statement = self.table.shape().count_beyond(seen, max.saturating_add(1));
        match self.number(&statement)? {
            count if count > max => Ok(Plan::Hold(too_many(max, self.name.as_str()))),
            0 if !fresh && cursor.is_settled() => Ok(Plan::Nothing),
            _ => Ok(Plan::Pass(pass)),
        }
    }

    /// The newest row's watermark, taken through its text, must find that row again.
    pub(super) fn test_round_trip(&mut self) -> Result<()> {
        if self.tested {
            return Ok(());
        }
        let Some(newest) = self.newest()? else { return Ok(()) };
        let statement = self.table.shape().has_watermark(&newest);
        if self.number(&statement)? != 1 {
            let fact = format!(
                "the watermark of source {} does not survive a round trip through text: {} is not equal to itself",
                self.name,
                newest.join(", ")
            );
            return Err(Error::new(ErrorKind::Invalid, format!("{fact}; choose a column with exact values")));
        }
        self.tested = true;
        Ok(())
    }

    /// Another database is followed as long as it is not behind the cursor.
    fn check_identity(&mut self, cursor: &mut Cursor, look: &Look<'_>) -> Result<Option<Hold>> {
        let identity = self.table.shape().identity.clone();
        if cursor.identity == identity {
            return Ok(None);
        }
        let newest = self.newest()?;
        let behind = match (&cursor.safe, &newest) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(safe), Some(newest)) => self.is_later(safe, newest)?,
        };
        if behind && !look.accepted.place {
            let shown = |values: Option<&Values>| values.map_or("no row".into(), |values| values.join(", "));
            let detail = format!(
                "this is another database than before, and it is behind: its newest watermark is {}, the cursor stands \
                 at {}; if it was restored, `highwater cursor {n} accept` goes on from what is there now, and \
                 `highwater cursor {n} reset` begins again",
                shown(newest.as_ref()),
                shown(cursor.safe.as_ref()),
                n = self.name
            );
            return Ok(Some(Hold { reason: HoldReason::IdentityChanged, detail }));
        }
        tracing::warn!(source = %self.name, "the database is another one than before; the poll goes on from its cursor");
        if behind {
            *cursor = Cursor::new(self.table.shape());
            cursor.pass = self.pass_from_now(newest)?;
        }
        cursor.identity = identity;
        Ok(None)
    }

    /// Where the database does not keep the key unique itself, all rows are asked once, before the first load.
    pub(super) fn check_keys(&mut self) -> Result<Option<Hold>> {
        if self.table.shape().unique_key {
            return Ok(None);
        }
        let statement = self.table.shape().duplicate();
        let found = self.ask(&statement)?.into_iter().next();
        Ok(found.map(|row| {
            let key = row.into_iter().flatten().collect::<Vec<_>>().join(", ");
            duplicate(&key, &self.table_word())
        }))
    }

    fn first_pass(&mut self) -> Result<Pass> {
        let newest = self.newest()?;
        match self.settings.start.clone() {
            Start::Now => Ok(self.pass_from_now(newest)?.unwrap_or_default()),
            Start::All => self.pass_from(None, newest),
            Start::Value(text) => {
                let floor = self.floor_written(&text, newest.as_ref())?;
                self.pass_from(Some(floor), newest)
            }
        }
    }

    /// The cursor that `cursor NAME set VALUE` asks for: rows beyond the value are told.
    pub(super) fn cursor_at(&mut self, text: &str) -> Result<Cursor> {
        let newest = self.newest()?;
        let floor = self.floor_written(text, newest.as_ref())?;
        let pass = self.pass_from(Some(floor.clone()), newest)?;
        let safe = Some(floor);
        Ok(Cursor { safe, pass: Some(pass), ..Cursor::new(self.table.shape()) })
    }

    /// A watermark that people wrote. One that the database can't compare with those that are there would hide all rows for
    /// ever; one beyond all of them hides rows until the watermark has caught up.
    pub(super) fn floor_written(&mut self, text: &str, newest: Option<&Values>) -> Result<Values> {
        let values = written_values(text, &self.settings.watermark)?;
        let floor = self.table.written_value(values, newest)?;
        let Some(newest) = newest else { return Ok(floor) };
        if self.is_later(newest, &floor)? {
            return Ok(floor);
        }
        let shown = self.table.shown(newest);
        if self.is_later(&floor, newest)? {
            tracing::warn!(source = %self.name, value = text, newest = %shown, "the cursor begins beyond the newest row");
            return Ok(floor);
        }
        let statement = self.table.shape().has_watermark(&floor);
        if self.number(&statement)? == 1 {
            return Ok(floor);
        }
        let fact =
            format!("\"{text}\" is no value of the watermark of source {}; the newest one is {shown}", self.name);
        Err(Error::new(ErrorKind::Invalid, format!("{fact}; write one like it")))
    }

    /// A first pass from `floor`; SAFE then is as far as the settle mode lets it be at once.
    fn pass_from(&mut self, floor: Option<Values>, newest: Option<Values>) -> Result<Pass> {
        let pass = Pass { next: floor.clone(), floor, ..Pass::default() };
        let Some(newest) = newest else { return Ok(pass) };
        let (next, next_ties) = match self.settling() {
            Settling::Inclusive => (Some(self.inclusive(newest)?), true),
            // What is old by the watermark's own clock need not be remembered.
            Settling::Overlap(overlap) => (self.behind(&newest, overlap)?, false),
            Settling::Fence | Settling::Bound => (self.table.bound(&newest)?, self.ties_remain()),
            Settling::RowVersion => (None, false),
        };
        let Some(next) = next else { return Ok(pass) };
        let moves = match &pass.floor {
            Some(floor) => self.is_later(&next, floor)?,
            None => true,
        };
        Ok(if moves { Pass { next: Some(next), next_ties, ..pass } } else { pass })
    }

    /// A pass that only remembers what may come up again; `None` when there is no row at all.
    fn pass_from_now(&mut self, newest: Option<Values>) -> Result<Option<Pass>> {
        let Some(newest) = newest else { return Ok(None) };
        let behind = match self.settling() {
            Settling::Inclusive | Settling::RowVersion => None,
            Settling::Overlap(overlap) => self.behind(&newest, overlap)?,
            Settling::Fence | Settling::Bound => self.table.bound(&newest)?,
        };
        if behind.is_none() && self.settling() == Settling::Fence {
            // What is in flight is not known: remembering all rows is what loses none of those that commit later.
            return Ok(Some(Pass { silent: true, ..Pass::default() }));
        }
        let ties = behind.is_none() || self.ties_remain();
        let floor = match behind {
            Some(behind) => Some(behind),
            None => Some(self.inclusive(newest)?),
        };
        let next = floor.clone();
        Ok(Some(Pass { floor, floor_ties: ties, next, next_ties: ties, silent: true, position: None }))
    }

    fn next_pass(&mut self, cursor: &Cursor, now: Moment) -> Result<Pass> {
        let resolution = self.table.shape().resolution;
        let candidate = match self.settling() {
            Settling::Inclusive => match self.newest()? {
                Some(newest) => Some(self.inclusive(newest)?),
                None => None,
            },
            Settling::Overlap(overlap) => {
                settled_mark(&cursor.marks, overlap, resolution, now).map(|at| cursor.marks[at].watermark.clone())
            }
            Settling::Fence => {
                closed_mark(&cursor.marks, self.table.writers_before()).map(|at| cursor.marks[at].watermark.clone())
            }
            Settling::Bound => match self.newest()? {
                Some(newest) => self.table.bound(&newest)?,
                None => None,
            },
            Settling::RowVersion => None,
        };
        let pass = Pass {
            floor: cursor.safe.clone(),
            floor_ties: cursor.ties,
            next: cursor.safe.clone(),
            next_ties: cursor.ties,
            ..Pass::default()
        };
        let Some(candidate) = candidate else { return Ok(self.tail(cursor, now).unwrap_or(pass)) };
        // SAFE never goes back, whatever was deleted meanwhile.
        match &cursor.safe {
            Some(safe) if !self.is_later(&candidate, safe)? => Ok(pass),
            _ => Ok(Pass { next: Some(candidate), next_ties: self.ties_remain(), ..pass }),
        }
    }

    /// While no mark has settled, and where going through the whole window took long, only what lies beyond it is read:
    /// late commits in the window are found when it is gone through the next time, at the latest when a mark settles.
    fn tail(&self, cursor: &Cursor, now: Moment) -> Option<Pass> {
        // A sweep needs everything beyond SAFE to be told.
        let (began, took) = self.window.filter(|_| !self.sweeps)?;
        let seen = cursor.marks.last()?;
        let is_due = now.tick.saturating_sub(began) >= took * SHARE;
        let (next, next_ties) = (cursor.safe.clone(), cursor.ties);
        let floor = Some(seen.watermark.clone());
        (!is_due).then(|| Pass { floor, floor_ties: true, next, next_ties, ..Pass::default() })
    }

    /// Where one writes at a time, everything up to the newest row is settled, but for clocks that are set.
    fn inclusive(&mut self, newest: Values) -> Result<Values> {
        let capped = self.table.capped(newest)?;
        self.table.before_steps(capped)
    }

    fn ties_remain(&self) -> bool {
        let shape = self.table.shape();
        // The clock says when the last row with some time is drawn, not when the last one of a tuple is.
        let is_tuple = shape.settling == Settling::Fence && shape.watermark.len() > 1;
        is_tuple || ties_remain(shape.settling, shape.resolution)
    }

    /// The smaller of `newest` and the database's clock, less `overlap` and the time in which ties may still be drawn.
    pub(super) fn behind(&mut self, newest: &Values, overlap: std::time::Duration) -> Result<Option<Values>> {
        let guard = guard(newest, self.table.shape().resolution);
        self.table.behind(newest, overlap + guard)
    }
}

/// The hold for more new rows than the brake lets pass.
pub(super) fn too_many(max: u64, name: &str) -> Hold {
    let detail = format!(
        "more than {max} rows are new at once (max_new); `highwater cursor {name} accept` tells them, \
         `highwater cursor {name} skip` only remembers them, max_new = \"none\" lifts the limit"
    );
    Hold { reason: HoldReason::MaxNew, detail }
}

/// One value per watermark column, from what people write: the value itself, or a JSON array of several.
pub(super) fn written_values(text: &str, columns: &[String]) -> Result<Values> {
    if columns.len() == 1 {
        return Ok(vec![text.to_owned()]);
    }
    let parsed: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    let texts: Values = parsed
        .iter()
        .map(|value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    if texts.len() == columns.len() {
        return Ok(texts);
    }
    let fact = format!("\"{text}\" does not name the {} columns {}", columns.len(), columns.join(", "));
    Err(Error::new(ErrorKind::Invalid, format!("{fact}; write a JSON array like [\"2026-11-23\", 17]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_columns_are_written_as_a_json_array() {
        let columns = ["day".to_owned(), "number".to_owned()];
        assert_eq!(written_values("[\"a\", 0]", &columns).expect("valid"), ["a", "0"]);
        assert_eq!(written_values("[1]", &columns[..1]).expect("valid"), ["[1]"]);
        assert!(written_values("a", &columns).expect_err("one value").to_string().contains("JSON array"));
    }
}
