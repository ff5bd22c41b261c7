//! Carries out a poll's decisions: reads what is ready, tells it page by page, and writes known listings anew behind what
//! was told. Decisions about files are `judge`'s, about what is gone `removal`'s.

use std::collections::HashSet;

use super::block::{Flags, Settled};
use super::claim::Claim;
use super::findings::{Finding, Findings, FolderState, Reader, Section};
use super::judge::{Candidate, Judge, Judged, Seen};
use super::mark::Mark;
use super::pages::{PAGE_CONTENT_BYTES, PAGE_MAX, Pages};
use super::place::{Shape, join, split};
use super::reading::{Order, Reading, read_all};
use super::recut::Recut;
use super::removal::{Gone, GoneFile, Removals};
use super::segment::{Numbered, Segment};
use crate::change::content::INLINE_BYTES_MAX;
use crate::change::{Entry, Key, Known, Sight, Tuple};
use crate::error::{Error, Result};
use crate::source::{Ledger, SegmentWrite};

/// One poll's decisions being carried out.
pub struct Settling<'a> {
    /// Decides about files.
    pub judge: Judge<'a>,
    /// Decides about what is gone.
    pub removals: Removals,
    /// What was told and is not committed yet.
    pub pages: Pages,
    /// What is known.
    pub ledger: &'a mut dyn Ledger,
    /// Whether no row need be asked for.
    pub knows_nothing: bool,
    /// Whether the poll itself waits until what it saw stood still.
    pub waits: bool,
    /// Vanished folders, and those above them, that keep entries.
    pub keeping: HashSet<Vec<u8>>,
    /// Files of remote places whose times were before this and moved by whole hours together are as they were: had one been
    /// written again, its time would be later.
    pub written_before: Option<i64>,
    /// Whether claim folders were listed to the end by this poll.
    pub lists_all: bool,
    /// Why a content found no room.
    full: Option<crate::error::Error>,
}

/// One finding with its row.
enum Item {
    Same { first: usize, count: usize },
    Placed { flags: Flags, name: Vec<u8>, tuple: Tuple, number: Option<usize> },
    File { key: Key, tuple: Tuple, number: Option<usize>, was: Option<(Flags, Tuple)>, place: Option<Vec<u8>> },
    Gone { number: usize, file: GoneFile },
    GoneOther { number: usize, path: Vec<u8>, flags: Flags },
    Leaves { number: usize, path: Vec<u8>, flags: Flags },
}

/// What is to be done about one finding.
enum Step {
    Same {
        first: usize,
        count: usize,
    },
    Place {
        flags: Flags,
        name: Vec<u8>,
        tuple: Tuple,
        number: Option<usize>,
        entries: Vec<Entry>,
    },
    /// It stays as known, or out, so that the next poll sees it again.
    Leave {
        number: Option<usize>,
        entries: Vec<Entry>,
        mark: Option<Mark>,
    },
    Drop {
        entry: Option<Entry>,
        remembered: Option<(Key, Tuple)>,
    },
    Read {
        candidate: Box<Candidate>,
        number: Option<usize>,
    },
}

impl<'a> Settling<'a> {
    /// Begins to carry out what `judge` and `removals` decide.
    pub fn new(judge: Judge<'a>, removals: Removals, ledger: &'a mut dyn Ledger) -> Self {
        Self {
            judge,
            removals,
            pages: Pages::default(),
            knows_nothing: ledger.knows_nothing(),
            ledger,
            waits: false,
            keeping: HashSet::new(),
            written_before: None,
            lists_all: false,
            full: None,
        }
    }

    /// Settles the findings of all folders.
    pub fn sections(&mut self, findings: &Findings) -> Result<()> {
        let claim = self.judge.rules.filters.claim();
        let is_claimed = |section: &&Section| claim.is_some_and(|claim| claim.below(&section.folder).is_some());
        let (claimed, others): (Vec<_>, Vec<_>) = findings.sections().iter().partition(is_claimed);
        for section in &claimed {
            self.folder(findings, section)?;
        }
        if !claimed.is_empty() {
            // What lies in the claim folder goes before what is claimed next, and its rows must be there by then. Marks of
            // those claims are put behind listings that are not written any more.
            self.pages.flush(self.ledger)?;
            self.knows_nothing = self.ledger.knows_nothing();
        }
        others.into_iter().try_for_each(|section| self.folder(findings, section))
    }

