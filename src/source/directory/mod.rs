//! Directory sources: listing, segments, readiness, hashing and after-actions.
