//! Tables behind an ODBC driver. The driver runs in a process of its own, `highwater-odbc`: one that hangs is killed, one
//! that crashes takes nothing along. Which rows are new belongs to the parts all tables share.
//!
//! - `process`: the helper and its deadlines; `wire`: what is said between the two
//! - `engine`: how each database writes SQL; `connection`: the connection string; `failure`: what drivers say
//! - `layout`, `cell`: columns and values; `pages`: reading them

mod cell;
mod connection;
mod engine;
mod failure;
mod layout;
mod pages;
mod process;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use super::dialect::Dialect;
use super::kept::{self, Kept};
use super::login::Attempt;
use super::settling::Resolution;
use super::statement::Shape;
use super::sweep::{Part, Reach};
use super::{Begun, End, Opening, Position, Row, Span, Table, TableSource, Values};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::setting::SourceName;
use crate::source::Accounts;
use crate::source::settings::{OdbcSettings, TableFrom};
use engine::Engine;
use layout::{Known, Layout};
use pages::What;
use process::Process;
use wire::{Answer, Request};

/// So many keys are read at once by a sweep: some drivers keep a whole result in memory.
const POSITIONS_PAGE: u64 = 50_000;

/// A table source over an ODBC driver.
pub type OdbcSource = TableSource<OdbcTable>;

/// SQL Server: every row with a rowversion below this is there already.
const MIN_ACTIVE: &str = "SELECT CONVERT(varchar(18), CONVERT(varbinary(8), MIN_ACTIVE_ROWVERSION()), 1)";
/// SQL Server: whether snapshots are allowed in this database.
const HAS_SNAPSHOTS: &str =
    "SELECT CONVERT(varchar(4), snapshot_isolation_state) FROM sys.databases WHERE database_id = DB_ID()";

impl TableSource<OdbcTable> {
    /// A source over the table that `settings` name; `accounts` are asked before each login with a password. No process is
    /// started before the first poll.
    ///
    /// # Errors
    /// `Config` when the connection string can't be read.
    pub fn new(name: &SourceName, settings: &OdbcSettings, accounts: Arc<dyn Accounts>) -> Result<Self> {
        let text = settings.connection.reveal()?;
        let location = connection::location(&connection::attributes(&text));
        let table = OdbcTable { settings: settings.clone(), accounts, open: None, stop: Stop::new() };
        Ok(Self::over(name, &settings.table, &location, table))
    }
}

/// One table behind an ODBC driver.
pub struct OdbcTable {
    settings: OdbcSettings,
    accounts: Arc<dyn Accounts>,
    open: Option<Open>,
    stop: Stop,
}

struct Open {
    process: Process,
    location: String,
    /// What the database calls itself.
    database: String,
    catalog: String,
    engine: Engine,
    dialect: Dialect,
    layout: Layout,
    /// Whether rows are fetched one by one: a value was longer than the buffers for many.
    whole: bool,
    /// SQL Server's `MIN_ACTIVE_ROWVERSION()`, from before the snapshot.
    min_active: Option<String>,
    /// SQL Server: whether a transaction sees one state of the data.
    has_snapshots: bool,
}

