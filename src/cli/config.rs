//! `highwater config show`: effective values and where they come from.

use super::context::{Context, unknown};
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
        let config = context.config_to_read()?;
        let shown = config::show(&config, name.as_deref());
        if shown.is_empty() {
            let name = name.unwrap_or_default();
            let sources = config.sources.iter().map(|source| source.name.as_str());
            let sinks = config.sinks.iter().map(|sink| sink.name.as_str());
            let known: Vec<&str> = sources.chain(sinks).chain(["state"]).collect();
            return Err(unknown("source, sink or section", &name, &known));
        }
        let mut out = Out::stdout();
        out.bytes(shown.as_bytes())?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
