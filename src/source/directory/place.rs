//! What every kind of directory can do: list, look, open, rename, remove. One adapter per protocol implements it.
//! Which entries matter, when they are ready and what is told of them is the tracker's affair.

use std::io::Read;

use crate::change::Tuple;
use crate::error::Result;

/// A place with folders and files, on this machine or another. Paths are relative to the root, `/`-separated raw bytes;
/// `""` is the root. Methods take `&self`, because two threads read files at once.
pub trait Directory: Send + Sync {
    /// Goes to the root afresh, so that a root that was replaced or mounted over is seen as it is now.
    /// Returns what identifies the place: another text means another disk or server behind the same path.
    ///
    /// # Errors
    /// `NotFound` when the root is missing or no folder, `Denied` when it may not be read.
    fn arrive(&mut self) -> Result<String>;

    /// Whether the place is another machine: then absence must be seen in two complete listings in a row before it is
    /// believed, and times may be coarse ([`Found::precision`]).
    fn is_remote(&self) -> bool {
        false
    }

    /// How many files can be fetched at once for less than the sum of their times.
    fn fetches_in_parallel(&self) -> usize {
        2
    }

    /// Whether listed sizes are not those of the contents (text transfer, record files): two equal fetches then prove that
    /// one was whole.
    fn verifies_twice(&self) -> bool {
        false
    }

    /// Whether a second folder can be listed at the same time for less than twice the time.
    fn lists_in_parallel(&self) -> bool {
        false
    }

    /// Hands every entry of one folder to `each`, in the place's own order, without `.` and `..`.
    ///
    /// # Errors
    /// The listing did not reach its end, or `each` failed: nothing may be concluded from what was handed out.
    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing>;

    /// Looks at one path alone, without following a link; `None` when nothing is there.
    fn look(&self, path: &[u8]) -> Result<Option<Found>>;

    /// Opens a file for reading; `None` when no file is there.
    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>>;

    /// Renames without ever overwriting.
    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed>;

    /// Copies a file into a new one with the same times, complete and synced when this returns.
    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &[u8]) -> Result<()>;

    /// Makes a folder and those above it; one that is there is no error.
    fn make_folder(&self, folder: &[u8]) -> Result<()>;

    /// Makes renames into and out of a folder survive a power cut.
    fn sync_folder(&self, folder: &[u8]) -> Result<()>;
}

/// An opened file.
pub trait OpenFile: Read + Send {
    /// What the place says of the opened file now. Remote places answer after the last byte was read and the server's final
    /// reply was good; before that it is what was said when it was opened.
    fn tuple(&self) -> Result<Tuple>;
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a pipe, a socket: passed over.
    Other,
}

/// One entry of a listing, borrowed for the time of the call.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The name within its folder.
    pub name: &'a [u8],
    /// What is there.
    pub found: Found,
}

/// What a look at a path says. Of a folder only the inode is told, of other shapes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub shape: Shape,
    /// Size, times and number.
    pub tuple: Tuple,
    /// How exact `tuple.mtime_ns` is; what is finer is zero.
    pub precision: Precision,
}

/// How exact a time of last modification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To the nanosecond, or as fine as the place keeps it.
    Exact,
    /// To the second (MDTM, MLSD, SFTP).
    Second,
    /// To the minute (LIST of recent files).
    Minute,
    /// To the day (LIST of older files).
    Day,
    /// No time is told.
    None,
}

/// How a listing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Every entry was handed out.
    Complete,
    /// Entries were handed out, but it is not proven that they are all: unknown lines, a truncation notice, an empty answer
    /// where entries were known. The text says which. Nothing is concluded from what is not among them.
    Doubtful(String),
    /// No such folder.
    Missing,
}

/// What came of a rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renamed {
    /// It is under its new name.
    Done,
    /// Something is there already; nothing was done.
    Taken,
    /// The source is not there.
    Missing,
    /// The two paths are on different disks; nothing was done.
    OtherDisk,
    /// The place carries out no renames, in its own words; nothing was done. A refusal of this file alone is an error.
    Forbidden(String),
    /// The new name was refused, in the place's own words, and perhaps any would be; nothing was done.
    Refused(String),
}

/// The path of `name` in `folder`.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.extend_from_slice(folder);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The folder a path is in, and its name there.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_where_it_was_joined() {
        assert_eq!(join(b"a/b", b"c"), b"a/b/c");
        assert_eq!(join(b"", b"c"), b"c");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
