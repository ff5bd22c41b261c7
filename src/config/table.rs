//! The kinds of table source: their keys, and which of them go together. What they do belongs to `source::table`.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::connection::{Connection, Rule};
use super::list::OneOrMore;
use super::node::{Node, Value, written_text};
use super::reading::{At, Reading};
use super::schedule::Timezone;
use super::section::{Keys, Located, Nested, Required, Setting, section};
use super::settle::{Sweep, Track, settle_word};
use super::source::{Brake, KindDraft};
use super::tls::{self, TlsSection};
use super::value::{Wait, Whole};
use crate::setting::Secret;
use crate::source::settings::{
    PostgresSettings, Settle, SourceKind, SqliteSettings, Start, TableFrom, TableSettings, Window,
};

section! {
    /// What all table sources share.
    pub struct TableSection {
        /// The table or view: `customers`, `sales.customers`.
        table: Option<Located<String>>,
        /// A SELECT, instead of `table`.
        query: Option<Located<Query>>,
        /// The high-water-mark column; a list compares as a tuple.
        watermark: Option<Located<OneOrMore<String>>>,
        /// The key columns.
        key: Required<OneOrMore<String>> = ["id"],
        /// How rows that commit late are waited for: "auto" is the best the database allows; "overlap:60s" reads again that
        /// far back; PostgreSQL has "row-version" and "fence" besides, MySQL "dirty-read".
        settle: Located<Settle> = "auto",
        /// How far back polls by row version look; everything is looked at once a day. "none" looks at everything each time.
        window: Located<Window> = "7d",
        /// The time zone of watermark columns that hold local times.
        watermark_timezone: Option<Located<Timezone>>,
        /// "keys" remembers every key, which tells created from changed; "none" does not.
        track: Option<Located<Track>>,
        /// How often removed rows, and rows that polls missed, are looked for; implies `track = "keys"`.
        sweep: Option<Located<Sweep>>,
        /// Rows a page.
        page: Whole<1, 100_000> = 5_000,
        /// What exists at first: "all" tells it, "now" only remembers it; another value tells what is beyond it.
        start: Located<TableStart> = "all",
        /// A look at the table starts this long after the start of the one before.
        every: Located<Wait> = "10s",
        /// More new rows than this in one poll hold the source until `cursor NAME accept`; "none" lifts the brake.
        max_new: Brake = "none",
    }
}

section! {
    /// A table of an SQLite database.
    pub struct SqliteSection {
        /// The database file, relative to this file's own folder.
        path: Required<PathBuf> = "erp.sqlite",
        /// An SQL script that makes the database when its file is absent; for samples and tests.
        init: Option<Located<PathBuf>>,
    }
}

section! {
    /// A table of a PostgreSQL database.
    pub struct PostgresSection {
        /// A postgres:// URL or a connection string.
        url: Required<Located<Connection<PostgresConnection>>> = "env:ERP_URL",
        /// The password, when it is not part of `url`.
        password: Option<Secret>,
        /// A channel: its NOTIFY makes the source look at once, between two polls.
        listen: Option<Located<String>>,
        /// Certificates beyond what `sslmode` and `sslrootcert` of the URL say.
        tls: Nested<TlsSection> = {},
    }
}

/// Reads the keys of an SQLite table.
pub fn read_sqlite(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: SqliteSection = keys.read(reading);
    if let Some(init) = section.init.as_ref().filter(|init| !init.value.is_file()) {
        let text = format!("{}.init: there is no file {}", keys.path(), init.value.display());
        reading.problem(&init.place, text);
    }
    let (draft, table) = read_table(&SQLITE, keys, reading);
    let kind = section.path.0.zip(table).map(|(path, table)| {
        SourceKind::Sqlite(SqliteSettings { path, init: section.init.map(|init| init.value), table })
    });
    KindDraft { kind, ..draft }
}

/// PostgreSQL's names are not longer (NAMEDATALEN - 1).
const CHANNEL_BYTES_MAX: usize = 63;

/// Reads the keys of a PostgreSQL table.
pub fn read_postgres(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: PostgresSection = keys.read(reading);
    let tls = tls::settings(section.tls.0, &format!("{}.tls", keys.path()), reading);
    let (draft, table) = read_table(&POSTGRES, keys, reading);
    if let Some(channel) = section.listen.as_ref().filter(|channel| channel.value.len() > CHANNEL_BYTES_MAX) {
        let text =
            format!("{}.listen has more than {CHANNEL_BYTES_MAX} bytes; PostgreSQL has no such channel", keys.path());
        reading.problem(&channel.place, text);
    }
    let listen = section.listen.map(|channel| channel.value);
    let kind = section.url.0.zip(table).map(|(url, table)| {
        SourceKind::Postgres(PostgresSettings { url: url.value.0, password: section.password, listen, tls, table })
    });
    KindDraft { kind, ..draft }
}

