//! What a script finds in the file system: a private folder with the event and a read-only copy of the announced bytes.
//! The folder also names the running attempt for the next start, should we be killed (`survivors`).

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::change::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Spool};
use crate::sink::placeholder;

/// The event's JSON within an attempt's folder.
pub const EVENT_FILE: &str = "event.json";
/// The process group within an attempt's folder.
pub const GROUP_FILE: &str = "group";
const CONTENT_FOLDER: &str = "content";

/// A copy's name has at most this many bytes; of longer ones the end is kept, with the extension.
pub const NAME_BYTES_MAX: usize = 200;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The folder of one attempt; removed when dropped.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    file: Option<PathBuf>,
}

impl Stage {
    /// Makes the folder below `run_folder`, which must be absolute. Blocks.
    ///
    /// # Errors
    /// Ours: no room, no permission, a spool file that is not there.
    pub fn new(run_folder: &Path, event: &Event, spool: &Spool) -> Result<Self> {
        let folder = make_folder(run_folder)?;
        let mut stage = Self { folder, file: None };
        let event_file = stage.event_file();
        let mut file = create(&event_file, 0o600)?;
        let body = [&event.body[..], b"\n"].concat();
        file.write_all(&body).map_err(|e| Error::io(format!("write {}", event_file.display()), e))?;
        if let Some(content) = &event.content {
            stage.file = Some(stage.copy(content, placeholder::name(event), spool)?);
        }
        Ok(stage)
    }

    /// The file with the event's JSON and a newline.
    pub fn event_file(&self) -> PathBuf {
        self.folder.join(EVENT_FILE)
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
    pub fn leave(self) {
        std::mem::forget(self);
    }

    fn copy(&self, content: &Content, name: &[u8], spool: &Spool) -> Result<PathBuf> {
        let folder = self.folder.join(CONTENT_FOLDER);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| Error::io(format!("make {}", folder.display()), e))?;
        let path = folder.join(safe_name(name));
        let mut copy = create(&path, 0o400)?;
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
        Ok(path)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(path = %self.folder.display(), %error, "the folder of a script's attempt was not removed");
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
    if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
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
            let stage = Stage::new(&run_folder, &file_event(b"a/b c.csv", Some(content)), &spool).expect("stage");
            let file = stage.file().expect("captured").to_owned();
            assert!(file.ends_with("b c.csv") && file.is_absolute());
            let metadata = fs::metadata(&file).expect("there");
            assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (size, 0o400));
            for private in [run_folder.as_path(), stage.folder.as_path()] {
                assert_eq!(fs::metadata(private).expect("there").permissions().mode() & 0o777, 0o700);
            }
            assert!(fs::read(stage.event_file()).expect("event").ends_with(b"}\n"));
            drop(stage);
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
        let error = Stage::new(&folder.path().join("run"), &event, &spool).expect_err("short");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
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
            (&long, &long[long.len() - NAME_BYTES_MAX..]),
        ] {
            assert_eq!(safe_name(name).as_os_str().as_bytes(), expected);
        }
        let split = [b"\xc3\xbc".repeat(150), b".x".to_vec(), b"y".to_vec()].concat();
        let kept = safe_name(&split);
        assert!(kept.to_str().is_some_and(|text| text.starts_with('ü') && text.ends_with(".xy")));
    }
}
