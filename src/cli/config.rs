//! `highwater config show`: effective values and where they come from.

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::output::Out;
use crate::config;

/// Show effective values and where they come from
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Effective values and where they come from; secrets are never shown
    #[command(after_help = "Examples:\n  highwater config show\n  highwater config show orders")]
    Show {
        /// Only this source, sink or section
        name: Option<String>,
    },
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let What::Show { name } = self.what;
        let shown = config::show(&context.config()?, name.as_deref());
        let mut out = Out::stdout();
        out.bytes(shown.as_bytes())?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
