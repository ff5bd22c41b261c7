//! One poll of a table: open a snapshot, plan a pass, run it, count what can't become an event.
//! Which pass it is belongs to `plan`, running it to `pass`, SQL and values to the adapters behind [`Table`].

use std::sync::Arc;
use std::time::Duration;

use super::batch::Refusals;
use super::between::Between;
use super::cursor::Cursor;
use super::plan::Plan;
use super::settled::Running;
use super::settling::{Moment, Settling, pull_in};
use super::statement::Statement;
use super::sweep::Reach;
use super::versions::Durable;
use super::{Begun, Edge, End, Opening, Table, Values};
use crate::change::{Key, Nature};
use crate::error::Result;
use crate::setting::SourceName;
use crate::source::settings::{TableFrom, TableSettings};
use crate::source::{Binding, Finding, Ledger, Look, Looked, Settled, Source, Wake};

/// Rows without watermark or key are counted up to this.
const INCOMPLETE_MAX: u64 = 100_000;
/// A count that took longer than this is not repeated at every poll.
const CHEAP: Duration = Duration::from_millis(20);
/// How long a dear count stands.
const COUNT_AGAIN: Duration = Duration::from_secs(600);

/// A table source over one kind of database.
pub struct TableSource<T> {
    pub(super) name: SourceName,
    pub(super) settings: TableSettings,
    pub(super) table: T,
    pub(super) memory: Option<Memory>,
    pub(super) refusals: Refusals,
    /// Whether a watermark was taken through its text and found again.
    pub(super) tested: bool,
    /// When the last pass over the whole window began (monotonic), and how long it took.
    pub(super) window: Option<(Duration, Duration)>,
    /// When remembered rows that were deleted were looked for (monotonic).
    pub(super) forgot: Option<Duration>,
    /// How far the durable cursor of passes by row version is.
    pub(super) durable: Durable,
    /// What serves between two dear scans by row version.
    pub(super) between: Between,
    /// Which transactions were running at the last look by row version.
    pub(super) running: Running,
    /// Whether the present poll sweeps when its pass is over.
    pub(super) sweeps: bool,
    /// The overlap, seconds, when a sweep had to widen it.
    pub(super) overlap_s: Option<u64>,
    /// How far SAFE had come at the last look.
    pub(super) settled: Option<Settled>,
    binding: Binding,
    incomplete: Incomplete,
}

/// The cursor beyond what is durable: an idle poll commits nothing.
pub(super) struct Memory {
    pub(super) durable: Option<String>,
    pub(super) cursor: Cursor,
}

/// Rows that can't become events, as counted last.
#[derive(Default)]
struct Incomplete {
    text: Option<String>,
    counted_at: Option<Duration>,
    dear: bool,
}

impl<T: Table> TableSource<T> {
    /// A source that has not looked yet.
    pub(super) fn over(name: &SourceName, settings: &TableSettings, location: &str, table: T) -> Self {
        Self {
            name: name.clone(),
            settings: settings.clone(),
            table,
            memory: None,
            refusals: Refusals::default(),
            tested: false,
            window: None,
            forgot: None,
            durable: Durable::default(),
            between: Between::default(),
            running: Running::default(),
            sweeps: false,
            overlap_s: None,
            settled: None,
            binding: binding(settings, location),
            incomplete: Incomplete::default(),
        }
    }

    /// Whether a database that did not change needs no look: everything is settled and remembered.
    fn is_quiet(&self, look: &Look<'_>, ledger: &dyn Ledger) -> bool {
        let now = Moment { wall: look.clock.now(), tick: look.clock.tick() };
        self.memory.as_ref().is_some_and(|memory| {
            memory.durable.as_deref() == ledger.cursor()
                && !self.is_sweep_due(&memory.cursor, look, now)
                && memory.cursor.pass.is_none()
                && memory.cursor.marks.is_empty()
        })
    }

    /// SAFE and the writers that marks wait for, as far as they are known before the columns are.
    fn standing(&self, ledger: &dyn Ledger) -> (Option<Values>, Vec<String>) {
        let awaited = |cursor: &Cursor| {
            let mut all: Vec<String> = cursor.marks.iter().flat_map(|mark| mark.writers.iter().cloned()).collect();
            all.sort_unstable();
            all.dedup();
            (cursor.safe.clone(), all)
        };
        let durable = ledger.cursor();
        match self.memory.as_ref().filter(|memory| memory.durable.as_deref() == durable) {
            Some(memory) => awaited(&memory.cursor),
            None => durable
                .and_then(|text| Cursor::parse(text, &self.name).ok())
                .map_or_else(Default::default, |c| awaited(&c)),
        }
    }

