//! SQLite tables: one writer at a time, so SAFE is the newest watermark, and `PRAGMA data_version` makes idle polls free.
//! Which rows are new belongs to the parts all tables share.

mod describing;
mod digest;
mod doctor;
mod value;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

use super::settling::Settling;
use super::statement::{Shape, Statement};
use super::sweep::Part;
use super::{Begun, End, Opening, Row, Span, Table, TableSource, Values, json};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::Finding;
use crate::source::settings::{SqliteSettings, TableSettings};
use describing::Layout;

/// A table source over an SQLite database.
pub type SqliteSource = TableSource<SqliteTable>;

/// How long a look waits for a writer.
const BUSY: Duration = Duration::from_secs(5);
/// So far a clock may be set back, in seconds: what corrects clocks (NTP) does that by less, else slowly.
const STEP_SECONDS: u32 = 5;
/// After so many steps of SQLite's machine a stop is looked for.
const STEPS: i32 = 10_000;

impl TableSource<SqliteTable> {
    /// A source over the table that `settings` name. Nothing is opened before the first poll.
    pub fn new(name: &SourceName, settings: &SqliteSettings) -> Result<Self> {
        let location = format!("sqlite:{}", settings.path.display());
        let table = SqliteTable { settings: settings.clone(), open: None, stop: Stop::new() };
        Ok(Self::over(name, &settings.table, &location, table))
    }
}

/// One table of an SQLite database file.
pub struct SqliteTable {
    settings: SqliteSettings,
    open: Option<Open>,
    stop: Stop,
}

struct Open {
    connection: Connection,
    /// Device and inode of the file.
    identity: (u64, u64),
    layout: Layout,
    /// `PRAGMA data_version` before the last snapshot that ended well.
    version: Option<i64>,
    /// The same before the present snapshot.
    version_now: i64,
}

impl SqliteTable {
    fn place(&self) -> String {
        format!("SQLite database {}", self.settings.path.display())
    }

    fn table(&self) -> &TableSettings {
        &self.settings.table
    }

    fn open(&self, stop: &Stop) -> Result<Open> {
        let path = &self.settings.path;
        if let (Some(script), false) = (&self.settings.init, path.exists()) {
            build(path, script)?;
        }
        let identity = self.identity()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |e: rusqlite::Error| failure(&e, &self.place(), stop);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        digest::register(&connection).map_err(failed)?;
        Ok(Open { connection, identity, layout: Layout::default(), version: None, version_now: 0 })
    }

    fn identity(&self) -> Result<(u64, u64)> {
        let path = &self.settings.path;
        let found = fs::metadata(path).map_err(|e| {
            let remedy = match e.kind() {
                std::io::ErrorKind::NotFound => "; check path, or name a script to make it with init",
                _ => "",
            };
            Error::io(format!("open {}{remedy}", self.place()), e)
        })?;
        Ok((found.dev(), found.ino()))
    }

    /// Makes sure that the connection is to the file that has the name now.
    fn connect(&mut self, stop: &Stop) -> Result<&mut Open> {
        let current = if self.open.is_some() { Some(self.identity()?) } else { None };
        if self.open.as_ref().map(|open| open.identity) != current {
            self.open = None;
        }
        if self.open.is_none() {
            self.open = Some(self.open(stop)?);
        }
        Ok(self.open.as_mut().expect("it was opened above"))
    }

    fn opened(&self) -> Result<&Open> {
        self.open.as_ref().ok_or_else(|| Error::internal("an SQLite table is asked before its snapshot begins"))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failure(error, &self.place(), &self.stop)
    }

    fn describe(&mut self) -> Result<()> {
        let open = self.opened()?;
        let mut layout = Layout::of(&open.connection, self.table(), &self.place(), |e| self.failed(e))?;
        layout.shape.identity = format!("{}:{}", open.identity.0, open.identity.1);
        layout.shape.settling = Settling::of(self.table().settle, Settling::Inclusive);
        if let Some(open) = self.open.as_mut() {
            open.layout = layout;
        }
        Ok(())
    }

    fn read(&self, statement: &Statement, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let open = self.opened()?;
        let Statement { sql, parameters } = statement;
        let failed = |e: rusqlite::Error| self.failed(&e);
        let mut statement = open.connection.prepare_cached(sql).map_err(failed)?;
        let parameters = parameters.iter().map(|text| value::parsed(text));
        let mut rows = statement.query(params_from_iter(parameters)).map_err(failed)?;
        let mut buffers = Row::default();
        while let Some(row) = rows.next().map_err(failed)? {
            stop.check()?;
            open.layout.read(row, &mut buffers).map_err(failed)?;
            each(&buffers)?;
        }
        Ok(())
    }
}

