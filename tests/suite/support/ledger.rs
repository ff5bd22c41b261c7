//! A ledger in memory: what a source commits is decided upon and kept as a store would, and can be looked at.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;

use highwater::change::{Decision, Facts, Key, Kind, Known, Policy, Sight, decide};
use highwater::error::{Error, ErrorKind, Result};
use highwater::event::SpoolWriter;
use highwater::source::{Block, Ledger, PAGE_ENTRIES_MAX, Page};

use super::rows;

/// An event as a table source told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub kind: Kind,
    pub key: String,
    pub revision: u64,
    pub row: serde_json::Value,
    pub row_text: String,
    pub watermark: String,
    pub key_json: String,
}

/// What a store would hold for one source.
pub struct MemoryLedger {
    pub cursor: Option<String>,
    pub known: BTreeMap<Key, Known>,
    pub told: Vec<Told>,
    pub refused: Vec<(Key, String)>,
    pub commits: usize,
    /// Events that were told before with the same identity.
    pub repeated: usize,
    /// The commit that fails, counted from now: the process is killed before it.
    pub fail_at: Option<usize>,
    /// Called before each commit with its number, to make things happen in the middle of a poll.
    pub before_commit: Option<Box<dyn FnMut(usize)>>,
    identities: HashSet<(Key, u64, Kind, [u8; 32])>,
    policy: Policy,
}

impl MemoryLedger {
    /// A ledger that knows nothing, for a source that tracks keys or does not.
    pub fn new(tracks_keys: bool) -> Self {
        Self {
            cursor: None,
            known: BTreeMap::new(),
            told: Vec::new(),
            refused: Vec::new(),
            commits: 0,
            repeated: 0,
            fail_at: None,
            before_commit: None,
            identities: HashSet::new(),
            policy: Policy { tracks_keys, received: false, pruned_revision: 0 },
        }
    }

    /// The keys told since the last call, in their order.
    pub fn take_keys(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told).into_iter().map(|told| told.key).collect()
    }

    fn tell(&mut self, key: &Key, kind: Kind, revision: u64, sight: &Sight) {
        let Sight::Version(version) = sight else { return };
        let Facts::Row { key: key_json, watermark, row, .. } = &version.facts else { return };
        let fingerprint = version.fingerprint.expect("a row has a fingerprint").0;
        if !self.identities.insert((key.clone(), revision, kind, fingerprint)) {
            self.repeated += 1;
        }
        self.told.push(Told {
            kind,
            key: key.shown(),
            revision,
            row: serde_json::from_str(row.get()).expect("valid JSON"),
            row_text: row.get().to_owned(),
            watermark: watermark.get().to_owned(),
            key_json: key_json.get().to_owned(),
        });
    }
}

impl Ledger for MemoryLedger {
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn known(&mut self, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        Ok(rows::of(&self.known, keys))
    }

    fn known_below(&mut self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Known)>> {
        Ok(rows::below(&self.known, prefix, after, limit))
    }

    fn knows_nothing(&self) -> bool {
        self.known.is_empty()
    }

    fn segment(&mut self, _: &[u8]) -> Result<Vec<Block>> {
        Ok(Vec::new())
    }

    fn folders_below(&mut self, _: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    fn content_writer(&mut self) -> Result<Option<SpoolWriter>> {
        Ok(None)
    }

    fn scratch(&mut self) -> Result<File> {
        tempfile::tempfile().map_err(|e| Error::io("make a scratch file", e))
    }

    fn commit(&mut self, page: Page) -> Result<()> {
        assert!(page.entries.len() <= PAGE_ENTRIES_MAX, "a page holds {} entries", page.entries.len());
        if let Some(left) = &mut self.fail_at {
            if *left == 0 {
                self.fail_at = None;
                return Err(Error::new(ErrorKind::Stopped, "killed before the commit"));
            }
            *left -= 1;
        }
        if let Some(call) = &mut self.before_commit {
            call(self.commits);
        }
        self.commits += 1;
        for entry in &page.entries {
            if let Sight::Refused { reason, .. } = &entry.sight {
                self.refused.push((entry.key.clone(), reason.clone()));
                continue;
            }
            let settled = matches!(&entry.sight, Sight::Version(version) if version.settled);
            match decide(self.known.get(&entry.key), &entry.sight, &self.policy) {
                Decision::Tell { kind, revision, known, .. } => {
                    self.tell(&entry.key, kind, revision, &entry.sight);
                    if !settled {
                        self.known.insert(entry.key.clone(), known);
                    }
                }
                Decision::Remember(known) => {
                    self.known.insert(entry.key.clone(), known);
                }
                Decision::Nothing => {}
            }
        }
        for key in &page.forget {
            self.known.remove(key);
        }
        if let Some(cursor) = page.cursor {
            self.cursor = Some(cursor);
        }
        Ok(())
    }
}
