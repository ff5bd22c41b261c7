//! The bytes of one block of a folder's known listing. Each entry can be read from its offset alone, given the block's
//! head. Which entries go into which block is decided by `recut`.

use super::place::Shape;
use super::varint::{self, Take};
use crate::change::Tuple;

/// A block holds at most this many entries.
pub const BLOCK_ENTRIES_MAX: usize = 4_096;

/// The first byte of every block: the layout of what follows.
const LAYOUT: u8 = 1;

/// What is known of a settled entry beside its tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    const SHAPE: u8 = 0b11;
    const FILTERED: u8 = 1 << 2;
    const REMEMBERED: u8 = 1 << 3;
    const PASSED: u8 = 1 << 4;
    const MISSED: u8 = 1 << 5;
    const UNSURE: u8 = 1 << 6;
    const CLAIMED: u8 = 1 << 7;

    /// A file that has had its event.
    pub const TOLD: Self = Self(0);

    /// An entry of this shape that filters admit.
    pub const fn of(shape: Shape) -> Self {
        match shape {
            Shape::File => Self(0),
            Shape::Folder => Self(1),
            Shape::Other => Self(2),
        }
    }

    /// The same, taken out by a filter: only its name is compared.
    pub const fn filtered(self) -> Self {
        Self(self.0 | Self::FILTERED)
    }

    /// A file that was there at first (`start = "now"`) and has no row.
    pub const fn remembered() -> Self {
        Self(Self::REMEMBERED)
    }

    /// A file that is settled without an event: refused, or empty and ignored. An edit of the filters tries it again.
    pub const fn passed() -> Self {
        Self(Self::PASSED)
    }

    /// The same, not found by the last complete listing of a remote place; the next one decides.
    pub const fn missed(self) -> Self {
        Self(self.0 | Self::MISSED)
    }

    /// The same, read before the unit of its time was over: it is read once more.
    pub const fn unsure(self) -> Self {
        Self(self.0 | Self::UNSURE)
    }

    /// A place in the claim folder: a file was about to be renamed to it, and what lies there was not told.
    pub const fn claimed(self) -> Self {
        Self(self.0 | Self::CLAIMED)
    }

    /// Whether a file was about to be claimed there, and what lies there was not told.
    pub const fn is_claimed(self) -> bool {
        self.0 & Self::CLAIMED != 0
    }

    /// Whether the last complete listing did not have it.
    pub const fn is_missed(self) -> bool {
        self.0 & Self::MISSED != 0
    }

    /// Whether it is to be read once more.
    pub const fn is_unsure(self) -> bool {
        self.0 & Self::UNSURE != 0
    }

    /// Whether the next look must find it different, whatever its tuple says.
    pub const fn is_open(self) -> bool {
        self.0 & (Self::MISSED | Self::UNSURE | Self::CLAIMED) != 0
    }

    /// What it is.
    pub const fn shape(self) -> Shape {
        match self.0 & Self::SHAPE {
            0 => Shape::File,
            1 => Shape::Folder,
            _ => Shape::Other,
        }
    }

    /// Whether a filter takes it out.
    pub const fn is_filtered(self) -> bool {
        self.0 & Self::FILTERED != 0
    }

    /// Whether it was only remembered.
    pub const fn is_remembered(self) -> bool {
        self.0 & Self::REMEMBERED != 0
    }

    /// Whether it settled without an event.
    pub const fn is_passed(self) -> bool {
        self.0 & Self::PASSED != 0
    }

    /// Whether it is a file that counts as known: told or remembered.
    pub const fn is_known_file(self) -> bool {
        self.0 & (Self::SHAPE | Self::FILTERED | Self::PASSED | Self::CLAIMED) == 0
    }

    /// Whether its tuple is compared, and so stored.
    const fn has_tuple(self) -> bool {
        self.0 & (Self::SHAPE | Self::FILTERED) == 0
    }
}

/// One entry of a known listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled<'a> {
    /// What is known of it.
    pub flags: Flags,
    /// Its name in the folder.
    pub name: &'a [u8],
    /// What the listing said.
    pub tuple: Tuple,
}

/// The head of a block: values near which the entries' values lie.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    mtime_ns: i64,
    inode: u64,
}

