//! The bridge between a source's look and the store: entries become changes, changes events, and a page one transaction.

use std::collections::HashMap;
use std::fs::File;

use super::plan::SourcePlan;
use super::route::{Destination, Routed};
use crate::change::{Content, Decision, Entry, Key, Kind, Known, Nature, Policy, Sight, Version, decide};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::event::body::Statement;
use crate::event::{Captures, Event, Identity, SpoolWriter};
use crate::setting::SourceName;
use crate::source::{Block, Ledger, Page};
use crate::store::{CommitPage, Lease, Memory, NewEvent, NewRefused, Store};

/// What a ledger does with a page that is ready.
pub trait Outlet {
    /// Makes it durable, or shows it.
    fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<()>;
}

/// The store itself.
pub struct Storing<'a>(pub &'a dyn Store);

impl Outlet for Storing<'_> {
    fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<()> {
        self.0.commit_page(lease, page)
    }
}

/// A ledger for one poll.
pub struct PollLedger<'a> {
    /// What the source's name, ids and routes are.
    pub plan: &'a SourcePlan,
    /// Where known state is read.
    pub store: &'a dyn Memory,
    /// Where pages go.
    pub outlet: &'a mut dyn Outlet,
    /// The contents captured so far that no commit has named.
    pub captured: Captures,
    /// Whether contents are captured when a sink takes them: not when nothing will be stored.
    pub captures: bool,
    /// Time.
    pub clock: &'a dyn Clock,
    /// What its entries are.
    pub nature: Nature,
    /// What the diff may say.
    pub policy: Policy,
    /// The right to commit; its sequence moves along.
    pub lease: Lease,
    /// The refused entries written last, so that an unchanged one is not written again.
    pub refused_before: &'a mut HashMap<Key, String>,
    /// What came of it so far.
    pub tally: Tally,
}

/// What a poll has come to so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Events told.
    pub told: u64,
    /// Of them, those that no route took although one should.
    pub unrouted: u64,
    /// Entries refused.
    pub refused: u64,
    /// Pages committed.
    pub pages: u64,
}

/// At most this many refused entries are remembered to be compared.
const REFUSED_COMPARED_MAX: usize = 10_000;

/// What one page turns into, and what it leaves behind in the spool.
#[derive(Default)]
struct Turned {
    page: CommitPage,
    /// What is known after the entries before, for keys that occur twice in one page.
    overlay: HashMap<Key, Known>,
    unused: Vec<String>,
}

