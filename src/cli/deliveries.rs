//! `highwater deliveries`: one event on its way to one sink each, listed or told whole.

use super::attempts;
use super::context::Context;
use super::delivery_line::{DeliveryLine, Holds, story};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::filter::{Filter, event_id};
use super::listing::{Listing, seconds};
use super::output::{Out, safe};
use crate::event::EventId;
use crate::store::Records;
use crate::store::records::DeliveryFilter;

/// List deliveries: each event on its way to each sink
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
With --json each line is {\"event_id\",\"sink\",\"state\",\"attempts\",\"next_at\",\"held\",\"last\"}.

Examples:
  highwater deliveries --state retrying
  highwater deliveries --sink erp --since 2h --json
  highwater deliveries show evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4"
)]
pub struct Args {
    #[command(subcommand)]
    show: Option<Show>,

    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, clap::Subcommand)]
enum Show {
    /// The deliveries of one event with all their attempts
    Show {
        /// The event's id
        #[arg(value_name = "EVENT", value_parser = event_id)]
        id: EventId,

        /// One JSON value per line
        #[arg(long)]
        json: bool,

        /// Also what the receivers answered and scripts printed
        #[arg(long)]
        output: bool,
    },
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        let holds = Holds::load(&*records, context.now())?;
        let mut out = Out::stdout();
        match self.show {
            Some(Show::Show { id, json, output }) => show(&*records, id, &holds, json, output, &mut out)?,
            None => {
                self.filter.check_names(&config, &*records)?;
                list(&*records, &self.filter, &self.filter.deliveries(context.now()), &holds, &mut out)?;
            }
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}

fn list(
    records: &dyn Records,
    filter: &Filter,
    wanted: &DeliveryFilter,
    holds: &Holds,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    let header = ["EVENT", "SOURCE", "KEY", "SINK", "STATE", "ATTEMPTS", "STORY"];
    let mut listing = Listing::new(&header, &[5]);
    let mut count = filter.count();
    records.deliveries(wanted, &mut |delivery| {
        if !count.one_more() {
            return Ok(false);
        }
        if filter.json {
            return out.json(&DeliveryLine::of(&delivery, holds));
        }
        let row = vec![
            delivery.event.to_string(),
            delivery.source.to_string(),
            delivery.key.shown(),
            delivery.sink.to_string(),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            story(&delivery, holds),
        ];
        listing.row(row, out)
    })?;
    listing.end(out)?;
    count.end("no delivery fits", out)?;
    Ok(())
}

fn show(
    records: &dyn Records,
    id: EventId,
    holds: &Holds,
    json: bool,
    output: bool,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    let mut deliveries = Vec::new();
    let of_event = DeliveryFilter { event: Some(id), ..DeliveryFilter::default() };
    records.deliveries(&of_event, &mut |delivery| {
        deliveries.push(delivery);
        Ok(true)
    })?;
    if deliveries.is_empty() {
        return Err(Failure::usage(format!("no delivery of {id}; \"highwater events\" lists what there is")));
    }
    deliveries.sort_by(|a, b| a.sink.cmp(&b.sink));
    for delivery in &deliveries {
        if json {
            out.json(&DeliveryLine::of(delivery, holds))?;
            continue;
        }
        let story = story(delivery, holds);
        let (sink, state) = (&delivery.sink, delivery.state.as_str());
        out.line(format_args!("{id} to {sink}: {state}{}{story}", if story.is_empty() { "" } else { ": " }))?;
        let mine = DeliveryFilter { event: Some(id), sink: Some(sink.clone()), ..DeliveryFilter::default() };
        for attempt in attempts::oldest_first(records, &mine)? {
            let took = attempt.took_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
            let (at, outcome, summary) = (seconds(attempt.at), &attempt.outcome, safe(&attempt.summary));
            out.line(format_args!("  attempt {} at {at}: {outcome}: {summary}{took}", attempt.number))?;
            if output {
                attempts::print_output(&attempt, out)?;
            }
        }
    }
    Ok(())
}
