//! Which format a listing has: each is tried on the first lines, and the one that leaves the fewest of them unknown wins.

use super::format::{ALL, Format};
use super::row::{Name, Taken, judge_name};
use super::times::Times;

/// So many lines are kept for a vote.
pub const LINES_MAX: usize = 64;
/// So many bytes are kept for a vote, and the line that goes beyond.
pub const BYTES_MAX: usize = 16 * 1024;

/// Lines that wait for a vote.
#[derive(Debug, Default)]
pub struct Ballot {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Ballot {
    /// Keeps a line.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no more lines are needed.
    pub fn is_full(&self) -> bool {
        self.ends.len() >= LINES_MAX || self.bytes.len() >= BYTES_MAX
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// How many bytes there are.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all lines.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_MAX);
        self.ends.clear();
    }
}

/// How a format did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// Lines that it does not take.
    pub unknown: usize,
    /// Lines that it does take, but holds no entry to be in; more is worse where `unknown` is equal.
    pub passed: usize,
}

/// Lets one format read the lines; returns it knowing them, and how it did.
pub fn tried(mut format: Format, ballot: &Ballot, times: &mut Times) -> (Format, Fit) {
    let mut fit = Fit { unknown: 0, passed: 0 };
    for line in ballot.lines() {
        let mut bad = false;
        let taken = format.take(line, times, &mut |row| bad |= judge_name(row.name) == Name::Bad);
        match taken {
            _ if bad => fit.unknown += 1,
            Taken::Unknown => fit.unknown += 1,
            Taken::Passed => fit.passed += 1,
            Taken::Entry => {}
        }
    }
    fit.unknown += usize::from(format.end(&mut |_| {}).is_some());
    (format.learned(), fit)
}

/// The format that fits best, knowing the lines, and how it did.
pub fn elected(ballot: &Ballot, times: &mut Times) -> (Format, Fit) {
    let formats = ALL.into_iter().filter_map(Format::of);
    formats
        .map(|format| tried(format, ballot, times))
        // The first of equals: `min_by_key` keeps it.
        .min_by_key(|(_, fit)| *fit)
        .expect("there is at least one format")
}
