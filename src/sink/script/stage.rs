//! What a script finds in the file system: a private folder with the event and a read-only copy of the announced bytes.
//! The folder also names the running attempt for the next start, should we be killed (`survivors`).
//!
//! Folders are kept and used again: making and removing one costs several times as much as starting a program (3 ms
//! against 1 ms on ext4). The event's file has another name in each attempt, so that attempts are not mistaken for each
//! other.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::change::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Spool};
use crate::sink::placeholder;

/// The process group within an attempt's folder.
pub const GROUP_FILE: &str = "group";

const EVENT_PREFIX: &str = "event-";
const EVENT_SUFFIX: &str = ".json";

/// A copy's name has at most this many bytes; of longer ones the end is kept, with the extension.
pub const NAME_BYTES_MAX: usize = 200;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The folders of one sink that are free to be used.
#[derive(Debug)]
pub struct Slots {
    run_folder: PathBuf,
    free: Mutex<Vec<PathBuf>>,
}

/// The folder of one attempt; its files are removed when it is dropped.
#[derive(Debug)]
pub struct Stage {
    slots: Arc<Slots>,
    folder: PathBuf,
    event_file: PathBuf,
    file: Option<PathBuf>,
    is_left: bool,
}

/// Whether a file of an attempt's folder is its event.
pub fn is_event_file(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.strip_prefix(EVENT_PREFIX)?.strip_suffix(EVENT_SUFFIX));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

impl Slots {
    /// Folders below `run_folder`, which must be absolute; it is made when it is needed.
    pub fn new(run_folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { run_folder, free: Mutex::default() })
    }

    fn take(&self) -> Result<PathBuf> {
        let free = self.free.lock().expect("no holder of the slots panics").pop();
        free.filter(|folder| folder.is_dir()).map_or_else(|| make_folder(&self.run_folder), Ok)
    }

    /// Takes a folder back; one in which something is left is removed instead.
    fn give_back(&self, folder: PathBuf) -> io::Result<()> {
        if fs::read_dir(&folder)?.next().is_some() {
            return fs::remove_dir_all(&folder);
        }
        self.free.lock().expect("no holder of the slots panics").push(folder);
        Ok(())
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for folder in self.free.get_mut().expect("no holder of the slots panics") {
            // Empty and harmless; the next start removes what stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Stage {
    /// Prepares a folder for `event`. Blocks.
    ///
    /// # Errors
    /// Ours: no room, no permission, a spool file that is not there.
    pub fn new(slots: &Arc<Slots>, event: &Event, spool: &Spool) -> Result<Self> {
        let folder = slots.take()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let event_file = folder.join(format!("{EVENT_PREFIX}{number}{EVENT_SUFFIX}"));
        let mut stage = Self { slots: slots.clone(), folder, event_file, file: None, is_left: false };
        let mut file = create(&stage.event_file, 0o600)?;
        let body = [&event.body[..], b"\n"].concat();
        file.write_all(&body).map_err(|e| Error::io(format!("write {}", stage.event_file.display()), e))?;
        if let Some(content) = &event.content {
            stage.copy(content, placeholder::name(event), spool)?;
        }
        Ok(stage)
    }

    /// The file with the event's JSON and a newline.
    pub fn event_file(&self) -> &Path {
        &self.event_file
    }

    /// The copy of the content, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Notes the process group that works in this folder.
    pub fn record(&self, group: &str) -> Result<()> {
        let path = self.folder.join(GROUP_FILE);
        fs::write(&path, group).map_err(|e| Error::io(format!("write {}", path.display()), e))
    }

    /// Leaves the folder for the next start to find.
    pub fn leave(mut self) {
        self.is_left = true;
    }

    fn clear(&self) -> io::Result<()> {
        let group = self.folder.join(GROUP_FILE);
        // The event goes last: without it, nobody looks for the attempt's processes.
        for path in self.file.iter().chain([&group, &self.event_file]) {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return fs::remove_dir_all(&self.folder),
                _ => {}
            }
        }
        self.slots.give_back(self.folder.clone())
    }

    fn copy(&mut self, content: &Content, name: &[u8], spool: &Spool) -> Result<()> {
        let path = self.folder.join(safe_name(name));
        let mut copy = create(&path, 0o400)?;
        self.file = Some(path.clone());
        let context = || format!("copy the content to {}", path.display());
        match content {
            Content::Inline(bytes) => copy.write_all(bytes).map_err(|e| Error::io(context(), e))?,
            Content::Spooled { name, size } => {
                let spooled = spool.path_of(name);
                let mut source =
                    File::open(&spooled).map_err(|e| Error::io(format!("open spool file {}", spooled.display()), e))?;
                if rustix::fs::ioctl_ficlone(&copy, &source).is_err() {
                    io::copy(&mut source, &mut copy).map_err(|e| Error::io(context(), e))?;
                }
                let copied = copy.metadata().map_err(|e| Error::io(context(), e))?.len();
                if copied != *size {
                    let fact = format!("spool file {} has {copied} bytes, announced were {size}", spooled.display());
                    return Err(Error::new(ErrorKind::Corrupt, fact));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        if let Err(error) = self.clear() {
            tracing::warn!(path = %self.folder.display(), %error, "the files of a script's attempt were not removed");
        }
    }
}

fn make_folder(run_folder: &Path) -> Result<PathBuf> {
    let mut make = DirBuilder::new();
    make.mode(0o700);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = run_folder.join(format!("{}-{number}", std::process::id()));
        match make.create(&folder) {
            Ok(()) => return Ok(folder),
            // Left by an earlier process of the same number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound && !run_folder.exists() => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(run_folder);
                made.map_err(|e| Error::io(format!("make {}", run_folder.display()), e))?;
            }
            Err(e) => return Err(Error::io(format!("make {}", folder.display()), e)),
        }
    }
}

fn create(path: &Path, mode: u32) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.map_err(|e| Error::io(format!("make {}", path.display()), e))
}

