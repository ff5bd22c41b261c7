//! One installation of the real program: a folder with a generated configuration and its state, driven by its commands.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::measure::Job;
use crate::{Options, Result, data};

/// Names in every generated configuration.
const SOURCE: &str = "bench";
const SINK: &str = "out";

/// A configuration and its state.
pub struct Installation {
    program: PathBuf,
    folder: PathBuf,
}

impl Installation {
    /// A fresh one. `source` and `sink` are the keys of its one source and one sink, as TOML lines.
    pub fn new(options: &Options, name: &str, source: &str, sink: &str) -> Result<Self> {
        let folder = options.dir.join(format!("installation-{name}"));
        let failed = |error: std::io::Error| format!("make {}: {error}", folder.display());
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("state")).map_err(failed)?;
        std::fs::create_dir_all(folder.join("nothing")).map_err(failed)?;
        let text = format!(
            "[state]\npath = \"state/highwater.db\"\nspool = \"state/spool\"\n\n\
             [source.{SOURCE}]\n{source}\nmax_new = \"none\"\nto = [\"{SINK}\"]\n\n[sink.{SINK}]\n{sink}\n"
        );
        std::fs::write(folder.join("highwater.toml"), text).map_err(failed)?;
        Ok(Self { program: options.program.clone(), folder })
    }

    /// One `once`, to be measured. 4: deliveries wait, as they must while the sink is paused.
    pub fn once(&self) -> Job {
        let config = self.folder.join("highwater.toml").to_string_lossy().into_owned();
        Job {
            program: self.program.clone(),
            args: vec!["once".into(), "--quiet".into(), "-c".into(), config],
            ok: &[0, 4],
        }
    }

    /// Where outputs of its runs go.
    pub fn log(&self) -> PathBuf {
        self.folder.join("run.log")
    }

    /// Runs `once` without measuring it.
    pub fn run_once(&self) -> Result<()> {
        self.once().run(&self.log()).map(drop)
    }

    /// Pauses the sink in a store that has seen nothing of the source yet, and keeps that as the state to begin from.
    pub fn begin_paused(&self) -> Result<()> {
        let config = self.folder.join("highwater.toml");
        let failed = |error: std::io::Error| format!("rewrite {}: {error}", config.display());
        let real = std::fs::read_to_string(&config).map_err(failed)?;
        let (_, sink) = real.split_once("[sink.").ok_or("the configuration has no sink")?;
        let other = format!(
            "[state]\npath = \"state/highwater.db\"\nspool = \"state/spool\"\n\n\
             [source.nothing]\nkind = \"folder\"\npath = \"nothing\"\nto = [\"{SINK}\"]\n\n[sink.{sink}"
        );
        std::fs::write(&config, other).map_err(failed)?;
        self.run_once()?;
        self.command(&["pause", SINK, "--reason", "benchmark"])?;
        std::fs::write(&config, real).map_err(failed)?;
        self.keep_state()
    }

    /// Stores all events with the sink paused, resumes it, and keeps that as the state to begin from.
    pub fn begin_full(&self) -> Result<()> {
        self.begin_paused()?;
        self.run_once()?;
        self.command(&["resume", SINK])?;
        self.keep_state()
    }

    /// Makes the present state the one that [`Self::restore`] brings back.
    pub fn keep_state(&self) -> Result<()> {
        data::copy_folder(&self.folder.join("state"), &self.folder.join("kept"))
    }

    /// Brings the kept state back.
    pub fn restore(&self) -> Result<()> {
        data::copy_folder(&self.folder.join("kept"), &self.folder.join("state"))
    }

    /// Fails unless the source has had exactly `events` events.
    pub fn expect_events(&self, events: u64) -> Result<()> {
        self.expect("sources", SOURCE, "events", events)
    }

    /// Fails unless exactly `delivered` deliveries have arrived.
    pub fn expect_delivered(&self, delivered: u64) -> Result<()> {
        self.expect("sinks", SINK, "delivered", delivered)
    }

    fn expect(&self, list: &str, name: &str, field: &str, expected: u64) -> Result<()> {
        let text = self.command(&["status", "--json"])?;
        let status: Value = serde_json::from_str(&text).map_err(|error| format!("read status --json: {error}"))?;
        let all = status[list].as_array().map_or(&[][..], Vec::as_slice);
        let one = all.iter().find(|one| one["name"] == name).ok_or(format!("status has no {name} in {list}"))?;
        match one[field].as_u64() {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("a wrong run: {list} {name} has {field} = {found:?}, not {expected}: {one}")),
        }
    }

    fn command(&self, words: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .args(words)
            .arg("-c")
            .arg(self.folder.join("highwater.toml"))
            .output()
            .map_err(|error| format!("start {}: {error}", self.program.display()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("highwater {}: {}: {}", words.join(" "), output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
