//! One poll of a directory: scan everything first, apply the brakes, then settle folder by folder. The same for every kind
//! of directory; what a place can do is its adapter's affair.

use serde::{Deserialize, Serialize};

use super::coarse::Coarse;
use super::compare::Manner;
use super::judge::Judge;
use super::leftovers::{tell_unlisted, tell_vanished};
use super::pairing::{Pairs, each_new};
use super::place::{Directory, split};
use super::readiness::{WAITING_MAX, WaitingRoom};
use super::removal::{Loss, Removals, is_mass, weigh};
use super::rules::Rules;
use super::scan::{Scanned, scan};
use super::segment::LOOSE;
use super::settle::Settling;
use super::shift::{HOUR_NS, SHIFT_HOURS_MAX};
use crate::change::{Absence, Key, Kind, Known, Presence};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::setting::{ByteCount, SourceName};
use crate::source::settings::{DirectorySettings, Start};
use crate::source::{Hold, HoldReason, Ledger, Look, Looked, PAGE_ENTRIES_MAX, Patience, Scope, WAITING_SHOWN_MAX};

/// A look writes fewer loose blocks than this.
const LOOSE_BLOCKS_MAX: i64 = 1 << 20;

/// Follows what changes in one directory.
#[derive(Debug)]
pub struct Tracker {
    /// The source.
    pub name: SourceName,
    /// What is asked of entries.
    pub rules: Rules,
    /// Files that are not ready.
    pub room: WaitingRoom,
    /// Looks begun so far, so that the ordinals of their loose blocks differ.
    looks: i64,
    /// When the last full look began; not known in a new process.
    looked: Option<Timestamp>,
}

