//! The CloudEvents 1.0 JSON of an event (structured mode). Field order is fixed, so that bytes are reproducible.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{EventId, Identity};
use crate::change::{Facts, Fingerprint, Key, Kind, Nature};
use crate::clock::Timestamp;

/// The media type of one event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// `highwater.file.created`.
pub fn type_name(nature: Nature, kind: Kind) -> String {
    format!("highwater.{}.{}", nature.as_str(), kind.as_str())
}

/// The CloudEvents source, `/main/orders`.
pub fn source_path(instance: &str, source: &str) -> String {
    format!("/{instance}/{source}")
}

/// What a body says beyond the identity.
#[derive(Debug)]
pub struct Statement<'a> {
    /// What the change is.
    pub identity: Identity<'a>,
    /// Its id, computed once.
    pub id: EventId,
    /// What it happened to.
    pub nature: Nature,
    /// The source's sequence.
    pub sequence: u64,
    /// When it was noticed.
    pub time: Timestamp,
    /// What is said of the entry; `None` for a removal, where the last known size is said instead.
    pub facts: Option<&'a Facts>,
    /// The size known last (removed files).
    pub size: u64,
    /// The key before (renamed).
    pub from: Option<&'a Key>,
    /// The table (removed rows).
    pub table: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<D: Serialize> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    sequence: String,
    data: D,
}

#[derive(Serialize)]
struct FileData {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_b64: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    revision: u64,
}

#[derive(Serialize)]
struct RowData<'a> {
    table: &'a str,
    key: &'a RawValue,
    watermark: &'a RawValue,
    row: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    revision: u64,
}

#[derive(Serialize)]
struct GoneData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    revision: u64,
}

#[derive(Serialize)]
struct MessageData<'a> {
    headers: &'a std::collections::BTreeMap<String, String>,
    body: &'a RawValue,
}

impl Statement<'_> {
    /// The event as one line of JSON.
    pub fn render(&self) -> Vec<u8> {
        let sha256 = self.identity.fingerprint.map(Fingerprint::to_hex);
        let revision = self.identity.revision;
        match self.facts {
            Some(Facts::File { size, modified }) => self.envelope(self.file(*size, *modified)),
            Some(Facts::Row { table, key, watermark, row }) => {
                self.envelope(RowData { table, key, watermark, row, sha256, revision })
            }
            Some(Facts::Message { headers, body }) => self.envelope(MessageData { headers, body }),
            None if self.nature == Nature::File => self.envelope(self.file(self.size, None)),
            None => self.envelope(GoneData { table: self.table, key: self.identity.key.shown(), sha256, revision }),
        }
    }

    fn file(&self, size: u64, modified: Option<Timestamp>) -> FileData {
        let key = self.identity.key;
        FileData {
            path: key.shown(),
            path_b64: key.exact_base64(),
            name: crate::change::key::shown(key.name()),
            from: self.from.map(Key::shown),
            from_b64: self.from.and_then(Key::exact_base64),
            size,
            modified: modified.map(Timestamp::to_rfc3339),
            sha256: self.identity.fingerprint.map(Fingerprint::to_hex),
            revision: self.identity.revision,
        }
    }

    fn envelope<D: Serialize>(&self, data: D) -> Vec<u8> {
        let envelope = Envelope {
            specversion: "1.0",
            id: self.id.to_string(),
            source: source_path(self.identity.instance, self.identity.source.as_str()),
            r#type: type_name(self.nature, self.identity.kind),
            subject: self.identity.key.shown(),
            time: self.time.to_rfc3339(),
            datacontenttype: "application/json",
            sequence: format!("{:020}", self.sequence),
            data,
        };
        serde_json::to_vec(&envelope).expect("an envelope of strings, numbers and valid JSON serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::SourceName;

    #[test]
    fn a_file_event_is_the_example_of_the_contract() {
        let source = SourceName::new("orders");
        let key = Key::from("2026/orders-17.csv");
        let identity = Identity {
            instance: "main",
            generation: 0,
            source: &source,
            kind: Kind::Created,
            key: &key,
            revision: 1,
            fingerprint: Some(Fingerprint::of(b"id;amount\n1;9.50\n")),
        };
        let modified = Timestamp::parse_rfc3339("2026-11-23T10:14:58Z").expect("valid");
        let facts = Facts::File { size: 17, modified: Some(modified) };
        let statement = Statement {
            identity,
            id: identity.id(),
            nature: Nature::File,
            sequence: 42,
            time: Timestamp::parse_rfc3339("2026-11-23T10:15:00Z").expect("valid"),
            facts: Some(&facts),
            size: 0,
            from: None,
            table: None,
        };
        let expected = concat!(
            r#"{"specversion":"1.0","id":"evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4","source":"/main/orders","#,
            r#""type":"highwater.file.created","subject":"2026/orders-17.csv","time":"2026-11-23T10:15:00Z","#,
            r#""datacontenttype":"application/json","sequence":"00000000000000000042","#,
            r#""data":{"path":"2026/orders-17.csv","name":"orders-17.csv","size":17,"modified":"2026-11-23T10:14:58Z","#,
            r#""sha256":"c2e03b1802492dea5ffbf9d9c8f1e9266dd738833d8fd53be7f891925b82d538","revision":1}}"#
        );
        assert_eq!(String::from_utf8(statement.render()).expect("JSON is UTF-8"), expected);
    }
}
