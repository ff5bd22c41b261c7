//! The effective values as TOML, each with its origin, for `highwater config show`. Secrets are `***`.
//! Values are gathered while the files are read, so that what is shown is what was understood.

use std::fmt::Write;

use super::Config;
use super::reading::SectionPath;

/// The values of one section.
#[derive(Debug, Clone)]
pub struct ShownSection {
    /// The section.
    pub path: SectionPath,
    /// Its values.
    pub lines: Vec<Line>,
}

/// One effective value.
#[derive(Debug, Clone)]
pub struct Line {
    /// The key within the section: `every`, `sign.scheme`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// Where it comes from: `highwater.toml:14`, `default`, `${NAME} at ...`, `env:NAME at ...`.
    pub origin: String,
}

/// The effective values of everything, or of the source, sink or section `name`; empty when nothing has that name.
pub fn show(config: &Config, name: Option<&str>) -> String {
    let mut out = String::new();
    let wanted = |section: &&ShownSection| name.is_none_or(|name| section.path.name == name);
    for section in config.shown.iter().filter(wanted) {
        if !out.is_empty() {
            out.push('\n');
        }
        let width = section.lines.iter().map(|line| line.key.len() + line.value.len()).filter(|width| *width <= 60);
        let width = width.max().unwrap_or(0);
        writeln!(out, "{}", section.path.header).expect("writing to a text does not fail");
        for Line { key, value, origin } in &section.lines {
            let gap = " ".repeat(width.saturating_sub(key.len() + value.len()));
            writeln!(out, "{key} = {value}{gap}  # {origin}").expect("writing to a text does not fail");
        }
    }
    out
}
