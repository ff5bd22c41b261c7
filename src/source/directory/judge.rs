//! Decides about one file that differs: settled already, not ready yet, or to be read; and after reading, what is told.
//! Telling and storing is `settle`'s, the order of steps is that of DESIGN section 6.1.

use std::time::Duration;

use super::block::Flags;
use super::coarse::{agree, is_unit_over, modified};
use super::mark::Mark;
use super::pairing::{Missing, Pairs};
use super::place::{Directory, Shape};
use super::readiness::{Standing, WaitingRoom, Why, ends_with, standing};
use super::reading::{Reading, Whole, read_small};
use super::rules::Rules;
use super::sidecar::{Checksum, parse_checksum};
use crate::change::key::shown;
use crate::change::{Absence, Entry, Facts, Fingerprint, Key, Known, Presence, Sight, Tuple, Version};
use crate::error::Result;
use crate::source::settings::Empty;
use crate::source::{Look, Patience, Scope};

/// A checksum file is at most this large; one for a whole folder of files fits.
const CHECKSUM_BYTES_MAX: u64 = 1 << 20;

/// A file as it was listed, and what is known of it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its key.
    pub key: &'a Key,
    /// What the listing says.
    pub tuple: Tuple,
    /// When it was looked at, on the monotonic clock.
    pub tick: Duration,
    /// What its segment said.
    pub was: Option<(Flags, Tuple)>,
    /// Its row.
    pub known: Option<&'a Known>,
    /// Where it is, when it was claimed.
    pub place: Option<&'a [u8]>,
    /// Under which name it waits: that of where it is.
    pub waits_as: Key,
}

/// What is decided about a file.
#[derive(Debug)]
pub enum Judged {
    /// It needs no reading.
    Settled(Flags, Option<Sight>),
    /// It waits; nothing is told.
    Unready,
    /// It is ready, and must be read.
    Read(Box<Candidate>),
}

/// A file that is ready to be read.
#[derive(Debug)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// The version that is ready.
    pub tuple: Tuple,
    /// Whether the bytes are wanted.
    pub captures: bool,
    /// What was told last, while it was there.
    pub told: Option<Fingerprint>,
    /// The checksum it must have.
    pub checksum: Option<Checksum>,
    /// What must be remembered of it first, because it has no row.
    pub remembered: Option<Tuple>,
    /// Where it is, when it was claimed by an earlier look.
    pub place: Option<Vec<u8>>,
    /// The version told last, whether it is there or not.
    pub last: Option<(Tuple, Fingerprint)>,
    /// Whether it was claimed and not told: then it is a new version, whatever it holds.
    pub is_untold: bool,
    /// Under which name it waits.
    pub waits_as: Key,
    /// Its marker's tuple.
    pub note: Box<[u8]>,
    /// Set when its marker was used before: only unchanged content is taken.
    pub only: Option<(Fingerprint, String)>,
    checksum_tuple: Option<Tuple>,
    from: Option<Missing>,
}

/// What a reading came to.
#[derive(Debug, Default)]
pub struct Concluded {
    /// How it goes into the known listing; `None` when it is not settled.
    pub flags: Option<Flags>,
    /// What is said, to be committed together.
    pub entries: Vec<Entry>,
    /// What must be remembered first.
    pub remembered: Vec<(Key, Tuple)>,
    /// What becomes known of the place it was claimed to, committed with what is said.
    pub mark: Option<Mark>,
}

/// Decides about the files of one poll.
pub struct Judge<'a> {
    /// What is asked of files.
    pub rules: &'a Rules,
    /// Where they are.
    pub directory: &'a dyn Directory,
    /// How the look is taken.
    pub look: &'a Look<'a>,
    /// Where unready files wait.
    pub room: &'a mut WaitingRoom,
    /// Which new files may be missing ones.
    pub pairs: Pairs,
    /// Whether new files wait for an operator.
    pub new_held: bool,
    /// Whether what has no row is only remembered (`start = "now"`).
    pub remembers: bool,
    /// Files that wait without having found room.
    pub roomless: u64,
    /// Files that could not be read, and why the first of them could not.
    pub unreadable: (u64, Option<String>),
}

