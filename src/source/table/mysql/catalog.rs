//! What MySQL's catalogue says of a table: columns, collations, unique keys, the engine; and which server this is.
//! What follows from it is decided in `layout`.

use super::session::{Server, Session};
use crate::clock::Stop;
use crate::error::Result;
use crate::source::settings::{TableFrom, TableSettings};
use crate::source::table::dialect::Dialect;

/// What is known of a table; of a query little is.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The table's columns.
    pub columns: Vec<CatalogColumn>,
    /// Whether a unique index lies within the key columns.
    pub unique_key: bool,
    /// The server, the database and the table.
    pub identity: String,
    /// Whether a dirty read shows what is in flight: the rows are InnoDB's.
    pub shows_uncommitted: bool,
    /// The engine that shows nothing in flight.
    pub engine: Option<String>,
    /// Whose engine it is.
    pub whose: Whose,
}

/// Whose engine it is that shows nothing in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    /// The table's own.
    Own,
    /// That of a table of the database; whether a view or a query reads it is not known.
    #[default]
    Neighbour,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// Its type without lengths: `varchar`, `uuid`.
    pub kind: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Its character set, where it has one.
    pub set: Option<String>,
    /// Its collation, where it has one.
    pub order: Option<String>,
    /// Whether a check keeps it JSON: what MariaDB makes of the type JSON.
    pub is_json: bool,
}

impl CatalogColumn {
    /// Its character set and collation.
    pub fn collation(&self) -> Option<(&str, &str)> {
        Some((self.set.as_deref()?, self.order.as_deref()?))
    }

    /// The type to cast to, of MariaDB's types that look like texts from outside.
    pub fn own_type(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            "uuid" => Some("UUID"),
            "inet6" => Some("INET6"),
            "inet4" => Some("INET4"),
            _ => None,
        }
    }
}

impl Catalog {
    /// Asks the database.
    pub fn read(session: &mut Session, server: &Server, settings: &TableSettings, stop: &Stop) -> Result<Self> {
        let identity = identity(session, server, &settings.from, stop)?;
        let TableFrom::Table(name) = &settings.from else {
            let engine = other_engine(session, stop)?;
            return Ok(Self { identity, shows_uncommitted: engine.is_none(), engine, ..Self::default() });
        };
        let parts = Dialect::MYSQL.parts(name);
        let (schema, table) = match parts.as_slice() {
            [schema, table] => (Some(schema.as_str()), table.as_str()),
            _ => (None, name.as_str()),
        };
        let table = if parts.len() == 1 { parts[0].as_str() } else { table };
        let place = match schema {
            Some(schema) => vec![schema, table],
            None => vec![table],
        };
        let here = |column: &str| match schema {
            Some(_) => format!("{column}_schema = ? AND table_name = ?"),
            None => format!("{column}_schema = DATABASE() AND table_name = ?"),
        };
        let columns = columns(session, server, &here, &place, stop)?;
        let sql = format!("SELECT engine FROM information_schema.tables WHERE {}", here("table"));
        let own = session.ask(&sql, &place, stop)?.into_iter().flatten().flatten().next();
        // A view has no engine; the tables below it are taken to be those of the database.
        let (engine, whose) = match own {
            Some(engine) => (Some(engine).filter(|engine| !engine.eq_ignore_ascii_case("InnoDB")), Whose::Own),
            None => (other_engine(session, stop)?, Whose::Neighbour),
        };
        let unique_key = is_unique(session, &here, &place, &settings.key, stop)?;
        Ok(Self { columns, unique_key, identity, shows_uncommitted: engine.is_none(), engine, whose })
    }

    /// What is known of a column.
    pub fn column(&self, name: &str) -> Option<&CatalogColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn columns(
    session: &mut Session,
    server: &Server,
    here: &dyn Fn(&str) -> String,
    place: &[&str],
    stop: &Stop,
) -> Result<Vec<CatalogColumn>> {
    let json = match server.is_mariadb {
        false => Vec::new(),
        true => {
            let sql = "SELECT constraint_name, check_clause FROM information_schema.check_constraints";
            session.ask(&format!("{sql} WHERE {}", here("constraint")), place, stop)?
        }
    };
    let is_json = |name: &str| {
        let clause = format!("json_valid({})", Dialect::MYSQL.quoted(name));
        json.iter().any(|row| row.get(1).cloned().flatten().as_deref() == Some(clause.as_str()))
    };
    let sql = format!(
        "SELECT column_name, data_type, is_nullable, character_set_name, collation_name \
         FROM information_schema.columns WHERE {}",
        here("table")
    );
    let rows = session.ask(&sql, place, stop)?;
    let column = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        let name = next().unwrap_or_default();
        let kind = next().unwrap_or_default().to_ascii_lowercase();
        let nullable = next().as_deref() != Some("NO");
        CatalogColumn { is_json: is_json(&name), kind, nullable, set: next(), order: next(), name }
    };
    Ok(rows.into_iter().map(column).collect())
}

/// Whether a unique index lies within the key columns. One on parts of columns, or on expressions, says nothing.
fn is_unique(
    session: &mut Session,
    here: &dyn Fn(&str) -> String,
    place: &[&str],
    key: &[String],
    stop: &Stop,
) -> Result<bool> {
    let sql = format!(
        "SELECT index_name, column_name, sub_part FROM information_schema.statistics \
         WHERE non_unique = 0 AND {} ORDER BY index_name, seq_in_index",
        here("table")
    );
    let rows = session.ask(&sql, place, stop)?;
    let fits = |row: &Vec<Option<String>>| match row.as_slice() {
        [_, Some(column), None] => key.contains(column),
        _ => false,
    };
    let indexes: Vec<&Option<String>> = rows.iter().filter_map(|row| row.first()).collect();
    Ok(indexes.iter().any(|index| rows.iter().filter(|row| row.first() == Some(*index)).all(fits)))
}

/// An engine other than InnoDB that the database's tables have.
fn other_engine(session: &mut Session, stop: &Stop) -> Result<Option<String>> {
    let sql = "SELECT engine FROM information_schema.tables \
               WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' LIMIT 1";
    session.first(sql, stop)
}

fn identity(session: &mut Session, server: &Server, from: &TableFrom, stop: &Stop) -> Result<String> {
    let place = "CONCAT(@@hostname, ':', @@port, ':', @@datadir)";
    let own = if server.is_mariadb { "@@server_uid" } else { "@@server_uuid" };
    let id = if session.may(&format!("SELECT {own}"), stop)? { own } else { place };
    let found = session.first(&format!("SELECT CONCAT({id}, ':', DATABASE())"), stop)?.unwrap_or_default();
    let table = match from {
        TableFrom::Table(name) => Dialect::MYSQL.quoted_path(name),
        TableFrom::Query(_) => String::new(),
    };
    Ok(format!("{found}:{table}"))
}
