//! What is known of the places that files are claimed to. Before a file is renamed there, a mark is committed in the known
//! listing of its claim folder: what lies there from now on is untold. The mark that replaces it is committed with the event.
//! So a process that is killed at any moment leaves no doubt; renaming and reading is `claim` and `reading`.

use std::collections::BTreeMap;

use super::action::private_path;
use super::block::{Flags, Settled, encode};
use super::claim::Claiming;
use super::coarse::{agree, agree_across_zones, is_exact};
use super::judge::Candidate;
use super::place::{Directory, Found, Renamed, Shape, split};
use super::reading::fingerprint_now;
use super::segment::{LOOSE, Segment};
use super::settle::Settling;
use crate::change::{Fingerprint, Tuple};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Block, SegmentWrite};

/// How an entry goes into the known listing of a folder that is not being settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its path.
    pub path: Vec<u8>,
    /// What is known of it.
    pub flags: Flags,
    /// What a listing said of it.
    pub tuple: Tuple,
}

/// Marks as loose blocks with ordinals behind `last`, which counts on.
pub fn loose(marks: &[Mark], last: &mut i64) -> Vec<SegmentWrite> {
    let mut folders: BTreeMap<&[u8], Vec<Settled<'_>>> = BTreeMap::new();
    for mark in marks {
        let (folder, name) = split(&mark.path);
        folders.entry(folder).or_default().push(Settled { flags: mark.flags, name, tuple: mark.tuple });
    }
    let block = |(folder, entries): (&[u8], Vec<Settled<'_>>)| {
        *last += 1;
        let block = Block { ordinal: *last, bytes: encode(entries.into_iter()) };
        SegmentWrite::Put { folder: folder.to_vec(), block }
    };
    folders.into_iter().map(block).collect()
}

/// What a known listing says of a place.
type Entry = Option<(Flags, Tuple)>;

impl Settling<'_> {
    /// Prepares the claims of candidates that are to be read; `None` for those that are not claimed. Afterwards the places of
    /// those that are hold nothing that was told, and their marks are committed.
    pub(super) fn prepare_claims(&mut self, candidates: &[&Candidate]) -> Result<Vec<Option<Claiming>>> {
        let claim = self.judge.rules.filters.claim().filter(|_| self.judge.claims());
        let Some(claim) = claim else { return Ok(candidates.iter().map(|_| None).collect()) };
        let place_of =
            |candidate: &&Candidate| candidate.place.is_none().then(|| claim.path_of(candidate.key.as_bytes()));
        let places: Vec<Option<Vec<u8>>> = candidates.iter().map(place_of).collect();
        let entries = self.load_entries(&places)?;
        let (mut claims, mut marks) = (Vec::with_capacity(places.len()), Vec::new());
        for ((candidate, place), entry) in candidates.iter().zip(places).zip(entries) {
            let Some(path) = place else {
                claims.push(None);
                continue;
            };
            // A name that comes for the first time needs no mark: nothing that is known can be taken for it.
            let is_known = entry.is_some() || candidate.last.is_some();
            let may_be_there = entry.is_some() || !self.lists_all;
            let prepared = match is_known && may_be_there {
                true => self.free(&path, entry, candidate.last),
                false => Ok(true),
            };
            match prepared {
                Ok(true) if is_known => {
                    let flags = Flags::TOLD.claimed();
                    marks.push(Mark { path: path.clone(), flags, tuple: candidate.tuple });
                    claims.push(Some(Claiming::To(path)));
                }
                Ok(true) => claims.push(Some(Claiming::To(path))),
                Ok(false) => claims.push(Some(Claiming::Occupied)),
                Err(error) if error.kind() == ErrorKind::Stopped => return Err(error),
                Err(error) => claims.push(Some(Claiming::Failed(error.to_string()))),
            }
        }
        if !marks.is_empty() {
            self.pages.push_marked(Vec::new(), marks, self.ledger)?;
            self.pages.flush(self.ledger)?;
        }
        Ok(claims)
    }

    /// What the known listings say of these places.
    fn load_entries(&mut self, places: &[Option<Vec<u8>>]) -> Result<Vec<Entry>> {
        let mut entries = vec![None; places.len()];
        let mut folders: BTreeMap<&[u8], BTreeMap<&[u8], usize>> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            if let Some((folder, name)) = place.as_deref().map(split) {
                folders.entry(folder).or_default().insert(name, at);
            }
        }
        for (folder, names) in folders {
            let segment = Segment::new(self.ledger.segment(folder)?);
            let last = segment.blocks().last().map_or(LOOSE, |block| block.ordinal);
            self.pages.loose_behind(last);
            let mut walk = segment.walk();
            // A damaged listing is made anew by the next look; what it may have said is found out by looking.
            while let Ok(Some(entry)) = walk.next_entry().inspect_err(|_| self.lists_all = false) {
                if let Some(at) = names.get(entry.name) {
                    entries[*at] = Some((entry.flags, entry.tuple));
                }
            }
        }
        Ok(entries)
    }

    /// Makes sure that nothing lies at `place`: what was told is put aside, where its after-action finds it. Returns whether
    /// the place is free; what was not told goes first.
    fn free(&self, place: &[u8], entry: Entry, last: Option<(Tuple, Fingerprint)>) -> Result<bool> {
        let directory = self.judge.directory;
        let Some(found) = directory.look(place)? else { return Ok(true) };
        if found.shape != Shape::File || entry.is_some_and(|(flags, _)| !flags.is_known_file()) {
            return Ok(false);
        }
        let told = match last {
            Some(last) => version_there(directory, place, &found, last)?,
            // Its row was pruned, or it was there at first and only remembered.
            None => match entry.filter(|(_, tuple)| agree_across_zones(&found.tuple, tuple)) {
                Some(_) => fingerprint_now(directory, place, &Stop::new())?.map(|(_, now)| now),
                None => None,
            },
        };
        told.map_or(Ok(false), |told| put_aside(directory, place, told).map(|()| true))
    }
}

/// The content of the file at `place` if it is the version told last: by its times where they are exact, else by its content.
fn version_there(
    directory: &dyn Directory,
    place: &[u8],
    found: &Found,
    (tuple, fingerprint): (Tuple, Fingerprint),
) -> Result<Option<Fingerprint>> {
    let may_be = agree(&found.tuple, &tuple);
    if !may_be || (is_exact(&found.tuple) && is_exact(&tuple)) {
        return Ok(may_be.then_some(fingerprint));
    }
    let now = fingerprint_now(directory, place, &Stop::new())?;
    Ok(now.map(|(_, now)| now).filter(|now| *now == fingerprint))
}

fn put_aside(directory: &dyn Directory, place: &[u8], fingerprint: Fingerprint) -> Result<()> {
    let aside = private_path(place, fingerprint);
    let mut renamed = directory.rename_new(place, &aside)?;
    if renamed == Renamed::Taken {
        // The same content was put aside before.
        directory.remove(&aside)?;
        renamed = directory.rename_new(place, &aside)?;
    }
    match renamed {
        Renamed::Done | Renamed::Missing => Ok(()),
        Renamed::Taken => Err(Error::new(ErrorKind::Unavailable, "what was told before can't be put aside")),
        Renamed::OtherDisk => Err(Error::internal("a file's own folder is on another disk")),
        Renamed::Refused(why) => {
            Err(Error::new(ErrorKind::Denied, "what was told before can't be put aside").because(why))
        }
        Renamed::Forbidden(why) => Err(Error::new(ErrorKind::Denied, super::claim::FORBIDDEN).because(why)),
    }
}