/// Where a directory source has got to. Its state is in segments and rows; this is only what identifies the place.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The disk or server the root was on.
    device: String,
    /// Whether removals are held: what arrives meanwhile must not make a mass of them look small.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removals_held: bool,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    ///
    /// # Errors
    /// `Config` when the settings make no sense.
    pub fn new(name: &SourceName, settings: &DirectorySettings, max_size: Option<ByteCount>) -> Result<Self> {
        let rules = Rules::new(settings, max_size)?;
        Ok(Self { name: name.clone(), rules, room: WaitingRoom::default(), looks: 0, looked: None })
    }

    /// One look; see [`crate::source::Source::poll`].
    pub fn poll(&mut self, directory: &mut dyn Directory, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        let identity = directory.arrive()?;
        let coarse = Coarse(&*directory);
        let directory: &dyn Directory = if directory.is_remote() { &coarse } else { &*directory };
        match &look.scope {
            Scope::Waiting => self.visit(directory, look, ledger),
            // A new file may be a missing one of a folder that was not named.
            Scope::Folders(_) if self.tells(Kind::Renamed) => {
                let whole = Look { scope: Scope::Everything, ..copy(look) };
                self.look_at_folders(directory, identity, &whole, ledger)
            }
            Scope::Folders(_) | Scope::Everything => self.look_at_folders(directory, identity, look, ledger),
        }
    }

    /// Behind which ordinal the loose blocks of a look begin.
    pub(super) fn begin_loose(&mut self, look: &Look<'_>) -> i64 {
        self.looks += 1;
        // Of an earlier run nothing is known here: the wall clock tells its blocks from ours.
        LOOSE + look.clock.now().nanos().max(0) / 4 + self.looks * LOOSE_BLOCKS_MAX
    }

    fn tells(&self, kind: Kind) -> bool {
        self.rules.settings.events.contains(&kind)
    }

    /// Whether what exists is only remembered.
    fn remembers(&self, cursor: Option<&Cursor>) -> bool {
        self.rules.settings.start == Start::Now && cursor.is_none()
    }

    fn look_at_folders(
        &mut self,
        directory: &dyn Directory,
        identity: String,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<Looked> {
        let cursor = ledger.cursor().and_then(|text| serde_json::from_str::<Cursor>(text).ok());
        let manner = match look.patience {
            Patience::OnSight => Manner::Showing,
            Patience::Return if look.filters_changed => Manner::Refiltering,
            Patience::Return => Manner::Trusting,
        };
        self.room.begin();
        let began = look.clock.now();
        let mut scanned = scan(directory, &self.rules.filters, manner, look, ledger)?;
        let remembers = self.remembers(cursor.as_ref());
        let brakes = self.brakes(directory, &scanned, cursor.as_ref(), &identity, look, ledger)?;
        let differing = scanned.tally.changed + if brakes.new.is_some() { 0 } else { scanned.tally.new };
        let pairs = if self.tells(Kind::Renamed) && scanned.tally.gone > 0 && brakes.removals.is_none() {
            Pairs::find(directory, &scanned.findings, ledger, look.stop)?
        } else {
            Pairs::default()
        };
        let absence = if self.tells(Kind::Removed) { Absence::Told } else { Absence::Untold };
        let removals = Removals { absence, held: brakes.removals.is_some() || brakes.removals_wait };
        let loose = self.begin_loose(look);
        let mut judge = Judge::new(&self.rules, directory, look, &mut self.room);
        (judge.pairs, judge.new_held, judge.remembers) = (pairs, brakes.new.is_some(), remembers);
        let mut settling = Settling::new(judge, removals, ledger);
        settling.pages.loose_behind(loose);
        settling.waits = look.patience == Patience::Return && differing > WAITING_MAX as u64 && !remembers;
        if directory.is_remote() {
            settling.written_before = self.looked.map(|at| at.nanos().saturating_sub(SHIFT_HOURS_MAX * HOUR_NS));
        }
        let everything = look.scope == Scope::Everything && scanned.unlisted == 0;
        settling.lists_all = everything && scanned.doubtful == 0;
        settling.sections(&scanned.findings)?;
        tell_vanished(&mut settling, &scanned.vanished)?;
        if everything && scanned.doubtful == 0 && cursor.is_none() && !settling.knows_nothing {
            tell_unlisted(&mut settling)?;
        }
        let held = brakes.removals.is_some();
        let next = next_cursor(cursor.as_ref(), identity, held);
        if (everything || (held && cursor.is_some())) && cursor.as_ref() != Some(&next) {
            let text = serde_json::to_string(&next).map_err(|e| Error::internal("write a cursor").because(e))?;
            settling.pages.push_cursor(text, settling.ledger)?;
        }
        settling.pages.flush(settling.ledger)?;
        let (roomless, unreadable) = (settling.judge.roomless, settling.judge.unreadable);
        self.looked = if everything { Some(began) } else { self.looked };
        self.room.end(&self.rules.filters, |key| was_looked_at(&look.scope, key));
        Ok(Looked {
            complete: scanned.unlisted + scanned.doubtful == 0,
            degraded: degraded(&scanned, &unreadable),
            hold: brakes.new.or(brakes.removals),
            waiting: self.room.count() + roomless,
            waiting_shown: self.waiting_shown(look),
            look_again_in: self.room.due_in(look.clock.tick(), self.rules.stable_for()),
            seen: scanned.tally.listed,
            ignored_shown: std::mem::take(&mut scanned.tally.ignored),
            settled: None,
        })
    }

    pub(super) fn waiting_shown(&self, look: &Look<'_>) -> Vec<crate::source::Waiting> {
        let (tick, now) = (look.clock.tick(), look.clock.now());
        self.room.shown(WAITING_SHOWN_MAX, tick, now, self.rules.stable_for())
    }

    fn brakes(
        &self,
        directory: &dyn Directory,
        scanned: &Scanned,
        cursor: Option<&Cursor>,
        identity: &str,
        look: &Look<'_>,
        ledger: &mut dyn Ledger,
    ) -> Result<Brakes> {
        let mut brakes = Brakes::default();
        if let Some(max) = look.max_new.filter(|_| !look.accepted.new_entries && !self.remembers(cursor)) {
            let new = if scanned.tally.new > max { self.count_new(scanned, ledger)? } else { 0 };
            brakes.new = (new > max).then(|| self.too_many(new, max));
        }
        let told = self.tells(Kind::Removed) || self.tells(Kind::Renamed);
        if told && scanned.tally.gone > 0 && !look.accepted.removals {
            let loss = weigh(&scanned.findings, scanned.tally.known, directory, ledger)?;
            let moved = cursor.is_some_and(|cursor| cursor.device != identity);
            let mass = is_mass(loss, moved) || (loss.gone > 0 && cursor.is_some_and(|cursor| cursor.removals_held));
            // A few folders say little about all of them: the next full poll decides.
            brakes.removals_wait = mass && look.scope != Scope::Everything;
            brakes.removals = (mass && !brakes.removals_wait).then(|| self.mass_removal(loss, moved));
        }
        Ok(brakes)
    }

    /// How many files have no row and do not wait already.
    fn count_new(&self, scanned: &Scanned, ledger: &mut dyn Ledger) -> Result<u64> {
        let mut keys = Vec::new();
        each_new(&scanned.findings, &mut |key, _| {
            if self.room.get(&key).is_none() {
                keys.push(key);
            }
        })?;
        if ledger.knows_nothing() {
            return Ok(keys.len() as u64);
        }
        let mut new = 0;
        for some in keys.chunks(PAGE_ENTRIES_MAX) {
            let known = ledger.known(some)?;
            let is_new = |k: &Known| k.presence != Presence::Present && !k.is_vouched();
            new += known.iter().filter(|known| known.as_ref().is_none_or(is_new)).count() as u64;
        }
        Ok(new)
    }

    fn too_many(&self, new: u64, max: u64) -> Hold {
        let detail = format!(
            "{new} new files at once are more than max_new = {max}; `highwater cursor {} accept` lets them in, \
             max_new = \"none\" lifts the limit",
            self.name
        );
        Hold { reason: HoldReason::MaxNew, detail }
    }

    fn mass_removal(&self, loss: Loss, moved: bool) -> Hold {
        let place = if moved { ", and the folder is on another disk than before" } else { "" };
        let detail = format!(
            "{} of {} known files are gone at once{place}; bring them back, or `highwater cursor {} accept` tells \
             their removal",
            loss.gone, loss.known, self.name
        );
        Hold { reason: HoldReason::MassRemoval, detail }
    }
}

