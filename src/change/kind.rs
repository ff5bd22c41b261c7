//! The kinds of change, and the three natures of things that change.

use std::fmt;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It was not known before.
    Created,
    /// It was known with another content.
    Changed,
    /// It was known and is gone.
    Removed,
    /// It was known under another key.
    Renamed,
    /// A row came or changed, and the source does not track which.
    Upserted,
    /// A message came in.
    Received,
}

/// What a source's entries are; the middle word of an event's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nature {
    /// A file of a directory source.
    File,
    /// A row of a table source.
    Row,
    /// A message of an endpoint source.
    Message,
}

impl Kind {
    /// Every kind, in the order of DESIGN section 2.
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Changed, Self::Removed, Self::Renamed, Self::Upserted, Self::Received];

    /// The word in ids, types and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::Upserted => "upserted",
            Self::Received => "received",
        }
    }

    /// The kind a word stands for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Nature {
    /// The word in event types.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Row => "row",
            Self::Message => "message",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
