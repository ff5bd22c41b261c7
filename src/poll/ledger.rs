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
use crate::store::{CommitPage, Lease, Memory, NewEvent, NewRefused, PageUnderWay, Store};

/// What a ledger does with a page that is ready.
pub trait Outlet {
    /// Begins to make it durable, or shows it.
    fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay>;
}

/// The store itself.
pub struct Storing<'a>(pub &'a dyn Store);

impl Outlet for Storing<'_> {
    fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay> {
        self.0.submit_page(lease, page)
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
    /// The page that is being made durable; `None` at first.
    pub behind: Option<Behind>,
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

/// A page that was handed to the store, and what it changes here once it is durable, or else takes back.
pub struct Behind {
    under_way: PageUnderWay,
    sequence: u64,
    tally: Tally,
    cursor: Option<String>,
    /// What it says of keys, while the store may not say so yet.
    says: HashMap<Key, Option<Known>>,
    refused: Vec<Key>,
    spooled: Vec<String>,
    unused: Vec<String>,
}

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
        let known = if self.lease.knows_nothing { Vec::new() } else { self.known(&keys)? };
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

impl PollLedger<'_> {
    /// Waits for the page that is being made durable.
    ///
    /// # Errors
    /// It was not kept.
    pub fn settle(&mut self) -> Result<()> {
        let Some(behind) = self.behind.take() else { return Ok(()) };
        if let Err(error) = behind.under_way.wait() {
            (self.lease.sequence, self.tally) = (behind.sequence, behind.tally);
            self.take_back(&behind.refused);
            behind.spooled.iter().for_each(|name| self.captured.discard(name));
            return Err(error);
        }
        behind.unused.iter().for_each(|name| self.captured.discard(name));
        self.tally.pages += 1;
        if behind.cursor.is_some() {
            self.lease.cursor = behind.cursor;
        }
        Ok(())
    }

    /// Refusals that were not stored: the next look has to write them.
    fn take_back(&mut self, refused: &[Key]) {
        refused.iter().for_each(|key| drop(self.refused_before.remove(key)));
    }

    /// Turns a page into what is stored, waits for the one before, and hands it in.
    fn submit(&mut self, page: Page) -> Result<()> {
        let (sequence, tally) = (self.lease.sequence, self.tally);
        let mut turned = Turned::default();
        let Page { entries, segments, forget, cursor } = page;
        let prepared = self.turn(entries, &mut turned);
        let refused: Vec<Key> = turned.page.refused.iter().map(|refused| refused.key.clone()).collect();
        if let Err(error) = prepared {
            (self.lease.sequence, self.tally) = (sequence, tally);
            self.take_back(&refused);
            return Err(error);
        }
        // A failure takes this page back as well.
        if let Err(error) = self.settle() {
            self.take_back(&refused);
            return Err(error);
        }
        let tally = Tally { pages: self.tally.pages, ..tally };
        let mut commit = turned.page;
        let mut says = HashMap::new();
        if self.may_look_up(&commit) {
            says.extend(commit.known.iter().map(|(key, known)| (key.clone(), Some(known.clone()))));
            says.extend(forget.iter().map(|key| (key.clone(), None)));
        }
        commit.segments = segments;
        commit.forget = forget;
        commit.cursor.clone_from(&cursor);
        commit.now = self.clock.now();
        let remembers = !commit.known.is_empty();
        let spooled = spooled_names(&commit);
        let under_way = match self.outlet.put(&self.lease, commit) {
            Ok(under_way) => under_way,
            Err(error) => {
                (self.lease.sequence, self.tally) = (sequence, tally);
                self.take_back(&refused);
                return Err(error);
            }
        };
        // From here on a transaction may name them.
        spooled.iter().for_each(|name| self.captured.named(name));
        self.lease.knows_nothing &= !remembers;
        let unused = turned.unused;
        self.behind = Some(Behind { under_way, sequence, tally, cursor, says, refused, spooled, unused });
        Ok(())
    }

    /// Whether anybody will ask for what is known before the page is durable.
    fn may_look_up(&self, page: &CommitPage) -> bool {
        !self.lease.knows_nothing || !page.known.is_empty()
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
        let mut known = self.store.known(&self.lease.source, keys)?;
        if let Some(behind) = &self.behind {
            for (key, known) in keys.iter().zip(&mut known) {
                if let Some(said) = behind.says.get(key) {
                    known.clone_from(said);
                }
            }
        }
        Ok(known)
    }

    fn known_below(&mut self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Known)>> {
        self.settle()?;
        self.store.known_below(&self.lease.source, prefix, after, limit)
    }

    fn knows_nothing(&self) -> bool {
        self.lease.knows_nothing
    }

    fn segment(&mut self, folder: &[u8]) -> Result<Vec<Block>> {
        self.settle()?;
        self.store.segment(&self.lease.source, folder)
    }

    fn folders_below(&mut self, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.settle()?;
        self.store.folders_below(&self.lease.source, folder)
    }

    fn content_writer(&mut self) -> Result<Option<SpoolWriter>> {
        Ok((self.captures && self.plan.routes.takes_content()).then(|| self.captured.writer()))
    }

    fn scratch(&mut self) -> Result<File> {
        self.captured.spool().scratch()
    }

    fn commit(&mut self, page: Page) -> Result<()> {
        self.submit(page)?;
        self.settle()
    }

    fn commit_behind(&mut self, page: Page) -> Result<()> {
        self.submit(page)
    }
}

fn spooled_names(page: &CommitPage) -> Vec<String> {
    let name = |new: &NewEvent| match &new.event.content {
        Some(Content::Spooled { name, .. }) => Some(name.clone()),
        _ => None,
    };
    page.events.iter().filter_map(name).collect()
}
