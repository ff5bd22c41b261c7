//! Tests of delivering.
