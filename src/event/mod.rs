//! A change with an id, as a CloudEvent. The bytes of one event never change between attempts: they are rendered once,
//! here, and stored. Where the event goes belongs to `poll` (routes) and `delivery`.

pub mod body;
pub mod captures;
pub mod id;
pub mod spool;
mod spool_owner;

pub use captures::Captures;
pub use id::{EventId, Identity};
pub use spool::{Spool, SpoolWriter};

use crate::change::{Content, Fingerprint, Key, Kind, Nature};
use crate::clock::Timestamp;
use crate::setting::SourceName;

/// A change that has been given an id and a body.
#[derive(Debug, Clone)]
pub struct Event {
    /// Stable over crashes, overlaps and repeated listings.
    pub id: EventId,
    /// The source that saw it.
    pub source: SourceName,
    /// What happened.
    pub kind: Kind,
    /// What it happened to.
    pub nature: Nature,
    /// The entry's key.
    pub key: Key,
    /// The number of this key's event.
    pub revision: u64,
    /// The version told.
    pub fingerprint: Option<Fingerprint>,
    /// Rises per source within one store.
    pub sequence: u64,
    /// When it was noticed.
    pub time: Timestamp,
    /// The CloudEvent as JSON, exactly as it is delivered.
    pub body: Vec<u8>,
    /// The captured bytes.
    pub content: Option<Content>,
}

impl Event {
    /// The CloudEvents type, `highwater.file.created`.
    pub fn type_name(&self) -> String {
        body::type_name(self.nature, self.kind)
    }
}
