//! How many connections a host gets from this process, over all sources, and those that nobody uses right now.
//! They wait a minute for the next poll; a source that finds no slot takes the slot of one that waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use super::server::SftpServer;
use super::session::Session;
use crate::clock::Stop;
use crate::error::Result;

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
    /// Sources that wait for a connection, by number, in the order in which they came.
    queue: VecDeque<u64>,
    parked: Vec<Parked>,
    /// Accounts that were refused a further login beside one that they have.
    barred: HashSet<String>,
    /// The last number that was given.
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

/// A place in the queue for connections to a host; given up when it is dropped.
struct Queued {
    host: (String, u16),
    number: u64,
}

impl Queued {
    fn behind_all(host: (String, u16)) -> Self {
        let mut all = hosts();
        let entry = all.entry(host.clone()).or_default();
        entry.last += 1;
        let number = entry.last;
        entry.queue.push_back(number);
        Self { host, number }
    }

    fn is_first(&self) -> bool {
        hosts().get(&self.host).is_some_and(|host| host.queue.front() == Some(&self.number))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(host) = hosts().get_mut(&self.host) {
            host.queue.retain(|number| *number != self.number);
        }
        HOSTS.freed.notify_all();
    }
}

/// A connection of this account that waits, or a slot for a new one. Who comes first is served first, however long that
/// takes: those who have the connections have deadlines of their own, and leave them to others at the end of their polls.
///
/// # Errors
/// `Stopped`, or `TimedOut` when the poll's own time is over.
pub fn take(server: &SftpServer, stop: &Stop) -> Result<Taken> {
    let place = Queued::behind_all(key(server));
    loop {
        if place.is_first()
            && let Some(taken) = take_now(server)
        {
            return Ok(taken);
        }
        stop.check().map_err(|error| {
            let (name, most) = (server.name(), server.connections());
            error.while_doing(format!("wait at {name} for one of its connections, of which there may be {most}"))
        })?;
        drop(HOSTS.freed.wait_timeout(hosts(), LOOK).expect("nobody panics while counting connections"));
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
    !hosts().entry(key(server)).or_default().queue.is_empty()
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
    if host.used >= server.connections() || !host.queue.is_empty() || host.barred.contains(server.identity()) {
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
