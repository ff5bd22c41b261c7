//! PostgreSQL tables: snapshots in REPEATABLE READ READ ONLY, values in binary, rows by version where they have one, else SAFE
//! behind a fence or an overlap.
//! Which rows are new belongs to the parts all tables share.

mod address;
mod catalog;
mod cell;
mod doctor;
mod facts;
mod failure;
mod fence;
mod layout;
mod listen;
mod numeric;
mod passfile;
mod session;
mod tls;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::dialect::Dialect;
use super::kept::{self, Kept};
use super::local::floor_of_coming;
use super::settling::{Resolution, Settling, guard};
use super::statement::{Column, Shape, Statement};
use super::sweep::Part;
use super::versions::RowVersions;
use super::{Begun, End, Opening, Position, Row, Span, Table, TableSource, Values, Writer};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::setting::SourceName;
use crate::source::settings::{PostgresSettings, TableFrom};
use crate::source::{Accounts, Finding, Wake};
use address::Address;
use facts::Facts;
use fence::Before;
use layout::Layout;
use listen::Listener;
use session::Session;

/// A table source over a PostgreSQL database.
pub type PostgresSource = TableSource<PostgresTable>;

impl TableSource<PostgresTable> {
    /// A source over the table that `settings` name; its driver runs on `runtime`, and `accounts` are asked before each
    /// login with a password. Nothing is connected before the first poll.
    ///
    /// # Errors
    /// `Config` when the connection string can't be read.
    pub fn new(
        name: &SourceName,
        settings: &PostgresSettings,
        runtime: Handle,
        accounts: Arc<dyn Accounts>,
    ) -> Result<Self> {
        let address = read_address(name, settings)?;
        let table = PostgresTable {
            name: name.clone(),
            settings: settings.clone(),
            runtime,
            accounts,
            open: None,
            stop: Stop::new(),
        };
        Ok(Self::over(name, &settings.table, &address.location, table))
    }
}

/// One table of a PostgreSQL database.
pub struct PostgresTable {
    name: SourceName,
    settings: PostgresSettings,
    runtime: Handle,
    accounts: Arc<dyn Accounts>,
    open: Option<Open>,
    stop: Stop,
}

struct Open {
    session: Session,
    /// The session's time zone before it was set to UTC: what `now()` most likely means to whoever writes.
    zone: String,
    version: String,
    location: String,
    layout: Layout,
    facts: Facts,
    before: Before,
}

impl PostgresTable {
    fn connect(&self, stop: &Stop) -> Result<Open> {
        let address = read_address(&self.name, &self.settings)?;
        let passwords = match &self.settings.password {
            Some(secret) => secret.reveal_all()?,
            None => Vec::new(),
        };
        let session = Session::connect(&address, &passwords, &*self.accounts, &self.runtime, None, stop)?;
        let (zone, version) = session.prepare(stop)?;
        Ok(Open {
            session,
            zone,
            version,
            location: address.location,
            layout: Layout::default(),
            facts: Facts::default(),
            before: Before::default(),
        })
    }

    fn opened(&self) -> Result<&Open> {
        self.open.as_ref().ok_or_else(|| Error::internal("a PostgreSQL table is asked before its snapshot begins"))
    }

    /// Opens the snapshot and learns the columns, which may have changed since the last one.
    fn begin_snapshot(&mut self, stop: &Stop) -> Result<()> {
        let from = Dialect::POSTGRES.source_of_rows(&self.settings.table.from);
        let described = self.opened()?.session.begin(&format!("SELECT t.* FROM {from}"), stop)?;
        let columns = described.columns();
        let known = &self.opened()?.layout.described;
        let same =
            columns.iter().map(|c| (c.name(), c.type_())).eq(known.iter().map(|(name, kind)| (name.as_str(), kind)));
        if same && !columns.is_empty() {
            return Ok(());
        }
        let place = format!("{} of {}", self.what(), self.opened()?.location);
        let catalog = self.catalog()?;
        let unique = self.is_unique()?;
        let identity = self.identity()?;
        let facts = self.facts()?;
        let settling = self.row_stamps()?.settling(&self.settings.table, &place, facts.auto())?;
        facts.check(settling, &place)?;
        let mut layout = Layout::of(columns, &catalog, settling, &self.settings.table, &place)?;
        layout.shape.unique_key = unique;
        layout.shape.identity = identity;
        if let Some(open) = self.open.as_mut() {
            open.layout = layout;
            open.facts = facts;
        }
        Ok(())
    }

