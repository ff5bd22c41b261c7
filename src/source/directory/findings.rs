//! What a scan found, folder by folder, kept in order: in memory while it is little, in a scratch file beyond. Folders
//! in which nothing differs leave no trace. What becomes of a finding is decided by `settle`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::block::Flags;
use super::place::Shape;
use super::varint::{self, Take};
use crate::change::Tuple;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Ledger;

/// This much is kept in memory.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// This much is read from the scratch file at once.
const READ_BYTES: usize = 64 * 1024;

/// One thing found in a folder, compared with its known listing. Numbers are those of the known listing's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<'a> {
    /// A run of entries that are as they were.
    Same {
        /// The first one.
        first: usize,
        /// How many.
        count: usize,
    },
    /// A known entry with another tuple.
    Changed {
        /// Which one.
        number: usize,
        /// What it says now.
        tuple: Tuple,
    },
    /// An entry that the known listing does not have, or that filters admit from now on.
    New {
        /// Its shape, and whether filters take it out.
        flags: Flags,
        /// Its name.
        name: &'a [u8],
        /// What it says.
        tuple: Tuple,
    },
    /// A known entry that was not listed.
    Gone {
        /// Which one.
        number: usize,
    },
    /// A known entry that filters take out from now on.
    Leaves {
        /// Which one.
        number: usize,
    },
}

/// The findings of one folder.
#[derive(Debug, Clone)]
pub struct Section {
    /// The folder.
    pub folder: Vec<u8>,
    /// When it was looked at, on the monotonic clock.
    pub tick: Duration,
    /// Whether it is there at all.
    pub state: FolderState,
    /// Whether all known entries were found in their known order, so that blocks may be committed one by one.
    pub in_order: bool,
    /// Whether the known listing was damaged and is written anew.
    pub damaged: bool,
    /// By how much the times of all files moved, when nothing else differs.
    pub shift: Option<i64>,
    from: u64,
    to: u64,
}

/// Whether a folder is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderState {
    /// It was listed to the end.
    Listed,
    /// It is known and not there any more.
    Vanished,
}

/// The findings of a scan.
#[derive(Debug, Default)]
pub struct Findings {
    sections: Vec<Section>,
    memory: Vec<u8>,
    /// How much of the scratch file counts; `memory` continues there.
    flushed: u64,
    scratch: Option<File>,
}

impl Findings {
    /// The folders with findings, in the order in which they are to be settled.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Where the next finding will be.
    pub fn position(&self) -> u64 {
        self.flushed + self.memory.len() as u64
    }

    /// Forgets what was found since `position`.
    pub fn rewind(&mut self, position: u64) {
        match position.checked_sub(self.flushed) {
            Some(kept) => self.memory.truncate(kept as usize),
            None => {
                self.flushed = position;
                self.memory.clear();
            }
        }
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding<'_>, ledger: &mut dyn Ledger) -> Result<()> {
        encode(&mut self.memory, finding);
        if self.memory.len() < MEMORY_BYTES_MAX {
            return Ok(());
        }
        if self.scratch.is_none() {
            self.scratch = Some(ledger.scratch()?);
        }
        let scratch = self.scratch.as_ref().expect("the scratch file was just made");
        scratch
            .write_all_at(&self.memory, self.flushed)
            .map_err(|e| Error::io("write findings to a scratch file", e))?;
        self.flushed += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// Makes a section of what was found since `from`. `before` puts it before the section that began there.
    pub fn close(&mut self, from: u64, section: NewSection<'_>, before: Option<usize>) {
        let section = Section {
            folder: section.folder.to_vec(),
            tick: section.tick,
            state: section.state,
            in_order: section.in_order,
            damaged: section.damaged,
            shift: section.shift,
            from,
            to: self.position(),
        };
        match before {
            Some(at) => self.sections.insert(at, section),
            None => self.sections.push(section),
        }
    }

    /// Marks the section closed last: its known listing is damaged and was not compared with.
    pub fn last_is_damaged(&mut self) {
        if let Some(section) = self.sections.last_mut() {
            section.damaged = true;
        }
    }

    /// Reads the findings of a section.
    pub fn read(&self, section: &Section) -> Reader<'_> {
        Reader { findings: self, next: section.from, to: section.to, bytes: Vec::new(), at: 0 }
    }

    fn load(&self, from: u64, into: &mut [u8]) -> Result<()> {
        let in_file = usize::try_from(self.flushed.saturating_sub(from)).unwrap_or(usize::MAX).min(into.len());
        let (file_part, memory_part) = into.split_at_mut(in_file);
        if let (Some(scratch), false) = (&self.scratch, file_part.is_empty()) {
            scratch.read_exact_at(file_part, from).map_err(|e| Error::io("read findings from a scratch file", e))?;
        }
        if !memory_part.is_empty() {
            let start = (from + in_file as u64 - self.flushed) as usize;
            memory_part.copy_from_slice(&self.memory[start..start + memory_part.len()]);
        }
        Ok(())
    }
}

/// What is said of a section when it is closed.
#[derive(Debug, Clone, Copy)]
pub struct NewSection<'a> {
    /// See [`Section`].
    pub folder: &'a [u8],
    /// See [`Section`].
    pub tick: Duration,
    /// See [`Section`].
    pub state: FolderState,
    /// See [`Section`].
    pub in_order: bool,
    /// See [`Section`].
    pub damaged: bool,
    /// See [`Section`].
    pub shift: Option<i64>,
}

