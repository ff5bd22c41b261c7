//! `highwater reload`: has the running process read its configuration again.

use super::context::Context;
use super::failure::Outcome;
use crate::web::Request;

/// Have the running process read its configuration again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is checked first; with a problem in it the running process keeps what it has.
\"highwater check --plan\" says beforehand what an edit would do.")]
pub struct Args {}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        super::answering::ask(&config, Request::Reload, "the configuration is read again")
    }
}
