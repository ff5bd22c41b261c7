//! Where a PostgreSQL server is and how it wants to be spoken to: a `postgres://` URL or a `key=value` string as libpq
//! reads them, completed from the `PG...` environment variables. What the `sslmode`s mean is done in `tls`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::passfile::{self, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::net::TlsSettings;

/// How long one server address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that acknowledges nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Where Debian's and most other servers put their Unix socket.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// libpq's `sslmode` (PostgreSQL documentation, section 34.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server insists.
    Allow,
    /// Encrypted when the server can.
    Prefer,
    /// Always encrypted; the certificate is only checked when a root certificate is given.
    Require,
    /// The certificate's chain is checked.
    VerifyCa,
    /// Chain and host name are checked.
    VerifyFull,
}

/// A server's address and the terms of the connection. Holds the password: never printed.
#[derive(Clone)]
pub struct Address {
    /// For the driver.
    pub config: Config,
    /// How it is encrypted.
    pub mode: Mode,
    /// Certificates; those of the connection string where the settings have none.
    pub tls: TlsSettings,
    /// Whether the system's certificate authorities are asked for by name (`sslrootcert=system`).
    pub system_roots: bool,
    /// For people, without secrets: `postgres://host:port/database`.
    pub location: String,
}

/// The parts of a connection string that the driver does not know.
#[derive(Default)]
struct Extra {
    mode: Option<String>,
    root: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    passfile: Option<String>,
}

impl Extra {
    /// Takes a part that is ours; what the driver does not know either, and libpq would, is left out.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let value = Some(value.to_owned());
        match name {
            "sslmode" => self.mode = value,
            "sslrootcert" => self.root = value,
            "sslcert" => self.cert = value,
            "sslkey" => self.key = value,
            "passfile" => self.passfile = value,
            "sslcompression" | "gssencmode" | "krbsrvname" | "fallback_application_name" => {}
            _ => return false,
        }
        true
    }
}

impl Address {
    /// Reads `text`; what it does not say comes from `variable` (the environment). The server is told that we are
    /// `application`, unless either names another.
    ///
    /// # Errors
    /// `Config`, without any part of `text` that could be secret.
    pub fn parse(
        text: &str,
        tls: &TlsSettings,
        application: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut extra = Extra::default();
        let plain = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            without_ours_url(text, &mut extra)
        } else {
            without_ours_pairs(text, &mut extra).ok_or_else(unreadable)?
        };
        let mut config: Config = plain.parse().map_err(|e| named(&e))?;
        complete(&mut config, application, &variable)?;
        if config.get_password().is_none()
            && let Some(password) = password_from_file(&config, extra.passfile.take(), &variable)
        {
            config.password(password);
        }
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut tls = tls.clone();
        let path = |text: Option<String>| text.map(PathBuf::from);
        let root = extra.root.or_else(|| variable("PGSSLROOTCERT"));
        let system_roots = tls.ca.is_none() && root.as_deref() == Some("system");
        tls.ca = tls.ca.or_else(|| path(root.filter(|_| !system_roots)));
        tls.cert = tls.cert.or_else(|| path(extra.cert.or_else(|| variable("PGSSLCERT"))));
        tls.key = tls.key.or_else(|| path(extra.key.or_else(|| variable("PGSSLKEY"))));
        let written = extra.mode.or_else(|| variable("PGSSLMODE"));
        let mode = mode_of(written.as_deref(), &tls, system_roots)?;
        if !config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_))) {
            // As in libpq, a Unix socket is never encrypted.
            return Ok(Self { location: location(&config), config, mode: Mode::Disable, tls, system_roots });
        }
        Ok(Self { location: location(&config), config, mode, tls, system_roots })
    }

    /// Who we are where: `postgres://user@host:port/database`.
    pub fn account(&self) -> String {
        let user = self.config.get_user().unwrap_or_default();
        self.location.replacen("://", &format!("://{user}@"), 1)
    }

    /// The ways to try, one after the other.
    pub fn attempts(&self) -> &'static [SslMode] {
        match self.mode {
            Mode::Disable => &[SslMode::Disable],
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        }
    }
}

