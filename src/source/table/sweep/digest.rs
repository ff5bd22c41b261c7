//! Digests of known rows, as the databases compute them of theirs. Which buckets are read belongs to `run`.

use md5::{Digest, Md5};

use crate::change::{Key, Known, Presence};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::table::Position;
use crate::source::{Ledger, PAGE_ENTRIES_MAX};

/// A bucket holds at most about so many keys.
const BUCKET_ROWS: u64 = 4_096;
/// Hexadecimal digits of the number that decides a key's bucket.
pub const KEY_DIGITS: u32 = 8;
/// Hexadecimal digits of the numbers that are summed up; half a million of them fit 63 bits.
pub const ROW_DIGITS: u32 = 11;

/// Count and sum of digests per bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    buckets: Vec<(u64, u128)>,
    /// Rows in all buckets.
    pub total: u64,
}

/// How known keys and notes are taken apart: what has several columns is a JSON array.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Whether the key has several columns.
    pub keys: bool,
    /// Whether the watermark has several columns.
    pub watermarks: bool,
}

/// How many buckets so many rows make: a power of two.
pub fn bucket_count(rows: u64) -> u64 {
    rows.div_ceil(BUCKET_ROWS).max(1).next_power_of_two()
}

/// The first `digits` hexadecimal digits of the MD5 over `parts`, joined by line feeds, as a number.
pub fn number<'a>(parts: impl Iterator<Item = &'a [u8]>, digits: u32) -> u64 {
    let mut hasher = Md5::new();
    for (at, part) in parts.enumerate() {
        if at > 0 {
            hasher.update(b"\n");
        }
        hasher.update(part);
    }
    let hash = hasher.finalize();
    let first: [u8; 8] = hash[..8].try_into().expect("MD5 has 16 bytes");
    u64::from_be_bytes(first) >> (64 - 4 * digits)
}

impl Tally {
    /// Nothing yet, in so many buckets.
    pub fn new(buckets: u64) -> Self {
        Self { buckets: vec![(0, 0); usize::try_from(buckets).unwrap_or(usize::MAX)], total: 0 }
    }

    /// Adds rows to a bucket.
    ///
    /// # Errors
    /// `Internal` when there is no such bucket.
    pub fn add(&mut self, bucket: u64, rows: u64, sum: u128) -> Result<()> {
        let place = usize::try_from(bucket).ok().and_then(|at| self.buckets.get_mut(at));
        let (count, sums) = place.ok_or_else(|| Error::internal("a sweep's bucket is out of range"))?;
        *count += rows;
        *sums += sum;
        self.total += rows;
        Ok(())
    }

    /// What is known to be there, read in pages.
    ///
    /// # Errors
    /// Those of the ledger; `Stopped`.
    pub fn of_known(ledger: &mut dyn Ledger, parts: Parts, buckets: u64, stop: &Stop) -> Result<Self> {
        let mut tally = Self::new(buckets);
        each_present(ledger, stop, &mut |_, page| {
            for (key, known) in page {
                let (bucket, sum) = parts.digests(key.as_bytes(), &known.note, buckets);
                tally.add(bucket, 1, sum.into())?;
            }
            Ok(())
        })?;
        Ok(tally)
    }

    /// The buckets in which `other` has something else.
    pub fn differing(&self, other: &Self) -> Vec<u64> {
        let pairs = self.buckets.iter().zip(&other.buckets);
        (0..).zip(pairs).filter(|(_, (ours, theirs))| ours != theirs).map(|(at, _)| at).collect()
    }

    /// How many rows `other` lacks at the least.
    pub fn surplus(&self, other: &Self) -> u64 {
        self.buckets.iter().zip(&other.buckets).map(|(ours, theirs)| ours.0.saturating_sub(theirs.0)).sum()
    }
}

impl Parts {
    /// The bucket of a key.
    pub fn bucket(self, key: &[u8], buckets: u64) -> u64 {
        number(split(key, self.keys).iter().map(AsRef::as_ref), KEY_DIGITS) % buckets
    }

