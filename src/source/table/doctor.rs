//! What `doctor` tries on a table, whatever the database, and the short form of it that `check --connect` prints. What one kind
//! of database adds belongs to its adapter.

use std::time::{Duration, Instant};

use super::pace::{Pace, pace_words};
use super::settling::{Resolution, Settling, guard};
use super::versions::VersionSpan;
use super::{Table, TableSource};
use crate::error::Result;
use crate::setting::Interval;
use crate::source::settings::{TableFrom, Window};
use crate::source::{Finding, Verdict};

/// Among so many of the newest rows, ties are counted.
const TIES_OF: u64 = 10_000;
/// So many rows with one watermark are a lot: they are read again as long as more of them may come.
const TIES_MANY: u64 = 1_000;
/// What `check` tells in any case.
const ALWAYS_TOLD: [&str; 9] = [
    "watermark",
    "round trip",
    "settle",
    "row-version",
    "fence",
    "dirty-read",
    "active-rowversion",
    "inclusive",
    "overlap",
];
/// What `check` tells where it is not as expected.
const TOLD_IF_NOTED: [&str; 5] = ["key", "replica", "relation", "time zone", "engine"];

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What is said at once.
    Check,
    /// Also what reads many rows.
    Doctor,
}

impl<T: Table> TableSource<T> {
    /// The short form: server, round trip, ways to settle, and each problem with its remedy, a line each.
    ///
    /// # Errors
    /// The watermark is not equal to itself.
    pub(super) fn findings(&mut self) -> Result<Vec<String>> {
        self.test_round_trip()?;
        let findings = self.examined_to(Depth::Check)?;
        // Of the way that is in use "settle" has said it.
        let mode = self.mode();
        let is_new = |finding: &Finding| finding.topic != mode || finding.verdict != Verdict::Works;
        Ok(findings.into_iter().filter(is_new).filter_map(short).collect())
    }

    /// Tries what this source depends on, inside a snapshot.
    pub(super) fn examined(&mut self) -> Result<Vec<Finding>> {
        self.examined_to(Depth::Doctor)
    }

    fn examined_to(&mut self, depth: Depth) -> Result<Vec<Finding>> {
        let mut findings = vec![Finding::new("server", Verdict::Note, self.table.server()?)];
        let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
        tell("table", Verdict::Works, format!("{} can be read", self.table_word()));
        let key = self.settings.key.join(", ");
        match self.table.shape().unique_key {
            true => tell("key", Verdict::Works, format!("{key}: kept unique by an index")),
            false => {
                tell("key", Verdict::Note, format!("{key}: not kept unique by an index; the first load checks it"))
            }
        }
        match self.incomplete_rows()? {
            None => tell("nulls", Verdict::Works, "every row has what it needs to be told".into()),
            Some(text) => {
                tell("nulls", Verdict::Problem, format!("{text}; fill the column, or take one that is NOT NULL"));
            }
        }
        findings.extend(self.index_finding()?);
        findings.extend(self.watermark_findings(depth)?);
        findings.extend(self.settle_finding());
        if depth == Depth::Doctor {
            findings.extend(self.scan_finding()?);
        }
        findings.extend(self.table.examine()?);
        Ok(findings)
    }

    /// What makes the index that polls want, as this database writes it.
    fn index_sql(&self) -> String {
        let shape = self.table.shape();
        let columns: Vec<String> = shape.order().map(|column| shape.dialect.quoted(&column.name)).collect();
        let columns = columns.join(", ");
        match &self.settings.from {
            TableFrom::Table(name) => {
                let table = shape.dialect.parts(name).pop().unwrap_or_default();
                let index = shape.dialect.quoted(&format!("{table}_by_watermark"));
                format!("CREATE INDEX {index} ON {} ({columns})", shape.dialect.quoted_path(name))
            }
            TableFrom::Query(_) => format!("give the table behind the query an index on ({columns})"),
        }
    }

