//! Where a MySQL or MariaDB server is and how it wants to be spoken to: a `mysql://` URL with the options of MySQL's own
//! connection strings (MySQL reference manual, 6.2.5), and the `tls` table. Connecting is done in `session`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};
use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};
use crate::net::TlsSettings;

/// A peer that acknowledges nothing for this long is asked whether it is still there.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Where systems keep the authorities they trust; what is there is trusted besides Mozilla's.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// MySQL's `ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Never encrypted.
    Disabled,
    /// Encrypted when the server can; the certificate is not checked.
    Preferred,
    /// Always encrypted; the certificate is not checked.
    Required,
    /// The certificate's chain and the host's name are checked.
    VerifyIdentity,
}

/// A server's address and the terms of the connection. Holds the password: never printed.
#[derive(Clone)]
pub struct Address {
    host: String,
    port: u16,
    socket: Option<String>,
    user: Option<String>,
    /// The password of the URL.
    pub password: Option<String>,
    database: String,
    /// How it is encrypted.
    pub mode: Mode,
    tls: TlsSettings,
    /// For people, without secrets: `mysql://host:port/database`.
    pub location: String,
}

impl Address {
    /// Reads `text`.
    ///
    /// # Errors
    /// `Config`, without any part of `text` that could be secret.
    pub fn parse(text: &str, tls: &TlsSettings) -> Result<Self> {
        let rest = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")).ok_or_else(unreadable)?;
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = base.split_once('/').unwrap_or((base, ""));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').ok_or(login)) {
            Some(Ok((user, password))) => (Some(decoded(user)), Some(decoded(password))),
            Some(Err(user)) => (Some(decoded(user)), None),
            None => (None, None),
        };
        let (host, port) = host_and_port(place)?;
        if database.is_empty() || database.contains('/') {
            return Err(Error::new(ErrorKind::Config, "the URL names no database; write mysql://user@host/database"));
        }
        let mut address = Self {
            host,
            port,
            socket: None,
            user: user.filter(|user| !user.is_empty()),
            password,
            database: decoded(database),
            mode: Mode::Preferred,
            tls: tls.clone(),
            location: String::new(),
        };
        let written = address.take_options(query)?;
        let verifies = address.tls.ca.is_some() || address.tls.server_name.is_some();
        address.mode = match written {
            _ if address.socket.is_some() => Mode::Disabled,
            Some(mode) => mode,
            // Whoever names what to trust wants it checked.
            None if verifies => Mode::VerifyIdentity,
            None if address.tls.cert.is_some() => Mode::Required,
            None => Mode::Preferred,
        };
        address.location = address.shown();
        Ok(address)
    }

    /// Who we are where: `mysql://user@host:port/database`.
    pub fn account(&self) -> String {
        let user = self.user.as_deref().unwrap_or_default();
        self.location.replacen("://", &format!("://{user}@"), 1)
    }

    /// For the driver.
    pub fn options(&self, password: Option<&str>, encrypted: bool) -> Opts {
        let builder = OptsBuilder::default()
            .ip_or_hostname(self.host.as_str())
            .tcp_port(self.port)
            .socket(self.socket.clone())
            // The driver would change over to the server's socket by itself, past TLS and the account's host.
            .prefer_socket(false)
            .user(self.user.clone())
            .pass(password)
            .db_name(Some(self.database.as_str()))
            .tcp_keepalive(Some(SILENCE_MAX))
            .ssl_opts(encrypted.then(|| self.encryption()))
            .connect_attribute("program_name", "highwater");
        Opts::from(builder)
    }

    fn encryption(&self) -> SslOpts {
        let mut options = SslOpts::default();
        if self.mode != Mode::VerifyIdentity {
            options = options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
        } else if let Some(ca) = &self.tls.ca {
            options = options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
        } else if let Some(bundle) = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
            options = options.with_root_certs(vec![bundle.to_path_buf().into()]);
        }
        if let Some(name) = &self.tls.server_name {
            options = options.with_danger_tls_hostname_override(Some(name.clone()));
        }
        if let Some(cert) = &self.tls.cert {
            let key = self.tls.key.as_ref().unwrap_or(cert);
            options = options.with_client_identity(Some(ClientIdentity::new(cert.clone().into(), key.clone().into())));
        }
        options
    }

    fn take_options(&mut self, query: &str) -> Result<Option<Mode>> {
        let mut mode = None;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value);
            let path = || Some(PathBuf::from(&value));
            match name.to_ascii_lowercase().replace('_', "-").as_str() {
                "ssl-mode" | "sslmode" => mode = Some(mode_of(&value)?),
                "ssl-ca" => self.tls.ca = self.tls.ca.take().or_else(path),
                "ssl-cert" => self.tls.cert = self.tls.cert.take().or_else(path),
                "ssl-key" => self.tls.key = self.tls.key.take().or_else(path),
                "socket" => self.socket = Some(value),
                name => {
                    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
                    let shown = if is_plain { format!(" \"{name}\"") } else { String::new() };
                    let known = "known are ssl-mode, ssl-ca, ssl-cert, ssl-key and socket";
                    return Err(Error::new(
                        ErrorKind::Config,
                        format!("the URL has an unknown option{shown}; {known}"),
                    ));
                }
            }
        }
        Ok(mode)
    }

    fn shown(&self) -> String {
        match &self.socket {
            Some(socket) => format!("mysql://[{socket}]/{}", self.database),
            None if self.host.contains(':') => format!("mysql://[{}]:{}/{}", self.host, self.port, self.database),
            None => format!("mysql://{}:{}/{}", self.host, self.port, self.database),
        }
    }
}

