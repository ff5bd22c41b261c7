//! One connection to MySQL or MariaDB: opened as `ssl-mode` says, waited for with an eye on the stop, given up when in doubt.
//! A query that was not read to its end leaves a connection that can't be trusted: it is killed and dropped.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Opts, Params, Row, Value};
use tokio::runtime::Handle;

use super::address::{Address, Mode};
use super::cell::Cell;
use super::failure::{code, failure, is_refused, offers_no_encryption};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Accounts;
use crate::source::table::login::Attempt;
use crate::source::table::waiting::unless_stopped;

/// How long all of connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long a killed query's server is spoken to.
const CANCEL_MAX: Duration = Duration::from_secs(2);
/// Rows that are taken from the server at once.
const CHUNK_ROWS: usize = 256;

/// Settings of every session: read-only, UTC, and SQL that means the same with every server's configuration. Zero dates are
/// let through, so that a watermark that is one can be compared.
const SETTINGS: [&str; 3] = [
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', SESSION lock_wait_timeout = 30",
    "SET SESSION TRANSACTION READ ONLY",
    SNAPSHOTS,
];
/// Transactions see one state of the data, and only what was committed.
pub const SNAPSHOTS: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
/// Statements see everything, also what may be rolled back.
pub const DIRTY: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";

/// A connection.
pub struct Session {
    conn: Option<Conn>,
    runtime: Handle,
    place: String,
    opts: Opts,
    accounts: Arc<dyn Accounts>,
    account: String,
    is_closed: bool,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// `MariaDB 10.11.6` or `MySQL 8.0.36`.
    pub version: String,
    /// Whether it is MariaDB.
    pub is_mariadb: bool,
    /// The session's time zone before it was set to UTC: what `NOW()` most likely means to whoever writes.
    pub zone: String,
    /// Whether it only reads: most likely a replica.
    pub read_only: bool,
}

impl Session {
    /// Connects; of several passwords the first that is accepted is used.
    pub fn connect(
        address: &Address,
        passwords: &[String],
        accounts: &Arc<dyn Accounts>,
        runtime: &Handle,
        stop: &Stop,
    ) -> Result<Self> {
        let doing = format!("connect to {}", address.location);
        let account = address.account();
        let given = if passwords.is_empty() { address.password.as_slice() } else { passwords };
        let session = |(conn, opts)| Self {
            conn: Some(conn),
            runtime: runtime.clone(),
            place: address.location.clone(),
            opts,
            accounts: accounts.clone(),
            account: account.clone(),
            is_closed: false,
        };
        if given.is_empty() {
            let connected = timed(runtime, stop, &doing, connect_with(address, None))?;
            return connected.map(session).map_err(|e| failure(&doing, &e));
        }
        let mut last = None;
        for password in given {
            let attempt = match Attempt::begin(&**accounts, &account, password.as_bytes(), stop) {
                Ok(attempt) => attempt,
                Err(spent) => {
                    last.get_or_insert(spent.while_doing(&doing));
                    continue;
                }
            };
            let error = match timed(runtime, stop, &doing, connect_with(address, Some(password)))? {
                Ok(connected) => {
                    attempt.accepted();
                    return Ok(session(connected));
                }
                Err(error) => error,
            };
            let refused = is_refused(&error);
            if refused {
                attempt.refused();
            }
            let failed = failure(&doing, &error);
            if !refused {
                return Err(failed);
            }
            last = Some(failed);
        }
        Err(last.unwrap_or_else(|| Error::internal(&doing)))
    }

