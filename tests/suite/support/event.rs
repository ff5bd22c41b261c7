//! Events to deliver, made as a poll makes them.

use highwater::change::{Content, Facts, Fingerprint, Key, Kind, Nature};
use highwater::clock::Timestamp;
use highwater::event::body::Statement;
use highwater::event::{Event, Identity};
use highwater::setting::SourceName;

/// A created file of source `orders`, noticed on 2026-11-23, with `content` captured.
pub fn file_event(key: impl AsRef<[u8]>, content: Option<Content>) -> Event {
    let (source, key) = (SourceName::new("orders"), Key::from(key.as_ref()));
    let time = Timestamp::parse_rfc3339("2026-11-23T10:15:00Z").expect("valid");
    let fingerprint = match &content {
        Some(Content::Inline(bytes)) => Fingerprint::of(bytes),
        _ => Fingerprint([7; 32]),
    };
    let (kind, nature, revision, sequence) = (Kind::Created, Nature::File, 1, 42);
    let identity = Identity {
        instance: "main",
        generation: 0,
        source: &source,
        kind,
        key: &key,
        revision,
        fingerprint: Some(fingerprint),
    };
    let id = identity.id();
    let size = content.as_ref().map_or(17, Content::size);
    let facts = Facts::File { size, modified: Some(time) };
    let statement =
        Statement { identity, id, nature, sequence, time, facts: Some(&facts), size, from: None, table: None };
    let body = statement.render();
    Event { id, source, kind, nature, key, revision, fingerprint: Some(fingerprint), sequence, time, body, content }
}
