//! The body of a delivery: the event alone, the event with its content inside, or the content itself.
//! The bytes of one event are the same at each attempt.

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::change::{Content as Captured, Kind, Nature};
use crate::error::{Error, Result};
use crate::event::{Event, Spool, body};
use crate::net::body::Body;
use crate::sink::settings::Content;

/// The media type of captured bytes: nothing is known about them.
pub const RAW_TYPE: &str = "application/octet-stream";

/// What one request carries.
#[derive(Debug)]
pub enum Payload {
    /// The event's JSON, perhaps with the content inside.
    Event(Bytes),
    /// Captured bytes at hand.
    Bytes(Bytes),
    /// Captured bytes of the spool.
    File {
        /// How they are found again for each reading.
        content: Captured,
        /// How many.
        size: u64,
    },
    /// The sink wants bytes that were not captured.
    Missing,
}

impl Payload {
    /// What `content` makes of `event`. Removals, rows and messages have no bytes of their own: they are sent as events
    /// by every mode.
    ///
    /// # Errors
    /// `Internal` when the event's JSON is not as `event::body` writes it.
    pub fn of(event: &Event, content: Content) -> Result<Self> {
        let alone = || Self::Event(Bytes::copy_from_slice(&event.body));
        Ok(match (content, &event.content) {
            (Content::Reference, _) => alone(),
            (Content::Inline, Some(Captured::Inline(bytes))) => Self::Event(inline(&event.body, bytes)?.into()),
            (Content::Inline, _) => alone(),
            (Content::Raw, Some(Captured::Inline(bytes))) => Self::Bytes(Bytes::copy_from_slice(bytes)),
            (Content::Raw, Some(spooled @ Captured::Spooled { size, .. })) => {
                Self::File { content: spooled.clone(), size: *size }
            }
            (Content::Raw, None) if must_have_content(event) => Self::Missing,
            (Content::Raw, None) => alone(),
        })
    }

    /// The value of `content-type`.
    pub fn media_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Event(_) => body::CONTENT_TYPE,
            _ => RAW_TYPE,
        })
    }

    /// The body to send.
    ///
    /// # Errors
    /// A spool file that is not there.
    pub fn open(&self, spool: &Spool) -> Result<Body> {
        Ok(match self {
            Self::Event(bytes) | Self::Bytes(bytes) => Body::whole(bytes.clone()),
            Self::File { content: Captured::Spooled { name, .. }, size } => {
                let path = spool.path_of(name);
                let file =
                    File::open(&path).map_err(|e| Error::io(format!("open spool file {}", path.display()), e))?;
                Body::file(file, *size)
            }
            Self::File { .. } | Self::Missing => Body::whole(Bytes::new()),
        })
    }

    /// The same bytes, to be signed.
    ///
    /// # Errors
    /// A spool file that is not there.
    pub fn reader(&self, spool: &Spool) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Event(bytes) | Self::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            Self::File { content, size } => Ok(Box::new(spool.open(content)?.take(*size))),
            Self::Missing => Ok(Box::new(std::io::empty())),
        }
    }
}

/// Whether an event announces bytes that a sink can ask for.
pub fn must_have_content(event: &Event) -> bool {
    event.nature == Nature::File && matches!(event.kind, Kind::Created | Kind::Changed)
}

/// The event with `data.content` as its last member: text as it is, anything else as base64.
fn inline(event: &[u8], content: &[u8]) -> Result<Vec<u8>> {
    // The body ends with data, which is never empty, so that a member can be put before the two closing braces and the
    // rest of the bytes stay exactly as they were stored.
    let rest =
        event.strip_suffix(b"}}").ok_or_else(|| Error::internal("an event whose JSON does not end with data"))?;
    let mut out = Vec::with_capacity(event.len() + content.len() + content.len() / 2 + 64);
    out.extend_from_slice(rest);
    out.extend_from_slice(b",\"content\":");
    match std::str::from_utf8(content) {
        Ok(text) => {
            let written = serde_json::to_writer(&mut out, text);
            written.map_err(|e| Error::internal("write content as JSON").because(e))?;
        }
        Err(_) => {
            out.push(b'"');
            out.extend_from_slice(BASE64.encode(content).as_bytes());
            out.extend_from_slice(b"\",\"content_encoding\":\"base64\"");
        }
    }
    out.extend_from_slice(b"}}");
    Ok(out)
}

