//! `highwater cancel`: gives up an unfinished delivery.

use super::context::{Context, sink_named};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::filter::event_id;
use super::listing::counted;
use super::output::Out;
use crate::app;
use crate::event::EventId;
use crate::store::Operation;
use crate::web::Request;

/// Give up the unfinished deliveries of an event
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An attempt under way comes to its end first, and keeps its key until then; what arrives by it is delivered.

Examples:
  highwater cancel evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4
  highwater cancel evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4 --sink erp")]
pub struct Args {
    /// The event's id
    #[arg(value_name = "EVENT", value_parser = event_id)]
    event: EventId,

    /// Only the delivery to this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        if let Some(name) = &self.sink {
            sink_named(&config, name)?;
        }
        let operation = Operation::Cancel { event: self.event.to_string(), sink: self.sink };
        let answer = app::command(&config, Request::Operate(operation))?;
        let count = answer.count.unwrap_or_default();
        if count == 0 {
            let rule =
                format!("{} has no unfinished delivery; \"highwater deliveries show {0}\" lists them", self.event);
            return Err(Failure::usage(rule));
        }
        let mut out = Out::stdout();
        out.line(format_args!("{} cancelled", counted(count, "delivery")))?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
