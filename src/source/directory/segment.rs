//! One folder's known listing as its blocks hold it: read in order without allocation, or by number once it is indexed.
//! Comparing it with the place is `compare`, writing it anew is `recut`.

use std::hash::{BuildHasher, RandomState};

use super::block::{self, Head, Settled};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Block;

/// Blocks with ordinals from here on hold entries that were told between two listings: in no order, and newer than what
/// other blocks say of the same name. The next listing puts them in their places.
pub const LOOSE: i64 = 1 << 62;

/// A folder's known listing.
#[derive(Debug, Default)]
pub struct Segment {
    blocks: Vec<Block>,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    block: u32,
    offset: u32,
}

impl Segment {
    /// A listing of these blocks, in the order of their ordinals.
    pub fn new(blocks: Vec<Block>) -> Self {
        Self { blocks }
    }

    /// Its blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether entries wait for being put in their places.
    pub fn has_loose(&self) -> bool {
        self.blocks.last().is_some_and(|block| block.ordinal >= LOOSE)
    }

    /// Reads it from the start.
    pub fn walk(&self) -> Walk<'_> {
        Walk { blocks: &self.blocks, next_block: 0, bytes: &[], head: None, at: 0 }
    }

    /// Notes where every entry is.
    pub fn number(&self) -> Result<Numbered<'_>> {
        let mut places = Vec::new();
        let mut firsts = Vec::with_capacity(self.blocks.len());
        let mut walk = self.walk();
        loop {
            let Some((place, _)) = walk.next_placed()? else { break };
            while firsts.len() <= place.block as usize {
                firsts.push(places.len());
            }
            places.push(place);
        }
        while firsts.len() < self.blocks.len() {
            firsts.push(places.len());
        }
        let heads = self.blocks.iter().map(|b| block::head(&b.bytes).map(|(head, _)| head).ok_or_else(damaged));
        Ok(Numbered { segment: self, heads: heads.collect::<Result<_>>()?, places, firsts })
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "a block of a known listing is damaged")
}

/// Reads a listing in order.
#[derive(Debug)]
pub struct Walk<'a> {
    blocks: &'a [Block],
    next_block: usize,
    bytes: &'a [u8],
    head: Option<Head>,
    at: usize,
}

impl<'a> Walk<'a> {
    /// The next entry, `None` at the end.
    ///
    /// # Errors
    /// `Corrupt` when a block can't be read.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<Settled<'a>>> {
        Ok(self.next_placed()?.map(|(_, entry)| entry))
    }

    #[inline]
    fn next_placed(&mut self) -> Result<Option<(Place, Settled<'a>)>> {
        while self.at >= self.bytes.len() {
            let Some(block) = self.blocks.get(self.next_block) else { return Ok(None) };
            let (head, at) = block::head(&block.bytes).ok_or_else(damaged)?;
            (self.bytes, self.head, self.at) = (&block.bytes, Some(head), at);
            self.next_block += 1;
        }
        let head = self.head.ok_or_else(damaged)?;
        let (entry, next) = block::entry(self.bytes, head, self.at).ok_or_else(damaged)?;
        let place = Place { block: self.next_block as u32 - 1, offset: self.at as u32 };
        self.at = next;
        Ok(Some((place, entry)))
    }
}

/// A listing whose entries can be read by number.
#[derive(Debug)]
pub struct Numbered<'a> {
    segment: &'a Segment,
    heads: Vec<Head>,
    places: Vec<Place>,
    /// The number of each block's first entry.
    firsts: Vec<usize>,
}

impl<'a> Numbered<'a> {
    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// The entry with this number.
    pub fn entry(&self, number: usize) -> Result<Settled<'a>> {
        let place = self.places.get(number).ok_or_else(damaged)?;
        let block = place.block as usize;
        let bytes = &self.segment.blocks[block].bytes;
        block::entry(bytes, self.heads[block], place.offset as usize).map(|(entry, _)| entry).ok_or_else(damaged)
    }

    /// The block an entry is in.
    pub fn block_of(&self, number: usize) -> Result<usize> {
        self.places.get(number).map(|place| place.block as usize).ok_or_else(damaged)
    }

    /// The numbers of a block's entries.
    pub fn range(&self, block: usize) -> std::ops::Range<usize> {
        self.firsts[block]..self.firsts.get(block + 1).copied().unwrap_or(self.places.len())
    }
}

