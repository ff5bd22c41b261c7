//! The file and what it says, checked.

use std::path::{Path, PathBuf};

use crate::sink::settings::SinkSettings;
use crate::source::settings::SourceSettings;
use crate::store::settings::StateSettings;

pub mod schema;

#[derive(Debug, Clone)]
pub struct Config {
    pub path: PathBuf,
    pub state: StateSettings,
    pub sources: Vec<SourceSettings>,
    pub sinks: Vec<SinkSettings>,
}

#[derive(Debug, Clone)]
pub struct Problems(pub Vec<String>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

pub fn load(path: Option<&Path>) -> Result<Config, Problems> {
    Err(Problems(vec![format!("{path:?}")]))
}

pub fn show(path: Option<&Path>, name: Option<&str>) -> Result<String, Problems> {
    Err(Problems(vec![format!("{path:?} {name:?}")]))
}

pub fn starter() -> &'static str {
    ""
}
