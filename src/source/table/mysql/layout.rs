//! How the rows of a MySQL table are read, and how its watermark and key stand in comparisons.
//! What the database says of the table is asked for in `catalog`.

use std::time::Duration;

use mysql_async::Column as Described;
use mysql_async::Value;
use mysql_async::consts::{ColumnFlags, ColumnType};

use super::catalog::{Catalog, CatalogColumn, Whose};
use super::cell::Cell;
use super::digest;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::{Settle, TableSettings};
use crate::source::table::dialect::Dialect;
use crate::source::table::json::{joined, push_text, too_large};
use crate::source::table::settling::{Resolution, Settling};
use crate::source::table::statement::{Column, Shape};
use crate::source::table::{Position, Row, Values};

/// How long commits are waited for where dirty reads show nothing.
const OVERLAP: Duration = Duration::from_secs(60);

/// A table's columns, and which of them make up watermark and key.
#[derive(Default)]
pub struct Layout {
    /// What the shared SQL needs to know.
    pub shape: Shape,
    /// The columns of a page, for SELECT.
    pub selected: String,
    /// Every column as it was described, to notice a change.
    pub described: Vec<Seen>,
    /// The type of the watermark's column, where there is one that is a point in time.
    pub clock: Option<Cell>,
    /// SQL for the bytes of the texts of key and watermark; `None` where SQL writes one of them otherwise than we do.
    texts: Option<Vec<String>>,
    fields: Vec<Field>,
    watermark: Vec<usize>,
    key: Vec<usize>,
}

/// What tells one description of a column from another.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen(String, ColumnType, ColumnFlags, u8, u16);

impl Seen {
    /// That of a column.
    pub fn of(column: &Described) -> Self {
        let (kind, flags) = (column.column_type(), column.flags());
        Self(column.name_str().into_owned(), kind, flags, column.decimals(), column.character_set())
    }
}

/// One column of the row.
struct Field {
    name: String,
    /// `"name":`
    label: String,
    cell: Cell,
}

impl Layout {
    /// Puts together what was described and what the catalogue says.
    pub fn of(described: &[Described], catalog: &Catalog, settings: &TableSettings, place: &str) -> Result<Self> {
        let fields: Vec<Field> = described.iter().map(|column| Field::of(column, catalog)).collect();
        check_names(&fields, place)?;
        let place_of = |wanted: &String| {
            fields.iter().position(|field| field.name == *wanted).ok_or_else(|| {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let fact = format!("there is no column \"{wanted}\" in {place}; the columns are {}", names.join(", "));
                Error::new(ErrorKind::NotFound, fact)
            })
        };
        let watermark = settings.watermark.iter().map(place_of).collect::<Result<Vec<usize>>>()?;
        let key = settings.key.iter().map(place_of).collect::<Result<Vec<usize>>>()?;
        if watermark.is_empty() || key.is_empty() {
            let fact = format!("a source on {place} needs a watermark and a key column");
            return Err(Error::new(ErrorKind::Config, fact));
        }
        let part = |at: &usize, unique: bool| column(&described[*at], &fields[*at], catalog, unique);
        let clock = match watermark.as_slice() {
            [single] => Some(fields[*single].cell).filter(|cell| cell.is_clock()),
            _ => None,
        };
        let auto = if catalog.shows_uncommitted { Settling::Bound } else { Settling::Overlap(OVERLAP) };
        if let (Settle::DirtyRead, Some(engine), Whose::Own) = (settings.settle, &catalog.engine, catalog.whose) {
            let fact = format!("settle = \"dirty-read\" sees nothing in flight in {place}, whose engine is {engine}");
            let remedy = "write settle = \"overlap:60s\" or longer, or make it an InnoDB table";
            return Err(Error::new(ErrorKind::Config, format!("{fact}; {remedy}")));
        }
        let shape = Shape {
            from: Dialect::MYSQL.source_of_rows(&settings.from),
            watermark: watermark.iter().map(|at| part(at, true)).collect::<Result<_>>()?,
            key: key.iter().map(|at| part(at, catalog.unique_key)).collect::<Result<_>>()?,
            resolution: if clock.is_some() { Resolution::Clock } else { Resolution::Unknown },
            settling: Settling::of(settings.settle, auto),
            unique_key: catalog.unique_key,
            identity: catalog.identity.clone(),
            dialect: Dialect::MYSQL,
            dummy: "",
        };
        let selected: Vec<String> = fields.iter().map(Field::selected).collect();
        let text = |at: &usize| digest::bytes(&described[*at], fields[*at].cell, &fields[*at].selected());
        let texts = key.iter().chain(&watermark).map(text).collect();
        let described = described.iter().map(Seen::of).collect();
        Ok(Self { shape, selected: selected.join(", "), described, clock, texts, fields, watermark, key })
    }

