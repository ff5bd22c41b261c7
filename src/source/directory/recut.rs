//! Writes a folder's known listing anew so that only blocks that differ are rewritten: blocks are cut where known ones
//! began, a block in which nothing differs is kept unread. Which entries go in is decided by `settle`.

use super::block::{BLOCK_ENTRIES_MAX, Flags, Settled, encode};
use super::segment::{LOOSE, Numbered};
use crate::change::Tuple;
use crate::error::Result;
use crate::source::{Block, SegmentWrite};

/// Between the ordinals of blocks written at the end of a listing: room for what comes between them later.
const ORDINAL_STEP: i64 = 1 << 32;

/// A block inserted between two takes at most this part of the room that is left.
const ROOM_PARTS: i64 = 1_024;

/// A block with fewer entries than this takes in those of the next one that has to be read anyway.
const BLOCK_ENTRIES_MIN: usize = 512;

/// The new listing of one folder, in the making.
pub struct Recut<'a> {
    folder: &'a [u8],
    known: &'a Numbered<'a>,
    blocks: &'a [Block],
    /// Known blocks whose ordinal is in use in the new listing.
    used: Vec<bool>,
    pending: Pending,
    /// The known block whose ordinal the pending entries take.
    group: Option<usize>,
    /// A block that is kept as it is, unless new entries come right behind it.
    whole: Option<usize>,
    /// Known blocks from here on were not come to yet.
    next_block: usize,
    last_ordinal: i64,
    /// Set when there is no room between two ordinals: what follows is written anew behind all others.
    at_end: bool,
    writes: Vec<SegmentWrite>,
}

#[derive(Debug, Default)]
struct Pending {
    names: Vec<u8>,
    entries: Vec<(Flags, usize, Tuple)>,
}

impl Pending {
    fn push(&mut self, entry: Settled<'_>) {
        self.names.extend_from_slice(entry.name);
        self.entries.push((entry.flags, self.names.len(), entry.tuple));
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, at: usize) -> Settled<'_> {
        let (flags, end, tuple) = self.entries[at];
        let start = if at == 0 { 0 } else { self.entries[at - 1].1 };
        Settled { flags, name: &self.names[start..end], tuple }
    }

    fn encode(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        encode(range.map(|at| self.entry(at)))
    }

    fn drop_first(&mut self, count: usize) {
        let bytes = if count == 0 { 0 } else { self.entries[count - 1].1 };
        self.names.drain(..bytes);
        self.entries.drain(..count);
        self.entries.iter_mut().for_each(|entry| entry.1 -= bytes);
    }
}

impl<'a> Recut<'a> {
    /// Begins the new listing of `folder`, whose known one is `known` in `blocks`.
    pub fn new(folder: &'a [u8], known: &'a Numbered<'a>, blocks: &'a [Block]) -> Self {
        Self {
            folder,
            known,
            blocks,
            used: vec![false; blocks.len()],
            pending: Pending::default(),
            group: None,
            whole: None,
            next_block: 0,
            last_ordinal: 0,
            at_end: false,
            writes: Vec::new(),
        }
    }

