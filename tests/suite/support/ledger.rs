//! A ledger in memory: what a source commits is decided upon and kept as a store would, and can be looked at.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;

use highwater::change::{Decision, Facts, Key, Kind, Known, Policy, Sight, decide};
use highwater::error::{Error, ErrorKind, Result};
use highwater::event::SpoolWriter;
use highwater::source::{Block, Ledger, PAGE_ENTRIES_MAX, Page, SegmentWrite};

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
    segments: BTreeMap<(Vec<u8>, i64), Vec<u8>>,
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
            segments: BTreeMap::new(),
            policy: Policy { tracks_keys, received: false, pruned_revision: 0 },
        }
    }

    /// From now on known keys tell created from changed.
    pub fn track(&mut self) {
        self.policy.tracks_keys = true;
    }

    /// The keys told since the last call, in their order.
    pub fn take_keys(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told).into_iter().map(|told| told.key).collect()
    }

    fn tell(&mut self, key: &Key, kind: Kind, revision: u64, sight: &Sight) {
        if let Sight::Gone(_) = sight {
            let fingerprint = self.known.get(key).and_then(|known| known.fingerprint).map_or([0; 32], |print| print.0);
            self.repeated += usize::from(!self.identities.insert((key.clone(), revision, kind, fingerprint)));
            let (row, nothing) = (serde_json::Value::Null, String::new);
            let told = Told {
                kind,
                key: key.shown(),
                revision,
                row,
                row_text: nothing(),
                watermark: nothing(),
                key_json: nothing(),
            };
            return self.told.push(told);
        }
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

    fn segment(&mut self, folder: &[u8]) -> Result<Vec<Block>> {
        let blocks = self.segments.iter().filter(|((place, _), _)| place == folder);
        Ok(blocks.map(|((_, ordinal), bytes)| Block { ordinal: *ordinal, bytes: bytes.clone() }).collect())
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
        for write in &page.segments {
            match write {
                SegmentWrite::Put { folder, block } => {
                    self.segments.insert((folder.clone(), block.ordinal), block.bytes.clone());
                }
                SegmentWrite::Delete { folder, ordinal } => {
                    self.segments.remove(&(folder.clone(), *ordinal));
                }
                SegmentWrite::DeleteFolder { folder } => self.segments.retain(|(place, _), _| place != folder),
            }
        }
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
