//! `highwater run`: polls and delivers until it is asked to stop.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::greeting::Greeter;
use super::{progress, signals};
use crate::app::{self, Ready, RunOptions};
use crate::clock::{Bell, Stop};
use crate::config::Config;

/// Poll and deliver until SIGTERM or Ctrl-C, then finish what is in flight
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A second Ctrl-C ends it at once; nothing is lost, what was in flight is tried again.

Examples:
  highwater run
  highwater run --quiet               as a service: the log says enough
  highwater run -c /etc/highwater/highwater.toml --log debug")]
pub struct Args {
    /// Don't print a line for each delivery
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_run()?;
        let stop = Stop::new();
        signals::raise(&stop)?;
        let hangup = Bell::new();
        // A terminal that is closed ends what runs on it, as ever.
        if !std::io::stdin().is_terminal() {
            signals::ring_at_hangup(&hangup)?;
        }
        let say = (!self.quiet).then(|| progress::say(context));
        let ready = self.is_watched().then(|| greeting(&config));
        app::run(config, RunOptions { stop, hangup, progress: progress::of(context), say, ready })?;
        Ok(Exit::CLEAN)
    }

    /// Whether somebody sees the lines and the log together.
    pub fn is_watched(&self) -> bool {
        !self.quiet && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
    }
}

fn greeting(config: &Config) -> Ready {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::args().next().unwrap_or_else(|| "highwater".into());
    let lines = Greeter { program: &program, here: &here, pid: std::process::id() }.lines(config);
    Arc::new(move || lines.iter().for_each(|line| drop(writeln!(std::io::stdout(), "{line}"))))
}
