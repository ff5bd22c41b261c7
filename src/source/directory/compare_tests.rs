//! Any listing, in any order, held against any known one, says what a naive comparison of two sets says.

use super::*;
use crate::change::Tuple;
use crate::source::Block;
use crate::source::directory::block::encode;
use crate::source::directory::findings::{FolderState, NewSection};
use crate::source::directory::testing::{MemoryLedger, settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Files = Vec<(u16, u64)>;

fn name(number: u16) -> Vec<u8> {
    format!("file {number}").into_bytes()
}

fn segment(files: &Files, per_block: usize) -> Segment {
    let blocks = files.chunks(per_block).enumerate().map(|(at, some)| {
        let names: Vec<Vec<u8>> = some.iter().map(|(number, _)| name(*number)).collect();
        let tuple = |size: &u64| Tuple { size: *size, ..Tuple::default() };
        let entries = some.iter().zip(&names);
        let entries = entries.map(|((_, size), name)| Settled { flags: Flags::TOLD, name, tuple: tuple(size) });
        Block { ordinal: at as i64, bytes: encode(entries) }
    });
    Segment::new(blocks.collect())
}

/// What was found: same, changed, new, gone, as numbers of files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    same: BTreeSet<u16>,
    changed: BTreeSet<u16>,
    new: BTreeSet<u16>,
    gone: BTreeSet<u16>,
}

fn compare(known: &Files, listed: &Files, per_block: usize) -> (Outcome, Said, Tally) {
    let (mut findings, mut tally, mut ledger) = (Findings::default(), Tally::default(), MemoryLedger::new());
    let filters = Filters::new(&settings(), None).expect("valid");
    let segment = segment(known, per_block);
    let parts: (_, _, &mut dyn Ledger) = (&mut findings, &mut tally, &mut ledger);
    let mut comparison = Comparison::new(b"", &segment, &filters, Manner::Trusting, parts).expect("sound");
    for (number, size) in listed {
        let found = Found {
            shape: Shape::File,
            tuple: Tuple { size: *size, ..Tuple::default() },
            precision: crate::source::directory::place::Precision::Exact,
        };
        comparison.entry(Listed { name: &name(*number), found }).expect("sound");
    }
    let outcome = comparison.finish(Ended::Whole).expect("sound");
    let state = FolderState::Listed;
    let section = NewSection { folder: b"", tick: Duration::ZERO, state, in_order: true, damaged: false, shift: None };
    findings.close(0, section, None);
    let mut reader = findings.read(&findings.sections()[0]);
    let (mut said, number) = (Said::default(), |entry: usize| known[entry].0);
    while let Some(finding) = reader.next_finding().expect("sound") {
        match finding {
            Finding::Same { first, count } => said.same.extend((first..first + count).map(number)),
            Finding::Changed { number: entry, .. } => assert!(said.changed.insert(number(entry))),
            Finding::Gone { number: entry } => assert!(said.gone.insert(number(entry))),
            Finding::New { name, .. } => {
                let text = std::str::from_utf8(name).expect("plain");
                assert!(said.new.insert(text["file ".len()..].parse().expect("a number")));
            }
            Finding::Leaves { .. } => panic!("nothing is filtered here"),
        }
    }
    (outcome, said, tally)
}

fn files() -> impl Strategy<Value = Files> {
    let files = prop::collection::btree_map(0u16..60, 0u64..2, 0..50);
    files.prop_map(|files| files.into_iter().collect::<Files>()).prop_shuffle()
}

proptest! {
    #[test]
    fn any_two_listings_differ_as_their_sets_do((known, listed, per_block) in (files(), files(), 1usize..9)) {
        let (outcome, said, tally) = compare(&known, &listed, per_block);
        let (before, now): (BTreeMap<_, _>, BTreeMap<_, _>) = (known.iter().copied().collect(), listed.iter().copied().collect());
        let mut expected = Said::default();
        for (number, size) in &now {
            match before.get(number) {
                None => expected.new.insert(*number),
                Some(old) if old == size => expected.same.insert(*number),
                Some(_) => expected.changed.insert(*number),
            };
        }
        expected.gone = before.keys().filter(|number| !now.contains_key(number)).copied().collect();
        prop_assert_eq!((tally.new, tally.changed), (expected.new.len() as u64, expected.changed.len() as u64));
        prop_assert_eq!((tally.gone, tally.known), (expected.gone.len() as u64, known.len() as u64));
        if before == now {
            prop_assert_eq!(outcome, Outcome::Alike, "another order alone is no difference");
        } else {
            prop_assert_eq!(said, expected);
        }
    }

    #[test]
    fn the_same_listing_is_alike_and_leaves_no_finding(known in files(), per_block in 1usize..9) {
        let (outcome, said, _) = compare(&known, &known, per_block);
        prop_assert_eq!((outcome, said), (Outcome::Alike, Said::default()));
    }

    #[test]
    fn one_insertion_and_one_removal_resynchronise_at_once(
        known in files(), per_block in 1usize..9, at: prop::sample::Index, out: prop::sample::Index,
    ) {
        let mut listed = known.clone();
        if !listed.is_empty() {
            listed.remove(out.index(known.len()));
        }
        listed.insert(at.index(listed.len() + 1), (999, 0));
        let (outcome, said, _) = compare(&known, &listed, per_block);
        prop_assert!(said.changed.is_empty() && said.new.len() == 1 && said.gone.len() <= 1);
        prop_assert_eq!(outcome, Outcome::Different { in_order: said.gone.is_empty(), shift: None });
    }
}
