//! Which database answers behind the driver, and how its SQL is written: limits, tables of one row, casts to and from text,
//! what a session begins with. PostgreSQL, MariaDB and SQLite are tested; the others follow their manuals.

use super::wire::{Class, Described};
use crate::source::table::dialect::{Dialect, Limit, Parameter};
use crate::source::table::statement::Column;

/// The database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
    /// Microsoft SQL Server.
    SqlServer,
    /// Sybase ASE.
    Sybase,
    /// Oracle.
    Oracle,
    /// Db2, also for i and z/OS.
    Db2,
    /// Informix.
    Informix,
    /// Firebird.
    Firebird,
    /// Any other.
    #[default]
    Other,
}

/// Parts of the names that databases give themselves (SQL_DBMS_NAME), in lower case.
const NAMES: [(&str, Engine); 13] = [
    ("postgres", Engine::Postgres),
    ("mysql", Engine::MySql),
    ("mariadb", Engine::MySql),
    ("sqlite", Engine::Sqlite),
    ("microsoft sql server", Engine::SqlServer),
    ("adaptive server", Engine::Sybase),
    ("sybase", Engine::Sybase),
    ("oracle", Engine::Oracle),
    ("db2", Engine::Db2),
    ("as/400", Engine::Db2),
    ("informix", Engine::Informix),
    ("firebird", Engine::Firebird),
    ("interbase", Engine::Firebird),
];

/// How Oracle writes points in time.
const ORACLE_TIME: &str = "YYYY-MM-DD HH24:MI:SS.FF9";

impl Engine {
    /// The database that calls itself `name`.
    pub fn named(name: &str) -> Self {
        let name = name.to_lowercase();
        NAMES.iter().find(|(part, _)| name.contains(part)).map_or(Self::Other, |(_, engine)| *engine)
    }

    /// How its SQL is written; `quote` is what the driver says stands around identifiers, a blank for nothing.
    pub fn dialect(self, quote: &str) -> Dialect {
        let quote = quote.chars().next().unwrap_or('"');
        let limit = match self {
            Self::Postgres | Self::MySql | Self::Sqlite => Limit::Rows,
            Self::SqlServer | Self::Sybase => Limit::Top,
            Self::Informix => Limit::First,
            Self::Oracle | Self::Db2 | Self::Firebird | Self::Other => Limit::FetchFirst,
        };
        let tuples = matches!(self, Self::Postgres | Self::MySql | Self::Sqlite);
        let text = match self {
            Self::Postgres => "TEXT",
            Self::MySql => "CHAR",
            _ => "VARCHAR(100)",
        };
        Dialect { quotes: (quote, quote), parameter: Parameter::Mark, limit, tuples, text: Some(text) }
    }

