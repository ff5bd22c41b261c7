//! The address of a delivery: the configured URL with its placeholders percent-escaped for where they stand.

use http::Uri;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::net::address::is_loopback_host;
use crate::net::client::Security;
use crate::setting::Template;
use crate::sink::placeholder;

/// Where a sink's requests go.
#[derive(Debug)]
pub struct Url {
    shape: Shape,
    security: Security,
}

#[derive(Debug)]
enum Shape {
    Fixed(Uri),
    /// Scheme, host and path, and what stands behind the question mark.
    Rendered(Template, Option<Template>),
}

impl Url {
    /// Checks the configured URL.
    ///
    /// # Errors
    /// `Config` with rule and remedy.
    pub fn new(written: &Template) -> Result<Self> {
        let config =
            |rule: &str| Error::new(ErrorKind::Config, format!("url = \"{}\" {rule}", masked(written.as_str())));
        let prefix = written.fixed_prefix();
        let security = match prefix.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Security::Plain,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => Security::Tls,
            _ => return Err(config("is not an address; it must begin with https:// or http://")),
        };
        let authority = prefix.split_once("://").map_or("", |(_, rest)| rest);
        let host_ends = authority.find(['/', '?', '#']);
        if host_ends.is_none() && !written.is_plain() {
            return Err(config("has a placeholder in its host; placeholders may stand in path and query"));
        }
        let authority = &authority[..host_ends.unwrap_or(authority.len())];
        if authority.contains('@') {
            return Err(config("holds a login; give it as basic = \"env:NAME\" instead"));
        }
        let text = written.as_str().split('#').next().unwrap_or_default();
        let shape = if written.is_plain() {
            // Rendering undoubles the braces of a plain template.
            let uri: Uri = parse(&written.render(|_| String::new())).map_err(|why| config(&why))?;
            if uri.host().is_none_or(str::is_empty) {
                return Err(config("has no host"));
            }
            Shape::Fixed(uri)
        } else {
            let part = |text: &str| Template::parse(text, &[]).map_err(|rule| config(&rule));
            match text.split_once('?') {
                Some((path, query)) => Shape::Rendered(part(path)?, Some(part(query)?)),
                None => Shape::Rendered(part(text)?, None),
            }
        };
        Ok(Self { shape, security })
    }

    /// Whether it is `https://`.
    pub fn security(&self) -> Security {
        self.security
    }

    /// The address for one event.
    ///
    /// # Errors
    /// `Invalid` when what comes out is no address (an overlong key).
    pub fn of(&self, event: &Event) -> Result<Uri> {
        let (path, query) = match &self.shape {
            Shape::Fixed(uri) => return Ok(uri.clone()),
            Shape::Rendered(path, query) => (path, query),
        };
        let mut text = path.render(|hole| {
            let value = placeholder::value(event, hole).unwrap_or_default();
            if hole.name == "path" { escape_path(&value) } else { escape_segment(&value) }
        });
        if let Some(query) = query {
            text.push('?');
            text.push_str(&query.render(|hole| escape(&placeholder::value(event, hole).unwrap_or_default())));
        }
        parse(&text).map_err(|why| Error::new(ErrorKind::Invalid, format!("the sink's url {why} for {}", event.key)))
    }

    /// An address of the same host, to try whether it can be reached.
    pub fn host(&self) -> Result<Uri> {
        match &self.shape {
            Shape::Fixed(uri) => Ok(uri.clone()),
            Shape::Rendered(path, _) => {
                let prefix = path.fixed_prefix();
                let scheme = prefix.find("://").map_or(0, |at| at + 3);
                let end = prefix[scheme..].find('/').map_or(prefix.len(), |at| scheme + at);
                parse(&prefix[..end]).map_err(|why| Error::new(ErrorKind::Config, format!("the sink's url {why}")))
            }
        }
    }

    /// Whether requests leave this machine unencrypted.
    pub fn is_exposed(&self) -> bool {
        let host = self.host().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        self.security == Security::Plain && !is_loopback_host(&host)
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    text.parse().map_err(|e| format!("is not a valid address ({e})"))
}

/// The URL without a login that may stand in it.
fn masked(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}***{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

/// Everything but RFC 3986's unreserved characters, as `%XX`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// One path segment; `.` and `..` do not climb.
fn escape_segment(bytes: &[u8]) -> String {
    match bytes {
        b"." => "%2E".into(),
        b".." => "%2E%2E".into(),
        _ => escape(bytes),
    }
}

/// A relative path, whose slashes stay.
fn escape_path(bytes: &[u8]) -> String {
    bytes.split(|b| *b == b'/').map(escape_segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::tests::file_event;

    fn url(text: &str) -> Result<Url> {
        Url::new(&Template::parse(text, &[]).expect("placeholders"))
    }

    fn of(text: &str, key: &[u8]) -> String {
        url(text).expect("valid").of(&file_event(key, None)).expect("an address").to_string()
    }

    #[test]
    fn placeholders_are_escaped_for_where_they_stand() {
        assert_eq!(of("http://h/in/{path}?n={name}", b"a b/c&d.csv"), "http://h/in/a%20b/c%26d.csv?n=c%26d.csv");
        assert_eq!(of("http://h/{name}", b"x/\xff%\r\n?#.csv"), "http://h/%FF%25%0D%0A%3F%23.csv");
        assert_eq!(of("http://h/{path}", b"../../etc"), "http://h/%2E%2E/%2E%2E/etc");
        assert_eq!(of("http://h/?p={path}", b"a/b"), "http://h/?p=a%2Fb");
        assert_eq!(of("http://h/{{x}}", b"a"), "http://h/{x}");
        assert_eq!(of("http://h/{date:%Y}/{source}/{type}", b"a"), "http://h/2026/orders/highwater.file.created");
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_without_showing_its_login() {
        for (bad, word) in [
            ("ftp://h/", "https://"),
            ("example.com/x", "https://"),
            ("http://", "valid address"),
            ("http://{name}/x", "host"),
            ("http://h{name}/x", "host"),
            ("https://user:secret@h/", "basic"),
            ("http://h/a b", "valid address"),
        ] {
            let error = url(bad).expect_err(bad).to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{bad}: {error}");
        }
    }

    #[test]
    fn plain_http_beyond_this_machine_is_known_as_exposed() {
        assert!(url("http://erp.example.com/{name}").expect("valid").is_exposed());
        assert!(!url("http://127.0.0.1:9000/").expect("valid").is_exposed());
        assert!(!url("https://erp.example.com/").expect("valid").is_exposed());
        let probed = url("https://erp.example.com:8443/in/{path}?x").expect("valid").host().expect("host");
        assert_eq!(probed.to_string(), "https://erp.example.com:8443/");
    }
}
