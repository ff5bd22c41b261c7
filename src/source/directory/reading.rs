//! Reads files once: hashed, captured and held against the tuple that was looked at, on several threads when there is much.
//! Which files are read, and what is told of them, is `judge` and `settle`.

use std::io::Read;
use std::sync::Mutex;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::claim::{self, Claimed, Claiming};
use super::coarse::{agree, agree_across_zones, is_exact};
use super::place::{Directory, OpenFile};
use super::readiness::ENDING_BYTES_MAX;
use super::sidecar::Checksum;
use crate::change::{Content, Fingerprint, Tuple};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::event::SpoolWriter;
use crate::source::Progress;

/// Read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Below both of these a second thread costs more than it brings, where reading asks no other machine.
const FEW_FILES: usize = 16;
const FEW_BYTES: u64 = 512 * 1024;

/// A text may grow this much over its listed size when it is transferred.
const TEXT_GROWTH_MAX: u64 = 8;
/// Whatever its listed size, so much of a text is read.
const TEXT_BYTES_MIN: u64 = 64 << 20;

/// A file to be read.
#[derive(Debug)]
pub struct Order<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// How it is claimed first.
    pub claim: Option<&'a Claiming>,
    /// What was looked at: any other version is not read.
    pub tuple: Tuple,
    /// Takes the bytes; `None` when nobody wants them.
    pub writer: Option<SpoolWriter>,
    /// What was told last: bytes that are the same are not captured again.
    pub told: Option<Fingerprint>,
    /// Whether an MD5 is wanted beside the fingerprint.
    pub md5: bool,
    /// Whether the last bytes are wanted.
    pub ending: bool,
}

/// What came of reading a file.
#[derive(Debug)]
pub enum Reading {
    /// Exactly the version that was looked at.
    Whole(Box<Whole>),
    /// It is another version by now, or was changed meanwhile.
    Changing,
    /// It is not there any more.
    Vanished,
    /// Another file lies where it is to be claimed to.
    Occupied,
    /// It can't be read, for this reason.
    Unreadable(String),
}

/// A file read from its first to its last byte.
#[derive(Debug)]
pub struct Whole {
    /// SHA-256 of the bytes.
    pub fingerprint: Fingerprint,
    /// What the place said of it while it was read: of a remote file more exact than its listing.
    pub tuple: Tuple,
    /// How many bytes it has.
    pub bytes: u64,
    /// MD5, when it was asked for.
    pub md5: Option<[u8; 16]>,
    /// The captured bytes.
    pub content: Option<Content>,
    /// The last bytes, when they were asked for.
    pub ending: Vec<u8>,
}

impl Whole {
    /// Whether the bytes have this checksum.
    pub fn has(&self, checksum: &Checksum) -> bool {
        match checksum {
            Checksum::Sha256(expected) => self.fingerprint == *expected,
            Checksum::Md5(expected) => self.md5 == Some(*expected),
        }
    }
}

/// Reads all files; what came of each is in their order. When there is no room for a content, it and all that follow are
/// put off as if they still changed, and the second part says why: what was read before can be told.
///
/// # Errors
/// A content could not be written for another reason, or reading was stopped. What is wrong with a file is an outcome.
pub fn read_all(
    directory: &dyn Directory,
    orders: Vec<Order<'_>>,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<(Vec<Reading>, Option<Error>)> {
    let bytes: u64 = orders.iter().map(|order| order.tuple.size).sum();
    let count = orders.len();
    let is_little = !directory.is_remote() && count < FEW_FILES && bytes < FEW_BYTES;
    let readers = if is_little { 1 } else { directory.fetches_in_parallel().min(count).max(1) };
    let queue = Mutex::new(orders.into_iter().enumerate());
    let full: Mutex<Option<Error>> = Mutex::default();
    let work = || {
        let mut buffer = Vec::new();
        let mut done = Vec::with_capacity(count / readers + 1);
        loop {
            let next = queue.lock().expect("no reader panics while it takes an order").next();
            let Some((number, order)) = next else { return Ok(done) };
            stop.check()?;
            let size = order.tuple.size;
            let mut room = full.lock().expect("no reader panics while it looks for room");
            if room.is_some() {
                done.push((number, Reading::Changing));
                continue;
            }
            drop(room);
            match read_one(directory, order, &mut buffer, stop) {
                Ok(reading) => done.push((number, reading)),
                Err(error) if error.kind() == ErrorKind::Full => {
                    done.push((number, Reading::Changing));
                    room = full.lock().expect("no reader panics while it looks for room");
                    room.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            progress.advance(0, 1, size);
        }
    };
    let mut done: Vec<(usize, Reading)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..readers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            let more = other.join().unwrap_or_else(|_| Err(Error::internal("a reader of files panicked")));
            done = done.and_then(|mut done: Vec<(usize, Reading)>| {
                done.extend(more?);
                Ok(done)
            });
        }
        done
    })?;
    done.sort_unstable_by_key(|(number, _)| *number);
    let full = full.into_inner().expect("no reader panics while it looks for room");
    Ok((done.into_iter().map(|(_, reading)| reading).collect(), full))
}

