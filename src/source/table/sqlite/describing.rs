//! What SQLite tells of a table: its columns, whether its key is unique, and how a row is read.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::value::{push_key, push_literal};
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::{TableFrom, TableSettings};
use crate::source::table::Row;
use crate::source::table::dialect::Dialect;
use crate::source::table::json::{push_fmt, push_text, too_large};
use crate::source::table::statement::{Column, Shape};

/// A table's columns, and which of them make up watermark and key.
#[derive(Default)]
pub struct Layout {
    /// What the shared SQL needs to know.
    pub shape: Shape,
    /// The columns of a page, for SELECT.
    pub selected: String,
    /// `"name":` of each column.
    labels: Vec<String>,
    names: Vec<String>,
    /// Whether its numbers are decimals, which are told as strings.
    decimals: Vec<bool>,
    watermark: Vec<usize>,
    key: Vec<usize>,
}

impl Layout {
    /// Asks for everything anew; inside a snapshot, so that it fits the rows.
    pub fn of(
        connection: &Connection,
        settings: &TableSettings,
        place: &str,
        failed: impl Fn(&rusqlite::Error) -> Error,
    ) -> Result<Self> {
        let from = Dialect::SQLITE.source_of_rows(&settings.from);
        let columns = columns(connection, &from).map_err(|e| failed(&e))?;
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let fact =
                format!("column \"{}\" occurs twice in the query on {place}; give each a name of its own", twice.1);
            return Err(Error::new(ErrorKind::Invalid, fact));
        }
        let place_of = |wanted: &String| {
            let exact = names.iter().position(|name| name == wanted);
            exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted))).ok_or_else(|| {
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
        let unique_key = match &settings.from {
            TableFrom::Table(name) => {
                let key: Vec<&str> = key.iter().map(|at| names[*at].as_str()).collect();
                is_unique(connection, name, &key).map_err(|e| failed(&e))?
            }
            TableFrom::Query(_) => false,
        };
        let shape = Shape {
            from,
            watermark: watermark.iter().map(|at| columns[*at].clone()).collect(),
            // The key breaks ties, so equal must mean the same bytes, whatever the column's collation says.
            key: key.iter().map(|at| binary(&columns[*at])).collect(),
            unique_key,
            dialect: Dialect::SQLITE,
            ..Shape::default()
        };
        let selected: Vec<&str> = columns.iter().map(|column| column.sql.as_str()).collect();
        let label = |name: &String| {
            let mut label = String::new();
            push_text(&mut label, name);
            label + ":"
        };
        let decimals = columns.iter().map(|column| is_decimal(&column.type_name)).collect();
        let (labels, selected) = (names.iter().map(label).collect(), selected.join(", "));
        Ok(Self { shape, selected, labels, names, decimals, watermark, key })
    }

    /// Reads one row of a page into `out`.
    pub fn read(&self, row: &rusqlite::Row<'_>, out: &mut Row) -> rusqlite::Result<()> {
        out.clear();
        for (at, label) in self.labels.iter().enumerate() {
            out.row_json.push(if at == 0 { '{' } else { ',' });
            out.row_json.push_str(label);
            if let Err(problem) = push_json(&mut out.row_json, row.get_ref(at)?, self.decimals[at]) {
                let problem =
                    format!("column {} {problem}; mend the value, or leave the column out by query", self.names[at]);
                out.problem.get_or_insert(problem);
            }
        }
        out.row_json.push('}');
        self.object(row, &self.key, &mut out.key_json)?;
        self.object(row, &self.watermark, &mut out.watermark_json)?;
        literals(row, &self.watermark, &mut out.position.watermark)?;
        literals(row, &self.key, &mut out.position.key)?;
        self.identify(row, out)?;
        out.settled = row.get(self.labels.len())?;
        Ok(())
    }

    fn object(&self, row: &rusqlite::Row<'_>, columns: &[usize], out: &mut String) -> rusqlite::Result<()> {
        for (at, column) in columns.iter().enumerate() {
            out.push(if at == 0 { '{' } else { ',' });
            out.push_str(&self.labels[*column]);
            // What can't be said has made the row refused already.
            let _ = push_json(out, row.get_ref(*column)?, self.decimals[*column]);
        }
        out.push('}');
        Ok(())
    }

    fn identify(&self, row: &rusqlite::Row<'_>, out: &mut Row) -> rusqlite::Result<()> {
        if let [single] = self.key.as_slice() {
            push_key(&mut out.key, row.get_ref(*single)?);
            return Ok(());
        }
        let mut json = String::new();
        for (at, column) in self.key.iter().enumerate() {
            let mut bytes = Vec::new();
            push_key(&mut bytes, row.get_ref(*column)?);
            json.push(if at == 0 { '[' } else { ',' });
            push_text(&mut json, &String::from_utf8_lossy(&bytes));
        }
        push_fmt(&mut json, format_args!("]"));
        out.key.extend_from_slice(json.as_bytes());
        Ok(())
    }
}

/// Appends the value as JSON; what can't be said is null, and the reason is returned.
fn push_json(out: &mut String, value: ValueRef<'_>, decimal: bool) -> std::result::Result<(), String> {
    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value
        && let Some(problem) = too_large(bytes.len())
    {
        out.push_str("null");
        return Err(problem);
    }
    super::value::push_json(out, value, decimal).map_err(str::to_owned)
}

fn literals(row: &rusqlite::Row<'_>, columns: &[usize], out: &mut Vec<String>) -> rusqlite::Result<()> {
    out.resize_with(columns.len(), String::new);
    for (text, column) in out.iter_mut().zip(columns) {
        text.clear();
        push_literal(text, row.get_ref(*column)?);
    }
    Ok(())
}

fn columns(connection: &Connection, from: &str) -> rusqlite::Result<Vec<Column>> {
    let statement = connection.prepare(&format!("SELECT t.* FROM {from}"))?;
    let plain = |column: rusqlite::Column<'_>| Column::plain(column.name(), column.decl_type().unwrap_or(""));
    Ok(statement.columns().map(plain).collect())
}

/// Columns declared so are strings in events whatever the database, although SQLite stores their values as it likes.
fn is_decimal(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    declared.starts_with("NUMERIC") || declared.starts_with("DECIMAL")
}

fn binary(column: &Column) -> Column {
    Column { ordered: format!("{} COLLATE BINARY", column.sql), ..column.clone() }
}

/// Whether the primary key or a unique index lies within the key columns.
fn is_unique(connection: &Connection, table: &str, key: &[&str]) -> rusqlite::Result<bool> {
    // `main.customers` names a schema, which the table-valued pragmas take apart from the table.
    let table = table.rsplit('.').next().unwrap_or(table).trim_matches('"');
    let within = |columns: Vec<String>| {
        !columns.is_empty() && columns.iter().all(|name| key.iter().any(|k| k.eq_ignore_ascii_case(name)))
    };
    let names = |sql: &str, of: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        let names = statement.query_map([of], |row| Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default()))?;
        names.collect()
    };
    if within(names("SELECT name FROM pragma_table_info(?1) WHERE pk > 0", table)?) {
        return Ok(true);
    }
    // A partial index keeps only some rows unique, an expression has no column's name.
    for index in names("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0", table)? {
        if within(names("SELECT name FROM pragma_index_info(?1)", &index)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
