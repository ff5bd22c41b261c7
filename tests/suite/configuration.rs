//! The configuration file: what is wrong is told all at once, what is right becomes the settings the design describes.

mod bad_files;
mod defaults;
mod examples;
mod files;
mod remote;
mod secrets;
mod shown;

use std::path::PathBuf;

use highwater::config::{self, Config, Secrets};
use tempfile::TempDir;

/// A folder with configuration files.
pub struct Setup {
    folder: TempDir,
}

impl Setup {
    /// A folder whose `highwater.toml` is `text`.
    pub fn new(text: &str) -> Self {
        let setup = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        setup.with("highwater.toml", text)
    }

    /// Adds the file `name`.
    pub fn with(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("make a folder");
        std::fs::write(path, text).expect("write a file");
        self
    }

    /// The path of `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads the configuration; problems are lines, with paths relative to the folder.
    pub fn load(&self) -> Result<Config, Vec<String>> {
        self.load_with(&environment, Secrets::MustBeThere)
    }

    /// Reads the configuration with another environment.
    pub fn load_with(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        secrets: Secrets,
    ) -> Result<Config, Vec<String>> {
        let file = self.path("highwater.toml");
        let prefix = format!("{}/", self.folder.path().display());
        config::load_from(Some(&file), environment, secrets)
            .map_err(|problems| problems.to_string().lines().map(|line| line.replace(&prefix, "")).collect())
    }

    /// The configuration, which must be fine.
    pub fn config(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("unexpected problems:\n{}", problems.join("\n")))
    }

    /// The problems, of which there must be some.
    pub fn problems(&self) -> Vec<String> {
        self.load().expect_err("the file is wrong")
    }

    /// The warnings, as lines.
    pub fn warnings(&self) -> Vec<String> {
        let prefix = format!("{}/", self.folder.path().display());
        self.config().warnings.iter().map(|warning| warning.to_string().replace(&prefix, "")).collect()
    }
}

/// What `${NAME}` comes from in these tests.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "DROP" => Some("/srv/drop".into()),
        "EVERY" => Some("7s".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// A source and a sink that are right, for tests that add to one of them.
pub const FOLDER: &str = "[source.orders]\nkind = \"folder\"\npath = \"in\"\nto = [\"load\"]\n";
/// See [`FOLDER`].
pub const SCRIPT: &str = "[sink.load]\nkind = \"script\"\ncommand = [\"cat\"]\n";
/// See [`FOLDER`].
pub const HTTP: &str = "[sink.erp]\nkind = \"http\"\nurl = \"http://localhost:9/in\"\n";
/// See [`FOLDER`].
pub const TABLE: &str = "[source.rows]\nkind = \"sqlite\"\npath = \"erp.db\"\ntable = \"t\"\nwatermark = \"at\"\nkey = [\"id\"]\nto = [\"load\"]\n";
