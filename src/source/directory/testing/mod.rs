//! What the tests of directory sources share: settings, a ledger in memory, a folder to play in.

mod ledger;
mod play;
mod remote;

pub use ledger::MemoryLedger;
pub use play::Play;
pub use remote::{RemotePlay, Tells};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::setting::Interval;
use crate::source::settings::DirectorySettings;

/// How many more steps a process makes before it is killed: everything it asks of a server or a store is one.
#[derive(Debug, Clone)]
pub struct Steps(Arc<AtomicUsize>);

impl Steps {
    /// A process that is not killed.
    pub fn endless() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }

    /// So many from now on.
    pub fn set(&self, left: usize) {
        self.0.store(left, Ordering::SeqCst);
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Makes one.
    pub fn make(&self) -> Result<()> {
        let one = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
        let made = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one);
        made.map(drop).map_err(|_| Error::new(ErrorKind::Stopped, "the test kills the process here"))
    }
}

/// Settings as an absent configuration gives them, but ready on sight and without built-in exclusions.
pub fn settings() -> DirectorySettings {
    DirectorySettings { stable_for: Interval::from_millis(0), ..DirectorySettings::default() }
}