    /// Settles the findings of one folder.
    fn folder(&mut self, findings: &Findings, section: &Section) -> Result<()> {
        if self.waits {
            self.wait_until_still(section)?;
        }
        let segment = if section.damaged {
            let folder = section.folder.clone();
            self.pages.push_segments(vec![SegmentWrite::DeleteFolder { folder }], self.ledger)?;
            Segment::default()
        } else {
            Segment::new(self.ledger.segment(&section.folder)?)
        };
        let listing = segment.number()?;
        let mut recut = Recut::new(&section.folder, &listing, segment.blocks());
        let mut reader = findings.read(section);
        loop {
            self.judge.look.stop.check()?;
            let items = read_items(&mut reader, section, &listing, self.judge.rules.filters.claim())?;
            if items.is_empty() {
                break;
            }
            let mut steps = self.decide(items, section)?.into_iter().peekable();
            while steps.peek().is_some() {
                let batch = take_batch(&mut steps);
                self.carry_out(batch, &listing, &mut recut)?;
                if section.in_order && !section.damaged {
                    self.pages.push_segments(recut.take_writes(), self.ledger)?;
                }
            }
        }
        let writes = recut.finish()?;
        self.pages.push_segments(writes, self.ledger)
    }

    fn wait_until_still(&self, section: &Section) -> Result<()> {
        let look = self.judge.look;
        let until = section.tick + self.judge.rules.stable_for();
        while look.clock.tick() < until {
            if look.stop.wait(until - look.clock.tick()) {
                return look.stop.check();
            }
        }
        Ok(())
    }

    fn decide(&mut self, items: Vec<Item>, section: &Section) -> Result<Vec<Step>> {
        let keys: Vec<Key> = items.iter().filter_map(Item::key).cloned().collect();
        let rows = if self.knows_nothing { vec![None; keys.len()] } else { self.ledger.known(&keys)? };
        let mut rows = rows.into_iter();
        let mut steps = Vec::with_capacity(items.len());
        for item in items {
            let row = item.key().is_some().then(|| rows.next().flatten()).flatten();
            steps.push(self.step(item, row, section)?);
        }
        Ok(steps)
    }

    fn step(&mut self, item: Item, row: Option<Known>, section: &Section) -> Result<Step> {
        Ok(match item {
            Item::Same { first, count } => Step::Same { first, count },
            Item::Placed { flags, name, tuple, number } => {
                Step::Place { flags, name, tuple, number, entries: Vec::new() }
            }
            Item::File { key, tuple, number, was: Some((flags, old)), place }
                if self.is_shifted(section, flags, &old, &tuple) =>
            {
                let name = place.as_deref().map_or(key.name(), |place| split(place).1).to_vec();
                Step::Place { flags, name, tuple, number, entries: Vec::new() }
            }
            Item::File { key, tuple, number, was, place } => {
                let (tick, place) = (section.tick, place.as_deref());
                let waits_as = place.map_or_else(|| key.clone(), Key::from);
                let seen = Seen { key: &key, tuple, tick, was, known: row.as_ref(), place, waits_as };
                match self.judge.judge(&seen)? {
                    Judged::Settled(flags, sight) => {
                        let name = place.map_or(key.name(), |place| split(place).1).to_vec();
                        let entries = sight.map(|sight| Entry { key, sight }).into_iter().collect();
                        Step::Place { flags, name, tuple, number, entries }
                    }
                    Judged::Unready => stays(number),
                    Judged::Read(candidate) => Step::Read { candidate, number },
                }
            }
            Item::Gone { number, file } => {
                self.judge.room.leave(&file.key);
                match self.removals.judge(&file, row.as_ref(), &self.judge.pairs, self.judge.directory)? {
                    Gone::Stays => {
                        self.keep_above(section);
                        stays(Some(number))
                    }
                    Gone::MissedOnce => {
                        self.keep_above(section);
                        let (flags, name) = (file.flags.missed(), file.key.name().to_vec());
                        Step::Place { flags, name, tuple: file.tuple, number: Some(number), entries: Vec::new() }
                    }
                    Gone::Leaves { entry, remembered } => Step::Drop { entry, remembered },
                }
            }
            Item::GoneOther { number, path, flags } => {
                if flags.shape() == Shape::Folder && self.keeping.contains(&path) {
                    self.keep_above(section);
                    stays(Some(number))
                } else {
                    Step::Drop { entry: None, remembered: None }
                }
            }
            Item::Leaves { number, path, flags } => self.leaves(number, path, flags)?,
        })
    }

