//! The filters and limits that every listing takes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::context::unknown;
use super::failure::{Failure, say};
use super::output::Out;
use crate::change::Key;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::event::EventId;
use crate::setting::{Interval, SinkName, SourceName};
use crate::store::Records;
use crate::store::State;
use crate::store::records::{DeliveryFilter, EventFilter};

/// What a list shows.
#[derive(Debug, Clone, clap::Args)]
pub struct Filter {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,

    /// Only to this sink
    #[arg(long, value_name = "NAME")]
    pub sink: Option<String>,

    /// Only deliveries in this state
    #[arg(long, value_parser = state_parser())]
    pub state: Option<State>,

    /// Only of this key: a path below the source's root, or a row's key
    #[arg(long)]
    pub key: Option<OsString>,

    /// Only of events noticed since: a time like 2026-11-23T10:15:00Z, or so long ago, like 2h
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<Since>,

    /// At most so many, the newest first; 0 shows all
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    pub limit: usize,

    /// One JSON value per line
    #[arg(long)]
    pub json: bool,
}

/// How many lines a listing has unless asked otherwise.
pub const LIMIT: usize = 100;

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long before now.
    Ago(Interval),
    /// This moment.
    At(Timestamp),
}

impl Since {
    /// The moment meant, seen from `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.minus(span.duration()),
            Self::At(at) => at,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = Timestamp::parse_rfc3339(text) {
        return Ok(Since::At(at));
    }
    text.parse().map(Since::Ago).map_err(|_| "write a time like 2026-11-23T10:15:00Z or a span like 30m, 2h, 7d".into())
}

fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str))
        .map(|word| State::parse(&word).expect("the possible values are the states' words"))
}

/// A key as it was typed.
pub fn key(text: &OsStr) -> Key {
    Key::from(text.as_bytes())
}

impl Filter {
    /// The filter for deliveries and attempts, one more than the limit so that the cut is noticed.
    pub fn deliveries(&self, now: Timestamp) -> DeliveryFilter {
        DeliveryFilter {
            event: None,
            source: self.source.as_deref().map(SourceName::new),
            sink: self.sink.as_deref().map(SinkName::new),
            key: self.key.as_deref().map(key),
            state: self.state,
            since: self.since.map(|since| since.at(now)),
            limit: self.one_more(),
        }
    }

    /// The filter for events, one more than the limit so that the cut is noticed. Sink and state are the deliveries' own.
    pub fn events(&self, now: Timestamp) -> EventFilter {
        EventFilter {
            source: self.source.as_deref().map(SourceName::new),
            key: self.key.as_deref().map(key),
            since: self.since.map(|since| since.at(now)),
            after_seq: None,
            limit: self.one_more(),
        }
    }

    fn one_more(&self) -> Option<usize> {
        (self.limit > 0).then(|| self.limit.saturating_add(1))
    }

    /// Refuses names that neither the configuration nor the store knows: a typing error is not an empty list.
    pub fn check_names(&self, config: &Config, records: &dyn Records) -> Result<(), Failure> {
        if let Some(name) = &self.source {
            let stored = records.sources()?;
            let mut known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
            known.extend(stored.iter().map(|source| source.name.as_str()));
            must_know("source", name, known)?;
        }
        if let Some(name) = &self.sink {
            let stored = records.sinks()?;
            let mut known: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
            known.extend(stored.iter().map(|sink| sink.name.as_str()));
            must_know("sink", name, known)?;
        }
        Ok(())
    }

    /// Counts what is shown.
    pub fn count(&self) -> Count {
        Count { shown: 0, limit: self.limit, cut: false }
    }
}

fn must_know(what: &str, name: &str, mut known: Vec<&str>) -> Result<(), Failure> {
    known.sort_unstable();
    known.dedup();
    if known.contains(&name) { Ok(()) } else { Err(unknown(what, name, &known)) }
}

/// Counts what is shown, up to a limit.
#[derive(Debug)]
pub struct Count {
    shown: usize,
    limit: usize,
    cut: bool,
}

impl Count {
    /// Whether one more is to be shown.
    pub fn one_more(&mut self) -> bool {
        self.cut = self.limit > 0 && self.shown >= self.limit;
        self.shown += usize::from(!self.cut);
        !self.cut
    }

    /// Notes on standard error, below what was printed, that there is nothing, or more.
    pub fn end(&self, nothing: &str, out: &mut Out<'_>) -> crate::error::Result<()> {
        if !out.flush()? {
            return Ok(());
        }
        if self.cut {
            say(&format!("there are more than {}; --limit 0 shows all", self.limit));
        } else if self.shown == 0 {
            say(nothing);
        }
        Ok(())
    }
}

/// An event's id as an argument.
pub fn event_id(text: &str) -> Result<EventId, String> {
    EventId::parse(text).map_err(|_| "ids look like evt_ and 32 of a-z 2-7; \"highwater events\" lists them".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_span() {
        let now = Timestamp::parse_rfc3339("2026-11-23T10:15:00Z").expect("valid");
        assert_eq!(since("15m").expect("span").at(now).to_rfc3339(), "2026-11-23T10:00:00Z");
        assert_eq!(since("2026-11-22T00:00:00+01:00").expect("time").at(now).to_rfc3339(), "2026-11-21T23:00:00Z");
        assert!(since("yesterday").expect_err("neither").contains("2h"));
    }

    #[test]
    fn a_list_ends_at_its_limit_and_0_has_none() {
        let mut two = Count { shown: 0, limit: 2, cut: false };
        assert_eq!([two.one_more(), two.one_more(), two.one_more()], [true, true, false]);
        assert!(two.cut);
        let mut all = Count { shown: 0, limit: 0, cut: false };
        assert!((0..1_000).all(|_| all.one_more()) && !all.cut);
    }
}
