//! Reads one file: many READ requests are under way at once, so that a fetch is as fast as the line and not as its round
//! trips. What the bytes are for is the reader's affair.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes};

use super::failure::of_status;
use super::packet::{READ, Reply, Request, Status};
use super::pool::Lease;
use super::session::Session;
use super::wire::Pending;
use crate::change::Tuple;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{OpenFile, Shape};

/// Every server must answer a READ of this size as a whole.
const CHUNK_BYTES: u32 = 32 * 1024;

/// READ requests under way at once: 2 MiB.
const AHEAD: usize = 64;

/// An opened file.
pub struct SftpFile {
    lease: Option<Lease>,
    stop: Stop,
    doing: String,
    handle: Bytes,
    /// What was said of the path just before it was opened.
    before: Tuple,
    /// Up to where reading was asked for.
    asked: u64,
    ahead: VecDeque<Chunk>,
    here: Bytes,
    taken: u64,
    ended: bool,
    after: RefCell<After>,
}

struct Chunk {
    offset: u64,
    bytes: u32,
    pending: Pending,
}

/// The look at the opened file behind its last byte.
enum After {
    NotAsked,
    Asked(Pending),
    Known(Tuple),
}

impl SftpFile {
    /// Opens the file at `path`; `None` when no file is there.
    ///
    /// # Errors
    /// It may not be opened, or the connection was lost.
    pub fn open(lease: Lease, stop: &Stop, doing: String, path: &[u8]) -> Result<Option<Self>> {
        let session = lease.session();
        let [mut look, mut open] = session.send(stop, &doing, [Request::lstat(path), Request::open(path, READ)])?;
        let found = session.attributes(&doing, session.reply(stop, &doing, &mut look)?)?;
        let opened = session.handle(session.reply(stop, &doing, &mut open)?)?;
        let is_file = found.is_some_and(|attributes| attributes.found().shape == Shape::File);
        let handle = match opened {
            Ok(handle) if is_file => handle,
            Ok(handle) => {
                session.close(stop, &handle);
                return Ok(None);
            }
            Err(status) if is_file && status.code != Status::NO_SUCH_FILE => return Err(of_status(doing, &status)),
            Err(_) => return Ok(None),
        };
        let before = found.map(|attributes| attributes.tuple()).unwrap_or_default();
        Ok(Some(Self {
            lease: Some(lease),
            stop: stop.clone(),
            doing,
            handle,
            before,
            asked: 0,
            ahead: VecDeque::new(),
            here: Bytes::new(),
            taken: 0,
            ended: false,
            after: RefCell::new(After::NotAsked),
        }))
    }

    fn session(&self) -> Result<&Session> {
        self.lease.as_ref().map(Lease::session).ok_or_else(|| Error::internal("a file without its connection"))
    }

    /// Keeps requests under way up to the size that was announced, one behind it to see the end, and a look at the file.
    fn ask_ahead(&mut self) -> Result<()> {
        while self.ahead.len() < AHEAD && self.asked < self.before.size {
            let left = self.before.size - self.asked;
            let bytes = u32::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            self.ask(self.asked, bytes, VecDeque::push_back)?;
            self.asked += u64::from(bytes);
        }
        let is_asked = !matches!(*self.after.borrow(), After::NotAsked);
        if self.asked == self.before.size && !is_asked {
            self.ask(self.asked, 1, VecDeque::push_back)?;
            let [look] = self.session()?.send(&self.stop, &self.doing, [Request::fstat(&self.handle)])?;
            self.after.replace(After::Asked(look));
        }
        Ok(())
    }

    fn ask(&mut self, offset: u64, bytes: u32, put: impl FnOnce(&mut VecDeque<Chunk>, Chunk)) -> Result<()> {
        let request = Request::read(&self.handle, offset, bytes);
        let [pending] = self.session()?.send(&self.stop, &self.doing, [request])?;
        put(&mut self.ahead, Chunk { offset, bytes, pending });
        Ok(())
    }

    /// Takes the next bytes off the line; none at the end.
    fn next_bytes(&mut self) -> Result<()> {
        self.ask_ahead()?;
        let Some(Chunk { offset, bytes, mut pending }) = self.ahead.pop_front() else {
            self.ended = true;
            return Ok(());
        };
        let session = self.session()?;
        let reply = session.reply_within(&self.stop, session.timeouts.idle.duration(), &self.doing, &mut pending)?;
        match reply {
            Reply::Data(data) if data.is_empty() || data.len() > bytes as usize => Err(session.surprise()),
            Reply::Data(data) => {
                let got = data.len() as u32;
                // A server may give less than it was asked for; the rest is asked for again, before what follows.
                if got < bytes {
                    self.ask(offset + u64::from(got), bytes - got, VecDeque::push_front)?;
                }
                self.here = data;
                Ok(())
            }
            Reply::Status(status) if status.code == Status::EOF => {
                self.ended = true;
                self.ahead.clear();
                Ok(())
            }
            Reply::Status(status) => Err(of_status(&self.doing, &status)),
            _ => Err(session.surprise()),
        }
    }
}

impl io::Read for SftpFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut filled = 0;
        // A buffer is filled as far as the bytes are on their way already.
        while filled < buffer.len() {
            if self.here.is_empty() {
                if self.ended {
                    break;
                }
                self.next_bytes().map_err(into_io)?;
                continue;
            }
            let some = self.here.len().min(buffer.len() - filled);
            buffer[filled..filled + some].copy_from_slice(&self.here[..some]);
            self.here.advance(some);
            filled += some;
            self.taken += some as u64;
            if self.taken == self.before.size {
                break;
            }
        }
        Ok(filled)
    }
}

fn into_io(error: Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::TimedOut => io::ErrorKind::TimedOut,
        ErrorKind::Denied => io::ErrorKind::PermissionDenied,
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::Invalid => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error.to_string())
}

impl OpenFile for SftpFile {
    fn tuple(&self) -> Result<Tuple> {
        if !self.ended && (self.taken < self.before.size || self.before.size == 0) {
            return Ok(self.before);
        }
        let session = self.session()?;
        let after = std::mem::replace(&mut *self.after.borrow_mut(), After::NotAsked);
        let tuple = match after {
            After::Known(tuple) => tuple,
            asked => {
                let reply = match asked {
                    After::Asked(mut look) => session.reply(&self.stop, &self.doing, &mut look)?,
                    _ => session.ask(&self.stop, &self.doing, Request::fstat(&self.handle))?,
                };
                let found = session.attributes(&self.doing, reply)?.map(|attributes| attributes.found());
                match found {
                    Some(found) if found.shape == Shape::File => found.tuple,
                    // Nothing equals it, so the file counts as changed.
                    _ => Tuple { inode: u64::MAX, ..Tuple::default() },
                }
            }
        };
        self.after.replace(After::Known(tuple));
        Ok(tuple)
    }
}

impl Drop for SftpFile {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && !lease.session().is_ended()
        {
            lease.session().close(&self.stop, &self.handle);
        }
    }
}