    /// What a SELECT without a table ends with.
    pub fn dummy(self) -> &'static str {
        match self {
            Self::Oracle => " FROM DUAL",
            Self::Db2 => " FROM SYSIBM.SYSDUMMY1",
            Self::Informix => " FROM sysmaster:sysdual",
            Self::Firebird => " FROM RDB$DATABASE",
            _ => "",
        }
    }

    /// Statements that a session begins with: read-only, one snapshot a transaction, UTC, texts that read back.
    pub fn session(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
                "SET TIME ZONE 'UTC'",
                "SET DateStyle = 'ISO'",
                "SET IntervalStyle = 'iso_8601'",
                "SET bytea_output = 'hex'",
                "SET lock_timeout = '30s'",
                "COMMIT",
            ],
            Self::MySql => &[
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET SESSION TRANSACTION READ ONLY",
                "SET time_zone = '+00:00'",
                "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
                "COMMIT",
            ],
            Self::Sqlite => &["PRAGMA query_only = 1"],
            Self::SqlServer => &["SET LOCK_TIMEOUT 30000"],
            Self::Oracle => {
                &["ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'", "ALTER SESSION SET TIME_ZONE = '+00:00'"]
            }
            _ => &[],
        }
    }

    /// The statement that a transaction begins with, where the session's settings do not make it a snapshot.
    pub fn snapshot(self) -> Option<&'static str> {
        match self {
            Self::Oracle => Some("SET TRANSACTION READ ONLY"),
            // The transaction begins with its first read, which also notices that the schema has changed.
            Self::Sqlite => Some("SELECT 1 FROM sqlite_master LIMIT 1"),
            _ => None,
        }
    }

    /// A question whose answer is `sure` where a row that a transaction does not show is not there: one state of the data
    /// is seen, and no replica lags behind. `None` where that is not known. `has_snapshots` is SQL Server's.
    pub fn surety(self, has_snapshots: bool) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("SELECT CAST(CASE WHEN pg_is_in_recovery() THEN 'late' ELSE 'sure' END AS TEXT)"),
            Self::MySql => Some(
                "SELECT CASE WHEN @@read_only = 0 AND NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE engine <> \
                 'InnoDB' AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')) \
                 THEN 'sure' ELSE 'late' END",
            ),
            Self::Sqlite => Some("SELECT 'sure'"),
            Self::SqlServer if has_snapshots => Some(
                "SELECT CASE WHEN CONVERT(varchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) = 'READ_WRITE' \
                 THEN 'sure' ELSE 'late' END",
            ),
            _ => None,
        }
    }

    /// What stands before a query to see its plan, and what the plan says where rows are sorted rather than read in order.
    pub fn plan(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Postgres => Some(("EXPLAIN ", "Sort  ")),
            Self::MySql => Some(("EXPLAIN ", "filesort")),
            Self::Sqlite => Some(("EXPLAIN QUERY PLAN ", "USE TEMP B-TREE FOR ORDER BY")),
            _ => None,
        }
    }

    /// A column of watermark or key: how it becomes a text and a text becomes its type. `type_name` is the database's own
    /// word for the type, empty where it was not asked for.
    pub fn column(self, described: &Described, type_name: &str, dialect: &Dialect) -> Column {
        let plain = Column::written(&described.name, type_name, dialect);
        let place = Column::PLACE;
        let (as_text, from_text) = match self {
            Self::Postgres => {
                (format!("CAST({} AS TEXT)", plain.sql), format!("CAST(CAST({place} AS TEXT) AS {type_name})"))
            }
            Self::Sqlite => (format!("CAST({} AS TEXT)", plain.sql), cast(sqlite_type(described.class))),
            Self::MySql => mysql(&plain.sql, described),
            Self::SqlServer => sql_server(&plain.sql, described, type_name),
            Self::Oracle => oracle(&plain.sql, described),
            _ => (format!("CAST({} AS VARCHAR({}))", plain.sql, length(described)), cast(&standard_type(described))),
        };
        let ordered = match self {
            // The key breaks ties, so equal must mean the same bytes.
            Self::Sqlite => format!("{} COLLATE BINARY", plain.sql),
            _ => plain.sql.clone(),
        };
        let type_name =
            if type_name.is_empty() { format!("{:?}", described.class).to_lowercase() } else { type_name.into() };
        Column { as_text, from_text, ordered, type_name, nullable: described.nullable, ..plain }
    }

    /// A question for the smaller of a watermark (its parameter) and the database's clock, less so many seconds; for points
    /// in time only.
    pub fn behind(self, column: &Column, seconds: u64) -> Option<String> {
        let from = column.from_text.replacen(Column::PLACE, "?", 1);
        match self {
            // A column without time zone holds UTC or local time, which lies up to 14 hours ahead of it: what lies beyond
            // both is from the future.
            Self::Postgres => {
                let name = &column.type_name;
                let ahead = if name.contains("with time zone") { "0 hours" } else { "14 hours" };
                Some(format!(
                    "SELECT CAST(CAST(CASE WHEN n <= u + INTERVAL '{ahead}' THEN n ELSE u END - \
                     INTERVAL '{seconds} seconds' AS {name}) AS TEXT) \
                     FROM (SELECT CAST({from} AS timestamp) AS n, CAST(now() AS timestamp) AS u) AS c"
                ))
            }
            Self::MySql => Some(format!(
                "SELECT CAST(CASE WHEN n <= UTC_TIMESTAMP(6) + INTERVAL 14 HOUR THEN n ELSE UTC_TIMESTAMP(6) END - \
                 INTERVAL {seconds} SECOND AS CHAR) FROM (SELECT {from} AS n) AS c"
            )),
            Self::SqlServer => Some(format!(
                "SELECT CONVERT(varchar(40), DATEADD(second, -{seconds}, CASE WHEN n <= DATEADD(hour, 14, SYSUTCDATETIME()) \
                 THEN n ELSE SYSUTCDATETIME() END), 121) FROM (SELECT CONVERT(datetime2(7), {from}) AS n) AS c"
            )),
            _ => None,
        }
    }
}

fn cast(kind: &str) -> String {
    format!("CAST({} AS {kind})", Column::PLACE)
}

