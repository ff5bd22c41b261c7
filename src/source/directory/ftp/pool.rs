//! Sessions that are kept and reused, and how many there may be: over all sources of this process, one host is never
//! given more connections than it allows. What is done with a session belongs to whoever leases it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use super::server::Server;
use super::session::Session;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};

/// While no session is free, requests to stop are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A session that was idle for longer is asked whether it still lives.
const ASK_AFTER: Duration = Duration::from_secs(15);

/// A session that was idle for less is not even looked at.
const TRUST_FOR: Duration = Duration::from_millis(500);

/// How long a server that had no room for one more session is not asked for one.
const CROWDED_FOR: Duration = Duration::from_secs(300);

/// The hosts that somebody has sessions with.
static HOSTS: Mutex<BTreeMap<(String, u16), Weak<Host>>> = Mutex::new(BTreeMap::new());

/// Makes owners differ.
static OWNERS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Default)]
struct Host {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that exist or are being opened.
    open: usize,
    /// Those that nobody uses, the one used last at the end, with the pool they belong to.
    idle: Vec<(u64, Session)>,
    /// How many sessions each pool uses right now.
    leased: BTreeMap<u64, usize>,
    /// The most sessions each pool wants.
    wanted: BTreeMap<u64, usize>,
    /// How many the server allowed when it refused one more, and until when that is believed.
    crowded: Option<(usize, Instant)>,
}

impl State {
    fn limit(&mut self) -> usize {
        self.crowded = self.crowded.filter(|(_, until)| Instant::now() < *until);
        let wanted = self.wanted.values().min().copied().unwrap_or(1);
        self.crowded.map_or(wanted, |(allowed, _)| allowed.min(wanted)).max(1)
    }

    fn is_used_by_others(&self, owner: u64) -> bool {
        self.leased.iter().any(|(other, count)| *other != owner && *count > 0)
    }

    fn returned(&mut self, owner: u64) {
        if let Some(count) = self.leased.get_mut(&owner) {
            *count = count.saturating_sub(1);
        }
    }
}

/// The sessions of one source.
#[derive(Debug)]
pub struct Pool {
    server: Arc<Server>,
    host: Arc<Host>,
    owner: u64,
}

impl Pool {
    /// A pool without sessions. The least `connections` of all sources of a host is the most it gets.
    pub fn new(server: Arc<Server>) -> Arc<Self> {
        let (name, port) = (server.settings.server.host.to_ascii_lowercase(), server.settings.server.port);
        let mut hosts = HOSTS.lock().expect("no holder of the hosts panics");
        hosts.retain(|_, host| host.strong_count() > 0);
        let entry = hosts.entry((name, port)).or_default();
        let host = entry.upgrade().unwrap_or_default();
        *entry = Arc::downgrade(&host);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        let wanted = server.settings.server.connections.max(1);
        host.state.lock().expect("no holder of a host panics").wanted.insert(owner, wanted);
        Arc::new(Self { server, host, owner })
    }

    /// A session of ours, or a new one. While other sources use them all this waits, however long that takes: their
    /// transfers have deadlines of their own.
    ///
    /// # Errors
    /// None could be opened, the stop was raised, or we use them all ourselves for longer than the server may be silent.
    pub fn lease(self: &Arc<Self>, stop: &Stop) -> Result<Lease> {
        let timeout = &self.server.settings.server.timeout;
        let patience = timeout.idle.duration() + timeout.reply.duration();
        let mut until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            if let Some(at) = state.idle.iter().rposition(|(owner, _)| *owner == self.owner) {
                let (_, mut session) = state.idle.remove(at);
                drop(state);
                session.control.set_stop(stop);
                if lives(&mut session) {
                    return Ok(self.leased(session, false));
                }
                state = self.closed();
                continue;
            }
            let limit = state.limit();
            if state.open < limit {
                state.open += 1;
                drop(state);
                match self.server.open(stop) {
                    Ok(session) => return Ok(self.leased(session, true)),
                    Err(error) => {
                        state = self.closed();
                        if error.kind() != ErrorKind::Unavailable || state.open == 0 {
                            return Err(error);
                        }
                        // Some are open, so the server is there: it allows no more than these.
                        let allowed = state.open;
                        state.crowded = Some((allowed, Instant::now() + CROWDED_FOR));
                        tracing::debug!(at = %self.server.place(), allowed, "the server takes no more sessions");
                    }
                }
                continue;
            }
            if let Some(at) = state.idle.iter().position(|(owner, _)| *owner != self.owner) {
                let (_, mut session) = state.idle.remove(at);
                drop(state);
                session.quit();
                state = self.closed();
                continue;
            }
            stop.check().map_err(|error| error.while_doing("wait for a free connection"))?;
            if state.is_used_by_others(self.owner) {
                until = Instant::now() + patience;
            }
            if Instant::now() >= until {
                let fact = format!("all connections to {} are in use (connections = {limit})", self.server.place());
                return Err(Error::new(ErrorKind::Unavailable, fact));
            }
            state = self.host.freed.wait_timeout(state, LOOK_EVERY).expect("no holder of a host panics").0;
        }
    }

    fn leased(self: &Arc<Self>, session: Session, is_new: bool) -> Lease {
        *self.state().leased.entry(self.owner).or_default() += 1;
        Lease { session: Some(session), pool: Arc::clone(self), is_new }
    }

    /// Closes sessions that were not used since `moment`: servers count idle ones too.
    pub fn trim(&self, moment: Instant) {
        let mut old = Vec::new();
        let mut state = self.state();
        let mut at = 0;
        while at < state.idle.len() {
            if state.idle[at].0 == self.owner && state.idle[at].1.idle_since < moment {
                old.push(state.idle.remove(at).1);
            } else {
                at += 1;
            }
        }
        drop(state);
        for mut session in old {
            session.quit();
            drop(self.closed());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.host.state.lock().expect("no holder of a host panics")
    }

    /// Notes that one session is gone.
    fn closed(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        self.host.freed.notify_one();
        state
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.trim(Instant::now() + LOOK_EVERY);
        let mut state = self.state();
        state.wanted.remove(&self.owner);
        state.leased.remove(&self.owner);
        self.host.freed.notify_all();
    }
}

/// Whether a session that was idle can be used.
fn lives(session: &mut Session) -> bool {
    let idle = session.idle_since.elapsed();
    if idle < TRUST_FOR {
        return true;
    }
    if session.control.is_stale() {
        return false;
    }
    idle < ASK_AFTER || session.control.command(b"NOOP").is_ok_and(|reply| reply.is_done())
}

/// A session in use. It goes back when it is dropped, unless it is broken or a transfer was left unfinished.
#[derive(Debug)]
pub struct Lease {
    session: Option<Session>,
    pool: Arc<Pool>,
    is_new: bool,
}

impl Lease {
    /// Whether it was opened just now: what fails on it is no leftover of an earlier connection.
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease has its session until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lease has its session until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        self.pool.state().returned(self.pool.owner);
        if session.is_usable() {
            session.idle_since = Instant::now();
            self.pool.state().idle.push((self.pool.owner, session));
            self.pool.host.freed.notify_one();
        } else {
            drop(session);
            drop(self.pool.closed());
        }
    }
}
