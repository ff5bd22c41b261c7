//! Addresses of servers and proxies, taken apart. Which address fits which kind of source belongs to `remote`.

use std::net::IpAddr;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::written_text;
use super::reading::At;
use super::reading::Reading;
use super::section::Setting;
use crate::source::settings::ProxyKind;

/// Which protocol a server speaks, and when TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `ftp://`
    Ftp,
    /// `ftps://`
    Ftps,
    /// `ftps+implicit://`
    FtpsImplicit,
    /// `sftp://`
    Sftp,
}

const SCHEMES: [(&str, Scheme, u16); 4] = [
    ("ftp", Scheme::Ftp, 21),
    ("ftps", Scheme::Ftps, 21),
    ("ftps+implicit", Scheme::FtpsImplicit, 990),
    ("sftp", Scheme::Sftp, 22),
];

/// The port of a SOCKS proxy that names none.
const SOCKS_PORT: u16 = 1080;

/// The address of a server: `ftps://user@host:21/folder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// The protocol.
    pub scheme: Scheme,
    /// The account, where one is written.
    pub user: Option<String>,
    /// Name or address, in lower case, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The folder, where one is written.
    pub path: Option<String>,
    text: String,
}

/// The address of a proxy: `socks5://user@host:1080`, `http://host:3128`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// The protocol.
    pub kind: ProxyKind,
    /// The account, where one is written.
    pub user: Option<String>,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    text: String,
}

/// What stands between `scheme://` and the path.
struct Authority {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Whether a name or address is this machine's own.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let by_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    by_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_server(text: &str) -> Result<ServerAddress, String> {
    let example = "write one like \"ftps://user@ftp.example.com\"";
    if text.starts_with("env:") || text.starts_with("file:") {
        return Err("is no secret and is taken as it is written; write \"${NAME}\" for a variable, and the password \
                    as password = \"env:NAME\""
            .into());
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("is not an address; {example}"))?;
    let known = SCHEMES.iter().find(|(word, ..)| scheme.eq_ignore_ascii_case(word));
    let Some((_, scheme, port)) = known else {
        return Err("is not a server's address; write ftp://, ftps://, ftps+implicit:// or sftp://".into());
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let authority = parse_authority(authority, "password")?;
    // RFC 1738, 3.2.2: what follows the slash is relative to the login folder; one more slash makes it absolute. For
    // SFTP every client takes the slash as the root.
    let path = match path.map(|path| decoded(path).ok_or("has a % that stands for nothing; write %25")).transpose()? {
        Some(path) if *scheme == Scheme::Sftp => Some(path.strip_prefix("/~/").unwrap_or(&path).to_owned()),
        Some(path) => Some(path[1..].to_owned()),
        None => None,
    };
    Ok(ServerAddress {
        scheme: *scheme,
        user: authority.user,
        host: authority.host,
        port: authority.port.unwrap_or(*port),
        path: path.filter(|path| !path.is_empty() && path != "/"),
        text: text.to_owned(),
    })
}

fn parse_proxy(text: &str) -> Result<ProxyAddress, String> {
    let example = "write \"socks5://host:1080\" or \"http://host:3128\"";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("is not a proxy; {example}"))?;
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "socks5" | "socks5h" => ProxyKind::Socks5,
        "http" => ProxyKind::Http,
        _ => return Err(format!("is not a kind of proxy known here; {example}")),
    };
    let authority = parse_authority(rest.strip_suffix('/').unwrap_or(rest), "proxy_password")?;
    let port = match (authority.port, kind) {
        (Some(port), _) => port,
        (None, ProxyKind::Socks5) => SOCKS_PORT,
        (None, ProxyKind::Http) => return Err("names no port; write it like \"http://host:3128\"".into()),
    };
    Ok(ProxyAddress { kind, user: authority.user, host: authority.host, port, text: text.to_owned() })
}

