//! `highwater test`: a probe delivery, shown as a command to copy.

use super::context::{Context, sink_named};
use super::exit_code::{Ending, Exit};
use super::failure::Outcome;
use super::filter::event_id;
use super::output::{Out, safe, safe_lines};
use crate::app;
use crate::event::EventId;
use crate::sink;

/// Make a probe delivery and show it as a command to copy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A made-up event is sent unless one is named; nothing is stored. The exit code is 4 when the receiver does not take it.

Examples:
  highwater test erp --dry-run       the curl command, without sending
  highwater test load --event evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4")]
pub struct Args {
    /// The sink
    sink: String,

    /// Send this stored event
    #[arg(long, value_name = "EVENT", value_parser = event_id)]
    event: Option<EventId>,

    /// Only show what would be sent
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let sink = sink_named(&config, &self.sink)?;
        let tested = app::test_sink(&config, &sink, self.event, self.dry_run)?;
        let mut out = Out::stdout();
        out.line(&tested.command)?;
        let mut ending = Ending::Clean;
        if let Some(report) = tested.report {
            let word = match report.outcome {
                sink::Outcome::Delivered => "delivered",
                _ => {
                    ending = Ending::DeliveryTrouble;
                    "NOT delivered"
                }
            };
            out.line(format_args!("{word}: {}", safe(&report.summary)))?;
            out.bytes(safe_lines(&report.output).as_bytes())?;
        }
        out.flush()?;
        Ok(Exit::from(ending))
    }
}
