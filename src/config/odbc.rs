//! The kind `odbc`: a table behind any ODBC driver. What it does belongs to `source::table::odbc`.

use std::path::PathBuf;

use super::connection::{Connection, Rule};
use super::reading::Reading;
use super::section::{Keys, Located, Required, section};
use super::source::KindDraft;
use super::table::{Abilities, read_table};
use super::value::Wait;
use crate::setting::Secret;
use crate::source::settings::{OdbcSettings, Settle, SourceKind};

section! {
    /// A table behind an ODBC driver.
    pub struct OdbcSection {
        /// The driver's connection string: "Driver=...;Server=...;Database=...;UID=...".
        connection: Required<Located<Connection<ConnectionString>>> = "env:ERP_ODBC",
        /// The password, when it is not part of `connection`.
        password: Option<Secret>,
        /// The program highwater-odbc, when it is not beside highwater itself.
        helper: Option<Located<PathBuf>>,
        /// How long logging in may take.
        connect_timeout: Located<Wait> = "30s",
        /// How long the driver may take for one answer; then its process is ended.
        answer_timeout: Located<Wait> = "10m",
    }
}

const ODBC: Abilities = Abilities { database: "ODBC", modes: &[Settle::ActiveRowversion], knows_zones: false };

/// Reads the keys of a table behind an ODBC driver.
pub fn read(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: OdbcSection = keys.read(reading);
    let (draft, table) = read_table(&ODBC, keys, reading);
    let kind = section.connection.0.zip(table).map(|(connection, table)| {
        SourceKind::Odbc(OdbcSettings {
            connection: connection.value.0,
            password: section.password,
            helper: section.helper.map(|helper| helper.value),
            connect_timeout: section.connect_timeout.value.0,
            answer_timeout: section.answer_timeout.value.0,
            table,
        })
    });
    KindDraft { kind, ..draft }
}

/// A connection string, which may hold a password.
#[derive(Debug, Clone)]
pub struct ConnectionString;

impl Rule for ConnectionString {
    const REMEDY: &'static str = "names no driver; write \"Driver=...;Server=...;Database=...;UID=...\" or \"DSN=...\"";

    fn accepts(text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        ["driver", "dsn", "filedsn"]
            .iter()
            .any(|key| lower.split(';').any(|part| part.split_once('=').is_some_and(|(name, _)| name.trim() == *key)))
    }
}