    fn is_fenced(&self) -> Result<bool> {
        let layout = &self.opened()?.layout;
        Ok(!layout.described.is_empty() && layout.shape.settling == Settling::Fence)
    }

    /// How far everything is visible, by transactions that were open and have ended.
    fn first_bound(&mut self, stop: &Stop) -> Result<Option<Values>> {
        self.begin_snapshot(stop)?;
        let newest = self.opened()?.layout.shape.newest();
        let newest = self.small(&newest.sql, &[])?.into_iter().next();
        let bound = match newest.map(|row| row.into_iter().flatten().collect::<Values>()) {
            Some(newest) => Some(self.drawn(newest)?),
            None => None,
        };
        self.opened()?.session.run("ROLLBACK", stop)?;
        match bound {
            Some(bound) => fence::settle_first(bound, |sql| self.small(sql, &[]), stop),
            None => Ok(None),
        }
    }

    fn facts(&self) -> Result<Facts> {
        let table = match &self.settings.table.from {
            TableFrom::Table(name) => Dialect::POSTGRES.quoted_path(name),
            TableFrom::Query(_) => String::new(),
        };
        let from = Dialect::POSTGRES.source_of_rows(&self.settings.table.from);
        Facts::learn(|sql, parameters| self.small(sql, parameters), &table, &from, &self.settings.table.watermark)
    }

    /// `newest` by the server's clock: `case` is made of n, the value; u and l, the clock in UTC and in the session's own
    /// zone; and b, the span `by`. `None` where the watermark is no single point in time.
    fn by_clock(&self, newest: &Values, by: Duration, case: &str) -> Result<Option<String>> {
        let open = self.opened()?;
        let ([column], [newest], Resolution::Clock) =
            (open.layout.shape.watermark.as_slice(), newest.as_slice(), open.layout.shape.resolution)
        else {
            return Ok(None);
        };
        let cast = column.from_text.trim_start_matches(Column::PLACE);
        let back = cast.trim_start_matches("::text");
        // A column without time zone holds times of `watermark_timezone`; where that is not said, UTC or the server's local time.
        let zone = self.settings.table.watermark_timezone.as_ref().filter(|_| column.type_name != "timestamptz");
        let local = zone.map(|zone| floor_of_coming(zone, self.clock()?)).transpose()?;
        let clocks = match (column.type_name.as_str(), &local) {
            ("timestamptz", _) => "now()::timestamp AS u, now()::timestamp AS l",
            (_, Some(_)) => "$3::text::timestamp AS u, $3::text::timestamp AS l",
            _ => "now() AT TIME ZONE 'UTC' AS u, now() AT TIME ZONE $3::text AS l",
        };
        let case = case.replace("{back}", back);
        let sql = format!(
            "SELECT {case} FROM (SELECT ($1{cast})::timestamp AS n, $2::text::interval AS b, $3::text AS z, {clocks}) AS c"
        );
        let seconds = format!("{} seconds", by.as_secs());
        let answer = self.small(&sql, &[newest, &seconds, local.as_ref().unwrap_or(&open.zone)])?;
        Ok(answer.into_iter().flatten().flatten().next())
    }

    fn what(&self) -> String {
        match &self.settings.table.from {
            TableFrom::Table(name) => format!("table {name}"),
            TableFrom::Query(_) => "the query".into(),
        }
    }

    fn small(&self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        self.opened()?.session.ask(sql, parameters, &self.stop)
    }