/// Writes `entries` as a block.
pub fn encode<'a>(entries: impl Iterator<Item = Settled<'a>>) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    let mut head = None;
    for entry in entries {
        let head = *head.get_or_insert_with(|| {
            varint::put_signed(&mut out, entry.tuple.mtime_ns);
            varint::put(&mut out, entry.tuple.inode);
            Head { mtime_ns: entry.tuple.mtime_ns, inode: entry.tuple.inode }
        });
        out.push(entry.flags.0);
        varint::put_bytes(&mut out, entry.name);
        let tuple = entry.tuple;
        if entry.flags.has_tuple() {
            varint::put(&mut out, tuple.size);
            varint::put_signed(&mut out, tuple.mtime_ns.wrapping_sub(head.mtime_ns));
            varint::put_signed(&mut out, tuple.ctime_ns.wrapping_sub(tuple.mtime_ns));
        }
        if entry.flags.has_tuple() || entry.flags.shape() == Shape::Folder {
            varint::put_signed(&mut out, tuple.inode.wrapping_sub(head.inode) as i64);
        }
    }
    out
}

/// Reads the head of a block and where its first entry begins; `None` when it is damaged or of another layout.
pub fn head(bytes: &[u8]) -> Option<(Head, usize)> {
    let mut take = Take::new(bytes, 0);
    if take.byte()? != LAYOUT {
        return None;
    }
    if take.is_at_end() {
        return Some((Head { mtime_ns: 0, inode: 0 }, take.at()));
    }
    let head = Head { mtime_ns: take.signed()?, inode: take.number()? };
    Some((head, take.at()))
}

/// Reads the entry at `offset` and where the next one begins; `None` when the block is damaged.
#[inline]
pub fn entry(bytes: &[u8], head: Head, offset: usize) -> Option<(Settled<'_>, usize)> {
    let mut take = Take::new(bytes, offset);
    let flags = Flags(take.byte()?);
    let name = take.bytes()?;
    let mut tuple = Tuple::default();
    if flags.has_tuple() {
        tuple.size = take.number()?;
        tuple.mtime_ns = head.mtime_ns.wrapping_add(take.signed()?);
        tuple.ctime_ns = tuple.mtime_ns.wrapping_add(take.signed()?);
    }
    if flags.has_tuple() || flags.shape() == Shape::Folder {
        tuple.inode = head.inode.wrapping_add(take.signed()? as u64);
    }
    Some((Settled { flags, name, tuple }, take.at()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Raw = (u8, Vec<u8>, [u64; 2], [i64; 2]);

    fn entries() -> impl Strategy<Value = Vec<Raw>> {
        prop::collection::vec(
            (0u8..5, prop::collection::vec(1u8.., 1..20), any::<[u64; 2]>(), any::<[i64; 2]>()),
            0..40,
        )
    }

    proptest! {
        #[test]
        fn a_block_gives_back_what_was_put_in(raw in entries()) {
            let flags = [
                Flags::TOLD,
                Flags::of(Shape::Folder),
                Flags::of(Shape::Other),
                Flags::of(Shape::File).filtered(),
                Flags::remembered(),
            ];
            let settled: Vec<Settled<'_>> = raw
                .iter()
                .map(|(flag, name, [size, inode], [mtime_ns, ctime_ns])| {
                    let flags = flags[usize::from(*flag)];
                    let whole = Tuple { size: *size, mtime_ns: *mtime_ns, ctime_ns: *ctime_ns, inode: *inode };
                    let tuple = match flags.shape() {
                        _ if flags.is_filtered() => Tuple::default(),
                        Shape::File => whole,
                        Shape::Folder => Tuple { inode: *inode, ..Tuple::default() },
                        Shape::Other => Tuple::default(),
                    };
                    Settled { flags, name, tuple }
                })
                .collect();
            let bytes = encode(settled.iter().copied());
            let (head, mut at) = head(&bytes).expect("a head");
            for expected in settled {
                let (found, next) = entry(&bytes, head, at).expect("an entry");
                prop_assert_eq!(found, expected);
                at = next;
            }
            prop_assert_eq!(at, bytes.len());
        }

        #[test]
        fn damaged_bytes_are_noticed_or_read_but_never_panic(bytes: Vec<u8>) {
            if let Some((head, mut at)) = head(&bytes) {
                while let Some((_, next)) = entry(&bytes, head, at) {
                    at = next;
                }
            }
        }
    }
}
