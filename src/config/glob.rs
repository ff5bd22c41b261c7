//! Globs over keys and file names, checked when they are read. Matching belongs to the sources.

use globset::{GlobBuilder, GlobMatcher};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::written_text;
use super::reading::{At, Reading};
use super::section::Setting;

/// A glob over keys that compiles: `*` within a folder, `**` across folders, `?`, `[a-z]`, `{a,b}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(pub String);

/// A glob over the paths of a folder source. Without `/` it holds in every folder; `/` in front anchors it to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGlob(pub String);

/// Compiles `pattern`; `*` and `?` do not cross a `/`.
pub fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| format!("is not a glob: {}; put a special character in brackets, like [[]", error.kind()))
}

impl Setting for Glob {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| {
            if text.is_empty() {
                return Err("is empty; write a glob like \"*.csv\"".into());
            }
            if text.starts_with('/') || text.starts_with("./") {
                return Err("would match no key, which is relative; write it like \"in/*.csv\"".into());
            }
            matcher(text).map(|_| Self(text.to_owned()))
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Setting for PathGlob {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| {
            let below_root = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
            if below_root.is_empty() {
                return Err("is empty; write a glob like \"*.csv\"".into());
            }
            matcher(below_root).map(|_| Self(text.to_owned()))
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_its_folder() {
        let glob = matcher("*.csv").expect("a glob");
        assert!(glob.is_match("a.csv") && !glob.is_match("in/a.csv"));
        assert!(matcher("**/*.csv").expect("a glob").is_match("a.csv"));
        assert!(matcher("[").expect_err("open").contains("is not a glob"));
    }
}