    /// The server's clock at the begin of the snapshot, microseconds since the epoch.
    fn clock(&self) -> Result<i64> {
        let asked = "SELECT (extract(epoch FROM now()) * 1000000)::bigint::text";
        let answer = self.small(asked, &[])?.into_iter().flatten().flatten().next();
        answer.and_then(|text| text.parse().ok()).ok_or_else(|| Error::internal("a clock that is no number"))
    }

    fn page(
        &self,
        statement: &Statement,
        last: &mut Option<Position>,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<u64> {
        let open = self.opened()?;
        let mut stream = open.session.stream(&statement.sql, &statement.parameters, stop)?;
        let mut buffers = Row::default();
        let mut count = 0;
        loop {
            let rows = open.session.next_rows(&mut stream, stop)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let read = open.layout.read(row, &mut buffers);
                read.map_err(|e| failure::failure(&format!("read {}", open.location), &e))?;
                each(&buffers)?;
            }
            count += rows.len() as u64;
        }
        if count > 0 {
            *last = Some(buffers.position);
        }
        Ok(count)
    }
}

impl Kept for PostgresTable {
    fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.session.is_closed())
    }

    fn reconnect(&mut self, stop: &Stop) -> Result<()> {
        self.open = None;
        self.open = Some(self.connect(stop)?);
        Ok(())
    }

    /// Opens the snapshot; where a fence is in use, reads before it who could still commit.
    fn open_snapshot(&mut self, opening: &Opening<'_>, stop: &Stop) -> Result<()> {
        let mut before = None;
        loop {
            if before.is_none() && (opening.between || self.is_fenced()?) {
                let bound = if opening.first && self.is_fenced()? { self.first_bound(stop)? } else { None };
                let writers = fence::writers(|sql| self.small(sql, &[]), opening.awaited)?;
                before = Some(Before { writers, bound });
            }
            self.begin_snapshot(stop)?;
            if before.is_some() || !self.is_fenced()? {
                break;
            }
            // Only now is it known that it is to be fenced.
            self.opened()?.session.run("ROLLBACK", stop)?;
        }
        if let Some(open) = self.open.as_mut() {
            open.before = before.unwrap_or_default();
        }
        Ok(())
    }
}

impl Table for PostgresTable {
    fn begin(&mut self, stop: &Stop, opening: &Opening<'_>) -> Result<Begun> {
        self.stop = stop.clone();
        kept::begin(self, opening, stop)
    }