    /// Whether the server's clock or zone moved, and not the file.
    fn is_shifted(&self, section: &Section, flags: Flags, old: &Tuple, tuple: &Tuple) -> bool {
        let (Some(shift), Some(before)) = (section.shift, self.written_before) else { return false };
        !flags.is_open() && tuple.mtime_ns.saturating_sub(old.mtime_ns) == shift && tuple.mtime_ns < before
    }

    /// A vanished folder that keeps entries must stay known in the one above, or nobody would look for it again.
    fn keep_above(&mut self, section: &Section) {
        if section.state == FolderState::Vanished {
            self.keeping.insert(section.folder.clone());
        }
    }

    /// An edit of the filters takes out a file, or a folder with everything below.
    fn leaves(&mut self, number: usize, path: Vec<u8>, flags: Flags) -> Result<Step> {
        let name = split(&path).1.to_vec();
        let place = |flags: Flags, entries| {
            let number = Some(number);
            Step::Place { flags: flags.filtered(), name, tuple: Tuple::default(), number, entries }
        };
        if flags.shape() != Shape::Folder {
            let key = Key::from(path);
            self.judge.room.leave(&key);
            return Ok(place(Flags::of(Shape::File), vec![Entry { key, sight: Sight::Forgotten }]));
        }
        let below = join(&path, b"");
        let mut after = None;
        loop {
            let known = self.ledger.known_below(&below, after.as_ref(), PAGE_MAX)?;
            let Some((last, _)) = known.last() else { break };
            after = Some(last.clone());
            for (key, _) in known {
                self.judge.room.leave(&key);
                self.pages.push(vec![Entry { key, sight: Sight::Forgotten }], self.ledger)?;
            }
        }
        let mut folders = self.ledger.folders_below(&path)?;
        folders.push(path);
        let writes = folders.into_iter().map(|folder| SegmentWrite::DeleteFolder { folder }).collect();
        self.pages.push_segments(writes, self.ledger)?;
        Ok(place(Flags::of(Shape::Folder), Vec::new()))
    }

    /// Reads, tells and places one batch of findings, in their order.
    fn carry_out(&mut self, batch: Vec<Step>, listing: &Numbered<'_>, recut: &mut Recut<'_>) -> Result<()> {
        let candidates: Vec<&Candidate> = batch.iter().filter_map(Step::candidate).collect();
        let mut readings = self.read(&candidates)?.into_iter();
        let (mut ready, mut remembered) = (Vec::with_capacity(batch.len()), Vec::new());
        for step in batch {
            ready.push(match step {
                Step::Read { candidate, number } => {
                    let reading = readings.next().ok_or_else(|| Error::internal("a file was not read"))?;
                    let name = candidate.place.as_deref().map_or(candidate.key.name(), |place| split(place).1).to_vec();
                    let tuple = candidate.tuple;
                    let concluded = self.judge.conclude(*candidate, reading)?;
                    remembered.extend(concluded.remembered);
                    match concluded.flags {
                        Some(flags) => Step::Place { flags, name, tuple, number, entries: concluded.entries },
                        None => Step::Leave { number, entries: concluded.entries, mark: concluded.mark },
                    }
                }
                Step::Drop { entry, remembered: first } => {
                    remembered.extend(first);
                    Step::Drop { entry, remembered: None }
                }
                step => step,
            });
        }
        self.remember(remembered)?;
        for step in ready {
            match step {
                Step::Same { first, count } => recut.same(first, count)?,
                Step::Place { flags, name, tuple, number, entries } => {
                    self.pages.push(entries, self.ledger)?;
                    recut.place(Settled { flags, name: &name, tuple }, number)?;
                }
                Step::Leave { number, entries, mark } => {
                    self.pages.push_marked(entries, mark.into_iter().collect(), self.ledger)?;
                    if let Some(number) = number {
                        // It differs again next time, and should it vanish before it is ready, that is noticed.
                        recut.place(listing.entry(number)?, Some(number))?;
                    }
                }
                Step::Drop { entry, .. } => self.pages.push(entry.into_iter().collect(), self.ledger)?,
                Step::Read { .. } => return Err(Error::internal("a file was read and not concluded")),
            }
        }
        self.check_room()
    }

