//! How domain values stand in the tables: small numbers for words, fixed bytes for tuples.

use rusqlite::Row;

use crate::change::{Content, Fingerprint, Key, Kind, Known, Nature, Presence, Tuple};
use crate::clock::Timestamp;
use crate::store::State;

/// The stored states. 1, 2 and 3 keep their key busy, as the partial indexes of the schema spell out; `PARKED` is a
/// pending delivery that waits for an earlier one of its key.
pub const PENDING: i64 = 0;
/// An attempt is under way.
pub const IN_FLIGHT: i64 = 1;
/// Waits for its next try.
pub const RETRYING: i64 = 2;
/// Pending, but out of the index of what is due until its key is free.
pub const PARKED: i64 = 3;
/// Arrived.
pub const DELIVERED: i64 = 4;
/// Given up.
pub const DEAD: i64 = 5;
/// Cancelled by an operator.
pub const CANCELLED: i64 = 6;
/// A newer version took its place.
pub const SUPERSEDED: i64 = 7;

/// The number of a state.
pub const fn state_code(state: State) -> i64 {
    match state {
        State::Pending => PENDING,
        State::InFlight => IN_FLIGHT,
        State::Retrying => RETRYING,
        State::Delivered => DELIVERED,
        State::Dead => DEAD,
        State::Cancelled => CANCELLED,
        State::Superseded => SUPERSEDED,
    }
}

/// The state of a number; an unknown one (a newer store) reads as cancelled, which nothing acts on.
pub const fn state_of(code: i64) -> State {
    match code {
        PENDING | PARKED => State::Pending,
        IN_FLIGHT => State::InFlight,
        RETRYING => State::Retrying,
        DELIVERED => State::Delivered,
        DEAD => State::Dead,
        SUPERSEDED => State::Superseded,
        _ => State::Cancelled,
    }
}

/// The number of a kind: its place in [`Kind::ALL`].
pub fn kind_code(kind: Kind) -> i64 {
    Kind::ALL.iter().position(|k| *k == kind).and_then(|at| i64::try_from(at).ok()).unwrap_or(0)
}

/// The kind of a number.
pub fn kind_of(code: i64) -> Kind {
    usize::try_from(code).ok().and_then(|at| Kind::ALL.get(at).copied()).unwrap_or(Kind::Changed)
}

/// The number of a nature.
pub const fn nature_code(nature: Nature) -> i64 {
    match nature {
        Nature::File => 0,
        Nature::Row => 1,
        Nature::Message => 2,
    }
}

/// The nature of a number.
pub const fn nature_of(code: i64) -> Nature {
    match code {
        0 => Nature::File,
        1 => Nature::Row,
        _ => Nature::Message,
    }
}

const fn presence_code(presence: Presence) -> i64 {
    match presence {
        Presence::Present => 0,
        Presence::Absent => 1,
        Presence::Removed => 2,
    }
}

const fn presence_of(code: i64) -> Presence {
    match code {
        0 => Presence::Present,
        1 => Presence::Absent,
        _ => Presence::Removed,
    }
}

/// 32 bytes: size, mtime, ctime, inode, little-endian.
pub fn tuple_bytes(tuple: &Tuple) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&tuple.size.to_le_bytes());
    bytes[8..16].copy_from_slice(&tuple.mtime_ns.to_le_bytes());
    bytes[16..24].copy_from_slice(&tuple.ctime_ns.to_le_bytes());
    bytes[24..].copy_from_slice(&tuple.inode.to_le_bytes());
    bytes
}

/// Reads what [`tuple_bytes`] wrote; `None` for any other length.
pub fn tuple_of(bytes: &[u8]) -> Option<Tuple> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    let word = |at: usize| -> [u8; 8] {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        word
    };
    Some(Tuple {
        size: u64::from_le_bytes(word(0)),
        mtime_ns: i64::from_le_bytes(word(8)),
        ctime_ns: i64::from_le_bytes(word(16)),
        inode: u64::from_le_bytes(word(24)),
    })
}

/// A count as SQLite stores it.
pub fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored count.
pub fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The columns of `known` in the order [`known_of`] reads them.
pub const KNOWN_COLUMNS: &str = "fingerprint, revision, presence, tuple, note, size";

/// Reads [`KNOWN_COLUMNS`] from column `at` on.
pub fn known_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Known> {
    let fingerprint: Option<Vec<u8>> = row.get(at)?;
    let tuple: Option<Vec<u8>> = row.get(at + 3)?;
    let note: Vec<u8> = row.get(at + 4)?;
    Ok(Known {
        fingerprint: fingerprint.and_then(|f| Fingerprint::from_slice(&f)),
        revision: count(row.get(at + 1)?),
        presence: presence_of(row.get(at + 2)?),
        tuple: tuple.and_then(|t| tuple_of(&t)),
        note: note.into(),
        size: count(row.get(at + 5)?),
    })
}

/// The number of a presence, for writing.
pub const fn presence(known: &Known) -> i64 {
    presence_code(known.presence)
}

/// A stored time.
pub fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// The hash under which an event is found by its id.
pub fn id_hash(id: &[u8]) -> i64 {
    let mut word = [0; 8];
    let length = id.len().min(8);
    word[..length].copy_from_slice(&id[..length]);
    i64::from_le_bytes(word)
}

/// The hash under which an event is found by its source and key.
pub fn key_hash(source_id: i64, key: &Key) -> i64 {
    // FNV-1a: stable over versions of this program, which the standard library's hasher is not.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in source_id.to_le_bytes().iter().chain(key.as_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    i64::from_le_bytes(hash.to_le_bytes())
}

/// The columns of `content` as read by [`content_of`].
pub fn content_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Content>> {
    let inline: Option<Vec<u8>> = row.get(at)?;
    let name: Option<String> = row.get(at + 1)?;
    let size: Option<i64> = row.get(at + 2)?;
    Ok(match (inline, name) {
        (Some(bytes), _) => Some(Content::Inline(bytes)),
        (None, Some(name)) => Some(Content::Spooled { name, size: count(size.unwrap_or(0)) }),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_kind_is_read_back() {
        for state in State::ALL {
            assert_eq!(state_of(state_code(state)), state);
        }
        for kind in Kind::ALL {
            assert_eq!(kind_of(kind_code(kind)), kind);
        }
    }

    #[test]
    fn a_tuple_is_read_back() {
        let tuple = Tuple { size: 1, mtime_ns: -2, ctime_ns: 3, inode: u64::MAX };
        assert_eq!(tuple_of(&tuple_bytes(&tuple)), Some(tuple));
        assert_eq!(tuple_of(b"short"), None);
    }
}
