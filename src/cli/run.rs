//! `highwater run`: polls and delivers until it is asked to stop.

use std::io::IsTerminal;
use std::sync::Arc;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::{progress, signals};
use crate::app::{self, RunOptions, Say};
use crate::clock::Stop;

/// Poll and deliver until SIGTERM or Ctrl-C, then finish what is in flight
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A second Ctrl-C ends it at once; nothing is lost, what was in flight is tried again.

Examples:
  highwater run
  highwater run -c /etc/highwater/highwater.toml --log debug")]
pub struct Args {}

/// On a terminal each delivery is a line on standard output; elsewhere the log alone speaks.
fn say_on_terminal() -> Option<Say> {
    std::io::stdout().is_terminal().then(|| Arc::new(|line: &str| println!("{line}")) as Say)
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let stop = Stop::new();
        signals::raise(&stop)?;
        app::run(config, RunOptions { stop, progress: progress::of(context), say: say_on_terminal() })?;
        Ok(Exit::CLEAN)
    }
}
