//! The spool: the folder in which large content waits for its deliveries. Writes are complete and synced before the
//! transaction that names them; what no transaction names is an orphan and is cleaned at start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::captures::Unnamed;
use super::spool_owner;
use crate::change::Content;
use crate::change::content::INLINE_BYTES_MAX;
use crate::error::{Error, ErrorKind, Result};

/// The spool of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Distinguishes the files of this run from those of any other.
    run: String,
    next: AtomicU64,
    used: AtomicU64,
    bytes_max: AtomicU64,
    free_min: AtomicU64,
    /// The store whose spool this is.
    store: OnceLock<PathBuf>,
}

const TEMPORARY: &str = ".tmp";

impl Spool {
    /// Opens the spool at `folder`, which is made (0700) when it is first written to. `run` must differ from run to run.
    pub fn new(folder: impl Into<PathBuf>, run: impl Into<String>, bytes_max: u64, free_min: u64) -> Self {
        let inner = Inner {
            folder: folder.into(),
            run: run.into(),
            next: AtomicU64::new(0),
            used: AtomicU64::new(0),
            bytes_max: AtomicU64::new(bytes_max),
            free_min: AtomicU64::new(free_min),
            store: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The spool's folder.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Says whose spool this is; called once at start, before [`Spool::clean`].
    ///
    /// # Errors
    /// `Config` when another store that is still there has its content in this folder: each would clean up the other's.
    pub fn belongs_to(&self, store: &Path) -> Result<()> {
        spool_owner::check(self.folder(), store)?;
        let _ = self.inner.store.set(store.to_owned());
        Ok(())
    }

    /// Other limits from now on, for every clone.
    pub fn limit(&self, bytes_max: u64, free_min: u64) {
        self.inner.bytes_max.store(bytes_max, Ordering::Relaxed);
        self.inner.free_min.store(free_min, Ordering::Relaxed);
    }

    /// The absolute path of a spooled content.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.inner.folder.join(name)
    }

    /// Bytes in the spool, as counted since start.
    pub fn bytes_used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// A writer that keeps small contents in memory and puts large ones into the spool.
    pub fn writer(&self) -> SpoolWriter {
        SpoolWriter { spool: self.clone(), small: Vec::new(), large: None, written: 0, captures: None }
    }

    /// Fails with `Full` when `more` bytes would pass `spool_max`, or leave less than `min_free` on the disk.
    pub fn check_room(&self, more: u64) -> Result<()> {
        let used = self.bytes_used();
        if used.saturating_add(more) > self.inner.bytes_max.load(Ordering::Relaxed) {
            let fact = format!("spool {} holds {used} bytes; spool_max would be passed", self.folder().display());
            return Err(Error::new(ErrorKind::Full, fact));
        }
        let free = self.free_bytes()?;
        if free < self.inner.free_min.load(Ordering::Relaxed).saturating_add(more) {
            let fact = format!("disk of {} has {free} bytes free; min_free would be passed", self.folder().display());
            return Err(Error::new(ErrorKind::Full, fact));
        }
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64> {
        let existing = self.folder().ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let stat = rustix::fs::statvfs(existing)
            .map_err(|e| Error::io(format!("ask for free space of {}", existing.display()), e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Opens a content for reading from its start.
    pub fn open(&self, content: &Content) -> Result<Box<dyn Read + Send>> {
        match content {
            Content::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Content::Spooled { name, .. } => {
                let path = self.path_of(name);
                let file =
                    File::open(&path).map_err(|e| Error::io(format!("open spool file {}", path.display()), e))?;
                Ok(Box::new(file))
            }
        }
    }

    /// Removes one spooled content; one that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path_of(name);
        let size = fs::metadata(&path).map_or(0, |m| m.len());
        match fs::remove_file(&path) {
            Ok(()) => {
                let _ = self
                    .inner
                    .used
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |u| Some(u.saturating_sub(size)));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io(format!("remove spool file {}", path.display()), e)),
        }
    }

    /// Counts what is there and removes what `is_named` does not name; called once at start, under the lock.
    /// Returns how many orphans were removed.
    pub fn clean(&self, mut is_named: impl FnMut(&str) -> Result<bool>) -> Result<u64> {
        let listing = match fs::read_dir(self.folder()) {
            Ok(listing) => listing,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(e) => {
                let fact = format!("list spool {}; name a folder of our own in state.spool", self.folder().display());
                return Err(Error::io(fact, e));
            }
        };
        let mut removed = 0;
        for entry in listing {
            let entry = entry.map_err(|e| Error::io(format!("list spool {}", self.folder().display()), e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.ends_with(".bin") || name.ends_with(TEMPORARY);
            if !ours {
                continue;
            }
            let size = entry.metadata().map_or(0, |m| m.len());
            self.inner.used.fetch_add(size, Ordering::Relaxed);
            if !is_named(&name)? {
                self.remove(&name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// A fresh file of the spool for the caller's own temporary use; it has no name in the folder.
    pub fn scratch(&self) -> Result<File> {
        self.make_folder()?;
        tempfile::tempfile_in(self.folder())
            .map_err(|e| Error::io(format!("make a scratch file in {}", self.folder().display()), e))
    }

    fn make_folder(&self) -> Result<()> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(self.folder());
        made.map_err(|e| Error::io(format!("make spool folder {}", self.folder().display()), e))
    }

    fn create(&self) -> Result<Large> {
        self.make_folder()?;
        if let Some(store) = self.inner.store.get() {
            spool_owner::note(self.folder(), store);
        }
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number:08x}.bin", self.inner.run);
        let temporary = self.path_of(&format!("{name}{TEMPORARY}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|e| Error::io(format!("make spool file {}", temporary.display()), e))?;
        Ok(Large { file: Some(file), temporary, name })
    }
}

/// Collects one content while it is read. Dropped before [`SpoolWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct SpoolWriter {
    spool: Spool,
    small: Vec<u8>,
    large: Option<Large>,
    written: u64,
    pub(super) captures: Option<Unnamed>,
}

#[derive(Debug)]
struct Large {
    file: Option<File>,
    temporary: PathBuf,
    name: String,
}

impl Drop for Large {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Not finished: nobody will ever name it. A failure here is cleaned at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl SpoolWriter {
    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.large.is_none() {
            if self.small.len() + bytes.len() <= INLINE_BYTES_MAX {
                self.small.extend_from_slice(bytes);
                return Ok(());
            }
            let large = self.spool.create()?;
            self.large = Some(large);
            let small = std::mem::take(&mut self.small);
            self.put(&small)?;
        }
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.spool.check_room_cheaply(self.written, bytes.len() as u64)?;
        let large = self.large.as_mut().expect("put() is called once the large file is made");
        let file = large.file.as_mut().expect("the file is taken by finish() alone");
        file.write_all(bytes).map_err(|e| Error::io(format!("write spool file {}", large.temporary.display()), e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Syncs and names the content. After this returns, the bytes survive a power cut.
    pub fn finish(mut self) -> Result<Content> {
        let Some(mut large) = self.large.take() else { return Ok(Content::Inline(self.small)) };
        let path = self.spool.path_of(&large.name);
        let context = |step: &str| format!("{step} spool file {}", path.display());
        let file = large.file.as_ref().expect("the file is taken by finish() alone");
        file.sync_all().map_err(|e| Error::io(context("sync"), e))?;
        fs::rename(&large.temporary, &path).map_err(|e| Error::io(context("name"), e))?;
        let folder = File::open(self.spool.folder()).map_err(|e| Error::io(context("open folder of"), e))?;
        folder.sync_all().map_err(|e| Error::io(context("sync folder of"), e))?;
        large.file = None;
        self.spool.inner.used.fetch_add(self.written, Ordering::Relaxed);
        if let Some(captures) = &self.captures {
            captures.note(&large.name);
        }
        Ok(Content::Spooled { name: std::mem::take(&mut large.name), size: self.written })
    }
}

/// Free space is asked for once per this many bytes written, not for every block.
const ROOM_CHECK_BYTES: u64 = 8 * 1024 * 1024;

impl Spool {
    fn check_room_cheaply(&self, written: u64, more: u64) -> Result<()> {
        let crosses = written / ROOM_CHECK_BYTES != (written + more) / ROOM_CHECK_BYTES;
        if written == 0 || crosses { self.check_room(written + more) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(folder: &Path, bytes_max: u64) -> Spool {
        Spool::new(folder.join("spool"), "run1", bytes_max, 0)
    }

    #[test]
    fn small_content_stays_in_memory_and_large_content_goes_to_a_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = spool(folder.path(), u64::MAX);
        let mut writer = spool.writer();
        writer.write(b"small").expect("write");
        assert_eq!(writer.finish().expect("finish"), Content::Inline(b"small".to_vec()));
        assert!(!spool.folder().exists(), "a small content makes no folder");

        let mut writer = spool.writer();
        let block = vec![7; INLINE_BYTES_MAX];
        writer.write(&block).expect("write");
        writer.write(b"x").expect("write");
        let content = writer.finish().expect("finish");
        assert_eq!(content.size(), INLINE_BYTES_MAX as u64 + 1);
        let mut back = Vec::new();
        spool.open(&content).expect("open").read_to_end(&mut back).expect("read");
        assert_eq!((back.len(), back.last()), (INLINE_BYTES_MAX + 1, Some(&b'x')));
    }

    #[test]
    fn an_unfinished_content_leaves_nothing_and_orphans_are_cleaned() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = spool(folder.path(), u64::MAX);
        let mut writer = spool.writer();
        writer.write(&vec![1; INLINE_BYTES_MAX + 1]).expect("write");
        drop(writer);
        assert_eq!(fs::read_dir(spool.folder()).expect("list").count(), 0);

        for name in ["old-1.bin", "old-2.bin", "old-3.bin.tmp"] {
            fs::write(spool.path_of(name), b"left behind").expect("write");
        }
        let removed = spool.clean(|name| Ok(name == "old-2.bin")).expect("clean");
        assert_eq!(removed, 2);
        assert_eq!(spool.bytes_used(), 11);
    }

    #[test]
    fn spool_max_is_kept_with_a_clear_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = spool(folder.path(), 10);
        let mut writer = spool.writer();
        let error = writer.write(&vec![1; INLINE_BYTES_MAX + 1]).expect_err("over spool_max");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.to_string().contains("spool_max"));
    }
}
