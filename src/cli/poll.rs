//! `highwater poll`: looks at a source now.

use super::context::{Context, source_named};
use super::failure::{Failure, Outcome};
use crate::app;
use crate::error::{Error, ErrorKind};
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
        let answer = app::command(&config, request)?;
        if let Some(trouble) = answer.value["trouble"].as_str() {
            let fact = format!("{source}: {trouble}");
            return Err(Failure::Source(Error::new(ErrorKind::Unavailable, fact)));
        }
        super::answering::tell(&answer, &format!("{source} is looked at now"))
    }
}
