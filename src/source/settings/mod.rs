//! What a source needs to know about itself, already checked: made by `config`, used by the adapters.
//! The meaning of each value is DESIGN sections 4 and 6.

mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::change::Kind;
use crate::setting::{ByteCount, Interval, Secret, SinkName, SourceName, Template};

/// One configured source.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Its name, unique among sources.
    pub name: SourceName,
    /// The name it had before (`was`), whose state and ids it takes over.
    pub was: Option<SourceName>,
    /// The sinks every event goes to; empty when `routes` decide.
    pub to: Vec<SinkName>,
    /// Routes, first match wins; empty when `to` decides.
    pub routes: Vec<Route>,
    /// What becomes of entries that no route takes.
    pub unrouted: Unrouted,
    /// When it is looked at.
    pub schedule: Schedule,
    /// More new entries than this in one poll hold the source; `None` lifts the brake.
    pub max_new: Option<u64>,
    /// A poll that takes longer is ended and reported; its committed pages stay.
    pub poll_timeout: Option<Interval>,
    /// Larger entries are refused.
    pub max_size: Option<ByteCount>,
    /// What kind of place it is.
    pub kind: SourceKind,
}

/// When a source is polled.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// This long after the start of the poll before.
    Every(Interval),
    /// At the times of a cron expression, in an IANA time zone.
    Cron {
        /// Five or six fields.
        expression: String,
        /// `Europe/Berlin`; `UTC` when absent.
        timezone: String,
    },
}

/// One route of a source.
#[derive(Debug, Clone)]
pub struct Route {
    /// Globs of which one must match the key; empty matches all.
    pub matches: Vec<String>,
    /// Kinds it takes; empty takes all.
    pub types: Vec<Kind>,
    /// JSON pointers into the event and the values they must have.
    pub when: BTreeMap<String, Value>,
    /// The sinks.
    pub to: Vec<SinkName>,
}

/// What becomes of entries that no route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrouted {
    /// Counted; the source is degraded.
    Degrade,
    /// Counted only.
    Ignore,
}

/// The place a source looks at.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// A local folder.
    Folder(FolderSettings),
    /// A directory on an FTP or FTPS server.
    Ftp(FtpSettings),
    /// A directory on an SFTP server.
    Sftp(SftpSettings),
    /// A table or query of an SQLite database.
    Sqlite(SqliteSettings),
    /// A table or query of a PostgreSQL database.
    Postgres(PostgresSettings),
    /// A table or query of a MySQL or MariaDB database.
    Mysql(MysqlSettings),
    /// A table or query behind an ODBC driver.
    Odbc(OdbcSettings),
}

impl SourceKind {
    /// The word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Ftp(_) => "ftp",
            Self::Sftp(_) => "sftp",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Mysql(_) => "mysql",
            Self::Odbc(_) => "odbc",
        }
    }

    /// What a table source shares with others of its kind; `None` for other sources.
    pub fn table(&self) -> Option<&TableSettings> {
        match self {
            Self::Sqlite(sqlite) => Some(&sqlite.table),
            Self::Postgres(postgres) => Some(&postgres.table),
            Self::Mysql(mysql) => Some(&mysql.table),
            Self::Odbc(odbc) => Some(&odbc.table),
            Self::Folder(_) | Self::Ftp(_) | Self::Sftp(_) => None,
        }
    }
}

/// A local folder.
#[derive(Debug, Clone)]
pub struct FolderSettings {
    /// The root, absolute.
    pub path: PathBuf,
    /// Whether changes are also watched for; the poll stays the truth.
    pub watch: bool,
    /// What all directory sources share.
    pub directory: DirectorySettings,
}

/// A directory on an FTP or FTPS server.
#[derive(Debug, Clone)]
pub struct FtpSettings {
    /// Where it is and who we are there; `[server.NAME]` and the source's own keys in one.
    pub server: ServerSettings,
    /// Whether and when TLS begins.
    pub security: FtpSecurity,
    /// The root on the server, absolute or relative to the login folder; without `/` at the end. Raw bytes in `names`.
    pub path: String,
    /// Where a file is renamed to, relative to the root, before it is fetched.
    pub claim: Option<Template>,
    /// The time zone of LIST times, an IANA name.
    pub server_timezone: String,
    /// How file contents are transferred.
    pub transfer: Transfer,
    /// What proves that a fetch was whole.
    pub verify: Verify,
    /// Commands sent after the login, as they are.
    pub login: Vec<String>,
    /// How names are encoded on the wire.
    pub names: Names,
    /// Which side opens data connections.
    pub mode: FtpMode,
    /// Which listing command and format are used.
    pub listing: FtpListing,
    /// What all directory sources share.
    pub directory: DirectorySettings,
}

