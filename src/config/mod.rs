//! The configuration: `highwater.toml` and the files it names, read into checked settings, or into all that is wrong
//! with them at once. What the settings do belongs to the layers that use them.
//!
//! Read [`load`] top-down: `file` gathers, `node` parses and expands, `state`, `server`, `source` and `sink` read their sections
//! by means of `section`, `agreement` checks what they say of each other.

mod address;
mod agreement;
mod connection;
mod expand;
mod file;
mod filter;
mod folder;
mod ftp;
mod glob;
mod http;
mod list;
mod mysql;
mod nearest;
mod node;
mod odbc;
mod place;
mod problem;
mod reading;
mod remote;
mod route;
mod schedule;
pub mod schema;
mod script;
mod secret;
mod section;
mod server;
mod settle;
mod sftp;
mod show;
mod sink;
mod source;
mod starter;
mod state;
mod table;
mod takeaway;
mod tls;
mod value;
mod word;

use std::path::{Path, PathBuf};

pub use self::file::FILE_NAME;
pub use self::place::Place;
pub use self::problem::{Problem, Problems, Warning};
pub use self::reading::Secrets;
pub use self::show::show;
pub use self::starter::{init, starter};

use self::agreement::Extent;
use self::file::Gathered;
use self::node::{Named, Table, Value};
use self::place::ConfigFile;
use self::reading::{Reading, SectionPath};
use self::section::Keys;
use self::server::ServerDraft;
use self::sink::SinkDraft;
use self::source::SourceDraft;
use crate::sink::settings::SinkSettings;
use crate::source::settings::SourceSettings;
use crate::store::settings::StateSettings;

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The files it was read from, absolute, the main one first.
    pub files: Vec<PathBuf>,
    /// Where state is kept.
    pub state: StateSettings,
    /// The sources, in the order of the files.
    pub sources: Vec<SourceSettings>,
    /// The sinks, in the order of the files.
    pub sinks: Vec<SinkSettings>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Warning>,
    /// Every value with its origin.
    shown: Vec<show::ShownSection>,
}

/// Reads `file`, else the one `HIGHWATER_CONFIG` names, else `highwater.toml` in the current folder, and all files it
/// names.
///
/// # Errors
/// Everything that is wrong, in one go. Secrets that can't be read are among it.
pub fn load(file: Option<&Path>) -> Result<Config, Problems> {
    load_from(file, &|name| std::env::var(name).ok(), Secrets::MustBeThere)
}

/// Like [`load`] for commands that only read the store: secrets need not be there, as an operator's shell has none.
///
/// # Errors
/// Everything that is wrong, in one go.
pub fn load_without_secrets(file: Option<&Path>) -> Result<Config, Problems> {
    load_from(file, &|name| std::env::var(name).ok(), Secrets::NotNeeded)
}

