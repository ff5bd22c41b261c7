//! MySQL and MariaDB tables: consistent snapshots, values over the binary protocol, SAFE below what dirty reads show in flight.
//! Which rows are new belongs to the parts all tables share.

mod address;
mod catalog;
mod cell;
mod digest;
mod doctor;
mod failure;
mod fence;
mod holders;
mod layout;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::dialect::Dialect;
use super::kept::{self, Kept};
use super::settling::{Resolution, Settling};
use super::statement::{Shape, Statement};
use super::sweep::Part;
use super::{Begun, End, Opening, Position, Row, Span, Table, TableSource, Values};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::settings::{MysqlSettings, TableFrom};
use crate::source::{Accounts, Finding};
use address::Address;
use catalog::{Catalog, Whose};
use cell::Cell;
use fence::{Clock, Fence, Maxima, smaller};
use layout::{Layout, Seen};
use session::{Server, Session};

/// How long a first load of a long table waits for its largest number to settle.
const FIRST_WAIT: Duration = Duration::from_secs(6);

/// A table source over a MySQL or MariaDB database.
pub type MysqlSource = TableSource<MysqlTable>;

impl TableSource<MysqlTable> {
    /// A source over the table that `settings` name; its driver runs on `runtime`, and `accounts` are asked before each
    /// login with a password. Nothing is connected before the first poll.
    ///
    /// # Errors
    /// `Config` when the URL can't be read.
    pub fn new(
        name: &SourceName,
        settings: &MysqlSettings,
        runtime: Handle,
        accounts: Arc<dyn Accounts>,
    ) -> Result<Self> {
        let address = read_address(settings)?;
        let table = MysqlTable { settings: settings.clone(), runtime, accounts, open: None, stop: Stop::new() };
        Ok(Self::over(name, &settings.table, &address.location, table))
    }
}

/// One table of a MySQL or MariaDB database.
pub struct MysqlTable {
    settings: MysqlSettings,
    runtime: Handle,
    accounts: Arc<dyn Accounts>,
    open: Option<Open>,
    stop: Stop,
}

struct Open {
    session: Session,
    server: Server,
    /// Whether this user sees the statements and transactions of others.
    processes: bool,
    location: String,
    layout: Layout,
    /// The engine that shows nothing in flight, and whose it is.
    engine: Option<(String, Whose)>,
    fence: Option<Fence>,
    maxima: Maxima,
}

impl MysqlTable {
    fn connect(&self, stop: &Stop) -> Result<Open> {
        let address = read_address(&self.settings)?;
        let passwords = match &self.settings.password {
            Some(secret) => secret.reveal_all()?,
            None => Vec::new(),
        };
        let mut session = Session::connect(&address, &passwords, &self.accounts, &self.runtime, stop)?;
        let server = session.prepare(stop)?;
        let processes = session.may("SELECT COUNT(*) FROM information_schema.innodb_trx", stop)?;
        let (layout, maxima) = (Layout::default(), Maxima::default());
        let location = address.location;
        Ok(Open { session, server, processes, location, layout, engine: None, fence: None, maxima })
    }

    fn opened(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(|| Error::internal("a MySQL table is asked before its snapshot begins"))
    }

    /// Learns the columns, reads what must be read before the snapshot, and opens it.
    fn begin_snapshot(&mut self, opening: &Opening<'_>, stop: &Stop) -> Result<()> {
        self.learn(stop)?;
        let given = self.settings.table.watermark_timezone.clone();
        let open = self.opened()?;
        open.fence = None;
        if opening.polls && open.layout.shape.settling == Settling::Bound {
            let fence = open.read_fence(opening, given.as_deref(), stop)?;
            open.fence = Some(match (fence.is_long(), opening.safe, open.layout.clock) {
                // Else every row of a long table would have to be remembered until the second poll.
                (true, None, None) => {
                    fence.note(&mut open.maxima);
                    pause(FIRST_WAIT, stop)?;
                    open.read_fence(opening, given.as_deref(), stop)?
                }
                _ => fence,
            });
        }
        open.session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", stop)
    }

    /// Describes the columns, which may have changed since the last time. Once the snapshot is open they can't: a table that
    /// was altered in between is refused by the server, and the next poll begins afresh.
    fn learn(&mut self, stop: &Stop) -> Result<()> {
        let from = Dialect::MYSQL.source_of_rows(&self.settings.table.from);
        let open = self.opened()?;
        let described = open.session.columns(&format!("SELECT t.* FROM {from} LIMIT 0"), stop)?;
        let same = described.iter().map(Seen::of).collect::<Vec<_>>() == open.layout.described;
        if same && !described.is_empty() {
            return Ok(());
        }
        let table = self.settings.table.clone();
        let what = match &table.from {
            TableFrom::Table(name) => format!("table {name}"),
            TableFrom::Query(_) => "the query".into(),
        };
        let open = self.opened()?;
        let catalog = Catalog::read(&mut open.session, &open.server, &table, stop)?;
        open.layout = Layout::of(&described, &catalog, &table, &format!("{what} of {}", open.location))?;
        open.engine = catalog.engine.map(|engine| (engine, catalog.whose));
        Ok(())
    }

