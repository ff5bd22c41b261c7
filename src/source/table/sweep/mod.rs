//! The sweep: what is known of a table compared with what it holds, bucket by bucket. It finds rows that were removed and
//! rows that polls missed. What polls find belongs to `pass`.
//!
//! A sweep runs behind a pass over everything beyond SAFE, in its snapshot: whatever was told before is older than that, and
//! what is unknown at or below SAFE was missed. The database counts its rows per bucket of keys and sums up their digests; the
//! same is computed of the known keys, and only buckets that differ are read. Where the database has no such digest, all keys and
//! watermarks are read and counted here.
//!
//! - `state`: when a sweep is due, and what is remembered of the last one
//! - `digest`: the digests, and how known keys are counted
//! - `run`: one sweep; `late`: telling rows that were missed; `gone`: telling those that are not there any more

mod digest;
mod gone;
mod late;
mod run;
mod state;

pub use digest::number;
pub use state::Swept;

use super::Edge;

/// Which rows a sweep reads.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// What they fulfil, as SQL; `None` takes all.
    pub condition: Option<String>,
    /// Rows that are flagged as settled: polls should have seen them.
    pub settled: Reach,
}

/// How far polls should have seen.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// Nobody knows: rows that are unknown are left to them.
    #[default]
    Nothing,
    /// Every row up to here.
    UpTo(Edge),
    /// Every row that the snapshot shows.
    Everything,
}
