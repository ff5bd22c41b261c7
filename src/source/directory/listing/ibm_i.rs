//! IBM i (OS/400): `OWNER  size date time *TYPE name`, each in its columns. The job's date format is not told: the dates
//! of the listing decide on it. Sizes of database files and their members are not those of their text.

use super::dates::clock;
use super::fields::{is_empty, number, unindented, words};
use super::order::{Order, Orders};
use super::row::{Emit, Modified, Row, Taken, file, folder, other};
use super::times::{OClock, Stamp, Times};

/// The type stands in a column of 10, and a blank follows.
const TYPE_WIDTH: usize = 11;

/// What is remembered of the lines before.
#[derive(Debug)]
pub struct IbmI {
    slashed: Orders,
    dotted: Orders,
    /// A database file whose members may be in the lines behind it.
    database_file: Option<(Vec<u8>, u64, Modified)>,
    /// The database file whose members are being listed.
    parent: Vec<u8>,
}

impl Default for IbmI {
    fn default() -> Self {
        Self {
            slashed: Orders::new([Order::MonthDayYear, Order::YearMonthDay, Order::DayMonthYear]),
            dotted: Orders::new([Order::DayMonthYear, Order::YearMonthDay, Order::MonthDayYear]),
            database_file: None,
            parent: Vec::new(),
        }
    }
}

impl IbmI {
    /// Reads one line.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        if is_empty(line) {
            return Taken::Passed;
        }
        let Some(fields) = self.fields(line, times) else { return Taken::Unknown };
        let Fields { kind, size, modified, name } = fields;
        if kind != b"*MEM" {
            self.end(emit);
            self.parent.clear();
        }
        let found = match kind {
            b"*STMF" | b"*DSTMF" | b"*DOC" => file(size, modified, 0),
            b"*DIR" | b"*DDIR" | b"*LIB" | b"*FLR" => folder(0),
            b"*MEM" => return self.member(name, size, modified, emit),
            // A save file, or a database file: the lines behind it tell.
            b"*FILE" => {
                self.database_file = Some((name.to_vec(), size, modified));
                return Taken::Entry;
            }
            _ => other(),
        };
        emit(Row { name: name.strip_suffix(b"/").unwrap_or(name), found });
        Taken::Entry
    }

    /// Hands out a file that has no members.
    pub fn end(&mut self, emit: &mut Emit<'_>) {
        if let Some((name, size, modified)) = self.database_file.take() {
            emit(Row { name: &name, found: file(size, modified, 0) });
        }
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.database_file.as_ref().map_or(0, |(name, ..)| name.len()) + self.parent.len()
    }

    /// For another pass over the same lines.
    #[must_use]
    pub fn learned(self) -> Self {
        Self { database_file: None, parent: Vec::new(), ..self }
    }

    /// `FILE.MEMBER`, or `FILE.FILE/MEMBER.MBR`, or within a file `MEMBER.MBR`.
    fn member(&mut self, name: &[u8], size: u64, modified: Modified, emit: &mut Emit<'_>) -> Taken {
        let behind = |file: &[u8]| name.strip_prefix(file).and_then(|rest| rest.first().copied());
        match self.database_file.take() {
            // Its members are listed when it is entered.
            Some((file, ..)) if behind(&file) == Some(b'/') => {
                emit(Row { name: &file, found: folder(0) });
                self.parent = file;
            }
            // Its text is that of its members: told once, by their names.
            Some((file, ..)) if behind(&file) == Some(b'.') => emit(Row { name: &file, found: other() }),
            waiting => {
                self.database_file = waiting;
                self.end(emit);
            }
        }
        match name.iter().position(|byte| *byte == b'/') {
            // It is seen again when that folder is listed.
            Some(slash) if !self.parent.is_empty() && name[..slash] == self.parent => return Taken::Passed,
            Some(slash) if name[..slash].ends_with(b".FILE") => {
                emit(Row { name: &name[slash + 1..], found: file(size, modified, 0) });
            }
            _ => emit(Row { name, found: file(size, modified, 0) }),
        }
        Taken::Entry
    }

    fn fields<'a>(&mut self, line: &'a [u8], times: &mut Times) -> Option<Fields<'a>> {
        let kind = words(line, 0).take(5).find(|word| is_kind(word.text))?;
        let behind = &line[kind.end..];
        let wide = TYPE_WIDTH.saturating_sub(kind.text.len());
        let name = match behind.get(..wide) {
            Some(blanks) if is_empty(blanks) => &behind[wide..],
            _ => unindented(behind),
        };
        let before = &line[..kind.start];
        let told: Vec<_> = words(before, 0).map(|word| word.text).collect();
        let (size, modified) = match told.as_slice() {
            [] | [_] => (0, Modified::UNTOLD),
            [.., size, date, time] if told.len() <= 4 => {
                // Without a size the owner stands there.
                let size = if told.len() == 4 { number(size)? } else { number(size).unwrap_or(0) };
                (size, self.modified(date, time, times)?)
            }
            [date, time] => (0, self.modified(date, time, times)?),
            _ => return None,
        };
        Some(Fields { kind: kind.text, size, modified, name })
    }

    fn modified(&mut self, date: &[u8], time: &[u8], times: &mut Times) -> Option<Modified> {
        let orders = if date.contains(&b'.') { &mut self.dotted } else { &mut self.slashed };
        let day = orders.read(date, times)?;
        times.modified(&Stamp { day, clock: Some(time_of_day(time)?), offset: None })
    }
}

struct Fields<'a> {
    kind: &'a [u8],
    size: u64,
    modified: Modified,
    name: &'a [u8],
}

fn is_kind(word: &[u8]) -> bool {
    match word {
        [b'*', letters @ ..] => {
            (1..=9).contains(&letters.len())
                && letters.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// `10:15:30`, with the time separator of the job: `10.15.30`, `10,15,30`.
fn time_of_day(text: &[u8]) -> Option<OClock> {
    if text.len() > 8 {
        return None;
    }
    let mut plain = [0; 8];
    let plain = &mut plain[..text.len()];
    plain.copy_from_slice(text);
    plain.iter_mut().filter(|byte| matches!(byte, b'.' | b',')).for_each(|byte| *byte = b':');
    clock(plain)
}
