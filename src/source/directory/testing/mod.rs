//! What the tests of directory sources share: settings, a ledger in memory, a folder to play in.

mod ledger;
mod play;
mod remote;

pub use ledger::MemoryLedger;
pub use play::Play;
pub use remote::{RemotePlay, Tells};

use crate::change::Kind;
use crate::setting::Interval;
use crate::source::settings::{AfterAction, Case, DirectorySettings, Empty, Start, Versions};

/// Settings as an absent configuration gives them, but ready on sight and without built-in exclusions.
pub fn settings() -> DirectorySettings {
    DirectorySettings {
        include: Vec::new(),
        exclude: Vec::new(),
        case: Case::Exact,
        recursive: true,
        stable_for: Interval::from_millis(0),
        marker: None,
        checksum: None,
        ends_with: None,
        empty: Empty::Deliver,
        events: vec![Kind::Created, Kind::Changed],
        versions: Versions::All,
        on_delivered: AfterAction::Keep,
        on_dead: AfterAction::Keep,
        start: Start::All,
    }
}
