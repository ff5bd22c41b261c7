//! `highwater tail`: follows what happens, a line each, by reading the records again and again.

use std::collections::HashSet;
use std::time::Duration;

use super::context::Context;
use super::delivery_line::AttemptLine;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::listing::seconds;
use super::output::{Out, safe};
use crate::clock::Stop;
use crate::error::Result;
use crate::event::EventId;
use crate::setting::SinkName;
use crate::store::Records;
use crate::store::records::{AttemptRecord, DeliveryFilter, EventFilter};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After so many attempts that were told before, older ones are taken to be told too.
const TOLD_IN_A_ROW_MAX: usize = 500;

/// Follow what happens, a line each: events and attempts
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json each line is a CloudEvent or an attempt, as \"events --json\" and \"attempts --json\" print them.

Examples:
  highwater tail
  highwater tail --source orders")]
pub struct Args {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// Only attempts to this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,

    /// One JSON value per line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        let source = self.source.as_deref().map(|name| super::context::source_named(&config, name)).transpose()?;
        let sink = self.sink.as_deref().map(|name| super::context::sink_named(&config, name)).transpose()?;
        let stop = Stop::new();
        super::signals::raise(&stop)?;
        let mut out = Out::stdout();
        let mut tail = Tail::begin(&*records, self.json, source, sink)?;
        while tail.look(&*records, &mut out)? && out.flush()? {
            if stop.wait(LOOK_EVERY) {
                break;
            }
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}

type Told = (EventId, SinkName, u32);

struct Tail {
    json: bool,
    events: EventFilter,
    attempts: DeliveryFilter,
    told: HashSet<Told>,
}

impl Tail {
    /// Begins behind everything there is now.
    fn begin(
        records: &dyn Records,
        json: bool,
        source: Option<crate::setting::SourceName>,
        sink: Option<SinkName>,
    ) -> Result<Self> {
        let mut last = 0;
        let newest = EventFilter { limit: Some(1), ..EventFilter::default() };
        records.events(&newest, &mut |record| {
            last = record.seq;
            Ok(false)
        })?;
        let attempts = DeliveryFilter { source: source.clone(), sink, ..DeliveryFilter::default() };
        let mut told = HashSet::new();
        records.attempts(&attempts, &mut |attempt| {
            if ended(&attempt) {
                told.insert(name_of(&attempt));
            }
            Ok(told.len() < TOLD_IN_A_ROW_MAX)
        })?;
        let events = EventFilter { source, after_seq: Some(last), ..EventFilter::default() };
        Ok(Self { json, events, attempts, told })
    }

    /// Tells what is new. Returns whether anybody still reads.
    fn look(&mut self, records: &dyn Records, out: &mut Out<'_>) -> Result<bool> {
        let (mut reads_on, mut last) = (true, self.events.after_seq);
        records.events(&self.events, &mut |record| {
            last = Some(record.seq);
            let event = &record.event;
            reads_on = if self.json {
                out.bytes(&event.body)? && out.bytes(b"\n")?
            } else {
                let (at, kind, key) = (seconds(event.time), event.type_name(), event.key.shown());
                out.line(format_args!("{at}  {}  {kind}  {key}  {}", event.source, event.id))?
            };
            Ok(reads_on)
        })?;
        self.events.after_seq = last;
        if !reads_on {
            return Ok(false);
        }
        for attempt in self.new_attempts(records)? {
            reads_on = if self.json {
                out.json(&AttemptLine::of(&attempt, false))?
            } else {
                out.line(attempt_line(&attempt))?
            };
        }
        Ok(reads_on)
    }

    /// Attempts that ended since the last look, the first one first.
    fn new_attempts(&mut self, records: &dyn Records) -> Result<Vec<AttemptRecord>> {
        let (mut new, mut seen, mut known_in_a_row) = (Vec::new(), HashSet::new(), 0);
        records.attempts(&self.attempts, &mut |attempt| {
            if !ended(&attempt) {
                return Ok(true);
            }
            let name = name_of(&attempt);
            if self.told.contains(&name) {
                known_in_a_row += 1;
            } else {
                known_in_a_row = 0;
                new.push(attempt);
            }
            seen.insert(name);
            Ok(known_in_a_row < TOLD_IN_A_ROW_MAX)
        })?;
        self.told = seen;
        new.reverse();
        Ok(new)
    }
}

/// An attempt without a duration is still under way, unless a crash cut it off.
fn ended(attempt: &AttemptRecord) -> bool {
    attempt.took_ms.is_some() || attempt.outcome == "unknown"
}

fn name_of(attempt: &AttemptRecord) -> Told {
    (attempt.event, attempt.sink.clone(), attempt.number)
}

fn attempt_line(attempt: &AttemptRecord) -> String {
    let took = attempt.took_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let (at, sink, number) = (seconds(attempt.at), &attempt.sink, attempt.number);
    format!(
        "{at}  -> {sink}  {}: {}{took}  attempt {number}  {}",
        attempt.outcome,
        safe(&attempt.summary),
        attempt.event
    )
}
