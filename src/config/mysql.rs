//! The keys of a MySQL or MariaDB table beside those of all tables. What they do belongs to `source::table`.

use super::connection::{Connection, Rule};
use super::reading::Reading;
use super::section::{Keys, Located, Nested, Required, section};
use super::source::KindDraft;
use super::table::{Abilities, read_table};
use super::tls::{self, TlsSection};
use crate::net::TlsVersion;
use crate::setting::Secret;
use crate::source::settings::{MysqlSettings, Settle, SourceKind};

const MYSQL: Abilities = Abilities { database: "MySQL", modes: &[Settle::DirtyRead], knows_zones: true };

section! {
    /// A table of a MySQL or MariaDB database.
    pub struct MysqlSection {
        /// A mysql:// URL.
        url: Required<Located<Connection<MysqlUrl>>> = "env:SHOP_URL",
        /// The password, when it is not part of `url`.
        password: Option<Secret>,
        /// Certificates beyond what `ssl-mode` and `ssl-ca` of the URL say.
        tls: Nested<TlsSection> = {},
    }
}

/// Reads the keys of a MySQL or MariaDB table.
pub fn read(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: MysqlSection = keys.read(reading);
    let place = keys.place.clone();
    let path = format!("{}.tls", keys.path());
    let tls = tls::settings(section.tls.0, &path, reading);
    if tls.pin.is_some() {
        let rule = "is not available with MySQL";
        reading.problem(&place, format!("{path}.pin {rule}; give the server's own certificate as ca"));
    }
    if tls.min != TlsVersion::V1_2 {
        let rule = "= \"1.3\" can't be insisted on with MySQL";
        reading.problem(&place, format!("{path}.min {rule}; set tls_version on the server"));
    }
    let (draft, table) = read_table(&MYSQL, keys, reading);
    let kind = section.url.0.zip(table).map(|(url, table)| {
        SourceKind::Mysql(MysqlSettings { url: url.value.0, password: section.password, tls, table })
    });
    KindDraft { kind, ..draft }
}

/// A URL, which may hold a password.
#[derive(Debug, Clone)]
pub struct MysqlUrl;

impl Rule for MysqlUrl {
    const REMEDY: &'static str = "is no MySQL URL; write \"mysql://user@host/database\"";

    fn accepts(text: &str) -> bool {
        text.starts_with("mysql://") || text.starts_with("mariadb://")
    }
}
