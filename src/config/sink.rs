//! `[sink.NAME]`: what all sinks share, and the one `match` from `kind` to the keys of a kind.
//! Delivering belongs to `sink` and `delivery`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::list::AtLeastOne;
use super::node::{Table, Value, written_key, written_text};
use super::place::Place;
use super::reading::{At, Reading, SectionPath};
use super::section::{Keys, Setting, section};
use super::source::read_kind;
use super::value::{Span, Wait, Whole};
use super::word::Words;
use super::{http, script};
use crate::setting::{Interval, SinkName};
use crate::sink::settings::{AfterDead, DeliverySettings, Ordering, Rate, SinkKind, SinkSettings};

section! {
    /// What all sinks share.
    pub struct SinkSection later ["batch", "window", "charset"] {
        /// What goes one after the other: events of one "key", of one "source", everything ("sink"), or "none".
        ordering: Ordering = "key",
        /// After a dead letter the key's next event is delivered ("continue") or waits for an operator ("hold").
        after_dead: AfterDead = "continue",
        /// At most this many attempts in a span: "50/s", "600/m", "1000/h".
        rate: Option<RateText>,
        /// Waits between attempts; the last one repeats.
        retry: AtLeastOne<Wait> = ["5s", "30s", "2m", "10m", "30m", "1h"],
        /// How long a delivery is tried before it is given up; "forever" never gives up.
        retry_for: Endurance = "72h",
        /// At this many undelivered events the sources that name this sink pause.
        max_backlog: Whole<1, 1_000_000_000> = 1_000_000,
    }
}

/// The kinds of sink in this version.
pub const KINDS: [&str; 2] = ["http", "script"];

/// The kinds the design has beside them.
const KINDS_LATER: [&str; 2] = ["folder", "mail"];

/// What one kind of sink made of its keys.
pub struct KindDraft {
    /// The kind's settings; `None` when something needed was missing or wrong, which was reported.
    pub kind: Option<SinkKind>,
    /// How many attempts may run at once.
    pub concurrency: Concurrency,
    /// Deadline of one attempt.
    pub timeout: Wait,
}

/// How many attempts may run at once.
pub type Concurrency = Whole<1, 1_024>;

/// A sink as it was read.
pub struct SinkDraft {
    /// Its name.
    pub name: String,
    /// Where its section begins.
    pub place: Place,
    /// The settings; `None` when something was missing or wrong, which was reported.
    pub settings: Option<SinkSettings>,
}

/// Reads the section of the sink `name`.
pub fn read(name: &str, place: &Place, table: &Table, reading: &mut Reading) -> SinkDraft {
    let path = format!("sink.{}", written_key(name));
    let section = SectionPath { header: format!("[{path}]"), path, name: name.to_owned() };
    let mut keys = Keys::of_section(section, place, table);
    let kind = read_kind(&mut keys, &KINDS, &KINDS_LATER, reading);
    let draft = match kind.as_deref() {
        Some("http") => Some(http::read(&mut keys, reading)),
        Some("script") => Some(script::read(&mut keys, reading)),
        _ => None,
    };
    let common: SinkSection = keys.read(reading);
    let Some(draft) = draft else {
        // Which keys a sink of an unknown kind may have can't be said.
        return SinkDraft { name: name.to_owned(), place: place.clone(), settings: None };
    };
    keys.finish(reading);
    let delivery = DeliverySettings {
        concurrency: u32::try_from(draft.concurrency.0).expect("the range of `concurrency` fits"),
        ordering: common.ordering,
        after_dead: common.after_dead,
        rate: common.rate.map(|rate| rate.0),
        retry: common.retry.0.into_iter().map(|wait| wait.0).collect(),
        retry_for: common.retry_for.0,
        max_backlog: common.max_backlog.0,
        timeout: draft.timeout.0,
    };
    let settings = draft.kind.map(|kind| SinkSettings { name: SinkName::new(name), delivery, kind });
    SinkDraft { name: name.to_owned(), place: place.clone(), settings }
}

/// Attempts per span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateText(pub Rate);

fn parse_rate(text: &str) -> Result<Rate, String> {
    let wrong = "is not a rate; write attempts per second, minute or hour, like \"50/s\", \"600/m\" or \"1000/h\"";
    let (count, span) = text.split_once('/').ok_or(wrong)?;
    let per = match span.trim() {
        "s" => Interval::from_secs(1),
        "m" => Interval::from_secs(60),
        "h" => Interval::from_secs(3_600),
        _ => return Err(wrong.into()),
    };
    match count.trim().parse::<u32>() {
        Ok(count) if count >= 1 => Ok(Rate { count, per }),
        _ => Err(wrong.into()),
    }
}

impl Setting for RateText {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| parse_rate(text).map(Self))
    }

    fn shown(&self) -> Option<String> {
        let span = match self.0.per.to_string().as_str() {
            "1s" => "s",
            "1m" => "m",
            _ => "h",
        };
        Some(written_text(&format!("{}/{span}", self.0.count)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ */ *[smh]$|\\$\\{" })
    }
}

/// How long a delivery is tried; `None` for "forever".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endurance(pub Option<Interval>);

/// From a second to ten years.
type Enduring = Span<1_000, { 3_660 * super::value::DAY }>;

impl Setting for Endurance {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        match &at.node.value {
            Value::Text(text) if text == "forever" => Some(Self(None)),
            _ => Enduring::read(at, reading).map(|span| Self(Some(span.0))),
        }
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0.map_or_else(|| "forever".to_owned(), |span| span.to_string())))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["forever"] }, Enduring::schema(generator)] })
    }
}

impl Words for Ordering {
    const WORDS: &'static [(&'static str, Self)] =
        &[("key", Self::Key), ("none", Self::None), ("source", Self::Source), ("sink", Self::Sink)];
}

impl Words for AfterDead {
    const WORDS: &'static [(&'static str, Self)] = &[("continue", Self::Continue), ("hold", Self::Hold)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_count_and_a_span() {
        assert_eq!(parse_rate("50/s"), Ok(Rate { count: 50, per: Interval::from_secs(1) }));
        assert_eq!(parse_rate("600/m").map(|rate| RateText(rate).shown()), Ok(Some("\"600/m\"".into())));
        assert_eq!(parse_rate("9/h").map(|rate| RateText(rate).shown()), Ok(Some("\"9/h\"".into())));
        for bad in ["50", "0/s", "-1/s", "50/d", "/s", "x/s"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
