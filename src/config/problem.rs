//! What is wrong with a configuration, all of it at once: place, key, value, rule and remedy, one line each.
//! Finding what is wrong belongs to the sections and their values.

use std::fmt;

use super::place::Place;
use crate::error::{Error, ErrorKind};

/// One thing that is wrong. It never shows the value of a secret.
#[derive(Debug, Clone)]
pub struct Problem {
    place: Place,
    text: String,
}

impl Problem {
    /// A problem at `place`; `text` is one line: key, value, rule and remedy.
    pub fn new(place: Place, text: impl Into<String>) -> Self {
        Self { place, text: text.into() }
    }

    /// Where it was written.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Problem {
    /// `highwater.toml:14: source.orders.every = "5" has no unit; write "5s" or "5m"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Everything that is wrong, ordered by file and line. Displayed one line each; not empty.
#[derive(Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Puts the problems into the order of files and lines, each once.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place.rank());
        problems.dedup_by(|a, b| a.place.rank() == b.place.rank() && a.text == b.text);
        Self(problems)
    }

    /// Each problem, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::new(ErrorKind::Config, problems.to_string())
    }
}

/// Something that works, but probably not as meant.
#[derive(Debug, Clone)]
pub struct Warning(Problem);

impl Warning {
    /// A warning about what stands at `place`.
    pub fn new(place: Place, text: impl Into<String>) -> Self {
        Self(Problem::new(place, text))
    }

    /// Where it was written.
    pub fn place(&self) -> &Place {
        &self.0.place
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
