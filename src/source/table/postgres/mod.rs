//! PostgreSQL tables: snapshots in REPEATABLE READ READ ONLY, values in binary, rows by version where they have one.
//! Which rows are new belongs to the parts all tables share.

mod address;
mod cell;
mod failure;
mod layout;
mod numeric;
mod session;
mod tls;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::dialect::Dialect;
use super::local::floor_of_coming;
use super::settling::{Resolution, Settling};
use super::statement::{Column, Shape, Statement};
use super::versions::RowVersions;
use super::{Begun, End, Opening, Position, Row, Span, Table, TableSource, Values};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::Accounts;
use crate::source::settings::{PostgresSettings, TableFrom};
use address::Address;
use layout::{CatalogColumn, Layout};
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
        let address = read_address(settings)?;
        let table = PostgresTable { settings: settings.clone(), runtime, accounts, open: None, stop: Stop::new() };
        Ok(Self::over(name, &settings.table, &address.location, table))
    }
}

/// One table of a PostgreSQL database.
pub struct PostgresTable {
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
}

impl PostgresTable {
    fn connect(&self, stop: &Stop) -> Result<Open> {
        let address = read_address(&self.settings)?;
        let passwords = match &self.settings.password {
            Some(secret) => secret.reveal_all()?,
            None => Vec::new(),
        };
        let session = Session::connect(&address, &passwords, &*self.accounts, &self.runtime, stop)?;
        let (zone, version) = session.prepare(stop)?;
        Ok(Open { session, zone, version, location: address.location, layout: Layout::default() })
    }

    fn opened(&self) -> Result<&Open> {
        self.open.as_ref().ok_or_else(|| Error::internal("a PostgreSQL table is asked before its snapshot begins"))
    }

    /// Opens the snapshot and learns the columns, which may have changed since the last one.
    fn begin_snapshot(&mut self, stop: &Stop) -> Result<()> {
        let from = Dialect::POSTGRES.from_clause(&self.settings.table.from);
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
        let settling = self.relation()?.settling(&self.settings.table, &place)?;
        let mut layout = Layout::of(columns, &catalog, settling, &self.settings.table, &place)?;
        layout.shape.unique_key = unique;
        layout.shape.identity = identity;
        if let Some(open) = self.open.as_mut() {
            open.layout = layout;
        }
        Ok(())
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

    fn catalog(&self) -> Result<Vec<CatalogColumn>> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(Vec::new()) };
        let sql = "SELECT a.attname::text, a.attnotnull::text, \
                     CASE WHEN c.collname <> 'default' THEN format('%I.%I', n.nspname, c.collname) END, \
                     (NOT coalesce((to_jsonb(c) ->> 'collisdeterministic')::bool, true))::text \
                   FROM pg_catalog.pg_attribute a \
                   LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
                   LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
                   WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = self.small(sql, &[&Dialect::POSTGRES.quoted_path(name)])?;
        let is = |text: Option<String>| text.as_deref() == Some("true");
        let columns = rows.into_iter().map(|row| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let (name, not_null) = (next().unwrap_or_default(), is(next()));
            CatalogColumn { name, nullable: !not_null, collation: next(), fuzzy: is(next()) }
        });
        Ok(columns.collect())
    }

    /// Whether a unique index lies within the key columns.
    fn is_unique(&self) -> Result<bool> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(false) };
        let sql = "SELECT '1'::text FROM pg_catalog.pg_index i \
                   WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate \
                     AND i.indpred IS NULL AND i.indexprs IS NULL \
                     AND ARRAY(SELECT a.attname::text \
                               FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
                               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                               WHERE k.place <= i.indnkeyatts) \
                         <@ ARRAY(SELECT json_array_elements_text($2::text::json)) LIMIT 1";
        let key = serde_json::Value::from(self.settings.table.key.clone()).to_string();
        Ok(!self.small(sql, &[&Dialect::POSTGRES.quoted_path(name), &key])?.is_empty())
    }

    /// The cluster, the database and the table, as far as this user may know them.
    fn identity(&self) -> Result<String> {
        let allowed = "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute')::text";
        let may_ask = self.small(allowed, &[])?.into_iter().flatten().flatten().any(|text| text == "true");
        let system = "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())";
        let system = if may_ask { system } else { "'-'::text" };
        let table = match &self.settings.table.from {
            TableFrom::Table(name) => Dialect::POSTGRES.quoted_path(name),
            TableFrom::Query(_) => String::new(),
        };
        let sql = format!(
            "SELECT {system} || ':' || (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()) \
             || ':' || CASE WHEN $1::text = '' THEN '' ELSE ($1::text::regclass::oid)::text END"
        );
        Ok(self.small(&sql, &[&table])?.into_iter().flatten().flatten().next().unwrap_or_default())
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

impl Table for PostgresTable {
    fn begin(&mut self, stop: &Stop, _opening: &Opening<'_>) -> Result<Begun> {
        self.stop = stop.clone();
        let kept = self.open.as_ref().is_some_and(|open| !open.session.is_closed());
        if !kept {
            self.open = Some(self.connect(stop)?);
        }
        let mut begun = self.begin_snapshot(stop);
        if kept && begun.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable) {
            // The server went away while nobody looked; nothing of this poll is lost by connecting once more.
            self.open = None;
            self.open = Some(self.connect(stop)?);
            begun = self.begin_snapshot(stop);
        }
        if begun.is_err() {
            self.end(End::Broken);
        }
        begun.map(|()| Begun::Snapshot)
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

    fn behind(&mut self, newest: &Values, by: Duration) -> Result<Option<Values>> {
        let open = self.opened()?;
        let ([column], [newest], Resolution::Clock) =
            (open.layout.shape.watermark.as_slice(), newest.as_slice(), open.layout.shape.resolution)
        else {
            return Ok(None);
        };
        let cast = column.from_text.trim_start_matches(Column::PLACE);
        let back = cast.trim_start_matches("::text");
        // A column without time zone holds UTC or the server's local time. What lies beyond both is from the future, and
        // counts as the earlier of the two.
        let zone = self.settings.table.watermark_timezone.as_ref().filter(|_| column.type_name != "timestamptz");
        let local = zone.map(|zone| floor_of_coming(zone, self.clock()?)).transpose()?;
        let clocks = match (column.type_name.as_str(), &local) {
            ("timestamptz", _) => "now()::timestamp AS u, now()::timestamp AS l",
            (_, Some(_)) => "$3::text::timestamp AS u, $3::text::timestamp AS l",
            _ => "now() AT TIME ZONE 'UTC' AS u, now() AT TIME ZONE $3::text AS l",
        };
        let zone = local.as_ref().unwrap_or(&open.zone);
        let sql = format!(
            "SELECT ((CASE WHEN n <= greatest(u, l) THEN n ELSE least(u, l) END - $2::text::interval){back})::text \
             FROM (SELECT ($1{cast})::timestamp AS n, $3::text AS z, {clocks}) AS c"
        );
        let seconds = format!("{} seconds", by.as_secs());
        let answer = self.small(&sql, &[newest, &seconds, zone])?;
        Ok(answer.into_iter().next().map(|row| row.into_iter().flatten().collect()))
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
        let plan = self.small(&format!("EXPLAIN {}", page.sql), &[])?;
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

fn read_address(settings: &PostgresSettings) -> Result<Address> {
    let text = settings.url.reveal()?;
    let address = Address::parse(&text, &settings.tls, |name| std::env::var(name).ok());
    address.map_err(|e| e.while_doing(format!("url ({})", settings.url.origin())))
}
