//! The plain values keys can have: numbers in a range, durations, sizes, paths, names, templates.
//! Words from a fixed set belong to `word`, lists to `list`, secrets to `secret`.

use std::path::{Component, Path, PathBuf};

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::{Value, written_text};
use super::reading::{At, Reading};
use super::section::Setting;
use crate::setting::name::check_name;
use crate::setting::{ByteCount, Interval, Template};

/// One day, in milliseconds.
pub const DAY: u64 = 86_400_000;

/// What schemas let texts be in place of their pattern: a variable is known only when the program starts.
const VARIABLE: &str = ".*\\$\\{.*";

impl Setting for bool {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        match &at.node.value {
            Value::Flag(flag) => Some(*flag),
            Value::Unknown => None,
            _ => {
                reading.reject(at, "is neither true nor false; write it without quotes");
                None
            }
        }
    }

    fn shown(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Setting for String {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| {
            if text.is_empty() { Err("is empty; remove the key or give it a value".into()) } else { Ok(text.into()) }
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Setting for Whole<MIN, MAX> {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let number = match &at.node.value {
            Value::Whole(number) => u64::try_from(*number).ok(),
            Value::Unknown => return None,
            _ => {
                reading.reject(at, format!("is not a whole number; write one from {MIN} to {MAX}, without quotes"));
                return None;
            }
        };
        match number {
            Some(number) if (MIN..=MAX).contains(&number) => Some(Self(number)),
            _ => {
                reading.reject(at, format!("is out of range; write a number from {MIN} to {MAX}"));
                None
            }
        }
    }

    fn shown(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<const MIN: u64, const MAX: u64>(pub Interval);

/// Durations a person waits for: 10 ms to a year.
pub type Wait = Span<10, { 366 * DAY }>;

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    /// Reads a written duration; the error is rule and remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let interval: Interval = text.parse()?;
        if (Interval::from_millis(MIN)..=Interval::from_millis(MAX)).contains(&interval) {
            return Ok(Self(interval));
        }
        let (min, max) = (Interval::from_millis(MIN), Interval::from_millis(MAX));
        Err(format!("is out of range; write a duration from \"{min}\" to \"{max}\""))
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Span<MIN, MAX> {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        if let Value::Whole(number) = &at.node.value {
            let rule = Self::parse(&number.to_string()).err().unwrap_or_default();
            reading.reject(at, rule);
            return None;
        }
        reading.parsed(at, Self::parse)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0.to_string()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^([0-9]+ *(ms|s|m|h|d)|{VARIABLE})$") })
    }
}

/// A size of at least `MIN` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const MIN: u64>(pub ByteCount);

impl<const MIN: u64> Setting for Bytes<MIN> {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let parse = |text: &str| match text.parse::<ByteCount>()? {
            size if size.0 < MIN => Err(format!("is out of range; write at least \"{}\"", ByteCount(MIN))),
            size => Ok(Self(size)),
        };
        if let Value::Whole(number) = &at.node.value {
            let rule = parse(&number.to_string()).err().unwrap_or_default();
            reading.reject(at, rule);
            return None;
        }
        reading.parsed(at, parse)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0.to_string()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^([0-9]+ *[KMGTkmgt]?[Ii]?[Bb]|{VARIABLE})$") })
    }
}

/// A path, relative to the folder of the file it is written in; absolute when read.
impl Setting for PathBuf {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            "" => Err("is empty; write a path".into()),
            text if text.contains('\0') => Err("holds a NUL; write a path".into()),
            text => Ok(tidied(&at.node.place.folder().join(text))),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.to_string_lossy()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// `path` without `.`, and without `..` where that changes nothing: behind a folder that is no symbolic link.
pub fn tidied(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        let goes_up = component == Component::ParentDir;
        match component {
            Component::CurDir => {}
            _ if goes_up && matches!(out.components().next_back(), Some(Component::Normal(_))) && !out.is_symlink() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The name of a source, a sink or an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub String);

impl Setting for Name {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| check_name(text).map(|()| Self(text.to_owned())))
    }

    fn shown(&self) -> Option<String> {
        self.0.shown()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^([A-Za-z0-9][A-Za-z0-9_.-]{{0,63}}|{VARIABLE})$") })
    }
}

/// A text with the placeholders that are the same everywhere.
impl Setting for Template {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            "" => Err("is empty; remove the key or give it a value".into()),
            text => Self::parse(text, &[]),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self.as_str()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_tidied_where_that_changes_nothing() {
        assert_eq!(tidied(Path::new("/a/./b/../c/")), Path::new("/a/c"));
        assert_eq!(tidied(Path::new("/..")), Path::new("/.."));
    }

    #[test]
    #[cfg(unix)]
    fn a_path_through_a_symbolic_link_keeps_its_dots() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).expect("a link");
        assert_eq!(tidied(&link.join("../x")), link.join("../x"));
    }

    #[test]
    fn a_span_outside_its_range_names_the_range() {
        assert!(Span::<1_000, 60_000>::parse("1s").is_ok());
        assert!(Span::<1_000, 60_000>::parse("2m").expect_err("too long").contains("from \"1s\" to \"1m\""));
    }
}