impl<'a> Judge<'a> {
    /// A judge who holds nothing back.
    pub fn new(rules: &'a Rules, directory: &'a dyn Directory, look: &'a Look<'a>, room: &'a mut WaitingRoom) -> Self {
        let (pairs, unreadable) = (Pairs::default(), (0, None));
        Self { rules, directory, look, room, pairs, new_held: false, remembers: false, roomless: 0, unreadable }
    }

    /// Decides about a file that differs from its known listing.
    pub fn judge(&mut self, seen: &Seen<'_>) -> Result<Judged> {
        let present = seen.known.filter(|known| known.presence == Presence::Present);
        let remembered = seen.was.filter(|(flags, _)| flags.is_remembered() && seen.known.is_none()).map(|(_, t)| t);
        let is_now = |known: &Known| known.tuple.is_some_and(|tuple| agree(&tuple, &seen.tuple));
        if let Some(place) = seen.place {
            return self.claimed(seen, place);
        }
        if present.is_some_and(is_now) {
            self.room.leave(seen.key);
            return match seen.was.filter(|(flags, _)| flags.is_unsure()) {
                None => Ok(Judged::Settled(Flags::TOLD, None)),
                Some(_) if !is_unit_over(&seen.tuple, self.look.clock.now()) => {
                    Ok(Judged::Settled(Flags::TOLD.unsure(), None))
                }
                Some(_) => self.ready(seen, None),
            };
        }
        if seen.known.is_some_and(Known::is_vouched) {
            self.room.leave(seen.key);
            return Ok(Judged::Settled(Flags::TOLD, Some(Sight::Present { tuple: seen.tuple })));
        }
        // Its content was never read; rights and owner are no content.
        let blind = |tuple: Tuple| Tuple { ctime_ns: 0, ..tuple };
        let is_unread = |tuple: Tuple| agree(&tuple, &seen.tuple) || blind(tuple) == blind(seen.tuple);
        if remembered.is_some_and(is_unread) {
            return Ok(Judged::Settled(Flags::remembered(), None));
        }
        if present.filter(|known| known.fingerprint.is_none()).and_then(|known| known.tuple).is_some_and(is_unread) {
            self.room.leave(seen.key);
            return Ok(Judged::Settled(Flags::TOLD, None));
        }
        if let Some(back) = seen.known.filter(|known| known.presence == Presence::Absent && is_now(known)) {
            let sight = Sight::Version(Box::new(version(seen.tuple, back.fingerprint, back.note.clone())));
            return Ok(Judged::Settled(Flags::TOLD, Some(sight)));
        }
        if self.remembers && present.is_none() {
            return Ok(Judged::Settled(Flags::remembered(), None));
        }
        let new = present.is_none() && remembered.is_none() && self.room.get(seen.key).is_none();
        if new && self.new_held {
            return Ok(Judged::Unready);
        }
        let judged = match self.unready(seen) {
            Some((first_tick, why)) => self.wait(seen.key, seen.tuple, first_tick, why),
            None => self.ready(seen, remembered)?,
        };
        if let Judged::Unready = judged {
            self.room.note(seen.key, self.pairs.missing_of(seen.key).cloned(), remembered);
        }
        Ok(judged)
    }

    /// Why a file is not ready by its tuple alone.
    pub(super) fn unready(&self, seen: &Seen<'_>) -> Option<(Duration, Why)> {
        if self.look.patience == Patience::OnSight {
            return None;
        }
        let waits = self.room.get(&seen.waits_as);
        let now = self.look.clock.tick();
        match standing(waits, &seen.tuple, seen.tick, now, self.rules.stable_for()) {
            Standing::Still => None,
            Standing::Since(first) => {
                let why = match waits {
                    Some(waits) if !agree(&waits.tuple, &seen.tuple) => Why::Changing,
                    Some(waits) if waits.why.is_timed() => waits.why.clone(),
                    _ => Why::Settling,
                };
                Some((first, why))
            }
        }
    }

    pub(super) fn wait(&mut self, key: &Key, tuple: Tuple, first_tick: Duration, why: Why) -> Judged {
        let roomless = !self.room.wait(key, tuple, first_tick, self.look.clock.now(), why);
        self.roomless += u64::from(roomless);
        Judged::Unready
    }

