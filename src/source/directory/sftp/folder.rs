//! A folder on an SFTP server, as a [`Directory`]. Connections are the pool's; what a listing or a file takes is in those.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::change::key::shown;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{Directory, Found, Listed, Listing, OpenFile, Renamed, Shape, split};

use super::copying;
use super::failure::of_status;
use super::file::SftpFile;
use super::listing::Folder;
use super::packet::{PATH_BYTES_MAX, Reply, Request, Status};
use super::pool::Pool;
use super::server::SftpServer;
use super::session::Session;

/// A folder on an SFTP server.
pub struct SftpFolder {
    pool: Pool,
    /// As configured: absolute, or relative to the login folder.
    path: String,
    /// The absolute path on the server, once it was arrived at.
    root: Option<Vec<u8>>,
    /// Ends what is under way.
    stop: Stop,
    /// Whether a rename was ever carried out here.
    renames: AtomicBool,
}

impl SftpFolder {
    /// The folder at `path`. Nothing is connected yet.
    pub fn new(server: SftpServer, path: &str) -> Self {
        Self {
            pool: Pool::new(server),
            path: path.to_owned(),
            root: None,
            stop: Stop::new(),
            renames: AtomicBool::new(false),
        }
    }

    /// What ends this poll's work early.
    pub fn obey(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// The connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The stop in force.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// `sftp://user@host:port/path`; a path relative to the login folder begins with `~/`.
    pub fn location(&self) -> String {
        let name = self.pool.server().name();
        match self.path.strip_prefix('/') {
            Some(path) => format!("{name}/{path}"),
            None => format!("{name}/~/{}", self.path.trim_start_matches("./")),
        }
    }

    /// The absolute path on the server of a path below the root.
    ///
    /// # Errors
    /// It is longer than a request can be.
    pub fn absolute(&self, path: &[u8]) -> Result<Vec<u8>> {
        let root = self.root.as_deref().ok_or_else(|| Error::internal("a folder is used before it was arrived at"))?;
        let mut whole = root.to_vec();
        if !path.is_empty() {
            if !whole.ends_with(b"/") {
                whole.push(b'/');
            }
            whole.extend_from_slice(path);
        }
        if whole.len() > PATH_BYTES_MAX {
            let fact = format!("{}: a path of {} bytes, more than {PATH_BYTES_MAX}", self.location(), whole.len());
            return Err(Error::new(ErrorKind::Invalid, fact));
        }
        Ok(whole)
    }

    /// What is being done, for messages.
    pub fn doing(&self, what: &str, path: &[u8]) -> String {
        let inside = if path.is_empty() { String::new() } else { format!("/{}", shown(path)) };
        format!("{what} {}{inside}", self.location().trim_end_matches('/'))
    }

    /// The absolute path of the root, and what file system it is on.
    fn find_root(&self, session: &Session) -> Result<(Vec<u8>, String)> {
        let stop = &self.stop;
        let doing = self.doing("go to", b"");
        let path = if self.path.is_empty() { "." } else { &self.path };
        let missing = || {
            let rule = format!("{}: no such folder on the server; correct path, or have it made", self.location());
            Error::new(ErrorKind::NotFound, rule)
        };
        let root = match session.ask(stop, &doing, Request::realpath(path.as_bytes()))? {
            Reply::Status(status) if status.code == Status::NO_SUCH_FILE => return Err(missing()),
            reply => session.one_name(&doing, reply)?,
        };
        if !root.starts_with(b"/") || root.len() > PATH_BYTES_MAX {
            return Err(session.surprise());
        }
        let found =
            session.attributes(&doing, session.ask(stop, &doing, Request::stat(&root))?)?.ok_or_else(missing)?;
        // A server that says nothing of kinds will tell when the folder is listed.
        if found.permissions.is_some() && found.found().shape != Shape::Folder {
            return Err(Error::new(ErrorKind::NotFound, format!("{}: not a folder; correct path", self.location())));
        }
        Ok((root.to_vec(), self.file_system(session, &root, &doing)?))
    }

    /// The number of the file system the root is on, where the server tells it.
    fn file_system(&self, session: &Session, root: &[u8], doing: &str) -> Result<String> {
        if !session.has("statvfs@openssh.com") {
            return Ok(String::new());
        }
        // Eight numbers of 8 bytes come before f_fsid (PROTOCOL of OpenSSH, section 4.4).
        const FSID_AT: usize = 8 * 8;
        match session.ask(&self.stop, doing, Request::file_system(root))? {
            Reply::Extended(answer) => Ok(answer.get(FSID_AT..FSID_AT + 8).map(hex).unwrap_or_default()),
            Reply::Status(_) => Ok(String::new()),
            _ => Err(session.surprise()),
        }
    }

    fn look_with(&self, session: &Session, doing: &str, path: &[u8]) -> Result<Option<Found>> {
        Ok(session.lstat(&self.stop, doing, path)?.map(|attributes| attributes.found()))
    }

    /// Why a rename failed: version 3 has one code for a taken name, another disk and everything else.
    fn why_not(&self, session: &Session, doing: &str, from: &[u8], to: &[u8], status: &Status) -> Result<Renamed> {
        if self.look_with(session, doing, to)?.is_some() {
            return Ok(Renamed::Taken);
        }
        if self.look_with(session, doing, from)?.is_none() {
            return Ok(Renamed::Missing);
        }
        if status.code == Status::FAILURE && split(from).0 != split(to).0 {
            return Ok(Renamed::OtherDisk);
        }
        let forbids = matches!(status.code, Status::PERMISSION_DENIED | Status::UNSUPPORTED);
        let error = of_status(doing, status);
        if forbids && !self.renames.load(Ordering::Relaxed) {
            return Ok(Renamed::Forbidden(error.to_string()));
        }
        Err(error)
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

impl Directory for SftpFolder {
    fn arrive(&mut self) -> Result<String> {
        self.root = None;
        self.pool.begin();
        let (root, file_system) = self.pool.twice(&self.stop, |session| self.find_root(session))?;
        let identity = format!("{} {} {file_system}", self.pool.server().name(), shown(&root));
        self.root = Some(root);
        Ok(identity)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn fetches_in_parallel(&self) -> usize {
        self.pool.server().connections()
    }

    fn lists_in_parallel(&self) -> bool {
        true
    }

    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let (path, doing) = (self.absolute(folder)?, self.doing("list", folder));
        let each = std::cell::RefCell::new(each);
        let begun = std::cell::Cell::new(false);
        let listed = self.pool.twice(&self.stop, |session| {
            if begun.get() {
                let fact = format!("{doing}: the connection was lost in the middle");
                return Err(Error::new(ErrorKind::Unavailable, fact));
            }
            Folder { session, stop: &self.stop, doing: &doing, path: &path }.list(&mut |listed| {
                begun.set(true);
                (each.borrow_mut())(listed)
            })
        })?;
        match listed {
            Listing::Missing if folder.is_empty() => {
                Err(Error::new(ErrorKind::NotFound, format!("{doing}: the folder is not there any more")))
            }
            listed => Ok(listed),
        }
    }

    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        let (absolute, doing) = (self.absolute(path)?, self.doing("look at", path));
        self.pool.twice(&self.stop, |session| self.look_with(session, &doing, &absolute))
    }

    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        let (absolute, doing) = (self.absolute(path)?, self.doing("read", path));
        let open = || SftpFile::open(self.pool.lease_for_file(&self.stop)?, &self.stop, doing.clone(), &absolute);
        let opened = match open() {
            // A connection that was lost since its last use; nothing was read yet.
            Err(error) if error.kind() == ErrorKind::Unavailable && !self.stop.is_raised() => open(),
            opened => opened,
        };
        Ok(opened?.map(|file| Box::new(file) as Box<dyn OpenFile>))
    }

    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        let doing = self.doing(&format!("rename to {} the file", shown(to)), from);
        let (from, to) = (self.absolute(from)?, self.absolute(to)?);
        // Only the look is done twice: a rename whose answer was lost may have been done.
        let taken = self.pool.twice(&self.stop, |session| self.look_with(session, &doing, &to))?;
        if taken.is_some() {
            return Ok(Renamed::Taken);
        }
        let lease = self.pool.lease(&self.stop)?;
        let session = lease.session();
        match session.try_do(&self.stop, &doing, Request::rename(&from, &to))? {
            None => {
                self.renames.store(true, Ordering::Relaxed);
                Ok(Renamed::Done)
            }
            Some(status) => self.why_not(session, &doing, &from, &to, &status),
        }
    }

    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let doing = self.doing(&format!("copy to {} the file", shown(to)), from);
        let (from, to) = (self.absolute(from)?, self.absolute(to)?);
        let source = SftpFile::open(self.pool.lease(&self.stop)?, &self.stop, doing.clone(), &from)?;
        let source = source.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{doing}: it is not there")))?;
        let lease = self.pool.lease(&self.stop)?;
        copying::copy(lease.session(), &self.stop, &doing, source, &to)
    }

    fn remove(&self, path: &[u8]) -> Result<()> {
        let (absolute, doing) = (self.absolute(path)?, self.doing("remove", path));
        let done = self.pool.twice(&self.stop, |s| s.try_do(&self.stop, &doing, Request::remove(&absolute)))?;
        match done {
            Some(status) if status.code != Status::NO_SUCH_FILE => Err(of_status(doing, &status)),
            _ => Ok(()),
        }
    }

    fn make_folder(&self, folder: &[u8]) -> Result<()> {
        if folder.is_empty() {
            return Ok(());
        }
        let doing = self.doing("make folder", folder);
        let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([folder.len()]) {
            let path = self.absolute(&folder[..end])?;
            self.pool.twice(&self.stop, |session| {
                // Most often it is there; and servers differ in what they answer when it is.
                let there = self.look_with(session, &doing, &path)?.map(|found| found.shape);
                if there == Some(Shape::Folder) {
                    return Ok(());
                }
                match session.try_do(&self.stop, &doing, Request::mkdir(&path))? {
                    None => Ok(()),
                    Some(_) if self.look_with(session, &doing, &path)?.is_some_and(|f| f.shape == Shape::Folder) => {
                        Ok(())
                    }
                    Some(status) => Err(of_status(&doing, &status)),
                }
            })?;
        }
        Ok(())
    }

    /// The server decides when renames are durable; version 3 can't ask for it.
    fn sync_folder(&self, _folder: &[u8]) -> Result<()> {
        Ok(())
    }
}
