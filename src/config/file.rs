//! Which files make up the configuration: the main one, and those its `[config] files` name.
//! What is in them belongs to the sections.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::glob::matcher;
use super::node::{self, Table, Value, written_text};
use super::place::{ConfigFile, Place};
use super::reading::{At, Reading, SectionPath};
use super::section::{Keys, Located, Setting, section};
use super::value::tidied;

section! {
    /// Further configuration files.
    pub struct ConfigSection {
        /// Globs of files to read too, relative to this file's folder: ["partners/*.toml"].
        files: Vec<Located<FilePattern>> = [],
    }
}

/// The file that is read when none is named.
pub const FILE_NAME: &str = "highwater.toml";

/// A larger file is refused.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// More files are refused.
const FILES_MAX: usize = 1_000;
/// `**` looks into folders this deep.
const FOLDERS_DEEP_MAX: usize = 16;

/// One file that was read.
pub struct Gathered {
    /// The file.
    pub file: Arc<ConfigFile>,
    /// What is in it.
    pub root: Table,
}

/// Reads the main file `shown` and every file it names. What can't be read is reported.
pub fn gather(shown: &Path, environment: &dyn Fn(&str) -> Option<String>, reading: &mut Reading) -> Vec<Gathered> {
    let absolute = std::path::absolute(shown).unwrap_or_else(|_| shown.to_path_buf());
    let main = tidied(&absolute);
    let folder = main.parent().unwrap_or(Path::new("/")).to_path_buf();
    let Some(first) = read(0, shown, &folder, environment, reading) else { return Vec::new() };
    let patterns = patterns(&first, reading);
    let mut known = vec![identity(&main)];
    let mut gathered = vec![first];
    for pattern in patterns {
        for found in matching(&folder, &pattern, reading) {
            let path = folder.join(&found);
            if known.contains(&identity(&path)) {
                continue;
            }
            known.push(identity(&path));
            if gathered.len() >= FILES_MAX {
                let text = format!("config.files names more than {FILES_MAX} files; join some");
                reading.problem(&pattern.place, text);
                return gathered;
            }
            let shown = shown.parent().unwrap_or(Path::new("")).join(&found);
            let folder = path.parent().unwrap_or(&folder).to_path_buf();
            gathered.extend(read(gathered.len(), &shown, &folder, environment, reading));
        }
    }
    gathered
}

fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn read(
    index: usize,
    shown: &Path,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    reading: &mut Reading,
) -> Option<Gathered> {
    let file = ConfigFile {
        index,
        shown: shown.display().to_string(),
        folder: folder.to_path_buf(),
        broken_lines: Vec::new(),
    };
    match text_of(&folder.join(shown.file_name().unwrap_or_default())) {
        Ok(text) => {
            let (file, root) = node::parse(file, &text, environment, &mut reading.problems);
            Some(Gathered { file, root })
        }
        Err(text) => {
            reading.problem(&Place::whole(&Arc::new(file)), text);
            None
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let missing = "there is no such file; write one with \"highwater init\", or name another with -c FILE";
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing.to_owned(),
        _ => format!("can't be read: {error}"),
    })?;
    if about.is_dir() {
        return Err("is a folder; name the file in it".into());
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(format!("has {} bytes; at most {FILE_BYTES_MAX} are read", about.len()));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 from line {}; save it as UTF-8", line + 1)
    })?;
    // Editors of one platform begin UTF-8 files with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn patterns(main: &Gathered, reading: &mut Reading) -> Vec<Located<FilePattern>> {
    let Some(named) = main.root.get("config") else { return Vec::new() };
    let Value::Table(table) = &named.node.value else {
        reading.problem(&named.place, "config is not a table; write [config]");
        return Vec::new();
    };
    let path = SectionPath { header: "[config]".into(), path: "config".into(), name: "config".into() };
    let mut keys = Keys::of_section(path, &named.place, table);
    let section: ConfigSection = keys.read(reading);
    keys.finish(reading);
    section.files
}

/// The files that `pattern` names below `folder`, relative to it, in order.
fn matching(folder: &Path, pattern: &Located<FilePattern>, reading: &mut Reading) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in Path::new(&pattern.value.0).components() {
        let Component::Normal(name) = part else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let name = name.to_string_lossy();
        found = found.into_iter().flat_map(|path| step(folder, &path, &name)).collect();
    }
    found.retain(|path| folder.join(path).is_file());
    found.sort();
    found.dedup();
    if found.is_empty() {
        let text = format!("config.files = {} names no file", written_text(&pattern.value.0));
        if has_wildcard(&pattern.value.0) {
            reading.warn(&pattern.place, text);
        } else {
            reading.problem(&pattern.place, format!("{text}; write it, or remove it from the list"));
        }
    }
    found
}

fn has_wildcard(part: &str) -> bool {
    part.contains(['*', '?', '[', '{'])
}

/// One part of a pattern further: the paths below `path` that `name` matches.
fn step(folder: &Path, path: &Path, name: &str) -> Vec<PathBuf> {
    if name == "**" {
        return folders_below(folder, path, FOLDERS_DEEP_MAX);
    }
    if !has_wildcard(name) {
        return vec![path.join(name)];
    }
    let Ok(glob) = matcher(name) else { return Vec::new() };
    children(folder, path).filter(|child| child.file_name().is_some_and(|name| glob.is_match(name))).collect()
}

fn folders_below(folder: &Path, path: &Path, deep: usize) -> Vec<PathBuf> {
    let mut found = vec![path.to_path_buf()];
    if deep > 0 {
        let folders = children(folder, path).filter(|child| folder.join(child).is_dir());
        found.extend(folders.flat_map(|child| folders_below(folder, &child, deep - 1)));
    }
    found
}

fn children(folder: &Path, path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder.join(path)).into_iter().flatten().flatten();
    entries.map(|entry| path.join(entry.file_name()))
}

/// A glob over files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern(pub String);

impl Setting for FilePattern {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            "" => Err("is empty; write a glob like \"partners/*.toml\"".into()),
            text => matcher(text).map(|_| Self(text.to_owned())),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}
