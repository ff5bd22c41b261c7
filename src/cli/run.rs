//! `highwater run`: polls and delivers until it is asked to stop.

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::{progress, signals};
use crate::app::{self, RunOptions};
use crate::clock::Stop;

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
        let say = (!self.quiet).then(|| progress::say(context));
        app::run(config, RunOptions { stop, progress: progress::of(context), say })?;
        Ok(Exit::CLEAN)
    }
}