fn mode_of(written: Option<&str>, tls: &TlsSettings, system_roots: bool) -> Result<Mode> {
    Ok(match written {
        Some("disable") => Mode::Disable,
        Some("allow") => Mode::Allow,
        Some("prefer") => Mode::Prefer,
        // libpq: with a root certificate, require behaves like verify-ca.
        Some("require") if tls.ca.is_some() => Mode::VerifyCa,
        Some("require") => Mode::Require,
        Some("verify-ca") => Mode::VerifyCa,
        Some("verify-full") => Mode::VerifyFull,
        Some(_) => {
            let rule = "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full";
            return Err(Error::new(ErrorKind::Config, rule));
        }
        // Whoever names what to trust wants it checked.
        None if tls.ca.is_some() || tls.server_name.is_some() || system_roots => Mode::VerifyFull,
        None if tls.pin.is_some() || tls.cert.is_some() => Mode::Require,
        None => Mode::Prefer,
    })
}

/// The password that libpq's password file has for the first of the hosts it knows.
fn password_from_file(
    config: &Config,
    written: Option<String>,
    variable: &impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let named = written.or_else(|| variable("PGPASSFILE")).map(PathBuf::from);
    let path = named.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".pgpass")))?;
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    config.get_hosts().iter().enumerate().find_map(|(at, host)| {
        let port = config.get_ports().get(at).or(config.get_ports().first()).copied().unwrap_or(5432);
        let host = match host {
            Host::Tcp(name) => name.as_str(),
            Host::Unix(path) if path.as_path() == Path::new(SOCKET_FOLDER) => "localhost",
            Host::Unix(path) => path.to_str()?,
        };
        passfile::password(&path, &Wanted { host, port, database, user })
    })
}

fn complete(config: &mut Config, application: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<()> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if config.get_hosts().is_empty() {
        match (config.get_hostaddrs().first().map(ToString::to_string), variable("PGHOST")) {
            (Some(address), _) => config.host(address),
            (None, Some(hosts)) => hosts.split(',').fold(&mut *config, |config, host| config.host(host)),
            (None, None) if Path::new(SOCKET_FOLDER).exists() => config.host_path(SOCKET_FOLDER),
            (None, None) => config.host("localhost"),
        };
    }
    if config.get_ports().is_empty()
        && let Some(ports) = variable("PGPORT")
    {
        for port in ports.split(',') {
            let port = port.parse().map_err(|_| Error::new(ErrorKind::Config, "PGPORT is not a port number"))?;
            config.port(port);
        }
    }
    if config.get_user().is_none()
        && let Some(user) = variable("PGUSER")
    {
        config.user(user);
    }
    if config.get_password().is_none()
        && let Some(password) = variable("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none()
        && let Some(name) = variable("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_options().is_none()
        && let Some(options) = variable("PGOPTIONS")
    {
        config.options(options);
    }
    if config.get_application_name().is_none() {
        config.application_name(variable("PGAPPNAME").unwrap_or_else(|| application.into()));
    }
    if config.get_connect_timeout().is_none() {
        let seconds = variable("PGCONNECT_TIMEOUT").and_then(|text| text.parse().ok());
        config.connect_timeout(seconds.map_or(CONNECT_TIMEOUT, Duration::from_secs));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_MAX);
    }
    config.keepalives_idle(SILENCE_MAX);
    Ok(())
}

fn location(config: &Config) -> String {
    let port = |at: usize| config.get_ports().get(at).or(config.get_ports().first()).copied().unwrap_or(5432);
    let each = config.get_hosts().iter().enumerate().map(|(at, host)| match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(at)),
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        Host::Unix(path) => format!("[{}]:{}", path.display(), port(at)),
    });
    let hosts: Vec<String> = each.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
}

fn unreadable() -> Error {
    let rule = "the connection string can't be read; write postgres://user@host:port/database or host=... dbname=...";
    Error::new(ErrorKind::Config, rule)
}

/// What is wrong, when it is an option's name: a value could be secret.
fn named(error: &tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let is_option = cause.starts_with("unknown option") || cause.starts_with("invalid value for option");
    let is_plain = cause.chars().all(|c| c.is_ascii_lowercase() || matches!(c, ' ' | '`' | '_'));
    if is_option && is_plain { unreadable().because(cause) } else { unreadable() }
}

