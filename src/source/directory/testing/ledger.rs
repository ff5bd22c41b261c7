//! A ledger in memory that decides, stores and forgets as `poll` and `store` do, and fails when it is told to.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::Steps;
use crate::change::{Content, Decision, Fingerprint, Key, Kind, Known, Policy, Sight, decide};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Spool, SpoolWriter};
use crate::source::{Block, Ledger, Page, SegmentWrite};

/// One event as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub kind: Kind,
    pub key: Key,
    pub revision: u64,
    pub fingerprint: Option<Fingerprint>,
    pub content: Option<Content>,
    pub from: Option<Key>,
}

/// The ledger.
pub struct MemoryLedger {
    pub known: BTreeMap<Key, Known>,
    pub segments: BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u8>>>,
    pub cursor: Option<String>,
    pub told: Vec<Told>,
    pub refused: BTreeMap<Key, String>,
    /// Commits so far.
    pub commits: usize,
    /// The commit, counted from 1, that fails without keeping anything.
    pub fail_at: Option<usize>,
    /// Blocks written and dropped so far.
    pub block_writes: usize,
    /// When the process is killed.
    pub steps: Steps,
    /// How many keys were asked for.
    pub asked: usize,
    /// Whether contents are wanted.
    pub captures: bool,
    spool: Spool,
    _folder: tempfile::TempDir,
}

impl MemoryLedger {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            known: BTreeMap::new(),
            segments: BTreeMap::new(),
            cursor: None,
            told: Vec::new(),
            refused: BTreeMap::new(),
            commits: 0,
            fail_at: None,
            block_writes: 0,
            steps: Steps::endless(),
            asked: 0,
            captures: true,
            spool: Spool::new(folder.path().join("spool"), "test", u64::MAX, 0),
            _folder: folder,
        }
    }

    /// Kind, key and revision of what was told since the last call.
    pub fn take_told(&mut self) -> Vec<(Kind, String, u64)> {
        self.told.drain(..).map(|told| (told.kind, told.key.shown(), told.revision)).collect()
    }

    /// How many contents are in the spool.
    pub fn spooled(&self) -> usize {
        std::fs::read_dir(self.spool.folder()).map_or(0, Iterator::count)
    }

    /// A spool with a limit.
    pub fn limit_spool(&mut self, folder: &Path, bytes_max: u64) {
        self.spool = Spool::new(folder, "limited", bytes_max, 0);
    }

    fn apply(&mut self, key: Key, sight: Sight) {
        if let Sight::Refused { reason, .. } = &sight {
            self.refused.insert(key, reason.clone());
            return;
        }
        self.refused.remove(&key);
        let policy = Policy { tracks_keys: true, received: false, pruned_revision: 0 };
        match decide(self.known.get(&key), &sight, &policy) {
            Decision::Tell { kind, revision, fingerprint, known } => {
                let (content, from) = match sight {
                    Sight::Version(version) => (version.content, version.from),
                    _ => (None, None),
                };
                self.told.push(Told { kind, key: key.clone(), revision, fingerprint, content, from });
                self.known.insert(key, known);
            }
            Decision::Remember(known) => {
                self.known.insert(key, known);
            }
            Decision::Nothing => {}
        }
    }

    fn write(&mut self, write: SegmentWrite) {
        self.block_writes += 1;
        match write {
            SegmentWrite::Put { folder, block } => {
                self.segments.entry(folder).or_default().insert(block.ordinal, block.bytes);
            }
            SegmentWrite::Delete { folder, ordinal } => {
                let blocks = self.segments.entry(folder.clone()).or_default();
                assert!(blocks.remove(&ordinal).is_some(), "a block that is dropped was there");
                if blocks.is_empty() {
                    self.segments.remove(&folder);
                }
            }
            SegmentWrite::DeleteFolder { folder } => {
                self.segments.remove(&folder);
            }
        }
    }
}

impl Ledger for MemoryLedger {
    fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn known(&mut self, keys: &[Key]) -> Result<Vec<Option<Known>>> {
        self.asked += keys.len();
        Ok(keys.iter().map(|key| self.known.get(key).cloned()).collect())
    }

    fn known_below(&mut self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Known)>> {
        let fits = |key: &Key| key.as_bytes().starts_with(prefix) && after.is_none_or(|after| key > after);
        Ok(self.known.iter().filter(|(key, _)| fits(key)).take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn knows_nothing(&self) -> bool {
        self.known.is_empty()
    }

    fn segment(&mut self, folder: &[u8]) -> Result<Vec<Block>> {
        let blocks = self.segments.get(folder).into_iter().flatten();
        Ok(blocks.map(|(ordinal, bytes)| Block { ordinal: *ordinal, bytes: bytes.clone() }).collect())
    }

    fn folders_below(&mut self, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        let prefix = [folder, b"/"].concat();
        let below = |path: &&Vec<u8>| if folder.is_empty() { !path.is_empty() } else { path.starts_with(&prefix) };
        Ok(self.segments.keys().filter(below).cloned().collect())
    }

    fn content_writer(&mut self) -> Result<Option<SpoolWriter>> {
        Ok(self.captures.then(|| self.spool.writer()))
    }

    fn scratch(&mut self) -> Result<File> {
        self.spool.scratch()
    }

    fn commit(&mut self, page: Page) -> Result<()> {
        self.steps.make()?;
        self.commits += 1;
        if self.fail_at == Some(self.commits) {
            return Err(Error::new(ErrorKind::Unavailable, "the test lets this commit fail"));
        }
        assert!(page.entries.len() <= crate::source::PAGE_ENTRIES_MAX);
        for entry in page.entries {
            self.apply(entry.key, entry.sight);
        }
        for write in page.segments {
            self.write(write);
        }
        self.cursor = page.cursor.or(self.cursor.take());
        Ok(())
    }
}
