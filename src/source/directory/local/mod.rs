//! A folder of this machine, through `getdents`, `statx` and `openat2`: names stay bytes, nothing is allocated per entry,
//! and no link inside the tree is ever followed. Moving and removing is in `moving`, resolving paths in `reach`.

pub mod health;
mod moving;
mod reach;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatxFlags};
use rustix::io::Errno;

use super::place::{Directory, Found, Listed, Listing, OpenFile, Precision, Renamed, Shape};
use crate::change::Tuple;
use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of directory entries taken from the kernel at once.
const LIST_BUFFER_BYTES: usize = 64 * 1024;

/// What of a file is asked for.
const ASKED: StatxFlags =
    StatxFlags::TYPE.union(StatxFlags::SIZE).union(StatxFlags::MTIME).union(StatxFlags::CTIME).union(StatxFlags::INO);

/// A folder of this machine.
#[derive(Debug)]
pub struct LocalFolder {
    path: PathBuf,
    root: Option<OwnedFd>,
}

impl LocalFolder {
    /// The folder at `path`, which may be a link itself.
    pub fn new(path: PathBuf) -> Self {
        Self { path, root: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether entries can be renamed and removed here, by the permissions of the root.
    pub fn is_writable(&self) -> bool {
        rustix::fs::accessat(
            rustix::fs::CWD,
            &self.path,
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
            AtFlags::EACCESS,
        )
        .is_ok()
    }

    fn root(&self) -> Result<&OwnedFd> {
        self.root.as_ref().ok_or_else(|| Error::internal("a folder is used before it was arrived at"))
    }

    fn failed(&self, doing: &str, path: &[u8], errno: Errno) -> Error {
        let inside = if path.is_empty() { String::new() } else { format!("/{}", shown(path)) };
        Error::io(format!("{doing} {}{inside}", self.path.display()), errno.into())
    }
}

impl Directory for LocalFolder {
    fn arrive(&mut self) -> Result<String> {
        self.root = None;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(|errno| {
            let path = self.path.display();
            match errno {
                Errno::NOENT => Error::new(
                    ErrorKind::NotFound,
                    format!("folder {path} is not there; make it, mount it or correct path"),
                ),
                Errno::NOTDIR => Error::new(ErrorKind::NotFound, format!("{path} is not a folder; correct path")),
                Errno::ACCESS | Errno::PERM => Error::new(
                    ErrorKind::Denied,
                    format!("folder {path} may not be read; give this user read and search permission"),
                ),
                _ => self.failed("open folder", b"", errno),
            }
        })?;
        let stat = rustix::fs::fstat(&root).map_err(|errno| self.failed("look at folder", b"", errno))?;
        self.root = Some(root);
        Ok(stat.st_dev.to_string())
    }

    fn lists_in_parallel(&self) -> bool {
        std::thread::available_parallelism().is_ok_and(|threads| threads.get() > 1)
    }

    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let fd = match reach::open_below(self.root()?, folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !folder.is_empty() => return Ok(Listing::Missing),
            Err(errno) => return Err(self.failed("list folder", folder, errno)),
        };
        let mut buffer: Vec<u8> = Vec::with_capacity(LIST_BUFFER_BYTES);
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| self.failed("list folder", folder, errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match entry.file_type() {
                // The number is all that is compared of a folder, and the listing has it: no look is needed.
                FileType::Directory => folder_found(entry.ino()),
                FileType::RegularFile | FileType::Unknown => match look_at(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(found) => found,
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(self.failed("look at entries of", folder, errno)),
                },
                _ => OTHER,
            };
            each(Listed { name: name.to_bytes(), found })?;
        }
        Ok(Listing::Complete)
    }

    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        let near = reach::near(self.root()?, path);
        let found = near.and_then(|near| look_at(near.fd(), near.rest, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(self.failed("look at", path, errno)),
        }
    }

    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        // NONBLOCK and the look at the opened file: a pipe put in the file's place must not hang the poll.
        match reach::open_below(self.root()?, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(fd) => Ok(Some(Box::new(LocalFile { file: File::from(fd) }))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(errno) => Err(self.failed("open", path, errno)),
        }
    }

    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        moving::rename_new(self.root()?, from, to).map_err(|errno| self.failed("rename", from, errno))
    }

    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()> {
        moving::copy_new(self.root()?, from, to)
            .map_err(|e| Error::io(format!("copy {}/{} to {}", self.path.display(), shown(from), shown(to)), e))
    }

    fn remove(&self, path: &[u8]) -> Result<()> {
        let near = reach::near(self.root()?, path);
        match near.and_then(|near| rustix::fs::unlinkat(near.fd(), near.rest, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", path, errno)),
        }
    }

    fn make_folder(&self, folder: &[u8]) -> Result<()> {
        moving::make_folder(self.root()?, folder).map_err(|errno| self.failed("make folder", folder, errno))
    }

    fn sync_folder(&self, folder: &[u8]) -> Result<()> {
        reach::open_below(self.root()?, folder, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(rustix::fs::fsync)
            .map_err(|errno| self.failed("sync folder", folder, errno))
    }
}

const NOTHING: Tuple = Tuple { size: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 };
const OTHER: Found = Found { shape: Shape::Other, tuple: NOTHING, precision: Precision::Exact };

fn folder_found(inode: u64) -> Found {
    Found { shape: Shape::Folder, tuple: Tuple { inode, ..NOTHING }, precision: Precision::Exact }
}

fn look_at<P: rustix::path::Arg>(fd: impl AsFd, path: P, flags: AtFlags) -> Result<Found, Errno> {
    let stat = rustix::fs::statx(fd, path, flags, ASKED)?;
    Ok(match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::RegularFile => {
            let tuple = Tuple {
                size: stat.stx_size,
                mtime_ns: nanos(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
                ctime_ns: nanos(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
                inode: stat.stx_ino,
            };
            Found { shape: Shape::File, tuple, precision: Precision::Exact }
        }
        FileType::Directory => folder_found(stat.stx_ino),
        _ => OTHER,
    })
}

fn nanos(seconds: i64, nanos: u32) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos))
}

struct LocalFile {
    file: File,
}

impl Read for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl OpenFile for LocalFile {
    fn tuple(&self) -> Result<Tuple> {
        let found = look_at(&self.file, c"", AtFlags::EMPTY_PATH)
            .map_err(|errno| Error::io("look at an opened file", errno.into()))?;
        match found.shape {
            Shape::File => Ok(found.tuple),
            // Nothing equals it, so the file counts as changed.
            _ => Ok(Tuple { inode: u64::MAX, ..NOTHING }),
        }
    }
}

#[cfg(test)]
mod tests;
