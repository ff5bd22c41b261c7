//! `kind = "sqlite"` and `kind = "postgres"`: the keys of table sources. What they do belongs to `source::table`.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::list::OneOrMore;
use super::node::{Node, Value, written_text};
use super::reading::{At, Reading};
use super::section::{Keys, Located, Nested, Required, Setting, section};
use super::source::{Brake, KindDraft};
use super::tls::{self, TlsSection};
use super::value::{DAY, Span, Wait, Whole};
use super::word::Words;
use crate::setting::{Interval, Secret};
use crate::source::settings::{PostgresSettings, Settle, SourceKind, SqliteSettings, Start, TableFrom, TableSettings};

section! {
    /// What all table sources share.
    pub struct TableSection later ["sweep", "window", "watermark_timezone"] {
        /// The table or view: `customers`, `sales.customers`.
        table: Option<Located<String>>,
        /// A SELECT, instead of `table`.
        query: Option<Located<Query>>,
        /// The high-water-mark column; a list compares as a tuple.
        watermark: Required<OneOrMore<String>> = "updated_at",
        /// The key columns.
        key: Required<OneOrMore<String>> = ["id"],
        /// How rows that commit late are waited for: "auto", or "overlap:60s" to read again that far back.
        settle: Settle = "auto",
        /// "keys" remembers every key, which tells created from changed; "none" does not.
        track: Track = "none",
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
        url: Required<Located<ConnectionText>> = "env:ERP_URL",
        /// The password, when it is not part of `url`.
        password: Option<Secret>,
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
    let (draft, table) = read_table(keys, reading);
    let kind = section.path.0.zip(table).map(|(path, table)| {
        SourceKind::Sqlite(SqliteSettings { path, init: section.init.map(|init| init.value), table })
    });
    KindDraft { kind, ..draft }
}

/// Reads the keys of a PostgreSQL table.
pub fn read_postgres(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: PostgresSection = keys.read(reading);
    let tls = tls::settings(section.tls.0, &format!("{}.tls", keys.path()), reading);
    let (draft, table) = read_table(keys, reading);
    let kind = section.url.0.zip(table).map(|(url, table)| {
        SourceKind::Postgres(PostgresSettings { url: url.value.0, password: section.password, tls, table })
    });
    KindDraft { kind, ..draft }
}

fn read_table(keys: &mut Keys<'_>, reading: &mut Reading) -> (KindDraft, Option<TableSettings>) {
    let section: TableSection = keys.read(reading);
    let from = from(&section, keys, reading);
    if let Some(watermark) = &section.watermark.0 {
        check_start(&section.start, watermark.0.len(), keys, reading);
    }
    let draft = KindDraft { kind: None, every: section.every, max_new: section.max_new.0, takes_away: None };
    let read = || {
        Some(TableSettings {
            from: from?,
            watermark: section.watermark.0?.0,
            key: section.key.0?.0,
            settle: section.settle,
            page: u32::try_from(section.page.0).expect("the range of `page` fits"),
            start: section.start.value.start,
            track_keys: section.track == Track::Keys,
        })
    };
    (draft, read())
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

impl Setting for Settle {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            "auto" => Ok(Self::Auto),
            "row-version" | "fence" | "dirty-read" | "active-rowversion" | "inclusive" => {
                Err("is not available in this version; write \"auto\" or \"overlap:60s\"".into())
            }
            _ => match text.strip_prefix("overlap:") {
                Some(span) => Span::<1_000, { 31 * DAY }>::parse(span).map(|span| Self::Overlap(span.0)),
                None => Err("is not a way to settle; write \"auto\" or \"overlap:60s\"".into()),
            },
        })
    }

    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::Auto => written_text("auto"),
            Self::Overlap(span) => overlap(*span),
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let other = json_schema!({ "type": "string", "pattern": "^overlap:[0-9]+ *(ms|s|m|h|d)$|\\$\\{" });
        json_schema!({ "anyOf": [{ "enum": ["auto"] }, other] })
    }
}

fn overlap(span: Interval) -> String {
    written_text(&format!("overlap:{span}"))
}

/// Whether known keys tell created from changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// They do.
    Keys,
    /// They are not kept.
    None,
}

impl Words for Track {
    const WORDS: &'static [(&'static str, Self)] = &[("keys", Self::Keys), ("none", Self::None)];
}

/// A connection string, which may hold a password.
#[derive(Debug, Clone)]
pub struct ConnectionText(pub Secret);

impl Setting for ConnectionText {
    const QUOTING: super::reading::Quoting = Secret::QUOTING;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let secret = Secret::read(at, reading)?;
        let is_connection =
            |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://") || text.contains('=');
        // A secret that is not looked at now was read once by `Secret::read` when it had to be there.
        if reading.secrets == super::reading::Secrets::MustBeThere
            && secret.reveal().is_ok_and(|text| !is_connection(&text))
        {
            reading.reject(at, "is not a connection; write \"postgres://user@host/database\" or \"host=... user=...\"");
            return None;
        }
        Some(Self(secret))
    }

    fn shown(&self) -> Option<String> {
        self.0.shown()
    }

    fn origin(&self) -> Option<String> {
        Setting::origin(&self.0)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Secret::schema(generator)
    }
}
