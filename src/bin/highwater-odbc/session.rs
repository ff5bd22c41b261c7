//! One connection and what is asked of it. How rows are fetched belongs to `fetch`.

use std::io::{self, Write};
use std::sync::mpsc::Receiver;

use highwater::source::table::odbc::wire::{self, Answer, Cell, Described, Request, VERSION};
use odbc_api::parameter::VarWCharBox;
use odbc_api::{Connection, ConnectionOptions, Cursor, Environment, Error};

use super::fetch::{Rows, described, whole_row};

/// A value of a small question is not longer.
const SMALL_MAX: usize = 1 << 20;
/// A result of a small question has not more rows.
const SMALL_ROWS_MAX: usize = 100_000;

/// Why there is no answer.
pub enum Refusal {
    /// The driver, or its manager, says so.
    Driver(Error),
    /// What was asked makes no sense now.
    Order(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

/// Answers `requests` until there are none.
pub fn serve(requests: &Receiver<Request>, out: &mut impl Write) -> io::Result<()> {
    wire::write(out, &Answer::Hello { version: VERSION })?;
    let environment = Environment::new().map_err(|error| io::Error::other(error.to_string()))?;
    let mut connection = None;
    let mut waiting = None;
    while let Some(request) = waiting.take().or_else(|| requests.recv().ok()) {
        let answer = match (request, &connection) {
            (Request::Connect { connection: text, timeout_s }, _) => {
                connect(&environment, &text, timeout_s).map(|(opened, answer)| {
                    connection = Some(opened);
                    answer
                })
            }
            (_, None) => Err(Refusal::Order("nothing is connected")),
            (Request::Stream { sql, parameters, whole, value_max }, Some(connection)) => {
                match Rows::open(connection, &sql, &parameters, whole, value_max as usize) {
                    Ok(rows) => {
                        wire::write(out, &Answer::Done)?;
                        waiting = stream(rows, requests, out)?;
                        continue;
                    }
                    Err(error) => Err(error.into()),
                }
            }
            (other, Some(connection)) => answer(connection, other),
        };
        wire::write(out, &answer.unwrap_or_else(failed))?;
    }
    Ok(())
}

/// Hands out rows as they are asked for; returns what was asked instead.
fn stream(mut rows: Rows<'_>, requests: &Receiver<Request>, out: &mut impl Write) -> io::Result<Option<Request>> {
    while let Ok(request) = requests.recv() {
        if request != Request::Next {
            return Ok(Some(request));
        }
        wire::write(out, &rows.next().map_or_else(|error| failed(error.into()), Answer::Rows))?;
    }
    Ok(None)
}

fn connect<'e>(environment: &'e Environment, text: &str, timeout_s: u32) -> Result<(Connection<'e>, Answer), Refusal> {
    let options = ConnectionOptions { login_timeout_sec: Some(timeout_s), packet_size: None };
    let connection = environment.connect_with_connection_string(text, options)?;
    connection.set_autocommit(false)?;
    // Not every driver knows all of these; what it does not say is not used.
    let database = connection.database_management_system_name()?;
    let catalog = connection.current_catalog().unwrap_or_default();
    let quote = connection.identifier_quote_char().ok().flatten().map(String::from).unwrap_or_default();
    Ok((connection, Answer::Connected { database, catalog, quote }))
}

fn answer(connection: &Connection<'_>, request: Request) -> Result<Answer, Refusal> {
    Ok(match request {
        Request::Run { sql } => {
            connection.execute(&sql, (), None)?;
            Answer::Done
        }
        Request::Rollback => {
            connection.rollback()?;
            Answer::Done
        }
        Request::Describe { sql } => Answer::Columns(columns(connection, &sql)?),
        Request::PrimaryKey { schema, table } => Answer::Texts(primary_key(connection, schema.as_deref(), &table)?),
        Request::Ask { sql, parameters } => Answer::Texts(ask(connection, &sql, &parameters)?),
        Request::Next => return Err(Refusal::Order("there is no stream")),
        Request::Connect { .. } | Request::Stream { .. } => return Err(Refusal::Order("it was asked twice")),
    })
}

fn columns(connection: &Connection<'_>, sql: &str) -> Result<Vec<Described>, Refusal> {
    let cursor = connection.execute(sql, (), None)?;
    let mut cursor = cursor.ok_or(Refusal::Order("the query has no result"))?;
    Ok(described(&mut cursor)?)
}

fn primary_key(
    connection: &Connection<'_>,
    schema: Option<&str>,
    table: &str,
) -> Result<Vec<Vec<Option<String>>>, Refusal> {
    let mut names = Vec::new();
    for row in connection.primary_keys(None, schema, table)? {
        names.push(vec![row?.column.as_str().ok().flatten().map(str::to_owned)]);
    }
    Ok(names)
}

fn ask(connection: &Connection<'_>, sql: &str, parameters: &[String]) -> Result<Vec<Vec<Option<String>>>, Refusal> {
    let bound = bound(parameters);
    let mut cursor = connection.execute(sql, bound.as_slice(), None)?.ok_or(Refusal::Order("there is no result"))?;
    // Small questions are asked for texts.
    let mut columns = described(&mut cursor)?;
    columns.iter_mut().for_each(|column| column.class = wire::Class::Text);
    let mut rows = Vec::new();
    while let Some(mut row) = cursor.next_row()? {
        if rows.len() == SMALL_ROWS_MAX {
            return Err(Refusal::Order("the result has too many rows"));
        }
        let text = |cell| match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        };
        rows.push(whole_row(&mut row, &columns, SMALL_MAX)?.into_iter().map(text).collect());
    }
    Ok(rows)
}

/// Parameters as wide texts.
pub fn bound(parameters: &[String]) -> Vec<VarWCharBox> {
    parameters.iter().map(|text| VarWCharBox::from_str_slice(text)).collect()
}

fn failed(refusal: Refusal) -> Answer {
    let error = match refusal {
        Refusal::Driver(error) => error,
        Refusal::Order(text) => {
            return Answer::Failed { state: "HY010".into(), native: 0, message: text.into() };
        }
    };
    let record = match &error {
        Error::Diagnostics { record, .. }
        | Error::UnsupportedOdbcApiVersion(record)
        | Error::InvalidRowArraySize { record, .. }
        | Error::UnableToRepresentNull(record)
        | Error::OracleOdbcDriverDoesNotSupport64Bit(record) => Some(record),
        _ => None,
    };
    match record {
        Some(record) => Answer::Failed {
            state: String::from_utf8_lossy(&record.state.0).trim_end_matches('\0').to_owned(),
            native: record.native_error,
            message: String::from_utf16_lossy(&record.message),
        },
        None => Answer::Failed { state: String::new(), native: 0, message: error.to_string() },
    }
}
