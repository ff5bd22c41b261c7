//! `highwater dead list`: what was given up, and what could not become an event.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Outcome;
use crate::cli::filter::{Count, Filter};
use crate::cli::listing::{Listing, millis, seconds, time};
use crate::cli::output::{Out, safe};
use crate::error::Result;
use crate::setting::SourceName;
use crate::store::Records;
use crate::store::State;
use crate::store::records::{DeliveryRecord, RefusedRecord};

/// List dead letters and refused entries
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: Filter,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        self.filter.check_names(&config, &*records)?;
        let mut out = Out::stdout();
        let mut dead = Dead {
            listing: (!self.filter.json).then(|| Listing::new(&["TIME", "SOURCE", "KEY", "SINK", "EVENT", "WHY"], &[])),
            count: self.filter.count(),
            out: &mut out,
        };
        if self.filter.state.is_none_or(|state| state == State::Dead) {
            let mut wanted = self.filter.deliveries(context.now());
            wanted.state = Some(State::Dead);
            records.deliveries(&wanted, &mut |delivery| dead.one(letter(&delivery)))?;
            if self.filter.sink.is_none() {
                self.refused(&*records, context, &mut dead)?;
            }
        }
        dead.end()?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }

    fn refused(&self, records: &dyn Records, context: &Context, dead: &mut Dead<'_, '_>) -> Result<()> {
        let source = self.filter.source.as_deref().map(SourceName::new);
        let key = self.filter.key.as_deref().map(crate::cli::filter::key);
        let since = self.filter.since.map(|since| since.at(context.now()));
        records.refused(source.as_ref(), &mut |refused| {
            let fits =
                key.as_ref().is_none_or(|key| refused.key == *key) && since.is_none_or(|since| refused.at >= since);
            if fits { dead.one(entry(&refused)) } else { Ok(true) }
        })
    }
}

struct Dead<'a, 'b> {
    listing: Option<Listing>,
    count: Count,
    out: &'a mut Out<'b>,
}

impl Dead<'_, '_> {
    fn one(&mut self, (cells, json): (Vec<String>, Value)) -> Result<bool> {
        if !self.count.one_more() {
            return Ok(false);
        }
        match &mut self.listing {
            Some(listing) => listing.row(cells, self.out),
            None => self.out.json(&json),
        }
    }

    fn end(self) -> Result<()> {
        if let Some(listing) = self.listing {
            listing.end(self.out)?;
        }
        self.count.end("nothing is dead or refused", self.out)
    }
}

fn letter(delivery: &DeliveryRecord) -> (Vec<String>, Value) {
    let reason = delivery.dead_reason.as_deref().unwrap_or("dead");
    let last = delivery.last.as_deref();
    let why = last.map_or_else(|| reason.to_owned(), |last| format!("{reason}: {}", safe(last)));
    let (source, key, sink) = (delivery.source.to_string(), delivery.key.shown(), delivery.sink.to_string());
    let json = json!({
        "kind": "dead",
        "event_id": delivery.event.to_string(),
        "source": source,
        "key": key,
        "sink": sink,
        "attempts": delivery.attempts,
        "reason": reason,
        "last": last,
        "at": delivery.last_at.map(millis),
    });
    (vec![time(delivery.last_at), source, key, sink, delivery.event.to_string(), why], json)
}

fn entry(refused: &RefusedRecord) -> (Vec<String>, Value) {
    let (source, key) = (refused.source.to_string(), refused.key.shown());
    let json = json!({
        "kind": "refused",
        "source": source,
        "key": key,
        "key_b64": refused.key.exact_base64(),
        "reason": refused.reason,
        "at": millis(refused.at),
    });
    (
        vec![seconds(refused.at), source, key, "-".into(), "-".into(), format!("refused: {}", safe(&refused.reason))],
        json,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Key;
    use crate::cli::delivery_line::tests::delivery;
    use crate::clock::Timestamp;

    #[test]
    fn a_dead_letter_says_why_it_was_given_up() {
        let dead = DeliveryRecord { dead_reason: Some("exhausted".into()), ..delivery(State::Dead) };
        let (cells, json) = letter(&dead);
        assert_eq!(cells[5], "exhausted: 503 Service Unavailable");
        assert_eq!(
            (&json["kind"], &json["reason"], &json["attempts"]),
            (&"dead".into(), &"exhausted".into(), &2.into())
        );
    }

    #[test]
    fn a_refused_entry_names_rule_and_remedy() {
        let record = RefusedRecord {
            source: SourceName::new("orders"),
            key: Key::from("a\nb"),
            reason: "name has a line feed; rename it".into(),
            at: Timestamp::from_millis(0),
        };
        let (cells, json) = entry(&record);
        assert_eq!((cells[2].as_str(), cells[5].as_str()), ("a\\nb", "refused: name has a line feed; rename it"));
        assert_eq!(json["key_b64"], "YQpi");
    }
}
