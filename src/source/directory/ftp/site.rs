//! A folder on a server: where its root is, how paths are written there, and that a command is tried again on a new
//! connection when the old one turns out to be gone. What is asked of it is in `listing`, `sight`, `fetch` and `change`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::names::to_wire;
use super::pool::{Lease, Pool};
use super::refusal;
use super::server::Server;
use super::session::Session;
use crate::change::key::shown;
use crate::clock::{Clock, Stop, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Accounts;
use crate::source::directory::place::{Found, split};
use crate::source::settings::FtpSettings;

/// So many looks are remembered until their file is opened.
const LOOKED_MAX: usize = 1_024;

/// A folder on a server.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub server: Arc<Server>,
    /// Sessions with it.
    pub pool: Arc<Pool>,
    root: Mutex<Option<Root>>,
    moment: Mutex<(Timestamp, Stop)>,
    looked: Mutex<HashMap<Vec<u8>, Found>>,
}

/// How the server writes paths.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    /// With slashes: the root's whole path, without one at its end.
    Absolute(Vec<u8>),
    /// In a way of its own (z/OS, OpenVMS, IBM i): only single names are ever sent.
    Bare,
}

impl Site {
    /// The folder that `settings` name; nothing is connected yet.
    ///
    /// # Errors
    /// `Config` when the settings can't work.
    pub fn new(settings: &FtpSettings, accounts: Arc<dyn Accounts>) -> Result<Self> {
        let server = Arc::new(Server::new(settings, accounts)?);
        let pool = Pool::new(Arc::clone(&server));
        let moment = Mutex::new((SystemClock::new().now(), Stop::new()));
        Ok(Self { server, pool, root: Mutex::default(), moment, looked: Mutex::default() })
    }

    /// What the time is, and whose requests to stop are noticed, from now on.
    pub fn begin(&self, now: Timestamp, stop: &Stop) {
        *self.moment.lock().expect("no holder of the moment panics") = (now, stop.clone());
        self.looked.lock().expect("no holder of the looks panics").clear();
    }

    /// What the time was when the work began.
    pub fn now(&self) -> Timestamp {
        self.moment.lock().expect("no holder of the moment panics").0
    }

    /// Whose requests to stop are noticed.
    pub fn stop(&self) -> Stop {
        self.moment.lock().expect("no holder of the moment panics").1.clone()
    }

    /// Closes sessions that the work since `began` had no use for.
    pub fn rest(&self, began: Instant) {
        self.pool.trim(began);
    }

    /// A session, to be given back.
    ///
    /// # Errors
    /// None can be had.
    pub fn lease(&self) -> Result<Lease> {
        self.pool.lease(&self.stop())
    }

    /// Does something that can be done twice. When the connection turns out to be lost it is done again on another one.
    ///
    /// # Errors
    /// It failed, or the connection was lost twice.
    pub fn with<T>(&self, work: impl FnMut(&mut Lease) -> Result<T>) -> Result<T> {
        Ok(self.with_leased(work, || true)?.1)
    }

    /// As [`Site::with`], but it is done again only while `may_repeat`, and the session is kept.
    ///
    /// # Errors
    /// As [`Site::with`].
    pub fn with_leased<T>(
        &self,
        mut work: impl FnMut(&mut Lease) -> Result<T>,
        may_repeat: impl Fn() -> bool,
    ) -> Result<(Lease, T)> {
        let mut lease = self.lease()?;
        match work(&mut lease) {
            Err(error) if may_repeat() && is_worth_another(&lease, &error) => {
                drop(lease);
                tracing::debug!(at = %self.server.place(), why = %error, "a connection was lost and is made anew");
                let mut lease = self.lease()?;
                let done = work(&mut lease)?;
                Ok((lease, done))
            }
            done => done.map(|done| (lease, done)),
        }
    }

    /// Goes to the root and remembers where it is. Returns its path on the server, for people.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Denied` when it may not be entered.
    pub fn arrive(&self) -> Result<String> {
        let root = self.with(|session| {
            let known = self.root.lock().expect("no holder of the root panics").clone();
            if let Some(Root::Absolute(path)) = known {
                self.change_folder(session, &path, b"")?;
                return Ok(Root::Absolute(path));
            }
            self.enter_root(session)?;
            let working = session.working_folder()?;
            Ok(match working {
                Some(path) if path.first() == Some(&b'/') => {
                    let length = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
                    Root::Absolute(path[..length].to_vec())
                }
                _ => Root::Bare,
            })
        })?;
        let text = match &root {
            Root::Absolute(path) if path.is_empty() => "/".to_owned(),
            Root::Absolute(path) => shown(path),
            Root::Bare => self.server.settings.path.clone(),
        };
        *self.root.lock().expect("no holder of the root panics") = Some(root);
        Ok(text)
    }

