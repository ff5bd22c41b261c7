//! A captured content: where the bytes of one announced version are. Writing and cleaning belongs to `event::spool`.

use std::fmt;

/// Contents up to this many bytes live in the store; larger ones in the spool.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// The bytes of one announced version.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Small: the bytes themselves.
    Inline(Vec<u8>),
    /// Large: a file of the spool, named relative to it.
    Spooled {
        /// The file's name.
        name: String,
        /// Bytes.
        size: u64,
    },
}

impl Content {
    /// How many bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Spooled { size, .. } => *size,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Spooled { name, size } => write!(f, "Spooled({name}, {size} bytes)"),
        }
    }
}
