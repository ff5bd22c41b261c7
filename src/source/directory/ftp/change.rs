//! What after-actions and claims change on the server: renames that overwrite nothing, removals, new folders. Which file
//! goes where is decided by the after-action.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::refusal;
use super::reply::Reply;
use super::session::Session;
use super::site::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{Renamed, Shape, split};

impl Site {
    /// Renames without overwriting. RNTO overwrites on most servers, so the target is looked at first; what another
    /// program puts there between the two is the window that remains.
    ///
    /// # Errors
    /// The server refuses, or the connection was lost and nobody knows what became of it.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        let taken = self.with(|session| Ok(self.look_with(session, to)?.is_some()))?;
        if taken {
            return Ok(Renamed::Taken);
        }
        // Before RNTO is sent all can be done again; afterwards nobody knows.
        let sent = Cell::new(false);
        let renamed = self.with_leased(|session| self.rename_once(session, from, to, &sent), || !sent.get());
        match renamed {
            // The connection was lost after RNTO: the files themselves tell whether it was carried out.
            Err(error) if sent.get() => {
                let there = self.with(|session| self.look_with(session, to))?;
                let here = self.with(|session| self.look_with(session, from))?;
                if there.is_some() && here.is_none() { Ok(Renamed::Done) } else { Err(error) }
            }
            renamed => renamed.map(|(_, renamed)| renamed),
        }
    }

    fn rename_once(&self, session: &mut Session, from: &[u8], to: &[u8], sent: &Cell<bool>) -> Result<Renamed> {
        let doing = || format!("rename {} to {}", self.shown(from), crate::change::key::shown(to));
        let written = self.written(session, from)?;
        if !self.takes_paths() && split(from).0 != split(to).0 {
            let fact = "this server takes no paths: files can't be moved to another folder there";
            return Err(Error::new(ErrorKind::Invalid, doing()).because(fact));
        }
        let reply = session.ask("RNFR", &written)?;
        if !reply.is_half() {
            return match self.look_with(session, from)? {
                None => Ok(Renamed::Missing),
                Some(_) => self.not_renamed(doing(), &reply),
            };
        }
        let written = self.written(session, to)?;
        sent.set(true);
        let reply = session.ask("RNTO", &written)?;
        sent.set(false);
        if reply.is_done() {
            self.server.learned.renames.store(true, Ordering::Relaxed);
            return Ok(Renamed::Done);
        }
        // Servers on Windows refuse to overwrite: somebody was faster.
        match self.look_with(session, to)? {
            Some(_) => Ok(Renamed::Taken),
            None => self.not_renamed(doing(), &reply),
        }
    }

    /// A refusal is one of this file alone where the server has renamed another.
    fn not_renamed(&self, doing: String, reply: &Reply) -> Result<Renamed> {
        if refusal::forbids(reply) && !self.server.learned.renames.load(Ordering::Relaxed) {
            return Ok(Renamed::Forbidden(reply.quoted()));
        }
        Err(refusal::refused(doing, reply))
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// The server refuses although it is there.
    pub fn delete(&self, path: &[u8]) -> Result<()> {
        self.with(|session| {
            let written = self.written(session, path)?;
            let reply = session.ask("DELE", &written)?;
            if reply.is_done() || self.look_with(session, path)?.is_none() {
                return Ok(());
            }
            Err(refusal::refused(format!("remove {}", self.shown(path)), &reply))
        })
    }

    /// Makes `folder` and those above it.
    ///
    /// # Errors
    /// The server refuses, or something else has that name.
    pub fn make(&self, folder: &[u8]) -> Result<()> {
        if folder.is_empty() {
            return Ok(());
        }
        self.with(|session| {
            if self.look_with(session, folder)?.is_some_and(|found| found.shape == Shape::Folder) {
                return Ok(());
            }
            let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            for end in ends.chain([folder.len()]) {
                let part = &folder[..end];
                let written = self.written(session, part)?;
                let reply = session.ask("MKD", &written)?;
                if reply.is_done() {
                    continue;
                }
                // "Exists already" has no code of its own.
                if self.look_with(session, part)?.is_none_or(|found| found.shape != Shape::Folder) {
                    return Err(refusal::refused(format!("make folder {}", self.shown(part)), &reply));
                }
            }
            Ok(())
        })
    }
}
