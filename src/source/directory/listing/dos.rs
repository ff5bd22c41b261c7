//! Windows: `11-23-26  10:15AM       <DIR>          name`, with years of 2 or 4 digits, 12 or 24 hours, grouped sizes.

use crate::source::directory::place::Found;

use super::dates::clock;
use super::fields::{Word, grouped_number, is_empty, unindented, word};
use super::order::{Order, Orders};
use super::row::{Emit, Row, Taken, file, folder, other};
use super::times::{OClock, Stamp, Times};

/// A mark such as `<DIR>` and the blanks behind it are at least so wide.
const MARK_WIDTH: usize = 15;

/// What is remembered of the lines before.
#[derive(Debug)]
pub struct Dos {
    orders: Orders,
}

impl Default for Dos {
    fn default() -> Self {
        // IIS writes the month first, whatever the language of the system.
        Self { orders: Orders::new([Order::MonthDayYear, Order::DayMonthYear, Order::YearMonthDay]) }
    }
}

impl Dos {
    /// Reads one line.
    pub fn take(&mut self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        if is_empty(line) {
            return Taken::Passed;
        }
        match self.row(line, times) {
            Some(row) => {
                emit(row);
                Taken::Entry
            }
            None => Taken::Unknown,
        }
    }

    /// For another pass over the same lines.
    #[must_use]
    pub fn learned(self) -> Self {
        self
    }

    fn row<'a>(&mut self, line: &'a [u8], times: &mut Times) -> Option<Row<'a>> {
        let date = word(line, 0)?;
        let (clock, clock_end) = time_of_day(line, date.end)?;
        let third = word(line, clock_end)?;
        let (name, found) = match third.text {
            [b'<', mark @ .., b'>'] => marked(line, third, mark)?,
            digits => {
                let size = grouped_number(digits)?;
                let day = self.orders.read(date.text, times)?;
                let modified = times.modified(&Stamp { day, clock: Some(clock), offset: None })?;
                (line.get(third.end..)?.strip_prefix(b" ")?, file(size, modified, 0))
            }
        };
        if third.text[0] == b'<' {
            // A folder's date tells the order too, and a line without a date is none of ours.
            self.orders.read(date.text, times)?;
        }
        Some(Row { name, found })
    }
}

/// `<DIR>`, `<JUNCTION>`, `<SYMLINK>`, `<SYMLINKD>` and the name, which begins in a column of its own.
fn marked<'a>(line: &'a [u8], mark: Word<'_>, text: &[u8]) -> Option<(&'a [u8], Found)> {
    let behind = line.get(mark.end..)?;
    let wide = MARK_WIDTH.saturating_sub(mark.text.len());
    let name = match behind.get(..wide) {
        Some(blanks) if is_empty(blanks) => &behind[wide..],
        _ => unindented(behind),
    };
    match text {
        b"DIR" => Some((name, folder(0))),
        b"JUNCTION" | b"SYMLINK" | b"SYMLINKD" => Some((without_target(name), other())),
        _ => None,
    }
}

/// `name [C:\target]`
fn without_target(name: &[u8]) -> &[u8] {
    match memchr::memmem::find(name, b" [") {
        Some(at) if name.ends_with(b"]") => &name[..at],
        _ => name,
    }
}

/// `10:15AM`, `10:15 PM`, `10:15a`, `22:15`, `22:15:30`, and where it ends.
fn time_of_day(line: &[u8], from: usize) -> Option<(OClock, usize)> {
    let time = word(line, from)?;
    let letters = time.text.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (digits, half) = time.text.split_at(time.text.len() - letters);
    let plain = clock(digits).filter(|_| !digits.contains(&b'.'))?;
    if !half.is_empty() {
        return Some((half_day(plain, half)?, time.end));
    }
    let next = word(line, time.end)?;
    match half_day(plain, next.text) {
        Some(clock) => Some((clock, next.end)),
        None => Some((plain, time.end)),
    }
}

fn half_day(clock: OClock, half: &[u8]) -> Option<OClock> {
    let is = |word: &[u8]| half.eq_ignore_ascii_case(word);
    let noon = match () {
        () if is(b"am") || is(b"a") => 0,
        () if is(b"pm") || is(b"p") => 12,
        () => return None,
    };
    (1..=12).contains(&clock.hour).then_some(OClock { hour: clock.hour % 12 + noon, ..clock })
}
