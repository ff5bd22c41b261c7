//! Looks at all folders of a scope and gathers what differs from the known listing. Nothing is told here: how much is
//! new or gone must be known before anything is.

use std::collections::HashSet;

use super::ahead::Ahead;
use super::compare::{Comparison, Ended, Manner, Outcome, Tally};
use super::filter::Filters;
use super::findings::{Finding, Findings, FolderState, NewSection};
use super::place::{Directory, Listed, Listing};
use super::segment::Segment;
use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Ledger, Look, Scope};

/// Progress is told after this many entries.
const PROGRESS_ENTRIES: u64 = 10_000;

/// What a scan came to.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What differs.
    pub findings: Findings,
    /// How much there is.
    pub tally: Tally,
    /// Folders that could not be listed.
    pub unlisted: u64,
    /// Why the first of them could not.
    pub trouble: Option<String>,
    /// Folders of which it is not proven that all of them was listed.
    pub doubtful: u64,
    /// Why of the first of them.
    pub doubt: Option<String>,
    /// Known folders that are gone, without those below them.
    pub vanished: Vec<Vec<u8>>,
}

/// Looks at the folders of `look.scope`.
///
/// # Errors
/// The root could not be listed. Other folders that can't be are counted, and nothing is concluded about them.
pub fn scan(
    directory: &dyn Directory,
    filters: &Filters,
    manner: Manner,
    look: &Look<'_>,
    ledger: &mut dyn Ledger,
) -> Result<Scanned> {
    let (waiting, descends) = match &look.scope {
        Scope::Everything => (vec![Vec::new()], true),
        Scope::Folders(folders) => (folders.iter().rev().cloned().collect(), false),
        Scope::Waiting => (Vec::new(), false),
    };
    let mut scan = Scan {
        directory,
        filters,
        manner,
        look,
        scanned: Scanned::default(),
        told: 0,
        waiting,
        descends,
        visited: HashSet::new(),
    };
    std::thread::scope(|threads| scan.run(&mut Ahead::new(threads, directory, look.clock), ledger))?;
    look.progress.advance(scan.scanned.tally.listed - scan.told, 0, 0);
    Ok(scan.scanned)
}

fn is_entered(filters: &Filters, folder: &[u8]) -> bool {
    filters.why_not_above(folder).is_none() && filters.why_not_folder(folder).is_none()
}

struct Scan<'a, 'l> {
    directory: &'a dyn Directory,
    filters: &'a Filters,
    manner: Manner,
    look: &'a Look<'l>,
    scanned: Scanned,
    /// Entries of which progress was told.
    told: u64,
    /// Folders to look at, the next one last.
    waiting: Vec<Vec<u8>>,
    /// Whether folders that are known already are entered.
    descends: bool,
    visited: HashSet<Vec<u8>>,
}

impl Scan<'_, '_> {
    fn run(&mut self, ahead: &mut Ahead<'_, '_>, ledger: &mut dyn Ledger) -> Result<()> {
        while let Some(folder) = self.next_folder() {
            self.look.stop.check()?;
            let second = if self.directory.lists_in_parallel() { self.next_folder() } else { None };
            if let Some(second) = &second {
                ahead.begin(second.clone())?;
            }
            self.folder(&folder, None, ledger)?;
            if let Some(second) = second {
                self.folder(&second, Some(&*ahead), ledger)?;
            }
            let below = self.scanned.tally.folders.drain(..).rev();
            self.waiting.extend(below.filter(|sub| self.descends || !sub.known).map(|sub| sub.path));
        }
        Ok(())
    }

    fn next_folder(&mut self) -> Option<Vec<u8>> {
        while let Some(folder) = self.waiting.pop() {
            if self.descends || (self.visited.insert(folder.clone()) && is_entered(self.filters, &folder)) {
                return Some(folder);
            }
        }
        None
    }

