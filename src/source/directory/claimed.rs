//! Decides about files that lie in the claim folder: told already, untold since a process was killed or did not like what it
//! read, or put there by somebody else. Files under their own names are `judge`'s.

use super::block::Flags;
use super::coarse::agree;
use super::judge::{Candidate, Judge, Judged, Seen, note};
use super::place::Shape;
use super::readiness::Why;
use crate::change::{Key, Sight};
use crate::error::Result;

use super::claim::is_told;

impl Judge<'_> {
    /// Decides about the claimed file at `place`.
    pub(super) fn claimed(&mut self, seen: &Seen<'_>, place: &[u8]) -> Result<Judged> {
        let mark = seen.was.filter(|(flags, _)| flags.is_claimed()).map(|(_, tuple)| tuple);
        if mark.is_none() {
            let told = seen.known.and_then(|known| known.tuple);
            if let Some(told) = told
                && is_told(self.directory, place, &seen.tuple, &told)?
            {
                // It waits for its after-action.
                self.room.leave(&seen.waits_as);
                return Ok(Judged::Settled(Flags::TOLD, None));
            }
            if self.remembers {
                return Ok(Judged::Settled(Flags::remembered(), None));
            }
        }
        if self.new_held {
            return Ok(Judged::Unready);
        }
        // As it was when it was claimed, or read, it was ready.
        let stands = seen.was.is_some_and(|(_, tuple)| agree(&tuple, &seen.tuple));
        let unready = if stands { None } else { self.unready(seen) };
        let judged = match unready {
            Some((first_tick, why)) => self.wait(&seen.waits_as, seen.tuple, first_tick, why),
            None => self.claimed_and_still(seen, mark.is_some())?,
        };
        if let Judged::Unready = judged {
            self.room.note(&seen.waits_as, None, mark);
        }
        Ok(judged)
    }

    fn claimed_and_still(&mut self, seen: &Seen<'_>, is_untold: bool) -> Result<Judged> {
        if let Some(reason) = self.refusal(seen) {
            self.room.leave(&seen.waits_as);
            return Ok(Judged::Settled(Flags::passed(), Some(Sight::Refused { reason, tuple: Some(seen.tuple) })));
        }
        let mut candidate = self.candidate(seen, None);
        candidate.is_untold = is_untold;
        self.note_marker(seen, &mut candidate)?;
        let why = match self.ask_checksum(seen, &mut candidate)? {
            None => self.known_ending(seen),
            why => why,
        };
        let Some(why) = why else { return Ok(Judged::Read(Box::new(candidate))) };
        let was_read = self.waits_so(seen, |why| !why.is_timed());
        if let Some((_, told)) = candidate.last.filter(|_| !is_untold && !was_read) {
            // Most likely it was told, and its checksum file is gone since: then it holds what was told.
            (candidate.only, candidate.captures) = (Some((told, why.text(self.rules.stable_for()))), false);
            return Ok(Judged::Read(Box::new(candidate)));
        }
        let first_tick = self.room.get(&seen.waits_as).map_or(seen.tick, |waits| waits.first_tick);
        Ok(self.wait(&seen.waits_as, seen.tuple, first_tick, why))
    }

    /// Its marker released it when it was claimed. It is noted so that it releases no other, unless it may be a newer one.
    fn note_marker(&self, seen: &Seen<'_>, candidate: &mut Candidate) -> Result<()> {
        let Some(marker) = &self.rules.marker else { return Ok(()) };
        if self.directory.look(seen.key.as_bytes())?.is_some() {
            return Ok(());
        }
        let found = self.directory.look(&marker.path_for(seen.key.as_bytes()))?;
        if let Some(found) = found.filter(|found| found.shape == Shape::File) {
            candidate.note = note(&found.tuple);
        }
        Ok(())
    }

    /// Lets a file wait behind an earlier version that was not told yet.
    pub(super) fn wait_behind(&mut self, candidate: &Candidate) {
        let claim = self.rules.filters.claim();
        let place = claim.map(|claim| claim.path_of(candidate.key.as_bytes())).unwrap_or_default();
        let now = self.look.clock.tick();
        let first_tick = self.room.get(&candidate.waits_as).map_or(now, |waits| waits.first_tick);
        let why = Why::Occupied(Key::from(place));
        self.wait(&candidate.waits_as, candidate.tuple, first_tick, why);
    }
}