    fn digests(self, key: &[u8], note: &[u8], buckets: u64) -> (u64, u64) {
        let (keys, notes) = (split(key, self.keys), split(note, self.watermarks));
        let bucket = number(keys.iter().map(AsRef::as_ref), KEY_DIGITS) % buckets;
        (bucket, number(keys.iter().chain(&notes).map(AsRef::as_ref), ROW_DIGITS))
    }
}

/// The bucket of a row, and its digest.
pub fn of_position(position: &Position, buckets: u64) -> (u64, u64) {
    let keys = || position.key.iter().map(String::as_bytes);
    let all = keys().chain(position.watermark.iter().map(String::as_bytes));
    (number(keys(), KEY_DIGITS) % buckets, number(all, ROW_DIGITS))
}

/// Takes a page of known keys.
pub type EachPage<'a> = dyn FnMut(&mut dyn Ledger, Vec<(Key, Known)>) -> Result<()> + 'a;

/// Hands all keys that are known to be there to `each`, in pages.
///
/// # Errors
/// Those of the ledger and of `each`; `Stopped`.
pub fn each_present(ledger: &mut dyn Ledger, stop: &Stop, each: &mut EachPage<'_>) -> Result<()> {
    let mut after = None;
    loop {
        stop.check()?;
        let mut page = ledger.known_below(b"", after.as_ref(), PAGE_ENTRIES_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        page.retain(|(_, known)| known.presence == Presence::Present);
        each(ledger, page)?;
    }
}

/// A number in a database's answer.
///
/// # Errors
/// `Invalid` when it is none.
pub fn parsed(cell: Option<&Option<String>>) -> Result<u128> {
    let text = cell.and_then(Option::as_deref).unwrap_or_default();
    text.parse().map_err(|_| {
        Error::new(ErrorKind::Invalid, format!("the database answers a sweep with \"{text}\" where a number belongs"))
    })
}

fn split(bytes: &[u8], several: bool) -> Vec<std::borrow::Cow<'_, [u8]>> {
    let parsed: Option<Vec<String>> = if several { serde_json::from_slice(bytes).ok() } else { None };
    match parsed {
        Some(texts) => texts.into_iter().map(|text| text.into_bytes().into()).collect(),
        None => vec![bytes.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_md5() {
        // md5('7') = 8f14e45fceea167a5a36dedd4bea2543
        assert_eq!(number([&b"7"[..]].into_iter(), KEY_DIGITS), 0x8f14_e45f);
        assert_eq!(number([&b"7"[..]].into_iter(), ROW_DIGITS), 0x8f1_4e45_fcee);
        let parts = Parts { keys: true, watermarks: false };
        assert_eq!(parts.digests(b"[\"a\",\"\\\"b\"]", b"9", 1).1, number([&b"a\n\"b\n9"[..]].into_iter(), ROW_DIGITS));
        let position = Position { watermark: vec!["9".into()], key: vec!["a".into(), "\"b".into()] };
        assert_eq!(parts.digests(b"[\"a\",\"\\\"b\"]", b"9", 8), of_position(&position, 8));
    }

    #[test]
    fn buckets_stay_small_and_are_a_power_of_two() {
        assert_eq!([0, 1, 4_096, 4_097, 1_000_000].map(bucket_count), [1, 1, 1, 2, 256]);
    }

    #[test]
    fn only_buckets_that_differ_are_named() {
        let (mut ours, mut theirs) = (Tally::new(4), Tally::new(4));
        for tally in [&mut ours, &mut theirs] {
            tally.add(1, 2, 7).expect("a bucket");
            tally.add(2, 5, 9).expect("a bucket");
        }
        assert!(ours.differing(&theirs).is_empty());
        ours.add(3, 1, 1).expect("a bucket");
        assert_eq!((ours.differing(&theirs), ours.surplus(&theirs), theirs.surplus(&ours)), (vec![3], 1, 0));
        assert!(ours.add(4, 1, 1).is_err());
    }
}
