//! How many connections a host gets from this process, over all sources, and those that nobody uses right now.
//! They wait a minute for the next poll; a source that finds no slot takes the slot of one that waits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::server::SftpServer;
use super::session::Session;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};

/// A connection that nobody uses is closed after this long.
const PARKED_FOR: Duration = Duration::from_secs(60);

/// How often a source that waits for a slot looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

static HOSTS: LazyLock<Hosts> = LazyLock::new(Hosts::default);

#[derive(Default)]
struct Hosts {
    all: Mutex<HashMap<(String, u16), Host>>,
    freed: Condvar,
}

#[derive(Default)]
struct Host {
    used: usize,
    /// Sources that wait for a connection.
    waiting: usize,
    parked: Vec<Parked>,
    /// Accounts that were refused a further login beside one that they have.
    barred: HashSet<String>,
    last: u64,
}

struct Parked {
    number: u64,
    identity: String,
    session: Arc<Session>,
}

/// Stands for one connection to a host; the next one may be opened when it is dropped.
pub struct Slot {
    host: (String, u16),
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(host) = hosts().get_mut(&self.host) {
            host.used = host.used.saturating_sub(1);
        }
        HOSTS.freed.notify_all();
    }
}

/// A connection, or leave to open one.
pub enum Taken {
    /// One that waited for its next use.
    Session(Arc<Session>),
    /// A new one may be opened.
    Slot(Slot),
}

fn hosts() -> MutexGuard<'static, HashMap<(String, u16), Host>> {
    HOSTS.all.lock().expect("nobody panics while counting connections")
}

fn key(server: &SftpServer) -> (String, u16) {
    let (host, port) = server.place();
    (host.to_ascii_lowercase(), port)
}

/// A connection of this account that waits, or a slot for a new one; waits for it.
///
/// # Errors
/// `Unavailable` when all connections stay in use for longer than the server may be silent; `Stopped`.
pub fn take(server: &SftpServer, stop: &Stop) -> Result<Taken> {
    let timeouts = server.timeouts();
    let end = Instant::now() + timeouts.idle.duration() + timeouts.reply.duration();
    if let Some(taken) = take_now(server) {
        return Ok(taken);
    }
    let key = key(server);
    hosts().entry(key.clone()).or_default().waiting += 1;
    let taken = wait_for_one(server, stop, end);
    hosts().entry(key).or_default().waiting -= 1;
    taken
}

fn wait_for_one(server: &SftpServer, stop: &Stop, end: Instant) -> Result<Taken> {
    loop {
        if let Some(taken) = take_now(server) {
            return Ok(taken);
        }
        if Instant::now() >= end {
            let fact = format!(
                "{}: all {} connections to this host are in use by other sources; raise connections if the server allows more",
                server.name(),
                server.connections()
            );
            return Err(Error::new(ErrorKind::Unavailable, fact));
        }
        drop(HOSTS.freed.wait_timeout(hosts(), LOOK).expect("nobody panics while counting connections"));
        stop.check()?;
    }
}

/// What can be had without waiting.
fn take_now(server: &SftpServer) -> Option<Taken> {
    let key = key(server);
    loop {
        let mut all = hosts();
        let host = all.entry(key.clone()).or_default();
        if let Some(at) = host.parked.iter().rposition(|parked| parked.identity == server.identity()) {
            let Parked { session, .. } = host.parked.remove(at);
            if !session.is_ended() {
                return Some(Taken::Session(session));
            }
            // Its slot is given back under the same lock.
            drop(all);
            drop(session);
            continue;
        }
        if host.used < server.connections() {
            host.used += 1;
            host.barred.remove(server.identity());
            return Some(Taken::Slot(Slot { host: key }));
        }
        if host.parked.is_empty() {
            return None;
        }
        let evicted = host.parked.remove(0);
        drop(all);
        drop(evicted);
    }
}

/// Whether another source waits for a connection to this host.
pub fn is_wanted(server: &SftpServer) -> bool {
    hosts().entry(key(server)).or_default().waiting > 0
}

/// The server refused a further login with a password it takes: that is not tried again before the next first login, or
/// those refusals would be held against a good password.
pub fn bar(server: &SftpServer) {
    hosts().entry(key(server)).or_default().barred.insert(server.identity().to_owned());
}

/// Whether a further login was refused since the last first one.
pub fn is_barred(server: &SftpServer) -> bool {
    hosts().entry(key(server)).or_default().barred.contains(server.identity())
}

/// A slot for one more connection, if there is one right now that nobody waits for.
pub fn one_more(server: &SftpServer) -> Option<Slot> {
    let key = key(server);
    let mut all = hosts();
    let host = all.entry(key.clone()).or_default();
    if host.used >= server.connections() || host.waiting > 0 || host.barred.contains(server.identity()) {
        return None;
    }
    host.used += 1;
    Some(Slot { host: key })
}

/// Lets a connection wait for its next use, or closes it after a minute.
pub fn park(server: &SftpServer, session: Arc<Session>) {
    if session.is_ended() {
        return;
    }
    let key = key(server);
    let number = {
        let mut all = hosts();
        let host = all.entry(key.clone()).or_default();
        host.last += 1;
        host.parked.push(Parked { number: host.last, identity: server.identity().to_owned(), session });
        host.last
    };
    HOSTS.freed.notify_all();
    server.runtime().spawn(async move {
        tokio::time::sleep(PARKED_FOR).await;
        let left = {
            let mut all = hosts();
            let host = all.entry(key).or_default();
            let at = host.parked.iter().position(|parked| parked.number == number);
            at.map(|at| host.parked.remove(at))
        };
        drop(left);
    });
}
