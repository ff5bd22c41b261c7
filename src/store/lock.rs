//! The lock of a store: one process writes, and whoever comes second is told who was first (DESIGN section 7).
//! What is done under the lock belongs to `app`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::{Clock, Stop};
use crate::error::{Error, ErrorKind, Result};

/// How often a waiting process looks whether the lock is free: flock can't be waited for together with a stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A look at who holds the lock takes it for a moment, and must not be taken for a holder.
const LOOK_WAIT: Duration = Duration::from_millis(200);

/// A note longer than this was not written by us.
const NOTE_BYTES_MAX: u64 = 512;

/// The right to write to one store. The kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// The lock file of a store: `highwater.db.lock` beside `highwater.db`.
pub fn lock_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

impl Lock {
    /// Takes the lock of the store at `store` (the store's own path) and writes down who holds it; `what` is the command,
    /// like `run`. `wait` is how long to wait while another process holds it; `None` does not wait.
    ///
    /// # Errors
    /// `Locked`, naming pid, command and since when, while another process holds it; `Stopped` when `stop` was raised
    /// while waiting; the kind of the I/O error when the lock file can't be made.
    pub fn take(store: &Path, what: &str, wait: Option<Duration>, clock: &dyn Clock, stop: &Stop) -> Result<Self> {
        let path = lock_path(store);
        let doing = || format!("open lock {}; the folder of state.path must be writable", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::io(doing(), e))?;
        let until = clock.tick() + wait.unwrap_or(LOOK_WAIT);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if clock.tick() < until => {
                    if stop.wait(LOOK_EVERY) {
                        return Err(Error::new(ErrorKind::Stopped, "stopped while waiting for the store's lock"));
                    }
                }
                Err(TryLockError::WouldBlock) => return Err(held_by_another(store, &path, wait)),
                Err(TryLockError::Error(e)) => return Err(Error::io(doing(), e)),
            }
        }
        let mut lock = Self { file, path };
        lock.write_note(&format!(
            "pid={} command={} since={}\n",
            std::process::id(),
            what,
            clock.now().whole_millis()
        ))?;
        Ok(lock)
    }

    /// The lock file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_note(&mut self, note: &str) -> Result<()> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(note.as_bytes()));
        written.map_err(|e| Error::io(format!("write lock {}", self.path.display()), e))
    }
}

impl Drop for Lock {
    /// The file stays: removing it would let two processes lock two files of the same name.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who holds the lock of the store at `store` right now, as written by the holder: `pid=17 command=run since=...`. `None` when
/// nobody does.
pub fn holder(store: &Path) -> Option<String> {
    let file = File::open(lock_path(store)).ok()?;
    // A killed process leaves its note behind: only the lock itself proves that somebody is there.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| load_note(store).unwrap_or_default())
}

fn load_note(store: &Path) -> Option<String> {
    let mut note = String::new();
    File::open(lock_path(store)).ok()?.take(NOTE_BYTES_MAX).read_to_string(&mut note).ok()?;
    let note = note.trim();
    (!note.is_empty() && !note.contains(char::is_control)).then(|| note.to_owned())
}

fn held_by_another(store: &Path, path: &Path, wait: Option<Duration>) -> Error {
    let holder = load_note(store).map_or_else(|| "another process".into(), |note| format!("another process ({note})"));
    let remedy = match wait {
        None => "wait for it to end, or use \"once --wait 5m\"",
        Some(_) => "it did not end in time",
    };
    let fact = format!("{holder} holds the store {} by {}; {remedy}", store.display(), path.display());
    Error::new(ErrorKind::Locked, fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn take(store: &Path, wait: Option<Duration>, stop: &Stop) -> Result<Lock> {
        Lock::take(store, "run", wait, &SystemClock::new(), stop)
    }

    #[test]
    fn the_second_is_told_who_was_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("highwater.db");
        let first = take(&store, None, &Stop::new()).expect("free");
        assert_eq!(first.path(), folder.path().join("highwater.db.lock"));

        let second = take(&store, None, &Stop::new()).expect_err("held");

        assert_eq!(second.kind(), ErrorKind::Locked);
        assert_eq!(second.kind().exit_code(), 5);
        let told = second.to_string();
        assert!(told.contains(&format!("pid={} command=run since=2", std::process::id())), "{told}");
    }

    #[test]
    fn a_lock_given_back_can_be_taken_again_and_names_nobody_meanwhile() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("highwater.db");
        let first = take(&store, None, &Stop::new()).expect("free");
        assert!(holder(&store).expect("held").contains("command=run"));
        drop(first);
        assert_eq!(holder(&store), None);
        assert_eq!(load_note(&store), None);
        take(&store, None, &Stop::new()).expect("free again");
    }

    #[test]
    fn a_note_left_by_a_killed_process_locks_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("highwater.db");
        let long_note = format!("pid=1 command=run since=2026-11-23T10:15:00Z {}\n", "x".repeat(300));
        std::fs::write(lock_path(&store), long_note).expect("write");
        let _lock = take(&store, None, &Stop::new()).expect("free");
        let note = load_note(&store).expect("ours");
        assert!(note.starts_with(&format!("pid={}", std::process::id())) && !note.contains("xxx"), "{note}");
    }

    #[test]
    fn waiting_ends_when_the_first_one_ends() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("highwater.db");
        let first = take(&store, None, &Stop::new()).expect("free");
        let waiter = {
            let store = store.clone();
            std::thread::spawn(move || take(&store, Some(Duration::from_secs(60)), &Stop::new()))
        };
        drop(first);
        waiter.join().expect("no panic").expect("free in the end");
    }

    #[test]
    fn waiting_ends_at_its_limit_and_when_the_process_shall_stop() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("highwater.db");
        let _first = take(&store, None, &Stop::new()).expect("free");

        let in_vain = take(&store, Some(Duration::from_millis(1)), &Stop::new()).expect_err("held");
        assert_eq!(in_vain.kind(), ErrorKind::Locked);

        let stop = Stop::new();
        stop.raise();
        let stopped = take(&store, Some(Duration::from_secs(60)), &stop).expect_err("stopped");
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = take(&folder.path().join("no/highwater.db"), None, &Stop::new()).expect_err("no folder");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no/highwater.db.lock"), "{error}");
    }
}
