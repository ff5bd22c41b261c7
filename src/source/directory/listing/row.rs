//! One row of a listing as a format reads it, and what became of a line. Whether a name is safe is decided here too.

use crate::change::Tuple;
use crate::source::directory::place::{Found, Precision, Shape};

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is an entry, or part of one.
    Entry,
    /// It belongs to the format and holds no entry: a head, a sum, an empty line.
    Passed,
    /// It does not belong to the format.
    Unknown,
}

/// One entry, borrowed from its line.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The name as told.
    pub name: &'a [u8],
    /// What is there.
    pub found: Found,
}

/// Takes the rows of a format.
pub type Emit<'e> = dyn FnMut(Row<'_>) + 'e;

/// A time of last modification, and how exact it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modified {
    /// Nanoseconds since the epoch.
    pub nanos: i64,
    /// How exact.
    pub precision: Precision,
}

impl Modified {
    /// No time is told.
    pub const UNTOLD: Self = Self { nanos: 0, precision: Precision::None };
}

const NOTHING: Tuple = Tuple { size: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 };

/// A file.
pub fn file(size: u64, modified: Modified, inode: u64) -> Found {
    let tuple = Tuple { size, mtime_ns: modified.nanos, ctime_ns: 0, inode };
    Found { shape: Shape::File, tuple, precision: modified.precision }
}

/// A folder: only its number is told.
pub fn folder(inode: u64) -> Found {
    Found { shape: Shape::Folder, tuple: Tuple { inode, ..NOTHING }, precision: Precision::Exact }
}

/// Something that is passed over.
pub fn other() -> Found {
    Found { shape: Shape::Other, tuple: NOTHING, precision: Precision::Exact }
}

/// What a name in a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// A name within the folder.
    Good,
    /// The folder itself or the one above.
    Dots,
    /// None that can be inside a folder, or one that would split a command.
    Bad,
}

/// Judges a name that another machine told: it becomes part of paths and of commands.
pub fn judge_name(name: &[u8]) -> Name {
    match name {
        b"." | b".." => Name::Dots,
        b"" => Name::Bad,
        _ if name.iter().any(|byte| matches!(byte, b'/' | b'\r' | b'\n' | 0)) => Name::Bad,
        _ => Name::Good,
    }
}

/// A number for a text that identifies a file, the same in every version of this program; never 0. FNV-1a, 64 bits.
pub fn number_of(identity: &[u8]) -> u64 {
    let hash = identity
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_or_split_a_command_are_bad() {
        for bad in [&b""[..], b"a/b", b"../x", b"/x", b"a\rb", b"a\nb", b"a\0b"] {
            assert_eq!(judge_name(bad), Name::Bad, "{bad:?}");
        }
        for good in [&b" a "[..], b"...", b"..a", b"a -> b", b"a\\b", b"\xff", b"a\tb"] {
            assert_eq!(judge_name(good), Name::Good, "{good:?}");
        }
        assert_eq!((judge_name(b"."), judge_name(b"..")), (Name::Dots, Name::Dots));
    }

    #[test]
    fn the_number_of_an_identity_stays_what_it_was() {
        assert_eq!(number_of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(number_of(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