    /// Reads candidates; what came of each is in their order.
    pub fn read(&mut self, candidates: &[&Candidate]) -> Result<Vec<Reading>> {
        let claims = self.prepare_claims(candidates)?;
        let mut orders = Vec::with_capacity(candidates.len());
        for (candidate, claim) in candidates.iter().zip(&claims) {
            orders.push(Order {
                path: candidate.place.as_deref().unwrap_or(candidate.key.as_bytes()),
                claim: claim.as_ref(),
                tuple: candidate.tuple,
                writer: if candidate.captures { self.ledger.content_writer()? } else { None },
                told: candidate.told,
                md5: candidate.checksum.is_some(),
                ending: self.judge.rules.settings.ends_with.is_some(),
            });
        }
        let (readings, full) = read_all(self.judge.directory, orders, self.judge.look.stop, self.judge.look.progress)?;
        self.full = full;
        Ok(readings)
    }

    /// Ends the poll when there was no room for a content, once what was read before it is committed: its deliveries
    /// are what makes room.
    pub fn check_room(&mut self) -> Result<()> {
        let Some(full) = self.full.take() else { return Ok(()) };
        self.pages.flush(self.ledger)?;
        Err(full)
    }

    /// Remembers what has no row yet, in a page of its own: what is told of it next is decided against that row.
    pub fn remember(&mut self, remembered: Vec<(Key, Tuple)>) -> Result<()> {
        if remembered.is_empty() {
            return Ok(());
        }
        for (key, tuple) in remembered {
            self.pages.push(vec![Entry { key, sight: Sight::Present { tuple } }], self.ledger)?;
        }
        self.pages.flush(self.ledger)
    }
}

impl Item {
    /// The key whose row must be known.
    fn key(&self) -> Option<&Key> {
        match self {
            Self::File { key, .. } => Some(key),
            Self::Gone { file, .. } => Some(&file.key),
            _ => None,
        }
    }
}

impl Step {
    fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Read { candidate, .. } => Some(candidate),
            _ => None,
        }
    }

    /// How much of a page's content it may fill.
    fn inline_bytes(&self) -> usize {
        self.candidate().map_or(0, |c| usize::try_from(c.tuple.size).unwrap_or(usize::MAX).min(INLINE_BYTES_MAX))
    }
}

fn stays(number: Option<usize>) -> Step {
    Step::Leave { number, entries: Vec::new(), mark: None }
}

fn take_batch(steps: &mut std::iter::Peekable<std::vec::IntoIter<Step>>) -> Vec<Step> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(step) = steps.next_if(|step| bytes == 0 || bytes + step.inline_bytes() <= PAGE_CONTENT_BYTES) {
        bytes += step.inline_bytes();
        batch.push(step);
    }
    batch
}

/// Reads findings until a page of them needs deciding.
fn read_items(
    reader: &mut Reader<'_>,
    section: &Section,
    listing: &Numbered<'_>,
    claim: Option<&Claim>,
) -> Result<Vec<Item>> {
    let path_of = |name: &[u8]| join(&section.folder, name);
    // A claimed file keeps the key it had, and is elsewhere.
    let key_of = |path: Vec<u8>| match claim.and_then(|claim| claim.key_of(&path)) {
        Some(key) => (Key::from(key), Some(path)),
        None => (Key::from(path), None),
    };
    let mut items = Vec::new();
    while items.len() < PAGE_MAX {
        let Some(finding) = reader.next_finding()? else { break };
        items.push(match finding {
            Finding::Same { first, count } => Item::Same { first, count },
            Finding::Changed { number, tuple } => {
                let known = listing.entry(number)?;
                match known.flags.shape() {
                    Shape::File => {
                        let was = Some((known.flags, known.tuple));
                        let (key, place) = key_of(path_of(known.name));
                        Item::File { key, tuple, number: Some(number), was, place }
                    }
                    _ => Item::Placed { flags: known.flags, name: known.name.to_vec(), tuple, number: Some(number) },
                }
            }
            Finding::New { flags, name, tuple } if flags == Flags::of(Shape::File) => {
                let (key, place) = key_of(path_of(name));
                Item::File { key, tuple, number: None, was: None, place }
            }
            Finding::New { flags, name, tuple } => Item::Placed { flags, name: name.to_vec(), tuple, number: None },
            Finding::Gone { number } => {
                let known = listing.entry(number)?;
                let path = path_of(known.name);
                if known.flags.shape() == Shape::File && !known.flags.is_filtered() {
                    let file = GoneFile { key: key_of(path).0, flags: known.flags, tuple: known.tuple };
                    Item::Gone { number, file }
                } else {
                    Item::GoneOther { number, path, flags: known.flags }
                }
            }
            Finding::Leaves { number } => {
                let known = listing.entry(number)?;
                Item::Leaves { number, path: path_of(known.name), flags: known.flags }
            }
        });
    }
    Ok(items)
}
