//! z/OS (MVS): data sets, members of a partitioned one, and its Unix files. Sizes are in tracks or lines, never in bytes: 0.
//! Of a data set the day of the last use is told, which is at least that of the last change.

use crate::source::directory::place::Found;

use super::dates::clock;
use super::fields::{Word, is_empty, number, small, words};
use super::row::{Emit, Modified, Row, Taken, file, folder, other};
use super::times::{Day, Stamp, Times};
use super::unix::Unix;

/// What is remembered of the lines before.
#[derive(Debug, Default)]
pub struct Mvs {
    part: Part,
    unix: Unix,
}

/// What the last head announced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// No head: Unix files have none.
    #[default]
    Unix,
    /// `Volume Unit Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname`
    DataSets,
    /// `Name VV.MM Created Changed Size Init Mod Id`
    Members,
    /// `Name Size TTR Alias-of AC Attributes Amode Rmode`
    LoadModules,
}

impl Mvs {
    /// Reads one line.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        if is_empty(line) {
            return Taken::Passed;
        }
        if let Some(part) = head(line) {
            self.part = part;
            return Taken::Passed;
        }
        let row = match self.part {
            Part::Unix => return self.unix.take(line, times, emit),
            Part::DataSets => data_set(line, times),
            Part::Members => member(line, times),
            Part::LoadModules => load_module(line),
        };
        match row {
            Some(row) => {
                emit(row);
                Taken::Entry
            }
            None => Taken::Unknown,
        }
    }
}

fn head(line: &[u8]) -> Option<Part> {
    let mut words = words(line, 0).map(|word| word.text);
    match (words.next()?, words.next()?) {
        (b"Volume", b"Unit" | b"Referred") => line.ends_with(b"Dsname").then_some(Part::DataSets),
        (b"Name", b"VV.MM") => Some(Part::Members),
        (b"Name", b"Size") => (words.next() == Some(b"TTR")).then_some(Part::LoadModules),
        _ => None,
    }
}

/// A line below the head of data sets. The name is the last word; what stands before it depends on where it is stored.
fn data_set<'a>(line: &'a [u8], times: &mut Times) -> Option<Row<'a>> {
    let words: Vec<Word<'_>> = words(line, 0).collect();
    let (name, before) = words.split_last()?;
    let texts: Vec<&[u8]> = before.iter().map(|word| word.text).collect();
    let found = match texts.as_slice() {
        // Archived by HSM or by another product, or on tape: read back when it is fetched.
        [b"Migrated" | b"MIGRAT" | b"ARCIVE" | b"ARCHIVE"] | [b"ARCIVE", b"Not", b"Direct", b"Access", b"Device"] => {
            file(0, Modified::UNTOLD, 0)
        }
        [_, b"Tape", ..] | [_, b"Not", b"Direct", b"Access", b"Device"] => file(0, Modified::UNTOLD, 0),
        [b"Pseudo", b"Directory"] => folder(0),
        [.., b"VSAM" | b"GDG" | b"AIX" | b"PATH"] | [b"User", b"catalog", b"connector"] => other(),
        [_volume, _unit, referred, used @ .., organisation] => on_disk(referred, used, organisation, times)?,
        _ => return None,
    };
    is_data_set_name(name.text).then_some(Row { name: name.text, found })
}

/// A data set on disk. Large numbers run into each other, so what is between is not counted.
fn on_disk(referred: &[u8], between: &[&[u8]], organisation: &[u8], times: &mut Times) -> Option<Found> {
    let sizes = between.iter().filter(|word| word.iter().any(u8::is_ascii_digit)).count();
    if sizes == 0 {
        return None;
    }
    let modified = if referred == b"**NONE**" {
        Modified::UNTOLD
    } else {
        times.modified(&Stamp { day: slashed(referred)?, clock: None, offset: None })?
    };
    match organisation {
        b"PO" | b"PO-E" | b"POU" => Some(folder(0)),
        b"PS" | b"PS-E" | b"PS-L" | b"PSU" => Some(file(0, modified, 0)),
        b"DA" | b"DAU" | b"VS" | b"IS" | b"HFS" | b"ZFS" => Some(other()),
        _ => None,
    }
}

/// `2026/11/23`
fn slashed(text: &[u8]) -> Option<Day> {
    let mut parts = text.split(|byte| *byte == b'/');
    let (year, month, day) = (parts.next()?, small(parts.next()?)?, small(parts.next()?)?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Some(Day { year: Some(i16::try_from(number(year)?).ok()?), month, day })
}

/// `MEMBER1   01.06 2026/09/12 2026/11/23 10:15     8     8     0 USER1`, or the name alone.
fn member<'a>(line: &'a [u8], times: &mut Times) -> Option<Row<'a>> {
    let words: Vec<Word<'_>> = words(line, 0).take(5).collect();
    let name = words.first().map(|word| word.text).filter(|name| is_member_name(name))?;
    let modified = match words.as_slice() {
        [_] => Modified::UNTOLD,
        [_, version, _created, changed, time] if version.text.contains(&b'.') => {
            let clock = clock(time.text)?;
            times.modified(&Stamp { day: slashed(changed.text)?, clock: Some(clock), offset: None })?
        }
        _ => return None,
    };
    Some(Row { name, found: file(0, modified, 0) })
}

/// `MODULE1  000100   000B0F ...`: a program, of which no time is told.
fn load_module(line: &[u8]) -> Option<Row<'_>> {
    let words: Vec<Word<'_>> = words(line, 0).take(3).collect();
    let (name, size) = (words.first()?.text, words.get(1)?.text);
    let known = is_member_name(name) && size.iter().all(u8::is_ascii_hexdigit);
    known.then_some(Row { name, found: file(0, Modified::UNTOLD, 0) })
}

fn is_member_name(name: &[u8]) -> bool {
    (1..=8).contains(&name.len()) && name.iter().all(|byte| is_qualifier_byte(*byte))
}

/// `A.B.C`, in quotes where it is not relative.
fn is_data_set_name(name: &[u8]) -> bool {
    let bare = name.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'")).unwrap_or(name);
    (1..=44).contains(&bare.len()) && bare.iter().all(|byte| is_qualifier_byte(*byte) || *byte == b'.')
}

/// National characters differ by code page: any byte beyond ASCII may be one.
fn is_qualifier_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$#@-{".contains(&byte) || byte >= 0x80
}
