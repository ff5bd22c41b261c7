//! The commands: one file each. This one knows the command line as a whole, picks the command and exits with its code.
//! What a command does with store, sources and sinks belongs to `app`.

mod answering;
mod attempts;
mod cancel;
mod check;
mod completions;
mod config;
mod confirm;
mod content;
mod context;
mod cursor;
mod dead;
mod deliveries;
mod delivery_line;
mod doctor;
mod events;
mod exit_code;
mod explain;
mod failure;
mod filter;
mod greeting;
mod groups;
mod init;
mod listen;
mod listing;
mod log;
mod man;
mod once;
mod output;
mod pause;
mod peek;
mod poll;
mod progress;
mod reload;
mod resume;
mod run;
mod schema;
mod signals;
mod status;
mod tail;
mod test;

use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};

pub use context::Context;
pub use exit_code::{Ending, Exit};
pub use failure::{Failure, Outcome};

/// Notices what changed in folders and databases, and tells the systems that need to know.
#[derive(Debug, Parser)]
#[command(
    name = "highwater",
    version,
    after_help = "Exit codes: 0 all well; 2 usage or configuration; 5 another process holds the store; 1 anything \
                  unexpected; 3 a source could not be polled or is held; 4 deliveries wait for a retry or became dead.",
    after_long_help = "\
Examples:
  highwater init                      write a commented highwater.toml
  highwater check --connect           try every source and sink in it
  highwater run                       poll and deliver until Ctrl-C
  highwater once --quiet              the same from cron, once
  highwater status                    what is held, what waits, what is dead
  highwater explain orders a.csv      the whole story of one file

Exit codes, the first that applies: 2 usage or configuration; 5 another process holds the store; 1 anything unexpected;
3 a source could not be polled or is held; 4 deliveries wait for a retry or became dead; 0 all well."
)]
struct Cli {
    #[command(flatten)]
    globals: context::Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Config(config::Args),
    Run(run::Args),
    Once(once::Args),
    Peek(peek::Args),
    Status(status::Args),
    Events(events::Args),
    Deliveries(deliveries::Args),
    Attempts(attempts::Args),
    Explain(explain::Args),
    Content(content::Args),
    Tail(tail::Args),
    Poll(poll::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Reload(reload::Args),
    Cancel(cancel::Args),
    Dead(dead::Args),
    Cursor(cursor::Args),
    Test(test::Args),
    Doctor(doctor::Args),
    Listen(listen::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Init(args) => args.run(context),
            Self::Check(args) => args.run(context),
            Self::Config(args) => args.run(context),
            Self::Run(args) => args.run(context),
            Self::Once(args) => args.run(context),
            Self::Peek(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::Events(args) => args.run(context),
            Self::Deliveries(args) => args.run(context),
            Self::Attempts(args) => args.run(context),
            Self::Explain(args) => args.run(context),
            Self::Content(args) => args.run(context),
            Self::Tail(args) => args.run(context),
            Self::Poll(args) => args.run(context),
            Self::Pause(args) => args.run(context),
            Self::Resume(args) => args.run(context),
            Self::Reload(args) => args.run(context),
            Self::Cancel(args) => args.run(context),
            Self::Dead(args) => args.run(context),
            Self::Cursor(args) => args.run(context),
            Self::Test(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Listen(args) => args.run(context),
            Self::Schema(args) => args.run(),
            Self::Completions(args) => args.run(),
            Self::Man(args) => args.run(),
        }
    }

    /// How much is logged when neither `--log` nor `HIGHWATER_LOG` says: the story of a run, else only what is wrong.
    fn log_level(&self) -> log::Level {
        match self {
            Self::Run(_) | Self::Listen(_) => log::Level::Info,
            Self::Once(args) if !args.quiet => log::Level::Info,
            // It tells itself what is refused.
            Self::Peek(_) => log::Level::Error,
            _ => log::Level::Warn,
        }
    }

    /// Whether attempts are logged, or told to somebody who watches.
    fn attempts(&self) -> log::Attempts {
        match self {
            Self::Run(args) if args.is_watched() => log::Attempts::Told,
            _ => log::Attempts::Logged,
        }
    }
}

/// The whole command line, as `completions` and `man` describe it too.
fn command_line() -> clap::Command {
    groups::grouped(<Cli as clap::CommandFactory>::command())
}

/// Parses the arguments, runs the command and returns the process's exit code.
pub fn main() -> ExitCode {
    let matches = command_line().try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    let level = cli.globals.log.unwrap_or(cli.command.log_level());
    let bars = log::start(level, cli.command.attempts());
    let context = Context::new(cli.globals, bars);
    match cli.command.run(&context) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command_line().debug_assert();
    }
}
