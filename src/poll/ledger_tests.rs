//! What a ledger leaves in the spool when the store fails it.

use std::collections::HashMap;

use super::ledger::{Outlet, PollLedger, Tally};
use super::plan::SourcePlan;
use crate::change::content::INLINE_BYTES_MAX;
use crate::change::{Entry, Facts, Fingerprint, Key, Known, Nature, Policy, Sight, Version};
use crate::clock::SystemClock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Captures, Spool};
use crate::setting::{Interval, SourceName};
use crate::source::settings::{FolderSettings, Schedule, SourceKind, SourceSettings, Unrouted};
use crate::source::{Accepted, Block, Ledger, Page};
use crate::store::{CommitPage, Lease, Memory};

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
    fn put(&mut self, _: &Lease, _: CommitPage) -> Result<()> {
        Err(Error::new(ErrorKind::Full, "no room"))
    }
}

fn plan() -> SourcePlan {
    let settings = SourceSettings {
        name: SourceName::new("orders"),
        was: None,
        to: Vec::new(),
        routes: Vec::new(),
        unrouted: Unrouted::Ignore,
        schedule: Schedule::Every(Interval::from_secs(1)),
        max_new: None,
        poll_timeout: None,
        max_size: None,
        kind: SourceKind::Folder(FolderSettings::sample("/tmp")),
    };
    SourcePlan::new(&settings, "main", &HashMap::new()).expect("a plan without routes")
}

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
        let (plan, clock) = (plan(), SystemClock::new());
        let (mut outlet, mut refused_before) = (Failing { reads }, HashMap::new());
        let mut ledger = PollLedger {
            plan: &plan,
            store: &Failing { reads },
            outlet: &mut outlet,
            captured: Captures::new(spool.clone()),
            captures: true,
            clock: &clock,
            nature: Nature::File,
            policy: Policy { tracks_keys: true, received: false, pruned_revision: 0 },
            lease: lease(&plan),
            refused_before: &mut refused_before,
            tally: Tally::default(),
        };
        let mut writer = ledger.captured.writer();
        writer.write(&vec![7; INLINE_BYTES_MAX + 1]).expect("write");
        let version = Version {
            fingerprint: Some(Fingerprint::of(b"A")),
            facts: Facts::File { size: 1, modified: None },
            content: Some(writer.finish().expect("finish")),
            tuple: None,
            note: Box::default(),
            settled: false,
            from: None,
        };
        let entry = Entry { key: Key::from("a.bin"), sight: Sight::Version(Box::new(version)) };
        ledger.commit(Page { entries: vec![entry], ..Page::default() }).expect_err("the store fails");
        drop(ledger);
        assert_eq!((spool.bytes_used(), std::fs::read_dir(spool.folder()).expect("list").count()), (0, 0));
    }
}
