//! `[server.NAME]`: a server and the account there, for several sources. A source that names it inherits every key it
//! has not itself, as if they were written there. What sources add belongs to `remote`.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::address::{ProxyAddress, Scheme, ServerAddress, is_loopback};
use super::list::OneOrMore;
use super::node::{Node, Table, Value, written_key, written_text};
use super::place::Place;
use super::reading::{At, Reading, SectionPath};
use super::section::{Keys, Located, Nested, Required, Setting, section};
use super::tls::{self, TlsSection};
use super::value::{Wait, Whole};
use crate::net::TlsSettings;
use crate::setting::Secret;
use crate::source::settings::{ProxySettings, RemoteTimeouts, ServerSettings};

section! {
    /// A server that several sources share.
    pub struct NamedServerSection {
        /// Its address: ftp://, ftps:// (TLS by AUTH TLS), ftps+implicit:// (TLS from the first byte) or sftp://.
        url: Required<Located<ServerAddress>> = "ftps://user@ftp.example.com",
    }
}

section! {
    /// The account on a server, and how it is reached.
    pub struct ServerSection {
        /// The account's password, or a list of two while rotating.
        password: Option<Located<Secret>>,
        /// Files fetched at once, and the most connections to this host over all sources.
        connections: Whole<1, 32> = 2,
        /// How long is waited for what.
        timeout: Nested<TimeoutSection> = {},
        /// A proxy for all connections: "socks5://user@host:1080" or "http://host:3128".
        proxy: Option<Located<ProxyAddress>>,
        /// The password of the account at the proxy.
        proxy_password: Option<Located<Secret>>,
    }
}

section! {
    /// How long is waited for what on a connection.
    pub struct TimeoutSection {
        /// For a connection, including TLS.
        connect: Wait = "10s",
        /// For a reply to a command.
        reply: Wait = "30s",
        /// For the next bytes of a transfer.
        idle: Wait = "60s",
    }
}

section! {
    /// Certificates of FTPS.
    pub struct CertificateSection {
        /// Certificates and names of the TLS connection.
        tls: Nested<TlsSection> = {},
    }
}

section! {
    /// Whom an SFTP server must prove to be, and with which keys we log in.
    pub struct SshSection {
        /// The server's key: "SHA256:...", a list of them, or "first-use" to believe the first one seen and no other after.
        host_key: Option<Located<OneOrMore<HostKeyText>>>,
        /// Files with known host keys; by default the user's and the system's. Without `host_key` the server must be in one.
        known_hosts: Option<Located<OneOrMore<PathBuf>>>,
        /// Private key files, tried in this order; "agent" stands for the keys of the SSH agent.
        identity: Option<Located<OneOrMore<IdentityText>>>,
        /// What the private keys are locked with.
        passphrase: Option<Located<Secret>>,
        /// Algorithms beside the safe ones, for old servers: "ssh-rsa", "diffie-hellman-group14-sha1", "aes128-cbc".
        algorithms: Vec<Algorithm> = [],
    }
}

/// The keys of [`SshSection`].
pub const SSH_KEYS: [&str; 5] = ["host_key", "known_hosts", "identity", "passphrase", "algorithms"];

/// A `[server.NAME]` as it was read.
#[derive(Debug)]
pub struct ServerDraft {
    /// Its name.
    pub name: String,
    /// Its keys.
    table: Table,
    /// Whether nothing is wrong with it.
    pub is_sound: bool,
}

/// A source's keys and those of the server it names.
#[derive(Debug)]
pub struct Inherited {
    /// All of them.
    pub table: Table,
    /// Those that are the server's: `password`, `timeout.reply`.
    pub keys: Vec<String>,
}

/// Reads the section of the server `name`.
pub fn read(name: &str, place: &Place, table: &Table, reading: &mut Reading) -> ServerDraft {
    let problems = reading.problems.len();
    let path = format!("server.{}", written_key(name));
    let section = SectionPath { header: format!("[{path}]"), path: path.clone(), name: name.to_owned() };
    let mut keys = Keys::of_section(section, place, table);
    let address = keys.read::<NamedServerSection>(reading).url.0;
    let server: ServerSection = keys.read(reading);
    let scheme = address.as_ref().map(|address| address.value.scheme);
    if scheme != Some(Scheme::Sftp) {
        let section: CertificateSection = keys.read(reading);
        tls::settings(section.tls.0, &format!("{path}.tls"), reading);
    }
    if matches!(scheme, None | Some(Scheme::Sftp)) {
        keys.read::<SshSection>(reading);
    }
    if let Some(address) = &address {
        check_keys(&mut keys, address.value.scheme, reading);
        if let Some(folder) = &address.value.path {
            let text = format!(
                "{path}.url holds a path; leave it out, and write path = {} in the source",
                written_text(folder)
            );
            reading.problem(&address.place, text);
        }
        if server.password.is_some() {
            warn_of_plain_text(address, &path, reading);
        }
    }
    check_proxy(&server, &path, reading);
    keys.finish(reading);
    let is_sound = reading.problems.len() == problems && !place.is_in_broken_file();
    ServerDraft { name: name.to_owned(), table: table.clone(), is_sound }
}

