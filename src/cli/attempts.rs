//! `highwater attempts`: every try of every delivery, with what the receiver answered.

use std::io::IsTerminal;

use super::context::Context;
use super::delivery_line::AttemptLine;
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::filter::{Filter, event_id};
use super::listing::{Listing, seconds};
use super::output::{Out, safe, safe_lines};
use crate::error::Result;
use crate::event::EventId;
use crate::store::Records;
use crate::store::records::{AttemptRecord, DeliveryFilter};

/// List attempts: every try of every delivery
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  highwater attempts --sink erp --since 1h
  highwater attempts show evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4 --output     what the receiver said, each time"
)]
pub struct Args {
    #[command(subcommand)]
    show: Option<Show>,

    #[command(flatten)]
    filter: Filter,

    /// Also what the receivers answered and scripts printed
    #[arg(long)]
    output: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Show {
    /// The attempts of one event's deliveries, the first one first
    Show {
        /// The event's id
        #[arg(value_name = "EVENT", value_parser = event_id)]
        id: EventId,

        /// Only to this sink
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,

        /// Also what the receivers answered and scripts printed
        #[arg(long)]
        output: bool,

        /// One JSON value per line
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        let mut out = Out::stdout();
        match self.show {
            Some(Show::Show { id, sink, output, json }) => {
                let sink = sink.map(crate::setting::SinkName::new);
                let mine = DeliveryFilter { event: Some(id), sink, ..DeliveryFilter::default() };
                let attempts = oldest_first(&*records, &mine)?;
                if attempts.is_empty() {
                    let rule = format!("no attempt of {id}; \"highwater deliveries show {id}\" says what it waits for");
                    return Err(Failure::usage(rule));
                }
                let mut lines = Lines::new(json, output);
                for attempt in attempts {
                    lines.one(attempt, &mut out)?;
                }
                lines.end(&mut out)?;
            }
            None => {
                self.filter.check_names(&config, &*records)?;
                let mut count = self.filter.count();
                let mut lines = Lines::new(self.filter.json, self.output);
                records.attempts(&self.filter.deliveries(context.now()), &mut |attempt| {
                    Ok(count.one_more() && lines.one(attempt, &mut out)?)
                })?;
                lines.end(&mut out)?;
                count.end("no attempt fits", &mut out)?;
            }
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}

/// The attempts that fit, the first one first.
pub fn oldest_first(records: &dyn Records, filter: &DeliveryFilter) -> Result<Vec<AttemptRecord>> {
    let mut attempts = Vec::new();
    records.attempts(filter, &mut |attempt| {
        attempts.push(attempt);
        Ok(true)
    })?;
    attempts.reverse();
    Ok(attempts)
}

/// What the receiver answered or the script printed; exactly, unless it goes to a terminal, which it must not steer.
pub fn print_output(attempt: &AttemptRecord, out: &mut Out<'_>) -> Result<bool> {
    if attempt.output.is_empty() {
        return Ok(true);
    }
    let escaped = std::io::stdout().is_terminal().then(|| safe_lines(&attempt.output));
    let more = out.bytes(escaped.as_deref().map_or(&attempt.output[..], str::as_bytes))?;
    if attempt.output.ends_with(b"\n") { Ok(more) } else { out.line("") }
}

struct Lines {
    listing: Option<Listing>,
    json: bool,
    output: bool,
}

impl Lines {
    fn new(json: bool, output: bool) -> Self {
        let header = ["AT", "EVENT", "SINK", "ATTEMPT", "OUTCOME", "CODE", "MS", "SUMMARY"];
        // An output stands below its own attempt, which no table can do.
        Self { listing: (!json && !output).then(|| Listing::new(&header, &[3, 5, 6])), json, output }
    }

    fn one(&mut self, attempt: AttemptRecord, out: &mut Out<'_>) -> Result<bool> {
        if self.json {
            return out.json(&AttemptLine::of(&attempt, self.output));
        }
        let number = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let row = vec![
            seconds(attempt.at),
            attempt.event.to_string(),
            attempt.sink.to_string(),
            attempt.number.to_string(),
            attempt.outcome.clone(),
            number(attempt.code.map(|code| code.to_string())),
            number(attempt.took_ms.map(|ms| ms.to_string())),
            safe(&attempt.summary),
        ];
        match &mut self.listing {
            Some(listing) => listing.row(row, out),
            None => Ok(out.line(row.join("  "))? && print_output(&attempt, out)?),
        }
    }

    fn end(self, out: &mut Out<'_>) -> Result<bool> {
        self.listing.map_or(Ok(true), |listing| listing.end(out))
    }
}