#[derive(Debug, Default)]
struct Brakes {
    new: Option<Hold>,
    removals: Option<Hold>,
    /// Removals are left to the next full poll.
    removals_wait: bool,
}

/// `Look` has no `Clone`, because its parts are borrowed for one look; another scope of the same look is all we need.
fn copy<'a>(look: &Look<'a>) -> Look<'a> {
    Look {
        scope: look.scope.clone(),
        first: look.first,
        filters_changed: look.filters_changed,
        accepted: look.accepted,
        max_new: look.max_new,
        patience: look.patience,
        clock: look.clock,
        stop: look.stop,
        progress: look.progress,
    }
}

/// While removals are held because the place moved, the cursor keeps the place they are missing from.
fn next_cursor(cursor: Option<&Cursor>, identity: String, held: bool) -> Cursor {
    let kept = cursor.filter(|_| held).map(|cursor| cursor.device.clone());
    Cursor { device: kept.unwrap_or(identity), removals_held: held }
}

fn was_looked_at(scope: &Scope, key: &Key) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Folders(folders) => folders.iter().any(|folder| folder == split(key.as_bytes()).0),
        Scope::Waiting => false,
    }
}

fn degraded(scanned: &Scanned, (unread, why): &(u64, Option<String>)) -> Option<String> {
    let mut troubles = Vec::new();
    if let Some(trouble) = &scanned.trouble {
        troubles.push(format!("folders that could not be listed: {}, the first: {trouble}", scanned.unlisted));
    }
    if let Some(doubt) = &scanned.doubt {
        troubles.push(format!("folders whose listing may not be all: {}, the first: {doubt}", scanned.doubtful));
    }
    if let Some(why) = why {
        troubles.push(format!("files that could not be read: {unread}, the first: {why}"));
    }
    (!troubles.is_empty()).then(|| troubles.join("; "))
}