    /// What is asked of a file that stands still.
    fn ready(&mut self, seen: &Seen<'_>, remembered: Option<Tuple>) -> Result<Judged> {
        let size = seen.tuple.size;
        if let Some(reason) = self.refusal(seen) {
            self.room.leave(seen.key);
            let sight = Sight::Refused { reason, tuple: Some(seen.tuple) };
            return Ok(Judged::Settled(Flags::passed(), Some(sight)));
        }
        let first_tick =
            self.room.get(seen.key).filter(|w| agree(&w.tuple, &seen.tuple)).map_or(seen.tick, |w| w.first_tick);
        if size == 0 {
            match self.rules.settings.empty {
                Empty::Deliver => {}
                Empty::Wait => return Ok(self.wait(seen.key, seen.tuple, first_tick, Why::Empty)),
                Empty::Ignore => {
                    self.room.leave(seen.key);
                    return Ok(Judged::Settled(Flags::passed(), None));
                }
            }
        }
        let mut candidate = self.candidate(seen, remembered);
        let why = match self.may_be_renamed(&candidate).then_some(Why::Renaming) {
            Some(why) => Some(why),
            None => self.ask(seen, &mut candidate)?,
        };
        Ok(match why {
            Some(why) => self.wait(seen.key, seen.tuple, first_tick, why),
            None => Judged::Read(Box::new(candidate)),
        })
    }

    pub(super) fn candidate(&self, seen: &Seen<'_>, remembered: Option<Tuple>) -> Candidate {
        Candidate {
            key: seen.key.clone(),
            tuple: seen.tuple,
            captures: true,
            told: seen.known.filter(|known| known.presence == Presence::Present).and_then(|known| known.fingerprint),
            checksum: None,
            checksum_tuple: None,
            remembered,
            place: seen.place.map(<[u8]>::to_vec),
            last: seen.known.and_then(|known| known.tuple.zip(known.fingerprint)),
            is_untold: false,
            waits_as: seen.waits_as.clone(),
            note: Box::default(),
            only: None,
            from: self.pairs.missing_of(seen.key).or(self.room.get(seen.key).and_then(|w| w.from.as_ref())).cloned(),
        }
    }

    /// Why a file can't become an event by its name and size alone.
    pub(super) fn refusal(&self, seen: &Seen<'_>) -> Option<String> {
        let size = seen.tuple.size;
        if let Some(max) = self.rules.max_size.filter(|max| size > max.0) {
            return Some(format!("{size} bytes are more than max_size = \"{max}\"; raise max_size or exclude it"));
        }
        // Such a name of somebody else's could break out of a line of a command or a log.
        let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        let hostile = self.directory.is_remote() && seen.key.as_bytes().iter().any(breaks);
        hostile.then(|| "its name holds a line break or NUL; rename it on the server".into())
    }

    /// Whether a missing file of a remote place, under whose name this one was told before, was missed only once so far.
    fn may_be_renamed(&self, candidate: &Candidate) -> bool {
        let is_listed = self.look.scope != Scope::Waiting;
        let from = if is_listed { self.pairs.missing_of(&candidate.key) } else { candidate.from.as_ref() };
        self.look.patience == Patience::Return && from.is_some_and(|from| !from.confirmed)
    }

    fn ask(&self, seen: &Seen<'_>, candidate: &mut Candidate) -> Result<Option<Why>> {
        Ok(match self.ask_marker(seen, candidate)? {
            None => self.ask_checksum(seen, candidate)?.or_else(|| self.known_ending(seen)),
            why => why,
        })
    }

    fn ask_marker(&self, seen: &Seen<'_>, candidate: &mut Candidate) -> Result<Option<Why>> {
        let Some(marker) = &self.rules.marker else { return Ok(None) };
        let path = marker.path_for(seen.key.as_bytes());
        let name = shown(super::place::split(&path).1);
        let found = self.directory.look(&path)?.filter(|found| found.shape == Shape::File);
        let Some(found) = found else { return Ok(Some(Why::Marker(format!("marker {name} is missing")))) };
        // One marker for a folder says nothing of what came after it.
        let older = found.tuple.ctime_ns > 0 && found.tuple.ctime_ns < seen.tuple.ctime_ns;
        if marker.is_shared() && older {
            return Ok(Some(Why::Marker(format!("marker {name} is older than this file; renew it"))));
        }
        candidate.note = note(&found.tuple);
        let Some(known) = seen.known.filter(|known| known.note == candidate.note) else { return Ok(None) };
        let text = format!("marker {name} was already used for an earlier version; renew it");
        let may_be_touched = known.presence == Presence::Present && known.size == seen.tuple.size;
        match known.fingerprint.filter(|_| may_be_touched && !self.waits_so(seen, |why| matches!(why, Why::Marker(_))))
        {
            Some(unchanged) => {
                (candidate.only, candidate.captures) = (Some((unchanged, text)), false);
                Ok(None)
            }
            None => Ok(Some(Why::Marker(text))),
        }
    }