    fn look(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        let now = Moment { wall: look.clock.now(), tick: look.clock.tick() };
        let mut cursor = self.load(ledger)?;
        cursor.check_columns(self.table.shape(), &self.name)?;
        pull_in(&mut cursor.marks, now);
        if self.settling() == Settling::Fence {
            // Marks of another way to settle say nothing of writers.
            cursor.marks.retain(|mark| mark.fenced);
        }
        self.test_round_trip()?;
        self.note_filters(&mut cursor, look, ledger)?;
        self.sweeps = self.is_sweep_due(&cursor, look, now);
        let by_version = self.settling() == Settling::RowVersion;
        let looked = if by_version {
            self.look_by_version(cursor, look, ledger, now)?
        } else {
            self.look_by_watermark(cursor, look, ledger, now)?
        };
        if looked.hold.is_some() {
            return Ok(looked);
        }
        self.count_incomplete(look, looked.seen > 0)?;
        self.settled = self.how_far(now)?;
        let degraded: Vec<String> = self.incomplete.text.iter().cloned().chain(self.table.hazard()).collect();
        let degraded = (!degraded.is_empty()).then(|| degraded.join("; "));
        Ok(self.with_sweeps(Looked { degraded, settled: self.settled.clone(), ..looked }))
    }

    fn look_by_watermark(
        &mut self,
        mut cursor: Cursor,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
        now: Moment,
    ) -> Result<Looked> {
        // Passes by row version may come back, but not to where they were.
        cursor.versions = None;
        self.take_overlap(&cursor);
        let plan = self.plan(&mut cursor, look, ledger, now)?;
        let edge = cursor.safe.clone().map(|at| Edge { at, ties: cursor.ties });
        let sweeps = self.sweeps && is_whole(&plan, edge.as_ref());
        let looked = match plan {
            Plan::Hold(hold) => return Ok(Looked { hold: Some(hold), ..Looked::default() }),
            Plan::Nothing => {
                let durable = ledger.cursor().map(str::to_owned);
                self.memory = Some(Memory { durable, cursor });
                Looked { complete: true, ..Looked::default() }
            }
            Plan::Pass(pass) => self.run_pass(cursor, &pass, look, ledger, now)?,
        };
        if sweeps && looked.hold.is_none() {
            self.sweep(edge.map_or(Reach::Nothing, Reach::UpTo), look, ledger, now)?;
        }
        Ok(looked)
    }

    /// The cursor to start from: the remembered one as long as it belongs to the durable one.
    fn load(&mut self, ledger: &dyn Ledger) -> Result<Cursor> {
        let durable = ledger.cursor();
        let remembered = self.memory.take().filter(|memory| memory.durable.as_deref() == durable);
        match (remembered, durable) {
            (Some(memory), _) => Ok(memory.cursor),
            (None, Some(text)) if text.trim_start().starts_with('{') => Cursor::parse(text, &self.name),
            // Set by an operator, who writes a watermark.
            (None, Some(text)) if self.settling() == Settling::RowVersion => self.versions_at(text),
            (None, Some(text)) => self.cursor_at(text),
            (None, None) => Ok(Cursor::new(self.table.shape())),
        }
    }

    /// Counts what can't become an event, unless that is dear and was done lately.
    fn count_incomplete(&mut self, look: &Look<'_>, seen: bool) -> Result<()> {
        let began = look.clock.tick();
        let recent = self.incomplete.counted_at.is_some_and(|at| began.saturating_sub(at) < COUNT_AGAIN);
        if recent && self.incomplete.dear && !seen {
            return Ok(());
        }
        let text = self.incomplete_rows()?;
        let dear = look.clock.tick().saturating_sub(began) > CHEAP;
        self.incomplete = Incomplete { text, counted_at: Some(began), dear };
        Ok(())
    }

    /// How many rows have no watermark or no key, as a sentence; `None` when all have both.
    pub(super) fn incomplete_rows(&mut self) -> Result<Option<String>> {
        let Some(statement) = self.table.shape().incomplete(INCOMPLETE_MAX) else { return Ok(None) };
        let row = self.ask(&statement)?.into_iter().next().unwrap_or_default();
        let count = |at: usize| row.get(at).cloned().flatten().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        Ok(incomplete_text(&self.settings, count(0), count(1)))
    }

    /// The newest watermark of all rows that have one.
    pub(super) fn newest(&mut self) -> Result<Option<Values>> {
        if self.table.shape().watermark.is_empty() {
            return Ok(None);
        }
        let statement = self.table.shape().newest();
        Ok(self.ask(&statement)?.into_iter().next().map(|row| row.into_iter().flatten().collect()))
    }

    /// Whether `later` is beyond `earlier`, as the database compares them.
    pub(super) fn is_later(&mut self, later: &Values, earlier: &Values) -> Result<bool> {
        let statement = self.table.shape().is_later(later, earlier);
        Ok(self.number(&statement)? == 1)
    }