/// The length of a text column, within what every database has.
fn length(described: &Described) -> u32 {
    match described.class {
        Class::Text if (1..=4_000).contains(&described.size) => described.size,
        Class::Text => 4_000,
        _ => 100,
    }
}

fn sqlite_type(class: Class) -> &'static str {
    match class {
        Class::Integer | Class::Bit => "INTEGER",
        Class::Single | Class::Double => "REAL",
        Class::Decimal => "NUMERIC",
        _ => "TEXT",
    }
}

fn decimal(described: &Described) -> String {
    let precision = if (1..=31).contains(&described.size) { described.size } else { 31 };
    format!("DECIMAL({precision}, {})", described.scale.clamp(0, precision.cast_signed()))
}

/// Types that the SQL standard names.
fn standard_type(described: &Described) -> String {
    match described.class {
        Class::Integer => "BIGINT".into(),
        Class::Decimal => decimal(described),
        Class::Single => "REAL".into(),
        Class::Double => "DOUBLE PRECISION".into(),
        Class::Bit => "SMALLINT".into(),
        Class::Date => "DATE".into(),
        Class::Time => "TIME".into(),
        Class::Timestamp => "TIMESTAMP".into(),
        Class::Text | Class::Binary | Class::Guid => format!("VARCHAR({})", length(described)),
    }
}

fn mysql(sql: &str, described: &Described) -> (String, String) {
    let from = match described.class {
        Class::Integer | Class::Bit => cast("DECIMAL(20, 0)"),
        Class::Decimal => cast("DECIMAL(65, 30)"),
        Class::Single | Class::Double => format!("({} + 0e0)", Column::PLACE),
        Class::Date => cast("DATE"),
        Class::Time => cast("TIME(6)"),
        Class::Timestamp => cast("DATETIME(6)"),
        Class::Binary => return (format!("HEX({sql})"), format!("UNHEX({})", Column::PLACE)),
        Class::Text | Class::Guid => Column::PLACE.into(),
    };
    (format!("CAST({sql} AS CHAR)"), from)
}

fn sql_server(sql: &str, described: &Described, type_name: &str) -> (String, String) {
    let place = Column::PLACE;
    let name = |other: &str| if type_name.is_empty() { other.to_owned() } else { type_name.to_owned() };
    match described.class {
        // rowversion is called timestamp in the catalogue.
        Class::Binary => {
            let length = described.size.clamp(1, 8_000);
            let text = format!("CONVERT(varchar({}), CONVERT(varbinary({length}), {sql}), 1)", length * 2 + 2);
            (text, format!("CONVERT(binary({length}), {place}, 1)"))
        }
        Class::Timestamp | Class::Date | Class::Time => {
            let kind = name("datetime2(7)");
            (format!("CONVERT(varchar(40), {sql}, 121)"), format!("CONVERT({kind}, {place}, 121)"))
        }
        Class::Single | Class::Double => {
            (format!("CONVERT(varchar(40), {sql}, 3)"), format!("CONVERT({}, {place})", name("float")))
        }
        Class::Integer | Class::Bit => (format!("CONVERT(varchar(40), {sql})"), format!("CONVERT(bigint, {place})")),
        Class::Decimal => {
            let scale = described.scale.clamp(0, 38);
            (format!("CONVERT(varchar(60), {sql})"), format!("CONVERT(decimal(38, {scale}), {place})"))
        }
        Class::Guid => (format!("CONVERT(varchar(36), {sql})"), format!("CONVERT(uniqueidentifier, {place})")),
        Class::Text => (format!("CONVERT(nvarchar(4000), {sql})"), place.into()),
    }
}

fn oracle(sql: &str, described: &Described) -> (String, String) {
    let place = Column::PLACE;
    match described.class {
        Class::Integer | Class::Decimal | Class::Single | Class::Double | Class::Bit => {
            (format!("TO_CHAR({sql}, 'TM9')"), format!("TO_NUMBER({place})"))
        }
        Class::Date | Class::Time | Class::Timestamp => (
            format!("TO_CHAR(CAST({sql} AS TIMESTAMP(9)), '{ORACLE_TIME}')"),
            format!("TO_TIMESTAMP({place}, '{ORACLE_TIME}')"),
        ),
        Class::Binary => (format!("RAWTOHEX({sql})"), format!("HEXTORAW({place})")),
        Class::Text | Class::Guid => (format!("TO_CHAR({sql})"), place.into()),
    }
}