/// The attributes that travel as `ce-` headers in raw mode.
#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow)]
    specversion: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    source: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    subject: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    time: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    sequence: std::borrow::Cow<'a, str>,
}

/// Adds the event's attributes as CloudEvents' HTTP binding has them in binary mode (section 3.1.3).
///
/// # Errors
/// `Internal` when the event's JSON is not as `event::body` writes it.
pub fn add_attributes(event: &Event, headers: &mut HeaderMap) -> Result<()> {
    let stored: Attributes<'_> = serde_json::from_slice(&event.body)
        .map_err(|e| Error::internal(format!("read the attributes of {}", event.id)).because(e))?;
    let (id, kind) = (event.id.to_string(), event.type_name());
    let attributes: [(&'static str, &str); 7] = [
        ("ce-specversion", &stored.specversion),
        ("ce-id", &id),
        ("ce-source", &stored.source),
        ("ce-type", &kind),
        ("ce-subject", &stored.subject),
        ("ce-time", &stored.time),
        ("ce-sequence", &stored.sequence),
    ];
    for (name, value) in attributes {
        let value = HeaderValue::try_from(percent_encoded(value)).expect("printable ASCII is header text");
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// Section 3.1.3.2: space, double quote, percent and everything outside U+0021 to U+007E, as the `%XX` of its UTF-8.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'"' | b'%' => out.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::tests::file_event;

    fn inlined(content: &[u8]) -> serde_json::Value {
        let event = file_event(b"a.csv", Some(Captured::Inline(content.to_vec())));
        let Payload::Event(bytes) = Payload::of(&event, Content::Inline).expect("renders") else { panic!("an event") };
        let again = Payload::of(&event, Content::Inline).expect("renders");
        assert!(matches!(again, Payload::Event(again) if again == bytes), "the same bytes each time");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn small_content_goes_into_the_event_as_text_or_base64() {
        let text = inlined("id;\"ü\"\n\u{0}".as_bytes());
        assert_eq!(text["data"]["content"], "id;\"ü\"\n\u{0}");
        assert!(text["data"].get("content_encoding").is_none());
        let bytes = inlined(b"\xff\x00");
        assert_eq!((&bytes["data"]["content"], &bytes["data"]["content_encoding"]), (&"/wA=".into(), &"base64".into()));
        assert_eq!(inlined(b"")["data"]["content"], "");
        assert_eq!(text["data"]["name"], "a.csv");
    }

    #[test]
    fn large_or_uncaptured_content_is_announced_by_reference() {
        let spooled = Captured::Spooled { name: "x.bin".into(), size: 70_000 };
        for content in [None, Some(spooled)] {
            let event = file_event(b"a.csv", content);
            let payload = Payload::of(&event, Content::Inline).expect("renders");
            assert!(matches!(payload, Payload::Event(bytes) if bytes == event.body));
        }
    }

    #[test]
    fn raw_wants_the_bytes_of_a_file_and_sends_anything_else_as_an_event() {
        let mut event = file_event(b"a.csv", None);
        assert!(matches!(Payload::of(&event, Content::Raw), Ok(Payload::Missing)));
        event.kind = Kind::Removed;
        assert!(matches!(Payload::of(&event, Content::Raw), Ok(Payload::Event(_))));
        let event = file_event(b"a.csv", Some(Captured::Inline(b"x".to_vec())));
        assert!(matches!(Payload::of(&event, Content::Raw), Ok(Payload::Bytes(bytes)) if bytes == "x"));
    }

    #[test]
    fn attributes_are_percent_encoded_as_the_binding_says() {
        assert_eq!(percent_encoded("Euro € 😀 \"100%\""), "Euro%20%E2%82%AC%20%F0%9F%98%80%20%22100%25%22");
        let mut headers = HeaderMap::new();
        add_attributes(&file_event("ü b.csv".as_bytes(), None), &mut headers).expect("attributes");
        assert_eq!(headers["ce-subject"], "%C3%BC%20b.csv");
        assert_eq!(headers["ce-source"], "/main/orders");
        assert_eq!(headers["ce-type"], "highwater.file.created");
        assert_eq!(headers["ce-specversion"], "1.0");
    }
}
