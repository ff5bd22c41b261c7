//! What the driver tells of a table: its columns and their classes; and how a row is read.

use std::time::Duration;

use super::cell::push_json;
use super::engine::Engine;
use super::wire::{Cell, Class, Described};
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::{Settle, TableSettings};
use crate::source::table::dialect::Dialect;
use crate::source::table::json::{VALUE_MAX, joined, push_text};
use crate::source::table::settling::{Resolution, Settling};
use crate::source::table::statement::{Column, Shape};
use crate::source::table::{Position, Row};

/// `settle = "auto"`: how long commits are waited for.
const OVERLAP: Duration = Duration::from_secs(60);

const OTHER_WIDTH: &str = "the driver gave a row of another width than it described";

/// A table's columns, and which of them make up watermark and key.
#[derive(Default)]
pub struct Layout {
    /// What the shared SQL needs to know.
    pub shape: Shape,
    /// The columns of a page, for SELECT.
    pub selected: String,
    /// Watermark and key alone, for SELECT.
    pub selected_position: String,
    /// What the driver said, to notice a change.
    pub described: Vec<Described>,
    /// `"name":` of each column.
    labels: Vec<String>,
    watermark: Vec<usize>,
    key: Vec<usize>,
}

/// Why a row can't be read.
pub enum Unread {
    /// A value was cut: the row is fetched again, whole.
    Cut,
    /// The row has other columns than the table was described with, or a key without a text.
    Odd(&'static str),
}

/// What is known of a table beside its columns.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The database.
    pub engine: Engine,
    /// How it writes SQL.
    pub dialect: Dialect,
    /// The database's own words for the types of watermark and key, by column; empty where it was not asked.
    pub types: &'a [(String, String)],
    /// The primary key's columns.
    pub primary_key: &'a [String],
    /// Where it is, for messages.
    pub place: &'a str,
}

impl Layout {
    /// Puts together what was described.
    pub fn of(described: Vec<Described>, known: &Known<'_>, settings: &TableSettings) -> Result<Self> {
        let Known { engine, dialect, place, .. } = known;
        check_names(&described, place)?;
        let place_of = |wanted: &String| place_of(&described, wanted, place);
        let watermark = settings.watermark.iter().map(place_of).collect::<Result<Vec<usize>>>()?;
        let key = settings.key.iter().map(place_of).collect::<Result<Vec<usize>>>()?;
        if watermark.is_empty() || key.is_empty() {
            let fact = format!("a source on {place} needs a watermark and a key column");
            return Err(Error::new(ErrorKind::Config, fact));
        }
        let column = |at: &usize| {
            let described = &described[*at];
            let type_name = known.types.iter().find(|(name, _)| *name == described.name);
            engine.column(described, type_name.map_or("", |(_, kind)| kind), dialect)
        };
        let is_clock = |at: &usize| matches!(described[*at].class, Class::Date | Class::Timestamp);
        let resolution = if watermark.iter().all(is_clock) { Resolution::Clock } else { Resolution::Unknown };
        let columns: Vec<Column> = watermark.iter().map(column).collect();
        let is_rowversion = *engine == Engine::SqlServer
            && matches!(columns.as_slice(), [one] if matches!(one.type_name.as_str(), "timestamp" | "rowversion"));
        if settings.settle == Settle::ActiveRowversion && !is_rowversion {
            let fact = format!(
                "settle = \"active-rowversion\" needs a rowversion column of SQL Server as watermark in {place}"
            );
            return Err(Error::new(ErrorKind::Config, format!("{fact}; write settle = \"overlap:60s\"")));
        }
        let auto = if is_rowversion { Settling::Bound } else { Settling::Overlap(OVERLAP) };
        let within = |name: &String| key.iter().any(|at| described[*at].name.eq_ignore_ascii_case(name));
        let shape = Shape {
            from: dialect.source_of_rows(&settings.from),
            watermark: columns,
            key: key.iter().map(column).collect(),
            resolution,
            settling: Settling::of(settings.settle, auto),
            unique_key: !known.primary_key.is_empty() && known.primary_key.iter().all(within),
            dialect: *dialect,
            dummy: engine.dummy(),
            ..Shape::default()
        };
        let plain = described.iter().map(|column| format!("t.{}", dialect.quoted(&column.name)));
        let texts: Vec<String> = shape.order().map(|column| column.as_text.clone()).collect();
        let selected_position = texts.join(", ");
        let selected = plain.chain(texts).collect::<Vec<_>>().join(", ");
        let labels = described.iter().map(|column| label(&column.name)).collect();
        Ok(Self { shape, selected, selected_position, described, labels, watermark, key })
    }

    /// Reads one row of a page into `out`. `is_whole` says that a cut value is too large rather than in need of more room.
    pub fn read(&self, row: &[Cell], is_whole: bool, out: &mut Row) -> std::result::Result<(), Unread> {
        out.clear();
        let own = self.described.len();
        let texts = self.watermark.len() + self.key.len();
        if row.len() != own + texts + 1 {
            return Err(Unread::Odd(OTHER_WIDTH));
        }
        if !is_whole && row.iter().any(|cell| matches!(cell, Cell::Cut(_))) {
            return Err(Unread::Cut);
        }
        for (at, column) in self.described.iter().enumerate() {
            out.row_json.push(if at == 0 { '{' } else { ',' });
            out.row_json.push_str(&self.labels[at]);
            if let Err(problem) = push_json(&mut out.row_json, &row[at], column.class, VALUE_MAX) {
                let remedy = "mend the value, or leave the column out by query";
                out.problem.get_or_insert(format!("column {} {problem}; {remedy}", column.name));
            }
        }
        out.row_json.push('}');
        self.object(row, &self.watermark, &mut out.watermark_json);
        self.object(row, &self.key, &mut out.key_json);
        self.take(&row[own..own + texts], &mut out.position)?;
        match out.position.key.as_slice() {
            [single] => out.key.extend_from_slice(single.as_bytes()),
            several => out.key.extend_from_slice(joined(several.iter().map(String::as_str)).as_bytes()),
        }
        out.settled = matches!(&row[own + texts], Cell::Text(text) if text.trim() == "1");
        Ok(())
    }

