//! Files that misbehave while they are read.

use super::*;
use crate::source::NoProgress;
use crate::source::directory::place::{Found, Listed, Listing, Precision, Renamed, Shape};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory with one file that says one thing and does another.
struct Odd {
    /// What it says of itself at each look, the last one for ever.
    sizes: Vec<u64>,
    /// How many bytes it gives.
    gives: u64,
    given: Arc<AtomicU64>,
    /// Whether it is still there when it is looked for by name.
    stays: bool,
}

struct OddFile {
    sizes: Vec<u64>,
    looks: AtomicU64,
    gives: u64,
    given: Arc<AtomicU64>,
}

fn tuple(size: u64) -> Tuple {
    Tuple { size, ..Tuple::default() }
}

impl Read for OddFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.gives - self.given.load(Ordering::Relaxed);
        // Small bites, as a slow network file system gives them.
        let count = buffer.len().min(1_000).min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer[..count].fill(b'x');
        self.given.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl OpenFile for OddFile {
    fn tuple(&self) -> Result<Tuple> {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) as usize;
        Ok(tuple(self.sizes[look.min(self.sizes.len() - 1)]))
    }
}

impl Directory for Odd {
    fn arrive(&mut self) -> Result<String> {
        Ok(String::new())
    }
    fn list(&self, _: &[u8], _: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        Ok(Listing::Complete)
    }
    fn look(&self, _: &[u8]) -> Result<Option<Found>> {
        Ok(self.stays.then_some(Found { shape: Shape::File, tuple: tuple(self.sizes[0]), precision: Precision::Exact }))
    }
    fn open(&self, _: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        let (sizes, looks) = (self.sizes.clone(), AtomicU64::new(0));
        Ok(Some(Box::new(OddFile { sizes, looks, gives: self.gives, given: Arc::clone(&self.given) })))
    }
    fn rename_new(&self, _: &[u8], _: &[u8]) -> Result<Renamed> {
        Ok(Renamed::Missing)
    }
    fn copy_new(&self, _: &[u8], _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn remove(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn make_folder(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn sync_folder(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Reads a file that was looked at with the first of `sizes`; what came of it, and how many bytes were read.
fn read(sizes: &[u64], gives: u64, stays: bool) -> (Reading, u64) {
    let given = Arc::new(AtomicU64::new(0));
    let odd = Odd { sizes: sizes.to_vec(), gives, given: Arc::clone(&given), stays };
    let order =
        Order { path: b"a", claim: None, tuple: tuple(sizes[0]), writer: None, told: None, md5: true, ending: true };
    let (mut readings, full) = read_all(&odd, vec![order], &Stop::new(), &NoProgress).expect("no failure of ours");
    assert!(full.is_none());
    (readings.remove(0), given.load(Ordering::Relaxed))
}

#[test]
fn a_file_is_read_whole_in_whatever_bites_it_comes() {
    let (reading, _) = read(&[50_000], 50_000, true);
    let Reading::Whole(whole) = reading else { panic!("{reading:?}") };
    assert_eq!(whole.fingerprint, Fingerprint::of(&[b'x'; 50_000]));
    assert_eq!(whole.ending, [b'x'; ENDING_BYTES_MAX]);
    assert!(whole.md5.is_some());
}

#[test]
fn a_file_that_grows_for_ever_is_not_read_for_ever() {
    let (reading, given) = read(&[5_000], u64::MAX, true);
    assert!(matches!(reading, Reading::Changing), "{reading:?}");
    assert_eq!(given, 5_001);
}

#[test]
fn a_file_that_is_cut_or_written_meanwhile_is_still_changing() {
    assert!(matches!(read(&[5_000], 4_000, true).0, Reading::Changing), "fewer bytes than announced");
    assert!(matches!(read(&[5_000, 5_000, 6_000], 5_000, true).0, Reading::Whole(_)));
    assert!(matches!(read(&[5_000, 6_000], 5_000, true).0, Reading::Changing), "another tuple afterwards");
}

#[test]
fn a_file_that_vanishes_while_it_is_hashed_is_an_outcome_and_no_error() {
    assert!(matches!(read(&[5_000, 6_000], 5_000, false).0, Reading::Vanished));
}
