//! `highwater schema`: the JSON Schema of the configuration, for editors.

use super::exit_code::Exit;
use super::failure::Outcome;
use super::output::Out;
use crate::config::schema;

/// Print the JSON Schema of the configuration, for editors that complete and check it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  highwater schema > highwater.schema.json")]
pub struct Args {}

impl Args {
    pub fn run(self) -> Outcome {
        let mut out = Out::stdout();
        out.line(schema::json().to_string().trim_end())?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
