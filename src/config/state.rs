//! `[state]`: where the store and the spool are, and how much they may hold.

use std::path::PathBuf;

use super::reading::Reading;
use super::section::{Keys, section};
use super::value::{Bytes, DAY, Name, Span};
use crate::store::settings::StateSettings;

section! {
    /// Where state is kept, and how much of it.
    pub struct StateSection later ["url"] {
        /// Part of every event's id. Name it where several installations share a receiver.
        instance: Name = "main",
        /// The file of the embedded store.
        path: PathBuf = "highwater.db",
        /// The folder for content above 64 KiB; smaller content lives in the store.
        spool: PathBuf = "spool",
        /// At most this much in the spool; polls that need more are held.
        spool_max: Bytes<65_536> = "50GiB",
        /// At least this much free on the spool's disk; polls that need it are held.
        min_free: Bytes<0> = "512MiB",
        /// How long delivered events and rows of removed keys are kept; dead letters are kept 90 days.
        retention: Span<1_000, { 3_660 * DAY }> = "30d",
    }
}

/// Reads the section; absent keys have their defaults.
pub fn read(mut keys: Keys<'_>, reading: &mut Reading) -> StateSettings {
    let section: StateSection = keys.read(reading);
    keys.finish(reading);
    StateSettings {
        instance: section.instance.0,
        path: section.path,
        spool: section.spool,
        spool_max: section.spool_max.0,
        min_free: section.min_free.0,
        retention: section.retention.0,
    }
}