/// What a kind of database allows.
pub struct Abilities {
    /// The word for it in messages.
    pub database: &'static str,
    /// The ways to settle beside "auto" and an overlap.
    pub modes: &'static [Settle],
    /// Whether `watermark_timezone` is heeded.
    pub knows_zones: bool,
}

const SQLITE: Abilities = Abilities { database: "SQLite", modes: &[Settle::Inclusive], knows_zones: true };
const POSTGRES: Abilities =
    Abilities { database: "PostgreSQL", modes: &[Settle::RowVersion, Settle::Fence], knows_zones: true };

impl Abilities {
    /// Whether rows can be found by the transaction that wrote them.
    fn has_row_versions(&self) -> bool {
        self.modes.contains(&Settle::RowVersion)
    }
}

/// Reads the keys that all table sources share.
pub fn read_table(
    abilities: &Abilities,
    keys: &mut Keys<'_>,
    reading: &mut Reading,
) -> (KindDraft, Option<TableSettings>) {
    let section: TableSection = keys.read(reading);
    let from = from(&section, keys, reading);
    check_mode(&section, abilities, keys, reading);
    let track_keys = tracks_keys(&section, keys, reading);
    let watermark = watermark(&section, abilities, track_keys, keys, reading);
    let draft = KindDraft { kind: None, every: section.every, max_new: section.max_new.0, takes_away: None };
    let read = || {
        Some(TableSettings {
            from: from?,
            watermark: watermark?,
            key: section.key.0?.0,
            settle: section.settle.value,
            window: section.window.value,
            watermark_timezone: section.watermark_timezone.map(|zone| zone.value.0),
            page: u32::try_from(section.page.0).expect("the range of `page` fits"),
            start: section.start.value.start,
            track_keys,
            sweep: section.sweep.map(|sweep| sweep.value.0),
        })
    };
    (draft, read())
}

/// The way to settle must be one that the database has.
fn check_mode(section: &TableSection, abilities: &Abilities, keys: &Keys<'_>, reading: &mut Reading) {
    let path = keys.path();
    let settle = &section.settle;
    let everywhere = matches!(settle.value, Settle::Auto | Settle::Overlap(_));
    if !everywhere && !abilities.modes.contains(&settle.value) {
        let known: Vec<String> = abilities.modes.iter().map(|mode| format!("\"{}\"", settle_word(*mode))).collect();
        let rule = format!("is no way to settle with {}", abilities.database);
        let remedy = format!("write \"auto\", {} or \"overlap:60s\"", known.join(", "));
        let text = format!("{path}.settle = \"{}\" {rule}; {remedy}", settle_word(settle.value));
        reading.problem(&settle.place, text);
    }
    if let (Settle::RowVersion, Some(query)) = (settle.value, &section.query) {
        let rule = "needs a table, the rows of a query have no version";
        let remedy = "write settle = \"fence\", or name the table";
        reading.problem(&query.place, format!("{path}.settle = \"row-version\" {rule}; {remedy}"));
    }
    if let Some(zone) = section.watermark_timezone.as_ref().filter(|_| !abilities.knows_zones) {
        let rule = format!("watermark_timezone is not heeded with {}", abilities.database);
        let remedy =
            "remove it; where the column holds local times, settle = \"overlap:2h\" outlasts an hour that is repeated";
        reading.problem(&zone.place, format!("{path}.{rule}; {remedy}"));
    }
    let uses_window = matches!(settle.value, Settle::Auto | Settle::RowVersion) && abilities.has_row_versions();
    if !uses_window {
        if section.window.place.is_written() {
            let rule = "window has no effect without settle = \"row-version\"; remove it";
            reading.problem(&section.window.place, format!("{path}.{rule}"));
        }
        reading.forget(&keys.section, "window");
    }
}

/// Whether known keys are kept.
fn tracks_keys(section: &TableSection, keys: &Keys<'_>, reading: &mut Reading) -> bool {
    match (&section.track, &section.sweep) {
        (Some(track), Some(sweep)) if track.value == Track::None => {
            let rule = "track = \"none\" and sweep exclude each other: a sweep compares known keys; remove one";
            reading.problem(&track.place, format!("{}.{rule} (sweep is at {})", keys.path(), sweep.place));
            true
        }
        (track, sweep) => sweep.is_some() || track.as_ref().is_some_and(|track| track.value == Track::Keys),
    }
}

