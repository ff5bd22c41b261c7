//! What `doctor` tries on a table, whatever the database. What one kind of database adds belongs to its adapter.

use std::time::Duration;

use super::settling::{Resolution, guard};
use super::{Table, TableSource};
use crate::error::Result;
use crate::setting::Interval;
use crate::source::{Finding, Verdict};

/// Among so many of the newest rows, ties are counted.
const TIES_OF: u64 = 10_000;
/// So many rows with one watermark are a lot: they are read again as long as more of them may come.
const TIES_MANY: u64 = 1_000;

impl<T: Table> TableSource<T> {
    /// Tries what this source depends on, inside a snapshot.
    pub(super) fn examined(&mut self) -> Result<Vec<Finding>> {
        let mut findings = vec![Finding::new("server", Verdict::Note, self.table.server()?)];
        let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
        let shape = self.table.shape();
        let named = |columns: &[super::statement::Column]| {
            let each: Vec<String> = columns.iter().map(|c| format!("{} {}", c.name, c.type_name)).collect();
            each.join(", ")
        };
        let (watermark, key, unique) = (named(&shape.watermark), named(&shape.key), shape.unique_key);
        let (mode, resolution) = (shape.settling.word(), shape.resolution);
        tell("table", Verdict::Works, format!("{} can be read", self.table_word()));
        match unique {
            true => tell("key", Verdict::Works, format!("{key}: kept unique by an index")),
            false => tell("key", Verdict::Note, format!("{key}: no index keeps it unique; the first load checks it")),
        }
        match self.table.is_indexed()? {
            true => tell("index", Verdict::Works, "an index serves the order of watermark and key".into()),
            false => {
                let detail = format!("no index serves the order ({watermark}, {key}): every poll reads all rows");
                tell("index", Verdict::Problem, detail);
            }
        }
        match self.incomplete_rows()? {
            None => tell("nulls", Verdict::Works, "every row has watermark and key".into()),
            Some(text) => tell("nulls", Verdict::Problem, text),
        }
        match self.newest()? {
            None => tell("watermark", Verdict::Note, format!("{watermark}: no row has one yet")),
            Some(newest) => {
                tell("watermark", Verdict::Note, format!("{watermark}: the newest is {}", newest.join(", ")));
                let statement = self.table.shape().has_watermark(&newest);
                match self.number(&statement)? {
                    1 => {
                        tell("round trip", Verdict::Works, "the newest watermark, as text, finds its row again".into())
                    }
                    _ => tell(
                        "round trip",
                        Verdict::Problem,
                        "the newest watermark, as text, is not equal to itself".into(),
                    ),
                }
                tell("resolution", Verdict::Note, resolution_words(resolution, guard(&newest, resolution)));
                let statement = self.table.shape().ties(TIES_OF);
                let ties = self.number(&statement)?;
                let verdict = if ties > TIES_MANY { Verdict::Problem } else { Verdict::Works };
                tell("ties", verdict, format!("at most {ties} of the newest {TIES_OF} rows share one watermark"));
            }
        }
        let unknown = "whether every UPDATE moves the watermark can't be seen from here: a row whose watermark stays is told \
                       only by settle = \"row-version\" or by a sweep";
        tell("updates", Verdict::Note, unknown.into());
        match self.table.hazard() {
            None => tell("settle", Verdict::Works, mode),
            Some(why) => tell("settle", Verdict::Problem, format!("{mode}: {why}")),
        }
        findings.extend(self.table.examine()?);
        Ok(findings)
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
