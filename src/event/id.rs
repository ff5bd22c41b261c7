//! Event ids: the same change found again has the same id (DESIGN section 5).

use std::fmt;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};

use crate::change::{Fingerprint, Key, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;

/// The first 20 bytes of a SHA-256; shown as `evt_` and lowercase base32 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 20]);

/// The fields an id is made of.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The installation, `main` unless configured.
    pub instance: &'a str,
    /// How often the store was restored from a backup.
    pub generation: u64,
    /// The source's name.
    pub source: &'a SourceName,
    /// What happened.
    pub kind: Kind,
    /// The entry's key.
    pub key: &'a Key,
    /// The number of this key's event.
    pub revision: u64,
    /// The version; none for received messages.
    pub fingerprint: Option<Fingerprint>,
}

const PREFIX: &str = "evt_";

/// Made once: its tables cost more than an id.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.encoding().expect("32 distinct symbols are a valid base32 alphabet")
});

impl Identity<'_> {
    /// The id of this change: each field goes in behind its length as 8 bytes big-endian.
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(b"highwater/1");
        field(self.instance.as_bytes());
        field(&self.generation.to_be_bytes());
        field(self.source.as_str().as_bytes());
        field(self.kind.as_str().as_bytes());
        field(self.key.as_bytes());
        field(&self.revision.to_be_bytes());
        field(self.fingerprint.as_ref().map_or(&[][..], |f| &f.0));
        let digest = hash.finalize();
        let mut id = [0; 20];
        id.copy_from_slice(&digest[..20]);
        EventId(id)
    }
}

impl EventId {
    /// Reads `evt_...`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text
            .strip_prefix(PREFIX)
            .and_then(|rest| BASE32.decode(rest.as_bytes()).ok())
            .and_then(|bytes| <[u8; 20]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| {
            let rule = format!("\"{}\" is not an event id; ids look like evt_ and 32 of a-z 2-7", text.escape_debug());
            Error::new(ErrorKind::Usage, rule)
        })
    }

    /// From stored bytes; `None` unless there are exactly 20.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", BASE32.encode(&self.0)))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_come_out() {
        let file = Identity {
            instance: "main",
            generation: 0,
            source: &SourceName::new("orders"),
            kind: Kind::Created,
            key: &Key::from("2026/orders-17.csv"),
            revision: 1,
            fingerprint: Some(Fingerprint::of(b"id;amount\n1;9.50\n")),
        };
        assert_eq!(file.id().to_string(), "evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4");
        let message = Identity {
            source: &SourceName::new("payments"),
            kind: Kind::Received,
            key: &Key::from("pay_1"),
            revision: 0,
            fingerprint: None,
            ..file
        };
        assert_eq!(message.id().to_string(), "evt_e3wg5ihg5pb54qugz5vv4mrab6fxbrsx");
    }

    #[test]
    fn an_id_is_read_back_and_nonsense_refused() {
        let id = EventId([7; 20]);
        assert_eq!(EventId::parse(&id.to_string()).expect("valid"), id);
        for bad in ["", "evt_", "evt_abc", "17", "EVT_wgakhpz5zdyvhd5ozrouyfl3feamdqp4"] {
            assert!(EventId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
