//! Directory sources: listing, segments, readiness, hashing and after-actions.

pub mod local;
pub mod place;