impl PollLedger<'_> {
    fn turn(&mut self, entries: Vec<Entry>, turned: &mut Turned) -> Result<()> {
        let keys: Vec<Key> = entries.iter().map(|entry| entry.key.clone()).collect();
        let known = if self.lease.knows_nothing { Vec::new() } else { self.store.known(&self.lease.source, &keys)? };
        let mut known = known.into_iter();
        // Bodies say when it was noticed; nobody reads more than milliseconds.
        let now = self.clock.now().whole_millis();
        for entry in entries {
            let stored = known.next().flatten();
            let before = turned.overlay.get(&entry.key).cloned().or(stored);
            self.turn_one(entry, before, now, turned)?;
        }
        Ok(())
    }

    fn turn_one(&mut self, entry: Entry, before: Option<Known>, now: Timestamp, turned: &mut Turned) -> Result<()> {
        let Entry { key, sight } = entry;
        if let Sight::Refused { reason, tuple } = sight {
            return self.refuse(NewRefused { key, reason, tuple }, turned);
        }
        if self.lease.refused > 0 || self.refused_before.contains_key(&key) {
            self.refused_before.remove(&key);
            turned.page.unrefused.push(key.clone());
        }
        let decision = decide(before.as_ref(), &sight, &self.policy);
        let mut version = match sight {
            Sight::Version(version) => Some(version),
            _ => None,
        };
        match decision {
            Decision::Tell { kind, revision, known, .. } if self.tells(kind) => {
                self.tell(&key, kind, revision, &known, version.as_deref_mut(), now, turned)?;
                remember(key, known, version.as_deref(), turned);
            }
            // Not told, so it is no event of this key: the revision stays.
            Decision::Tell { mut known, .. } => {
                known.revision = before.as_ref().map_or(self.policy.pruned_revision, |b| b.revision);
                remember(key, known, version.as_deref(), turned);
            }
            Decision::Remember(known) => remember(key, known, version.as_deref(), turned),
            Decision::Nothing => {}
        }
        if let Some(Content::Spooled { name, .. }) = version.and_then(|v| v.content) {
            turned.unused.push(name);
        }
        Ok(())
    }

    /// Whether this kind is told, and an operator did not ask to skip it this once.
    fn tells(&self, kind: Kind) -> bool {
        let accepted = self.lease.accepted;
        let skipped = match kind {
            Kind::Created => accepted.silent_new,
            Kind::Removed | Kind::Renamed => accepted.silent_removals,
            _ => false,
        };
        !skipped && self.plan.tells.contains(&kind)
    }

    fn refuse(&mut self, refused: NewRefused, turned: &mut Turned) -> Result<()> {
        self.tally.refused += 1;
        if self.refused_before.get(&refused.key) == Some(&refused.reason) {
            return Ok(());
        }
        tracing::warn!(source = %self.plan.name, key = %refused.key, reason = %refused.reason, "entry refused");
        if self.refused_before.len() < REFUSED_COMPARED_MAX {
            self.refused_before.insert(refused.key.clone(), refused.reason.clone());
        }
        turned.page.refused.push(refused);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn tell(
        &mut self,
        key: &Key,
        kind: Kind,
        revision: u64,
        known: &Known,
        version: Option<&mut Version>,
        now: Timestamp,
        turned: &mut Turned,
    ) -> Result<()> {
        let fingerprint = if self.policy.received { None } else { known.fingerprint };
        let instance = self.plan.instance.as_str();
        let identity = Identity {
            instance,
            generation: self.lease.generation,
            source: &self.lease.identity,
            kind,
            key,
            revision,
            fingerprint,
        };
        let id = identity.id();
        let sequence = self.lease.sequence + 1;
        let statement = Statement {
            identity: Identity { source: &self.plan.name, ..identity },
            id,
            nature: self.nature,
            sequence,
            time: now,
            facts: version.as_ref().map(|v| &v.facts),
            size: known.size,
            from: version.as_ref().and_then(|v| v.from.as_ref()),
            table: self.plan.table.as_deref(),
        };
        let body = statement.render();
        let from = version.as_ref().and_then(|v| v.from.clone());
        let routed = Routed { key, from: from.as_ref(), kind, body: &body };
        let deliveries = match self.plan.routes.destination(routed) {
            Destination::Sinks(deliveries) => deliveries,
            Destination::Ignored => Vec::new(),
            Destination::Nowhere => {
                self.tally.unrouted += 1;
                Vec::new()
            }
        };
        let content = version.and_then(|v| v.content.take());
        let source: SourceName = self.plan.name.clone();
        let event = Event {
            id,
            source,
            kind,
            nature: self.nature,
            key: key.clone(),
            revision,
            fingerprint,
            sequence,
            time: now,
            body,
            content,
        };
        let acts = self.plan.has_actions() && kind != Kind::Removed;
        let action_tuple = if acts { known.tuple } else { None };
        turned.page.events.push(NewEvent { event, deliveries, action_tuple, supersedes: self.plan.latest_only });
        self.lease.sequence = sequence;
        self.tally.told += 1;
        Ok(())
    }
}

/// A settled version needs no memory: it is behind SAFE and never read again.
fn remember(key: Key, known: Known, version: Option<&Version>, turned: &mut Turned) {
    turned.overlay.insert(key.clone(), known.clone());
    if !version.is_some_and(|v| v.settled) {
        turned.page.known.push((key, known));
    }
}

