//! Directory sources: listing, segments, readiness, hashing and after-actions.

pub mod block;
pub mod compare;
pub mod filter;
pub mod findings;
pub mod local;
pub mod place;
pub mod recut;
pub mod scan;
pub mod segment;
pub mod sidecar;
#[cfg(test)]
mod testing;
pub mod varint;
