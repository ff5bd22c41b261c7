//! One connection to PostgreSQL: opened as `sslmode` says, waited for with an eye on the stop, given up when in doubt.
//! A query that was not read to its end leaves a connection that can't be trusted: it is cancelled and dropped.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, RowStream};

use super::address::{Address, Mode};
use super::failure::{calls_for_other_encryption, failure, is_refused, is_wrong_password};
use super::tls::Connector;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Accounts;
use crate::source::table::login::Attempt;

/// How often a waiting call looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long all of connecting may take, with every host and way of encryption.
const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long a cancelled query's server is spoken to.
const CANCEL_MAX: Duration = Duration::from_secs(2);
/// Rows that are taken from the stream at once.
pub const CHUNK_ROWS: usize = 256;

/// Settings of every session: read-only, UTC, and texts that do not depend on the server's configuration.
const SETTINGS: &str = "SET default_transaction_read_only = on; SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'; \
     SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex'; SET lock_timeout = '30s'";
/// A statement that takes longer is stuck: even a first load reads page by page.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '1h'";

/// The rows of a query, as they come.
pub struct Rows {
    stream: Pin<Box<RowStream>>,
    ended: bool,
}

/// An open connection.
pub struct Session {
    client: Client,
    runtime: Handle,
    connector: Option<Connector>,
    place: String,
}

impl Session {
    /// Connects, trying each password and each way of encryption that `address` allows, as often as `accounts` let it.
    pub fn connect(
        address: &Address,
        passwords: &[String],
        accounts: &dyn Accounts,
        runtime: &Handle,
        stop: &Stop,
    ) -> Result<Self> {
        let connector = if address.mode == Mode::Disable { None } else { Some(Connector::new(address)?) };
        let doing = format!("connect to {}", address.location);
        let account = address.account();
        let written = address.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let connecting = async {
            let given = if passwords.is_empty() { written.as_slice() } else { passwords };
            if given.is_empty() {
                let connected = connect_with(address, None, connector.as_ref(), runtime).await;
                return connected.map_err(|error| failure(&doing, &error));
            }
            let mut last = None;
            for password in given {
                let attempt = match Attempt::begin(accounts, &account, password.as_bytes(), stop) {
                    Ok(attempt) => attempt,
                    Err(spent) => {
                        last.get_or_insert(spent.while_doing(&doing));
                        continue;
                    }
                };
                let error = match connect_with(address, Some(password), connector.as_ref(), runtime).await {
                    Ok(client) => {
                        attempt.accepted();
                        return Ok(client);
                    }
                    Err(error) => error,
                };
                if is_refused(&error) {
                    attempt.refused();
                }
                let failed = failure(&doing, &error);
                if !is_wrong_password(&error) {
                    return Err(failed);
                }
                last = Some(failed);
            }
            Err(last.unwrap_or_else(|| Error::internal(&doing)))
        };
        let client = runtime.block_on(async {
            match tokio::time::timeout(CONNECT_MAX, unless_stopped(stop, connecting)).await {
                Ok(connected) => connected?,
                Err(_) => {
                    let fact = format!("{doing}: no answer within {} s", CONNECT_MAX.as_secs());
                    Err(Error::new(ErrorKind::TimedOut, fact))
                }
            }
        })?;
        Ok(Self { client, runtime: runtime.clone(), connector, place: address.location.clone() })
    }

    /// Puts the session into the form all reading relies on; returns the server's own time zone and version.
    pub fn prepare(&self, stop: &Stop) -> Result<(String, String)> {
        let asked = "SELECT current_setting('TimeZone'), current_setting('server_version'), \
                     current_setting('statement_timeout')";
        let row = self.ask(asked, &[], stop)?.into_iter().next().unwrap_or_default();
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        self.run(SETTINGS, stop)?;
        if text(2) == "0" {
            self.run(STATEMENT_TIMEOUT, stop)?;
        }
        Ok((text(0), text(1)))
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without results.
    pub fn run(&self, sql: &str, stop: &Stop) -> Result<()> {
        self.wait(stop, self.client.batch_execute(sql))
    }

    /// Opens a snapshot and, in the same round trip, describes the columns of `sql` inside it.
    pub fn begin(&self, sql: &str, stop: &Stop) -> Result<tokio_postgres::Statement> {
        let begin = self.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        self.wait(stop, async {
            let (begun, described) = futures_util::join!(begin, self.client.prepare(sql));
            begun?;
            described
        })
    }

    /// Runs a query with text parameters and text results.
    pub fn ask(&self, sql: &str, parameters: &[&str], stop: &Stop) -> Result<Vec<Vec<Option<String>>>> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            parameters.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let rows = self.wait(stop, self.client.query_typed(sql, &typed))?;
        let texts = |row: &tokio_postgres::Row| (0..row.len()).map(|at| row.try_get(at)).collect();
        rows.iter().map(texts).collect::<std::result::Result<_, _>>().map_err(|e| self.failed(&e))
    }

