//! The embedded store: one SQLite file, one writer thread, any number of readers.
