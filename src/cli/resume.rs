//! `highwater resume`: ends the pause of a source or a sink.

use super::context::{Context, either_named};
use super::failure::Outcome;
use crate::store::Operation;
use crate::web::Request;

/// End the pause of a source or a sink, close a sink's breaker, try a refused login again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source or sink
    name: String,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        either_named(&config, &self.name)?;
        let done = format!("{} goes on", self.name);
        let operation = Operation::Resume { name: self.name };
        super::answering::ask(&config, Request::Operate(operation), &done)
    }
}