/// The watermark's columns; a table whose rows have versions can do without, if its keys are known.
fn watermark(
    section: &TableSection,
    abilities: &Abilities,
    track_keys: bool,
    keys: &Keys<'_>,
    reading: &mut Reading,
) -> Option<Vec<String>> {
    let path = keys.path();
    if let Some(watermark) = &section.watermark {
        check_start(&section.start, watermark.value.0.len(), keys, reading);
        return Some(watermark.value.0.clone());
    }
    if keys.has("watermark") {
        return None; // It was there and wrong, which was reported.
    }
    let by_version = matches!(section.settle.value, Settle::Auto | Settle::RowVersion) && section.query.is_none();
    let example = "add for example watermark = \"updated_at\"";
    if !(abilities.has_row_versions() && by_version) {
        reading.missing(&keys.place, format!("{path} has no \"watermark\"; {example}"));
        return None;
    }
    if !track_keys {
        let rule = "needs known keys to tell one change of a row from the next";
        let text = format!("{path} has no \"watermark\" and {rule}; {example}, or track = \"keys\"");
        reading.missing(&keys.place, text);
        return None;
    }
    if let Start::Value(_) = section.start.value.start {
        let rule = "start names a watermark, and the source has none; write \"all\" or \"now\"";
        reading.problem(&section.start.place, format!("{path}.{rule}"));
    }
    Some(Vec::new())
}

fn from(section: &TableSection, keys: &Keys<'_>, reading: &mut Reading) -> Option<TableFrom> {
    let path = keys.path();
    match (&section.table, &section.query) {
        (Some(table), None) => Some(TableFrom::Table(table.value.clone())),
        (None, Some(query)) => Some(TableFrom::Query(query.value.0.clone())),
        (Some(table), Some(query)) => {
            let text = format!("{path}.query and table exclude each other; remove one (table is at {})", table.place);
            reading.problem(&query.place, text);
            None
        }
        (None, None) => {
            // Silent when one of them was there and wrong: that was reported.
            if !keys.has("table") && !keys.has("query") {
                let example = "add for example table = \"customers\"";
                reading.missing(&keys.place, format!("{path} has neither \"table\" nor \"query\"; {example}"));
            }
            None
        }
    }
}

/// A SELECT that can stand within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(pub String);

impl Setting for Query {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| {
            let first = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if !matches!(first.as_str(), "SELECT" | "WITH" | "VALUES" | "TABLE") {
                return Err("is not a query; begin with SELECT or WITH".into());
            }
            match text.trim_end().strip_suffix(';') {
                Some(_) => Err("ends with \";\"; leave it out, the query becomes part of another".into()),
                None => Ok(Self(text.to_owned())),
            }
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// Where a table source begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStart {
    /// The place; several values are a JSON array.
    pub start: Start,
    /// How many values it has.
    pub values: usize,
}

/// A value of a watermark that is a tuple.
fn plain(node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::Text(text) => Some(text.as_str().into()),
        Value::Whole(number) => i64::try_from(*number).ok().map(Into::into),
        Value::Moment(moment) => Some(moment.as_str().into()),
        _ => None,
    }
}

/// A tuple of watermarks begins behind a tuple of as many values.
fn check_start(start: &Located<TableStart>, columns: usize, keys: &Keys<'_>, reading: &mut Reading) {
    let TableStart { start: Start::Value(text), values } = &start.value else { return };
    // What `config show` printed is a text that holds the list.
    let written = if columns > 1 { serde_json::from_str::<Vec<serde_json::Value>>(text).ok() } else { None };
    let values = written.map_or(*values, |list| list.len());
    if values != columns {
        let rule = format!(
            "has {values} values where watermark has {columns} columns; write as many, like [\"2026-11-23\", 17]"
        );
        reading.problem(&start.place, format!("{}.start {rule}", keys.path()));
    }
}

impl Setting for TableStart {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let start = match &at.node.value {
            Value::Text(text) => match text.as_str() {
                "all" => Start::All,
                "now" => Start::Now,
                "" => {
                    reading.reject(at, "is empty; write \"all\", \"now\" or a watermark to begin behind");
                    return None;
                }
                value => Start::Value(value.to_owned()),
            },
            Value::Whole(number) => Start::Value(number.to_string()),
            Value::Moment(moment) => Start::Value(moment.clone()),
            Value::List(list) if !list.is_empty() && list.iter().all(|node| plain(node).is_some()) => {
                let values: Vec<serde_json::Value> = list.iter().filter_map(plain).collect();
                return Some(Self {
                    values: values.len(),
                    start: Start::Value(serde_json::Value::from(values).to_string()),
                });
            }
            Value::Unknown => return None,
            _ => {
                reading.reject(at, "is no place to start; write \"all\", \"now\" or a watermark to begin behind");
                return None;
            }
        };
        Some(Self { start, values: 1 })
    }

    fn shown(&self) -> Option<String> {
        Some(match &self.start {
            Start::All => written_text("all"),
            Start::Now => written_text("now"),
            Start::Value(value) => written_text(value),
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "array"] })
    }
}

/// A URL or `key=value` pairs, which may hold a password.
#[derive(Debug, Clone)]
pub struct PostgresConnection;

impl Rule for PostgresConnection {
    const REMEDY: &'static str =
        "is not a connection; write \"postgres://user@host/database\" or \"host=... user=...\"";

    fn accepts(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://") || text.contains('=')
    }
}
