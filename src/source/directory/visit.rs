//! A look at nothing but the files that wait and are due. What is told is noted in loose blocks, which the next listing of
//! their folders puts in place; without them, a file told here and removed before that listing would never be missed.

use std::collections::BTreeMap;

use super::block::{Flags, Settled, encode};
use super::coarse::agree_across_zones;
use super::judge::{Candidate, Judge, Judged, Seen};
use super::place::{Directory, Shape, split};
use super::readiness::{Standing, Waits, Why, standing};
use super::removal::Removals;
use super::segment::LOOSE;
use super::settle::Settling;
use super::tracker::Tracker;
use crate::change::{Absence, Entry, Key, Tuple};
use crate::error::{Error, Result};
use crate::source::{Block, Ledger, Look, Looked, SegmentWrite};

/// Files visited together: enough for two readers, few enough for one page of content.
const VISITED_AT_ONCE: usize = 64;

impl Tracker {
    /// Looks at the files that wait for time alone and are due.
    pub(super) fn visit(
        &mut self,
        directory: &dyn Directory,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<Looked> {
        let stable_for = self.rules.stable_for();
        let now = look.clock.tick();
        let is_due =
            |waits: &Waits| standing(Some(waits), &waits.tuple, waits.first_tick, now, stable_for) == Standing::Still;
        let due = self.room.iter().filter(|(_, waits)| waits.why.is_timed() && is_due(waits));
        let due: Vec<(Key, Waits)> = due.map(|(key, waits)| (key.clone(), waits.clone())).collect();
        let judge = Judge::new(&self.rules, directory, look, &mut self.room);
        let removals = Removals { absence: Absence::Untold, held: true };
        let mut settling = Settling::new(judge, removals, ledger);
        for some in due.chunks(VISITED_AT_ONCE) {
            look.stop.check()?;
            let told = settling.visit(some)?;
            let writes = loose(told, &mut self.loose_blocks, look);
            settling.pages.push_segments(writes, settling.ledger)?;
        }
        settling.pages.flush(settling.ledger)?;
        Ok(Looked {
            complete: true,
            waiting: self.room.count(),
            waiting_shown: self.waiting_shown(look),
            look_again_in: self.room.due_in(look.clock.tick(), stable_for),
            seen: due.len() as u64,
            ..Looked::default()
        })
    }
}

type Told = (Key, Flags, Tuple);

impl Settling<'_> {
    /// Looks at some waiting files; returns those that are settled.
    fn visit(&mut self, due: &[(Key, Waits)]) -> Result<Vec<Told>> {
        let keys: Vec<Key> = due.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.ledger.known(&keys)?;
        let mut told = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        for ((key, waits), known) in due.iter().zip(&rows) {
            let found = self.judge.directory.look(key.as_bytes())?.filter(|found| found.shape == Shape::File);
            let Some(found) = found else {
                self.judge.room.leave(key);
                continue;
            };
            let tick = self.judge.look.clock.tick();
            if !agree_across_zones(&found.tuple, &waits.tuple) {
                self.judge.room.wait(key, found.tuple, tick, waits.since, Why::Changing);
                continue;
            }
            let was = waits.remembered.map(|tuple| (Flags::remembered(), tuple));
            match self.judge.judge(&Seen { key, tuple: waits.tuple, tick, was, known: known.as_ref(), place: None })? {
                Judged::Settled(flags, sight) => {
                    let entry = sight.map(|sight| Entry { key: key.clone(), sight });
                    self.pages.push(entry.into_iter().collect(), self.ledger)?;
                    told.push((key.clone(), flags, waits.tuple));
                }
                Judged::Unready => {}
                Judged::Read(candidate) => candidates.push(*candidate),
            }
        }
        let mut readings = self.read(&candidates.iter().collect::<Vec<_>>())?.into_iter();
        for candidate in candidates {
            let reading = readings.next().ok_or_else(|| Error::internal("a file was not read"))?;
            let (key, tuple) = (candidate.key.clone(), candidate.tuple);
            let concluded = self.judge.conclude(candidate, reading)?;
            self.remember(concluded.remembered)?;
            self.pages.push(concluded.entries, self.ledger)?;
            told.extend(concluded.flags.map(|flags| (key, flags, tuple)));
        }
        self.check_room()?;
        Ok(told)
    }
}

fn loose(told: Vec<Told>, made: &mut i64, look: &Look<'_>) -> Vec<SegmentWrite> {
    let mut folders: BTreeMap<&[u8], Vec<Settled<'_>>> = BTreeMap::new();
    for (key, flags, tuple) in &told {
        let (folder, name) = split(key.as_bytes());
        folders.entry(folder).or_default().push(Settled { flags: *flags, name, tuple: *tuple });
    }
    let block = |(folder, entries): (&[u8], Vec<Settled<'_>>)| {
        *made += 1;
        // Of an earlier run nothing is known here: the wall clock tells its blocks from ours.
        let ordinal = LOOSE + look.clock.now().nanos().max(0) / 4 + *made;
        SegmentWrite::Put { folder: folder.to_vec(), block: Block { ordinal, bytes: encode(entries.into_iter()) } }
    };
    folders.into_iter().map(block).collect()
}
