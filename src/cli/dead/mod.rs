//! `highwater dead`: dead letters and refused entries, looked at, tried again, dropped or acknowledged.

mod list;

use super::confirm::{Asked, confirmed};
use super::context::{Context, unknown};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome, say};
use super::filter::event_id;
use super::listing::counted;
use super::output::Out;
use crate::app;
use crate::config::Config;
use crate::event::EventId;
use crate::store::{DeadFilter, Operation};
use crate::web::Request;

/// Look at dead letters and refused entries; try them again, drop or acknowledge them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A dead letter is a delivery that has been given up; a refused entry could not become an event.

Examples:
  highwater dead list
  highwater dead retry evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4
  highwater dead retry --sink erp --dry-run      how many that would be
  highwater dead drop --source orders --yes")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(list::Args),
    /// Deliver dead letters again, at once, with a fresh schedule
    Retry(Selection),
    /// Give dead letters up for good; forget refused entries
    Drop(Selection),
    /// Say that they have been seen: they stay, and are counted no more
    Ack(Selection),
}

/// Which dead letters and refused entries.
#[derive(Debug, Clone, clap::Args)]
struct Selection {
    /// Those of these events
    #[arg(value_name = "EVENT", value_parser = event_id)]
    ids: Vec<EventId>,

    /// Those to this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,

    /// Those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// All of them
    #[arg(long, conflicts_with_all = ["ids", "sink", "source"])]
    all: bool,

    /// With retry: also events older than one already delivered for their key
    #[arg(long)]
    out_of_order: bool,

    /// Only say how many that would be
    #[arg(long)]
    dry_run: bool,

    /// Don't ask, however many they are
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        match self.action {
            Action::List(args) => args.run(context),
            Action::Retry(selection) => selection.run(context, Operation::DeadRetry, "delivered again"),
            Action::Drop(selection) => selection.run(context, Operation::DeadDrop, "dropped"),
            Action::Ack(selection) => selection.run(context, Operation::DeadAck, "acknowledged"),
        }
    }
}

impl Selection {
    fn run(self, context: &Context, operation: fn(DeadFilter) -> Operation, done: &str) -> Outcome {
        let config = context.config_to_read()?;
        let filters = self.filters()?;
        self.check_names(context, &config)?;
        let touch = |dry_run| -> Result<u64, Failure> {
            filters.iter().try_fold(0, |sum, filter| {
                let request = Request::Operate(operation(DeadFilter { dry_run, ..filter.clone() }));
                Ok(sum + app::command(&config, request)?.count.unwrap_or_default())
            })
        };
        let count = touch(true)?;
        if count == 0 {
            say("nothing dead or refused fits; \"highwater dead list\" shows what there is");
            return Ok(Exit::CLEAN);
        }
        let would = format!("{} would be {done}", counted(count, "record"));
        let mut out = Out::stdout();
        if self.dry_run {
            out.line(would)?;
        } else if confirmed(&would, count, Asked::of(self.yes))? {
            out.line(format_args!("{} {done}", counted(touch(false)?, "record")))?;
        } else {
            say("nothing was changed");
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }

    /// One filter an event; without any selection nothing is guessed.
    fn filters(&self) -> Result<Vec<DeadFilter>, Failure> {
        if self.ids.is_empty() && self.sink.is_none() && self.source.is_none() && !self.all {
            return Err(Failure::usage("name events, or --sink, --source or --all"));
        }
        let base = DeadFilter {
            sink: self.sink.clone(),
            source: self.source.clone(),
            out_of_order: self.out_of_order,
            ..DeadFilter::default()
        };
        if self.ids.is_empty() {
            return Ok(vec![base]);
        }
        Ok(self.ids.iter().map(|id| DeadFilter { event: Some(id.to_string()), ..base.clone() }).collect())
    }

    /// A typing error is not an empty selection; sinks and sources that are gone from the configuration are fine.
    fn check_names(&self, context: &Context, config: &Config) -> Result<(), Failure> {
        let Some(records) = context.records_if_any(config)? else { return Ok(()) };
        let stored = (records.sources()?, records.sinks()?);
        let configured = config.sources.iter().map(|source| source.name.as_str());
        let sources: Vec<&str> = configured.chain(stored.0.iter().map(|source| source.name.as_str())).collect();
        let configured = config.sinks.iter().map(|sink| sink.name.as_str());
        let sinks: Vec<&str> = configured.chain(stored.1.iter().map(|sink| sink.name.as_str())).collect();
        for (what, name, known) in [("source", &self.source, sources), ("sink", &self.sink, sinks)] {
            if let Some(name) = name.as_deref().filter(|name| !known.contains(name)) {
                return Err(unknown(what, name, &known));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Selection {
        Selection {
            ids: Vec::new(),
            sink: None,
            source: None,
            all: false,
            out_of_order: false,
            dry_run: false,
            yes: false,
        }
    }

    #[test]
    fn without_a_selection_nothing_is_guessed() {
        let refused = nothing().filters().expect_err("refused");
        assert_eq!(refused.ending().code(), 2);
        assert!(refused.lines()[0].contains("--all"));
    }

    #[test]
    fn each_event_gets_a_filter_of_its_own_narrowed_by_the_sink() {
        let ids = vec![EventId([1; 20]), EventId([2; 20])];
        let selection = Selection { ids: ids.clone(), sink: Some("erp".into()), ..nothing() };
        let filters = selection.filters().expect("two");
        assert_eq!(filters.len(), 2);
        for (filter, id) in filters.iter().zip(ids) {
            assert_eq!((filter.event.clone(), filter.sink.as_deref()), (Some(id.to_string()), Some("erp")));
        }
        let all = Selection { all: true, ..nothing() }.filters().expect("one");
        assert_eq!(all, [DeadFilter::default()]);
    }
}