/// A name that stays within its folder and ends as the original does.
fn safe_name(name: &[u8]) -> PathBuf {
    let mut name = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let is_ours = name == GROUP_FILE.as_bytes() || is_event_file(OsStr::from_bytes(name));
    if matches!(name, b"" | b"." | b"..") || name.contains(&0) || is_ours {
        name = b"content";
    }
    let mut cut = name.len().saturating_sub(NAME_BYTES_MAX);
    // Not within a UTF-8 character.
    while cut > 0 && cut < name.len() && name[cut] & 0xc0 == 0x80 {
        cut += 1;
    }
    PathBuf::from(OsStr::from_bytes(&name[cut..]))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sink::tests::file_event;

    fn spool(folder: &Path) -> Spool {
        Spool::new(folder.join("spool"), "run1", u64::MAX, 0)
    }

    #[test]
    fn a_copy_is_private_and_read_only_and_goes_with_its_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = spool(folder.path());
        let mut writer = spool.writer();
        writer.write(&vec![7; 100_000]).expect("write");
        let large = writer.finish().expect("finish");
        for (content, size) in [(Content::Inline(b"small".to_vec()), 5), (large, 100_000)] {
            let run_folder = folder.path().join("run");
            let slots = Slots::new(run_folder.clone());
            let stage = Stage::new(&slots, &file_event(b"a/b c.csv", Some(content)), &spool).expect("stage");
            let file = stage.file().expect("captured").to_owned();
            assert!(file.ends_with("b c.csv") && file.is_absolute());
            let metadata = fs::metadata(&file).expect("there");
            assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (size, 0o400));
            for private in [run_folder.as_path(), stage.folder.as_path()] {
                assert_eq!(fs::metadata(private).expect("there").permissions().mode() & 0o777, 0o700);
            }
            assert!(fs::read(stage.event_file()).expect("event").ends_with(b"}\n"));
            let used = stage.folder.clone();
            drop(stage);
            assert_eq!(fs::read_dir(&used).expect("kept for the next").count(), 0);
            let next = Stage::new(&slots, &file_event(b"b", None), &spool).expect("stage");
            assert_eq!(next.folder, used);
            fs::write(used.join("left by the script"), "x").expect("write");
            drop(next);
            drop(slots);
            assert_eq!(fs::read_dir(&run_folder).expect("list").count(), 0);
        }
    }

    #[test]
    fn a_spool_file_of_another_size_is_not_delivered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = spool(folder.path());
        fs::create_dir_all(spool.folder()).expect("make");
        fs::write(spool.path_of("x.bin"), b"short").expect("write");
        let event = file_event(b"a", Some(Content::Spooled { name: "x.bin".into(), size: 6 }));
        let slots = Slots::new(folder.path().join("run"));
        let error = Stage::new(&slots, &event, &spool).expect_err("short");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        drop(slots);
        assert_eq!(fs::read_dir(folder.path().join("run")).expect("list").count(), 0);
    }

    #[test]
    fn a_name_stays_in_its_folder_and_keeps_its_end() {
        let long = [b"x".repeat(400), b"\xc3\xbc".repeat(98), b".csv".to_vec()].concat();
        for (name, expected) in [
            (&b".."[..], &b"content"[..]),
            (b".", b"content"),
            (b"", b"content"),
            (b"../../etc/passwd", b"passwd"),
            (b"a\nb.csv", b"a\nb.csv"),
            (b"caf\xe9.txt", b"caf\xe9.txt"),
            (b"-rf", b"-rf"),
            (b"group", b"content"),
            (b"event-12.json", b"content"),
            (b"event-a.json", b"event-a.json"),
            (&long, &long[long.len() - NAME_BYTES_MAX..]),
        ] {
            assert_eq!(safe_name(name).as_os_str().as_bytes(), expected);
        }
        let split = [b"\xc3\xbc".repeat(150), b".x".to_vec(), b"y".to_vec()].concat();
        let kept = safe_name(&split);
        assert!(kept.to_str().is_some_and(|text| text.starts_with('ü') && text.ends_with(".xy")));
    }
}