    fn folder(&mut self, folder: &[u8], ahead: Option<&Ahead<'_, '_>>, ledger: &mut dyn Ledger) -> Result<()> {
        let segment = Segment::new(ledger.segment(folder)?);
        match self.compare(folder, &segment, ahead, ledger) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Nothing is lost by forgetting it: every entry is compared with its row before it is told.
                tracing::warn!(folder = %shown(folder), "the known listing of a folder is damaged and is made anew");
                self.compare_anew(folder, ledger)?;
            }
            result => drop(result?),
        }
        let listed = self.scanned.tally.listed;
        if listed - self.told >= PROGRESS_ENTRIES {
            self.look.progress.advance(listed - self.told, 0, 0);
            self.told = listed;
        }
        Ok(())
    }

    fn compare(
        &mut self,
        folder: &[u8],
        segment: &Segment,
        ahead: Option<&Ahead<'_, '_>>,
        ledger: &mut dyn Ledger,
    ) -> Result<Option<Outcome>> {
        let tick = ahead.map_or_else(|| Ok(self.look.clock.tick()), Ahead::tick)?;
        let Scanned { findings, tally, doubtful, doubt, .. } = &mut self.scanned;
        let from = findings.position();
        let before = Marks::of(tally);
        let parts = (&mut *findings, &mut *tally, &mut *ledger);
        // A comparison that can't begin must still empty what was listed ahead.
        let mut comparison = Comparison::new(folder, segment, self.filters, self.manner, parts);
        let mut entry = |listed: Listed<'_>| match &mut comparison {
            Ok(comparison) => comparison.entry(listed),
            Err(_) => Err(Error::internal("the comparison did not begin")),
        };
        let ended = match ahead {
            Some(ahead) => ahead.take(&mut entry),
            None => self.directory.list(folder, &mut entry),
        };
        let comparison = comparison?;
        let outcome = match ended {
            Ok(Listing::Complete) => comparison.finish(Ended::Whole),
            Ok(Listing::Doubtful(why)) => {
                *doubtful += 1;
                doubt.get_or_insert(why);
                comparison.finish(Ended::Doubtful)
            }
            // Gone between two listings: its parent's next one tells.
            Ok(Listing::Missing) => {
                drop(comparison);
                findings.rewind(from);
                before.restore(tally);
                return Ok(None);
            }
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                findings.rewind(from);
                before.restore(tally);
                return self.unlisted(folder, error).map(|()| None);
            }
        };
        match outcome {
            Outcome::Alike => findings.rewind(from),
            Outcome::Different { in_order, shift } => {
                let section = NewSection { folder, tick, state: FolderState::Listed, in_order, damaged: false, shift };
                findings.close(from, section, None);
            }
        }
        self.vanished(ledger)?;
        Ok(Some(outcome))
    }

    /// Compares a folder whose known listing is damaged with none at all.
    fn compare_anew(&mut self, folder: &[u8], ledger: &mut dyn Ledger) -> Result<()> {
        let from = self.scanned.findings.position();
        let compared = self.compare(folder, &Segment::default(), None, ledger)?;
        if compared == Some(Outcome::Alike) {
            // Nothing is there: what was known must be dropped all the same.
            let (tick, state) = (self.look.clock.tick(), FolderState::Listed);
            let section = NewSection { folder, tick, state, in_order: false, damaged: true, shift: None };
            self.scanned.findings.close(from, section, None);
        } else if compared.is_some() {
            self.scanned.findings.last_is_damaged();
        }
        Ok(())
    }

    /// What happens to a folder that could not be listed is decided by the kind of the error.
    fn unlisted(&mut self, folder: &[u8], error: Error) -> Result<()> {
        let ours =
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Stopped | ErrorKind::Full | ErrorKind::Conflict);
        if folder.is_empty() || ours {
            return Err(error);
        }
        self.scanned.unlisted += 1;
        self.scanned.trouble.get_or_insert_with(|| error.to_string());
        Ok(())
    }

    /// Everything known below a folder that vanished is gone. It is settled before the folder that lost it: otherwise a
    /// crash between the two would leave known files that nobody looks for.
    fn vanished(&mut self, ledger: &mut dyn Ledger) -> Result<()> {
        let vanished = std::mem::take(&mut self.scanned.tally.vanished);
        for top in vanished {
            for folder in ledger.folders_below(&top)?.iter().rev().chain([&top]) {
                self.all_gone(folder, ledger)?;
            }
            self.scanned.vanished.push(top);
        }
        Ok(())
    }

    fn all_gone(&mut self, folder: &[u8], ledger: &mut dyn Ledger) -> Result<()> {
        let segment = Segment::new(ledger.segment(folder)?);
        let Scanned { findings, tally, .. } = &mut self.scanned;
        let (from, tick) = (findings.position(), self.look.clock.tick());
        let Ok(listing) = segment.number() else { return Ok(()) };
        for number in 0..listing.count() {
            let known = u64::from(listing.entry(number)?.flags.is_known_file());
            tally.known += known;
            tally.gone += known;
            findings.push(Finding::Gone { number }, ledger)?;
        }
        let state = FolderState::Vanished;
        let section = NewSection { folder, tick, state, in_order: false, damaged: false, shift: None };
        let parent = findings.sections().len().saturating_sub(1);
        findings.close(from, section, Some(parent));
        Ok(())
    }
}

/// How far a tally had come, so that a folder that failed can be taken out again.
struct Marks {
    listed: u64,
    known: u64,
    gone: u64,
    new: u64,
    changed: u64,
    folders: usize,
    vanished: usize,
    ignored: usize,
}

impl Marks {
    fn of(tally: &Tally) -> Self {
        Self {
            listed: tally.listed,
            known: tally.known,
            gone: tally.gone,
            new: tally.new,
            changed: tally.changed,
            folders: tally.folders.len(),
            vanished: tally.vanished.len(),
            ignored: tally.ignored.len(),
        }
    }

    fn restore(self, tally: &mut Tally) {
        tally.listed = self.listed;
        tally.known = self.known;
        tally.gone = self.gone;
        tally.new = self.new;
        tally.changed = self.changed;
        tally.folders.truncate(self.folders);
        tally.vanished.truncate(self.vanished);
        tally.ignored.truncate(self.ignored);
    }
}