/// [`load`] with the environment that `${NAME}` and `HIGHWATER_CONFIG` come from.
///
/// # Errors
/// Everything that is wrong, in one go.
pub fn load_from(
    file: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
) -> Result<Config, Problems> {
    let named = || environment("HIGHWATER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let main = file.map(Path::to_path_buf).or_else(named).unwrap_or_else(|| FILE_NAME.into());
    let mut reading = Reading::new(secrets);
    let gathered = file::gather(&main, environment, &mut reading);
    let Some(first) = gathered.first() else { return Err(Problems::new(reading.problems)) };
    let state = read_state(&gathered, &mut reading);
    let servers = read_servers(&gathered, &mut reading);
    let sources = read_sources(&gathered, &servers, &mut reading);
    let sinks = read_sinks(&gathered, &mut reading);
    gathered.iter().for_each(|file| check_top_keys(file, &mut reading));
    let is_whole = gathered.iter().all(|file| file.file.broken_lines.is_empty());
    let extent = if is_whole { Extent::Whole } else { Extent::Partial };
    agreement::check(&sources, &sinks, extent, &mut reading);
    agreement::warn_of_idleness(&sources, &sinks, &Place::whole(&first.file), &mut reading);
    agreement::warn_of_echo(&sources, &state, &mut reading);
    if !reading.problems.is_empty() {
        return Err(Problems::new(reading.problems));
    }
    let files = gathered.iter().map(|file| path_of(&file.file)).collect();
    reading.warnings.sort_by_key(|warning| warning.place().rank());
    Ok(Config {
        files,
        state,
        sources: sources.into_iter().filter_map(|source| source.settings).collect(),
        sinks: sinks.into_iter().filter_map(|sink| sink.settings).collect(),
        warnings: reading.warnings,
        shown: reading.shown,
    })
}

fn path_of(file: &ConfigFile) -> PathBuf {
    file.folder.join(Path::new(&file.shown).file_name().unwrap_or_default())
}

/// What may stand at the top of a file.
const TOP_KEYS: [&str; 5] = ["config", "state", "server", "source", "sink"];

fn check_top_keys(file: &Gathered, reading: &mut Reading) {
    for Named { key, place, .. } in &file.root.entries {
        let text = match key.as_str() {
            "config" if file.file.index > 0 => {
                "[config] may stand in the main file alone; remove it, or name the files there".into()
            }
            "web" => {
                "[web] is not available in this version: there is no TCP listener yet; remove it, and use the commands \
                 on this machine"
                    .into()
            }
            "notify" | "audit" => format!("[{key}] is not available in this version; remove it"),
            key if TOP_KEYS.contains(&key) => continue,
            key => {
                let remedy = match nearest::nearest(key, TOP_KEYS) {
                    Some(known) => format!("did you mean \"{known}\"?"),
                    None => "known are [config], [state], [server.NAME], [source.NAME] and [sink.NAME]".into(),
                };
                let text = format!("unknown key {} at the top of the file; {remedy}", reading::quoted_text(key));
                reading.missing(place, text);
                continue;
            }
        };
        reading.problem(place, text);
    }
}

fn read_state(gathered: &[Gathered], reading: &mut Reading) -> StateSettings {
    let mut found: Option<(&Place, &Table)> = None;
    for named in gathered.iter().filter_map(|file| file.root.get("state")) {
        match (&named.node.value, found) {
            (Value::Table(_), Some((before, _))) => {
                let text = format!("[state] is there twice: the other is at {before}; join them");
                reading.problem(&named.place, text);
            }
            (Value::Table(table), None) => found = Some((&named.place, table)),
            (Value::Unknown, _) => {}
            _ => reading.problem(&named.place, "state is not a table; write [state]"),
        }
    }
    let nothing = Table::default();
    let nowhere = Place::whole(&gathered[0].file);
    let (place, table) = found.unwrap_or((&nowhere, &nothing));
    let path = SectionPath { header: "[state]".into(), path: "state".into(), name: "state".into() };
    state::read(Keys::of_section(path, place, table), reading)
}

fn read_servers(gathered: &[Gathered], reading: &mut Reading) -> Vec<ServerDraft> {
    let named = named_tables("server", gathered, reading);
    named.into_iter().map(|(name, place, table)| server::read(name, place, table, reading)).collect()
}

fn read_sources(gathered: &[Gathered], servers: &[ServerDraft], reading: &mut Reading) -> Vec<SourceDraft> {
    let named = named_tables("source", gathered, reading);
    named.into_iter().map(|(name, place, table)| source::read(name, place, table, servers, reading)).collect()
}

fn read_sinks(gathered: &[Gathered], reading: &mut Reading) -> Vec<SinkDraft> {
    let named = named_tables("sink", gathered, reading);
    named.into_iter().map(|(name, place, table)| sink::read(name, place, table, reading)).collect()
}

/// The tables below `[group.NAME]` of all files. Bad names and names that are there twice are reported.
fn named_tables<'g>(
    group: &str,
    gathered: &'g [Gathered],
    reading: &mut Reading,
) -> Vec<(&'g str, &'g Place, &'g Table)> {
    let mut found: Vec<(&str, &Place, &Table)> = Vec::new();
    for named in gathered.iter().filter_map(|file| file.root.get(group)) {
        let Value::Table(table) = &named.node.value else {
            reading.problem(&named.place, format!("{group} is not a table of tables; write [{group}.NAME]"));
            continue;
        };
        for Named { key, place, node } in &table.entries {
            let path = format!("{group}.{}", node::written_key(key));
            let Value::Table(table) = &node.value else {
                reading.problem(place, format!("{path} is not a table; write [{group}.NAME]"));
                continue;
            };
            if let Err(rule) = crate::setting::name::check_name(key) {
                reading.problem(place, format!("{path} {rule}"));
            } else if let Some((_, before, _)) = found.iter().find(|(name, ..)| name == key) {
                reading.problem(place, format!("{path} is defined at {before} already; rename one of them"));
                continue;
            }
            found.push((key, place, table));
        }
    }
    found
}
