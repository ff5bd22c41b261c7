//! The digest of a row, as a function of our own connections: SQLite has none. What it is for belongs to `sweep`.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use super::value::{push_key, push_literal};
use crate::source::table::statement::Shape;
use crate::source::table::sweep::number;

const NAME: &str = "highwater_digest";

/// Makes the function known to a connection: digits, number of key columns, key columns, other columns.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(NAME, -1, flags, |context| digest(context))
}

/// SQL that calls it.
pub fn expression(shape: &Shape, watermark: bool, digits: u32) -> String {
    let columns = shape.key.iter().chain(shape.watermark.iter().filter(|_| watermark));
    let columns: Vec<&str> = columns.map(|column| column.sql.as_str()).collect();
    format!("{NAME}({digits}, {}, {})", shape.key.len(), columns.join(", "))
}

fn digest(context: &Context<'_>) -> rusqlite::Result<i64> {
    let (digits, keys): (u32, u16) = (context.get(0)?, context.get(1)?);
    let keys = usize::from(keys);
    let mut parts: Vec<Vec<u8>> = Vec::with_capacity(context.len());
    for at in 2..context.len() {
        let value = context.get_raw(at);
        let mut part = Vec::new();
        if at < 2 + keys {
            push_key(&mut part, value);
            if keys > 1 {
                part = String::from_utf8_lossy(&part).into_owned().into_bytes();
            }
        } else {
            let mut literal = String::new();
            push_literal(&mut literal, value);
            part = literal.into_bytes();
        }
        parts.push(part);
    }
    let number = number(parts.iter().map(Vec::as_slice), digits.clamp(1, 15));
    Ok(i64::try_from(number).unwrap_or(i64::MAX))
}
