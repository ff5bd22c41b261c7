//! Copies a file on the server through this machine, for a move between two of the server's disks.
//! When that is needed is decided by the after-action.

use std::collections::VecDeque;
use std::io::Read;

use super::failure::of_status;
use super::file::SftpFile;
use super::packet::{CREATE_NEW, Reply, Request, Status, WRITE};
use super::session::Session;
use super::wire::Pending;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::OpenFile;

/// Written at once: every server must take so much.
const CHUNK_BYTES: usize = 32 * 1024;

/// WRITE requests under way at once.
const AHEAD: usize = 16;

/// Writes all of `source` into the new file at `to`, and gives it the same time.
///
/// # Errors
/// Something is at `to` already, or source or server fail midway: then what is at `to` is not whole.
pub fn copy(session: &Session, stop: &Stop, doing: &str, mut source: SftpFile, to: &[u8]) -> Result<()> {
    let opened = session.handle(session.ask(stop, doing, Request::open(to, WRITE | CREATE_NEW))?)?;
    let handle = opened.map_err(|status| of_status(doing, &status))?;
    let written = write_all(session, stop, doing, &mut source, &handle);
    session.close(stop, &handle);
    written
}

fn write_all(session: &Session, stop: &Stop, doing: &str, source: &mut SftpFile, handle: &[u8]) -> Result<()> {
    let before = source.tuple()?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    let mut ahead: VecDeque<Pending> = VecDeque::new();
    loop {
        let got = source.read(&mut buffer).map_err(|e| Error::io(doing, e))?;
        if got == 0 {
            break;
        }
        let [pending] = session.send(stop, doing, [Request::write(handle, offset, &buffer[..got])])?;
        offset += got as u64;
        ahead.push_back(pending);
        if ahead.len() >= AHEAD {
            settle(session, stop, doing, &mut ahead)?;
        }
    }
    while !ahead.is_empty() {
        settle(session, stop, doing, &mut ahead)?;
    }
    if source.tuple()? != before || offset != before.size {
        return Err(Error::new(ErrorKind::Conflict, format!("{doing}: it changed meanwhile")));
    }
    let seconds = u32::try_from(before.mtime_ns / 1_000_000_000).unwrap_or_default();
    match session.try_do(stop, doing, Request::set_times(handle, seconds, seconds))? {
        None => Ok(()),
        Some(status) => Err(of_status(doing, &status)),
    }
}

fn settle(session: &Session, stop: &Stop, doing: &str, ahead: &mut VecDeque<Pending>) -> Result<()> {
    let Some(mut first) = ahead.pop_front() else { return Ok(()) };
    match session.reply(stop, doing, &mut first)? {
        Reply::Status(status) if status.code == Status::OK => Ok(()),
        Reply::Status(status) => Err(of_status(doing, &status)),
        _ => Err(session.surprise()),
    }
}