    fn page(
        &mut self,
        statement: &Statement,
        last: &mut Option<Position>,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<u64> {
        let open = self.opened()?;
        let mut buffers = Row::default();
        let mut count = 0;
        let layout = &open.layout;
        open.session.stream(&statement.sql, &statement.parameters, stop, &mut |row| {
            layout.read(row, &mut buffers);
            count += 1;
            each(&buffers)
        })?;
        if count > 0 {
            *last = Some(buffers.position);
        }
        Ok(count)
    }
}

impl Open {
    fn read_fence(&mut self, opening: &Opening<'_>, given: Option<&str>, stop: &Stop) -> Result<Fence> {
        let clock = Clock::read(&mut self.session, &self.server, given, self.processes, stop)?;
        Fence::read(&mut self.session, &self.layout, clock, opening.safe, stop)
    }
}

impl Kept for MysqlTable {
    fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.session.is_closed())
    }

    fn reconnect(&mut self, stop: &Stop) -> Result<()> {
        self.open = None;
        self.open = Some(self.connect(stop)?);
        Ok(())
    }

    fn open_snapshot(&mut self, opening: &Opening<'_>, stop: &Stop) -> Result<()> {
        self.begin_snapshot(opening, stop)
    }
}

impl Table for MysqlTable {
    fn begin(&mut self, stop: &Stop, opening: &Opening<'_>) -> Result<Begun> {
        self.stop = stop.clone();
        kept::begin(self, opening, stop)
    }

    fn shape(&self) -> &Shape {
        &self.open.as_ref().expect("begin() opens it").layout.shape
    }

