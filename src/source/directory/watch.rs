//! Hints from the kernel that it is worth looking now. Losing one loses nothing: the poll stays the truth, and what is
//! there is only ever learnt by looking.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::filter::{Filters, PRIVATE_PREFIX};
use super::place::split;
use crate::setting::SourceName;
use crate::source::Wake;

/// Setting up watches in a large tree takes long; polling begins meanwhile.
const SETUP_WAIT: Duration = Duration::from_secs(2);

/// A root that is missing is looked for again this often.
const MISSING_WAIT: Duration = Duration::from_secs(10);

/// File systems on which the kernel does not see what others change: NFS, SMB, SMB2, CIFS, FUSE, 9P, AFS, Ceph, Coda,
/// VirtualBox, Lustre.
const REMOTE: [u64; 11] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
    0x7375_7245,
    0x786f_4256,
    0x0bd0_0bd0,
];

/// The number of the kind of file system a path is on.
pub fn kind_of(path: &Path) -> Option<u64> {
    rustix::fs::statfs(path).ok().map(|stat| stat.f_type as u64 & 0xffff_ffff)
}

/// Whether others may change files there without a hint to this machine.
pub fn is_network(kind: u64) -> bool {
    REMOTE.contains(&kind)
}

/// Begins to watch the folder at `root`; the watch ends when what is returned is dropped.
pub fn begin(name: &SourceName, root: &Path, filters: Arc<Filters>, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
    if kind_of(root).is_some_and(is_network) {
        tracing::info!(source = %name, "a network file system sends no hints, so the folder is only polled");
        return None;
    }
    let (signal, signals) = channel();
    let (ready, is_ready) = channel();
    let hints = Hints { root: root.to_owned(), filters, wake, lost: Mutex::new(signal.clone()) };
    let watching = Watching { name: name.clone(), hints: Arc::new(hints), signals };
    let thread = std::thread::Builder::new().name(format!("watch-{name}")).spawn(move || watching.run(&ready));
    if let Err(error) = thread {
        tracing::warn!(source = %name, %error, "no thread for watching, so the folder is only polled");
        return None;
    }
    match is_ready.recv_timeout(SETUP_WAIT) {
        Ok(false) => None,
        Ok(true) | Err(_) => Some(Box::new(Watch { signal })),
    }
}

enum Signal {
    End,
    RootLost,
}

/// Held as long as hints are wanted.
struct Watch {
    signal: Sender<Signal>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread may have ended by itself.
        let _ = self.signal.send(Signal::End);
    }
}

/// The thread that holds the watches, and sets them up again when the root comes back.
struct Watching {
    name: SourceName,
    hints: Arc<Hints>,
    signals: Receiver<Signal>,
}

impl Watching {
    fn run(self, ready: &Sender<bool>) {
        loop {
            let watcher = match self.set_up() {
                Ok(watcher) => Some(watcher),
                Err(error) if is_missing(&error) => None,
                Err(error) => {
                    self.say_why_not(&error);
                    let _ = ready.send(false);
                    return;
                }
            };
            if watcher.is_some() {
                // What changed while watches were set up was not seen.
                let is_late = ready.send(true).is_err();
                if is_late {
                    self.hints.wake.wake(None);
                }
            } else {
                let _ = ready.send(true);
            }
            let signal = match &watcher {
                Some(_) => self.signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
                None => self.signals.recv_timeout(MISSING_WAIT),
            };
            match signal {
                Ok(Signal::RootLost) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn set_up(&self) -> notify::Result<RecommendedWatcher> {
        let hints = Arc::clone(&self.hints);
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(move |event| hints.take(event), config)?;
        let mode =
            if self.hints.filters.is_recursive() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        watcher.watch(&self.hints.root, mode)?;
        Ok(watcher)
    }

    fn say_why_not(&self, error: &notify::Error) {
        let name = &self.name;
        if matches!(error.kind, ErrorKind::MaxFilesWatch) {
            tracing::warn!(source = %name, "the limit fs.inotify.max_user_watches is reached, so the folder is only polled");
        } else {
            tracing::warn!(source = %name, %error, "the folder can't be watched, so it is only polled");
        }
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Turns events into hints. It runs on the watcher's thread and never blocks.
struct Hints {
    root: PathBuf,
    filters: Arc<Filters>,
    wake: Arc<dyn Wake>,
    lost: Mutex<Sender<Signal>>,
}

impl Hints {
    fn take(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            _ => return self.wake.wake(None),
        };
        for path in &event.paths {
            self.take_path(&event.kind, path);
        }
    }

    fn take_path(&self, kind: &EventKind, path: &Path) {
        let Ok(below) = path.strip_prefix(&self.root) else { return };
        let below = below.as_os_str().as_bytes();
        if below.is_empty() {
            if matches!(kind, EventKind::Remove(_)) {
                let _ = self.lost.lock().expect("no holder of the signal panics").send(Signal::RootLost);
                self.wake.wake(None);
            }
            return;
        }
        let hint = match kind {
            // Reading is no change; writing is one when the writer closes the file, and until then the poll sees it.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::File,
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Data(_)) => Hint::None,
            EventKind::Create(CreateKind::Folder) => Hint::Folder,
            EventKind::Remove(RemoveKind::Folder) => Hint::Parent,
            // Whoever makes an empty file is about to write it.
            EventKind::Create(CreateKind::File) if std::fs::symlink_metadata(path).is_ok_and(|m| m.len() == 0) => {
                Hint::None
            }
            EventKind::Modify(ModifyKind::Name(_)) if path.is_dir() => Hint::Folder,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(_) => Hint::File,
            EventKind::Any | EventKind::Other => Hint::Folder,
        };
        let entered = || self.filters.why_not_above(below).is_none();
        match hint {
            Hint::File if entered() && self.filters.may_matter(below) => self.wake.wake(Some(split(below).0)),
            Hint::Parent if entered() => self.wake.wake(Some(split(below).0)),
            // The folder may hold files already, made before it was watched.
            Hint::Folder if entered() && self.filters.why_not_folder(below).is_none() => self.wake.wake(None),
            Hint::None | Hint::File | Hint::Parent | Hint::Folder => {}
        }
    }
}

/// What an event points to.
enum Hint {
    None,
    File,
    Parent,
    Folder,
}

impl Filters {
    /// Whether a change of the file at `path` may let something be told: the file itself, or one it is a sidecar of.
    fn may_matter(&self, path: &[u8]) -> bool {
        !split(path).1.starts_with(PRIVATE_PREFIX) && (self.is_sidecar(path) || self.why_not_file(path).is_none())
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
