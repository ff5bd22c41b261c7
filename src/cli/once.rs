//! `highwater once`: one poll of each source, one attempt for all that is due, one summary line. For cron.

use super::context::{Context, source_named};
use super::exit_code::{Ending, Exit};
use super::failure::{Failure, Outcome, say};
use super::output::Out;
use super::{progress, signals};
use crate::app::{self, OnceOptions, OnceSummary};
use crate::clock::Stop;
use crate::setting::Interval;

/// Poll each source once, attempt all that is due once, and exit: for cron
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 all polled, all delivered; 3 a source could not be polled or is held; 4 deliveries wait for a retry or became
dead; 5 another process holds the store; 1 anything unexpected; 2 usage or configuration.

Examples:
  highwater once
  */5 * * * *  highwater once --quiet --drain --deadline 4m     in a crontab")]
pub struct Args {
    /// Only this source; can be given several times
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,

    /// Also wait for retries, until the deadline
    #[arg(long)]
    drain: bool,

    /// End after this long at the latest; what is left is for the next run
    #[arg(long, value_name = "SPAN")]
    deadline: Option<Interval>,

    /// Wait this long for another process to end
    #[arg(long, value_name = "SPAN")]
    wait: Option<Interval>,

    /// Say nothing unless something went wrong
    #[arg(short, long)]
    pub quiet: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_run()?;
        let sources = self.source.iter().map(|name| source_named(&config, name)).collect::<Result<_, Failure>>()?;
        let stop = Stop::new();
        signals::raise(&stop)?;
        let options = OnceOptions {
            sources,
            drain: self.drain,
            deadline: self.deadline.map(Interval::duration),
            wait: self.wait.map(Interval::duration),
            stop,
            progress: progress::of(context),
        };
        let summary = app::once(config, options)?;
        let ending = ending(&summary);
        if !self.quiet {
            let mut out = Out::stdout();
            out.line(&summary.line)?;
            out.flush()?;
        } else if ending != Ending::Clean {
            say(&format!("highwater: {}", summary.line));
        }
        Ok(Exit::from(ending))
    }
}

/// How a run ended; when several things went wrong, the first in the order of the exit codes.
fn ending(summary: &OnceSummary) -> Ending {
    let happened = [
        (summary.unexpected, Ending::Unexpected),
        (summary.source_trouble, Ending::SourceTrouble),
        (summary.delivery_trouble, Ending::DeliveryTrouble),
    ];
    Ending::first(&happened.into_iter().filter(|(it, _)| *it).map(|(_, ending)| ending).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_in_trouble_counts_before_a_delivery() {
        let mut summary = OnceSummary { delivery_trouble: true, ..OnceSummary::default() };
        assert_eq!(ending(&summary).code(), 4);
        summary.source_trouble = true;
        assert_eq!(ending(&summary).code(), 3);
        summary.unexpected = true;
        assert_eq!(ending(&summary).code(), 1);
        assert_eq!(ending(&OnceSummary::default()).code(), 0);
    }
}