    fn ask(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        let stop = self.stop.clone();
        self.opened()?.session.ask(sql, parameters, &stop)
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

    fn positions(&mut self, stop: &Stop, each: &mut dyn FnMut(&Position) -> Result<()>) -> Result<()> {
        let Open { session, layout, .. } = self.opened()?;
        let statement = layout.shape.scan(&layout.selected_position(), &Part::default());
        let mut position = Position::default();
        session.stream(&statement.sql, &statement.parameters, stop, &mut |row| {
            layout.read_position(row, &mut position);
            each(&position)
        })
    }

    fn digest(&self, watermark: bool, digits: u32) -> Option<String> {
        self.open.as_ref()?.layout.digest(watermark, digits)
    }

    fn is_replica(&mut self) -> Result<bool> {
        // Other engines than InnoDB have no snapshots: a row that moves while they are read may be overlooked.
        let read_only = self.ask("SELECT @@read_only", &[])?.into_iter().flatten().flatten().next();
        Ok(self.opened()?.engine.is_some() || !matches!(read_only.as_deref(), Some("0" | "OFF")))
    }

    fn behind(&mut self, newest: &Values, by: Duration) -> Result<Option<Values>> {
        let given = self.settings.table.watermark_timezone.clone();
        let stop = self.stop.clone();
        let open = self.opened()?;
        let Some(cell) = open.layout.clock else { return Ok(None) };
        let clock = Clock::read(&mut open.session, &open.server, given.as_deref(), false, &stop)?;
        let (session, shape) = (&mut open.session, &open.layout.shape);
        let at = |offset: i64| vec![clock.text(cell, clock.now, offset, Duration::ZERO)];
        // What lies beyond every clock the column may follow is from the future, and counts as the earliest of them.
        let latest = at(clock.offsets.1);
        let capped = match smaller(session, shape, newest.clone(), latest, &stop)? == *newest {
            true => newest.clone(),
            false => at(clock.offsets.0),
        };
        if by.is_zero() {
            return Ok(Some(capped));
        }
        let kind = if cell == Cell::Date { "DATE" } else { "DATETIME(6)" };
        let sql = format!("SELECT CAST(CAST(? AS DATETIME(6)) - INTERVAL {} SECOND AS {kind})", by.as_secs());
        let parameters: Vec<&str> = capped.iter().map(String::as_str).collect();
        let answer = session.ask(&sql, &parameters, &stop)?.into_iter().next();
        Ok(answer.map(|row| row.into_iter().flatten().collect()))
    }

    fn capped(&mut self, newest: Values) -> Result<Values> {
        Ok(self.behind(&newest, Duration::ZERO)?.unwrap_or(newest))
    }

    fn written_value(&mut self, values: Values, _newest: Option<&Values>) -> Result<Values> {
        if self.shape().resolution == Resolution::Unknown {
            return Ok(values);
        }
        let zone = self.settings.table.watermark_timezone.as_deref().unwrap_or("UTC").to_owned();
        let moments = values.iter().map(|text| written_moment(text, &zone)).collect::<Result<Values>>()?;
        for (moment, text) in moments.iter().zip(&values) {
            // What it can't read the server takes for NULL, or compares as a text.
            let read = self.ask("SELECT CAST(CAST(? AS DATETIME(6)) AS CHAR)", &[moment])?;
            if read.into_iter().flatten().flatten().next().is_none() {
                let fact = format!("\"{text}\" is no point in time that the server can read");
                return Err(Error::new(ErrorKind::Invalid, format!("{fact}; write one like 2026-11-23 10:15:00")));
            }
        }
        Ok(moments)
    }

    fn bound(&mut self, newest: &Values) -> Result<Option<Values>> {
        let stop = self.stop.clone();
        let open = self.opened()?;
        let Some(fence) = open.fence.take() else { return Ok(None) };
        fence.note(&mut open.maxima);
        let bound = fence.bound(&mut open.session, &open.layout, &mut open.maxima, newest, &stop);
        open.fence = Some(fence);
        bound
    }

    fn is_indexed(&mut self) -> Result<bool> {
        let limit = Some(u64::from(self.settings.table.page.max(1)));
        let page = self.shape().page("1", &Span::default(), limit);
        let (sql, stop) = (format!("EXPLAIN {}", page.sql), self.stop.clone());
        // The plan of a view is shown only to who may see its definition.
        if !self.opened()?.session.may(&sql, &stop)? {
            return Ok(false);
        }
        let plan = self.ask(&sql, &[])?;
        Ok(!plan.iter().flatten().flatten().any(|text| text.contains("Using filesort")))
    }

    fn server(&mut self) -> Result<String> {
        let open = self.opened()?;
        Ok(format!("{} at {}", open.server.version, open.location))
    }

    fn holders(&mut self) -> Result<Vec<String>> {
        let stop = self.stop.clone();
        let open = self.opened()?;
        let Some(in_flight) = open.fence.as_ref().and_then(Fence::held_at) else { return Ok(Vec::new()) };
        holders::holders(&mut open.session, open.processes, &in_flight, &stop)
    }

    fn lag(&mut self, safe: &Values) -> Result<Option<Duration>> {
        let given = self.settings.table.watermark_timezone.clone();
        let stop = self.stop.clone();
        let open = self.opened()?;
        let (Some(cell), [safe]) = (open.layout.clock, safe.as_slice()) else { return Ok(None) };
        let clock = Clock::read(&mut open.session, &open.server, given.as_deref(), false, &stop)?;
        let now = clock.text(cell, clock.now, clock.offsets.0, Duration::ZERO);
        let sql = "SELECT GREATEST(TIMESTAMPDIFF(MICROSECOND, CAST(? AS DATETIME(6)), CAST(? AS DATETIME(6))), 0)";
        let answer = open.session.ask(sql, &[safe, &now], &stop)?.into_iter().flatten().flatten().next();
        Ok(answer.and_then(|text| text.parse().ok()).map(Duration::from_micros))
    }

    fn bound_word(&self) -> &'static str {
        "dirty-read"
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        doctor::examine(self)
    }

    fn end(&mut self, end: End) {
        let Some(mut open) = self.open.take() else { return };
        open.fence = None;
        if end == End::Broken || self.stop.is_raised() {
            // A query may still be under way, and its rows would have to be read before anything else.
            open.session.cancel();
            return;
        }
        if open.session.run("ROLLBACK", &self.stop).is_ok() {
            self.open = Some(open);
        }
    }
}

/// Waits, but not longer than until `stop` is raised.
fn pause(time: Duration, stop: &Stop) -> Result<()> {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until {
        stop.check()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A point in time as people write it: with an offset it becomes the column's own zone, without one it stands as it is.
fn written_moment(text: &str, zone: &str) -> Result<String> {
    let Ok(moment) = text.parse::<jiff::Timestamp>() else { return Ok(text.replacen('T', " ", 1)) };
    let local =
        moment.in_tz(zone).map_err(|e| Error::new(ErrorKind::Config, format!("time zone {zone}")).because(e))?;
    Ok(local.strftime("%Y-%m-%d %H:%M:%S%.f").to_string())
}

fn read_address(settings: &MysqlSettings) -> Result<Address> {
    let text = settings.url.reveal()?;
    Address::parse(&text, &settings.tls).map_err(|e| e.while_doing(format!("url ({})", settings.url.origin())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_moment_becomes_the_column_s_own_zone() {
        let written = |text, zone| written_moment(text, zone).expect("a moment");
        assert_eq!(written("2026-11-23T10:15:00.5Z", "UTC"), "2026-11-23 10:15:00.5");
        assert_eq!(written("2026-11-23T10:15:00+02:00", "Europe/Berlin"), "2026-11-23 09:15:00");
        assert_eq!(written("2026-11-23T10:15:00", "UTC"), "2026-11-23 10:15:00");
    }
}
