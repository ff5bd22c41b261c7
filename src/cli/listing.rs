//! Tables for people: columns without borders, printed a stretch at a time so that long lists need no memory.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::output::Out;
use crate::clock::Timestamp;
use crate::error::Result;

/// Rows that are measured and printed together.
const STRETCH_ROWS: usize = 500;

/// A table that is being printed.
pub struct Listing {
    header: Vec<&'static str>,
    numbers: Vec<usize>,
    rows: Vec<Vec<String>>,
    printed: bool,
}

impl Listing {
    /// A table with these columns; those at `numbers` are aligned to the right.
    pub fn new(header: &[&'static str], numbers: &[usize]) -> Self {
        Self { header: header.to_vec(), numbers: numbers.to_vec(), rows: Vec::new(), printed: false }
    }

    /// Adds a row; returns whether anybody still reads.
    pub fn row(&mut self, cells: Vec<String>, out: &mut Out<'_>) -> Result<bool> {
        self.rows.push(cells);
        if self.rows.len() < STRETCH_ROWS { Ok(true) } else { self.print(out) }
    }

    /// Prints what is left; nothing at all when there never was a row.
    pub fn end(mut self, out: &mut Out<'_>) -> Result<bool> {
        if self.rows.is_empty() { Ok(true) } else { self.print(out) }
    }

    fn print(&mut self, out: &mut Out<'_>) -> Result<bool> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.printed {
            table.set_header(self.header.clone());
        }
        table.add_rows(self.rows.drain(..));
        for column in table.column_iter_mut() {
            let alignment =
                if self.numbers.contains(&column.index) { CellAlignment::Right } else { CellAlignment::Left };
            column.set_padding((0, 2));
            column.set_cell_alignment(alignment);
        }
        self.printed = true;
        for line in table.lines() {
            if !out.line(line.trim_end())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A moment to the millisecond, in UTC, for programs: `2026-11-23T10:15:00.25Z`.
pub fn millis(at: Timestamp) -> String {
    at.whole_millis().to_rfc3339()
}

/// A moment to the second, in UTC; `-` for none.
pub fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), seconds)
}

/// A moment to the second, in UTC: `2026-11-23T10:15:00Z`.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").unwrap_or_else(|| at.to_rfc3339())
}

/// `1 event`, `2 events`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) if count != 1 => format!("{stem}ies"),
        _ if count != 1 => format!("{noun}s"),
        _ => noun.to_owned(),
    };
    format!("{count} {plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_borders_and_numbers_to_the_right() {
        let mut bytes = Vec::new();
        let mut out = Out::to(&mut bytes);
        let mut listing = Listing::new(&["NAME", "COUNT", "STATE"], &[1]);
        listing.row(vec!["orders".into(), "7".into(), "ok".into()], &mut out).expect("writes");
        listing.row(vec!["b".into(), "1200".into(), "held".into()], &mut out).expect("writes");
        listing.end(&mut out).expect("writes");
        drop(out);
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text, "NAME    COUNT  STATE\norders      7  ok\nb        1200  held\n");
    }

    #[test]
    fn an_empty_table_prints_nothing() {
        let mut bytes = Vec::new();
        Listing::new(&["NAME"], &[]).end(&mut Out::to(&mut bytes)).expect("writes");
        assert!(bytes.is_empty());
    }

    #[test]
    fn times_are_to_the_second_and_nouns_are_counted() {
        assert_eq!(seconds(Timestamp::from_millis(1_500)), "1970-01-01T00:00:01Z");
        assert_eq!(time(None), "-");
        assert_eq!((counted(1, "delivery"), counted(0, "delivery")), ("1 delivery".into(), "0 deliveries".into()));
    }
}
