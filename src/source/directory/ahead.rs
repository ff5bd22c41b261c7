//! Lists the next folder on a second thread while the one before is compared. Listings come back in bounded portions, in
//! the order in which they were asked for; comparing them is the scan's.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope as Threads;
use std::time::Duration;

use super::place::{Directory, Found, Listed, Listing, Precision, Shape};
use super::varint::{self, Take};
use crate::change::Tuple;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// A portion of a listing.
const PORTION_BYTES: usize = 64 * 1024;

/// So many portions are listed ahead; then the second thread waits.
const PORTIONS_MAX: usize = 32;

enum Portion {
    /// When the listing began, on the monotonic clock.
    Begin(Duration),
    Entries(Vec<u8>),
    End(Result<Listing>),
}

/// The second thread, from the first folder on that is asked for.
pub struct Ahead<'scope, 'env> {
    threads: &'scope Threads<'scope, 'env>,
    directory: &'env dyn Directory,
    clock: &'env dyn Clock,
    worker: Option<(Sender<Vec<u8>>, Receiver<Portion>)>,
}

impl<'scope, 'env> Ahead<'scope, 'env> {
    /// No thread yet.
    pub fn new(threads: &'scope Threads<'scope, 'env>, directory: &'env dyn Directory, clock: &'env dyn Clock) -> Self {
        Self { threads, directory, clock, worker: None }
    }

    /// Begins to list `folder`. Its listing must be taken before the next one is begun.
    pub fn begin(&mut self, folder: Vec<u8>) -> Result<()> {
        let (folders, _) = self.worker.get_or_insert_with(|| {
            let (folders, asked) = channel();
            let (portions, listed) = sync_channel(PORTIONS_MAX);
            let (directory, clock) = (self.directory, self.clock);
            self.threads.spawn(move || work(directory, clock, &asked, &portions));
            (folders, listed)
        });
        folders.send(folder).map_err(|_| ended())
    }

    /// When the listing that was begun did begin.
    pub fn tick(&self) -> Result<Duration> {
        match self.receive()? {
            Portion::Begin(tick) => Ok(tick),
            Portion::Entries(_) | Portion::End(_) => Err(ended()),
        }
    }

    /// Hands the entries to `each`, as [`Directory::list`] does.
    pub fn take(&self, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let mut refused = Ok(());
        loop {
            match self.receive()? {
                Portion::Begin(_) => return Err(ended()),
                Portion::End(end) => return refused.and(end),
                Portion::Entries(bytes) if refused.is_ok() => refused = replay(&bytes, each),
                // What follows an entry that was refused is only emptied out of the channel.
                Portion::Entries(_) => {}
            }
        }
    }

    fn receive(&self) -> Result<Portion> {
        let (_, listed) = self.worker.as_ref().ok_or_else(ended)?;
        listed.recv().map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::internal("the thread that lists ahead has ended")
}

fn work(directory: &dyn Directory, clock: &dyn Clock, asked: &Receiver<Vec<u8>>, portions: &SyncSender<Portion>) {
    // Whoever asked has gone when sending fails: the scan ended early.
    let send = |portion| portions.send(portion).map_err(|_| Error::new(ErrorKind::Stopped, "nobody takes the listing"));
    while let Ok(folder) = asked.recv() {
        if send(Portion::Begin(clock.tick())).is_err() {
            return;
        }
        let mut bytes = Vec::with_capacity(PORTION_BYTES + 1024);
        let end = directory.list(&folder, &mut |listed| {
            put(&mut bytes, listed);
            if bytes.len() < PORTION_BYTES {
                return Ok(());
            }
            send(Portion::Entries(std::mem::replace(&mut bytes, Vec::with_capacity(PORTION_BYTES + 1024))))
        });
        if send(Portion::Entries(bytes)).and_then(|()| send(Portion::End(end))).is_err() {
            return;
        }
    }
}

/// In the order of their numbers in a portion.
const PRECISIONS: [Precision; 5] =
    [Precision::Exact, Precision::Second, Precision::Minute, Precision::Day, Precision::None];

fn put(out: &mut Vec<u8>, listed: Listed<'_>) {
    let Found { shape, tuple, precision } = listed.found;
    out.push(match shape {
        Shape::File => 0,
        Shape::Folder => 1,
        Shape::Other => 2,
    });
    out.push(PRECISIONS.iter().position(|one| *one == precision).unwrap_or_default() as u8);
    varint::put_bytes(out, listed.name);
    for number in [tuple.size, tuple.mtime_ns as u64, tuple.ctime_ns as u64, tuple.inode] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn replay(bytes: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<()> {
    let mut take = Take::new(bytes, 0);
    while !take.is_at_end() {
        let listed = get(&mut take).ok_or_else(|| Error::internal("a portion of a listing is cut off"))?;
        each(listed)?;
    }
    Ok(())
}

fn get<'a>(take: &mut Take<'a>) -> Option<Listed<'a>> {
    let shape = [Shape::File, Shape::Folder, Shape::Other][usize::from(take.byte()?.min(2))];
    let precision = *PRECISIONS.get(usize::from(take.byte()?))?;
    let name = take.bytes()?;
    let mut number = || take.exactly::<8>().map(u64::from_le_bytes);
    let (size, mtime, ctime, inode) = (number()?, number()?, number()?, number()?);
    let tuple = Tuple { size, mtime_ns: mtime as i64, ctime_ns: ctime as i64, inode };
    Some(Listed { name, found: Found { shape, tuple, precision } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::source::directory::local::LocalFolder;
    use std::fs;

    fn add(entries: &mut Vec<(Vec<u8>, Found)>, entry: Listed<'_>) -> Result<()> {
        entries.push((entry.name.to_vec(), entry.found));
        Ok(())
    }

    fn listed(folder: &LocalFolder, path: &[u8]) -> Vec<(Vec<u8>, Found)> {
        let mut entries = Vec::new();
        folder.list(path, &mut |entry| add(&mut entries, entry)).expect("list");
        entries
    }

    #[test]
    fn a_listing_taken_ahead_is_the_listing_and_a_refused_one_does_not_disturb_the_next() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for n in 0..1_500 {
            let name = format!("big/{n}-{}", "n".repeat(150));
            fs::create_dir_all(root.path().join("big")).expect("make");
            fs::write(root.path().join(name), b"x").expect("write");
        }
        fs::create_dir_all(root.path().join("small/folder")).expect("make");
        let mut folder = LocalFolder::new(root.path().to_owned());
        folder.arrive().expect("arrive");
        let clock = SystemClock::new();
        std::thread::scope(|threads| {
            let mut ahead = Ahead::new(threads, &folder, &clock);
            for path in [&b"big"[..], b"small", b"big"] {
                ahead.begin(path.to_vec()).expect("begin");
                ahead.tick().expect("a tick");
                let mut entries = Vec::new();
                let end = ahead.take(&mut |entry| add(&mut entries, entry));
                assert_eq!(end.expect("a listing"), Listing::Complete);
                assert_eq!(entries, listed(&folder, path));
                ahead.begin(path.to_vec()).expect("begin");
                ahead.tick().expect("a tick");
                assert!(ahead.take(&mut |_| Err(Error::internal("refused"))).is_err());
            }
            ahead.begin(b"big".to_vec()).expect("begin");
        });
    }
}