fn read_one(directory: &dyn Directory, order: Order<'_>, buffer: &mut Vec<u8>, stop: &Stop) -> Result<Reading> {
    let path = match order.claim {
        None => order.path,
        Some(Claiming::Occupied) => return Ok(Reading::Occupied),
        Some(Claiming::Failed(why)) => return Ok(Reading::Unreadable(format!("can't be claimed: {why}"))),
        Some(Claiming::To(place)) => match claim::take(directory, order.path, place) {
            Ok(Claimed::Ours) => place,
            Ok(Claimed::Vanished) => return Ok(Reading::Vanished),
            Ok(Claimed::Occupied) => return Ok(Reading::Occupied),
            Err(error) => return Ok(Reading::Unreadable(format!("can't be claimed: {error}"))),
        },
    };
    let mut file = match directory.open(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Reading::Vanished),
        Err(error) => return Ok(Reading::Unreadable(error.to_string())),
    };
    let looked = order.tuple;
    let before = match file.tuple() {
        Ok(tuple) if agree_across_zones(&tuple, &looked) => tuple,
        Ok(_) => return Ok(Reading::Changing),
        Err(error) => return Ok(Reading::Unreadable(error.to_string())),
    };
    let mut taking = Taking {
        sha256: Sha256::new(),
        md5: order.md5.then(Md5::new),
        writer: order.writer,
        ending: order.ending.then(Vec::new),
        taken: 0,
    };
    let twice = directory.verifies_twice();
    let expected = if twice { bytes_max_of_text(looked.size) } else { looked.size };
    if let Some(reading) = taking.take_all(&mut *file, expected, buffer, stop)? {
        return Ok(reading);
    }
    let is_whole = if twice { taking.taken <= expected } else { taking.taken == expected };
    // The second look: a writer that was at work meanwhile, or a file that was replaced, shows here.
    match file.tuple() {
        // A coarse listing stays what it is: the look that follows it must agree with it.
        Ok(tuple) if tuple == before && is_whole => {
            let kept = if is_exact(&looked) || !agree(&tuple, &looked) { looked } else { tuple };
            drop(file);
            taking.finish(kept, order.told, |fingerprint| {
                if twice { is_read_again(directory, path, fingerprint, expected, buffer, stop) } else { Ok(true) }
            })
        }
        Ok(_) => {
            // Its connection may be the only one.
            drop(file);
            Ok(if matches!(directory.look(path), Ok(None)) { Reading::Vanished } else { Reading::Changing })
        }
        Err(error) => Ok(Reading::Unreadable(error.to_string())),
    }
}

/// What a text of so many listed bytes comes to at most: records become lines, code pages become UTF-8.
fn bytes_max_of_text(size: u64) -> u64 {
    size.saturating_mul(TEXT_GROWTH_MAX).max(TEXT_BYTES_MIN)
}

