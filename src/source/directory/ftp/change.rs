//! What after-actions and claims change on the server: renames that overwrite nothing, removals, new folders. Which file
//! goes where is decided by the after-action.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::refusal;
use super::reply::Reply;
use super::session::Session;
use super::site::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{Renamed, Shape, join, split};

/// The name of a file that is nowhere.
const NOWHERE: &[u8] = b"highwater-no-such-file";

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
                Some(_) if self.renames_nothing(session, from, &reply)? => Ok(Renamed::Forbidden(reply.quoted())),
                Some(_) => Err(refusal::refused(doing(), &reply)),
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
            None if refusal::is_unknown(&reply) && !self.has_renamed() => Ok(Renamed::Forbidden(reply.quoted())),
            // 553 is about the new name (RFC 959 section 4.2.1); 550 may be about either, or about RNTO.
            None if refusal::denies(&reply) && (reply.code == 553 || !self.has_renamed()) => {
                Ok(Renamed::Refused(reply.quoted()))
            }
            None => Err(refusal::refused(doing(), &reply)),
        }
    }

    fn has_renamed(&self) -> bool {
        self.server.learned.renames.load(Ordering::Relaxed)
    }

    /// Whether a refused RNFR is one of the command and not of the file. Codes 500, 502 and 504 are about commands (RFC 959
    /// section 4.2.1). 550 is about files, but servers where renames are forbidden say it too: of any file, be it there or not.
    fn renames_nothing(&self, session: &mut Session, from: &[u8], reply: &Reply) -> Result<bool> {
        if self.has_renamed() {
            return Ok(false);
        }
        if !refusal::denies(reply) {
            return Ok(refusal::is_unknown(reply));
        }
        let written = self.written(session, &join(split(from).0, NOWHERE))?;
        let of_nothing = session.ask("RNFR", &written)?;
        Ok(refusal::denies(&of_nothing) && !refusal::is_absent(&of_nothing))
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
