//! A look at nothing but the files that wait and are due. What is told is noted in loose blocks, which the next listing of
//! their folders puts in place; without them, a file told here and removed before that listing would never be missed.

use super::block::Flags;
use super::coarse::agree_across_zones;
use super::judge::{Candidate, Judge, Judged, Seen};
use super::mark::Mark;
use super::place::{Directory, Shape};
use super::readiness::{Standing, Waits, Why, standing};
use super::removal::Removals;
use super::settle::Settling;
use super::tracker::Tracker;
use crate::change::{Absence, Entry, Key};
use crate::error::{Error, Result};
use crate::source::{Ledger, Look, Looked};

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
        let loose = self.begin_loose(look);
        let judge = Judge::new(&self.rules, directory, look, &mut self.room);
        let removals = Removals { absence: Absence::Untold, held: true };
        let mut settling = Settling::new(judge, removals, ledger);
        settling.pages.loose_behind(loose);
        for some in due.chunks(VISITED_AT_ONCE) {
            look.stop.check()?;
            settling.visit(some)?;
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

impl Settling<'_> {
    /// Looks at some waiting files. What is settled is marked in the known listing of its folder.
    fn visit(&mut self, due: &[(Key, Waits)]) -> Result<()> {
        let claim = self.judge.rules.filters.claim();
        // A claimed file waits under the path where it lies.
        let key_of = |(path, _): &(Key, Waits)| claim.and_then(|claim| claim.key_of(path.as_bytes())).map(Key::from);
        let claimed: Vec<Option<Key>> = due.iter().map(key_of).collect();
        let keys: Vec<Key> =
            due.iter().zip(&claimed).map(|((path, _), key)| key.as_ref().unwrap_or(path).clone()).collect();
        let rows = self.ledger.known(&keys)?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (((waits_as, waits), key), known) in due.iter().zip(&keys).zip(&rows) {
            let place = (waits_as != key).then_some(waits_as.as_bytes());
            let found = self.judge.directory.look(waits_as.as_bytes())?.filter(|found| found.shape == Shape::File);
            let Some(found) = found else {
                self.judge.room.leave(waits_as);
                continue;
            };
            let tick = self.judge.look.clock.tick();
            if !agree_across_zones(&found.tuple, &waits.tuple) {
                self.judge.room.wait(waits_as, found.tuple, tick, waits.since, Why::Changing);
                continue;
            }
            let flags = if place.is_some() { Flags::TOLD.claimed() } else { Flags::remembered() };
            let was = waits.remembered.map(|tuple| (flags, tuple));
            let seen =
                Seen { key, tuple: waits.tuple, tick, was, known: known.as_ref(), place, waits_as: waits_as.clone() };
            match self.judge.judge(&seen)? {
                Judged::Settled(flags, sight) => {
                    let entry = sight.map(|sight| Entry { key: key.clone(), sight });
                    let mark = Mark { path: waits_as.as_bytes().to_vec(), flags, tuple: waits.tuple };
                    self.pages.push_marked(entry.into_iter().collect(), vec![mark], self.ledger)?;
                }
                Judged::Unready => {}
                Judged::Read(candidate) => candidates.push(*candidate),
            }
        }
        let mut readings = self.read(&candidates.iter().collect::<Vec<_>>())?.into_iter();
        for candidate in candidates {
            let reading = readings.next().ok_or_else(|| Error::internal("a file was not read"))?;
            let path = candidate.place.as_deref().unwrap_or(candidate.key.as_bytes()).to_vec();
            let tuple = candidate.tuple;
            let concluded = self.judge.conclude(candidate, reading)?;
            self.remember(concluded.remembered)?;
            let settled = concluded.flags.map(|flags| Mark { path, flags, tuple });
            let marks = settled.into_iter().chain(concluded.mark).collect();
            self.pages.push_marked(concluded.entries, marks, self.ledger)?;
        }
        self.check_room()
    }
}
