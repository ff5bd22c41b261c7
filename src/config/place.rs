//! Where something was written: a file, as the user knows it, and a line. What was written there belongs to `node`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One configuration file.
#[derive(Debug)]
pub struct ConfigFile {
    /// Its place in the order of reading; the main file is 0.
    pub index: usize,
    /// Its path as the user knows it.
    pub shown: String,
    /// Its own folder, absolute: relative paths in it begin here.
    pub folder: PathBuf,
    /// The lines that are not TOML. Not empty: what else was read may be incomplete.
    pub broken_lines: Vec<u32>,
}

/// A line of a configuration file.
#[derive(Debug, Clone)]
pub struct Place {
    file: Arc<ConfigFile>,
    line: u32,
}

impl Place {
    /// Line `line` of `file`, counted from 1.
    pub fn new(file: &Arc<ConfigFile>, line: u32) -> Self {
        Self { file: Arc::clone(file), line }
    }

    /// The file as a whole: for values that nobody wrote.
    pub fn whole(file: &Arc<ConfigFile>) -> Self {
        Self::new(file, 0)
    }

    /// Whether a person wrote this, rather than a default filling in.
    pub fn is_written(&self) -> bool {
        self.line > 0
    }

    /// Whether the file has syntax errors, so that what follows from its being incomplete is not worth telling.
    pub fn is_in_broken_file(&self) -> bool {
        !self.file.broken_lines.is_empty()
    }

    /// Whether a syntax error was reported for this very line.
    pub fn is_broken(&self) -> bool {
        self.file.broken_lines.contains(&self.line)
    }

    /// The file.
    pub fn file(&self) -> &Arc<ConfigFile> {
        &self.file
    }

    /// The folder relative paths begin at.
    pub fn folder(&self) -> &Path {
        &self.file.folder
    }

    /// What places are ordered by: file, then line.
    pub fn rank(&self) -> (usize, u32) {
        (self.file.index, self.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file.shown)?;
        if self.is_written() { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// Turns byte offsets of a text into line numbers.
#[derive(Debug)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Indexes `text`.
    pub fn new(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(starts).collect() }
    }

    /// The line that holds byte `offset`, counted from 1.
    pub fn line_of(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_behind_the_newline_before_it() {
        let index = LineIndex::new("a\nbc\n\nd");
        assert_eq!([0, 1, 2, 4, 5, 6].map(|at| index.line_of(at)), [1, 1, 2, 2, 3, 4]);
    }
}
