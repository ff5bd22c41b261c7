//! `highwater completions`: a script that completes commands and options in a shell.

use clap_complete::Shell;

use super::exit_code::Exit;
use super::failure::Outcome;
use super::output::Out;

/// Print a script that completes commands and options in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater completions bash > /etc/bash_completion.d/highwater
  highwater completions zsh > ~/.zfunc/_highwater")]
pub struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command_line(), "highwater", &mut script);
        let mut out = Out::stdout();
        out.bytes(&script)?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