    /// SQL for the digest of a row; `None` where there is none.
    pub fn digest(&self, watermark: bool, digits: u32) -> Option<String> {
        let count = if watermark { usize::MAX } else { self.key.len() };
        let parts: Vec<&str> = self.texts.as_ref()?.iter().take(count).map(String::as_str).collect();
        Some(digest::number(&parts, digits))
    }

    /// The columns of watermark and key, for SELECT.
    pub fn selected_position(&self) -> String {
        let columns = self.watermark.iter().chain(&self.key).map(|at| self.fields[*at].selected());
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Reads them. What has no text is refused where the row is told, and differs until then.
    pub fn read_position(&self, row: &mysql_async::Row, out: &mut Position) {
        let Position { watermark, key } = out;
        let mut next = 0;
        for (parts, texts) in [(&self.watermark, watermark), (&self.key, key)] {
            texts.resize_with(parts.len(), String::new);
            for (text, at) in texts.iter_mut().zip(parts) {
                text.clear();
                let _ = self.fields[*at].cell.push_text(text, value(row, next));
                next += 1;
            }
        }
    }

    /// Reads one row of a page into `out`.
    pub fn read(&self, row: &mysql_async::Row, out: &mut Row) {
        out.clear();
        for (at, field) in self.fields.iter().enumerate() {
            out.row_json.push(if at == 0 { '{' } else { ',' });
            out.row_json.push_str(&field.label);
            if let Err(problem) = field.push_json(&mut out.row_json, value(row, at)) {
                let remedy = "mend the value, or leave the column out by query";
                out.problem.get_or_insert(format!("column {} {problem}; {remedy}", field.name));
            }
        }
        out.row_json.push('}');
        self.object(row, &self.key, &mut out.key_json);
        self.object(row, &self.watermark, &mut out.watermark_json);
        self.texts(row, &self.watermark, &mut out.position.watermark, &mut out.problem);
        self.texts(row, &self.key, &mut out.position.key, &mut out.problem);
        match out.position.key.as_slice() {
            [single] => out.key.extend_from_slice(single.as_bytes()),
            several => out.key.extend_from_slice(joined(several.iter().map(String::as_str)).as_bytes()),
        }
        out.settled = matches!(value(row, self.fields.len()), Value::Int(1) | Value::UInt(1));
    }

    fn object(&self, row: &mysql_async::Row, parts: &[usize], out: &mut String) {
        for (nth, at) in parts.iter().enumerate() {
            let field = &self.fields[*at];
            out.push(if nth == 0 { '{' } else { ',' });
            out.push_str(&field.label);
            // What can't be said has made the row refused already.
            let _ = field.push_json(out, value(row, *at));
        }
        out.push('}');
    }

    fn texts(&self, row: &mysql_async::Row, parts: &[usize], out: &mut Values, problem: &mut Option<String>) {
        out.resize_with(parts.len(), String::new);
        for (text, at) in out.iter_mut().zip(parts) {
            text.clear();
            if let Err(found) = self.fields[*at].cell.push_text(text, value(row, *at)) {
                problem.get_or_insert(format!("column {} {found}", self.fields[*at].name));
            }
        }
    }
}

impl Field {
    fn push_json(&self, out: &mut String, value: &Value) -> std::result::Result<(), String> {
        if let Value::Bytes(bytes) = value
            && let Some(problem) = too_large(bytes.len())
        {
            out.push_str("null");
            return Err(problem);
        }
        self.cell.push_json(out, value).map_err(str::to_owned)
    }