    /// Makes `folder` (below the root) the one that names without a path are looked up in.
    ///
    /// # Errors
    /// `NotFound` or `Denied` when it can't be entered.
    pub fn enter(&self, session: &mut Session, folder: &[u8]) -> Result<()> {
        if session.folder.as_deref() == Some(folder) {
            return Ok(());
        }
        match self.root()? {
            Root::Absolute(root) => {
                let path = self.absolute(&root, folder)?;
                self.change_folder(session, if path.is_empty() { b"/" } else { &path }, folder)
            }
            Root::Bare => self.walk(session, folder),
        }
    }

    /// `path` as it is to be sent; where the server takes single names only, its folder is entered first.
    ///
    /// # Errors
    /// The name can't be written in the server's encoding, or its folder can't be entered.
    pub fn written(&self, session: &mut Session, path: &[u8]) -> Result<Vec<u8>> {
        match self.root()? {
            Root::Absolute(root) => self.absolute(&root, path),
            Root::Bare => {
                let (folder, name) = split(path);
                self.enter(session, folder)?;
                Ok(to_wire(self.server.settings.names, name)?.into_owned())
            }
        }
    }

    /// Whether paths can be sent whole.
    pub fn takes_paths(&self) -> bool {
        matches!(self.root(), Ok(Root::Absolute(_)))
    }

    /// `path` for people.
    pub fn shown(&self, path: &[u8]) -> String {
        let root = &self.server.settings.path;
        match (root.is_empty(), path.is_empty()) {
            (true, true) => format!("the login folder of {}", self.server.place()),
            (false, true) => format!("{root} on {}", self.server.place()),
            (true, false) => format!("{} on {}", shown(path), self.server.place()),
            (false, false) => format!("{}/{} on {}", root.trim_end_matches('/'), shown(path), self.server.place()),
        }
    }

    /// Remembers what a look at a file came to, until it is opened.
    pub fn remember(&self, path: &[u8], found: Found) {
        let mut looked = self.looked.lock().expect("no holder of the looks panics");
        if looked.len() >= LOOKED_MAX {
            looked.clear();
        }
        looked.insert(path.to_vec(), found);
    }

    /// What the last look at a file came to; it is forgotten with this.
    pub fn recall(&self, path: &[u8]) -> Option<Found> {
        self.looked.lock().expect("no holder of the looks panics").remove(path)
    }

    fn root(&self) -> Result<Root> {
        let root = self.root.lock().expect("no holder of the root panics").clone();
        root.ok_or_else(|| Error::internal("a server is used before it was arrived at"))
    }

    fn absolute(&self, root: &[u8], path: &[u8]) -> Result<Vec<u8>> {
        let path = to_wire(self.server.settings.names, path)?;
        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
        Ok([root, slash, path.as_ref()].concat())
    }

    fn enter_root(&self, session: &mut Session) -> Result<()> {
        let path = to_wire(self.server.settings.names, self.server.settings.path.as_bytes())?.into_owned();
        // A relative path leads on from where the session is: only a new session is in the login folder.
        if session.folder.as_deref() == Some(b"") {
            return Ok(());
        }
        if path.is_empty() {
            session.folder = Some(Vec::new());
            return Ok(());
        }
        self.change_folder(session, &path, b"")
    }

    /// From wherever the session is to `folder`, one name at a time.
    fn walk(&self, session: &mut Session, folder: &[u8]) -> Result<()> {
        if let Some(from) = session.folder.take() {
            for _ in from.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
                let reply = session.control.command(b"CDUP")?;
                if !reply.is_done() {
                    session.control.break_off();
                    return Err(refusal::refused(format!("leave {}", self.shown(&from)), &reply));
                }
            }
            session.folder = Some(Vec::new());
        } else {
            self.enter_root(session)?;
        }
        let mut at = Vec::new();
        for name in folder.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = crate::source::directory::place::join(&at, name);
            let name = to_wire(self.server.settings.names, name)?.into_owned();
            self.change_folder(session, &name, &at)?;
        }
        Ok(())
    }

    fn change_folder(&self, session: &mut Session, written: &[u8], folder: &[u8]) -> Result<()> {
        let written = if written.is_empty() { b"/" } else { written };
        let reply = session.ask("CWD", written)?;
        if reply.is_done() {
            session.folder = Some(folder.to_vec());
            return Ok(());
        }
        let place = self.shown(folder);
        Err(if folder.is_empty() && matches!(reply.code, 550 | 553) {
            let fact = format!(
                "folder {place} can't be entered; make it, give user {} the right to it or correct path",
                self.server.settings.server.user
            );
            let kind = if reply.says(&["denied", "permission"]) { ErrorKind::Denied } else { ErrorKind::NotFound };
            Error::new(kind, fact).because(reply.quoted())
        } else {
            refusal::refused(format!("enter folder {place}"), &reply)
        })
    }
}

/// Whether something that failed may succeed on another connection: this one is lost, and either it was an old one that
/// may have been lost long ago, or it was lost at once and not by waiting in vain.
fn is_worth_another(lease: &Lease, error: &Error) -> bool {
    !lease.is_usable()
        && match error.kind() {
            ErrorKind::Unavailable => true,
            ErrorKind::TimedOut => !lease.is_new(),
            _ => false,
        }
}