    fn shape(&self) -> &Shape {
        &self.open.as_ref().expect("begin() opens it").layout.shape
    }

    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        self.small(sql, parameters)
    }

    fn stream(&mut self, span: &Span, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let page = u64::from(self.settings.table.page.max(1));
        let mut limit = Some(page);
        let mut span = span.clone();
        loop {
            let layout = &self.opened()?.layout;
            let statement = layout.shape.page(&layout.selected, &span, limit);
            let mut last = None;
            let count = self.page(&statement, &mut last, stop, each)?;
            if limit.is_none() || count < page {
                return Ok(());
            }
            if span.after.is_none() && !self.is_indexed()? {
                // Every page would sort all rows again: one sort, streamed, serves the rest of the pass.
                limit = None;
            }
            span.after = last;
        }
    }

    fn scan(&mut self, part: &Part, stop: &Stop, each: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let layout = &self.opened()?.layout;
        let statement = layout.shape.scan(&layout.selected, part);
        self.page(&statement, &mut None, stop, each).map(drop)
    }

    fn digest(&self, watermark: bool, digits: u32) -> Option<String> {
        let shape = &self.open.as_ref()?.layout.shape;
        let columns = shape.key.iter().chain(shape.watermark.iter().filter(|_| watermark));
        let texts: Vec<&str> = columns.map(|column| column.as_text.as_str()).collect();
        let bits = 4 * digits;
        Some(format!("('x' || substr(md5({}), 1, {digits}))::bit({bits})::bigint", texts.join(" || chr(10) || ")))
    }

    fn is_replica(&mut self) -> Result<bool> {
        let answer = self.small("SELECT pg_catalog.pg_is_in_recovery()::text", &[])?;
        Ok(answer.into_iter().flatten().flatten().any(|text| text == "true"))
    }

    fn behind(&mut self, newest: &Values, by: Duration) -> Result<Option<Values>> {
        // What lies beyond both clocks is from the future, and counts as the earlier of the two.
        let case = "((CASE WHEN n <= greatest(u, l) THEN n ELSE least(u, l) END - b){back})::text";
        Ok(self.by_clock(newest, by, case)?.map(|text| vec![text]))
    }

    fn drawn(&mut self, newest: Values) -> Result<Values> {
        let case = "((CASE WHEN n <= least(u, l) - b THEN n WHEN n <= greatest(u, l) THEN n - b \
                    ELSE least(u, l) - b END){back})::text";
        let by = guard(&newest, self.opened()?.layout.shape.resolution);
        Ok(self.by_clock(&newest, by, case)?.map_or(newest, |text| vec![text]))
    }

    fn lag(&mut self, safe: &Values) -> Result<Option<Duration>> {
        let case = "greatest(extract(epoch FROM least(u, l) - n), 0)::text";
        let seconds = self.by_clock(safe, Duration::ZERO, case)?.and_then(|text| text.parse::<f64>().ok());
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    }

    fn writers_before(&self) -> &[Writer] {
        self.open.as_ref().map_or(&[], |open| &open.before.writers)
    }

    fn writers_now(&mut self) -> Result<Vec<Writer>> {
        fence::writers(|sql| self.small(sql, &[]), &[])
    }

    fn bound(&mut self, _newest: &Values) -> Result<Option<Values>> {
        Ok(self.opened()?.before.bound.clone())
    }

    fn hazard(&self) -> Option<String> {
        let open = self.open.as_ref()?;
        open.facts.hazard(open.layout.shape.settling)
    }

    fn watch(&self, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
        let channel = self.settings.listen.clone()?;
        let (name, settings) = (self.name.clone(), self.settings.clone());
        let (runtime, accounts) = (self.runtime.clone(), self.accounts.clone());
        Listener { name, settings, runtime, accounts, wake }.begin(channel)
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        doctor::examine(self)
    }

    fn capped(&mut self, newest: Values) -> Result<Values> {
        Ok(self.behind(&newest, Duration::ZERO)?.unwrap_or(newest))
    }

    fn versions(&mut self) -> Option<&mut dyn RowVersions> {
        Some(self)
    }

    fn is_indexed(&mut self) -> Result<bool> {
        let open = self.opened()?;
        let page = u64::from(self.settings.table.page.max(1));
        let shape = &open.layout.shape;
        let page = match shape.settling {
            Settling::RowVersion => versions::first_page(shape, page),
            _ => shape.page("1", &Span::default(), Some(page)),
        };
        // A small table is sorted although an index would serve.
        self.small("SET LOCAL enable_sort = off", &[])?;
        let plan = self.small(&format!("EXPLAIN {}", page.sql), &[])?;
        self.small("SET LOCAL enable_sort TO DEFAULT", &[])?;
        let line_sorts = |line: &String| line.trim_start().trim_start_matches("->").trim_start().starts_with("Sort  ");
        Ok(!plan.iter().flatten().flatten().any(line_sorts))
    }

    fn server(&mut self) -> Result<String> {
        let open = self.opened()?;
        Ok(format!("PostgreSQL {} at {}", open.version, open.location))
    }

    fn end(&mut self, end: End) {
        let Some(open) = self.open.take() else { return };
        if end == End::Broken || self.stop.is_raised() {
            // A query may still be under way, and its rows would have to be read before anything else.
            if !open.session.is_closed() {
                open.session.cancel();
            }
            return;
        }
        if open.session.run("ROLLBACK", &self.stop).is_ok() {
            self.open = Some(open);
        }
    }
}

fn read_address(name: &SourceName, settings: &PostgresSettings) -> Result<Address> {
    let text = settings.url.reveal()?;
    let address = Address::parse(&text, &settings.tls, &format!("highwater/{name}"), |name| std::env::var(name).ok());
    address.map_err(|e| e.while_doing(format!("url ({})", settings.url.origin())))
}