/// A directory on an SFTP server.
#[derive(Debug, Clone)]
pub struct SftpSettings {
    /// Where it is and who we are there; `[server.NAME]` and the source's own keys in one.
    pub server: ServerSettings,
    /// The root on the server, absolute or relative to the login folder; without `/` at the end.
    pub path: String,
    /// Where a file is renamed to, relative to the root, before it is fetched.
    pub claim: Option<Template>,
    /// Whom the server must prove to be.
    pub host_key: HostKey,
    /// Private key files in OpenSSH or PEM format, tried in this order; `agent` stands for the SSH agent.
    pub identity: Vec<Identity>,
    /// What the private keys are locked with.
    pub passphrase: Option<Secret>,
    /// Algorithms added to the default ones, for old servers: `ssh-rsa`, `diffie-hellman-group14-sha1`, `aes128-cbc`.
    pub algorithms: Vec<String>,
    /// What all directory sources share.
    pub directory: DirectorySettings,
}

/// A server that files are fetched from, and the account there.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Its name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port of control connections.
    pub port: u16,
    /// The account; `anonymous` where none is written.
    pub user: String,
    /// The account's password; two while rotating.
    pub password: Option<Secret>,
    /// Files fetched at once, and the most connections to this host over all sources. 1 to 32.
    pub connections: usize,
    /// How long is waited for what.
    pub timeout: RemoteTimeouts,
    /// Certificates beyond the system's, for FTPS.
    pub tls: TlsSettings,
    /// The proxy that connections go through.
    pub proxy: Option<ProxySettings>,
}

/// How long is waited for what on a connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteTimeouts {
    /// For a connection, including TLS; 10 s.
    pub connect: Interval,
    /// For a reply to a command; 30 s.
    pub reply: Interval,
    /// For the next bytes of a transfer; 60 s.
    pub idle: Interval,
}

impl Default for RemoteTimeouts {
    fn default() -> Self {
        Self { connect: Interval::from_secs(10), reply: Interval::from_secs(30), idle: Interval::from_secs(60) }
    }
}

/// A proxy for TCP connections, control and data alike.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Which protocol it speaks.
    pub kind: ProxyKind,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub user: Option<String>,
    /// The password there.
    pub password: Option<Secret>,
}

/// Which protocol a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// `socks5://`, RFC 1928; names are resolved by the proxy.
    Socks5,
    /// `http://`, the CONNECT method of RFC 9110.
    Http,
}

/// Whether and when TLS begins on an FTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpSecurity {
    /// `ftp://`: never; passwords and files can be read on the way.
    Plain,
    /// `ftps://`: AUTH TLS before the login, RFC 4217.
    Explicit,
    /// `ftps+implicit://`: from the first byte.
    Implicit,
}

/// How file contents are transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// TYPE I: byte by byte.
    Binary,
    /// TYPE A: the server turns its records into lines (IBM i, z/OS); sizes are then not those of the content.
    Text,
}

/// What proves that a fetch was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// As many bytes as the listing says.
    Size,
    /// Two fetches with the same content.
    Twice,
}

/// How names are encoded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// UTF-8; other bytes are kept as they are.
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// Windows code page 1252.
    Cp1252,
    /// DOS code page 850.
    Cp850,
}

/// Which side opens data connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpMode {
    /// We do, by EPSV or PASV, always to the control connection's host.
    Passive,
    /// The server does, by EPRT or PORT; only connections from the control connection's host are taken.
    Active,
}

/// Which listing command and format are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpListing {
    /// MLSD where the server offers it and it works, else LIST with the format that fits its lines.
    Auto,
    /// MLSD, RFC 3659.
    Mlsd,
    /// LIST with the format that fits its lines.
    List,
    /// LIST, one format.
    Unix,
    /// LIST, one format.
    Dos,
    /// LIST, one format: IBM i (OS/400).
    IbmI,
    /// LIST, one format: z/OS (MVS).
    Mvs,
    /// LIST, one format: OpenVMS.
    Vms,
    /// LIST, one format.
    Netware,
    /// LIST, one format: easily parsed LIST format.
    Eplf,
}