impl OdbcTable {
    /// Connects with the first password that the server takes, as often as `accounts` let it.
    fn connect(&self, stop: &Stop) -> Result<Open> {
        let text = self.settings.connection.reveal()?;
        let attributes = connection::attributes(&text);
        let location = connection::location(&attributes);
        let given = match &self.settings.password {
            Some(secret) => secret.reveal_all()?,
            None => Vec::new(),
        };
        let mut choices: Vec<(String, Option<String>)> =
            given.into_iter().map(|word| (connection::with_password(&text, &word), Some(word))).collect();
        if choices.is_empty() {
            choices.push((text.clone(), connection::password(&attributes).map(str::to_owned)));
        }
        let account = format!("{}@{location}", connection::user(&attributes));
        let mut last = None;
        for (text, password) in choices {
            let attempt = match &password {
                Some(word) => match Attempt::begin(&*self.accounts, &account, word.as_bytes(), stop) {
                    Ok(attempt) => Some(attempt),
                    Err(spent) => {
                        last.get_or_insert(spent.while_doing(format!("connect to {location}")));
                        continue;
                    }
                },
                None => None,
            };
            match self.connect_with(text, &location, stop) {
                Ok(open) => {
                    if let Some(attempt) = attempt {
                        attempt.accepted();
                    }
                    return self.prepared(open, stop);
                }
                Err(error) if failure::is_refused(&error) => {
                    if let Some(attempt) = attempt {
                        attempt.refused();
                    }
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::internal(format!("connect to {location}"))))
    }

    fn connect_with(&self, text: String, location: &str, stop: &Stop) -> Result<Open> {
        let mut process = Process::start(self.settings.helper.as_deref(), location, stop)?;
        let limit = self.settings.connect_timeout.duration();
        let timeout_s = u32::try_from(limit.as_secs().max(1)).unwrap_or(u32::MAX);
        match process.ask(&Request::Connect { connection: text, timeout_s }, limit, stop)? {
            Answer::Connected { database, catalog, quote } => {
                let engine = Engine::named(&database);
                let (location, dialect, layout) = (location.to_owned(), engine.dialect(&quote), Layout::default());
                let (whole, min_active, has_snapshots) = (false, None, false);
                Ok(Open {
                    process,
                    location,
                    database,
                    catalog,
                    engine,
                    dialect,
                    layout,
                    whole,
                    min_active,
                    has_snapshots,
                })
            }
            other => Err(process.surprise(&other)),
        }
    }

    /// Puts a session into the form that all reading relies on.
    fn prepared(&self, mut open: Open, stop: &Stop) -> Result<Open> {
        for sql in open.engine.session() {
            self.done(&mut open, Request::Run { sql: (*sql).into() }, stop)?;
        }
        if open.engine == Engine::SqlServer {
            let allowed = self.texts(&mut open, HAS_SNAPSHOTS, &[], stop)?;
            if allowed.into_iter().flatten().flatten().any(|state| state == "1") {
                let sql = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT".into();
                self.done(&mut open, Request::Run { sql }, stop)?;
                open.has_snapshots = true;
            }
        }
        self.done(&mut open, Request::Rollback, stop)?;
        Ok(open)
    }

    fn limit(&self) -> Duration {
        self.settings.answer_timeout.duration()
    }

    fn done(&self, open: &mut Open, request: Request, stop: &Stop) -> Result<()> {
        match open.process.ask(&request, self.limit(), stop)? {
            Answer::Done => Ok(()),
            other => Err(open.process.surprise(&other)),
        }
    }

    fn texts(&self, open: &mut Open, sql: &str, parameters: &[&str], stop: &Stop) -> Result<Vec<Vec<Option<String>>>> {
        let parameters = parameters.iter().map(|text| (*text).to_owned()).collect();
        match open.process.ask(&Request::Ask { sql: sql.to_owned(), parameters }, self.limit(), stop)? {
            Answer::Texts(rows) => Ok(rows),
            other => Err(open.process.surprise(&other)),
        }
    }

    /// Does something with the open connection.
    fn with<R>(&mut self, work: impl FnOnce(&Self, &mut Open) -> Result<R>) -> Result<R> {
        let Some(mut open) = self.open.take() else {
            return Err(Error::internal("a table behind ODBC is asked before its snapshot begins"));
        };
        let result = work(self, &mut open);
        self.open = Some(open);
        result
    }

    /// Opens the snapshot and learns the columns, which may have changed since the last one.
    fn begin_snapshot(&mut self, stop: &Stop) -> Result<()> {
        self.with(|table, open| {
            if open.engine == Engine::SqlServer {
                // Before the snapshot: whoever gets a smaller one later would be missed else.
                let rows = table.texts(open, MIN_ACTIVE, &[], stop)?;
                open.min_active = rows.into_iter().flatten().flatten().next();
                table.done(open, Request::Rollback, stop)?;
            }
            if let Some(sql) = open.engine.snapshot() {
                table.done(open, Request::Run { sql: sql.into() }, stop)?;
            }
            table.describe(open, stop)
        })
    }

    fn describe(&self, open: &mut Open, stop: &Stop) -> Result<()> {
        let settings = &self.settings.table;
        let from = open.dialect.source_of_rows(&settings.from);
        let sql = format!("SELECT t.* FROM {from} WHERE 1 = 0");
        let columns = match open.process.ask(&Request::Describe { sql }, self.limit(), stop)? {
            Answer::Columns(columns) => columns,
            other => return Err(open.process.surprise(&other)),
        };
        if columns == open.layout.described && !columns.is_empty() {
            return Ok(());
        }
        let place = format!("{} of {}", self.what(), open.location);
        let wanted = settings.watermark.iter().chain(&settings.key);
        let places = wanted.map(|name| layout::place_of(&columns, name, &place)).collect::<Result<Vec<usize>>>()?;
        let names: Vec<String> = places.into_iter().map(|at| columns[at].name.clone()).collect();
        let types = self.types(open, &from, &names, stop)?;
        let primary_key = self.primary_key(open, stop)?;
        let known = Known {
            engine: open.engine,
            dialect: open.dialect,
            types: &types,
            primary_key: &primary_key,
            place: &place,
        };
        let mut layout = Layout::of(columns, &known, settings)?;
        layout.shape.identity = format!("{}:{}:{}:{}", open.database, open.location, open.catalog, self.what());
        open.layout = layout;
        Ok(())
    }

    fn what(&self) -> String {
        match &self.settings.table.from {
            TableFrom::Table(name) => format!("table {name}"),
            TableFrom::Query(_) => "the query".into(),
        }
    }

    /// The database's own words for the types of `names`, where a cast needs them.
    fn types(&self, open: &mut Open, from: &str, names: &[String], stop: &Stop) -> Result<Vec<(String, String)>> {
        let own = |name: &str| match name {
            // Without a length these have the length 1.
            "character" => "bpchar".to_owned(),
            "bit" => "bit varying".to_owned(),
            other => other.to_owned(),
        };
        match (open.engine, &self.settings.table.from) {
            (Engine::Postgres, _) => {
                let each = |make: &dyn Fn(usize, &String) -> String| {
                    names.iter().enumerate().map(|(at, name)| make(at, name)).collect::<Vec<_>>().join(", ")
                };
                let kinds = each(&|at, _| format!("CAST(pg_typeof(x.c{at}) AS TEXT)"));
                let columns = each(&|at, name| format!("t.{} AS c{at}", open.dialect.quoted(name)));
                let sql = format!(
                    "SELECT {kinds} FROM (SELECT 1 AS one) AS d LEFT JOIN (SELECT {columns} FROM {from} WHERE 1 = 0) AS x \
                     ON 1 = 1"
                );
                let row = self.texts(open, &sql, &[], stop)?.into_iter().next().unwrap_or_default();
                Ok(names.iter().cloned().zip(row.into_iter().map(|kind| own(&kind.unwrap_or_default()))).collect())
            }
            (Engine::SqlServer, TableFrom::Table(name)) => {
                let sql = "SELECT CONVERT(nvarchar(128), c.name), CONVERT(nvarchar(128), y.name) FROM sys.columns c \
                           JOIN sys.types y ON y.user_type_id = c.system_type_id WHERE c.object_id = OBJECT_ID(?)";
                let path = open.dialect.quoted_path(name);
                let rows = self.texts(open, sql, &[&path], stop)?;
                let pair = |row: Vec<Option<String>>| {
                    let mut row = row.into_iter().flatten();
                    row.next().zip(row.next())
                };
                Ok(rows.into_iter().filter_map(pair).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The primary key's columns, as far as the driver knows.
    fn primary_key(&self, open: &mut Open, stop: &Stop) -> Result<Vec<String>> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(Vec::new()) };
        let (quote, _) = open.dialect.quotes;
        let quoted = open.dialect.quoted_path(name);
        let border = format!("{quote}.{quote}");
        let parts: Vec<&str> = quoted.trim_matches(quote).split(&border).collect();
        let (table, schema) = match parts.as_slice() {
            [.., schema, table] => ((*table).to_owned(), Some((*schema).to_owned())),
            _ => (parts.concat(), None),
        };
        match open.process.ask(&Request::PrimaryKey { schema, table }, self.limit(), stop) {
            Ok(Answer::Texts(rows)) => Ok(rows.into_iter().flatten().flatten().collect()),
            Ok(other) => Err(open.process.surprise(&other)),
            // A driver without catalogue functions: the key is checked row by row.
            Err(_) if !open.process.is_dead() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Kept for OdbcTable {
    fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.process.is_dead())
    }

    fn reconnect(&mut self, stop: &Stop) -> Result<()> {
        self.open = None;
        self.open = Some(self.connect(stop)?);
        Ok(())
    }

    fn open_snapshot(&mut self, _opening: &Opening<'_>, stop: &Stop) -> Result<()> {
        self.begin_snapshot(stop)
    }
}

impl Table for OdbcTable {
    fn begin(&mut self, stop: &Stop, opening: &Opening<'_>) -> Result<Begun> {
        stop.check()?;
        self.stop = stop.clone();
        kept::begin(self, opening, stop)
    }

    fn shape(&self) -> &Shape {
        &self.open.as_ref().expect("begin() opens it").layout.shape
    }

    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        let stop = self.stop.clone();
        self.with(|table, open| table.texts(open, sql, parameters, &stop))
    }

    fn stream(&mut self, span: &Span, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let page = u64::from(self.settings.table.page.max(1));
        self.pages(span, page, What::Rows, stop, each)
    }

    fn scan(&mut self, part: &Part, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let settled = match &part.settled {
            Reach::UpTo(edge) => Some(edge.clone()),
            Reach::Nothing => None,
            Reach::Everything => return Err(Error::internal("a table behind ODBC has no row versions")),
        };
        self.stream(&Span { settled, ..Span::default() }, stop, each)
    }

    fn positions(&mut self, stop: &Stop, each: &mut dyn FnMut(&Position) -> Result<()>) -> Result<()> {
        self.pages(&Span::default(), POSITIONS_PAGE, What::Positions, stop, &mut |row| each(&row.position))
    }

    fn is_replica(&mut self) -> Result<bool> {
        let open = self.open.as_ref();
        match open.and_then(|open| open.engine.surety(open.has_snapshots)) {
            Some(sql) => Ok(!self.ask(sql, &[])?.into_iter().flatten().flatten().any(|text| text == "sure")),
            None => Ok(true),
        }
    }

    fn behind(&mut self, newest: &Values, by: Duration) -> Result<Option<Values>> {
        let shape = self.shape();
        let ([column], [newest], Resolution::Clock) = (shape.watermark.as_slice(), newest.as_slice(), shape.resolution)
        else {
            return Ok(None);
        };
        let engine = self.open.as_ref().map(|open| open.engine).unwrap_or_default();
        let Some(sql) = engine.behind(column, by.as_secs()) else { return Ok(None) };
        let answer = self.ask(&sql, &[newest])?;
        Ok(answer.into_iter().next().and_then(|row| row.into_iter().collect()))
    }

    fn capped(&mut self, newest: Values) -> Result<Values> {
        Ok(self.behind(&newest, Duration::ZERO)?.unwrap_or(newest))
    }

    fn bound(&mut self, _newest: &Values) -> Result<Option<Values>> {
        let min_active = self.open.as_ref().and_then(|open| open.min_active.as_deref());
        Ok(min_active.and_then(before).map(|before| vec![before]))
    }

    fn bound_word(&self) -> &'static str {
        "active-rowversion"
    }

    fn is_indexed(&mut self) -> Result<bool> {
        let engine = self.open.as_ref().map(|open| open.engine).unwrap_or_default();
        // Plans are shown in as many ways as there are databases; where this one's is not known, nothing is claimed.
        let Some((explain, sorts)) = engine.plan() else { return Ok(true) };
        let limit = Some(u64::from(self.settings.table.page.max(1)));
        let page = self.shape().page("1", &Span::default(), limit);
        let plan = self.ask(&format!("{explain}{}", page.sql), &[])?;
        Ok(!plan.iter().flatten().flatten().any(|line| line.contains(sorts)))
    }

    fn server(&mut self) -> Result<String> {
        self.with(|_, open| Ok(format!("{} at {}", open.database, open.location)))
    }

    fn end(&mut self, end: End) {
        let Some(mut open) = self.open.take() else { return };
        if end == End::Broken || self.stop.is_raised() || open.process.is_dead() {
            return;
        }
        if self.done(&mut open, Request::Rollback, &self.stop).is_ok() {
            self.open = Some(open);
        }
    }
}

/// The rowversion before `text`, which is written as SQL Server writes binary values: `0x00000000000007D1`.
fn before(text: &str) -> Option<String> {
    let number = u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()?;
    Some(format!("0x{:016X}", number.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_rowversion_before_the_smallest_active_one() {
        assert_eq!(before("0x00000000000007D1").as_deref(), Some("0x00000000000007D0"));
        assert_eq!(before("0x0000000100000000").as_deref(), Some("0x00000000FFFFFFFF"));
        assert_eq!(before("0x0000000000000000"), None);
        assert_eq!(before("17"), None);
    }
}