    /// Begins to stream a query with text parameters.
    pub fn stream(&self, sql: &str, parameters: &[String], stop: &Stop) -> Result<Rows> {
        let typed = parameters.iter().map(|text| (text, Type::TEXT));
        let stream = Box::pin(self.wait(stop, self.client.query_typed_raw(sql, typed))?);
        Ok(Rows { stream, ended: false })
    }

    /// The next rows of a stream, at most [`CHUNK_ROWS`]; none at its end.
    pub fn next_rows(&self, rows: &mut Rows, stop: &Stop) -> Result<Vec<tokio_postgres::Row>> {
        self.wait(stop, async {
            let mut taken = Vec::with_capacity(CHUNK_ROWS);
            while taken.len() < CHUNK_ROWS && !rows.ended {
                // Wait for the first one; then take what has come already.
                let next = match taken.is_empty() {
                    true => Some(rows.stream.next().await),
                    false => rows.stream.next().now_or_never(),
                };
                match next {
                    Some(Some(row)) => taken.push(row?),
                    Some(None) => rows.ended = true,
                    None => break,
                }
            }
            Ok(taken)
        })
    }

    /// Tells the server that nobody waits for its answer any more.
    pub fn cancel(self) {
        let token = self.client.cancel_token();
        let cancelling = async {
            match self.connector {
                Some(connector) => token.cancel_query(connector).await,
                None => token.cancel_query(NoTls).await,
            }
        };
        // Best effort: the connection is closed in any case, which the server notices when it next writes.
        let _ = self.runtime.block_on(async { tokio::time::timeout(CANCEL_MAX, cancelling).await });
    }

    fn wait<T>(
        &self,
        stop: &Stop,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        self.runtime.block_on(unless_stopped(stop, work))?.map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        failure(&format!("read {}", self.place), error)
    }
}

async fn connect_with(
    address: &Address,
    password: Option<&str>,
    connector: Option<&Connector>,
    runtime: &Handle,
) -> std::result::Result<Client, tokio_postgres::Error> {
    let mut config = address.config.clone();
    if let Some(password) = password {
        config.password(password);
    }
    let (last, earlier) = address.attempts().split_last().expect("every sslmode has a way to try");
    for mode in earlier {
        match connect_once(config.ssl_mode(*mode), connector, runtime).await {
            Err(error) if calls_for_other_encryption(&error) => {}
            connected => return connected,
        }
    }
    connect_once(config.ssl_mode(*last), connector, runtime).await
}

async fn connect_once(
    config: &Config,
    connector: Option<&Connector>,
    runtime: &Handle,
) -> std::result::Result<Client, tokio_postgres::Error> {
    // The connection's own task ends with the client; its error reaches whoever waits for an answer.
    if let Some(connector) = connector {
        let (client, connection) = config.connect(connector.clone()).await?;
        runtime.spawn(served(connection));
        return Ok(client);
    }
    let (client, connection) = config.connect(NoTls).await?;
    runtime.spawn(served(connection));
    Ok(client)
}

/// Serves a connection until its client is dropped. Whoever waits for an answer only learns that it is closed.
async fn served(connection: impl Future<Output = std::result::Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = %failure("serve a connection", &error), "a connection to PostgreSQL ended");
    }
}

/// Waits for `work`, but not longer than until `stop` is raised.
async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Result<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(LOOK) => stop.check()?,
        }
    }
}
