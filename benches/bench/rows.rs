//! The table that rows are read from, in SQLite and PostgreSQL, and the floors that only read it, page by page.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use rusqlite::Connection;

use crate::Result;

/// Rows a page, in floor and product alike.
pub const PAGE: u32 = 5_000;

const COLUMNS: &str = "id, updated_at, customer, city, status, amount, quantity, note, reference, flag";

const CREATE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, updated_at TEXT NOT NULL, customer TEXT, city TEXT, \
                      status TEXT, amount TEXT, quantity INTEGER, note TEXT, reference TEXT, flag INTEGER)";

const INDEX: &str = "CREATE INDEX items_updated_at ON items (updated_at, id)";

/// One INSERT of all rows; `numbers` is the database's way to count from 1 to n as `i`.
fn insert(numbers: &str) -> String {
    format!(
        "INSERT INTO items SELECT i, '2026-11-23 ' || substr('000000000' || i, -9), 'customer ' || (i % 977), \
         'city ' || (i % 89), 'open', (i % 10000) || '.50', i % 1000, 'delivered to the back gate, ring twice', \
         'ref-' || (i * 7919 % 1000003), i % 2 FROM ({numbers}) AS n"
    )
}

/// An SQLite database with `count` rows; made once.
pub fn sqlite(dir: &Path, count: u64) -> Result<PathBuf> {
    let path = dir.join(format!("items-{count}.sqlite"));
    if path.exists() {
        return Ok(path);
    }
    eprintln!("making {}: {count} rows", path.display());
    let begun = path.with_extension("making");
    let _ = std::fs::remove_file(&begun);
    let numbers =
        format!("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {count}) SELECT i FROM c");
    let database = Connection::open(&begun).map_err(|error| format!("make {}: {error}", path.display()))?;
    let made = database.execute_batch(&format!("{CREATE};\n{};\n{INDEX};", insert(&numbers)));
    made.map_err(|error| format!("fill {}: {error}", path.display()))?;
    drop(database);
    std::fs::rename(&begun, &path).map_err(|error| format!("make {}: {error}", path.display()))?;
    Ok(path)
}

/// The same rows in a PostgreSQL database.
pub fn postgres(url: &str, count: u64) -> Result<()> {
    let numbers = format!("SELECT generate_series(1::bigint, {count}) AS i");
    // substr counts from the end with a negative start in SQLite only.
    let fill = insert(&numbers).replace("substr('000000000' || i, -9)", "lpad(i::text, 9, '0')");
    let script = format!("{CREATE};\n{fill};\n{INDEX};\nANALYZE items;");
    on_postgres(url, async move |client| client.batch_execute(&script).await)
}

/// A table of the same width in its place, with a watermark of type `timestamptz` that ends in the past.
pub fn postgres_with_times(url: &str, count: u64) -> Result<()> {
    let create = CREATE.replace("updated_at TEXT", "updated_at TIMESTAMPTZ");
    let fill = insert(&format!("SELECT generate_series(1::bigint, {count}) AS i"))
        .replace("'2026-11-23 ' || substr('000000000' || i, -9)", "timestamptz '2020-01-01' + i * interval '1 s'");
    let script = format!("DROP TABLE IF EXISTS items;\n{create};\n{fill};\n{INDEX};");
    on_postgres(url, async move |client| {
        client.batch_execute(&script).await?;
        // Else the first to read would write the hint bits of all the others.
        client.batch_execute("VACUUM ANALYZE items").await
    })
}

/// Changes the newest row.
pub fn touch_postgres(url: &str) -> Result<()> {
    let sql = "UPDATE items SET updated_at = now(), note = 'touched' WHERE id = (SELECT max(id) FROM items)";
    on_postgres(url, async move |client| client.batch_execute(sql).await)
}

/// A transaction that writes, but not to this table.
pub fn stir_postgres(url: &str) -> Result<()> {
    on_postgres(url, async |client| client.batch_execute("SELECT pg_current_xact_id()").await)
}

