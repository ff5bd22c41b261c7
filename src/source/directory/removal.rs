//! What becomes of known files that a complete listing does not have, and the brake that keeps a mass of them from being
//! told before an operator has seen it.

use super::block::Flags;
use super::findings::{Finding, Findings};
use super::pairing::Pairs;
use super::place::{Directory, Shape, join};
use super::segment::Segment;
use crate::change::{Absence, Entry, Key, Known, Presence, Sight, Tuple};
use crate::error::Result;
use crate::source::{Ledger, PAGE_ENTRIES_MAX};

/// The brake needs at least this many known files before a majority of them counts as a mass.
const MAJORITY_KNOWN_MIN: u64 = 5;

/// A known file that was not listed.
#[derive(Debug)]
pub struct GoneFile {
    /// Its key.
    pub key: Key,
    /// What its segment says.
    pub flags: Flags,
    /// What its segment says.
    pub tuple: Tuple,
}

/// How many of the known files are gone, those apart that our own after-actions took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Known before.
    pub known: u64,
    /// Gone now.
    pub gone: u64,
}

/// Whether a file counts as there, by its segment and its row.
pub fn is_present(flags: Flags, known: Option<&Known>) -> bool {
    match known {
        Some(known) => known.presence == Presence::Present,
        None => flags.is_remembered(),
    }
}

/// Whether so much is gone at once that somebody must look first. `moved` says that the root is on another disk than before.
pub fn is_mass(loss: Loss, moved: bool) -> bool {
    let all = loss.gone >= loss.known;
    let most = loss.known >= MAJORITY_KNOWN_MIN && loss.gone * 2 > loss.known;
    loss.gone > 0 && (all || most || moved)
}

/// Weighs what is gone, by rows: `known` is how many files the segments of the scope have. Of a remote place only what
/// was missing before counts.
pub fn weigh(findings: &Findings, known: u64, directory: &dyn Directory, ledger: &mut dyn Ledger) -> Result<Loss> {
    let is_remote = directory.is_remote();
    let mut loss = Loss { known, gone: 0 };
    each_gone(findings, ledger, &mut |files| {
        for (file, known) in files {
            if is_present(file.flags, known.as_ref()) {
                loss.gone += u64::from(!is_remote || file.flags.is_missed());
            } else if file.flags.is_known_file() {
                loss.known = loss.known.saturating_sub(1);
            }
        }
    })?;
    Ok(loss)
}

/// Hands every file that is gone, with its row, to `each`, in portions.
pub fn each_gone(
    findings: &Findings,
    ledger: &mut dyn Ledger,
    each: &mut dyn FnMut(Vec<(GoneFile, Option<Known>)>),
) -> Result<()> {
    for section in findings.sections().iter().filter(|section| !section.damaged) {
        let segment = Segment::new(ledger.segment(&section.folder)?);
        let listing = segment.number()?;
        let mut reader = findings.read(section);
        let mut files = Vec::new();
        loop {
            let finding = reader.next_finding()?;
            if let Some(Finding::Gone { number }) = finding {
                let entry = listing.entry(number)?;
                if entry.flags.shape() == Shape::File && !entry.flags.is_filtered() {
                    let key = Key::from(join(&section.folder, entry.name));
                    files.push(GoneFile { key, flags: entry.flags, tuple: entry.tuple });
                }
            }
            if files.len() >= PAGE_ENTRIES_MAX || (finding.is_none() && !files.is_empty()) {
                let keys: Vec<Key> = files.iter().map(|file| file.key.clone()).collect();
                let known = ledger.known(&keys)?;
                each(std::mem::take(&mut files).into_iter().zip(known).collect());
            } else if finding.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// What becomes of a file that was not listed.
#[derive(Debug)]
pub enum Gone {
    /// It stays in the known listing, so that it is found again: it is held, may be renamed, or is there after all.
    Stays,
    /// It stays, marked: a remote place must miss it in two complete listings in a row.
    MissedOnce,
    /// It leaves the known listing.
    Leaves {
        /// What is said of it.
        entry: Option<Entry>,
        /// What must be remembered of it first, because it has no row.
        remembered: Option<(Key, Tuple)>,
    },
}

/// How removals are treated in one poll.
#[derive(Debug)]
pub struct Removals {
    /// What an absence is told as.
    pub absence: Absence,
    /// Whether the brake holds them.
    pub held: bool,
}

impl Removals {
    /// Decides about one file. A listing can miss an entry that is renamed meanwhile, so the file alone is looked at again.
    pub fn judge(
        &self,
        file: &GoneFile,
        known: Option<&Known>,
        pairs: &Pairs,
        directory: &dyn Directory,
    ) -> Result<Gone> {
        let leaves = |entry, remembered| Ok(Gone::Leaves { entry, remembered });
        if !is_present(file.flags, known) {
            // Refused entries have no row; that they are gone ends the refusal.
            let entry = Entry { key: file.key.clone(), sight: Sight::Gone(Absence::Untold) };
            return leaves(file.flags.is_passed().then_some(entry), None);
        }
        if directory.is_remote() && !file.flags.is_missed() {
            return Ok(Gone::MissedOnce);
        }
        if self.held || pairs.has(&file.key) {
            return Ok(Gone::Stays);
        }
        if directory.look(file.key.as_bytes())?.is_some_and(|found| found.shape == Shape::File) {
            return Ok(Gone::Stays);
        }
        let remembered = known.is_none().then(|| (file.key.clone(), file.tuple));
        leaves(Some(Entry { key: file.key.clone(), sight: Sight::Gone(self.absence) }), remembered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_most_of_five_at_once_are_a_mass_and_less_is_not() {
        let mass = |gone, known| is_mass(Loss { known, gone }, false);
        assert!(mass(1, 1) && mass(4, 4) && mass(3, 5) && mass(501, 1_000));
        assert!(!mass(0, 0) && !mass(0, 9) && !mass(3, 4) && !mass(2, 5) && !mass(500, 1_000));
        assert!(is_mass(Loss { known: 1_000, gone: 1 }, true), "on another disk one is enough");
        assert!(!is_mass(Loss { known: 1_000, gone: 0 }, true));
    }
}