/// The keys of a source in `table` and of the server it names, if that is among `servers`. Tables are joined key by key.
pub fn inherit(table: &Table, servers: &[ServerDraft]) -> Inherited {
    let mut inherited = Inherited { table: table.clone(), keys: Vec::new() };
    let Some(Value::Text(name)) = table.get("server").map(|named| &named.node.value) else { return inherited };
    let Some(server) = servers.iter().find(|server| server.name == *name && server.is_sound) else { return inherited };
    for entry in &server.table.entries {
        match inherited.table.entries.iter_mut().find(|own| own.key == entry.key) {
            None => {
                inherited.keys.push(entry.key.clone());
                inherited.table.entries.push(entry.clone());
            }
            Some(own) => {
                let (Value::Table(own), Value::Table(theirs)) = (&mut own.node.value, &entry.node.value) else {
                    continue;
                };
                for below in theirs.entries.iter().filter(|below| own.get(&below.key).is_none()).collect::<Vec<_>>() {
                    inherited.keys.push(format!("{}.{}", entry.key, below.key));
                    own.entries.push(below.clone());
                }
            }
        }
    }
    inherited
}

/// Keys that have no meaning for this protocol.
pub fn check_keys(keys: &mut Keys<'_>, scheme: Scheme, reading: &mut Reading) {
    match scheme {
        Scheme::Sftp => keys.refuse(&["tls"], "has no effect on SFTP, which has keys of its own; remove it", reading),
        Scheme::Ftp => {
            keys.refuse(&SSH_KEYS, "is for SFTP alone; remove it", reading);
            keys.refuse(&["tls"], "has no effect on ftp://; write ftps://, or remove it", reading);
        }
        Scheme::Ftps | Scheme::FtpsImplicit => keys.refuse(&SSH_KEYS, "is for SFTP alone; remove it", reading),
    }
}

/// What belongs to a proxy says nothing without one.
pub fn check_proxy(server: &ServerSection, path: &str, reading: &mut Reading) {
    let Some(password) = &server.proxy_password else { return };
    match &server.proxy {
        None => {
            let text = format!("{path}.proxy_password has no effect without proxy; remove it or add proxy");
            reading.problem(&password.place, text);
        }
        Some(proxy) if proxy.value.user.is_none() => {
            let rule = "has no effect without a user; write proxy = \"socks5://user@host:1080\"";
            reading.problem(&password.place, format!("{path}.proxy_password {rule}"));
        }
        Some(_) => {}
    }
}

/// Whoever can listen on the way reads a password sent by FTP.
pub fn warn_of_plain_text(address: &Located<ServerAddress>, path: &str, reading: &mut Reading) {
    let ServerAddress { scheme, host, .. } = &address.value;
    if *scheme == Scheme::Ftp && !is_loopback(host) {
        let rule = "sends the password and the files in clear text; use ftps:// if the server offers it";
        reading.warn(&address.place, format!("{path}.url to {host} {rule}"));
    }
}

/// What adapters are told of a server.
pub fn settings(address: ServerAddress, server: ServerSection, tls: TlsSettings) -> ServerSettings {
    let timeout = server.timeout.0;
    let proxy_password = server.proxy_password.map(|secret| secret.value);
    ServerSettings {
        host: address.host,
        port: address.port,
        user: address.user.unwrap_or_else(|| ANONYMOUS.to_owned()),
        password: server.password.map(|secret| secret.value),
        connections: usize::try_from(server.connections.0).expect("the range of `connections` fits"),
        timeout: RemoteTimeouts { connect: timeout.connect.0, reply: timeout.reply.0, idle: timeout.idle.0 },
        tls,
        proxy: server.proxy.map(|proxy| ProxySettings {
            kind: proxy.value.kind,
            host: proxy.value.host,
            port: proxy.value.port,
            user: proxy.value.user,
            password: proxy_password,
        }),
    }
}

/// The account of those who have none.
pub const ANONYMOUS: &str = "anonymous";

/// Whom the server must prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyText {
    /// The first key seen is believed.
    FirstUse,
    /// The key with this fingerprint.
    Fingerprint(String),
}

impl Setting for HostKeyText {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text.strip_prefix("SHA256:").map(|digits| digits.trim_end_matches('=')) {
            _ if text == "first-use" => Ok(Self::FirstUse),
            Some(digits)
                if digits.len() == 43 && digits.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/".contains(&c)) =>
            {
                Ok(Self::Fingerprint(format!("SHA256:{digits}")))
            }
            _ => Err("is not a host key; write \"SHA256:...\" as ssh-keygen -l prints it, or \"first-use\"".into()),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::FirstUse => written_text("first-use"),
            Self::Fingerprint(text) => written_text(text),
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^SHA256:[A-Za-z0-9+/]{43}=?$|^first-use$|\\$\\{" })
    }
}

/// What we log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityText {
    /// The SSH agent's keys.
    Agent,
    /// A private key file.
    File(PathBuf),
}

impl Setting for IdentityText {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        if matches!(&at.node, Node { value: Value::Text(text), .. } if text == "agent") {
            return Some(Self::Agent);
        }
        let path = PathBuf::read(at, reading)?;
        if reading.secrets == super::reading::Secrets::MustBeThere
            && let Err(error) = std::fs::File::open(&path)
        {
            reading.problem(&at.node.place, format!("{}: read {}: {error}", at.full_key(), path.display()));
            return None;
        }
        Some(Self::File(path))
    }

    fn shown(&self) -> Option<String> {
        match self {
            Self::Agent => Some(written_text("agent")),
            Self::File(path) => path.shown(),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        PathBuf::schema(generator)
    }
}

/// The name of an SSH algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm(pub String);

impl Setting for Algorithm {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let is_part = |c: u8| c.is_ascii_alphanumeric() || b"-@.".contains(&c);
        reading.parsed(at, |text| match !text.is_empty() && text.bytes().all(is_part) {
            true => Ok(Self(text.to_owned())),
            false => Err("is not the name of an algorithm; write one like \"ssh-rsa\"".into()),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}