fn parse_authority(text: &str, password_key: &str) -> Result<Authority, String> {
    let (login, place) = match text.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, text),
    };
    if login.is_some_and(|login| login.contains(':')) {
        let rule = format!("holds a password; write it as {password_key} = \"env:NAME\", which keeps it out of logs");
        return Err(rule);
    }
    let user = match login.map(decoded) {
        Some(None) => return Err("has a % that stands for nothing in the user's name; write %25".into()),
        Some(Some(user)) if user.is_empty() || user.contains(char::is_control) => {
            return Err("names no user before the @; write \"user@host\"".into());
        }
        other => other.flatten(),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, Some("")),
        },
    };
    let port = match port {
        Some("") if !place.ends_with(':') => None,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err("has a port that is none; write a number from 1 to 65535".into()),
        },
        None => return Err("has something between \"]\" and the port; write \"[::1]:21\"".into()),
    };
    let is_name = |host: &str| host.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c) || c >= 0x80);
    let is_host = if place.starts_with('[') { host.parse::<std::net::Ipv6Addr>().is_ok() } else { is_name(host) };
    if host.is_empty() || !is_host {
        return Err("names no host; write it like \"scheme://user@host:port\"".into());
    }
    Ok(Authority { user, host: host.to_ascii_lowercase(), port })
}

/// `text` with `%41` replaced; `None` when a `%` stands for nothing, or for bytes that are no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

impl Setting for ServerAddress {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, parse_server)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.text))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(ftp|ftps|ftps[+]implicit|sftp)://|\\$\\{" })
    }
}

impl Setting for ProxyAddress {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, parse_proxy)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.text))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(socks5h?|http)://|\\$\\{" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> (Scheme, Option<String>, String, u16, Option<String>) {
        let address = parse_server(text).expect(text);
        (address.scheme, address.user, address.host, address.port, address.path)
    }

    #[test]
    fn an_address_is_taken_apart() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(server("ftp://h"), (Scheme::Ftp, None, "h".into(), 21, None));
        assert_eq!(server("ftps://u@H.example:2121/"), (Scheme::Ftps, text("u"), "h.example".into(), 2121, None));
        assert_eq!(server("ftps+implicit://u@h/in"), (Scheme::FtpsImplicit, text("u"), "h".into(), 990, text("in")));
        assert_eq!(server("ftp://u%40corp@h//srv/in").4, text("/srv/in"));
        assert_eq!(server("ftp://u%40corp@h").1, text("u@corp"));
        assert_eq!(
            server("sftp://u@[::1]:22/srv/my%20in"),
            (Scheme::Sftp, text("u"), "::1".into(), 22, text("/srv/my in"))
        );
        assert_eq!(server("sftp://u@h/~/in").4, text("in"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_remedy() {
        for (bad, words) in [
            ("ftp.example.com", "is not an address"),
            ("http://h", "write ftp://, ftps://, ftps+implicit:// or sftp://"),
            ("ftp://u:p@h", "password = \"env:NAME\""),
            ("ftp://u:@h", "holds a password"),
            ("ftp://@h", "names no user"),
            ("ftp://u@", "names no host"),
            ("ftp://u@h:0", "port"),
            ("ftp://u@h:", "port"),
            ("ftp://u@h:70000", "port"),
            ("ftp://u@a b", "names no host"),
            ("ftp://u@[::1]x", "between"),
            ("ftp://u@[h]", "names no host"),
            ("ftp://u@h/%zz", "%25"),
            ("env:URL", "${NAME}"),
        ] {
            let rule = parse_server(bad).expect_err(bad);
            assert!(rule.contains(words), "{bad}: {rule}");
        }
        assert!(parse_proxy("http://h").is_err_and(|rule| rule.contains("names no port")));
        assert!(parse_proxy("https://h:1").is_err_and(|rule| rule.contains("socks5://host:1080")));
        assert!(parse_proxy("socks5://u:p@h").is_err_and(|rule| rule.contains("proxy_password = ")));
        assert_eq!(parse_proxy("socks5://u@h/").map(|p| (p.kind, p.port)), Ok((ProxyKind::Socks5, 1080)));
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        assert!(["localhost", "127.0.0.1", "[::1]", "::1", "a.localhost"].into_iter().all(is_loopback));
        assert!(!is_loopback("erp") && !is_loopback("192.168.0.1"));
    }
}
