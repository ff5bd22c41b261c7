//! What a ledger tells, what it leaves in the spool when the store fails it, and what is known while a page is under way.

use std::collections::HashMap;

use super::ledger::{Outlet, PollLedger, Storing, Tally};
use super::plan::SourcePlan;
use crate::change::content::INLINE_BYTES_MAX;
use crate::change::{Entry, Facts, Fingerprint, Key, Known, Nature, Policy, Sight, Version};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Captures, Spool};
use crate::setting::SourceName;
use crate::source::settings::{FolderSettings, SourceKind, SourceSettings, SqliteSettings, TableSettings};
use crate::source::{Accepted, Block, Hold, HoldReason, Ledger, Page};
use crate::store::sqlite::SqliteStore;
use crate::store::{CommitPage, Lease, Memory, Operation, PageUnderWay, PollEnded, SourceRegistration, Store};

/// A store whose disk fails: what is known can't be read, or a page not be kept.
struct Failing {
    reads: Result<(), ErrorKind>,
}

impl Memory for Failing {
    fn known(&self, _: &SourceName, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        self.reads.map(|()| vec![None; keys.len()]).map_err(|kind| Error::new(kind, "the disk failed"))
    }

    fn known_below(&self, _: &SourceName, _: &[u8], _: Option<&Key>, _: usize) -> Result<Vec<(Key, Known)>> {
        Ok(Vec::new())
    }

    fn segment(&self, _: &SourceName, _: &[u8]) -> Result<Vec<Block>> {
        Ok(Vec::new())
    }

    fn folders_below(&self, _: &SourceName, _: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }
}

impl Outlet for Failing {
    fn put(&mut self, _: &Lease, _: CommitPage) -> Result<PageUnderWay> {
        Err(Error::new(ErrorKind::Full, "no room"))
    }
}

/// A disk that is full for the pages of these numbers, from 1: found out while the next one is prepared.
struct FullFor<'a> {
    store: Storing<'a>,
    pages: &'static [u32],
    page: u32,
}

impl Outlet for FullFor<'_> {
    fn put(&mut self, lease: &Lease, page: CommitPage) -> Result<PageUnderWay> {
        self.page += 1;
        if self.pages.contains(&self.page) {
            return Ok(PageUnderWay::new(|| Err(Error::new(ErrorKind::Full, "no room"))));
        }
        self.store.put(lease, page)
    }
}

/// What a ledger stands on.
struct Place {
    folder: tempfile::TempDir,
    store: SqliteStore,
    clock: SystemClock,
    plan: SourcePlan,
    refused_before: HashMap<Key, String>,
}

impl Place {
    /// A store that knows the source, a table.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("s.db")).expect("a new store");
        let table = TableSettings { page: 10, track_keys: true, ..TableSettings::sample("t", "at", "id") };
        let kind = SourceKind::Sqlite(SqliteSettings { path: "t.db".into(), init: None, table });
        let settings = SourceSettings { max_new: Some(1), ..SourceSettings::sample(kind) };
        let (plan, clock) = (plan_of(&settings), SystemClock::new());
        let registration = SourceRegistration { name: plan.name.clone(), was: None, kind: "sqlite" };
        store.register(&[registration], &[], clock.now()).expect("registers");
        Self { folder, store, clock, plan, refused_before: HashMap::new() }
    }

    fn lease(&self) -> Lease {
        self.store.begin_poll(&self.plan.name, self.clock.now()).expect("begins")
    }

    /// One poll that sees a file of this name with this content; returns how many events it told.
    fn poll(&mut self, content: &[u8]) -> u64 {
        let lease = self.lease();
        let used = lease.accepted != Accepted::default();
        let mut outlet = Storing(&self.store);
        let spool = Spool::new(self.folder.path().join("spool"), "1", u64::MAX, 0);
        let mut ledger =
            ledger(&self.plan, &self.store, &mut outlet, spool, lease.clone(), &mut self.refused_before, &self.clock);
        ledger.commit(page_of("a.csv", content)).expect("commits");
        let told = ledger.tally.told;
        drop(ledger);
        self.store.end_poll(&lease, ended(&self.clock, None, used)).expect("ends");
        told
    }
}

fn plan_of(settings: &SourceSettings) -> SourcePlan {
    SourcePlan::new(settings, "main", &HashMap::new()).expect("a plan without routes")
}

fn ledger<'a>(
    plan: &'a SourcePlan,
    store: &'a dyn Memory,
    outlet: &'a mut dyn Outlet,
    spool: Spool,
    lease: Lease,
    refused_before: &'a mut HashMap<Key, String>,
    clock: &'a SystemClock,
) -> PollLedger<'a> {
    PollLedger {
        plan,
        store,
        outlet,
        captured: Captures::new(spool),
        captures: true,
        clock,
        nature: Nature::File,
        policy: Policy { tracks_keys: true, received: false, pruned_revision: 0 },
        lease,
        refused_before,
        tally: Tally::default(),
        behind: None,
    }
}

fn page_of(key: &str, content: &[u8]) -> Page {
    let entry = Entry { key: Key::from(key), sight: Sight::Version(Box::new(version(content))) };
    Page { entries: vec![entry], cursor: Some(format!("\"{key}\"")), ..Page::default() }
}

