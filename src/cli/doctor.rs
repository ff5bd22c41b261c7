//! `highwater doctor`: what a server, folder or table can do, and what is safe there.

use serde_json::json;

use super::context::{Context, source_named};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::listing::Listing;
use super::output::{Out, safe};
use crate::app;

/// Probe a source's server, folder or table: what it can do, and what is safe
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is one thing that was tried: it works, it is absent (something else is used instead), it is a problem, or it is
a note. The exit code is 3 when the place can't be reached at all.

Examples:
  highwater doctor partner-orders
  highwater doctor partner-orders --json")]
pub struct Args {
    /// The source
    source: String,

    /// One JSON value per line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let source = source_named(&config, &self.source)?;
        let findings = app::doctor(&config, &source).map_err(Failure::Source)?;
        let mut out = Out::stdout();
        let mut listing = Listing::new(&["TRIED", "RESULT", "DETAIL"], &[]);
        for finding in findings {
            let (verdict, detail) = (finding.verdict.as_str(), safe(&finding.detail));
            if self.json {
                out.line(json!({ "topic": finding.topic, "verdict": verdict, "detail": detail }))?;
            } else {
                listing.row(vec![safe(&finding.topic), verdict.to_owned(), detail], &mut out)?;
            }
        }
        listing.end(&mut out)?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
