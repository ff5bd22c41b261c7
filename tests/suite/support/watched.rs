//! A directory source with a ledger in memory that keeps its listings: polls it, and says what it told.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use highwater::change::{Decision, Fingerprint, Key, Kind, Known, Policy, Sight, decide};
use highwater::clock::{Clock, ManualClock, Stop, SystemClock};
use highwater::error::{Error, Result};
use highwater::event::SpoolWriter;
use highwater::source::{
    Accepted, Accounts, Block, Ledger, Look, Looked, NoProgress, Page, Patience, Scope, SegmentWrite, Source,
};

use super::rows;

/// What a source told of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub kind: Kind,
    pub key: Vec<u8>,
    pub fingerprint: Option<Fingerprint>,
}

/// What a store would hold for one directory source.
#[derive(Default)]
pub struct FileLedger {
    cursor: Option<String>,
    pub known: BTreeMap<Key, Known>,
    segments: BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u8>>>,
    pub told: Vec<Told>,
    pub refused: Vec<(Key, String)>,
    /// The time, where it is not the machine's.
    pub clock: Option<Arc<ManualClock>>,
}

impl FileLedger {
    /// One look at everything.
    pub fn poll(&mut self, source: &mut dyn Source) -> Result<Looked> {
        self.poll_until(source, &Stop::new())
    }

    /// One look that `stop` may end.
    pub fn poll_until(&mut self, source: &mut dyn Source, stop: &Stop) -> Result<Looked> {
        let (machine, own) = (SystemClock::new(), self.clock.clone());
        let clock = own.as_deref().map_or(&machine as &dyn Clock, |own| own);
        let look = Look {
            scope: Scope::Everything,
            first: self.cursor.is_none(),
            filters_changed: false,
            accepted: Accepted::default(),
            max_new: None,
            patience: Patience::Return,
            clock,
            stop,
            progress: &NoProgress,
        };
        source.poll(&look, self)
    }

    /// The keys told since the last call, sorted.
    pub fn take_keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> =
            self.told.drain(..).map(|told| String::from_utf8_lossy(&told.key).into_owned()).collect();
        keys.sort();
        keys
    }
}

impl Ledger for FileLedger {
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
        let blocks = self.segments.get(folder).into_iter().flatten();
        Ok(blocks.map(|(ordinal, bytes)| Block { ordinal: *ordinal, bytes: bytes.clone() }).collect())
    }

    fn folders_below(&mut self, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        let below =
            |path: &&Vec<u8>| folder.is_empty() && !path.is_empty() || path.starts_with(&[folder, b"/"].concat());
        Ok(self.segments.keys().filter(below).cloned().collect())
    }

    fn content_writer(&mut self) -> Result<Option<SpoolWriter>> {
        Ok(None)
    }

    fn scratch(&mut self) -> Result<File> {
        tempfile::tempfile().map_err(|e| Error::io("make a scratch file", e))
    }

    fn commit(&mut self, page: Page) -> Result<()> {
        let policy = Policy { tracks_keys: true, received: false, pruned_revision: 0 };
        for entry in &page.entries {
            if let Sight::Refused { reason, .. } = &entry.sight {
                self.refused.push((entry.key.clone(), reason.clone()));
                continue;
            }
            let fingerprint = match &entry.sight {
                Sight::Version(version) => version.fingerprint,
                _ => None,
            };
            match decide(self.known.get(&entry.key), &entry.sight, &policy) {
                Decision::Tell { kind, known, .. } => {
                    self.told.push(Told { kind, key: entry.key.as_bytes().to_vec(), fingerprint });
                    self.known.insert(entry.key.clone(), known);
                }
                Decision::Remember(known) => {
                    self.known.insert(entry.key.clone(), known);
                }
                Decision::Nothing => {}
            }
        }
        for write in page.segments {
            match write {
                SegmentWrite::Put { folder, block } => {
                    self.segments.entry(folder).or_default().insert(block.ordinal, block.bytes);
                }
                SegmentWrite::Delete { folder, ordinal } => {
                    self.segments.entry(folder).or_default().remove(&ordinal);
                }
                SegmentWrite::DeleteFolder { folder } => {
                    self.segments.remove(&folder);
                }
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

/// Accounts that let every login be tried, and keep what was.
#[derive(Debug, Default)]
pub struct OpenAccounts {
    said: Mutex<Vec<String>>,
    barred: Option<String>,
}

impl OpenAccounts {
    /// Accounts that let no attempt with this secret be made.
    pub fn barring(secret: &str) -> Self {
        Self { barred: Some(secret.to_owned()), ..Self::default() }
    }

    /// `attempt user`, `accepted user` and so on, in order; the secret behind.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("no test panics here").clone()
    }

    fn say(&self, what: &str, secret: &[u8]) {
        let line = format!("{what} {}", String::from_utf8_lossy(secret));
        self.said.lock().expect("no test panics here").push(line);
    }
}

impl Accounts for OpenAccounts {
    fn check(&self, _: &str, secret: &[u8]) -> Result<()> {
        if self.barred.as_deref().is_some_and(|barred| barred.as_bytes() == secret) {
            return Err(Error::new(highwater::error::ErrorKind::Denied, "refused twice; resume ends it"));
        }
        Ok(())
    }

    fn attempt(&self, account: &str, secret: &[u8], _: &Stop) -> Result<()> {
        self.check(account, secret)?;
        self.say("attempt", secret);
        Ok(())
    }

    fn accepted(&self, _: &str, secret: &[u8]) {
        self.say("accepted", secret);
    }

    fn unanswered(&self, _: &str, secret: &[u8]) {
        self.say("unanswered", secret);
    }

    fn refused(&self, _: &str, secret: &[u8]) {
        self.say("refused", secret);
    }
}