    /// Whether an index serves what polls ask for.
    fn index_finding(&mut self) -> Result<Option<Finding>> {
        let finding = |verdict, detail: String| Ok(Some(Finding::new("index", verdict, detail)));
        let shape = self.table.shape();
        let columns: Vec<&str> = shape.order().map(|column| column.name.as_str()).collect();
        let (columns, key, watermark) =
            (columns.join(", "), self.settings.key.join(", "), self.settings.watermark.join(", "));
        if self.settling() != Settling::RowVersion {
            return match self.table.is_indexed()? {
                true => finding(Verdict::Works, "an index serves the order of watermark and key".into()),
                false => finding(
                    Verdict::Problem,
                    format!("no index serves the order ({columns}): every poll reads all rows; {}", self.index_sql()),
                ),
            };
        }
        let (unique, is_clock) = (shape.unique_key, shape.resolution == Resolution::Clock);
        if !unique && !self.table.is_indexed()? {
            return finding(
                Verdict::Problem,
                format!("no index serves the order ({key}): a first load sorts all rows"),
            );
        }
        let wants_window = is_clock && self.settings.watermark.len() == 1 && self.settings.window != Window::None;
        match wants_window {
            false => finding(Verdict::Note, "no window: every poll scans the whole table by row version".into()),
            true if self.by_version()?.has_window_index()? => {
                finding(Verdict::Works, format!("an index begins with {watermark}: polls scan the window alone"))
            }
            true => finding(
                Verdict::Problem,
                format!("no index begins with {watermark}: every poll scans the whole table; {}", self.index_sql()),
            ),
        }
    }

    fn watermark_findings(&mut self, depth: Depth) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
        let shape = self.table.shape();
        let each: Vec<String> = shape.watermark.iter().map(|c| format!("{} {}", c.name, c.type_name)).collect();
        let (watermark, resolution) = (each.join(", "), shape.resolution);
        if watermark.is_empty() {
            tell("watermark", Verdict::Note, format!("{} is read without a watermark", self.settings.from.word()));
            return Ok(findings);
        }
        let Some(newest) = self.newest()? else {
            tell("watermark", Verdict::Note, format!("{watermark}: no row has one yet"));
            return Ok(findings);
        };
        tell("watermark", Verdict::Note, format!("{watermark}: the newest is {}", self.table.shown(&newest)));
        let statement = self.table.shape().has_watermark(&newest);
        match self.number(&statement)? {
            1 => tell("round trip", Verdict::Works, "the newest watermark, as text, finds its row again".into()),
            _ => tell("round trip", Verdict::Problem, "the newest watermark, as text, is not equal to itself".into()),
        }
        if depth == Depth::Check {
            return Ok(findings);
        }
        tell("resolution", Verdict::Note, resolution_words(resolution, guard(&newest, resolution)));
        let statement = self.table.shape().ties(TIES_OF);
        let ties = self.number(&statement)?;
        let verdict = if ties > TIES_MANY { Verdict::Problem } else { Verdict::Works };
        tell("ties", verdict, format!("at most {ties} of the newest {TIES_OF} rows share one watermark"));
        if self.settling() != Settling::RowVersion {
            let unknown = "whether every UPDATE moves the watermark can't be seen from here: a row whose watermark stays is \
                           told only by settle = \"row-version\" or by a sweep";
            tell("updates", Verdict::Note, unknown.into());
        }
        Ok(findings)
    }

    /// The way to settle that is in use, and why it is safe, or not.
    fn settle_finding(&mut self) -> Option<Finding> {
        let settling = self.settling();
        let mode = self.mode();
        let finding = |verdict, detail| Some(Finding::new("settle", verdict, detail));
        if let Some(why) = self.table.hazard() {
            return finding(Verdict::Problem, format!("{mode}: {why}"));
        }
        let why = match settling {
            Settling::RowVersion => "safe, whatever the watermark is and whoever draws it",
            Settling::Fence => {
                "safe for watermarks drawn inside the writing transaction: SAFE waits for those that were open"
            }
            Settling::Bound => "safe for watermarks that the database draws: SAFE stays below what is in flight",
            Settling::Inclusive => "safe for watermarks that the database draws: it has one writer at a time",
            Settling::Overlap(_) => {
                let why =
                    "safe only if no transaction stays open for longer; sweep = \"1h\" finds and counts what it misses";
                return finding(Verdict::Note, format!("{mode}: {why}"));
            }
        };
        finding(Verdict::Works, format!("{mode}: {why}"))
    }

    /// What one scan by row version costs, which decides how often it may run.
    fn scan_finding(&mut self) -> Result<Option<Finding>> {
        if self.settling() != Settling::RowVersion {
            return Ok(None);
        }
        let coarse = if self.is_windowed()? { self.coarse()? } else { None };
        let began = Instant::now();
        let since = Some(self.by_version()?.horizon()?.xmin);
        self.by_version()?.count_versions(&VersionSpan { since, coarse, ..VersionSpan::default() })?;
        let cost = began.elapsed();
        let mut pace = Pace::default();
        pace.ran(Duration::ZERO, cost);
        let Some(rest) = pace.rest() else {
            let detail = format!("a scan by row version takes {} ms: every poll can scan", cost.as_millis());
            return Ok(Some(Finding::new("scan", Verdict::Works, detail)));
        };
        let (verdict, detail) = match self.by_version()?.has_fence()? {
            true => (Verdict::Note, format!("with \"every\" below {} s: {}", rest.as_secs(), pace_words(cost, rest))),
            false => {
                let fact = format!(
                    "a scan by row version takes {:.1} s, and no fence can serve in between",
                    cost.as_secs_f64()
                );
                let remedy = format!("poll no more often than every {} s", rest.as_secs());
                (Verdict::Note, format!("{fact}: it needs a watermark with an index, on a primary server; {remedy}"))
            }
        };
        Ok(Some(Finding::new("scan", verdict, detail)))
    }
}