fn mode_of(written: &str) -> Result<Mode> {
    Ok(match written.to_ascii_uppercase().replace('-', "_").as_str() {
        "DISABLED" => Mode::Disabled,
        "PREFERRED" => Mode::Preferred,
        "REQUIRED" => Mode::Required,
        "VERIFY_IDENTITY" => Mode::VerifyIdentity,
        "VERIFY_CA" => {
            let remedy = "write VERIFY_IDENTITY, and tls.server_name where the certificate has another name";
            return Err(Error::new(ErrorKind::Config, format!("ssl-mode VERIFY_CA is not available; {remedy}")));
        }
        _ => {
            let rule = "ssl-mode must be one of DISABLED, PREFERRED, REQUIRED, VERIFY_IDENTITY";
            return Err(Error::new(ErrorKind::Config, rule));
        }
    })
}

fn host_and_port(place: &str) -> Result<(String, u16)> {
    let port_of = |text: &str| text.parse::<u16>().map_err(|_| unreadable());
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, 3306),
        Some((host, rest)) => (host, port_of(rest.strip_prefix(':').ok_or_else(unreadable)?)?),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, port_of(port)?),
            None => (place, 3306),
        },
    };
    Ok((if host.is_empty() { "localhost".into() } else { decoded(host) }, port))
}

fn unreadable() -> Error {
    let rule = "the URL can't be read; write mysql://user@host:port/database, special characters as %40";
    Error::new(ErrorKind::Config, rule)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, &TlsSettings::default()).expect(text)
    }

    #[test]
    fn a_url_says_who_and_where() {
        let found = address("mysql://u%40x:p%2Fw@db.example:3307/erp?ssl-mode=required");
        assert_eq!(found.location, "mysql://db.example:3307/erp");
        assert_eq!(found.account(), "mysql://u@x@db.example:3307/erp");
        assert_eq!((found.password.as_deref(), found.mode), (Some("p/w"), Mode::Required));
        let found = address("mariadb://u@[::1]/erp");
        assert_eq!((found.location.as_str(), found.mode), ("mysql://[::1]:3306/erp", Mode::Preferred));
        let found = address("mysql://u@localhost/erp?socket=/run/m.sock&ssl-mode=VERIFY_IDENTITY");
        assert_eq!((found.location.as_str(), found.mode), ("mysql://[/run/m.sock]/erp", Mode::Disabled));
    }

    #[test]
    fn naming_what_to_trust_asks_for_verification() {
        let tls = TlsSettings { ca: Some("/ca.pem".into()), ..TlsSettings::default() };
        let mode = |text: &str| Address::parse(text, &tls).expect(text).mode;
        assert_eq!(mode("mysql://u@h/d"), Mode::VerifyIdentity);
        assert_eq!(mode("mysql://u@h/d?ssl-mode=DISABLED"), Mode::Disabled);
        assert_eq!(address("mysql://u@h/d?ssl-ca=/ca.pem").mode, Mode::VerifyIdentity);
    }

    #[test]
    fn no_error_shows_a_secret() {
        for bad in [
            "postgres://u:hunter2@h/db",
            "mysql://u:hunter2@h:x/db",
            "mysql://u:hunter2@h",
            "mysql://u@h/db?hunter2=1",
            "mysql://u:hunter2@h/db?ssl-mode=on",
            "mysql://u:hunter2@h/db?ssl-mode=VERIFY_CA",
        ] {
            let error = Address::parse(bad, &TlsSettings::default()).map(|_| ()).expect_err(bad);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = Address::parse("mysql://u@h/db?ssl-mod=x", &TlsSettings::default()).map(|_| ()).expect_err("bad");
        assert!(error.to_string().contains("ssl-mod"), "{error}");
    }
}
