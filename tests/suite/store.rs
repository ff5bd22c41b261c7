//! The conformance suite of stores: every implementation passes all of it. A new one adds a line to [`each_store`].

mod actions;
mod logins;
mod operating;
mod pages;
mod queue;
mod upkeep;

use std::time::Duration;

use highwater::change::{Content, Fingerprint, Key, Kind, Known, Nature, Presence, Tuple};
use highwater::clock::Timestamp;
use highwater::event::{Event, Identity};
use highwater::setting::{SinkName, SourceName};
use highwater::source::Binding;
use highwater::store::sqlite::SqliteStore;
use highwater::store::{
    Claim, Claiming, CommitPage, Lease, NewDelivery, NewEvent, PollEnded, Settled, SourceRegistration, State, Store,
};

/// A fresh store with sources `orders` and `stock` and sinks `erp` and `load`, and where it lives.
pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub store: Box<dyn Store>,
}

/// Runs a test against every implementation.
pub fn each_store(test: impl Fn(&Fixture)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Box::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
    let fixture = Fixture { folder, store };
    register(&*fixture.store, &["orders", "stock"], &["erp", "load"]);
    test(&fixture);
}

/// Opens the SQLite store of a fixture's folder again, as the next process would.
pub fn reopen(fixture: Fixture) -> Fixture {
    let Fixture { folder, store } = fixture;
    drop(store);
    let store = Box::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
    Fixture { folder, store }
}

pub fn register(store: &dyn Store, sources: &[&str], sinks: &[&str]) {
    let sources: Vec<SourceRegistration> = sources
        .iter()
        .map(|name| SourceRegistration { name: SourceName::new(*name), was: None, kind: "folder" })
        .collect();
    let sinks: Vec<SinkName> = sinks.iter().map(|name| SinkName::new(*name)).collect();
    store.register(&sources, &sinks, at(0)).expect("register");
}

/// A moment, in seconds behind an arbitrary start.
pub fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(second))
}

pub fn orders() -> SourceName {
    SourceName::new("orders")
}

pub fn sink(name: &str) -> SinkName {
    SinkName::new(name)
}

pub fn begin(store: &dyn Store) -> Lease {
    store.begin_poll(&orders(), at(0)).expect("begin")
}

/// An event of `orders` for `key`, with the next sequence of `lease`.
pub fn event(lease: &mut Lease, key: &str) -> Event {
    lease.sequence += 1;
    let (source, key) = (orders(), Key::from(key));
    let fingerprint = Some(Fingerprint::of(&lease.sequence.to_le_bytes()));
    let identity = Identity {
        instance: "main",
        generation: 0,
        source: &source,
        kind: Kind::Created,
        key: &key,
        revision: lease.sequence,
        fingerprint,
    };
    Event {
        id: identity.id(),
        kind: Kind::Created,
        nature: Nature::File,
        revision: lease.sequence,
        fingerprint,
        sequence: lease.sequence,
        time: at(0),
        body: format!("{{\"n\":{}}}", lease.sequence).into_bytes(),
        content: None,
        source: source.clone(),
        key: key.clone(),
    }
}

/// The order number that stands for a key in these tests.
pub fn order(key: &str) -> u64 {
    key.bytes().fold(17, |sum, byte| sum * 31 + u64::from(byte))
}

pub fn to(sinks: &[&str], key: &str) -> Vec<NewDelivery> {
    sinks.iter().map(|name| NewDelivery { sink: sink(name), order: Some(order(key)), order_also: None }).collect()
}

pub fn new_event(lease: &mut Lease, key: &str, sinks: &[&str]) -> NewEvent {
    NewEvent { event: event(lease, key), deliveries: to(sinks, key), action_tuple: None, supersedes: false }
}

pub fn known(revision: u64) -> Known {
    Known {
        fingerprint: Some(Fingerprint::of(b"x")),
        revision,
        presence: Presence::Present,
        tuple: Some(Tuple { size: 1, mtime_ns: 2, ctime_ns: 3, inode: 4 }),
        note: Box::from(&b"note"[..]),
        size: 1,
    }
}

/// Commits one event per key to `sinks`, in one page; returns the page's events.
pub fn commit(store: &dyn Store, lease: &mut Lease, keys: &[&str], sinks: &[&str]) -> Vec<Event> {
    let events: Vec<NewEvent> = keys.iter().map(|key| new_event(lease, key, sinks)).collect();
    let told = events.iter().map(|new| new.event.clone()).collect();
    let known = events.iter().map(|new| (new.event.key.clone(), known(new.event.revision))).collect();
    store.commit_page(lease, CommitPage { events, known, now: at(0), ..CommitPage::default() }).expect("commit");
    told
}

pub fn claiming(limit: usize, now: Timestamp) -> Claiming {
    Claiming { limit, now, hold_after_dead: false, wait_max: Duration::from_secs(3_600) }
}

pub fn claim(store: &dyn Store, name: &str, limit: usize, now: Timestamp) -> Vec<Claim> {
    store.turn(&sink(name), Vec::new(), &claiming(limit, now)).expect("claim")
}

pub fn keys(claims: &[Claim]) -> Vec<String> {
    claims.iter().map(|claim| claim.event.key.shown()).collect()
}

pub fn settled(claim: &Claim, state: State) -> Settled {
    Settled {
        seq: claim.seq,
        attempt: claim.attempt,
        state,
        next_at: (state == State::Retrying).then(|| at(60)),
        charged: state != State::Pending,
        dead_reason: (state == State::Dead).then_some("rejected"),
        began: at(1),
        took: Duration::from_millis(7),
        outcome: if state == State::Delivered { "delivered" } else { "transient" },
        code: Some(200),
        summary: "said so".into(),
        output: Vec::new(),
    }
}

pub fn settle(store: &dyn Store, name: &str, claims: &[Claim], state: State) {
    let settled = claims.iter().map(|claim| settled(claim, state)).collect();
    store.turn(&sink(name), settled, &claiming(0, at(1))).expect("settle");
}

pub fn ended() -> PollEnded {
    PollEnded {
        began: at(0),
        ended: at(1),
        completed: true,
        cut_short: false,
        binding: Some(Binding { location: "/srv/drop".into(), filters: "*".into() }),
        error: None,
        degraded: None,
        settled: None,
        hold: None,
        waiting: 0,
        waiting_shown: None,
        accepted_used: false,
        unrouted: 0,
    }
}

pub fn inline(bytes: &[u8]) -> Option<Content> {
    Some(Content::Inline(bytes.to_vec()))
}