/// A line of `check`; nothing where all is as expected.
fn short(finding: Finding) -> Option<String> {
    let Finding { topic, verdict, detail } = finding;
    let topic = topic.as_str();
    match verdict {
        _ if topic == "server" => Some(format!("connected: {detail}")),
        Verdict::Problem => Some(format!("warning: {topic}: {detail}")),
        _ if ALWAYS_TOLD.contains(&topic) => Some(format!("{topic}: {detail}")),
        Verdict::Note | Verdict::Absent if TOLD_IF_NOTED.contains(&topic) => Some(format!("{topic}: {detail}")),
        Verdict::Works | Verdict::Note | Verdict::Absent => None,
    }
}

fn resolution_words(resolution: Resolution, guard: Duration) -> String {
    let guard = Interval::from_millis(u64::try_from(guard.as_millis()).unwrap_or(u64::MAX));
    match resolution {
        Resolution::Unknown => "no point in time: rows with the newest value are read again".into(),
        Resolution::Clock => {
            format!("a point in time: rows of the newest {guard} are read again, for those that share it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_tells_problems_and_how_rows_settle_and_leaves_the_rest_to_doctor() {
        let line = |topic: &str, verdict| short(Finding::new(topic, verdict, "x"));
        assert_eq!(line("server", Verdict::Note).as_deref(), Some("connected: x"));
        assert_eq!(line("settle", Verdict::Works).as_deref(), Some("settle: x"));
        assert_eq!(line("nulls", Verdict::Problem).as_deref(), Some("warning: nulls: x"));
        assert_eq!(line("replica", Verdict::Note).as_deref(), Some("replica: x"));
        assert_eq!(line("replica", Verdict::Works), None);
        assert_eq!(line("ties", Verdict::Works), None);
    }
}
