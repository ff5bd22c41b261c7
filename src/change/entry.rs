//! An entry as one poll saw it, and what is known of the same key from before.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::content::Content;
use super::{Fingerprint, Key};
use crate::clock::Timestamp;

/// What a listing says of one file. Equal tuples mean that nothing points to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tuple {
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Last status change, nanoseconds since the epoch; 0 where the place has none.
    pub ctime_ns: i64,
    /// The file's number; 0 where the place has none.
    pub inode: u64,
}

/// One thing seen in a poll.
#[derive(Debug)]
pub struct Entry {
    /// What identifies it within its source.
    pub key: Key,
    /// In which way it was seen.
    pub sight: Sight,
}

/// In which way an entry was seen.
#[derive(Debug)]
pub enum Sight {
    /// A whole version of it, ready and read.
    Version(Box<Version>),
    /// It is there, and shall be remembered without being told (`start = "now"`).
    Present {
        /// What the listing says.
        tuple: Tuple,
    },
    /// It is there in this version, and shall be remembered without being told: rows that were there at `start = "now"`.
    Seen(Box<Version>),
    /// A complete listing does not have it any more.
    Gone(Absence),
    /// It left by an edit of the filters: what is known of it is dropped, revisions stay.
    Forgotten,
    /// It can't become an event; kept with this reason and tried again when it changes.
    Refused {
        /// One line: rule and remedy.
        reason: String,
        /// What the listing says, so that a change is noticed.
        tuple: Option<Tuple>,
    },
}

/// Why an entry is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Somebody took it away; told when the source tells removals.
    Told,
    /// Somebody took it away; the source does not tell removals.
    Untold,
    /// Our own after-action took it away; never told.
    ByUs,
}

/// A whole version of an entry.
#[derive(Debug)]
pub struct Version {
    /// What identifies this version; `None` for received messages, whose key alone decides.
    pub fingerprint: Option<Fingerprint>,
    /// What the event says of it.
    pub facts: Facts,
    /// The captured bytes, where a sink takes them.
    pub content: Option<Content>,
    /// What the listing says (files).
    pub tuple: Option<Tuple>,
    /// The source's own note on this version, compared as bytes: a marker's tuple, a row's watermark.
    pub note: Box<[u8]>,
    /// Whether it need not be remembered once it is told: a row at or below the next SAFE.
    pub settled: bool,
    /// The key it had before (renamed).
    pub from: Option<Key>,
}

/// What an event's `data` says, apart from what the diff adds.
#[derive(Debug, Clone)]
pub enum Facts {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Last modification, where the place tells it.
        modified: Option<Timestamp>,
    },
    /// A row, its parts already rendered as exact JSON.
    Row {
        /// The table's name, or `query`.
        table: String,
        /// Object of the key columns.
        key: Box<RawValue>,
        /// Object of the watermark columns.
        watermark: Box<RawValue>,
        /// Object of all columns.
        row: Box<RawValue>,
    },
    /// A message.
    Message {
        /// Headers without authorization and cookies, lower-case names.
        headers: BTreeMap<String, String>,
        /// The body as JSON.
        body: Box<RawValue>,
    },
}

/// Whether a known key is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It was there at the last look.
    Present,
    /// It was gone at the last look, which was not told.
    Absent,
    /// It was gone at the last look, and `removed` was told.
    Removed,
}

/// What is known of a key from earlier polls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The version told last; `None` when it was remembered without being read.
    pub fingerprint: Option<Fingerprint>,
    /// How many events this key has had.
    pub revision: u64,
    /// Whether it is there.
    pub presence: Presence,
    /// What the listing said of that version (files).
    pub tuple: Option<Tuple>,
    /// The source's own note on that version.
    pub note: Box<[u8]>,
    /// The size of the content (files), for `renamed` and `removed`.
    pub size: u64,
}

impl Known {
    /// A key that an operator named as seen before it was looked at: the version found first is remembered untold.
    pub fn vouched(revision: u64) -> Self {
        let presence = Presence::Absent;
        Self { fingerprint: None, revision, presence, tuple: None, note: Box::default(), size: 0 }
    }

    /// Whether this is such a key, and no version of it was found yet.
    pub fn is_vouched(&self) -> bool {
        *self == Self::vouched(self.revision)
    }
}
