//! Finds which new file is a missing one under another name, from a complete listing: by its number and times, or by its
//! content, and only where one fits one. Telling it is `settle`'s.

use std::collections::{HashMap, HashSet};

use super::findings::{Finding, Findings};
use super::place::{Directory, Shape, join};
use super::reading::fingerprint_now;
use super::removal::{GoneFile, each_gone, is_present};
use crate::change::{Fingerprint, Key, Tuple};
use crate::clock::Stop;
use crate::error::Result;
use crate::source::Ledger;

/// With more missing files than this none is looked for under another name.
const MISSING_MAX: usize = 65_536;

/// At most this many new files are read in advance to see which of them fit.
const READ_AHEAD_MAX: usize = 256;

/// A known file that a complete listing did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its key.
    pub key: Key,
    /// What was known of it.
    pub tuple: Tuple,
    /// Its content; `None` when it was only remembered.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it has no row.
    pub remembered: bool,
    /// Whether it counts as gone: a remote place must miss it in two complete listings in a row.
    pub confirmed: bool,
}

impl Missing {
    /// Whether a new file with this content is it.
    pub fn is_now(&self, tuple: &Tuple, fingerprint: Fingerprint) -> bool {
        match self.fingerprint {
            Some(known) => known == fingerprint && (tuple.size > 0 || self.is_moved(tuple)),
            None => self.is_moved(tuple),
        }
    }

    /// Whether a new file has its number, size and time. The number alone says little: it is given again at once.
    fn is_moved(&self, tuple: &Tuple) -> bool {
        let same = |t: &Tuple| (t.inode, t.size, t.mtime_ns);
        tuple.inode != 0 && same(&self.tuple) == same(tuple)
    }
}

/// Which new file may be which missing one.
#[derive(Debug, Default)]
pub struct Pairs {
    by_new: HashMap<Key, Missing>,
    missing: HashSet<Key>,
}

impl Pairs {
    /// The missing file that a new one may be.
    pub fn missing_of(&self, new: &Key) -> Option<&Missing> {
        self.by_new.get(new)
    }

    /// Whether a missing file may be a new one: then it is not told as removed yet.
    pub fn has(&self, missing: &Key) -> bool {
        self.missing.contains(missing)
    }

    /// Pairs what is missing with what is new.
    pub fn find(directory: &dyn Directory, findings: &Findings, ledger: &mut dyn Ledger, stop: &Stop) -> Result<Self> {
        let missing = load_missing(findings, directory.is_remote(), ledger)?;
        if missing.is_empty() || missing.len() > MISSING_MAX {
            return Ok(Self::default());
        }
        let mut by_inode: HashMap<u64, Option<usize>> = HashMap::new();
        let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, file) in missing.iter().enumerate() {
            by_inode.entry(file.tuple.inode).and_modify(|twice| *twice = None).or_insert(Some(at));
            by_size.entry(file.tuple.size).or_default().push(at);
        }
        let mut pairs = Self::default();
        let mut alike = Vec::new();
        each_new(findings, &mut |key, tuple| {
            let moved = by_inode.get(&tuple.inode).copied().flatten().filter(|at| missing[*at].is_moved(&tuple));
            match moved {
                Some(at) => pairs.add(key, &missing[at]),
                None if tuple.size > 0 && by_size.contains_key(&tuple.size) => alike.push((key, tuple)),
                None => {}
            }
        })?;
        pairs.add_alike(directory, &missing, &by_size, alike, stop)?;
        Ok(pairs)
    }

    fn add(&mut self, new: Key, missing: &Missing) {
        if self.missing.insert(missing.key.clone()) {
            self.by_new.insert(new, missing.clone());
        }
    }

    /// Pairs new files with missing ones of the same size. Where one stands against one the content decides when it is
    /// read anyway; otherwise it must be read first to see whether one fits one.
    fn add_alike(
        &mut self,
        directory: &dyn Directory,
        missing: &[Missing],
        by_size: &HashMap<u64, Vec<usize>>,
        alike: Vec<(Key, Tuple)>,
        stop: &Stop,
    ) -> Result<()> {
        let mut new_of_size: HashMap<u64, Vec<Key>> = HashMap::new();
        for (key, tuple) in alike {
            new_of_size.entry(tuple.size).or_default().push(key);
        }
        let mut left = READ_AHEAD_MAX;
        for (size, new) in new_of_size {
            let free = by_size[&size].iter().map(|at| &missing[*at]).filter(|file| !self.has(&file.key));
            let free: Vec<&Missing> = free.filter(|file| file.fingerprint.is_some()).collect();
            match (&new[..], &free[..]) {
                (_, []) => {}
                ([key], [file]) => self.add(key.clone(), file),
                _ if new.len() <= left => {
                    left -= new.len();
                    let mut contents: HashMap<Fingerprint, Vec<Key>> = HashMap::new();
                    for key in new {
                        // A file that can't be read now is judged on its own later.
                        if let Ok(Some((_, found))) = fingerprint_now(directory, key.as_bytes(), stop) {
                            contents.entry(found).or_default().push(key);
                        }
                    }
                    for (content, keys) in contents {
                        let fitting: Vec<&&Missing> =
                            free.iter().filter(|file| file.fingerprint == Some(content)).collect();
                        if let (&[file], [key]) = (&fitting[..], &keys[..]) {
                            self.add(key.clone(), file);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn load_missing(findings: &Findings, is_remote: bool, ledger: &mut dyn Ledger) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    each_gone(findings, ledger, &mut |files: Vec<(GoneFile, Option<crate::change::Known>)>| {
        for (file, known) in files {
            if missing.len() <= MISSING_MAX && is_present(file.flags, known.as_ref()) {
                missing.push(Missing {
                    key: file.key,
                    tuple: file.tuple,
                    fingerprint: known.as_ref().and_then(|known| known.fingerprint),
                    remembered: known.is_none(),
                    confirmed: !is_remote || file.flags.is_missed(),
                });
            }
        }
    })?;
    Ok(missing)
}

/// Hands every new file that filters admit to `each`.
pub fn each_new(findings: &Findings, each: &mut dyn FnMut(Key, Tuple)) -> Result<()> {
    for section in findings.sections() {
        let mut reader = findings.read(section);
        while let Some(finding) = reader.next_finding()? {
            if let Finding::New { flags, name, tuple } = finding
                && flags.shape() == Shape::File
                && !flags.is_filtered()
            {
                each(Key::from(join(&section.folder, name)), tuple);
            }
        }
    }
    Ok(())
}
