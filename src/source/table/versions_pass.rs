//! Running a pass by row version: page by page in the order of the key, each page with its position. Which pass it is
//! belongs to `versions`.

use std::collections::HashSet;
use std::time::Duration;

use super::batch::{Batch, Terms, forget_unmet};
use super::between::Glance;
use super::cursor::Cursor;
use super::plan::too_many;
use super::round::Memory;
use super::settled::Running;
use super::settling::Moment;
use super::sweep::Reach;
use super::versions::{Horizon, Next, RowVersions, VersionSpan, Versions, VersionsPass};
use super::{Row, Table, TableSource, Values};
use crate::change::Sight;
use crate::error::{Error, Result};
use crate::source::settings::{Start, Window};
use crate::source::{Hold, HoldReason, Ledger, Look, Looked, Patience};

/// What a poll is going to do.
enum Planned {
    Pass(VersionsPass),
    Glance(Glance),
    Nothing,
    Hold(Hold),
}

impl<T: Table> TableSource<T> {
    /// One look by row version, inside a snapshot.
    pub(super) fn look_by_version(
        &mut self,
        mut cursor: Cursor,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Looked> {
        let horizon = self.by_version()?.horizon()?;
        self.running = Running::of(&horizon, self.running, now);
        let since = cursor.versions.as_ref().map_or(0, Versions::since);
        self.durable.note(ledger.cursor(), since, now);
        let planned = self.plan_by_version(&mut cursor, &horizon, look, ledger, now)?;
        // Of a first load each page has its own snapshot: what came behind its position is the next pass's affair.
        let sweeps = self.sweeps && !matches!(&planned, Planned::Pass(pass) if pass.since.is_none());
        let looked = match planned {
            Planned::Hold(hold) => Looked { hold: Some(hold), ..Looked::default() },
            Planned::Pass(pass) => self.run_by_version(cursor, pass, look, ledger, now)?,
            Planned::Glance(glance) => self.run_glance(cursor, &glance, look, ledger, now)?,
            Planned::Nothing => {
                let durable = ledger.cursor().map(str::to_owned);
                self.memory = Some(Memory { durable, cursor });
                Looked { complete: true, ..Looked::default() }
            }
        };
        if sweeps && looked.hold.is_none() {
            self.sweep(Reach::Everything, look, ledger, now)?;
        }
        Ok(looked)
    }

    fn plan_by_version(
        &mut self,
        cursor: &mut Cursor,
        horizon: &Horizon,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Planned> {
        if let Some(hold) = self.check_place(cursor, horizon, look)? {
            return Ok(Planned::Hold(hold));
        }
        self.notice_rewrite(cursor, horizon);
        let versions = cursor.versions.get_or_insert_default();
        if let Some(pass) = &versions.pass {
            return Ok(Planned::Pass(pass.clone()));
        }
        if versions.drop_members(horizon) {
            self.durable.is_stale = true;
        }
        let (versions, fresh) = (versions.clone(), versions.fresh(horizon));
        let windowed = self.is_windowed()?;
        let at_ms = now.wall.millis();
        let blank = VersionsPass { x: horizon.xmin, at_ms, fresh, ..VersionsPass::default() };
        let next = versions.next(horizon, windowed, now);
        let is_scan = versions.since_all.is_some() && (next == Next::Window || !windowed) && blank.fresh.is_empty();
        if is_scan && let Some(glance) = self.glance(next, &versions, horizon, look, now)? {
            let terms = self.terms_by_version(false, ledger);
            return match look.max_new {
                Some(max) if self.is_more_than(max, &glance.span, &terms, look, ledger)? => {
                    Ok(Planned::Hold(too_many(max, self.name.as_str())))
                }
                _ => Ok(Planned::Glance(glance)),
            };
        }
        let pass = match next {
            Next::Nothing => return Ok(Planned::Nothing),
            Next::All if versions.since_all.is_none() => {
                if let Some(hold) = self.check_keys()? {
                    return Ok(Planned::Hold(hold));
                }
                self.first_by_version(cursor, blank)?
            }
            Next::All => VersionsPass { since: versions.since_all, ..blank },
            Next::Window => match self.coarse()? {
                Some(coarse) => VersionsPass { since: Some(versions.since()), coarse: Some(coarse), ..blank },
                None => VersionsPass { since: versions.since_all, ..blank },
            },
        };
        // `cursor NAME skip`: what is new is only remembered, this once.
        let pass = VersionsPass { silent: pass.silent || look.accepted.silent_new, ..pass };
        if let Some(max) = look.max_new.filter(|_| !pass.silent && !look.accepted.new_entries) {
            let span = pass.span(versions_of(cursor).settled_by(&pass));
            let terms = self.terms_by_version(pass.silent, ledger);
            if self.is_more_than(max, &span, &terms, look, ledger)? {
                return Ok(Planned::Hold(too_many(max, self.name.as_str())));
            }
        }
        Ok(Planned::Pass(pass))
    }

    /// A cursor means nothing to another database, nor to one that was set back.
    fn check_place(&mut self, cursor: &mut Cursor, horizon: &Horizon, look: &Look<'_>) -> Result<Option<Hold>> {
        let identity = self.table.shape().identity.clone();
        let elsewhere = database_of(&cursor.identity) != database_of(&identity);
        let known = cursor.versions.is_some() || cursor.safe.is_some();
        let beyond = versions_of(cursor).is_beyond(horizon);
        if !(known && (elsewhere || beyond)) {
            if cursor.identity != identity {
                tracing::warn!(source = %self.name, "the table is another one than before; all its rows are read");
                cursor.identity = identity;
            }
            return Ok(None);
        }
        if look.accepted.place {
            tracing::warn!(source = %self.name, "the database is another one than before; what is there now is only remembered");
            *cursor = Cursor::new(self.table.shape());
            let fresh = horizon.members.clone();
            let pass = VersionsPass { x: horizon.xmin, silent: true, fresh, ..VersionsPass::default() };
            cursor.versions = Some(Versions { pass: Some(pass), file: horizon.file.clone(), ..Versions::default() });
            return Ok(None);
        }
        let fact = if elsewhere {
            "this is another database than before".to_owned()
        } else {
            format!(
                "this database was set back: its newest transaction is {}, the cursor stands at {}",
                horizon.xmax,
                versions_of(cursor).since()
            )
        };
        let detail = format!(
            "{fact}; if it was restored, `highwater cursor {n} accept` goes on from what is there now, and \
             `highwater cursor {n} reset` begins again",
            n = self.name
        );
        Ok(Some(Hold { reason: HoldReason::IdentityChanged, detail }))
    }

    /// A table that was rewritten may show all rows as new ones.
    fn notice_rewrite(&self, cursor: &mut Cursor, horizon: &Horizon) {
        let versions = cursor.versions.get_or_insert_default();
        if versions.file.is_some() && versions.file != horizon.file {
            tracing::warn!(
                source = %self.name,
                "the table was rewritten: its rows are read again, and without key tracking told again under their old ids"
            );
        }
        versions.file.clone_from(&horizon.file);
    }

    /// The first pass of all, or the first after another way to settle.
    fn first_by_version(&mut self, cursor: &Cursor, blank: VersionsPass) -> Result<VersionsPass> {
        if let Some(safe) = &cursor.safe {
            // What lies beyond SAFE and was told is known.
            return Ok(VersionsPass { floor: Some(safe.clone()), floor_ties: cursor.ties, ..blank });
        }
        if cursor.pass.is_some() {
            return Ok(blank);
        }
        match self.settings.start.clone() {
            Start::All => Ok(blank),
            Start::Now => Ok(VersionsPass { silent: true, ..blank }),
            Start::Value(text) => Ok(VersionsPass { floor: Some(self.floor_from(&text)?), ..blank }),
        }
    }

    /// The cursor that `cursor NAME set VALUE` asks for: rows beyond the value are told.
    pub(super) fn versions_at(&mut self, text: &str) -> Result<Cursor> {
        let floor = Some(self.floor_from(text)?);
        let horizon = self.by_version()?.horizon()?;
        let pass = VersionsPass { x: horizon.xmin, floor, fresh: horizon.members, ..VersionsPass::default() };
        let versions = Versions { pass: Some(pass), ..Versions::default() };
        Ok(Cursor { versions: Some(versions), ..Cursor::new(self.table.shape()) })
    }

    fn floor_from(&mut self, text: &str) -> Result<Values> {
        let newest = self.newest()?;
        self.floor_written(text, newest.as_ref())
    }

    pub(super) fn is_windowed(&mut self) -> Result<bool> {
        Ok(matches!(self.settings.window, Window::Span(_)) && self.by_version()?.has_window_index()?)
    }

    /// Where the window begins; `None`, which looks at everything, while no row has a watermark.
    pub(super) fn coarse(&mut self) -> Result<Option<String>> {
        let (Window::Span(span), Some(newest)) = (self.settings.window, self.newest()?) else { return Ok(None) };
        Ok(self.table.behind(&newest, span.duration())?.and_then(|values| values.into_iter().next()))
    }

    /// Whether a look would tell more than `max` rows. Rows that are read again and known are no new ones.
    fn is_more_than(
        &mut self,
        max: u64,
        span: &VersionSpan,
        terms: &Terms,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<bool> {
        // Quiet rows would use the limit up.
        let limit = span.floor.is_none().then_some(max.saturating_add(1));
        if self.by_version()?.count_versions(&VersionSpan { limit, ..span.clone() })? <= max {
            return Ok(false);
        }
        if !terms.may_know {
            return Ok(true);
        }
        let mut batch = Batch::default();
        let mut refusals = super::batch::Refusals::default();
        let mut news = 0;
        let mut count = |batch: &mut Batch| -> Result<u64> {
            // A key that occurs twice is said when the pass itself meets it.
            let page = batch.page(terms, &mut refusals, ledger)?.ok().flatten().unwrap_or_default();
            let told = page.entries.iter().filter(|entry| matches!(entry.sight, Sight::Version(_))).count();
            news += u64::try_from(told).unwrap_or(u64::MAX);
            Ok(news)
        };
        let mut enough = false;
        let streamed = self.by_version()?.stream_versions(span, look.stop, &mut |row: &Row| {
            batch.take(row, terms);
            if batch.is_full() && count(&mut batch)? > max {
                enough = true;
                return Err(Error::internal("enough rows were counted"));
            }
            look.stop.check()
        });
        if enough {
            return Ok(true);
        }
        streamed?;
        Ok(count(&mut batch)? > max)
    }

    /// Goes through the rows of `pass`. What was committed stays when a later page fails.
    fn run_by_version(
        &mut self,
        mut cursor: Cursor,
        pass: VersionsPass,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Looked> {
        let terms = self.terms_by_version(pass.silent, ledger);
        let mut versions = versions_of(&cursor);
        let span = pass.span(versions.settled_by(&pass));
        let resumed = versions.pass.is_some();
        let mut batch = Batch::default();
        let gathers = pass.coarse.is_none() && !resumed && self.is_time_to_forget(look, &terms);
        batch.gathered = gathers.then(HashSet::new);
        let mut run = Run {
            cursor: &mut cursor,
            pass: pass.clone(),
            terms,
            batch,
            durable: None,
            held: None,
            telling: Duration::ZERO,
        };
        let began = look.clock.tick();
        let streamed = self.stream_pages(&mut run, span, look, ledger);
        let cost = look.clock.tick().saturating_sub(began + run.telling);
        let (mut batch, terms, committed) = (run.batch, run.terms, run.durable);
        if let Some(hold) = run.held {
            return Ok(Looked { hold: Some(hold), ..Looked::default() });
        }
        streamed?;
        let page = match batch.page(&terms, &mut self.refusals, ledger)? {
            Err(hold) => return Ok(Looked { hold: Some(hold), ..Looked::default() }),
            Ok(page) => page,
        };
        let under_way = resumed || committed.is_some();
        let mut durable = committed.or_else(|| ledger.cursor().map(str::to_owned));
        // The daily look at everything beside a window has its own measure.
        let is_scan =
            pass.since.is_some() && !resumed && (pass.coarse.is_some() || pass.since == Some(versions.since()));
        versions.finish(&pass, now);
        let since = versions.since();
        // Only rows by version are followed from here on.
        (cursor.safe, cursor.ties, cursor.pass) = (None, false, None);
        cursor.marks.clear();
        cursor.versions = Some(versions);
        let must = pass.since.is_none() || pass.silent || !pass.fresh.is_empty() || durable.is_none();
        if page.is_some() || under_way || must || self.durable.is_left_behind(since, now) {
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
            self.memory = Some(Memory { durable, cursor });
            if is_scan {
                self.between.pace.ran(began, cost);
                self.note_writers(now)?;
            }
        }
        Ok(Looked { complete: true, seen: batch.seen, ..Looked::default() })
    }

    /// Streams the rows of a pass into pages; what is left over stays in the batch.
    fn stream_pages(
        &mut self,
        run: &mut Run<'_>,
        mut span: VersionSpan,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<()> {
        // A first load pages through the key's index, with a snapshot for each page: none is held open for hours. What is
        // only to be remembered is what one snapshot shows.
        let pages = run.pass.since.is_none() && !run.pass.silent && self.by_version()?.has_key_index()?;
        span.limit = pages.then_some(u64::from(self.settings.page.max(1)));
        run.terms.tells_unsettled = run.pass.position.is_some();
        loop {
            let refusals = &mut self.refusals;
            let versions = self.table.versions().ok_or_else(no_versions)?;
            let (count, last) = versions.stream_versions(&span, look.stop, &mut |row: &Row| {
                run.batch.take(row, &run.terms);
                if run.batch.is_full() {
                    let began = look.clock.tick();
                    run.commit(refusals, ledger)?;
                    run.telling += look.clock.tick().saturating_sub(began);
                    look.progress.advance(run.batch.seen, run.batch.seen, 0);
                }
                look.stop.check()
            })?;
            if span.limit.is_none_or(|limit| count < limit) {
                return Ok(());
            }
            span.after = last;
            self.by_version()?.renew(look.stop)?;
            run.terms.tells_unsettled = true;
        }
    }

    pub(super) fn terms_by_version(&self, silent: bool, ledger: &dyn Ledger) -> Terms {
        Terms {
            table: self.table_word(),
            tracks_keys: self.settings.track_keys,
            silent,
            tells_unsettled: false,
            may_know: !ledger.knows_nothing(),
        }
    }

    pub(super) fn by_version(&mut self) -> Result<&mut dyn RowVersions> {
        self.table.versions().ok_or_else(no_versions)
    }
}

/// A pass that is being run.
struct Run<'a> {
    cursor: &'a mut Cursor,
    pass: VersionsPass,
    terms: Terms,
    batch: Batch,
    /// The cursor's text, once this pass has committed one.
    durable: Option<String>,
    held: Option<Hold>,
    /// How long commits took, which no scan is to blame for.
    telling: Duration,
}

impl Run<'_> {
    /// Commits what is in the batch, with the position behind it.
    fn commit(&mut self, refusals: &mut super::batch::Refusals, ledger: &mut dyn Ledger) -> Result<()> {
        let page = match self.batch.page(&self.terms, refusals, ledger)? {
            Err(hold) => {
                self.held = Some(hold);
                return Err(Error::internal("the pass ends at a key that occurs twice"));
            }
            Ok(page) => page,
        };
        // What is read for the first time may be passed over in silence; where it was passed must be kept all the same.
        if page.is_none() && self.pass.since.is_some() {
            return Ok(());
        }
        let mut page = page.unwrap_or_default();
        self.pass.position = self.batch.last.as_ref().map(|last| last.key.clone());
        self.cursor.versions.get_or_insert_default().pass = Some(self.pass.clone());
        self.durable = Some(self.cursor.to_text());
        page.cursor.clone_from(&self.durable);
        ledger.commit_behind(page)
    }
}

fn versions_of(cursor: &Cursor) -> Versions {
    cursor.versions.clone().unwrap_or_default()
}

/// The server and the database of an identity, without the table.
fn database_of(identity: &str) -> &str {
    identity.rsplit_once(':').map_or(identity, |(database, _)| database)
}

pub(super) fn no_versions() -> Error {
    Error::internal("rows are asked for their versions where they have none")
}
