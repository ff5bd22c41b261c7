//! Compares one folder's listing with its known one while it streams. As long as both run in step nothing is stored and
//! nothing allocated; from the first difference on, known entries are found by name. What a difference means is `settle`.

use super::block::{Flags, Settled};
use super::coarse::{agree, tells_time};
use super::filter::Filters;
use super::findings::{Finding, Findings};
use super::place::{Found, Listed, Shape, join};
use super::segment::{Index, LOOSE, Numbered, Segment, Walk};
use super::shift::Shifting;
use crate::change::Key;
use crate::error::Result;
use crate::source::{Ledger, WAITING_SHOWN_MAX};

/// How closely known entries are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What filters once decided stands.
    Trusting,
    /// Filters decide anew for every entry.
    Refiltering,
    /// Filters decide anew, and what they take out is gathered for people.
    Showing,
}

/// What comparing folders came to, added up.
#[derive(Debug, Default)]
pub struct Tally {
    /// Entries listed.
    pub listed: u64,
    /// Files known before: told or remembered.
    pub known: u64,
    /// Of those, files that were not listed.
    pub gone: u64,
    /// Files that are not in the known listing.
    pub new: u64,
    /// Files whose tuple differs.
    pub changed: u64,
    /// Folders to enter.
    pub folders: Vec<Subfolder>,
    /// Known folders that were not listed.
    pub vanished: Vec<Vec<u8>>,
    /// What filters take out, for people.
    pub ignored: Vec<(Key, String)>,
}

/// A folder found in another.
#[derive(Debug)]
pub struct Subfolder {
    /// Its path.
    pub path: Vec<u8>,
    /// Whether the known listing had it and filters admitted it.
    pub known: bool,
}

/// The comparison of one folder.
pub struct Comparison<'a, 'w, 'l> {
    folder: &'a [u8],
    segment: &'a Segment,
    filters: &'a Filters,
    manner: Manner,
    walk: Walk<'a>,
    in_step: usize,
    known: u64,
    /// Whether known entries are gone: what is said of them comes last, so no block may be committed before.
    lost: bool,
    apart: Option<Apart<'a>>,
    shift: Shifting,
    findings: &'w mut Findings,
    tally: &'w mut Tally,
    ledger: &'w mut (dyn Ledger + 'l),
}

/// What is needed once the listings are not in step any more.
struct Apart<'a> {
    listing: Numbered<'a>,
    index: Option<Index>,
    seen: Vec<bool>,
    unseen: usize,
    /// The entry expected next.
    cursor: usize,
    run: (usize, usize),
    in_order: bool,
    differs: bool,
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as it was.
    Alike,
    /// Findings were added.
    Different {
        /// Whether known entries came in their known order, none missing.
        in_order: bool,
        /// By how much the times of all files moved, when that is the only difference: a clock was set, not a file changed.
        shift: Option<i64>,
    },
}

/// How far a listing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// To its end.
    Whole,
    /// It is not proven that it came to its end.
    Doubtful,
}

