//! `kind = "http"`: the keys of an HTTP sink. What they do belongs to `sink::http`, signing to `net::signature`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::address::is_loopback;
use super::node::written_text;
use super::reading::{At, Reading, Secrets};
use super::secret::{SecretEntry, SecretTable};
use super::section::{Keys, Located, Nested, Required, Setting, section};
use super::sink::{Concurrency, KindDraft};
use super::tls::{self, TlsSection};
use super::value::Wait;
use super::word::Words;
use crate::net::signature::Scheme;
use crate::setting::{Secret, Template};
use crate::sink::settings::{Content, HttpSettings, SignSettings, SinkKind};

section! {
    /// An HTTP endpoint.
    pub struct HttpSection later ["success", "oauth2", "body"] {
        /// Where events go: http:// or https://, with placeholders in path and query.
        url: Required<Located<WebAddress>> = "https://erp.example.com/hooks/highwater",
        /// The request method.
        method: Method = "POST",
        /// Further headers. Their values are secrets: "env:NAME", "file:PATH" or the text itself.
        headers: Option<SecretTable>,
        /// The token of `Authorization: Bearer`.
        bearer: Option<Located<Secret>>,
        /// "user:password" of `Authorization: Basic`.
        basic: Option<Located<Secret>>,
        /// What is sent: the event alone ("reference"), with the content in it ("inline"), or the file's bytes ("raw").
        content: Located<Content> = "reference",
        /// How requests are signed.
        sign: Option<Nested<SignSection>>,
        /// Certificates of the connection.
        tls: Nested<TlsSection> = {},
        /// Deadline of one attempt.
        timeout: Wait = "30s",
        /// How many attempts may run at once.
        concurrency: Concurrency = 4,
    }
}

section! {
    /// How a request is signed.
    pub struct SignSection {
        /// The scheme: "standard" (Standard Webhooks), "github" or "stripe".
        scheme: Required<Located<Scheme>> = "standard",
        /// The secret, or a list of two while rotating.
        secret: Required<Secret> = "env:ERP_SECRET",
        /// The header of the scheme "github", instead of X-Hub-Signature-256.
        header: Option<Located<HeaderText>>,
    }
}

/// Reads the keys of an HTTP sink.
pub fn read(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: HttpSection = keys.read(reading);
    let path = keys.path();
    let sign = section.sign.and_then(|sign| signature(sign.0, &section.content, &path, reading));
    let tls = tls::settings(section.tls.0, &format!("{path}.tls"), reading);
    let headers = section.headers.map(|table| headers(table.0, &path, reading)).unwrap_or_default();
    check_authorization(&headers, section.bearer.as_ref(), section.basic.as_ref(), &path, reading);
    if let Some(url) = &section.url.0 {
        warn_of_plain_text(url, &path, reading);
    }
    let kind = section.url.0.map(|url| {
        SinkKind::Http(Box::new(HttpSettings {
            url: url.value.0,
            method: section.method.0.to_owned(),
            headers: headers.into_iter().map(|header| (header.key, header.secret)).collect(),
            bearer: section.bearer.map(|secret| secret.value),
            basic: section.basic.map(|secret| secret.value),
            content: section.content.value,
            sign,
            tls,
        }))
    });
    KindDraft { kind, concurrency: section.concurrency, timeout: section.timeout }
}

fn signature(
    section: SignSection,
    content: &Located<Content>,
    path: &str,
    reading: &mut Reading,
) -> Option<SignSettings> {
    let (scheme, secret) = (section.scheme.0?, section.secret.0?);
    if let Some(header) = section.header.as_ref().filter(|_| scheme.value != Scheme::Github) {
        let word = scheme.value.word();
        let text =
            format!("{path}.sign.header has no effect on scheme \"{word}\"; remove it, or write scheme = \"github\"");
        reading.problem(&header.place, text);
    }
    if content.value == Content::Raw && scheme.value == Scheme::Standard {
        let rule = "receivers by Standard Webhooks expect the event's JSON; tell them to verify the bytes as they come";
        reading.warn(&content.place, format!("{path}.content = \"raw\" is signed by scheme \"standard\": {rule}"));
    }
    Some(SignSettings { scheme: scheme.value, secret, header: section.header.map(|header| header.value.0) })
}

/// Headers that describe the connection or that Highwater itself sets.
const HEADERS_OURS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-timestamp",
];