    /// The number a question has as its answer; 0 when there is no row.
    pub(super) fn number(&mut self, statement: &Statement) -> Result<u64> {
        let first = self.ask(statement)?.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        Ok(first.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Runs a small query.
    pub(super) fn ask(&mut self, statement: &Statement) -> Result<Vec<Vec<Option<String>>>> {
        let parameters: Vec<&str> = statement.parameters.iter().map(String::as_str).collect();
        self.table.ask(&statement.sql, &parameters)
    }

    /// How SAFE follows what was seen.
    pub(super) fn settling(&self) -> Settling {
        match self.table.shape().settling {
            Settling::Overlap(overlap) => {
                Settling::Overlap(overlap.max(Duration::from_secs(self.overlap_s.unwrap_or(0))))
            }
            other => other,
        }
    }

    /// The table's name in events.
    pub(super) fn table_word(&self) -> String {
        self.settings.from.word().to_owned()
    }

    /// Opens a snapshot, does something in it, and ends it.
    fn within_snapshot<R>(
        &mut self,
        stop: &crate::clock::Stop,
        work: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        self.table.begin(stop, &Opening::default())?;
        let result = work(self);
        self.table.end(if result.is_ok() { End::Well } else { End::Broken });
        result
    }
}

impl<T: Table> Source for TableSource<T> {
    fn nature(&self) -> Nature {
        Nature::Row
    }

    fn tracks_keys(&self) -> bool {
        self.settings.track_keys
    }

    fn binding(&self) -> Binding {
        self.binding.clone()
    }

    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        look.stop.check()?;
        let may_skip = self.is_quiet(look, ledger);
        let (safe, mut awaited) = self.standing(ledger);
        awaited.extend(self.between.awaited().cloned());
        let (first, between) = (ledger.cursor().is_none(), self.between.is_possible(look));
        let opening = Opening { may_skip, safe: safe.as_ref(), first, awaited: &awaited, polls: true, between };
        if self.table.begin(look.stop, &opening)? == Begun::Unchanged {
            let degraded = self.incomplete.text.clone();
            let looked = Looked { complete: true, degraded, settled: self.settled.clone(), ..Looked::default() };
            return Ok(self.with_sweeps(looked));
        }
        let looked = self.look(look, ledger);
        // A hold ended the look early: the next one must not be skipped.
        let end = match &looked {
            Ok(looked) if looked.hold.is_none() || looked.complete => End::Well,
            _ => End::Broken,
        };
        self.table.end(end);
        looked
    }

    fn probe(&mut self) -> Result<Vec<String>> {
        self.within_snapshot(&crate::clock::Stop::new(), Self::findings)
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        self.within_snapshot(&crate::clock::Stop::new(), Self::examined)
    }

    fn watch(&mut self, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
        self.table.watch(wake)
    }

    fn explain(&mut self, key: &Key) -> Result<Vec<String>> {
        self.explain_from(key, None)
    }

    fn explain_from(&mut self, key: &Key, cursor: Option<&str>) -> Result<Vec<String>> {
        self.within_snapshot(&crate::clock::Stop::new(), |source| source.story(key, cursor))
    }
}

/// Whether a plan goes through everything beyond SAFE, in one snapshot.
fn is_whole(plan: &Plan, safe: Option<&Edge>) -> bool {
    match plan {
        Plan::Hold(_) => false,
        Plan::Nothing => true,
        Plan::Pass(pass) => pass.position.is_none() && pass.floor_edge().as_ref() == safe,
    }
}

fn incomplete_text(settings: &TableSettings, no_watermark: u64, no_key: u64) -> Option<String> {
    let one = |count: u64, what: &str, columns: &[String]| {
        let rows = match count {
            0 => return None,
            1 => "1 row has".into(),
            INCOMPLETE_MAX => format!("{count} rows or more have"),
            _ => format!("{count} rows have"),
        };
        Some(format!("{rows} no {what} ({} is NULL) and can't be told", columns.join(" or ")))
    };
    let found = [one(no_watermark, "watermark", &settings.watermark), one(no_key, "key", &settings.key)];
    let found: Vec<String> = found.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join("; "))
}

fn binding(settings: &TableSettings, location: &str) -> Binding {
    let (what, query) = match &settings.from {
        TableFrom::Table(name) => (format!("table {name}"), ""),
        TableFrom::Query(query) => ("query".to_owned(), query.as_str()),
    };
    let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let filters = serde_json::json!({ "watermark": settings.watermark, "key": settings.key, "query": query });
    Binding { location: format!("{location} {what}"), filters: filters.to_string() }
}
