//! What every command starts from: the global options, the clock, the configuration and the records, opened on demand.

use std::path::PathBuf;

use indicatif::MultiProgress;

use super::failure::Failure;
use super::log::Level;
use crate::app;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{self, Config};
use crate::error::ErrorKind;
use crate::setting::{SinkName, SourceName};
use crate::store::Records;

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// The configuration file [default: highwater.toml]
    #[arg(short, long, global = true, value_name = "FILE", env = "HIGHWATER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// How much is logged: off, error, warn, info, debug, trace [default: info for run and once, else warn]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "HIGHWATER_LOG",
        hide_env_values = true,
        hide_possible_values = true
    )]
    pub log: Option<Level>,
}

/// What every command starts from.
#[derive(Debug)]
pub struct Context {
    globals: Globals,
    clock: SystemClock,
    bars: Option<MultiProgress>,
}

impl Context {
    /// `bars` is where progress bars are drawn, when standard error is a terminal.
    pub fn new(globals: Globals, bars: Option<MultiProgress>) -> Self {
        Self { globals, clock: SystemClock::new(), bars }
    }

    /// The file named on the command line or in the environment.
    pub fn config_path(&self) -> Option<&std::path::Path> {
        self.globals.config.as_deref()
    }

    /// The configuration, read and checked, secrets included: for commands that poll or deliver.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(config::load(self.config_path())?)
    }

    /// The configuration, with its warnings in the log: for commands that go on for long, or run unattended.
    pub fn config_to_run(&self) -> Result<Config, Failure> {
        let config = self.config()?;
        for warning in &config.warnings {
            tracing::warn!(%warning, "the configuration may not do what is meant");
        }
        Ok(config)
    }

    /// The configuration for commands that only read the store or ask the running process: an operator's shell does not
    /// have the secrets of the service.
    pub fn config_to_read(&self) -> Result<Config, Failure> {
        Ok(config::load_without_secrets(self.config_path())?)
    }

    /// The records of the store; an error says how to get one when there is none yet.
    pub fn records(&self, config: &Config) -> Result<Box<dyn Records>, Failure> {
        Ok(app::records(config)?)
    }

    /// The records, or `None` when there is no store yet.
    pub fn records_if_any(&self, config: &Config) -> Result<Option<Box<dyn Records>>, Failure> {
        match app::records(config) {
            Ok(records) => Ok(Some(records)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where progress bars are drawn.
    pub fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }
}

/// The configured source of this name.
pub fn source_named(config: &Config, name: &str) -> Result<SourceName, Failure> {
    let known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    if known.contains(&name) { Ok(SourceName::new(name)) } else { Err(unknown("source", name, &known)) }
}

/// The configured sink of this name.
pub fn sink_named(config: &Config, name: &str) -> Result<SinkName, Failure> {
    let known: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    if known.contains(&name) { Ok(SinkName::new(name)) } else { Err(unknown("sink", name, &known)) }
}

/// Makes sure that a source or a sink of this name is configured.
pub fn either_named(config: &Config, name: &str) -> Result<(), Failure> {
    if source_named(config, name).is_ok() || sink_named(config, name).is_ok() {
        return Ok(());
    }
    let sources = config.sources.iter().map(|source| source.name.as_str());
    let known: Vec<&str> = sources.chain(config.sinks.iter().map(|sink| sink.name.as_str())).collect();
    Err(unknown("source or sink", name, &known))
}

/// A name that nobody has, with the nearest one that somebody has.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> Failure {
    let nearest = known
        .iter()
        .map(|each| (strsim::damerau_levenshtein(name, each), *each))
        .filter(|(distance, each)| *distance <= each.len().max(name.len()) / 3 + 1)
        .min();
    let name = name.escape_debug();
    let remedy = match nearest {
        Some((_, each)) => format!("did you mean \"{each}\"?"),
        None if known.is_empty() => "there is none".into(),
        None => format!("there is {}", known.join(", ")),
    };
    Failure::usage(format!("no {what} is named \"{name}\"; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(what: &str, name: &str, known: &[&str]) -> String {
        unknown(what, name, known).lines().concat()
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_known_one_or_all_of_them() {
        let known = ["orders", "customers"];
        assert_eq!(
            said("source", "ordres", &known),
            "highwater: no source is named \"ordres\"; did you mean \"orders\"?"
        );
        assert_eq!(
            said("sink", "zzzzzz", &known),
            "highwater: no sink is named \"zzzzzz\"; there is orders, customers"
        );
        assert_eq!(said("sink", "x\n", &[]), "highwater: no sink is named \"x\\n\"; there is none");
    }
}
