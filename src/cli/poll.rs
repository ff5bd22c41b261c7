//! `highwater poll`: looks at a source now.

use super::context::{Context, source_named};
use super::failure::{Failure, Outcome};
use crate::web::Request;

/// Look at a source now, whatever its schedule says
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source
    source: String,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let source = source_named(&config, &self.source)?;
        let request = Request::Poll { source: source.as_str().to_owned() };
        let done = format!("{source} is looked at now");
        super::answering::ask(&config, request, &done).map_err(|failure| match failure {
            Failure::Error(error) => Failure::Source(error),
            other => other,
        })
    }
}
