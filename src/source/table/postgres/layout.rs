//! What PostgreSQL tells of a table: columns and types, collations, unique keys; and how a row is read.

use tokio_postgres::Column as Described;
use tokio_postgres::types::{FromSql, Type};

use super::cell::Cell;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::TableSettings;
use crate::source::table::Row;
use crate::source::table::dialect::Dialect;
use crate::source::table::json::{joined, push_text, too_large};
use crate::source::table::settling::{Resolution, Settling};
use crate::source::table::statement::{Column, Shape};

/// A table's columns, and which of them make up watermark and key.
#[derive(Default)]
pub struct Layout {
    /// What the shared SQL needs to know.
    pub shape: Shape,
    /// The columns of a page, for SELECT.
    pub selected: String,
    /// Name and type of every column, to notice a change.
    pub described: Vec<(String, Type)>,
    fields: Vec<Field>,
    watermark: Vec<Part>,
    key: Vec<Part>,
    settled_at: usize,
}

/// One column of the row.
struct Field {
    name: String,
    /// `"name":`
    label: String,
    cell: Cell,
}

/// One column of the watermark or key.
struct Part {
    field: usize,
    /// Where its text is, when the value itself does not give it: a place in the page's columns.
    text_at: Option<usize>,
}

/// What the catalogue says of a table's column.
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Its collation, where that is not the database's own.
    pub collation: Option<String>,
    /// Whether texts that differ may be equal under it.
    pub fuzzy: bool,
}

/// A column's bytes, whatever its type.
pub struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Layout {
    /// Puts together what was described and what the catalogue says (empty for queries).
    pub fn of(
        described: &[Described],
        catalog: &[CatalogColumn],
        settling: Settling,
        settings: &TableSettings,
        place: &str,
    ) -> Result<Self> {
        let fields: Vec<Field> = described.iter().map(Field::of).collect();
        check_names(&fields, place)?;
        let place_of = |wanted: &String| {
            fields.iter().position(|field| field.name == *wanted).ok_or_else(|| {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let fact = format!("there is no column \"{wanted}\" in {place}; the columns are {}", names.join(", "));
                Error::new(ErrorKind::NotFound, fact)
            })
        };
        let mut selected: Vec<String> = fields.iter().map(Field::selected).collect();
        let mut part = |wanted: &String| -> Result<Part> {
            let field = place_of(wanted)?;
            let text_at = (!fields[field].cell.has_text()).then(|| {
                selected.push(format!("t.{}::text", Dialect::POSTGRES.quoted(wanted)));
                selected.len() - 1
            });
            Ok(Part { field, text_at })
        };
        let watermark = settings.watermark.iter().map(&mut part).collect::<Result<Vec<Part>>>()?;
        let key = settings.key.iter().map(&mut part).collect::<Result<Vec<Part>>>()?;
        if (watermark.is_empty() && settling != Settling::RowVersion) || key.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("a source on {place} needs a watermark and a key column"),
            ));
        }
        let column = |part: &Part| column(&described[part.field], catalog);
        let is_clock =
            |part: &Part| matches!(fields[part.field].cell, Cell::Date | Cell::Timestamp | Cell::TimestampTz);
        let resolution = if !watermark.is_empty() && watermark.iter().all(is_clock) {
            Resolution::Clock
        } else {
            Resolution::Unknown
        };
        let shape = Shape {
            from: Dialect::POSTGRES.source_of_rows(&settings.from),
            watermark: watermark.iter().map(column).collect(),
            key: key.iter().map(column).collect(),
            resolution,
            settling,
            dialect: Dialect::POSTGRES,
            ..Shape::default()
        };
        let described = described.iter().map(|c| (c.name().to_owned(), c.type_().clone())).collect();
        let settled_at = selected.len();
        Ok(Self { shape, selected: selected.join(", "), described, fields, watermark, key, settled_at })
    }

    /// Reads one row of a page into `out`.
    pub fn read(&self, row: &tokio_postgres::Row, out: &mut Row) -> std::result::Result<(), tokio_postgres::Error> {
        out.clear();
        for (at, field) in self.fields.iter().enumerate() {
            out.row_json.push(if at == 0 { '{' } else { ',' });
            out.row_json.push_str(&field.label);
            if let Err(problem) = field.push_json(row, at, &mut out.row_json)? {
                let remedy = "mend the value, or leave the column out by query";
                out.problem.get_or_insert(format!("column {} {problem}; {remedy}", field.name));
            }
        }
        out.row_json.push('}');
        self.object(row, &self.key, &mut out.key_json)?;
        self.object(row, &self.watermark, &mut out.watermark_json)?;
        self.texts(row, &self.watermark, &mut out.position.watermark, &mut out.problem)?;
        self.texts(row, &self.key, &mut out.position.key, &mut out.problem)?;
        match out.position.key.as_slice() {
            [single] => out.key.extend_from_slice(single.as_bytes()),
            several => out.key.extend_from_slice(joined(several.iter().map(String::as_str)).as_bytes()),
        }
        let is_set = |at: usize| row.try_get::<_, Option<i32>>(at).map(|flag| flag == Some(1));
        out.settled = is_set(self.settled_at)?;
        out.quiet = row.len() > self.settled_at + 1 && is_set(self.settled_at + 1)?;
        Ok(())
    }

    fn object(
        &self,
        row: &tokio_postgres::Row,
        parts: &[Part],
        out: &mut String,
    ) -> std::result::Result<(), tokio_postgres::Error> {
        out.push('{');
        for (at, part) in parts.iter().enumerate() {
            let field = &self.fields[part.field];
            out.push_str(if at == 0 { "" } else { "," });
            out.push_str(&field.label);
            // What can't be said has made the row refused already.
            let _ = field.push_json(row, part.field, out)?;
        }
        out.push('}');
        Ok(())
    }

    fn texts(
        &self,
        row: &tokio_postgres::Row,
        parts: &[Part],
        out: &mut Vec<String>,
        problem: &mut Option<String>,
    ) -> std::result::Result<(), tokio_postgres::Error> {
        out.resize_with(parts.len(), String::new);
        for (text, part) in out.iter_mut().zip(parts) {
            text.clear();
            let (at, cell) = match part.text_at {
                Some(at) => (at, &Cell::AsText),
                None => (part.field, &self.fields[part.field].cell),
            };
            // Rows by version may have no watermark.
            let Raw(Some(raw)) = row.try_get(at)? else { continue };
            if let Err(found) = cell.push_text(text, raw) {
                problem.get_or_insert(format!("column {} {found}", self.fields[part.field].name));
            }
        }
        Ok(())
    }
}