fn without_ours_url(url: &str, extra: &mut Extra) -> String {
    let Some((base, query)) = url.split_once('?') else { return url.to_owned() };
    let rest: Vec<&str> = query
        .split('&')
        .filter(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            !extra.take(name, &percent_decoded(value))
        })
        .collect();
    if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) }
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `key = 'value'` pairs without ours; `None` when they can't be read.
fn without_ours_pairs(text: &str, extra: &mut Extra) -> Option<String> {
    let mut rest = text.trim_start();
    let mut kept = String::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = pair_value(after.trim_start())?;
        let name = name.trim();
        if !extra.take(name, &value) {
            kept.push_str(&format!("{name}='{}' ", value.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        rest = after.trim_start();
    }
    Some(kept)
}

fn pair_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, &TlsSettings::default(), "highwater/erp", |_| None).expect(text)
    }

    #[test]
    fn urls_and_pairs_say_the_same() {
        let one =
            address("postgres://u:p%20w@db.example:5433/erp?sslmode=verify-ca&sslrootcert=%2Fca.pem&connect_timeout=3");
        let other =
            address("host=db.example port=5433 user=u password='p w' dbname=erp sslmode=verify-ca sslrootcert=/ca.pem");
        for address in [one, other] {
            assert_eq!(address.location, "postgres://db.example:5433/erp");
            assert_eq!(address.mode, Mode::VerifyCa);
            assert_eq!(address.tls.ca.as_deref(), Some(Path::new("/ca.pem")));
            assert_eq!(address.config.get_password(), Some(&b"p w"[..]));
        }
    }

    #[test]
    fn missing_parts_come_from_the_environment() {
        let environment = |name: &str| match name {
            "PGHOST" => Some("a,b".into()),
            "PGPORT" => Some("1,2".into()),
            "PGDATABASE" => Some("erp".into()),
            "PGSSLMODE" => Some("require".into()),
            _ => None,
        };
        let address = Address::parse("user=u", &TlsSettings::default(), "highwater/erp", environment).expect("valid");
        assert_eq!(address.location, "postgres://a:1,b:2/erp");
        assert_eq!(address.mode, Mode::Require);
        assert_eq!(address.config.get_application_name(), Some("highwater/erp"));
    }

    #[test]
    fn a_password_comes_from_the_password_file_when_nothing_else_has_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".pgpass");
        std::fs::write(&path, "db.example:*:erp:u:from file\n").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
        let text = |path: &Path| path.to_str().map(str::to_owned);
        for variable in ["PGPASSFILE", "HOME"] {
            let value = text(if variable == "HOME" { folder.path() } else { &path });
            let environment = |name: &str| if name == variable { value.clone() } else { None };
            let parsed = |text: &str| {
                let address = Address::parse(text, &TlsSettings::default(), "highwater/erp", environment).expect(text);
                address.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
            };
            assert_eq!(parsed("postgres://u@db.example/erp").as_deref(), Some("from file"));
            assert_eq!(parsed("postgres://u:own@db.example/erp").as_deref(), Some("own"));
            assert_eq!(parsed("postgres://u@db.example/other"), None);
        }
    }

    #[test]
    fn no_error_shows_a_secret() {
        for bad in
            ["postgres://u:hunter2@h:x/db", "u:hunter2@h", "password=hunter2 port=x", "hunter2=1", "host='h hunter2"]
        {
            let error =
                Address::parse(bad, &TlsSettings::default(), "highwater/erp", |_| None).map(|_| ()).expect_err(bad);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = Address::parse("hots=a", &TlsSettings::default(), "highwater/erp", |_| None)
            .map(|_| ())
            .expect_err("unknown");
        assert!(error.to_string().contains("hots"), "{error}");
        assert!(Address::parse("sslmode=on", &TlsSettings::default(), "highwater/erp", |_| None).is_err());
    }

    #[test]
    fn naming_what_to_trust_asks_for_verification() {
        let tls = TlsSettings { ca: Some("/ca.pem".into()), ..TlsSettings::default() };
        let mode = |text: &str| Address::parse(text, &tls, "highwater/erp", |_| None).expect(text).mode;
        assert_eq!(mode("host=h"), Mode::VerifyFull);
        assert_eq!(mode("host=h sslmode=require"), Mode::VerifyCa);
        assert_eq!(mode("host=/tmp sslmode=verify-full"), Mode::Disable);
        assert_eq!(address("host=h").mode, Mode::Prefer);
    }
}
