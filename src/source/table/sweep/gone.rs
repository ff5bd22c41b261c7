//! Known rows that are not there any more, and the brake that keeps a mass of them from being told before an operator has seen
//! it. Finding them belongs to `run`.

use crate::change::{Absence, Entry, Key, Sight};
use crate::error::Result;
use crate::source::table::batch::hash;
use crate::source::{Accepted, Block, Hold, HoldReason, Ledger, PAGE_ENTRIES_MAX, Page, SegmentWrite};

/// So many removals at once are never held.
const BRAKE_MIN: u64 = 1_000;
/// More than one known key in so many is held.
const BRAKE_SHARE: u64 = 20;
/// Where a replica's sweep keeps the keys it missed.
const MISSED: &[u8] = b"missed";

/// What becomes of keys that are not there any more.
pub struct Gone {
    sight: fn() -> Sight,
    /// More than this many wait for an operator; `None` lets them pass.
    limit: Option<u64>,
    /// Hashes of the keys that the sweep before missed, on a replica: only those are gone.
    missed_before: Option<Vec<u64>>,
    missed: Vec<u64>,
    waiting: Vec<Key>,
    count: u64,
    known: u64,
}

impl Gone {
    /// `known` keys were there; `left_filter` says that the filters were edited since.
    pub fn new(
        known: u64,
        left_filter: bool,
        accepted: Accepted,
        replica: bool,
        ledger: &mut dyn Ledger,
    ) -> Result<Self> {
        let sight = match accepted {
            _ if left_filter => || Sight::Forgotten,
            Accepted { silent_removals: true, .. } => || Sight::Gone(Absence::Untold),
            _ => || Sight::Gone(Absence::Told),
        };
        let limit = (!left_filter && !accepted.removals).then(|| BRAKE_MIN.max(known / BRAKE_SHARE));
        let missed_before = if replica { Some(missed(ledger)?) } else { None };
        Ok(Self { sight, limit, missed_before, missed: Vec::new(), waiting: Vec::new(), count: 0, known })
    }

    /// Takes keys that are gone; false when they are more than the brake lets pass.
    pub fn take(&mut self, keys: Vec<Key>, ledger: &mut dyn Ledger) -> Result<bool> {
        for key in keys {
            if let Some(before) = &self.missed_before {
                let hash = hash(key.as_bytes());
                if before.binary_search(&hash).is_err() {
                    self.missed.push(hash);
                    continue;
                }
            }
            self.count += 1;
            self.waiting.push(key);
        }
        if self.limit.is_none() {
            self.tell(ledger)?;
        }
        Ok(self.limit.is_none_or(|limit| self.count <= limit))
    }

    /// Tells what waits.
    pub fn tell(&mut self, ledger: &mut dyn Ledger) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter().peekable();
        while waiting.peek().is_some() {
            let keys = waiting.by_ref().take(PAGE_ENTRIES_MAX);
            let entries = keys.map(|key| Entry { key, sight: (self.sight)() }).collect();
            ledger.commit(Page { entries, ..Page::default() })?;
        }
        Ok(())
    }

    /// What a replica missed for the first time, to be kept for the next sweep; nothing elsewhere.
    pub fn kept(&mut self) -> Option<SegmentWrite> {
        self.missed_before.as_ref()?;
        if self.missed.is_empty() {
            return Some(SegmentWrite::DeleteFolder { folder: MISSED.to_vec() });
        }
        self.missed.sort_unstable();
        let bytes = self.missed.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        Some(SegmentWrite::Put { folder: MISSED.to_vec(), block: Block { ordinal: 0, bytes } })
    }

    /// Why they wait.
    pub fn hold(&self, name: &str) -> Hold {
        let detail = format!(
            "more than {} of {} known rows are gone at once; if that is right, `highwater cursor {name} accept` tells them as \
             removed, `highwater cursor {name} skip` only remembers that; if the rows come back, it goes on by itself",
            self.limit.unwrap_or(0),
            self.known
        );
        Hold { reason: HoldReason::MassRemoval, detail }
    }
}

fn missed(ledger: &mut dyn Ledger) -> Result<Vec<u64>> {
    let blocks = ledger.segment(MISSED)?;
    let hashes = blocks.iter().flat_map(|block| block.bytes.chunks_exact(8));
    Ok(hashes.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("chunks of 8 bytes"))).collect())
}