/// The headers that can be sent; others are reported.
fn headers(entries: Vec<SecretEntry>, path: &str, reading: &mut Reading) -> Vec<SecretEntry> {
    let mut fine = Vec::new();
    for entry in entries {
        let key = format!("{path}.headers.{}", super::node::written_key(&entry.key));
        let lower = entry.key.to_ascii_lowercase();
        let sendable = |value: &String| http::HeaderValue::from_str(value).is_ok();
        if http::HeaderName::from_bytes(entry.key.as_bytes()).is_err() {
            reading.problem(&entry.place, format!("{key} is not a header name; use letters, digits and \"-\""));
        } else if HEADERS_OURS.contains(&lower.as_str()) {
            reading.problem(&entry.place, format!("{key} is set by Highwater itself; remove it"));
        } else if fine.iter().any(|other: &SecretEntry| other.key.eq_ignore_ascii_case(&lower)) {
            reading.problem(&entry.place, format!("{key} is there twice, in two spellings; remove one"));
        } else if reading.secrets == Secrets::MustBeThere
            && entry.secret.reveal_all().is_ok_and(|values| !values.iter().all(sendable))
        {
            reading.problem(&entry.place, format!("{key} holds a control character; a header can't carry that"));
        } else {
            fine.push(entry);
        }
    }
    fine
}

/// There is one `Authorization`.
fn check_authorization(
    headers: &[SecretEntry],
    bearer: Option<&Located<Secret>>,
    basic: Option<&Located<Secret>>,
    path: &str,
    reading: &mut Reading,
) {
    let header = headers.iter().find(|header| header.key.eq_ignore_ascii_case("authorization"));
    let ways = [
        bearer.map(|bearer| ("bearer", &bearer.place)),
        basic.map(|basic| ("basic", &basic.place)),
        header.map(|header| ("headers.Authorization", &header.place)),
    ];
    let ways: Vec<_> = ways.into_iter().flatten().collect();
    if let [(first, _), (second, place), ..] = &ways[..] {
        reading.problem(place, format!("{path}.{second} and {first} exclude each other; remove one"));
    }
    if let Some(basic) = basic.filter(|_| reading.secrets == Secrets::MustBeThere)
        && basic.value.reveal_all().is_ok_and(|values| values.iter().any(|value| !value.contains(':')))
    {
        reading.problem(&basic.place, format!("{path}.basic has no \":\"; it is written user:password"));
    }
}

fn warn_of_plain_text(url: &Located<WebAddress>, path: &str, reading: &mut Reading) {
    let is_plain = url.value.0.as_str().starts_with("http://");
    if is_plain && !is_loopback(&url.value.1) {
        let rule = "sends events and secrets in clear text; use https:// unless the network is yours alone";
        reading.warn(&url.place, format!("{path}.url to {} {rule}", url.value.1));
    }
}

/// An address of the web with placeholders behind the host, and that host.
#[derive(Debug, Clone)]
pub struct WebAddress(pub Template, pub String);

fn parse_address(text: &str) -> Result<WebAddress, String> {
    let template = Template::parse(text, &[])?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or("is not an address; write http://... or https://...")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('{') {
        return Err("has a placeholder in its host; use placeholders in path and query alone".into());
    }
    if authority.contains('@') {
        return Err("holds a login; write it as basic = \"env:NAME\", which keeps it out of logs".into());
    }
    let sample = template.render(|_| "x".into());
    let uri: http::Uri = sample.parse().map_err(|_| "is not an address; write it like \"https://host/path\"")?;
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(WebAddress(template, host.to_owned())),
        _ => Err("names no host; write it like \"https://host/path\"".into()),
    }
}

impl Setting for WebAddress {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, parse_address)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self.0.as_str()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://|\\$\\{" })
    }
}

/// A request method that a delivery makes sense with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(pub &'static str);

impl Words for Method {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("POST", Self("POST")),
        ("PUT", Self("PUT")),
        ("PATCH", Self("PATCH")),
        ("DELETE", Self("DELETE")),
        ("GET", Self("GET")),
    ];
}

/// The name of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderText(pub String);

impl Setting for HeaderText {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("is not a header name; use letters, digits and \"-\"".into()),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Words for Content {
    const WORDS: &'static [(&'static str, Self)] =
        &[("reference", Self::Reference), ("inline", Self::Inline), ("raw", Self::Raw)];
    const LATER: &'static [&'static str] = &["multipart", "template"];
}

impl Words for Scheme {
    const WORDS: &'static [(&'static str, Self)] =
        &[("standard", Self::Standard), ("github", Self::Github), ("stripe", Self::Stripe)];
    const LATER: &'static [&'static str] = &["custom"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_behind_the_host() {
        assert!(parse_address("https://erp/in/{key}?id={id}").is_ok());
        assert!(parse_address("https://{name}.erp/in").is_err_and(|rule| rule.contains("in its host")));
        for bad in ["erp/in", "ftp://erp", "https://", "https:///in", "https://me:pw@erp/in", "https://a b/"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
