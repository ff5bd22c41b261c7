//! The house rules as ordinary tests: layers, sizes, names, words that must not stay, and docs that name what exists.
//! Each breach is reported as `file:line: rule`. What the program does is tested elsewhere.

mod commands;
mod examples;
mod layers;
mod markdown;
mod paths;
mod source_text;
mod style;

use std::fmt;
use std::path::{Path, PathBuf};

/// One place that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    file: String,
    line: usize,
    rule: String,
}

impl Breach {
    fn new(file: &str, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule: rule.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// A text file of this project: its path relative to the top, and what is in it.
pub struct TextFile {
    path: String,
    text: String,
}

/// The project's own folder.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with this extension, sorted by path.
fn files(folder: &str, extension: &str) -> Vec<TextFile> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(listing) = std::fs::read_dir(&folder) else { continue };
        for entry in listing {
            let path = entry.expect("a directory entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(path: &PathBuf) -> TextFile {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let relative = path.strip_prefix(top()).expect("the path was found below the top");
    TextFile { path: relative.to_string_lossy().into_owned(), text }
}

fn rust_files() -> Vec<TextFile> {
    ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs")).collect()
}

/// README.md and the guides.
fn guides() -> Vec<TextFile> {
    let mut guides = files("docs", "md");
    guides.push(read(&top().join("README.md")));
    guides
}

/// Fails with every breach on a line of its own.
fn expect_none(breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "{} breaches of the house rules:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn modules_use_lower_layers_only() {
    let sources = files("src", "rs");
    assert!(!sources.is_empty());
    let breaches: Vec<Breach> = sources.iter().flat_map(|f| layers::breaches(&f.path, &f.text)).collect();
    expect_none(&breaches);
}

#[test]
fn files_and_functions_stay_small() {
    let breaches: Vec<Breach> = rust_files().iter().flat_map(|f| style::size_breaches(&f.path, &f.text)).collect();
    expect_none(&breaches);
}

#[test]
fn files_are_named_by_a_noun_and_say_first_what_they_are_for() {
    let breaches: Vec<Breach> = rust_files().iter().flat_map(|f| style::name_breaches(&f.path, &f.text)).collect();
    expect_none(&breaches);
}

#[test]
fn nothing_unfinished_unsafe_or_unwrapped_stays() {
    let breaches: Vec<Breach> = rust_files().iter().flat_map(|f| style::word_breaches(&f.path, &f.text)).collect();
    expect_none(&breaches);
}

#[test]
fn guides_name_paths_that_exist() {
    let breaches: Vec<Breach> =
        guides().iter().flat_map(|f| paths::breaches(&f.path, &f.text, &|path| top().join(path).exists())).collect();
    expect_none(&breaches);
}

#[test]
fn guides_name_no_path_of_one_machine() {
    let mut all = guides();
    all.extend(files("config", "toml"));
    let breaches: Vec<Breach> = all.iter().flat_map(|f| paths::machine_breaches(&f.path, &f.text)).collect();
    expect_none(&breaches);
}

#[test]
fn guides_name_commands_and_options_that_exist() {
    let mut help = commands::HelpPages::of_binary(env!("CARGO_BIN_EXE_highwater"));
    let breaches: Vec<Breach> = guides().iter().flat_map(|f| commands::breaches(&f.path, &f.text, &mut help)).collect();
    expect_none(&breaches);
}

#[test]
fn configurations_in_guides_and_samples_pass_check() {
    let binary = env!("CARGO_BIN_EXE_highwater");
    let mut breaches = Vec::new();
    for guide in guides() {
        for block in markdown::blocks(&guide.text, &["toml"]) {
            if let Err(rule) = examples::check(binary, &block.text) {
                breaches.push(Breach::new(&guide.path, block.line, rule));
            }
        }
    }
    for sample in files("config", "toml") {
        if let Err(rule) = examples::check_file(binary, &top().join(&sample.path)) {
            breaches.push(Breach::new(&sample.path, 1, rule));
        }
    }
    expect_none(&breaches);
}