/// Reads findings back.
#[derive(Debug)]
pub struct Reader<'a> {
    findings: &'a Findings,
    next: u64,
    to: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl Reader<'_> {
    /// The next finding, `None` at the end of the section.
    pub fn next_finding(&mut self) -> Result<Option<Finding<'_>>> {
        // A finding is at most a name and some numbers long; when less than that is left, more is loaded first.
        if self.bytes.len() - self.at < FINDING_BYTES_MAX && self.next < self.to {
            self.bytes.drain(..self.at);
            self.at = 0;
            let kept = self.bytes.len();
            let more = READ_BYTES.min(usize::try_from(self.to - self.next).unwrap_or(READ_BYTES));
            self.bytes.resize(kept + more, 0);
            self.findings.load(self.next, &mut self.bytes[kept..])?;
            self.next += more as u64;
        }
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let mut take = Take::new(&self.bytes, self.at);
        let finding = decode(&mut take).ok_or_else(|| Error::new(ErrorKind::Corrupt, "findings can't be read back"))?;
        self.at = take.at();
        Ok(Some(finding))
    }
}

/// Names are at most 255 bytes on local disks; remote ones are held to the same kind of bound by their adapters.
const FINDING_BYTES_MAX: usize = 8 * 1024;

fn put_tuple(out: &mut Vec<u8>, tuple: Tuple) {
    varint::put(out, tuple.size);
    varint::put_signed(out, tuple.mtime_ns);
    varint::put_signed(out, tuple.ctime_ns.wrapping_sub(tuple.mtime_ns));
    varint::put(out, tuple.inode);
}

fn take_tuple(take: &mut Take<'_>) -> Option<Tuple> {
    let (size, mtime_ns) = (take.number()?, take.signed()?);
    Some(Tuple { size, mtime_ns, ctime_ns: mtime_ns.wrapping_add(take.signed()?), inode: take.number()? })
}

fn encode(out: &mut Vec<u8>, finding: Finding<'_>) {
    match finding {
        Finding::Same { first, count } => {
            out.push(0);
            varint::put(out, first as u64);
            varint::put(out, count as u64);
        }
        Finding::Changed { number, tuple } => {
            out.push(1);
            varint::put(out, number as u64);
            put_tuple(out, tuple);
        }
        Finding::Gone { number } => {
            out.push(2);
            varint::put(out, number as u64);
        }
        Finding::Leaves { number } => {
            out.push(3);
            varint::put(out, number as u64);
        }
        Finding::New { flags, name, tuple } => {
            let shape = match flags.shape() {
                Shape::File => 4,
                Shape::Folder => 5,
                Shape::Other => 6,
            };
            out.push(if flags.is_filtered() { shape + 3 } else { shape });
            varint::put_bytes(out, name);
            put_tuple(out, tuple);
        }
    }
}

fn decode<'a>(take: &mut Take<'a>) -> Option<Finding<'a>> {
    let tag = take.byte()?;
    let number = |take: &mut Take<'a>| usize::try_from(take.number()?).ok();
    Some(match tag {
        0 => Finding::Same { first: number(take)?, count: number(take)? },
        1 => Finding::Changed { number: number(take)?, tuple: take_tuple(take)? },
        2 => Finding::Gone { number: number(take)? },
        3 => Finding::Leaves { number: number(take)? },
        4..=9 => {
            let flags = Flags::of([Shape::File, Shape::Folder, Shape::Other][usize::from((tag - 4) % 3)]);
            let flags = if tag >= 7 { flags.filtered() } else { flags };
            Finding::New { flags, name: take.bytes()?, tuple: take_tuple(take)? }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::testing::MemoryLedger;

    #[test]
    fn findings_beyond_the_bound_come_back_from_disk_and_a_rewound_folder_does_not() {
        let mut ledger = MemoryLedger::new();
        let mut findings = Findings::default();
        let name = |i: usize| format!("{i}-{}", "n".repeat(200)).into_bytes();
        let tuple = Tuple { size: 1, mtime_ns: -5, ctime_ns: i64::MAX, inode: u64::MAX };
        let section = NewSection {
            folder: b"f",
            tick: Duration::ZERO,
            state: FolderState::Listed,
            in_order: true,
            damaged: false,
            shift: None,
        };
        for i in 0..20_000 {
            let flags = Flags::of(Shape::File).filtered();
            findings.push(Finding::New { flags, name: &name(i), tuple }, &mut ledger).expect("push");
            if i == 9_999 {
                findings.close(0, section, None);
            }
        }
        let end = findings.sections()[0].to;
        findings.rewind(end);
        let gone = Finding::Gone { number: 3 };
        findings.push(gone, &mut ledger).expect("push");
        findings.close(end, section, Some(0));
        let (first, second) = (findings.sections()[0].clone(), findings.sections()[1].clone());
        assert_eq!(findings.read(&first).next_finding().expect("read"), Some(gone));
        let mut reader = findings.read(&second);
        for i in 0..10_000 {
            let Some(Finding::New { flags, name: found, tuple: t }) = reader.next_finding().expect("read") else {
                panic!("finding {i} is missing");
            };
            assert!(flags.is_filtered() && found == name(i) && t == tuple);
        }
        assert_eq!(reader.next_finding().expect("read"), None);
        assert!(findings.flushed > MEMORY_BYTES_MAX as u64);
    }
}
