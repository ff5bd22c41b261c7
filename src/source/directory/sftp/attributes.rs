//! What an SFTP server says of a file, and what it means to us. Version 3 has times in whole seconds, 32 bits wide.

use crate::change::Tuple;
use crate::source::directory::place::{Found, Precision, Shape};

/// Which parts a server's answer has.
pub struct Flags {
    /// The size.
    pub size: u32,
    /// Owner and group, by number.
    pub owner: u32,
    /// Kind and rights, as in POSIX.
    pub permissions: u32,
    /// Last access and last modification.
    pub times: u32,
    /// Pairs of texts.
    pub extended: u32,
}

/// The flags of version 3.
pub const KEPT_FLAGS: Flags = Flags { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x8000_0000 };

/// What is said of a file; a server may leave out any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Bytes.
    pub size: Option<u64>,
    /// Kind and rights, as in POSIX.
    pub permissions: Option<u32>,
    /// Last modification, seconds since the epoch.
    pub modified: Option<u32>,
}

/// The bits of the permissions that say what kind of file it is, and the kinds we tell apart.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

impl Attributes {
    /// Whether everything we compare is there.
    pub fn are_whole(&self) -> bool {
        match self.kind() {
            None => false,
            Some(Shape::File) => self.size.is_some() && self.modified.is_some(),
            Some(Shape::Folder | Shape::Other) => true,
        }
    }

    fn kind(&self) -> Option<Shape> {
        match self.permissions? & KIND {
            0 => None,
            FILE => Some(Shape::File),
            FOLDER => Some(Shape::Folder),
            _ => Some(Shape::Other),
        }
    }

    /// What it is. A server that does not even say the kind when asked about one path has only files to offer.
    pub fn found(&self) -> Found {
        let shape = self.kind().unwrap_or(if self.size.is_some() { Shape::File } else { Shape::Other });
        match shape {
            Shape::File => Found {
                shape,
                tuple: self.tuple(),
                precision: if self.modified.is_some() { Precision::Second } else { Precision::None },
            },
            Shape::Folder | Shape::Other => Found { shape, tuple: Tuple::default(), precision: Precision::Second },
        }
    }

    /// Size and time of a file.
    pub fn tuple(&self) -> Tuple {
        Tuple {
            size: self.size.unwrap_or_default(),
            mtime_ns: i64::from(self.modified.unwrap_or_default()) * 1_000_000_000,
            ..Tuple::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_the_permissions() {
        let of = |permissions| Attributes { size: Some(5), permissions, modified: Some(7) }.found();
        assert_eq!(of(Some(0o100_600)).shape, Shape::File);
        assert_eq!(of(Some(0o100_600)).tuple, Tuple { size: 5, mtime_ns: 7_000_000_000, ctime_ns: 0, inode: 0 });
        assert_eq!((of(Some(0o040_755)).shape, of(Some(0o040_755)).tuple), (Shape::Folder, Tuple::default()));
        assert_eq!(of(Some(0o120_777)).shape, Shape::Other);
        assert_eq!(of(None).shape, Shape::File);
    }

    #[test]
    fn a_file_without_size_time_or_kind_must_be_looked_at_alone() {
        let whole = Attributes { size: Some(5), permissions: Some(0o100_600), modified: Some(7) };
        assert!(whole.are_whole());
        assert!(!Attributes { size: None, ..whole }.are_whole());
        assert!(!Attributes { modified: None, ..whole }.are_whole());
        assert!(!Attributes { permissions: Some(0o600), ..whole }.are_whole());
        assert!(Attributes { size: None, modified: None, permissions: Some(0o040_755) }.are_whole());
        assert_eq!(Attributes { modified: None, ..whole }.found().precision, Precision::None);
    }
}