impl Field {
    fn of(column: &Described) -> Self {
        let mut label = String::new();
        push_text(&mut label, column.name());
        label.push(':');
        Self { name: column.name().to_owned(), label, cell: Cell::of(column.type_()) }
    }

    fn selected(&self) -> String {
        self.cell.selected(&format!("t.{}", Dialect::POSTGRES.quoted(&self.name)))
    }

    fn push_json(
        &self,
        row: &tokio_postgres::Row,
        at: usize,
        out: &mut String,
    ) -> std::result::Result<std::result::Result<(), String>, tokio_postgres::Error> {
        let Raw(raw) = row.try_get(at)?;
        let Some(raw) = raw else {
            out.push_str("null");
            return Ok(Ok(()));
        };
        if let Some(problem) = too_large(raw.len()) {
            out.push_str("null");
            return Ok(Err(problem));
        }
        Ok(self.cell.push_json(out, raw).map_err(str::to_owned))
    }
}

fn check_names(fields: &[Field], place: &str) -> Result<()> {
    let twice = fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|f| f.name == field.name));
    let Some((_, field)) = twice else { return Ok(()) };
    let fact = format!("column \"{}\" occurs twice in {place}; give each a name of its own (AS)", field.name);
    Err(Error::new(ErrorKind::Invalid, fact))
}

fn column(described: &Described, catalog: &[CatalogColumn]) -> Column {
    let kind = described.type_();
    let quoted = |name: &str| Dialect::POSTGRES.quoted(name);
    let known = catalog.iter().find(|column| column.name == described.name());
    let plain = Column::plain(described.name(), kind.name());
    let cast = format!("{}::text::{}.{}", Column::PLACE, quoted(kind.schema()), quoted(kind.name()));
    // Where texts that differ can be equal, the order would not tell them apart and a page could begin in their middle.
    let collation = match known {
        Some(column) if column.fuzzy => Some("\"pg_catalog\".\"C\"".to_owned()),
        Some(column) => column.collation.clone(),
        None => None,
    };
    let suffix = collation.map_or(String::new(), |collation| format!(" COLLATE {collation}"));
    Column {
        ordered: format!("{}{}", plain.sql, if known.is_some_and(|c| c.fuzzy) { &suffix } else { "" }),
        as_text: format!("{}::text", plain.sql),
        from_text: format!("{cast}{suffix}"),
        nullable: known.is_none_or(|column| column.nullable),
        ..plain
    }
}