/// Finds entries by name. Of two with one name the later counts, the earlier is a leftover.
#[derive(Debug)]
pub struct Index {
    hasher: RandomState,
    /// Numbers plus one at their hash's place or behind it; 0 is empty.
    slots: Vec<u32>,
}

impl Index {
    /// Indexes every entry; `twice` is told the numbers of an earlier and a later entry of the same name.
    pub fn new(listing: &Numbered<'_>, twice: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        let slots = vec![0; (listing.count() * 2).next_power_of_two().max(2)];
        let mut index = Self { hasher: RandomState::new(), slots };
        for number in 0..listing.count() {
            let name = listing.entry(number)?.name;
            let slot = index.slot(listing, name)?;
            if let Some(earlier) = index.slots[slot].checked_sub(1) {
                twice(earlier as usize, number);
            }
            index.slots[slot] = u32::try_from(number + 1).map_err(|_| damaged())?;
        }
        Ok(index)
    }

    /// The number of the entry with this name.
    pub fn find(&self, listing: &Numbered<'_>, name: &[u8]) -> Result<Option<usize>> {
        let slot = self.slot(listing, name)?;
        Ok(self.slots[slot].checked_sub(1).map(|number| number as usize))
    }

    fn slot(&self, listing: &Numbered<'_>, name: &[u8]) -> Result<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(name) as usize & mask;
        loop {
            match self.slots[slot].checked_sub(1) {
                Some(number) if listing.entry(number as usize)?.name != name => slot = (slot + 1) & mask,
                _ => return Ok(slot),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Tuple;
    use crate::source::directory::block::{Flags, encode};

    fn block(ordinal: i64, names: &[&str]) -> Block {
        let settled = names.iter().map(|name| Settled {
            flags: Flags::TOLD,
            name: name.as_bytes(),
            tuple: Tuple { inode: 7, ..Tuple::default() },
        });
        Block { ordinal, bytes: encode(settled) }
    }

    #[test]
    fn entries_are_read_in_order_by_number_and_by_name() {
        let segment = Segment::new(vec![block(1, &["a", "b"]), block(2, &[]), block(5, &["c"]), block(LOOSE, &["a"])]);
        let mut walk = segment.walk();
        let mut names = Vec::new();
        while let Some(entry) = walk.next_entry().expect("sound") {
            names.push(entry.name);
        }
        assert_eq!(names, [b"a", b"b", b"c", b"a"]);
        let numbered = segment.number().expect("sound");
        assert_eq!((numbered.block_of(2).expect("there"), numbered.range(0), numbered.range(1)), (2, 0..2, 2..2));
        let mut leftovers = Vec::new();
        let index = Index::new(&numbered, &mut |earlier, later| leftovers.push((earlier, later))).expect("sound");
        assert_eq!(leftovers, [(0, 3)]);
        assert_eq!(index.find(&numbered, b"a").expect("sound"), Some(3));
        assert_eq!(index.find(&numbered, b"x").expect("sound"), None);
        assert!(segment.has_loose());
    }

    #[test]
    fn a_damaged_block_is_an_error_and_no_panic() {
        let segment = Segment::new(vec![Block { ordinal: 1, bytes: vec![1, 0, 0, 9, 200] }]);
        assert_eq!(segment.walk().next_entry().expect_err("damaged").kind(), ErrorKind::Corrupt);
        let segment = Segment::new(vec![Block { ordinal: 1, bytes: vec![99] }]);
        assert_eq!(segment.number().expect_err("damaged").kind(), ErrorKind::Corrupt);
    }
}
