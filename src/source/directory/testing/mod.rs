//! What the tests of directory sources share: settings, a ledger in memory, a folder to play in.

mod ledger;
mod play;
mod remote;

pub use ledger::MemoryLedger;
pub use play::Play;
pub use remote::{RemotePlay, Tells};

use crate::setting::Interval;
use crate::source::settings::DirectorySettings;

/// Settings as an absent configuration gives them, but ready on sight and without built-in exclusions.
pub fn settings() -> DirectorySettings {
    DirectorySettings { stable_for: Interval::from_millis(0), ..DirectorySettings::default() }
}