impl Ledger for PollLedger<'_> {
    fn cursor(&self) -> Option<&str> {
        self.lease.cursor.as_deref()
    }

    fn known(&mut self, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        if self.lease.knows_nothing {
            return Ok(vec![None; keys.len()]);
        }
        self.store.known(&self.lease.source, keys)
    }

    fn known_below(&mut self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Known)>> {
        self.store.known_below(&self.lease.source, prefix, after, limit)
    }

    fn knows_nothing(&self) -> bool {
        self.lease.knows_nothing
    }

    fn segment(&mut self, folder: &[u8]) -> Result<Vec<Block>> {
        self.store.segment(&self.lease.source, folder)
    }

    fn folders_below(&mut self, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.store.folders_below(&self.lease.source, folder)
    }

    fn content_writer(&mut self) -> Result<Option<SpoolWriter>> {
        Ok((self.captures && self.plan.routes.takes_content()).then(|| self.captured.writer()))
    }

    fn scratch(&mut self) -> Result<File> {
        self.captured.spool().scratch()
    }

    fn commit(&mut self, page: Page) -> Result<()> {
        let (sequence, tally) = (self.lease.sequence, self.tally);
        let mut turned = Turned::default();
        let Page { entries, segments, forget, cursor } = page;
        if let Err(error) = self.turn(entries, &mut turned) {
            (self.lease.sequence, self.tally) = (sequence, tally);
            turned.page.refused.iter().for_each(|refused| drop(self.refused_before.remove(&refused.key)));
            return Err(error);
        }
        let unused = std::mem::take(&mut turned.unused);
        let mut commit = turned.page;
        commit.segments = segments;
        commit.forget = forget;
        commit.cursor.clone_from(&cursor);
        commit.now = self.clock.now();
        let remembers = !commit.known.is_empty();
        let spooled = spooled_names(&commit);
        let refused: Vec<Key> = commit.refused.iter().map(|refused| refused.key.clone()).collect();
        if let Err(error) = self.outlet.put(&self.lease, commit) {
            self.lease.sequence = sequence;
            self.tally = tally;
            // Not stored, so the next look has to write it.
            refused.iter().for_each(|key| drop(self.refused_before.remove(key)));
            return Err(error);
        }
        spooled.iter().for_each(|name| self.captured.named(name));
        unused.iter().for_each(|name| self.captured.discard(name));
        self.tally.pages += 1;
        self.lease.knows_nothing &= !remembers;
        if cursor.is_some() {
            self.lease.cursor = cursor;
        }
        Ok(())
    }
}

