//! `highwater events`: what was told, as stored.

use std::collections::HashSet;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::filter::{Filter, event_id};
use super::listing::{Listing, seconds};
use super::output::Out;
use crate::error::Result;
use crate::event::EventId;
use crate::store::Records;
use crate::store::records::EventRecord;

/// List events: what was told
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
With --json each line is a CloudEvent exactly as it is delivered.

Examples:
  highwater events --source orders --since 1d
  highwater events --sink erp --state dead --json
  highwater events show evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4 --body"
)]
pub struct Args {
    #[command(subcommand)]
    show: Option<Show>,

    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, clap::Subcommand)]
enum Show {
    /// One event
    Show {
        /// The event's id
        #[arg(value_name = "EVENT", value_parser = event_id)]
        id: EventId,

        /// Only the CloudEvent, exactly as it is delivered
        #[arg(long, alias = "json")]
        body: bool,
    },
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        let mut out = Out::stdout();
        match self.show {
            Some(Show::Show { id, body }) => show(&stored(&*records, id)?, body, &mut out)?,
            None => {
                self.filter.check_names(&config, &*records)?;
                self.list(&*records, context, &mut out)?;
            }
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }

    fn list(&self, records: &dyn Records, context: &Context, out: &mut Out<'_>) -> Result<()> {
        let filter = &self.filter;
        let header = ["TIME", "SOURCE", "TYPE", "KEY", "REVISION", "ID"];
        let mut listing = Listing::new(&header, &[4]);
        let mut count = filter.count();
        let mut one = |record: EventRecord| {
            if !count.one_more() {
                return Ok(false);
            }
            let event = &record.event;
            if filter.json {
                return Ok(out.bytes(&event.body)? && out.bytes(b"\n")?);
            }
            let (time, id) = (seconds(event.time), event.id.to_string());
            let (source, revision) = (event.source.to_string(), event.revision.to_string());
            listing.row(vec![time, source, event.type_name(), event.key.shown(), revision, id], out)
        };
        if filter.sink.is_none() && filter.state.is_none() {
            records.events(&filter.events(context.now()), &mut one)?;
        } else {
            for id in with_such_deliveries(records, filter, context)? {
                if let Some(record) = records.event(id)?
                    && !one(record)?
                {
                    break;
                }
            }
        }
        listing.end(out)?;
        count.end("no event fits", out)
    }
}

/// The events that have a delivery to the sink and in the state asked for, the newest first.
fn with_such_deliveries(records: &dyn Records, filter: &Filter, context: &Context) -> Result<Vec<EventId>> {
    let mut wanted = filter.deliveries(context.now());
    let events_max = wanted.limit.take().unwrap_or(usize::MAX);
    let (mut seen, mut ids) = (HashSet::new(), Vec::new());
    records.deliveries(&wanted, &mut |delivery| {
        if seen.insert(delivery.event) {
            ids.push(delivery.event);
        }
        Ok(ids.len() < events_max)
    })?;
    Ok(ids)
}

/// The stored event with this id.
pub fn stored(records: &dyn Records, id: EventId) -> Result<EventRecord, Failure> {
    let found = records.event(id)?;
    found.ok_or_else(|| Failure::usage(format!("no event {id} is stored; \"highwater events\" lists what there is")))
}

fn show(record: &EventRecord, body: bool, out: &mut Out<'_>) -> Result<()> {
    let event = &record.event;
    if body {
        out.bytes(&event.body)?;
        out.line("")?;
        return Ok(());
    }
    let content = match record.content_size {
        Some(size) => format!("{size} bytes captured; \"highwater content {}\" prints them", event.id),
        None => "not captured".into(),
    };
    let facts = [
        ("id", event.id.to_string()),
        ("source", event.source.to_string()),
        ("type", event.type_name()),
        ("key", event.key.shown()),
        ("revision", event.revision.to_string()),
        ("sequence", event.sequence.to_string()),
        ("noticed", event.time.to_rfc3339()),
        ("sha256", event.fingerprint.map_or_else(|| "-".into(), |fingerprint| fingerprint.to_hex())),
        ("content", content),
    ];
    for (name, value) in facts {
        out.line(format_args!("{name:<9} {value}"))?;
    }
    out.line(format_args!("deliveries: \"highwater deliveries show {}\"", event.id))?;
    Ok(())
}
