//! The configuration file, read into checked settings; all problems at once.
