//! Whole listings, and bytes that are none.
