//! Directory sources: listing, segments, readiness, hashing and after-actions.

pub mod block;
pub mod filter;
pub mod local;
pub mod place;
pub mod segment;
pub mod sidecar;
#[cfg(test)]
mod testing;
pub mod varint;
