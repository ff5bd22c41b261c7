//! `ls -l` and its many imitators. The date is looked for first, because it is the one field whose shape is sure:
//! before it stands the size, behind it one blank and the name.

use crate::source::directory::place::Found;

use super::dates::date;
use super::fields::{Word, is_empty, number, word, words};
use super::row::{Emit, Row, Taken, file, folder, other};
use super::times::{Stamp, Times};

/// What is remembered of the lines before.
#[derive(Debug, Default)]
pub struct Unix {
    begun: bool,
}

impl Unix {
    /// Reads one line.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        if let Some(row) = row(line, times) {
            self.begun = true;
            emit(row);
            return Taken::Entry;
        }
        // In the middle of a listing such a line is the end of a name with a line feed in it.
        if is_empty(line) || (!self.begun && is_total(line)) {
            return Taken::Passed;
        }
        Taken::Unknown
    }
}

/// One entry, when the line is one.
pub fn row<'a>(line: &'a [u8], times: &mut Times) -> Option<Row<'a>> {
    let mode = mode(line)?;
    let kind = mode.text[0];
    let (size, stamp, end) = size_and_date(line, mode.end, kind)?;
    let name = line.get(end..)?.strip_prefix(b" ")?;
    let modified = times.modified(&stamp)?;
    let (name, found): (_, Found) = match kind {
        b'-' => (name, file(size?, modified, 0)),
        b'd' => (name.strip_suffix(b"/").unwrap_or(name), folder(0)),
        b'l' => (without_target(name), other()),
        _ => (name, other()),
    };
    Some(Row { name, found })
}

/// The mode: the first word, or behind the numbers of the inode and the blocks. It may touch the number of links.
fn mode(line: &[u8]) -> Option<Word<'_>> {
    let first = words(line, 0).take(3).find(|word| number(word.text).is_none())?;
    let (kind, rights) = first.text.split_first()?;
    let rights = rights.get(..9)?;
    let known = b"-dlbcpsDCMnPw".contains(kind) && rights.iter().all(|right| b"-rwxsStTlL".contains(right));
    if !known {
        return None;
    }
    let mut end = first.start + 10;
    // An ACL, an SELinux context, extended attributes.
    if matches!(line.get(end), Some(b'+' | b'.' | b'@')) {
        end += 1;
    }
    match line.get(end) {
        Some(b' ' | b'\t' | b'0'..=b'9') => Some(Word { text: &line[first.start..end], start: first.start, end }),
        _ => None,
    }
}

/// The first number with a date behind it, not counting the first word, which is the number of links: somebody may be
/// called May.
fn size_and_date(line: &[u8], from: usize, kind: u8) -> Option<(Option<u64>, Stamp, usize)> {
    let is_device = matches!(kind, b'b' | b'c');
    let dated = |before: Word<'_>| {
        let size = number(before.text);
        let fits = size.is_some() || (is_device && before.text.last().is_some_and(u8::is_ascii_digit));
        if !fits {
            return None;
        }
        date(line, before.end).map(|(stamp, end)| (size, stamp, end))
    };
    let later = words(line, from).skip(1).find_map(dated);
    later.or_else(|| word(line, from).and_then(dated))
}

/// The name of a link, before the arrow.
fn without_target(name: &[u8]) -> &[u8] {
    memchr::memmem::find(name, b" -> ").map_or(name, |arrow| &name[..arrow])
}

/// `total 12`, in the languages of servers.
fn is_total(line: &[u8]) -> bool {
    const WORDS: [&str; 19] = [
        "total",
        "insgesamt",
        "gesamt",
        "totale",
        "totaal",
        "totalt",
        "summa",
        "sammanlagt",
        "razem",
        "celkem",
        "итого",
        "yhteensä",
        "合計",
        "総計",
        "总用量",
        "總計",
        "总计",
        "합계",
        "i alt",
    ];
    let Ok(text) = std::str::from_utf8(line) else {
        // In ISO 8859-1.
        return line.starts_with(b"yhteens\xe4 ");
    };
    let lower = text.trim().to_lowercase();
    let Some((name, sum)) = lower.rsplit_once([' ', '\t']) else { return false };
    let sum = sum.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = !sum.is_empty() && sum.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
    is_number && WORDS.contains(&name.trim_end())
}