    fn of(column: &Described, catalog: &Catalog) -> Self {
        let name = column.name_str().into_owned();
        let mut label = String::new();
        push_text(&mut label, &name);
        label.push(':');
        let is_json = catalog.column(&name).is_some_and(|column| column.is_json);
        Self { cell: if is_json { Cell::Json } else { Cell::of(column) }, label, name }
    }

    fn selected(&self) -> String {
        format!("t.{}", Dialect::MYSQL.quoted(&self.name))
    }
}

fn value(row: &mysql_async::Row, at: usize) -> &Value {
    row.as_ref(at).unwrap_or(&Value::NULL)
}

fn check_names(fields: &[Field], place: &str) -> Result<()> {
    let twice = fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|f| f.name == field.name));
    let Some((_, field)) = twice else { return Ok(()) };
    let fact = format!("column \"{}\" occurs twice in {place}; give each a name of its own (AS)", field.name);
    Err(Error::new(ErrorKind::Invalid, fact))
}

/// How a column of watermark or key is compared. `in_order` says that texts which are equal under the column's collation
/// need not be told apart: among unique keys there are none, and equal watermarks are told apart by the key.
fn column(described: &Described, field: &Field, catalog: &Catalog, in_order: bool) -> Result<Column> {
    let known = catalog.column(&field.name);
    let plain = Column::written(&field.name, known.map_or("", |column| &column.kind), &Dialect::MYSQL);
    let sql = plain.sql.clone();
    let is_unsigned = described.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let whole = if is_unsigned { "UNSIGNED" } else { "SIGNED" };
    let listed = described.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
    // An ENUM is ordered by its number and compared by its text: only its bytes have one order.
    let collation = known.filter(|_| in_order && !listed).and_then(CatalogColumn::collation);
    let (ordered, from_text) = match field.cell {
        Cell::Whole => (sql, format!("CAST({{}} AS {whole})")),
        Cell::Bits => (format!("({sql} + 0)"), "CAST({} AS UNSIGNED)".into()),
        // Compared as doubles, which every FLOAT is exactly.
        Cell::Single | Cell::Double => (sql, "({} + 0e0)".into()),
        Cell::Decimal => (sql, format!("CAST({{}} AS DECIMAL(65, {}))", described.decimals().min(30))),
        Cell::Date => (sql, "CAST({} AS DATE)".into()),
        Cell::Moment | Cell::Instant => (sql, "CAST({} AS DATETIME(6))".into()),
        Cell::Time => (sql, "CAST({} AS TIME(6))".into()),
        Cell::Bytes => (sql, "UNHEX({})".into()),
        Cell::Geometry => {
            let fact =
                format!("column \"{}\" is spatial and has no order; choose another key or watermark", field.name);
            return Err(Error::new(ErrorKind::Invalid, fact));
        }
        Cell::Text | Cell::Json => match (known.and_then(CatalogColumn::own_type), collation) {
            (Some(own), _) => (sql, format!("CAST({{}} AS {own})")),
            (None, Some((set, collation))) => (sql, format!("CONVERT({{}} USING {set}) COLLATE {collation}")),
            (None, None) => {
                let bytes = |text: &str| format!("CAST(CONVERT({text} USING utf8mb4) AS BINARY)");
                (bytes(&sql), bytes(Column::PLACE))
            }
        },
    };
    Ok(Column { ordered, from_text, nullable: known.is_none_or(|column| column.nullable), ..plain })
}