fn version(content: &[u8]) -> Version {
    Version {
        fingerprint: Some(Fingerprint::of(content)),
        facts: Facts::File { size: content.len() as u64, modified: None },
        content: None,
        tuple: None,
        note: Box::default(),
        settled: false,
        from: None,
    }
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

/// A lease that no store has given.
fn lease(plan: &SourcePlan) -> Lease {
    Lease {
        source: plan.name.clone(),
        epoch: 1,
        identity: plan.name.clone(),
        generation: 0,
        cursor: None,
        sequence: 0,
        pruned_revision: 0,
        completed: 1,
        knows_nothing: false,
        refused: 0,
        binding: None,
        accepted: Accepted::default(),
        hold: None,
        pause: None,
    }
}

#[test]
fn a_content_whose_page_fails_leaves_the_spool_with_the_poll() {
    for reads in [Err(ErrorKind::Corrupt), Ok(())] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = Spool::new(folder.path().join("spool"), "1", u64::MAX, 0);
        let plan = plan_of(&SourceSettings::sample(SourceKind::Folder(FolderSettings::sample("/tmp"))));
        let (clock, mut refused_before, mut outlet) = (SystemClock::new(), HashMap::new(), Failing { reads });
        let store = Failing { reads };
        let lease = lease(&plan);
        let mut ledger = ledger(&plan, &store, &mut outlet, spool.clone(), lease, &mut refused_before, &clock);
        ledger.commit(spooled(&ledger, "a.bin")).expect_err("the store fails");
        drop(ledger);
        assert_eq!((spool.bytes_used(), std::fs::read_dir(spool.folder()).expect("list").count()), (0, 0));
    }
}

/// A page with a content that went into the spool.
fn spooled(ledger: &PollLedger<'_>, key: &str) -> Page {
    let mut writer = ledger.captured.writer();
    writer.write(&vec![7; INLINE_BYTES_MAX + 1]).expect("write");
    let content = Some(writer.finish().expect("finish"));
    let version = Version { content, ..version(key.as_bytes()) };
    Page { entries: vec![Entry { key: Key::from(key), sight: Sight::Version(Box::new(version)) }], ..Page::default() }
}

#[test]
fn what_is_skipped_is_remembered_and_only_its_next_version_is_told() {
    let mut place = Place::new();
    let (lease, hold) = (place.lease(), Hold { reason: HoldReason::MaxNew, detail: String::new() });
    place.store.end_poll(&lease, ended(&place.clock, Some(hold), false)).expect("ends held");
    let skip = Operation::CursorSkip { source: "orders".into() };
    place.store.operate(&skip, place.clock.now()).expect("held by max_new");

    assert_eq!(place.poll(b"one"), 0, "skipped");
    assert_eq!(place.poll(b"one"), 0, "known");
    assert_eq!(place.poll(b"two"), 1, "told again");
}

/// What comes of pages, the first ones not waited for, on a disk that is full for some of them.
fn after_pages(place: &mut Place, full: &'static [u32], work: impl FnOnce(&mut PollLedger<'_>)) {
    let mut outlet = FullFor { store: Storing(&place.store), pages: full, page: 0 };
    let spool = Spool::new(place.folder.path().join("spool"), "1", u64::MAX, 0);
    let lease = place.lease();
    let mut ledger =
        ledger(&place.plan, &place.store, &mut outlet, spool, lease, &mut place.refused_before, &place.clock);
    work(&mut ledger);
}

#[test]
fn a_refused_entry_whose_page_was_not_kept_is_written_with_the_next() {
    let mut place = Place::new();
    after_pages(&mut place, &[1], |ledger| {
        let page = || {
            let sight = Sight::Refused { reason: "no JSON".into(), tuple: None };
            Page { entries: vec![Entry { key: Key::from("a"), sight }], ..Page::default() }
        };
        ledger.commit(page()).expect_err("full");
        ledger.commit(page()).expect("room again");
    });
    assert_eq!(place.lease().refused, 1);
}

#[test]
fn what_a_page_under_way_says_is_known_to_the_next() {
    let mut place = Place::new();
    after_pages(&mut place, &[], |ledger| {
        ledger.commit_behind(page_of("a", b"one")).expect("handed in");
        ledger.commit_behind(page_of("a", b"one")).expect("handed in");
        assert_eq!(ledger.tally.told, 1, "the same content is no news");
        ledger.commit_behind(Page { forget: vec![Key::from("a")], ..Page::default() }).expect("handed in");
        assert_eq!(ledger.known(&[Key::from("a")]).expect("read"), [None]);
        ledger.commit_behind(page_of("b", b"two")).expect("handed in");
        ledger.settle().expect("kept");
        assert_eq!((ledger.tally.told, ledger.tally.pages, ledger.cursor()), (2, 4, Some("\"b\"")));
    });
    assert_eq!(place.lease().sequence, 2);
}

#[test]
fn nothing_is_stored_behind_a_page_that_was_not_kept() {
    let mut place = Place::new();
    after_pages(&mut place, &[2], |ledger| {
        ledger.commit_behind(page_of("a", b"one")).expect("handed in");
        let second = spooled(ledger, "b");
        ledger.commit_behind(second).expect("handed in, and not kept");
        ledger.commit_behind(page_of("c", b"three")).expect_err("told with the next");
        assert_eq!((ledger.tally.told, ledger.tally.pages, ledger.lease.sequence), (1, 1, 1));
        assert_eq!(ledger.captured.spool().bytes_used(), 0, "what it had captured is gone");
    });
    let lease = place.lease();
    assert_eq!((lease.sequence, lease.cursor.as_deref()), (1, Some("\"a\"")));
}
