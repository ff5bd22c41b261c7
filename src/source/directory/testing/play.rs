//! A real folder, a tracker that follows it, a ledger in memory and clocks that stand still.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{MemoryLedger, settings};
use crate::change::Kind;
use crate::clock::{Clock, ManualClock, Stop, Timestamp};
use crate::error::Result;
use crate::setting::SourceName;
use crate::source::directory::local::LocalFolder;
use crate::source::directory::tracker::Tracker;
use crate::source::settings::DirectorySettings;
use crate::source::{Accepted, Look, Looked, NoProgress, Patience, Scope};

/// A folder to play in.
pub struct Play {
    pub folder: tempfile::TempDir,
    pub directory: LocalFolder,
    pub tracker: Tracker,
    pub ledger: MemoryLedger,
    pub clock: Arc<ManualClock>,
    pub stop: Stop,
    pub accepted: Accepted,
    pub max_new: Option<u64>,
    pub filters_changed: bool,
    pub patience: Patience,
}

impl Play {
    /// With settings changed by `change`.
    pub fn with(change: impl FnOnce(&mut DirectorySettings)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("root")).expect("make");
        Self {
            directory: LocalFolder::new(folder.path().join("root")),
            folder,
            tracker: tracker(change),
            ledger: MemoryLedger::new(),
            clock: ManualClock::at(Timestamp::from_millis(1_000_000)),
            stop: Stop::new(),
            accepted: Accepted::default(),
            max_new: None,
            filters_changed: false,
            patience: Patience::Return,
        }
    }

    /// As configured by default, but ready on sight.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Telling all kinds.
    pub fn telling_all() -> Self {
        Self::with(|settings| settings.events = vec![Kind::Created, Kind::Changed, Kind::Removed, Kind::Renamed])
    }

    /// A fresh process: what only the tracker knew is lost, settings may differ.
    pub fn restart(&mut self, change: impl FnOnce(&mut DirectorySettings)) {
        self.tracker = tracker(change);
    }

    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.folder.path().join("root").join(Path::new(std::ffi::OsStr::from_bytes(name.as_ref())))
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make");
        fs::write(path, content).expect("write");
    }

    pub fn remove(&self, name: impl AsRef<[u8]>) {
        fs::remove_file(self.path(name)).expect("remove");
    }

    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("make");
        fs::rename(self.path(from), to).expect("rename");
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A look at a scope.
    pub fn try_look(&mut self, scope: Scope) -> Result<Looked> {
        let clock = Arc::clone(&self.clock);
        let look = Look {
            scope,
            first: self.ledger.commits == 0,
            filters_changed: self.filters_changed,
            accepted: self.accepted,
            max_new: self.max_new,
            patience: self.patience,
            clock: &*clock as &dyn Clock,
            stop: &self.stop,
            progress: &NoProgress,
        };
        self.tracker.poll(&mut self.directory, &look, &mut self.ledger)
    }

    pub fn look(&mut self, scope: Scope) -> Looked {
        self.try_look(scope).expect("the look ends well")
    }

    /// A full poll.
    pub fn poll(&mut self) -> Looked {
        self.look(Scope::Everything)
    }

    /// A full poll; what it told, `kind key revision`, sorted.
    pub fn told(&mut self) -> Vec<String> {
        self.poll();
        self.taken()
    }

    /// What was told since the last time.
    pub fn taken(&mut self) -> Vec<String> {
        let told = self.ledger.take_told();
        let mut told: Vec<String> = told.into_iter().map(|(kind, key, rev)| format!("{kind} {key} {rev}")).collect();
        told.sort();
        told
    }

    /// Nothing is told or written by a poll of an unchanged folder, and no row is asked for.
    pub fn assert_idle(&mut self) {
        let before = (self.ledger.commits, self.ledger.asked);
        self.poll();
        assert_eq!((self.ledger.commits, self.ledger.asked), before, "an idle poll asks and writes nothing");
    }
}

fn tracker(change: impl FnOnce(&mut DirectorySettings)) -> Tracker {
    let mut settings = settings();
    change(&mut settings);
    Tracker::new(&SourceName::new("orders"), &settings, None).expect("valid settings")
}