    pub(super) fn ask_checksum(&self, seen: &Seen<'_>, candidate: &mut Candidate) -> Result<Option<Why>> {
        let Some(sidecar) = &self.rules.checksum else { return Ok(None) };
        let path = sidecar.path_for(seen.key.as_bytes());
        let name = shown(super::place::split(&path).1);
        let wrong = |text: String| Ok(Some(Why::Checksum { text, read_with: None }));
        let Some(found) = self.directory.look(&path)? else { return wrong(format!("checksum {name} is missing")) };
        let in_vain = |why: &Why| matches!(why, Why::Checksum { read_with: Some(tuple), .. } if *tuple == found.tuple);
        if self.waits_so(seen, in_vain) {
            return Ok(self.room.get(&seen.waits_as).map(|waits| waits.why.clone()));
        }
        let text = read_small(self.directory, &path, CHECKSUM_BYTES_MAX);
        match text.and_then(|text| parse_checksum(&text, seen.key.name())) {
            Some(checksum) => {
                (candidate.checksum, candidate.checksum_tuple) = (Some(checksum), Some(found.tuple));
                Ok(None)
            }
            None => wrong(format!("checksum {name} holds no SHA-256 or MD5 for this file")),
        }
    }

    /// The version was read before, and its ending was not as asked.
    pub(super) fn known_ending(&self, seen: &Seen<'_>) -> Option<Why> {
        let known = self.waits_so(seen, |why| matches!(why, Why::Ending(_)));
        self.room.get(&seen.waits_as).filter(|_| known).map(|waits| waits.why.clone())
    }

    /// Whether exactly this version waits for such a reason.
    pub(super) fn waits_so(&self, seen: &Seen<'_>, fits: impl Fn(&Why) -> bool) -> bool {
        self.room.get(&seen.waits_as).is_some_and(|waits| agree(&waits.tuple, &seen.tuple) && fits(&waits.why))
    }

    /// Decides what is told of a file after it was read.
    pub fn conclude(&mut self, mut candidate: Candidate, reading: Reading) -> Result<Concluded> {
        if let Some(place) = self.claimed_to(&candidate).filter(|_| matches!(reading, Reading::Whole(_))) {
            self.room.leave(&candidate.key);
            candidate.waits_as = Key::from(place);
        }
        let key = &candidate.waits_as;
        let now = self.look.clock.tick();
        let first_tick = self.room.get(key).filter(|w| agree(&w.tuple, &candidate.tuple)).map_or(now, |w| w.first_tick);
        // That it is untold must be known when it is looked at alone.
        let known = candidate.remembered.or(candidate.is_untold.then_some(candidate.tuple));
        match reading {
            Reading::Whole(whole) => match self.flaw(&candidate, &whole) {
                Some(why) => {
                    self.wait(key, candidate.tuple, first_tick, why);
                    self.room.note(key, candidate.from, known);
                    Ok(Concluded::default())
                }
                None => self.whole(candidate, *whole),
            },
            Reading::Changing => {
                match self.directory.look(key.as_bytes())?.filter(|found| found.shape == Shape::File) {
                    Some(found) => {
                        self.wait(key, found.tuple, now, Why::Changing);
                        self.room.note(key, candidate.from, known);
                    }
                    None => self.room.leave(key),
                }
                Ok(Concluded::default())
            }
            Reading::Vanished => {
                self.room.leave(key);
                Ok(Concluded::default())
            }
            Reading::Occupied => {
                self.wait_behind(&candidate);
                Ok(Concluded::default())
            }
            Reading::Unreadable(reason) => Ok(self.unreadable(candidate, first_tick, reason)),
        }
    }

    /// Where a candidate is claimed to.
    fn claimed_to(&self, candidate: &Candidate) -> Option<Vec<u8>> {
        let claim = self.rules.filters.claim().filter(|_| self.claims() && candidate.place.is_none())?;
        Some(claim.path_of(candidate.key.as_bytes()))
    }

