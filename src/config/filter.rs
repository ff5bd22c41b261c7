//! The globs that take files out of a folder source: built-in ones that nobody asks for, and the configured ones.
//! Matching, and leaving out what after-actions moved away, belongs to `source::directory`.

use super::folder::DirectorySection;
use super::glob::{PathGlob, matcher};

/// Names that are hardly ever meant for anyone else: hidden, temporary, half-copied, locks.
pub const BUILT_IN: [&str; 13] = [
    ".*",
    "~$*",
    "*.tmp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.writing",
    "*.swp",
    "*.lck",
    "*~",
    "Thumbs.db",
    "desktop.ini",
];

/// The globs in effect, the built-in ones first.
pub fn excludes(section: &DirectorySection) -> Vec<String> {
    let built_in = BUILT_IN.into_iter().filter(|name| !is_named(name, &section.include)).map(str::to_owned);
    built_in.chain(section.exclude.iter().map(|glob| glob.0.clone())).collect()
}

/// Whether `include` asks for what the built-in `name` takes out: one of its globs ends with that name, or with one
/// that only `name` would match.
fn is_named(name: &str, include: &[PathGlob]) -> bool {
    let Ok(built_in) = matcher(name) else { return false };
    include.iter().any(|glob| {
        let last = glob.0.rsplit('/').next().unwrap_or(&glob.0);
        last == name || built_in.is_match(last.replace(['*', '?'], "x"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, include: &str) -> bool {
        is_named(name, &[PathGlob(include.into())])
    }

    #[test]
    fn a_built_in_exclude_gives_way_to_an_include_that_names_it() {
        assert!(named("*.tmp", "*.tmp") && named("*.tmp", "**/*.tmp") && named("*.tmp", "in/report.tmp"));
        assert!(named(".*", ".env") && named("Thumbs.db", "Thumbs.db"));
        assert!(!named("*.tmp", "*") && !named("*.tmp", "**") && !named(".*", "*.csv"));
    }
}
