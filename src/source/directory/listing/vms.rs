//! OpenVMS: `NAME.EXT;3  10/12  23-NOV-2026 10:15:30 [GROUP,OWNER] (RWED,RWED,RE,)`, long names with the rest on the next line.
//! The newest version is the file, told without its number, as programs open it. Sizes are in blocks of 512 bytes.

use super::dates::clock;
use super::fields::{is_empty, number, small, word, words};
use super::months::month;
use super::row::{Emit, Row, Taken, file, folder};
use super::times::{Day, OClock, Stamp, Times};

const BLOCK_BYTES: u64 = 512;

/// What is remembered of the lines before.
#[derive(Debug, Default)]
pub struct Vms {
    /// A name whose facts are on the next line.
    open: Option<Vec<u8>>,
    /// The name of the last entry: what follows with the same one is an older version.
    last: Vec<u8>,
}

impl Vms {
    /// Reads one line.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        let Some(first) = word(line, 0) else {
            return if self.open.is_none() { Taken::Passed } else { Taken::Unknown };
        };
        if let Some(open) = self.open.take() {
            return match facts(line, times) {
                Some(told) if first.start > 0 => {
                    self.tell(&open, told, emit);
                    Taken::Entry
                }
                _ => Taken::Unknown,
            };
        }
        if is_frame(line) {
            return Taken::Passed;
        }
        let Some(end) = name_end(line) else { return Taken::Unknown };
        let (name, rest) = line.split_at(end);
        if is_empty(rest) {
            self.open = Some(name.to_vec());
            return Taken::Entry;
        }
        match facts(rest, times) {
            Some(told) => {
                self.tell(name, told, emit);
                Taken::Entry
            }
            None => Taken::Unknown,
        }
    }

    /// A name whose facts never came.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        self.open.take()
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.open.as_ref().map_or(0, Vec::len) + self.last.len()
    }

    fn tell(&mut self, name: &[u8], (size, stamp): Told, emit: &mut Emit<'_>) {
        let base = name.iter().rposition(|byte| *byte == b';').map_or(name, |at| &name[..at]);
        if base == self.last {
            return;
        }
        self.last.clear();
        self.last.extend_from_slice(base);
        match base.strip_suffix(b".DIR").or_else(|| base.strip_suffix(b".dir")) {
            Some(name) => emit(Row { name, found: folder(0) }),
            None => emit(Row { name: base, found: file(size, stamp, 0) }),
        }
    }
}

type Told = (u64, super::row::Modified);

/// Where the name ends, version included: `^` takes the meaning from the character behind it.
fn name_end(line: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut version = None;
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' | b'\t' => break,
            b'^' => at += 1,
            b';' => version = Some(at),
            _ => {}
        }
        at += 1;
    }
    let at = at.min(line.len());
    let digits = line.get(version? + 1..at)?;
    let known = version != Some(0) && number(digits).is_some();
    known.then_some(at)
}

/// `10/12  23-NOV-2026 10:15:30.12 ...`, the blocks with or without those reserved; what follows is not read.
fn facts(text: &[u8], times: &mut Times) -> Option<Told> {
    let mut words = words(text, 0);
    let blocks = words.next()?.text;
    let used = blocks.split(|byte| *byte == b'/').next()?;
    let size = number(used)?.checked_mul(BLOCK_BYTES)?;
    let day = day(words.next()?.text)?;
    let clock: OClock = clock(words.next()?.text)?;
    let modified = times.modified(&Stamp { day, clock: Some(clock), offset: None })?;
    Some((size, modified))
}

/// `23-NOV-2026`
fn day(text: &[u8]) -> Option<Day> {
    let mut parts = text.split(|byte| *byte == b'-');
    let (day, month, year) = (small(parts.next()?)?, month(parts.next()?)?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Some(Day { year: Some(i16::try_from(number(year)?).ok()?), month, day })
}

/// `Directory DISK:[FOLDER]`, `Total of 3 files, 10/12 blocks.`, `Grand total of ...`
fn is_frame(line: &[u8]) -> bool {
    let directory = line.strip_prefix(b"Directory ").is_some_and(|rest| rest.contains(&b'[') && rest.ends_with(b"]"));
    let total = [&b"Total of "[..], b"Grand total of "].iter().filter_map(|head| line.strip_prefix(*head)).next();
    directory || total.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}
