//! Directory sources: listing, segments, readiness, hashing and after-actions.

pub mod action;
pub mod ahead;
pub mod block;
pub mod compare;
pub mod explain;
pub mod filter;
pub mod findings;
pub mod folder;
pub mod judge;
pub mod leftovers;
pub mod local;
pub mod pages;
pub mod pairing;
pub mod place;
pub mod readiness;
pub mod reading;
pub mod recut;
pub mod removal;
pub mod scan;
pub mod segment;
pub mod settle;
pub mod sidecar;
#[cfg(test)]
mod testing;
pub mod tracker;
pub mod varint;
pub mod visit;
pub mod watch;

pub use folder::FolderSource;

#[cfg(test)]
mod tests;
