//! `highwater pause`: holds a source or a sink until it is resumed.

use super::context::{Context, either_named};
use super::failure::{Failure, Outcome};
use super::listing::seconds;
use crate::setting::Interval;
use crate::store::Operation;
use crate::web::Request;

/// Hold a source or a sink until it is resumed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A paused source is not polled; a paused sink gets nothing, its deliveries wait. Nothing is lost.

Examples:
  highwater pause erp --for 4h --reason \"maintenance, ticket 4711\"
  highwater pause orders --reason \"wrong files, asking the partner\"")]
pub struct Args {
    /// The source or sink
    name: String,

    /// End the pause by itself after this long
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Interval>,

    /// Why, for whoever looks at the status
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        either_named(&config, &self.name)?;
        if self.reason.trim().is_empty() {
            return Err(Failure::usage("--reason is empty; say why, for whoever looks at the status"));
        }
        let until = self.span.map(|span| context.now().plus(span.duration()));
        let ends = until.map_or_else(|| "until it is resumed".into(), |at| format!("until {}", seconds(at)));
        let done = format!("{0} is paused {ends}; \"highwater resume {0}\" ends it", self.name);
        let until_ms = until.map(crate::clock::Timestamp::millis);
        let operation = Operation::Pause { name: self.name, reason: self.reason, until_ms };
        super::answering::ask(&config, Request::Operate(operation), &done)
    }
}
