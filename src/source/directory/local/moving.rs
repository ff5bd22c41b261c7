//! Renames without overwriting, copies across disks and makes folders, with what each file system can do.
//! Which file goes where is decided by the after-action.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::reach;
use crate::source::directory::place::Renamed;

/// Renames `from` to `to`, which must not exist.
pub(super) fn rename_new(root: &OwnedFd, from: &[u8], to: &[u8]) -> Result<Renamed, Errno> {
    let source = reach::near(root, from)?;
    let goal = reach::near(root, to)?;
    match rustix::fs::renameat_with(source.fd(), source.rest, goal.fd(), goal.rest, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Renamed::Done),
        Err(Errno::EXIST) => Ok(Renamed::Taken),
        Err(Errno::NOENT) => Ok(Renamed::Missing),
        Err(Errno::XDEV) => Ok(Renamed::OtherDisk),
        // NFS and FUSE know no RENAME_NOREPLACE; a hard link fails on an existing name just as well.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_then_unlink(&source, &goal),
        Err(errno) => Err(errno),
    }
}

fn link_then_unlink(source: &reach::Near<'_>, goal: &reach::Near<'_>) -> Result<Renamed, Errno> {
    match rustix::fs::linkat(source.fd(), source.rest, goal.fd(), goal.rest, AtFlags::empty()) {
        Ok(()) => {
            rustix::fs::unlinkat(source.fd(), source.rest, AtFlags::empty())?;
            Ok(Renamed::Done)
        }
        Err(Errno::EXIST) => Ok(Renamed::Taken),
        Err(Errno::NOENT) => Ok(Renamed::Missing),
        Err(Errno::XDEV) => Ok(Renamed::OtherDisk),
        // No hard links either (FAT): look first. Two programs moving to one name at once is all that remains.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
            match rustix::fs::statat(goal.fd(), goal.rest, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(Renamed::Taken),
                Err(_) => rustix::fs::renameat(source.fd(), source.rest, goal.fd(), goal.rest).map(|()| Renamed::Done),
            }
        }
        Err(errno) => Err(errno),
    }
}

/// Copies `from` into the new file `to`, with its times and permissions, and syncs it.
pub(super) fn copy_new(root: &OwnedFd, from: &[u8], to: &[u8]) -> io::Result<()> {
    let mut source = File::from(reach::open_below(root, from, OFlags::RDONLY)?);
    let stat = rustix::fs::fstat(&source)?;
    let goal = reach::near(root, to)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let mut copy = File::from(rustix::fs::openat(goal.fd(), goal.rest, flags, mode)?);
    io::copy(&mut source, &mut copy)?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    };
    rustix::fs::futimens(&copy, &times)?;
    copy.sync_all()
}

/// Makes `folder` and those above it.
pub(super) fn make_folder(root: &OwnedFd, folder: &[u8]) -> Result<(), Errno> {
    if folder.is_empty() || reach::open_below(root, folder, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
        return Ok(());
    }
    let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain([folder.len()]) {
        let near = reach::near(root, &folder[..end])?;
        match rustix::fs::mkdirat(near.fd(), near.rest, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    // A file or a link of that name is not a folder to move into.
    reach::open_below(root, folder, OFlags::PATH | OFlags::DIRECTORY).map(drop)
}