/// Whether a second fetch brings the same content.
fn is_read_again(
    directory: &dyn Directory,
    path: &[u8],
    fingerprint: Fingerprint,
    bytes_max: u64,
    buffer: &mut Vec<u8>,
    stop: &Stop,
) -> Result<bool> {
    let Ok(Some(mut file)) = directory.open(path) else { return Ok(false) };
    let mut again = Taking { sha256: Sha256::new(), md5: None, writer: None, ending: None, taken: 0 };
    let broken = again.take_all(&mut *file, bytes_max, buffer, stop)?.is_some();
    // Only behind the server's final reply a fetch is whole.
    Ok(!broken && file.tuple().is_ok() && Fingerprint(again.sha256.finalize().into()) == fingerprint)
}

struct Taking {
    sha256: Sha256,
    md5: Option<Md5>,
    writer: Option<SpoolWriter>,
    ending: Option<Vec<u8>>,
    taken: u64,
}

impl Taking {
    /// Reads to the end, but at most one byte more than was looked at: a file may grow for ever.
    fn take_all(
        &mut self,
        file: &mut dyn OpenFile,
        size: u64,
        buffer: &mut Vec<u8>,
        stop: &Stop,
    ) -> Result<Option<Reading>> {
        let wanted = usize::try_from(size.saturating_add(1)).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        while self.taken <= size {
            stop.check()?;
            let left = usize::try_from((size + 1).saturating_sub(self.taken)).unwrap_or(wanted).min(wanted);
            let got = match file.read(&mut buffer[..left]) {
                Ok(0) => return Ok(None),
                Ok(got) => got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Some(Reading::Unreadable(error.to_string()))),
            };
            self.taken += got as u64;
            if self.taken > size {
                return Ok(None);
            }
            self.take(&buffer[..got])?;
            // One short read of the announced size is the end of a small file; the look that follows would show more.
            if got as u64 == size && got < left {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(ending) = &mut self.ending {
            ending.extend_from_slice(&bytes[bytes.len().saturating_sub(ENDING_BYTES_MAX)..]);
            ending.drain(..ending.len().saturating_sub(ENDING_BYTES_MAX));
        }
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(bytes))
    }

    fn finish(
        self,
        tuple: Tuple,
        told: Option<Fingerprint>,
        is_sure: impl FnOnce(Fingerprint) -> Result<bool>,
    ) -> Result<Reading> {
        let fingerprint = Fingerprint(self.sha256.finalize().into());
        if !is_sure(fingerprint)? {
            return Ok(Reading::Changing);
        }
        let writer = self.writer.filter(|_| told != Some(fingerprint));
        Ok(Reading::Whole(Box::new(Whole {
            fingerprint,
            tuple,
            bytes: self.taken,
            md5: self.md5.map(|md5| md5.finalize().into()),
            content: writer.map(SpoolWriter::finish).transpose()?,
            ending: self.ending.unwrap_or_default(),
        })))
    }
}

/// Reads a small file, a sidecar, at most `bytes_max`; `None` when it is missing, larger or unreadable.
pub fn read_small(directory: &dyn Directory, path: &[u8], bytes_max: u64) -> Option<Vec<u8>> {
    let mut file = directory.open(path).ok()??;
    let mut bytes = Vec::new();
    file.by_ref().take(bytes_max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= bytes_max).then_some(bytes)
}

/// SHA-256 of a file as it is now; `None` when it is not there, changes meanwhile, or can't be read.
pub fn fingerprint_now(directory: &dyn Directory, path: &[u8], stop: &Stop) -> Result<Option<(Tuple, Fingerprint)>> {
    let Some(found) = directory.look(path)? else { return Ok(None) };
    let order = Order { path, claim: None, tuple: found.tuple, writer: None, told: None, md5: false, ending: false };
    match read_one(directory, order, &mut Vec::new(), stop)? {
        Reading::Whole(whole) => Ok(Some((found.tuple, whole.fingerprint))),
        Reading::Unreadable(reason) => Err(Error::new(ErrorKind::Denied, reason)),
        Reading::Changing | Reading::Vanished | Reading::Occupied => Ok(None),
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
