//! Hints from the kernel that something changed below a folder. The poll stays the truth: what a hint misses, and
//! whatever can't be watched, is found by the next one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, RemoveKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::setting::SourceName;
use crate::source::Wake;

/// File systems whose changes by others the kernel does not see: NFS, SMB1, CIFS, SMB2, FUSE, 9p, Ceph, AFS, Coda, VirtualBox.
/// The numbers are those of statfs(2).
const REMOTE: [u64; 10] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x786f_4256,
];

/// The watch over one folder, set anew when another folder stands in its place.
pub struct FolderWatch {
    name: SourceName,
    wake: Arc<dyn Wake>,
    recursive: bool,
    watched: Option<Watched>,
    /// Said once, then polled.
    gave_up: bool,
}

struct Watched {
    place: (u64, u64),
    _watcher: RecommendedWatcher,
}

impl std::fmt::Debug for FolderWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FolderWatch")
    }
}

impl FolderWatch {
    /// A watch that is not set yet; hints go to `wake`.
    pub fn new(name: &SourceName, recursive: bool, wake: Arc<dyn Wake>) -> Self {
        Self { name: name.clone(), wake, recursive, watched: None, gave_up: false }
    }

    /// Sets the watch, unless it is set on this very folder: called before every full look, so that no change falls
    /// between watch and look.
    pub fn renew(&mut self, path: &Path) {
        let Ok(found) = std::fs::metadata(path) else {
            self.watched = None;
            return;
        };
        let place = (found.dev(), found.ino());
        if self.gave_up || self.watched.as_ref().is_some_and(|watched| watched.place == place) {
            return;
        }
        self.watched = None;
        if let Some(remote) = remote_file_system(path) {
            tracing::info!(source = %self.name, path = %path.display(), remote, "changes can't be watched here; the folder is polled");
            self.gave_up = true;
            return;
        }
        match self.start(path) {
            Ok(watcher) => self.watched = Some(Watched { place, _watcher: watcher }),
            Err(error) => {
                let error = explained(&error);
                tracing::warn!(source = %self.name, path = %path.display(), error, "folder is not watched; it is polled");
                self.gave_up = true;
            }
        }
    }

    fn start(&self, path: &Path) -> notify::Result<RecommendedWatcher> {
        // Events carry the path as it was watched, so that the root can be cut off.
        let (root, wake) = (path.to_owned(), self.wake.clone());
        let mut watcher = notify::recommended_watcher(move |event| hint(&root, &*wake, event))?;
        let mode = if self.recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        watcher.watch(path, mode)?;
        Ok(watcher)
    }
}

fn remote_file_system(path: &Path) -> Option<String> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    let kind = u64::try_from(kind).unwrap_or(0) & 0xffff_ffff;
    REMOTE.contains(&kind).then(|| format!("{kind:#x}"))
}

fn explained(error: &notify::Error) -> String {
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the kernel's watch limit is reached; raise fs.inotify.max_user_watches to be woken up again".into()
        }
        _ => error.to_string(),
    }
}

/// Passes one event of the kernel on as a hint. Runs on the watcher's thread and never blocks.
fn hint(root: &Path, wake: &dyn Wake, event: notify::Result<Event>) {
    let Ok(event) = event else { return wake.wake(None) };
    if event.need_rescan() {
        return wake.wake(None);
    }
    match event.kind {
        // Readers, ourselves included, open and close files all the time.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return,
        // What was made inside a new folder before its watch was set gives no event of its own.
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => return wake.wake(None),
        EventKind::Modify(notify::event::ModifyKind::Name(_)) if event.paths.iter().any(|path| path.is_dir()) => {
            return wake.wake(None);
        }
        _ => {}
    }
    for path in &event.paths {
        wake.wake(folder_of(root, path).as_deref());
    }
}

/// The folder of `path`, relative to `root`; `None` when it is not below it.
fn folder_of(root: &Path, path: &Path) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let below: PathBuf = path.strip_prefix(root).ok()?.parent()?.to_owned();
    Some(below.as_os_str().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    struct Told(std::sync::Mutex<Sender<Option<Vec<u8>>>>);

    impl Wake for Told {
        fn wake(&self, folder: Option<&[u8]>) {
            let _ = self.0.lock().expect("not poisoned").send(folder.map(<[u8]>::to_vec));
        }
    }

    fn watch(path: &Path) -> (FolderWatch, Receiver<Option<Vec<u8>>>) {
        let (told, hints) = channel();
        let mut watch = FolderWatch::new(&SourceName::new("x"), true, Arc::new(Told(std::sync::Mutex::new(told))));
        watch.renew(path);
        (watch, hints)
    }

    fn next(hints: &Receiver<Option<Vec<u8>>>) -> Option<Vec<u8>> {
        hints.recv_timeout(Duration::from_secs(30)).expect("a hint within 30 s")
    }

    #[test]
    fn a_new_file_wakes_its_own_folder_and_reading_it_nobody() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("in/deep")).expect("make");
        let (_watch, hints) = watch(folder.path());
        std::fs::write(folder.path().join("in/deep/a.csv"), b"x").expect("write");
        assert_eq!(next(&hints), Some(b"in/deep".to_vec()));
        while hints.recv_timeout(Duration::from_millis(200)).is_ok() {}
        std::fs::read(folder.path().join("in/deep/a.csv")).expect("read");
        std::fs::write(folder.path().join("b.csv"), b"x").expect("write");
        assert_eq!(next(&hints), Some(Vec::new()), "the first hint after reading is that of the next file");
    }

    #[test]
    fn a_new_folder_wakes_everything() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (_watch, hints) = watch(folder.path());
        std::fs::create_dir(folder.path().join("new")).expect("make");
        assert_eq!(next(&hints), None);
    }

    #[test]
    fn a_folder_that_took_the_place_of_another_is_watched_anew() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("root");
        std::fs::create_dir(&root).expect("make");
        let (mut watch, hints) = watch(&root);
        std::fs::rename(&root, folder.path().join("old")).expect("rename");
        watch.renew(&root);
        std::fs::create_dir(&root).expect("make");
        watch.renew(&root);
        while hints.recv_timeout(Duration::from_millis(200)).is_ok() {}
        std::fs::write(root.join("a.csv"), b"x").expect("write");
        assert_eq!(next(&hints), Some(Vec::new()));
    }

    #[test]
    fn an_overflow_of_the_kernels_queue_wakes_everything() {
        let (told, hints) = channel();
        let event = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        hint(Path::new("/x"), &Told(std::sync::Mutex::new(told)), Ok(event));
        assert_eq!(next(&hints), None);
    }
}