    /// Puts the session into the form all reading relies on.
    pub fn prepare(&mut self, stop: &Stop) -> Result<Server> {
        let row = self.ask("SELECT VERSION(), @@session.time_zone, @@read_only", &[], stop)?;
        let row = row.into_iter().next().unwrap_or_default();
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let is_mariadb = text(0).contains("MariaDB");
        for sql in SETTINGS {
            self.run(sql, stop)?;
        }
        // A statement that takes longer is stuck: even a first load reads page by page.
        let (asked, deadline) = match is_mariadb {
            true => ("SELECT @@session.max_statement_time = 0", "SET SESSION max_statement_time = 3600"),
            false => ("SELECT @@session.max_execution_time = 0", "SET SESSION max_execution_time = 3600000"),
        };
        if self.first(asked, stop)?.as_deref() == Some("1") {
            self.run(deadline, stop)?;
        }
        let product = if is_mariadb { "MariaDB" } else { "MySQL" };
        let number = text(0);
        let number = number.split('-').find(|part| part.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("");
        let read_only = !matches!(text(2).as_str(), "0" | "OFF" | "");
        Ok(Server { version: format!("{product} {number}"), is_mariadb, zone: text(1), read_only })
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Runs a statement without results.
    pub fn run(&mut self, sql: &str, stop: &Stop) -> Result<()> {
        self.wait(stop, async |conn| conn.query_drop(sql).await)
    }

    /// Whether this user may run a query.
    pub fn may(&mut self, sql: &str, stop: &Stop) -> Result<bool> {
        self.wait(stop, async |conn| match conn.query_drop(sql).await {
            Err(error) if matches!(code(&error), Some(1044 | 1045 | 1142 | 1143 | 1227 | 1193 | 1109 | 1345)) => {
                Ok(false)
            }
            other => other.map(|()| true),
        })
    }

    /// The columns of a query.
    pub fn columns(&mut self, sql: &str, stop: &Stop) -> Result<Vec<Column>> {
        self.wait(stop, async |conn| {
            let result = conn.query_iter(sql).await?;
            let columns = result.columns_ref().to_vec();
            result.drop_result().await?;
            Ok(columns)
        })
    }

    /// Runs a query with text parameters; its values as texts.
    pub fn ask(&mut self, sql: &str, parameters: &[&str], stop: &Stop) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        let parameters: Vec<String> = parameters.iter().map(|text| (*text).to_owned()).collect();
        self.stream(sql, &parameters, stop, &mut |row| {
            rows.push(texts(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first value of the first row.
    pub fn first(&mut self, sql: &str, stop: &Stop) -> Result<Option<String>> {
        Ok(self.ask(sql, &[], stop)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Runs a query with text parameters and takes its rows one by one, as they come.
    pub fn stream(
        &mut self,
        sql: &str,
        parameters: &[String],
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let doing = format!("read {}", self.place);
        let values = parameters.iter().map(|text| Value::Bytes(text.clone().into_bytes())).collect::<Vec<_>>();
        let parameters = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
        let runtime = self.runtime.clone();
        let closed = &mut self.is_closed;
        let conn = self.conn.as_mut().ok_or_else(|| Error::internal(&doing))?;
        let mut failed = |error: mysql_async::Error| {
            *closed |= error.is_fatal();
            failure(&doing, &error)
        };
        let begun = runtime.block_on(unless_stopped(stop, conn.exec_iter(sql, parameters)))?;
        let mut result = begun.map_err(&mut failed)?;
        let mut ended = false;
        while !ended {
            let chunk = runtime.block_on(unless_stopped(stop, async {
                let mut taken = Vec::with_capacity(CHUNK_ROWS);
                while taken.len() < CHUNK_ROWS {
                    match result.next().await? {
                        Some(row) => taken.push(row),
                        None => {
                            ended = true;
                            break;
                        }
                    }
                }
                Ok(taken)
            }))?;
            for row in &chunk.map_err(&mut failed)? {
                each(row)?;
            }
        }
        Ok(())
    }

    /// Ends the connection; a query that is under way is killed, as the server would go on with it.
    pub fn cancel(mut self) {
        let Some(conn) = self.conn.take() else { return };
        let id = conn.id();
        let _entered = self.runtime.enter();
        drop(conn);
        if self.is_closed {
            return;
        }
        let password = self.opts.pass().map(str::to_owned);
        let attempt = match &password {
            Some(password) => match Attempt::begin(
                &*self.accounts,
                &self.account,
                password.as_bytes(),
                &Stop::new().within(CONNECT_MAX),
            ) {
                Ok(attempt) => Some(attempt),
                Err(_) => return,
            },
            None => None,
        };
        let killing = async {
            match Conn::new(self.opts.clone()).await {
                Ok(mut other) => {
                    attempt.into_iter().for_each(Attempt::accepted);
                    other.query_drop(format!("KILL {id}")).await?;
                    other.disconnect().await
                }
                Err(error) => {
                    if is_refused(&error) {
                        attempt.into_iter().for_each(Attempt::refused);
                    }
                    Err(error)
                }
            }
        };
        // Best effort: the statement has a deadline of its own, and a query that is over has no connection to kill.
        let _ = self.runtime.block_on(async { tokio::time::timeout(CANCEL_MAX, killing).await });
    }

    fn wait<T>(
        &mut self,
        stop: &Stop,
        work: impl AsyncFnOnce(&mut Conn) -> std::result::Result<T, mysql_async::Error>,
    ) -> Result<T> {
        let doing = format!("read {}", self.place);
        let conn = self.conn.as_mut().ok_or_else(|| Error::internal(&doing))?;
        let done = self.runtime.block_on(unless_stopped(stop, work(conn)))?;
        done.map_err(|error| {
            self.is_closed |= error.is_fatal();
            failure(&doing, &error)
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The driver says goodbye to the server in a task of its own.
        let _entered = self.runtime.enter();
        drop(self.conn.take());
    }
}

/// The values of a row as texts.
pub fn texts(row: &Row) -> Result<Vec<Option<String>>> {
    let cells = row.columns_ref().iter().map(Cell::of);
    let each = cells.enumerate().map(|(at, cell)| match row.as_ref(at) {
        None | Some(Value::NULL) => Ok(None),
        Some(value) => {
            let mut out = String::new();
            let pushed = cell.push_text(&mut out, value);
            pushed.map_err(|problem| Error::new(ErrorKind::Invalid, format!("a watermark or key {problem}")))?;
            Ok(Some(out))
        }
    });
    each.collect()
}

fn timed<T>(runtime: &Handle, stop: &Stop, doing: &str, work: impl Future<Output = T>) -> Result<T> {
    let timed = async { tokio::time::timeout(CONNECT_MAX, unless_stopped(stop, work)).await };
    match runtime.block_on(timed) {
        Ok(done) => done,
        Err(_) => {
            let fact = format!("{doing}: no answer within {} s", CONNECT_MAX.as_secs());
            Err(Error::new(ErrorKind::TimedOut, fact))
        }
    }
}

async fn connect_with(
    address: &Address,
    password: Option<&str>,
) -> std::result::Result<(Conn, Opts), mysql_async::Error> {
    let opts = address.options(password, address.mode != Mode::Disabled);
    match Conn::new(opts.clone()).await {
        // Told before the password is: the other way is no second attempt.
        Err(error) if address.mode == Mode::Preferred && offers_no_encryption(&error) => {
            let opts = address.options(password, false);
            Ok((Conn::new(opts.clone()).await?, opts))
        }
        connected => connected.map(|conn| (conn, opts)),
    }
}