impl Table for SqliteTable {
    fn begin(&mut self, stop: &Stop, opening: &Opening<'_>) -> Result<Begun> {
        let place = self.place();
        let open = self.connect(stop)?;
        let watched = stop.clone();
        // Each poll has its own stop.
        let failed = |e: &rusqlite::Error| failure(e, &place, stop);
        open.connection.progress_handler(STEPS, Some(move || watched.is_raised())).map_err(|e| failed(&e))?;
        let version: i64 =
            open.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(|e| failed(&e))?;
        if opening.may_skip && open.version == Some(version) {
            return Ok(Begun::Unchanged);
        }
        open.version_now = version;
        // A deferred transaction begins with its first read, which also notices that the schema has changed.
        let begin = "BEGIN DEFERRED; SELECT 1 FROM sqlite_schema LIMIT 1";
        if let Err(error) = open.connection.execute_batch(begin) {
            self.open = None;
            return Err(failed(&error));
        }
        self.stop = stop.clone();
        let described = self.describe();
        if described.is_err() {
            self.end(End::Broken);
        }
        described.map(|()| Begun::Snapshot)
    }

    fn shape(&self) -> &Shape {
        &self.open.as_ref().expect("begin() opens it").layout.shape
    }

    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        let ask = || -> rusqlite::Result<Vec<Vec<Option<String>>>> {
            let connection = &self.open.as_ref().expect("begin() opens it").connection;
            let mut statement = connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(parameters.iter().map(|text| value::parsed(text))))?;
            let mut answers = Vec::new();
            while let Some(row) = rows.next()? {
                let each = (0..columns).map(|at| Ok(value::literal(row.get_ref(at)?)));
                answers.push(each.collect::<rusqlite::Result<_>>()?);
            }
            Ok(answers)
        };
        ask().map_err(|e| self.failed(&e))
    }

    fn stream(&mut self, span: &Span, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let open = self.opened()?;
        self.read(&open.layout.shape.page(&open.layout.selected, span, None), stop, each)
    }

    fn scan(&mut self, part: &Part, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let open = self.opened()?;
        self.read(&open.layout.shape.scan(&open.layout.selected, part), stop, each)
    }

    fn digest(&self, watermark: bool, digits: u32) -> Option<String> {
        Some(digest::expression(&self.open.as_ref()?.layout.shape, watermark, digits))
    }

    fn capped(&mut self, newest: Values) -> Result<Values> {
        let [text] = newest.as_slice() else { return Ok(newest) };
        // SQLite has no type for times: only a text that begins with a date shows that it is one.
        let Some(date) = text.strip_prefix('\'').filter(|text| begins_with_date(text)) else { return Ok(newest) };
        let limit = match self.table().watermark_timezone.clone() {
            Some(zone) => {
                let now = self.ask("SELECT CAST(strftime('%s', 'now') AS INTEGER)", &[])?.concat();
                let seconds = now.into_iter().flatten().next().and_then(|text| text.parse::<i64>().ok());
                let seconds = seconds.ok_or_else(|| Error::internal("SQLite's clock is no number"))?;
                let floor = super::local::floor_of_coming(&zone, seconds * 1_000_000)?;
                // Compared as texts: with the separator that the column has, and without a fraction, which is smaller.
                let separator = date.as_bytes().get(10).filter(|byte| **byte == b'T').map_or(" ", |_| "T");
                floor[..19].replace(' ', separator)
            }
            // Two days leave room for every time zone.
            None => self.ask("SELECT date('now', '+2 days')", &[])?.concat().into_iter().flatten().collect(),
        };
        let shape = &self.opened()?.layout.shape;
        let [column] = shape.watermark.as_slice() else { return Ok(newest) };
        let (column, from) = (&column.sql, &shape.from);
        let sql = format!("SELECT max({column}) FROM {from} WHERE {column} < ?2 AND ?1 >= ?2");
        let limit = value::written(limit.trim_matches('\''), false);
        let before = self.ask(&sql, &[text, &limit])?.into_iter().flatten().flatten().next();
        Ok(before.map_or(newest, |before| vec![before]))
    }

    fn before_steps(&mut self, newest: Values) -> Result<Values> {
        let [text] = newest.as_slice() else { return Ok(newest) };
        let Some(time) = text.strip_prefix('\'').and_then(|text| text.get(..19)).filter(|text| is_time(text)) else {
            return Ok(newest);
        };
        let sql = format!("SELECT strftime('%Y-%m-%d %H:%M:%S', ?1, '-{STEP_SECONDS} seconds')");
        let before = self.ask(&sql, &[&value::written(time, false)])?.into_iter().flatten().flatten().next();
        let before = before.filter(|before| before.starts_with('\''));
        // With the separator that the column has, and without a fraction: compared as texts it is the smaller one.
        Ok(before.map_or(newest.clone(), |before| vec![before.replace(' ', &time[10..11])]))
    }

    fn written_value(&mut self, values: Values, newest: Option<&Values>) -> Result<Values> {
        // A number is only meant where numbers are stored: SQLite compares by what is stored, not by what is declared.
        let is_number =
            |at: usize| newest.and_then(|n| n.get(at)).is_none_or(|text| !text.starts_with(['\'', 'x', 'C']));
        Ok(values.iter().enumerate().map(|(at, text)| value::written(text, is_number(at))).collect())
    }

    fn written_key(&self, values: Values) -> Values {
        let key = self.open.as_ref().map(|open| open.layout.shape.key.as_slice()).unwrap_or_default();
        let is_text = |at: usize| key.get(at).is_some_and(|c| c.type_name.to_ascii_uppercase().contains("CHAR"));
        values.iter().enumerate().map(|(at, text)| value::written(text, !is_text(at))).collect()
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        doctor::examine(self)
    }

    fn shown(&self, values: &Values) -> String {
        // Texts travel as SQL writes them.
        let plain = |text: &String| match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(inner) => inner.replace("''", "'"),
            None => text.clone(),
        };
        values.iter().map(plain).collect::<Vec<_>>().join(", ")
    }

    fn is_indexed(&mut self) -> Result<bool> {
        let open = self.opened()?;
        let page = open.layout.shape.page("1", &Span::default(), None);
        let plan = self.ask(&format!("EXPLAIN QUERY PLAN {}", page.sql), &[])?;
        Ok(!plan.iter().flatten().flatten().any(|line| line.contains("USE TEMP B-TREE FOR ORDER BY")))
    }

    fn server(&mut self) -> Result<String> {
        Ok(format!("SQLite {} at {}", rusqlite::version(), self.settings.path.display()))
    }

    fn end(&mut self, end: End) {
        let Some(open) = self.open.as_mut() else { return };
        let ended = open.connection.is_autocommit() || open.connection.execute_batch("ROLLBACK").is_ok();
        open.version = (end == End::Well).then_some(open.version_now);
        if !ended {
            self.open = None;
        }
    }
}

