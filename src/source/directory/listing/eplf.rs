//! EPLF, the easily parsed LIST format: `+i8388621.29609,m824255902,/,` tab `name`. Times are seconds in UTC.

use crate::source::directory::place::Precision;

use super::fields::{is_empty, number};
use super::row::{Emit, Modified, Row, Taken, file, folder, number_of, other};

/// Reads one line.
pub fn take(line: &[u8], emit: &mut Emit<'_>) -> Taken {
    if is_empty(line) {
        return Taken::Passed;
    }
    match row(line) {
        Some(row) => {
            emit(row);
            Taken::Entry
        }
        None => Taken::Unknown,
    }
}

fn row(line: &[u8]) -> Option<Row<'_>> {
    let rest = line.strip_prefix(b"+")?;
    let tab = rest.iter().position(|byte| *byte == b'\t')?;
    let (facts, name) = (&rest[..tab], &rest[tab + 1..]);
    let (mut size, mut modified, mut inode) = (0, Modified::UNTOLD, 0);
    let (mut can_read, mut can_enter) = (false, false);
    for fact in facts.split(|byte| *byte == b',') {
        match fact {
            b"" => {}
            b"/" => can_enter = true,
            b"r" => can_read = true,
            [b's', digits @ ..] => size = number(digits)?,
            [b'm', digits @ ..] => modified = moment(number(digits)?),
            [b'i', identity @ ..] => inode = number_of(identity),
            // What is not known is to be passed over.
            _ => {}
        }
    }
    let found = match (can_enter, can_read) {
        (true, _) => folder(inode),
        (false, true) => file(size, modified, inode),
        (false, false) => other(),
    };
    Some(Row { name, found })
}

fn moment(seconds: u64) -> Modified {
    let nanos = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    nanos.map_or(Modified::UNTOLD, |nanos| Modified { nanos, precision: Precision::Second })
}