/// Reads all rows by COPY in binary and throws them away; returns the bytes.
pub fn copy_postgres(url: &str) -> Result<u64> {
    on_postgres(url, async |client| {
        let mut chunks = std::pin::pin!(client.copy_out("COPY items TO STDOUT (FORMAT binary)").await?);
        let mut bytes = 0;
        while let Some(chunk) = chunks.try_next().await? {
            bytes += std::hint::black_box(chunk).len() as u64;
        }
        Ok(bytes)
    })
}

/// One number that the database computes.
pub fn number_postgres(url: &str, sql: &str) -> Result<u64> {
    on_postgres(url, async |client| {
        let number: i64 = client.query_one(sql, &[]).await?.get(0);
        Ok(number.unsigned_abs())
    })
}

/// What a poll costs that trusts its watermark: a connection, and the page behind the last row, which is empty.
pub fn nothing_postgres(url: &str) -> Result<u64> {
    let last = "SELECT max(updated_at) FROM items";
    number_postgres(url, &format!("SELECT count(*) FROM items WHERE (updated_at, id) > (({last}), 9000000000)"))
}

/// Reads all rows by keyset pages and throws them away; returns how many there were.
pub fn drain_sqlite(path: &Path) -> Result<u64> {
    let failed = |error: rusqlite::Error| format!("read {}: {error}", path.display());
    let database = Connection::open(path).map_err(failed)?;
    let query =
        format!("SELECT {COLUMNS} FROM items WHERE (updated_at, id) > (?1, ?2) ORDER BY updated_at, id LIMIT {PAGE}");
    let mut page = database.prepare(&query).map_err(failed)?;
    let (mut watermark, mut key, mut count) = (String::new(), 0_i64, 0);
    loop {
        let before = count;
        let mut rows = page.query((&watermark, key)).map_err(failed)?;
        let mut last = None;
        while let Some(row) = rows.next().map_err(failed)? {
            for column in 0..10 {
                std::hint::black_box(row.get_ref(column).map_err(failed)?);
            }
            last = Some((row.get(1).map_err(failed)?, row.get(0).map_err(failed)?));
            count += 1;
        }
        match last {
            Some(position) if count - before == u64::from(PAGE) => (watermark, key) = position,
            _ => return Ok(count),
        }
    }
}

/// Reads all rows by keyset pages and throws them away; returns how many there were.
pub fn drain_postgres(url: &str, watermark: &str) -> Result<u64> {
    let columns = COLUMNS.replace("updated_at", "updated_at::text");
    let query = format!(
        "SELECT {columns} FROM items WHERE (updated_at, id) > ($1::text::{watermark}, $2) ORDER BY items.updated_at, id \
         LIMIT {PAGE}"
    );
    on_postgres(url, async |client| {
        let page = client.prepare(&query).await?;
        let first = if watermark == "text" { "" } else { "-infinity" };
        let (mut watermark, mut key, mut count) = (first.to_owned(), 0_i64, 0);
        loop {
            let before = count;
            let mut last = None;
            let mut rows = std::pin::pin!(
                client.query_raw(&page, [&watermark as &(dyn tokio_postgres::types::ToSql + Sync), &key]).await?
            );
            while let Some(row) = rows.try_next().await? {
                last = Some((row.get::<_, String>(1), row.get::<_, i64>(0)));
                std::hint::black_box(row);
                count += 1;
            }
            match last {
                Some(position) if count - before == u64::from(PAGE) => (watermark, key) = position,
                _ => return Ok(count),
            }
        }
    })
}

fn on_postgres<T>(
    url: &str,
    work: impl AsyncFnOnce(&tokio_postgres::Client) -> std::result::Result<T, tokio_postgres::Error>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
    let failed = |error: tokio_postgres::Error| format!("postgres: {error:?}");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.map_err(failed)?;
        tokio::spawn(connection);
        work(&client).await.map_err(failed)
    })
}