    /// Reads watermark and key alone.
    pub fn read_position(&self, row: &[Cell], is_whole: bool, out: &mut Row) -> std::result::Result<(), Unread> {
        let texts = self.watermark.len() + self.key.len();
        if row.len() != texts + 1 {
            return Err(Unread::Odd(OTHER_WIDTH));
        }
        if !is_whole && row.iter().any(|cell| matches!(cell, Cell::Cut(_))) {
            return Err(Unread::Cut);
        }
        self.take(&row[..texts], &mut out.position)
    }

    fn take(&self, cells: &[Cell], out: &mut Position) -> std::result::Result<(), Unread> {
        let (watermark, key) = cells.split_at(self.watermark.len());
        take(watermark, &mut out.watermark)?;
        take(key, &mut out.key)
    }

    fn object(&self, row: &[Cell], columns: &[usize], out: &mut String) {
        for (at, column) in columns.iter().enumerate() {
            out.push(if at == 0 { '{' } else { ',' });
            out.push_str(&self.labels[*column]);
            // What can't be said has made the row refused already.
            let _ = push_json(out, &row[*column], self.described[*column].class, VALUE_MAX);
        }
        out.push('}');
    }
}

/// The columns that are named, whatever their case where no other has the same.
pub fn place_of(described: &[Described], wanted: &str, place: &str) -> Result<usize> {
    let exact = described.iter().position(|column| column.name == wanted);
    let any = || described.iter().position(|column| column.name.eq_ignore_ascii_case(wanted));
    exact.or_else(any).ok_or_else(|| {
        let names: Vec<&str> = described.iter().map(|column| column.name.as_str()).collect();
        let fact = format!("there is no column \"{wanted}\" in {place}; the columns are {}", names.join(", "));
        Error::new(ErrorKind::NotFound, fact)
    })
}

fn take(cells: &[Cell], out: &mut Vec<String>) -> std::result::Result<(), Unread> {
    out.clear();
    for cell in cells {
        let Cell::Text(text) = cell else {
            return Err(Unread::Odd("a watermark or key is no text, or larger than a key can be"));
        };
        out.push(text.clone());
    }
    Ok(())
}

fn label(name: &str) -> String {
    let mut label = String::new();
    push_text(&mut label, name);
    label + ":"
}

fn check_names(described: &[Described], place: &str) -> Result<()> {
    let twice = described.iter().enumerate().find(|(at, c)| described[..*at].iter().any(|other| other.name == c.name));
    let Some((_, column)) = twice else { return Ok(()) };
    let fact = format!("column \"{}\" occurs twice in {place}; give each a name of its own (AS)", column.name);
    Err(Error::new(ErrorKind::Invalid, fact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::table::{Edge, Span};

    fn sql_server(settle: Settle, watermark: &str) -> Result<Layout> {
        let column = |name: &str, class, size| Described { name: name.into(), class, size, scale: 0, nullable: false };
        let described = vec![
            column("id", Class::Integer, 10),
            column("changed", Class::Binary, 8),
            column("at", Class::Timestamp, 27),
        ];
        let types = [("changed".to_owned(), "timestamp".to_owned()), ("at".to_owned(), "datetime".to_owned())];
        let known = Known {
            engine: Engine::SqlServer,
            dialect: Engine::SqlServer.dialect("\""),
            types: &types,
            primary_key: &["ID".to_owned()],
            place: "table dbo.item",
        };
        Layout::of(described, &known, &TableSettings { settle, ..TableSettings::sample("dbo.item", watermark, "id") })
    }

    #[test]
    fn a_rowversion_column_of_sql_server_is_followed_by_what_is_active() {
        let layout = sql_server(Settle::Auto, "changed").expect("a layout");
        assert_eq!(layout.shape.settling, Settling::Bound);
        assert!(layout.shape.unique_key);
        let edge = Edge { at: vec!["0x00000000000007D0".into()], ties: false };
        let page = layout.shape.page(&layout.selected, &Span { floor: Some(edge), ..Span::default() }, Some(10));
        assert_eq!(
            page.sql,
            "SELECT TOP (10) t.\"id\", t.\"changed\", t.\"at\", CONVERT(varchar(18), CONVERT(varbinary(8), \
             t.\"changed\"), 1), CONVERT(varchar(40), t.\"id\"), CASE WHEN 1 = 0 THEN 1 ELSE 0 END FROM \
             \"dbo\".\"item\" t WHERE t.\"changed\" > CONVERT(binary(8), ?, 1) ORDER BY t.\"changed\", t.\"id\""
        );
        assert_eq!(sql_server(Settle::Auto, "at").expect("a layout").shape.settling, Settling::Overlap(OVERLAP));
        let error = sql_server(Settle::ActiveRowversion, "at").err().expect("no rowversion");
        assert!(error.to_string().contains("needs a rowversion column"), "{error}");
    }

    #[test]
    fn times_of_sql_server_keep_their_own_type() {
        let layout = sql_server(Settle::Auto, "at").expect("a layout");
        let statement = layout.shape.has_watermark(&vec!["2026-11-23 10:15:00.003".into()]);
        assert!(statement.sql.ends_with("t.\"at\" = CONVERT(datetime, ?, 121)"), "{}", statement.sql);
    }
}
