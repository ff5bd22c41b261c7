//! MLSD and MLST, RFC 3659: `type=file;size=3;modify=20261123101500; name`. Facts are in UTC and exact; names are bytes.
//! Finding the fact line within a reply to MLST belongs to the connection.

use crate::error::Result;
use crate::source::directory::place::{Found, Listed, Listing, Precision};

use super::doubt::Doubts;
use super::fields::{is_empty, number};
use super::lines::{Line, Lines};
use super::row::{Modified, Name, file, folder, judge_name, number_of, other};
use super::times::{OClock, utc_nanos};

/// Takes the bytes of an MLSD listing.
#[derive(Debug, Default)]
pub struct MlsdReader {
    lines: Lines,
    doubts: Doubts,
}

impl MlsdReader {
    /// A reader that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and hands out the entries that are complete by now.
    ///
    /// # Errors
    /// Only those of `each`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<()> {
        let Self { lines, doubts } = self;
        lines.feed(bytes, &mut |line| take(line, doubts, each))
    }

    /// Looks for words that the listing is not whole in what the server said at its end.
    pub fn reply(&mut self, text: &[u8]) {
        self.doubts.reply(text);
    }

    /// Hands out what is left and says how the listing ended.
    ///
    /// # Errors
    /// Only those of `each`.
    pub fn finish(self, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let Self { lines, mut doubts } = self;
        if lines.finish(&mut |line| take(line, &mut doubts, each))? {
            doubts.notice("the listing ends within a line");
        }
        Ok(doubts.end("MLSD facts"))
    }
}

fn take(line: Line<'_>, doubts: &mut Doubts, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<()> {
    doubts.count();
    let line = match line {
        Line::Whole(line) if is_empty(line) => return Ok(()),
        Line::Whole(line) => line,
        Line::TooLong(head) => {
            doubts.unknown(head);
            return Ok(());
        }
    };
    match parse(line) {
        Some((_, Fact::Around)) => Ok(()),
        Some((name, Fact::Found(found))) => match judge_name(name) {
            Name::Good => each(Listed { name, found }),
            Name::Dots => Ok(()),
            Name::Bad => {
                doubts.unknown(line);
                Ok(())
            }
        },
        None => {
            doubts.unknown(line);
            Ok(())
        }
    }
}

/// One line of facts in a reply to MLST, with or without the space it begins with there. The name is what the server
/// says, often a whole path; the folder that was asked for itself is a folder.
pub fn parse_mlst(line: &[u8]) -> Option<(&[u8], Found)> {
    let line = line.strip_prefix(b" ").unwrap_or(line);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (name, fact) = parse(line)?;
    let found = match fact {
        Fact::Found(found) => found,
        Fact::Around => folder(0),
    };
    Some((name, found))
}

/// What a line of facts is about.
enum Fact {
    /// An entry.
    Found(Found),
    /// The folder that is listed, or one above it (`cdir`, `pdir`).
    Around,
}

#[derive(PartialEq)]
enum Kind {
    File,
    Folder,
    Around,
    Other,
}

fn parse(line: &[u8]) -> Option<(&[u8], Fact)> {
    // The facts end with "; ": a link's target among them may hold blanks, and so may the name.
    let end = memchr::memmem::find(line, b"; ")?;
    let (facts, name) = (&line[..end], &line[end + 2..]);
    let (mut kind, mut size, mut modified, mut inode) = (None, 0, Modified::UNTOLD, 0);
    for fact in facts.split(|byte| *byte == b';') {
        let equals = fact.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&fact[..equals], &fact[equals + 1..]);
        match key.len() {
            4 if key.eq_ignore_ascii_case(b"type") => kind = Some(kind_of(value)),
            4 if key.eq_ignore_ascii_case(b"size") => size = number(value)?,
            6 if key.eq_ignore_ascii_case(b"modify") => modified = moment(value)?,
            6 if key.eq_ignore_ascii_case(b"unique") => inode = number_of(value),
            _ => {}
        }
    }
    let fact = match kind? {
        Kind::File => Fact::Found(file(size, modified, inode)),
        Kind::Folder => Fact::Found(folder(inode)),
        Kind::Around => Fact::Around,
        Kind::Other => Fact::Found(other()),
    };
    Some((name, fact))
}

fn kind_of(value: &[u8]) -> Kind {
    let is = |word: &[u8]| value.eq_ignore_ascii_case(word);
    if is(b"file") {
        Kind::File
    } else if is(b"dir") {
        Kind::Folder
    } else if is(b"cdir") || is(b"pdir") {
        Kind::Around
    } else {
        Kind::Other
    }
}

/// `20261123101500` or `20261123101500.123`, in UTC. A year out of range is what servers say of files without a time.
fn moment(value: &[u8]) -> Option<Modified> {
    let (digits, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (&value[..point], fraction_nanos(&value[point + 1..])?),
        None => (value, 0),
    };
    if digits.len() != 14 {
        return None;
    }
    let part = |from: usize, len: usize| number(&digits[from..from + len]);
    let small = |from: usize| part(from, 2).and_then(|value| i8::try_from(value).ok());
    let (year, month, day) = (i16::try_from(part(0, 4)?).ok()?, small(4)?, small(6)?);
    let (hour, minute, second) = (small(8)?, small(10)?, small(12)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // A leap second is the last of its minute: the epoch does not count them.
    let clock = OClock { hour, minute, second: Some(second.min(59)) };
    let precision = if fraction > 0 { Precision::Exact } else { Precision::Second };
    let nanos = utc_nanos(year, month, day, clock, fraction).ok()?;
    Some(nanos.map_or(Modified::UNTOLD, |nanos| Modified { nanos, precision }))
}

fn fraction_nanos(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nine = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(nine.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}