    /// Adds a run of known entries as they are.
    pub fn same(&mut self, first: usize, count: usize) -> Result<()> {
        let (mut number, end) = (first, first + count);
        while number < end {
            let block = self.known.block_of(number)?;
            let range = self.known.range(block);
            if range.start == number && range.end <= end && self.begins(block) && self.may_cut() {
                self.settle_whole();
                self.cut()?;
                self.whole = Some(block);
                self.next_block = block + 1;
                number = range.end;
            } else {
                self.place(self.known.entry(number)?, Some(number))?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Adds one entry; `known` is the number of the known entry it continues.
    pub fn place(&mut self, entry: Settled<'_>, known: Option<usize>) -> Result<()> {
        let block = known.map(|number| self.known.block_of(number)).transpose()?;
        match block.filter(|block| self.begins(*block)) {
            Some(block) if self.may_cut() => {
                self.settle_whole();
                self.cut()?;
                (self.group, self.next_block) = (Some(block), block + 1);
            }
            Some(block) if self.group.is_none() && self.whole.is_none() => {
                (self.group, self.next_block) = (Some(block), block + 1);
            }
            _ => self.unfold_whole()?,
        }
        self.pending.push(entry);
        if self.pending.len() >= 2 * BLOCK_ENTRIES_MAX {
            self.write_first(BLOCK_ENTRIES_MAX)?;
        }
        Ok(())
    }

    /// What is to be written so far.
    pub fn take_writes(&mut self) -> Vec<SegmentWrite> {
        std::mem::take(&mut self.writes)
    }

    /// Ends the listing; returns what is still to be written.
    pub fn finish(mut self) -> Result<Vec<SegmentWrite>> {
        self.settle_whole();
        self.cut()?;
        for (block, _) in self.blocks.iter().zip(&self.used).filter(|(_, used)| !**used) {
            self.writes.push(SegmentWrite::Delete { folder: self.folder.to_vec(), ordinal: block.ordinal });
        }
        Ok(self.writes)
    }

    /// Whether an entry of `block` is the first one of a known block that was not come to yet.
    fn begins(&self, block: usize) -> bool {
        !self.at_end && block >= self.next_block && self.blocks[block].ordinal < LOOSE
    }

    fn may_cut(&self) -> bool {
        self.pending.len() == 0 || self.pending.len() >= BLOCK_ENTRIES_MIN
    }

    fn settle_whole(&mut self) {
        if let Some(block) = self.whole.take() {
            self.used[block] = true;
            self.last_ordinal = self.blocks[block].ordinal;
        }
    }

    /// Entries come right behind a block that was to be kept: they join it while it has room.
    fn unfold_whole(&mut self) -> Result<()> {
        let Some(block) = self.whole else { return Ok(()) };
        if self.known.range(block).len() >= BLOCK_ENTRIES_MAX {
            self.settle_whole();
            return Ok(());
        }
        self.whole = None;
        self.group = Some(block);
        for number in self.known.range(block) {
            self.pending.push(self.known.entry(number)?);
        }
        Ok(())
    }

    /// Writes all pending entries, in pieces of equal size when they are too many for one block.
    fn cut(&mut self) -> Result<()> {
        let pieces = self.pending.len().div_ceil(BLOCK_ENTRIES_MAX);
        for left in (1..=pieces).rev() {
            self.write_first(self.pending.len().div_ceil(left))?;
        }
        self.group = None;
        Ok(())
    }

    fn write_first(&mut self, count: usize) -> Result<()> {
        let bytes = self.pending.encode(0..count);
        self.pending.drop_first(count);
        if let Some(block) = self.group.take().filter(|_| !self.at_end) {
            self.used[block] = true;
            self.last_ordinal = self.blocks[block].ordinal;
            if self.blocks[block].bytes == bytes {
                return Ok(());
            }
        } else {
            self.last_ordinal = self.next_ordinal();
        }
        let block = Block { ordinal: self.last_ordinal, bytes };
        self.writes.push(SegmentWrite::Put { folder: self.folder.to_vec(), block });
        Ok(())
    }

    fn next_ordinal(&mut self) -> i64 {
        let regular = || self.blocks.iter().map(|block| block.ordinal).filter(|ordinal| *ordinal < LOOSE);
        if self.at_end {
            return self.last_ordinal + ORDINAL_STEP;
        }
        // A block that was come to but is not written yet keeps its ordinal free for others only when it is unused.
        let taken = self.blocks.get(self.next_block).map(|block| block.ordinal).filter(|ordinal| *ordinal < LOOSE);
        let Some(upper) = taken else {
            let last = regular().max().unwrap_or(0);
            return self.last_ordinal.max(last) + ORDINAL_STEP;
        };
        let step = ((upper - self.last_ordinal) / ROOM_PARTS).max(1);
        if self.last_ordinal + step < upper && !regular().any(|ordinal| ordinal == self.last_ordinal + step) {
            return self.last_ordinal + step;
        }
        self.at_end = true;
        self.last_ordinal.max(regular().max().unwrap_or(0)) + ORDINAL_STEP
    }
}

#[cfg(test)]
#[path = "recut_tests.rs"]
mod tests;