/// Whom an SFTP server must prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// The host's line in one of these files; the user's and the system's `known_hosts` by default.
    KnownHosts(Vec<PathBuf>),
    /// The key with this fingerprint, `SHA256:BASE64` as ssh-keygen prints it; one of several.
    Fingerprints(Vec<String>),
    /// `host_key = "first-use"`: the first key seen is written to the first of the known_hosts files, and must be the same ever after.
    FirstUse(PathBuf),
}

/// What we log in with on an SFTP server, beside a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A private key file.
    File(PathBuf),
    /// The keys of the agent at `SSH_AUTH_SOCK`.
    Agent,
}

/// What all directory sources share.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// Globs of which one must match; empty takes everything.
    pub include: Vec<String>,
    /// Globs that take an entry out, the built-in ones included unless `include` names them.
    pub exclude: Vec<String>,
    /// How names are compared with the globs.
    pub case: Case,
    /// Whether folders below the root are looked at.
    pub recursive: bool,
    /// How long the tuple must stand still.
    pub stable_for: Interval,
    /// A file beside the data file that says it is complete.
    pub marker: Option<Template>,
    /// A sidecar with the SHA-256 or MD5 the content must have.
    pub checksum: Option<Template>,
    /// Text the last 4 KiB must contain, compared at the end with trailing white space ignored; `*` stands for any text.
    pub ends_with: Option<String>,
    /// What becomes of files of 0 bytes.
    pub empty: Empty,
    /// The kinds that are told.
    pub events: Vec<Kind>,
    /// Whether every version is delivered or only the newest.
    pub versions: Versions,
    /// What is done with a file once every delivery of its latest event is delivered or cancelled.
    pub on_delivered: AfterAction,
    /// What is done once all are final and one is dead.
    pub on_dead: AfterAction,
    /// What exists at first.
    pub start: Start,
}

/// As an absent configuration gives them for a folder, but without the built-in exclusions.
impl Default for DirectorySettings {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            case: Case::Exact,
            recursive: true,
            stable_for: Interval::from_secs(2),
            marker: None,
            checksum: None,
            ends_with: None,
            empty: Empty::Deliver,
            events: vec![Kind::Created, Kind::Changed],
            versions: Versions::All,
            on_delivered: AfterAction::Keep,
            on_dead: AfterAction::Keep,
            start: Start::All,
        }
    }
}

/// How names are compared with globs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `A` is not `a`.
    Exact,
    /// `A` is `a`.
    Ignore,
}

/// What becomes of files of 0 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// They are events like any other.
    Deliver,
    /// They wait until they have content.
    Wait,
    /// They are left out.
    Ignore,
}

/// Which versions are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// Every version that was seen.
    All,
    /// Only the newest of several undelivered ones.
    Latest,
}

/// What is done with a file when its deliveries are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAction {
    /// Nothing.
    Keep,
    /// It is deleted.
    Delete,
    /// It is moved to this folder, relative to the root.
    Move(Template),
}

/// What exists when a source is polled for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Is told.
    All,
    /// Is only remembered.
    Now,
    /// Is told when its watermark is beyond this value (tables only), in the database's own text.
    Value(String),
}

pub use crate::net::TlsSettings;
pub use table::{
    MysqlSettings, OdbcSettings, PostgresSettings, Settle, SqliteSettings, TableFrom, TableSettings, Window,
};

#[cfg(test)]
impl FolderSettings {
    /// Settings with the documented defaults, for tests.
    pub fn sample(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), watch: false, directory: DirectorySettings::default() }
    }
}

#[cfg(test)]
impl SourceSettings {
    /// A source of this kind with no sinks and no limits, for tests.
    pub fn sample(kind: SourceKind) -> Self {
        Self {
            name: SourceName::new("orders"),
            was: None,
            to: Vec::new(),
            routes: Vec::new(),
            unrouted: Unrouted::Ignore,
            schedule: Schedule::Every(Interval::from_secs(1)),
            max_new: None,
            poll_timeout: None,
            max_size: None,
            kind,
        }
    }
}
