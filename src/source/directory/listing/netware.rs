//! NetWare: `d [RWCEAFMS] owner 512 Jan 16 18:53 name`. Names begin behind all blanks: some servers align them.

use super::dates::date;
use super::fields::{is_empty, number, unindented, words};
use super::row::{Emit, Row, Taken, file, folder};
use super::times::Times;

/// There is nothing to remember.
#[derive(Debug, Default)]
pub struct NetWare;

impl NetWare {
    /// Reads one line.
    pub fn take(&self, line: &[u8], times: &mut Times, emit: &mut Emit<'_>) -> Taken {
        let head = line.strip_prefix(b"total ").is_some_and(|sum| number(sum.trim_ascii()).is_some());
        if head || is_empty(line) {
            return Taken::Passed;
        }
        match row(line, times) {
            Some(row) => {
                emit(row);
                Taken::Entry
            }
            None => Taken::Unknown,
        }
    }
}

fn row<'a>(line: &'a [u8], times: &mut Times) -> Option<Row<'a>> {
    let is_folder = match line.first()? {
        b'd' => true,
        b'-' => false,
        _ => return None,
    };
    let blank = usize::from(line.get(1) == Some(&b' '));
    let rights = line.get(1 + blank..)?.strip_prefix(b"[")?;
    let close = rights.iter().position(|byte| *byte == b']')?;
    let known = rights[..close].iter().all(|right| right.is_ascii_uppercase() || matches!(right, b'-' | b' '));
    if !known || close > 16 {
        return None;
    }
    let from = 1 + blank + 1 + close + 1;
    let found = words(line, from).find_map(|before| {
        let size = number(before.text)?;
        date(line, before.end).map(|(stamp, end)| (size, stamp, end))
    });
    let (size, stamp, end) = found?;
    let name = unindented(&line[end..]);
    let modified = times.modified(&stamp)?;
    let found = if is_folder { folder(0) } else { file(size, modified, 0) };
    Some(Row { name, found })
}
