//! Listings written anew: what is in them, and how little of them is written.

use super::*;
use crate::source::directory::segment::Segment;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
struct Stored(BTreeMap<i64, Vec<u8>>);

impl Stored {
    fn segment(&self) -> Segment {
        Segment::new(self.0.iter().map(|(ordinal, bytes)| Block { ordinal: *ordinal, bytes: bytes.clone() }).collect())
    }

    fn names(&self) -> Vec<Vec<u8>> {
        let segment = self.segment();
        let mut walk = segment.walk();
        std::iter::from_fn(|| walk.next_entry().expect("sound").map(|entry| entry.name.to_vec())).collect()
    }

    fn apply(&mut self, writes: Vec<SegmentWrite>) -> usize {
        let count = writes.len();
        for write in writes {
            match write {
                SegmentWrite::Put { block, .. } => {
                    self.0.insert(block.ordinal, block.bytes);
                }
                SegmentWrite::Delete { ordinal, .. } => {
                    self.0.remove(&ordinal).expect("a block that is dropped was there");
                }
                SegmentWrite::DeleteFolder { .. } => unreachable!("a recut drops no folder"),
            }
        }
        count
    }

    /// Writes the listing `names`, in which known names keep their entries.
    fn rewrite(&mut self, names: &[Vec<u8>]) -> usize {
        let segment = self.segment();
        let known = segment.number().expect("sound");
        let numbers: BTreeMap<Vec<u8>, usize> =
            (0..known.count()).map(|n| (known.entry(n).expect("sound").name.to_vec(), n)).collect();
        let mut recut = Recut::new(b"", &known, segment.blocks());
        let mut run: Option<(usize, usize)> = None;
        for name in names {
            let number = numbers.get(name);
            match (&mut run, number) {
                (Some((first, count)), Some(number)) if *first + *count == *number => *count += 1,
                _ => {
                    if let Some((first, count)) = run.take() {
                        recut.same(first, count).expect("sound");
                    }
                    match number {
                        Some(number) => run = Some((*number, 1)),
                        None => {
                            let entry = Settled { flags: Flags::TOLD, name, tuple: Tuple::default() };
                            recut.place(entry, None).expect("sound");
                        }
                    }
                }
            }
        }
        if let Some((first, count)) = run {
            recut.same(first, count).expect("sound");
        }
        let writes = recut.finish().expect("sound");
        self.apply(writes)
    }
}

fn name(number: usize) -> Vec<u8> {
    format!("file-{number:07}").into_bytes()
}

fn filled(count: usize) -> Stored {
    let mut stored = Stored::default();
    let names: Vec<Vec<u8>> = (0..count).map(|n| name(n * 10)).collect();
    stored.rewrite(&names);
    assert_eq!(stored.names(), names);
    stored
}

#[test]
fn one_insertion_or_removal_rewrites_only_its_block() {
    let mut stored = filled(40_000);
    let blocks = stored.0.len();
    assert!(blocks >= 10);
    let mut names = stored.names();
    names.insert(20_000, name(5));
    assert!(stored.rewrite(&names) <= 2, "a full block is split in two");
    assert_eq!(stored.names(), names);
    names.insert(20_000, name(6));
    assert_eq!(stored.rewrite(&names), 1);
    names.remove(30_000);
    assert_eq!(stored.rewrite(&names), 1);
    assert_eq!(stored.names(), names);
    assert_eq!(stored.rewrite(&names), 0, "nothing differs, nothing is written");
}

#[test]
fn a_listing_that_grows_at_either_end_does_not_fall_to_pieces() {
    let mut stored = filled(100);
    let mut names = stored.names();
    for n in 0..300 {
        names.insert(if n % 2 == 0 { names.len() } else { 0 }, name(n * 10 + 1));
        stored.rewrite(&names);
    }
    assert_eq!(stored.names(), names);
    assert_eq!(stored.0.len(), 1);
}

#[test]
fn where_no_ordinal_is_left_the_rest_is_written_behind_all_others() {
    let stored = filled(5_000);
    let blocks: Vec<Vec<u8>> = stored.0.into_values().collect();
    let mut stored = Stored(blocks.into_iter().enumerate().map(|(n, bytes)| (n as i64 + 1, bytes)).collect());
    let mut names = stored.names();
    names.splice(10..10, (0..10_000).map(|n| name(n * 10 + 1)));
    stored.rewrite(&names);
    assert_eq!(stored.names(), names);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_edits_in_any_order_end_in_the_listing_that_was_asked_for(
        start in 0usize..12_000,
        edits in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), 1usize..3_000), 1..6),
    ) {
        let mut stored = filled(start);
        let mut fresh = 1;
        for (edit, at, count) in edits {
            let mut names = stored.names();
            let at = at.index(names.len() + 1);
            let end = (at + count).min(names.len());
            match edit {
                0 => {
                    names.splice(at..at, (0..count).map(|n| name((fresh + n) * 10 + 1)));
                    fresh += count;
                }
                1 => drop(names.drain(at..end)),
                2 => names[at..end].reverse(),
                _ => names.rotate_left(at),
            }
            stored.rewrite(&names);
            prop_assert_eq!(&stored.names(), &names);
            let segment = stored.segment();
            let known = segment.number().expect("sound");
            for block in 0..stored.0.len() {
                prop_assert!(known.range(block).len() <= BLOCK_ENTRIES_MAX);
            }
        }
    }
}
