//! Where state is kept and how much of it, already checked: made by `config`.

use std::path::PathBuf;

use crate::setting::{ByteCount, Interval};

/// Where the store and the spool are, and their limits.
#[derive(Debug, Clone)]
pub struct StateSettings {
    /// Part of every id.
    pub instance: String,
    /// The store's file, absolute.
    pub path: PathBuf,
    /// The spool's folder, absolute.
    pub spool: PathBuf,
    /// At most this much in the spool.
    pub spool_max: ByteCount,
    /// At least this much free on the spool's disk.
    pub min_free: ByteCount,
    /// How long delivered events and rows of removed keys are kept.
    pub retention: Interval,
}
