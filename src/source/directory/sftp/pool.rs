//! The connections of one source: opened when they are needed, shared by its threads, opened again when one was lost.
//! How many the host allows, and where they wait between polls, belongs to `slots`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::server::{Beside, SftpServer};
use super::session::Session;
use super::slots::{self, Taken};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};

/// The connections of one source.
pub struct Pool {
    server: SftpServer,
    open: Mutex<Vec<Arc<Open>>>,
    /// Why connecting failed in this poll: it is not tried again for each of thousands of files.
    trouble: Mutex<Option<(ErrorKind, String)>>,
    /// Whether the server refused a further connection in this poll.
    full: AtomicBool,
}

struct Open {
    session: Arc<Session>,
    since: Instant,
    /// Files being read over it.
    busy: AtomicUsize,
}

/// A connection in use.
pub struct Lease(Arc<Open>);

impl Lease {
    fn of(open: &Arc<Open>) -> Self {
        open.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }

    /// The connection.
    pub fn session(&self) -> &Session {
        &self.0.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Open {
    fn new(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session, since: Instant::now(), busy: AtomicUsize::new(0) })
    }
}

impl Pool {
    /// No connection yet.
    pub fn new(server: SftpServer) -> Self {
        Self { server, open: Mutex::default(), trouble: Mutex::default(), full: AtomicBool::new(false) }
    }

    /// The server.
    pub fn server(&self) -> &SftpServer {
        &self.server
    }

    /// A new poll begins: what failed in the last one is tried again.
    pub fn begin(&self) {
        *self.trouble.lock().expect("nobody panics while noting trouble") = None;
        self.full.store(false, Ordering::Relaxed);
    }

    /// The poll is over: the connections wait for the next one, or for another source.
    pub fn end(&self) {
        let open = std::mem::take(&mut *self.open());
        for open in open {
            slots::park(&self.server, Arc::clone(&open.session));
        }
    }

    /// Does something that may be done twice: when the connection turns out to be lost, on a new one.
    ///
    /// # Errors
    /// Those of `work`, and of connecting.
    pub fn twice<T>(&self, stop: &Stop, work: impl Fn(&Session) -> Result<T>) -> Result<T> {
        let lease = self.lease(stop)?;
        let done = work(lease.session());
        match &done {
            Err(error) if error.kind() == ErrorKind::Unavailable && lease.session().is_ended() => {
                stop.check()?;
                tracing::debug!(%error, "an SFTP connection was lost; one more is opened");
                drop(lease);
                work(self.lease(stop)?.session())
            }
            _ => done,
        }
    }

    /// The connection with the least to do.
    pub fn lease(&self, stop: &Stop) -> Result<Lease> {
        // Others that need a connection wait here for the first one.
        let mut open = self.open();
        open.retain(|one| !one.session.is_ended());
        self.hand_over(&mut open);
        if let Some(one) = open.iter().min_by_key(|one| one.busy.load(Ordering::Relaxed)) {
            return Ok(Lease::of(one));
        }
        if let Some((kind, text)) = &*self.trouble.lock().expect("nobody panics while noting trouble") {
            return Err(Error::new(*kind, text.clone()));
        }
        let connected = match slots::take(&self.server, stop) {
            Ok(Taken::Session(session)) => Ok(session),
            Ok(Taken::Slot(slot)) => self.server.connect(slot, Beside::Nothing, stop).map(Arc::new),
            Err(error) => Err(error),
        };
        let session = connected.inspect_err(|error| {
            let told = (error.kind(), error.to_string());
            *self.trouble.lock().expect("nobody panics while noting trouble") = Some(told);
        })?;
        let one = Open::new(session);
        open.push(Arc::clone(&one));
        Ok(Lease::of(&one))
    }

    /// A connection for reading a file: one that has nothing to do, a further one where the settings allow it, else the one
    /// with the least to do.
    pub fn lease_for_file(&self, stop: &Stop) -> Result<Lease> {
        let lease = self.leave_one(self.lease(stop)?);
        if lease.0.busy.load(Ordering::Relaxed) == 1 || self.full.load(Ordering::Relaxed) {
            return Ok(lease);
        }
        let Some(slot) = slots::one_more(&self.server) else { return Ok(lease) };
        match self.server.connect(slot, Beside::Another, stop) {
            Ok(session) => {
                let one = Open::new(Arc::new(session));
                self.open().push(Arc::clone(&one));
                Ok(Lease::of(&one))
            }
            Err(error) if error.kind() == ErrorKind::Stopped => Err(error),
            Err(error) => {
                self.full.store(true, Ordering::Relaxed);
                tracing::debug!(%error, "the server takes no further SFTP connection; those there are do");
                Ok(lease)
            }
        }
    }

    /// Leaves the only connection to another source that waits for it, after having had it for as long as connecting may
    /// take: so a long poll keeps no other one waiting to its end, and most of the time is not spent on connecting.
    fn hand_over(&self, open: &mut Vec<Arc<Open>>) {
        let [one] = open.as_slice() else { return };
        let span = self.server.timeouts().connect.duration();
        if one.busy.load(Ordering::Relaxed) == 0 && one.since.elapsed() >= span && slots::is_wanted(&self.server) {
            slots::park(&self.server, Arc::clone(&one.session));
            open.clear();
        }
    }

    /// Leaves a connection to another source that waits for one, where there is one more than is needed to go on.
    fn leave_one(&self, lease: Lease) -> Lease {
        let mut open = self.open();
        let is_ours_alone = lease.0.busy.load(Ordering::Relaxed) == 1;
        let others = open.iter().filter(|one| !Arc::ptr_eq(one, &lease.0));
        let other = others.min_by_key(|one| one.busy.load(Ordering::Relaxed)).map(Lease::of);
        match other {
            Some(other) if is_ours_alone && slots::is_wanted(&self.server) => {
                open.retain(|one| !Arc::ptr_eq(one, &lease.0));
                slots::park(&self.server, Arc::clone(&lease.0.session));
                other
            }
            _ => lease,
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Open>>> {
        self.open.lock().expect("nobody panics while choosing a connection")
    }
}
