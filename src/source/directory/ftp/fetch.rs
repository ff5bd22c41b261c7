//! Fetches one file: its bytes as they come, the final reply after the last of them, then another look. A large file whose
//! connection is lost goes on where it stopped, as long as it is still the same version.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::data::{self, Begun, Transfer};
use super::pool::Lease;
use super::refusal;
use super::session::{Type, line};
use super::site::Site;
use crate::change::Tuple;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{OpenFile, Shape};
use crate::source::settings::Transfer as Meaning;

/// Smaller files are fetched again from the start.
const RESUME_BYTES_MIN: u64 = 1 << 20;

/// A fetch is taken up again at most so often.
const RESUMES_MAX: u32 = 8;

/// Equals no file's tuple, so the file counts as changed.
const OTHER: Tuple = Tuple { size: 0, mtime_ns: 0, ctime_ns: 0, inode: u64::MAX };

/// A file being fetched.
#[derive(Debug)]
pub struct FtpFile {
    site: Arc<Site>,
    path: Vec<u8>,
    /// What a look said before the fetch began.
    opened: Tuple,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The transfer and its session, until its end was seen.
    under_way: Option<(Lease, Transfer)>,
    taken: u64,
    resumes: u32,
    /// Whether the final reply was good.
    ended: bool,
}

impl Site {
    /// Begins to fetch a file; `None` when no file is there.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    pub fn fetch(self: &Arc<Self>, path: &[u8]) -> Result<Option<FtpFile>> {
        let opened = match self.recall(path) {
            Some(found) => found,
            None => match self.with(|session| self.look_with(session, path))? {
                Some(found) if found.shape == Shape::File => found,
                _ => return Ok(None),
            },
        };
        match self.with_lease(path, 0)? {
            Ok(under_way) => {
                let state = State { under_way: Some(under_way), taken: 0, resumes: 0, ended: false };
                let site = Arc::clone(self);
                Ok(Some(FtpFile { site, path: path.to_vec(), opened: opened.tuple, state: Mutex::new(state) }))
            }
            // vsftpd says "Failed to open file." whatever the reason: look what it was.
            Err(reply) => match self.with(|session| self.look_with(session, path))? {
                Some(found) if found.shape == Shape::File => {
                    Err(refusal::refused(format!("fetch {}", self.shown(path)), &reply))
                }
                _ => Ok(None),
            },
        }
    }

    /// Begins a RETR at byte `from`; the inner error is the server's refusal.
    fn with_lease(&self, path: &[u8], from: u64) -> Result<Result<(Lease, Transfer), super::reply::Reply>> {
        let begin = |lease: &mut Lease| {
            let ascii = self.server.settings.transfer == Meaning::Text;
            lease.set_type(if ascii { Type::Ascii } else { Type::Image })?;
            let written = self.written(lease, path)?;
            data::begin(lease, &self.server, &line("RETR", &written), from, &self.stop())
        };
        let (lease, begun) = self.with_leased(begin, || true)?;
        Ok(match begun {
            Begun::Started(transfer) => Ok((lease, transfer)),
            Begun::Refused(reply) => Err(reply),
        })
    }
}

impl FtpFile {
    fn failed(&self, error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error.while_doing(format!("fetch {}", self.site.shown(&self.path))))
    }
}

impl State {
    /// Reads on; 0 only when the final reply was good.
    fn read(&mut self, file: &About<'_>, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let Some((lease, transfer)) = &mut self.under_way else {
                return if self.ended { Ok(0) } else { Err(Error::internal("a fetch goes on after it failed")) };
            };
            let cut = match transfer.data.read(buffer) {
                Ok(0) => false,
                Ok(got) => {
                    self.taken += got as u64;
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
                Err(error) => {
                    lease.control.break_off();
                    self.resume(file, refusal::lost("read", error))?;
                    continue;
                }
            };
            match self.end(file, cut) {
                Ok(()) => return Ok(0),
                Err(error) => self.resume(file, error)?,
            }
        }
    }

    /// All bytes came: so must a good final reply.
    fn end(&mut self, file: &About<'_>, cut: bool) -> Result<()> {
        let Some((mut lease, transfer)) = self.under_way.take() else { return Ok(()) };
        let reply = data::end(&mut lease, transfer)?;
        if !reply.is_done() {
            return Err(refusal::refused("the server ended the transfer", &reply));
        }
        // In text mode the size proves nothing; without close_notify anybody in between could have cut it.
        if cut && file.site.server.settings.transfer == Meaning::Text {
            let fact = "the TLS data connection ended without close_notify: nobody can tell whether it was cut";
            return Err(Error::new(ErrorKind::Invalid, fact));
        }
        self.ended = true;
        Ok(())
    }

    /// Takes a cut fetch up again, or fails with what cut it.
    fn resume(&mut self, file: &About<'_>, why: Error) -> Result<()> {
        let can_restart = match self.under_way.take() {
            Some((lease, _)) => lease.features.has("REST"),
            None => true,
        };
        let worth = file.opened.size > RESUME_BYTES_MIN && self.taken > 0 && self.taken < file.opened.size;
        let binary = file.site.server.settings.transfer == Meaning::Binary;
        let retryable = matches!(why.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut);
        if !(can_restart && worth && binary && retryable) || self.resumes >= RESUMES_MAX {
            return Err(why);
        }
        self.resumes += 1;
        let found = file.site.with(|session| file.site.look_with(session, file.path))?;
        if found.map(|found| found.tuple) != Some(file.opened) {
            return Err(why);
        }
        tracing::debug!(at = %file.site.server.place(), from = self.taken, why = %why, "a fetch is taken up again");
        match file.site.with_lease(file.path, self.taken)? {
            Ok(under_way) => {
                self.under_way = Some(under_way);
                Ok(())
            }
            Err(_) => Err(why),
        }
    }
}

/// What of a file stays the same while it is fetched.
struct About<'a> {
    site: &'a Arc<Site>,
    path: &'a [u8],
    opened: Tuple,
}

impl Read for FtpFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let about = About { site: &self.site, path: &self.path, opened: self.opened };
        let state = self.state.get_mut().expect("no reader of a file panics");
        state.read(&about, buffer).map_err(|error| self.failed(error))
    }
}

impl OpenFile for FtpFile {
    fn tuple(&self) -> Result<Tuple> {
        let about = About { site: &self.site, path: &self.path, opened: self.opened };
        let mut state = self.state.lock().expect("no reader of a file panics");
        if state.under_way.is_some() {
            let binary = self.site.server.settings.transfer == Meaning::Binary;
            if state.taken == 0 && (self.opened.size > 0 || !binary) {
                return Ok(self.opened);
            }
            // As much as was announced is here: the end must follow, and nothing else.
            let ends = state.taken == self.opened.size && state.read(&about, &mut [0])? == 0;
            if !ends {
                state.under_way = None;
                return Ok(OTHER);
            }
        }
        drop(state);
        let found = self.site.with(|session| self.site.look_with(session, &self.path))?;
        Ok(found.filter(|found| found.shape == Shape::File).map_or(OTHER, |found| found.tuple))
    }
}