fn begins_with_date(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() >= 10 && text.bytes().take(10).enumerate().all(form)
}

/// Whether it is `2026-11-23 10:15:00`, or the same with a T.
fn is_time(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b' ' | b'T'),
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 19 && text.bytes().enumerate().all(form)
}

/// Runs `script` into a new database beside `path`, then gives it the name: it is never seen half made.
fn build(path: &Path, script: &Path) -> Result<()> {
    let doing = || format!("make SQLite database {} with {}", path.display(), script.display());
    let sql = fs::read_to_string(script).map_err(|e| Error::io(doing(), e))?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = Path::new(&temporary);
    let made = || -> rusqlite::Result<()> {
        let connection = Connection::open(temporary)?;
        connection.execute_batch(&sql)?;
        connection.close().map_err(|(_, error)| error)
    };
    let made = made().map_err(|e| Error::new(ErrorKind::Invalid, doing()).because(e));
    let named = made.and_then(|()| fs::rename(temporary, path).map_err(|e| Error::io(doing(), e)));
    if named.is_err() {
        // It may never have been made; a left-over would only be overwritten next time.
        let _ = fs::remove_file(temporary);
    }
    named
}

/// An SQLite failure as one clear line.
fn failure(error: &rusqlite::Error, place: &str, stop: &Stop) -> Error {
    let text = error.to_string();
    let (kind, remedy) = match error.sqlite_error_code() {
        _ if stop.is_raised() => (ErrorKind::Stopped, ""),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Unavailable, "; another program keeps it locked, the next poll tries again")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            (ErrorKind::Denied, "; the file (and, in WAL mode, its folder) must be readable for this user")
        }
        Some(ErrorCode::ReadOnly) => (
            ErrorKind::Denied,
            "; in WAL mode its folder must be writable, or the database opened by its own program once",
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (ErrorKind::Invalid, "; is this the right file?"),
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Unavailable, ""),
        _ if text.contains("no such table") || text.contains("no such column") => {
            (ErrorKind::NotFound, "; check table, query, watermark and key")
        }
        _ => (ErrorKind::Invalid, "; check table, query, watermark and key"),
    };
    Error::new(kind, format!("read {place}{remedy}")).because(json::one_line(&text))
}