    /// Whether files are claimed before they are read: `peek` changes nothing.
    pub fn claims(&self) -> bool {
        self.rules.filters.claim().is_some() && self.look.patience == Patience::Return
    }

    /// What a version that was read lacks.
    fn flaw(&self, candidate: &Candidate, whole: &Whole) -> Option<Why> {
        if let Some((only, text)) = &candidate.only
            && whole.fingerprint != *only
        {
            return Some(Why::Marker(text.clone()));
        }
        if candidate.checksum.as_ref().is_some_and(|checksum| !whole.has(checksum)) {
            let text = "content does not have the checksum it must have".to_owned();
            return Some(Why::Checksum { text, read_with: candidate.checksum_tuple });
        }
        let pattern = self.rules.settings.ends_with.as_ref();
        let pattern = pattern.filter(|pattern| !ends_with(&whole.ending, pattern))?;
        Some(Why::Ending(format!("does not end with \"{pattern}\"")))
    }

    fn whole(&mut self, candidate: Candidate, whole: Whole) -> Result<Concluded> {
        self.room.leave(&candidate.waits_as);
        let is_last = candidate.last.is_some_and(|(_, told)| told == whole.fingerprint);
        if candidate.place.is_some() && is_last && !candidate.is_untold {
            return Ok(Concluded { flags: Some(Flags::TOLD), ..Concluded::default() });
        }
        let place = self.claimed_to(&candidate);
        let mut version = version(whole.tuple, Some(whole.fingerprint), candidate.note);
        version.content = whole.content;
        if let Facts::File { size, .. } = &mut version.facts {
            *size = whole.bytes;
        }
        let is_over = is_unit_over(&candidate.tuple, self.look.clock.now());
        let flags = if is_over { Flags::TOLD } else { Flags::TOLD.unsure() };
        let mut concluded = Concluded { flags: Some(flags), ..Concluded::default() };
        concluded.remembered.extend(candidate.remembered.map(|tuple| (candidate.key.clone(), tuple)));
        let from = candidate.from.filter(|from| from.is_now(&candidate.tuple, whole.fingerprint));
        if let Some(from) = from
            && self.directory.look(from.key.as_bytes())?.is_none()
        {
            version.from = Some(from.key.clone());
            if from.remembered {
                concluded.remembered.push((from.key.clone(), from.tuple));
            }
            concluded.entries.push(Entry { key: from.key, sight: Sight::Gone(Absence::ByUs) });
        }
        let key = candidate.key;
        if self.claims() {
            // It is under its name no more: what comes under that name next is a new file.
            concluded.entries.push(Entry { key: key.clone(), sight: Sight::Gone(Absence::ByUs) });
            if let Some(path) = place {
                concluded.flags = None;
                concluded.mark = Some(Mark { path, flags, tuple: candidate.tuple });
            }
        }
        concluded.entries.insert(0, Entry { key, sight: Sight::Version(Box::new(version)) });
        Ok(concluded)
    }

    /// It is refused, once for each version and reason, and tried again by every poll: rights change without a trace.
    fn unreadable(&mut self, candidate: Candidate, first_tick: Duration, reason: String) -> Concluded {
        self.unreadable.0 += 1;
        self.unreadable.1.get_or_insert_with(|| reason.clone());
        let why = Why::Unreadable(reason.clone());
        let key = &candidate.waits_as;
        let said = self.room.get(key).is_some_and(|w| agree(&w.tuple, &candidate.tuple) && w.why == why);
        self.wait(key, candidate.tuple, first_tick, why);
        let sight = Sight::Refused { reason: format!("cannot be read: {reason}"), tuple: Some(candidate.tuple) };
        let entry = Entry { key: candidate.key, sight };
        Concluded { entries: if said { Vec::new() } else { vec![entry] }, ..Concluded::default() }
    }
}

fn version(tuple: Tuple, fingerprint: Option<Fingerprint>, note: Box<[u8]>) -> Version {
    Version {
        fingerprint,
        facts: Facts::File { size: tuple.size, modified: modified(&tuple) },
        content: None,
        tuple: Some(tuple),
        note,
        settled: false,
        from: None,
    }
}

/// A marker's tuple as a note.
pub(super) fn note(tuple: &Tuple) -> Box<[u8]> {
    let parts = [tuple.size, tuple.mtime_ns as u64, tuple.ctime_ns as u64, tuple.inode];
    parts.iter().flat_map(|part| part.to_be_bytes()).collect()
}
