//! Opens paths below the root without following a link on the way, however long they are: whoever may write to a drop
//! folder must not be able to point us at another file by swapping a folder for a link. What is done there is not its affair.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The kernel takes paths below 4,096 bytes; longer ones are reached in steps.
const STEP_BYTES_MAX: usize = 4_000;

/// Set once the kernel (or a sandbox) turned out not to know `openat2`.
static STEPWISE: AtomicBool = AtomicBool::new(false);

/// A folder that is open, and the path from there.
pub(super) struct Near<'a> {
    root: BorrowedFd<'a>,
    opened: Option<OwnedFd>,
    /// The path below [`Near::fd`].
    pub(super) rest: &'a [u8],
}

impl Near<'_> {
    /// The open folder.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.opened.as_ref().map_or(self.root, AsFd::as_fd)
    }
}

/// Comes near enough to `path` for one system call.
pub(super) fn near<'a>(root: &'a OwnedFd, path: &'a [u8]) -> Result<Near<'a>, Errno> {
    let mut near = Near { root: root.as_fd(), opened: None, rest: path };
    while near.rest.len() > STEP_BYTES_MAX {
        let cut = near.rest[..STEP_BYTES_MAX].iter().rposition(|byte| *byte == b'/').ok_or(Errno::NAMETOOLONG)?;
        let next = open_one(near.fd(), &near.rest[..cut], OFlags::PATH | OFlags::DIRECTORY)?;
        near = Near { root: near.root, opened: Some(next), rest: &near.rest[cut + 1..] };
    }
    Ok(near)
}

/// Opens `path` below `root`, `""` being the root itself.
pub(super) fn open_below(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let near = near(root, path)?;
    open_one(near.fd(), near.rest, flags)
}

fn open_one(folder: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if !STEPWISE.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve) {
            // Before Linux 5.6, or a sandbox that filters the call.
            Err(Errno::NOSYS) => STEPWISE.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    open_stepwise(folder, path, flags)
}

fn open_stepwise(folder: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut opened: Option<OwnedFd> = None;
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let here = opened.as_ref().map_or(folder, AsFd::as_fd);
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let flags = if parts.peek().is_some() { on_the_way } else { flags };
        opened = Some(rustix::fs::openat(here, part, flags, Mode::empty())?);
    }
    opened.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_openat2_no_link_on_the_way_is_followed_either() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("a/b")).expect("make");
        std::fs::write(folder.path().join("a/b/file"), b"x").expect("write");
        std::os::unix::fs::symlink("b", folder.path().join("a/link")).expect("link");
        let root = rustix::fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open");
        let read = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        assert!(open_stepwise(root.as_fd(), b"a/b/file", read).is_ok());
        assert!(open_stepwise(root.as_fd(), b"a/link/file", read).is_err());
        assert!(open_below(&root, b"a/b/file", OFlags::RDONLY).is_ok());
        assert_eq!(open_below(&root, b"a/link/file", OFlags::RDONLY).err(), Some(Errno::LOOP));
        assert!(open_below(&root, b"../etc/passwd", OFlags::RDONLY).is_err());
    }
}
