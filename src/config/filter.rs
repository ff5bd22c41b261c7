//! The globs that take files out of a folder source: built-in ones, the configured ones, and what was moved away.
//! Matching belongs to `source::directory`.

use std::path::{Component, Path};

use super::folder::DirectorySection;
use super::glob::{Glob, matcher};
use crate::source::settings::AfterAction;

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

/// The globs in effect. The built-in ones come first and apply in every folder.
pub fn excludes(section: &DirectorySection) -> Vec<String> {
    let mut globs = Vec::new();
    for name in BUILT_IN.into_iter().filter(|name| !is_named(name, &section.include)) {
        globs.push(format!("**/{name}"));
        if name == ".*" {
            // What is in a hidden folder is hidden too.
            globs.push("**/.*/**".into());
        }
    }
    globs.extend(section.exclude.iter().map(|glob| glob.0.clone()));
    for action in [&section.on_delivered.value.0, &section.on_dead.value.0] {
        globs.extend(moved_away(action));
    }
    globs
}

/// Whether `include` asks for what the built-in `name` takes out: one of its globs ends with that name, or with one
/// that only `name` would match.
fn is_named(name: &str, include: &[Glob]) -> bool {
    let Ok(built_in) = matcher(name) else { return false };
    include.iter().any(|glob| {
        let last = glob.0.rsplit('/').next().unwrap_or(&glob.0);
        last == name || built_in.is_match(last.replace(['*', '?'], "x"))
    })
}

/// The fixed folder of a move target, when it is below the root.
fn moved_away(action: &AfterAction) -> Option<String> {
    let AfterAction::Move(target) = action else { return None };
    let fixed = target.fixed_prefix();
    let mut folder = Vec::new();
    for part in Path::new(fixed).components() {
        match part {
            Component::Normal(name) => folder.push(globset::escape(&name.to_string_lossy())),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    // `done-{date}` begins the name of its folder.
    let open = if target.is_plain() || fixed.ends_with('/') { "" } else { "*" };
    Some(format!("{}{open}/**", folder.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Template;

    fn named(name: &str, include: &str) -> bool {
        is_named(name, &[Glob(include.into())])
    }

    #[test]
    fn a_built_in_exclude_gives_way_to_an_include_that_names_it() {
        assert!(named("*.tmp", "*.tmp") && named("*.tmp", "**/*.tmp") && named("*.tmp", "in/report.tmp"));
        assert!(named(".*", ".env") && named("Thumbs.db", "Thumbs.db"));
        assert!(!named("*.tmp", "*") && !named("*.tmp", "**") && !named(".*", "*.csv"));
    }

    #[test]
    fn the_folder_files_are_moved_to_is_left_out() {
        let moved = |to: &str| moved_away(&AfterAction::Move(Template::parse(to, &[]).expect("a template")));
        assert_eq!(moved("archive/{date}").as_deref(), Some("archive/**"));
        assert_eq!(moved("./old/done").as_deref(), Some("old/done/**"));
        assert_eq!(moved("done-{date}").as_deref(), Some("done-*/**"));
        assert_eq!(moved("../archive"), None);
        assert_eq!(moved_away(&AfterAction::Delete), None);
    }
}