impl<'a, 'w, 'l> Comparison<'a, 'w, 'l> {
    /// Begins to compare `folder` with `segment`.
    pub fn new(
        folder: &'a [u8],
        segment: &'a Segment,
        filters: &'a Filters,
        manner: Manner,
        (findings, tally, ledger): (&'w mut Findings, &'w mut Tally, &'w mut (dyn Ledger + 'l)),
    ) -> Result<Self> {
        let walk = segment.walk();
        let (in_step, known, lost, apart, shift) = (0, 0, false, None, Shifting::default());
        let mut new = Self {
            folder,
            segment,
            filters,
            manner,
            walk,
            in_step,
            known,
            lost,
            apart,
            shift,
            findings,
            tally,
            ledger,
        };
        if manner != Manner::Trusting || segment.has_loose() {
            new.part()?;
        }
        Ok(new)
    }

    /// Takes the next listed entry.
    #[inline]
    pub fn entry(&mut self, listed: Listed<'_>) -> Result<()> {
        self.tally.listed += 1;
        if self.apart.is_none() {
            match self.walk.next_entry()? {
                Some(known) if known.name == listed.name && is_same(&known, &listed.found) => {
                    self.in_step += 1;
                    self.known += u64::from(known.flags.is_known_file());
                    self.shift.stands |= known.flags.is_known_file() && tells_time(&known.tuple);
                    if known.flags == Flags::of(Shape::Folder) {
                        self.enter(listed.name, true);
                    }
                    return Ok(());
                }
                _ => self.part()?,
            }
        }
        self.search(listed)
    }

    /// Ends a listing that reached its end. Of a doubtful one nothing follows for entries that were not listed.
    pub fn finish(mut self, ended: Ended) -> Result<Outcome> {
        if self.apart.is_none() {
            if ended == Ended::Doubtful || self.walk.next_entry()?.is_none() {
                self.tally.known += self.known;
                return Ok(Outcome::Alike);
            }
            self.part()?;
        }
        self.find_leftovers()?;
        self.end_run()?;
        let mut apart = self.apart.take().expect("part() was called");
        for number in (0..apart.listing.count()).filter(|number| !apart.seen[*number]) {
            if ended == Ended::Doubtful {
                self.lost = true;
                self.findings.push(Finding::Same { first: number, count: 1 }, self.ledger)?;
                continue;
            }
            apart.differs = true;
            let entry = apart.listing.entry(number)?;
            self.gone(number, &entry)?;
        }
        self.tally.known += self.known;
        if !apart.differs {
            return Ok(Outcome::Alike);
        }
        let shift = if ended == Ended::Whole { self.shift.by_ns() } else { None };
        Ok(Outcome::Different { in_order: apart.in_order && !self.lost, shift })
    }

    /// Gives up the common step: what was passed so far becomes a run of same entries.
    fn part(&mut self) -> Result<()> {
        let listing = self.segment.number()?;
        let mut seen = vec![false; listing.count()];
        seen[..self.in_step].fill(true);
        self.known = 0;
        for number in 0..listing.count() {
            self.known += u64::from(listing.entry(number)?.flags.is_known_file());
        }
        self.apart = Some(Apart {
            unseen: listing.count() - self.in_step,
            listing,
            index: None,
            seen,
            cursor: self.in_step,
            run: (0, self.in_step),
            in_order: true,
            differs: false,
        });
        if self.segment.has_loose() {
            self.find_leftovers()?;
        }
        Ok(())
    }

    /// Of two known entries with one name only the later counts, unless the earlier was found already.
    fn find_leftovers(&mut self) -> Result<()> {
        let apart = self.apart.as_mut().expect("part() was called");
        if apart.index.is_some() || apart.unseen == 0 {
            return Ok(());
        }
        let mut dropped = Vec::new();
        apart.index = Some(Index::new(&apart.listing, &mut |earlier, later| dropped.push((earlier, later)))?);
        for (earlier, later) in dropped {
            let drop = if apart.seen[earlier] { later } else { earlier };
            if !std::mem::replace(&mut apart.seen[drop], true) {
                apart.unseen -= 1;
                apart.differs = true;
                self.known -= u64::from(apart.listing.entry(drop)?.flags.is_known_file());
            }
        }
        Ok(())
    }

    fn search(&mut self, listed: Listed<'_>) -> Result<()> {
        match self.number_of(listed.name)? {
            Some(number) => self.found(number, listed),
            None => self.new_entry(listed),
        }
    }

    fn number_of(&mut self, name: &[u8]) -> Result<Option<usize>> {
        let apart = self.apart.as_mut().expect("part() was called");
        while apart.seen.get(apart.cursor) == Some(&true) {
            apart.cursor += 1;
        }
        if apart.unseen == 0 {
            return Ok(None);
        }
        if apart.cursor < apart.listing.count() && apart.listing.entry(apart.cursor)?.name == name {
            return Ok(Some(apart.cursor));
        }
        self.find_leftovers()?;
        let apart = self.apart.as_ref().expect("part() was called");
        let Some(index) = &apart.index else { return Ok(None) };
        // One that was seen already is a name listed twice: the place was changed while it was listed.
        Ok(index.find(&apart.listing, name)?.filter(|number| !apart.seen[*number]))
    }

    fn found(&mut self, number: usize, listed: Listed<'_>) -> Result<()> {
        let apart = self.apart.as_mut().expect("part() was called");
        let known = apart.listing.entry(number)?;
        apart.seen[number] = true;
        apart.unseen -= 1;
        if self.segment.blocks()[apart.listing.block_of(number)?].ordinal >= LOOSE {
            apart.differs = true;
        } else {
            apart.in_order &= number >= apart.cursor;
            apart.cursor = number + 1;
        }
        if known.flags.shape() != listed.found.shape {
            self.end_run()?;
            self.gone(number, &known)?;
            return self.new_entry(listed);
        }
        if self.manner != Manner::Trusting {
            let out = self.is_out(listed);
            if out && !known.flags.is_filtered() {
                return self.add(Finding::Leaves { number });
            }
            if !out && (known.flags.is_filtered() || known.flags.is_passed()) {
                return self.new_entry(listed);
            }
        }
        if known.flags == Flags::of(Shape::Folder) {
            self.enter(listed.name, true);
        }
        if is_same(&known, &listed.found) {
            return self.same(number);
        }
        self.tally.changed += u64::from(known.flags.shape() == Shape::File);
        if known.flags.shape() == Shape::File {
            self.shift.changed(&known.tuple, &listed.found.tuple);
        }
        self.add(Finding::Changed { number, tuple: listed.found.tuple })
    }

    fn same(&mut self, number: usize) -> Result<()> {
        let apart = self.apart.as_mut().expect("part() was called");
        let known = apart.listing.entry(number)?;
        self.shift.stands |= known.flags.is_known_file() && tells_time(&known.tuple);
        if number != apart.run.0 + apart.run.1 || apart.run.1 == 0 {
            self.end_run()?;
            self.apart.as_mut().expect("part() was called").run = (number, 1);
        } else {
            apart.run.1 += 1;
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<()> {
        let apart = self.apart.as_mut().expect("part() was called");
        let (first, count) = std::mem::take(&mut apart.run);
        if count > 0 {
            self.findings.push(Finding::Same { first, count }, self.ledger)?;
        }
        Ok(())
    }

    fn add(&mut self, finding: Finding<'_>) -> Result<()> {
        self.end_run()?;
        self.apart.as_mut().expect("part() was called").differs = true;
        self.findings.push(finding, self.ledger)
    }

    fn gone(&mut self, number: usize, known: &Settled<'_>) -> Result<()> {
        self.lost = true;
        self.tally.gone += u64::from(known.flags.is_known_file());
        if known.flags == Flags::of(Shape::Folder) {
            self.tally.vanished.push(join(self.folder, known.name));
        }
        if let Some(apart) = &mut self.apart {
            apart.differs = true;
        }
        self.findings.push(Finding::Gone { number }, self.ledger)
    }

    fn new_entry(&mut self, listed: Listed<'_>) -> Result<()> {
        let flags = Flags::of(listed.found.shape);
        let out = self.is_out(listed);
        match listed.found.shape {
            Shape::File => self.tally.new += u64::from(!out),
            Shape::Folder if !out => self.enter(listed.name, false),
            Shape::Folder | Shape::Other => {}
        }
        let flags = if out { flags.filtered() } else { flags };
        self.add(Finding::New { flags, name: listed.name, tuple: listed.found.tuple })
    }

    /// Whether filters take an entry out. Others than files and folders are passed over anyway.
    fn is_out(&mut self, listed: Listed<'_>) -> bool {
        let path = join(self.folder, listed.name);
        let why = match listed.found.shape {
            Shape::File => self.filters.why_not_file(&path),
            Shape::Folder => self.filters.why_not_folder(&path),
            Shape::Other => None,
        };
        let out = why.is_some();
        let why = why.or((listed.found.shape == Shape::Other).then(|| "is neither file nor folder".to_owned()));
        if let (Manner::Showing, Some(why)) = (self.manner, why)
            && self.tally.ignored.len() < WAITING_SHOWN_MAX
        {
            self.tally.ignored.push((Key::from(path), why));
        }
        out
    }

    fn enter(&mut self, name: &[u8], known: bool) {
        self.tally.folders.push(Subfolder { path: join(self.folder, name), known });
    }
}

/// Whether a listed entry is the known one, the name apart. Folders change their own times with every entry.
fn is_same(known: &Settled<'_>, found: &Found) -> bool {
    known.flags.shape() == found.shape
        && match found.shape {
            _ if known.flags.is_filtered() => true,
            Shape::File => !known.flags.is_open() && agree(&known.tuple, &found.tuple),
            Shape::Folder => known.tuple.inode == found.tuple.inode,
            Shape::Other => true,
        }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