fn spooled_names(page: &CommitPage) -> Vec<String> {
    let name = |new: &NewEvent| match &new.event.content {
        Some(Content::Spooled { name, .. }) => Some(name.clone()),
        _ => None,
    };
    page.events.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Facts, Fingerprint};
    use crate::clock::SystemClock;
    use crate::event::Spool;
    use crate::setting::Interval;
    use crate::source::settings::{Schedule, SourceKind, SourceSettings, SqliteSettings, TableSettings, Unrouted};
    use crate::source::{Accepted, Hold, HoldReason};
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Operation, PollEnded, SourceRegistration};

    fn plan() -> SourcePlan {
        let table = TableSettings { page: 10, track_keys: true, ..TableSettings::sample("t", "at", "id") };
        let settings = SourceSettings {
            name: SourceName::new("orders"),
            was: None,
            to: Vec::new(),
            routes: Vec::new(),
            unrouted: Unrouted::Ignore,
            schedule: Schedule::Every(Interval::from_secs(1)),
            max_new: Some(1),
            poll_timeout: None,
            max_size: None,
            kind: SourceKind::Sqlite(SqliteSettings { path: "t.db".into(), init: None, table }),
        };
        SourcePlan::new(&settings, "main", &HashMap::new()).expect("a plan without routes")
    }

    /// One poll that sees a file of this name with this content; returns how many events it told.
    fn poll(store: &SqliteStore, spool: &Spool, plan: &SourcePlan, content: &[u8]) -> u64 {
        let clock = SystemClock::new();
        let lease = store.begin_poll(&plan.name, clock.now()).expect("begins");
        let used = lease.accepted != Accepted::default();
        let (mut outlet, mut refused_before) = (Storing(store), HashMap::new());
        let mut ledger = PollLedger {
            plan,
            store,
            outlet: &mut outlet,
            captured: Captures::new(spool.clone()),
            captures: false,
            clock: &clock,
            nature: Nature::File,
            policy: Policy { tracks_keys: true, received: false, pruned_revision: 0 },
            lease: lease.clone(),
            refused_before: &mut refused_before,
            tally: Tally::default(),
        };
        let version = Version {
            fingerprint: Some(Fingerprint::of(content)),
            facts: Facts::File { size: content.len() as u64, modified: None },
            content: None,
            tuple: None,
            note: Box::default(),
            settled: false,
            from: None,
        };
        let entry = Entry { key: Key::from("a.csv"), sight: Sight::Version(Box::new(version)) };
        ledger.commit(Page { entries: vec![entry], ..Page::default() }).expect("commits");
        let told = ledger.tally.told;
        store.end_poll(&lease, ended(&clock, None, used)).expect("ends");
        told
    }

    fn ended(clock: &SystemClock, hold: Option<Hold>, accepted_used: bool) -> PollEnded {
        PollEnded {
            began: clock.now(),
            ended: clock.now(),
            completed: true,
            cut_short: false,
            binding: None,
            error: None,
            degraded: None,
            settled: None,
            hold,
            waiting: 0,
            waiting_shown: None,
            accepted_used,
            unrouted: 0,
        }
    }

    #[test]
    fn what_is_skipped_is_remembered_and_only_its_next_version_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("s.db")).expect("a new store");
        let spool = Spool::new(folder.path().join("spool"), "1", u64::MAX, 0);
        let (plan, clock) = (plan(), SystemClock::new());
        let registration = SourceRegistration { name: plan.name.clone(), was: None, kind: "sqlite" };
        store.register(&[registration], &[], clock.now()).expect("registers");
        let lease = store.begin_poll(&plan.name, clock.now()).expect("begins");
        let hold = Hold { reason: HoldReason::MaxNew, detail: String::new() };
        store.end_poll(&lease, ended(&clock, Some(hold), false)).expect("ends held");
        store.operate(&Operation::CursorSkip { source: "orders".into() }, clock.now()).expect("held by max_new");

        assert_eq!(poll(&store, &spool, &plan, b"one"), 0, "skipped");
        assert_eq!(poll(&store, &spool, &plan, b"one"), 0, "known");
        assert_eq!(poll(&store, &spool, &plan, b"two"), 1, "told again");
    }

    /// A disk that is full for the first page, and has room again for the next.
    struct FullOnce<'a>(Storing<'a>, bool);

    impl Outlet for FullOnce<'_> {
        fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<()> {
            if std::mem::take(&mut self.1) {
                return Err(crate::error::Error::new(crate::error::ErrorKind::Full, "no room"));
            }
            self.0.put(lease, page)
        }
    }

    #[test]
    fn a_refused_entry_whose_page_was_not_kept_is_written_with_the_next() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("s.db")).expect("a new store");
        let spool = Spool::new(folder.path().join("spool"), "1", u64::MAX, 0);
        let (plan, clock) = (plan(), SystemClock::new());
        let registration = SourceRegistration { name: plan.name.clone(), was: None, kind: "sqlite" };
        store.register(&[registration], &[], clock.now()).expect("registers");
        let (mut outlet, mut refused_before) = (FullOnce(Storing(&store), true), HashMap::new());
        let mut ledger = PollLedger {
            plan: &plan,
            store: &store,
            outlet: &mut outlet,
            captured: Captures::new(spool.clone()),
            captures: false,
            clock: &clock,
            nature: Nature::Row,
            policy: Policy { tracks_keys: true, received: false, pruned_revision: 0 },
            lease: store.begin_poll(&plan.name, clock.now()).expect("begins"),
            refused_before: &mut refused_before,
            tally: Tally::default(),
        };
        let page = || {
            let sight = Sight::Refused { reason: "no JSON".into(), tuple: None };
            Page { entries: vec![Entry { key: Key::from("a"), sight }], ..Page::default() }
        };
        ledger.commit(page()).expect_err("full");
        ledger.commit(page()).expect("room again");
        assert_eq!(store.begin_poll(&plan.name, clock.now()).expect("begins").refused, 1);
    }
}
