//! The state of every source and sink: what is configured, together with what is stored. Pure.

use serde::Serialize;

use crate::cli::delivery_line::{in_force, paused, sink_held};
use crate::cli::listing::millis;
use crate::cli::output::safe;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::source::Settled;
use crate::store::records::{SinkRecord, SourceRecord};

/// `status --json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Sources in the order of the configuration, then those that are gone from it.
    pub sources: Vec<SourceLine>,
    /// Sinks, likewise.
    pub sinks: Vec<SinkLine>,
}

/// One source.
#[derive(Debug, Serialize)]
pub struct SourceLine {
    pub name: String,
    pub kind: String,
    pub state: &'static str,
    pub held: Option<String>,
    pub known: u64,
    pub waiting: u64,
    pub events: u64,
    pub refused: u64,
    pub last_poll: Option<String>,
    pub last_error: Option<String>,
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// When it was polled last, for people.
    #[serde(skip)]
    pub polled: Option<Timestamp>,
    /// What a degraded source suffers from, for people.
    #[serde(skip)]
    pub degraded: Option<String>,
    /// When it was polled well last.
    #[serde(skip)]
    pub last_success: Option<Timestamp>,
}

/// One sink.
#[derive(Debug, Serialize)]
pub struct SinkLine {
    pub name: String,
    pub kind: String,
    pub state: &'static str,
    pub held: Option<String>,
    pub pending: u64,
    pub retrying: u64,
    pub dead: u64,
    pub delivered: u64,
    /// The last fault, for people.
    #[serde(skip)]
    pub last_error: Option<String>,
    /// When the oldest undelivered event was noticed.
    #[serde(skip)]
    pub oldest: Option<Timestamp>,
}

/// Puts together what is configured and what is stored.
pub fn of(config: &Config, sources: &[SourceRecord], sinks: &[SinkRecord], now: Timestamp) -> Report {
    let configured = config.sources.iter().map(|source| {
        let stored = sources.iter().find(|record| record.name == source.name);
        source_line(source.name.as_str(), source.kind.as_str(), stored, now)
    });
    let gone = sources.iter().filter(|record| config.sources.iter().all(|source| source.name != record.name));
    let gone = gone.map(|record| SourceLine {
        state: "gone",
        held: Some("not configured any more; \"was\" lets another source take over its state".into()),
        ..source_line(record.name.as_str(), &record.kind, Some(record), now)
    });
    let configured_sinks = config.sinks.iter().map(|sink| {
        let stored = sinks.iter().find(|record| record.name == sink.name);
        sink_line(sink.name.as_str(), sink.kind.as_str(), stored, now)
    });
    let gone_sinks = sinks.iter().filter(|record| config.sinks.iter().all(|sink| sink.name != record.name));
    let gone_sinks = gone_sinks.map(|record| SinkLine {
        state: "gone",
        held: Some("not configured any more; its deliveries are dead".into()),
        ..sink_line(record.name.as_str(), "-", Some(record), now)
    });
    Report { sources: configured.chain(gone).collect(), sinks: configured_sinks.chain(gone_sinks).collect() }
}

fn source_line(name: &str, kind: &str, stored: Option<&SourceRecord>, now: Timestamp) -> SourceLine {
    let (state, held) = stored.map_or(("new", None), |record| source_state(record, now));
    SourceLine {
        name: name.to_owned(),
        kind: kind.to_owned(),
        state,
        held,
        known: stored.map_or(0, |record| record.known),
        waiting: stored.map_or(0, |record| record.waiting),
        events: stored.map_or(0, |record| record.events),
        refused: stored.map_or(0, |record| record.refused),
        last_poll: stored.and_then(|record| record.last_poll).map(millis),
        last_error: stored.and_then(|record| record.last_error.clone()),
        cursor: stored.and_then(|record| record.cursor.clone()),
        // A cursor that was reset has settled nothing.
        settled: stored.and_then(|record| record.settled.clone().filter(|s| record.cursor.is_some() && s.waits())),
        polled: stored.and_then(|record| record.last_poll),
        degraded: stored.and_then(|record| record.degraded.clone()),
        last_success: stored.and_then(|record| record.last_success),
    }
}

/// The word for a source's state, and why it is held.
fn source_state(record: &SourceRecord, now: Timestamp) -> (&'static str, Option<String>) {
    if let Some(pause) = record.pause.as_ref().filter(|pause| in_force(pause, now)) {
        return ("paused", Some(format!("{}; \"highwater resume {}\" ends it", paused(pause), record.name)));
    }
    if let Some(hold) = &record.hold {
        return ("held", Some(format!("{}: {}", hold.reason.as_str(), safe(&hold.detail))));
    }
    let word = match record {
        SourceRecord { last_error: Some(_), .. } => "failing",
        SourceRecord { last_poll: None, .. } => "new",
        SourceRecord { degraded: Some(_), .. } => "degraded",
        _ => "ok",
    };
    (word, None)
}

fn sink_line(name: &str, kind: &str, stored: Option<&SinkRecord>, now: Timestamp) -> SinkLine {
    let (state, held) = stored.map_or(("ok", None), |record| sink_state(record, now));
    SinkLine {
        name: name.to_owned(),
        kind: kind.to_owned(),
        state,
        held,
        // What is under way has not arrived: for an operator it still waits.
        pending: stored.map_or(0, |record| record.pending + record.in_flight),
        retrying: stored.map_or(0, |record| record.retrying),
        dead: stored.map_or(0, |record| record.dead),
        delivered: stored.map_or(0, |record| record.delivered),
        last_error: stored.and_then(|record| record.hold.last_error.clone()),
        oldest: stored.and_then(|record| record.oldest),
    }
}

/// The word for a sink's state, and why it is held.
fn sink_state(record: &SinkRecord, now: Timestamp) -> (&'static str, Option<String>) {
    let hold = &record.hold;
    let held = sink_held(&record.name, hold, now);
    let word = match () {
        () if hold.pause.as_ref().is_some_and(|pause| in_force(pause, now)) => "paused",
        () if hold.breaker_until.is_some_and(|until| until > now) => "open",
        () if held.is_some() => "held",
        () if record.retrying > 0 => "failing",
        () => "ok",
    };
    (word, held)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::setting::{SinkName, SourceName};
    use crate::source::{Hold, HoldReason};
    use crate::store::{Pause, SinkHold};

    const NOW: Timestamp = Timestamp::from_millis(10_000);

    pub fn source() -> SourceRecord {
        SourceRecord {
            name: SourceName::new("orders"),
            kind: "folder".into(),
            cursor: None,
            pause: None,
            hold: None,
            degraded: None,
            settled: None,
            known: 7,
            waiting: 1,
            events: 9,
            refused: 0,
            unrouted: 0,
            last_poll: Some(Timestamp::from_millis(9_000)),
            last_success: Some(Timestamp::from_millis(9_000)),
            last_error: None,
        }
    }

    pub fn sink() -> SinkRecord {
        SinkRecord {
            name: SinkName::new("erp"),
            hold: SinkHold::default(),
            pending: 3,
            in_flight: 1,
            retrying: 0,
            dead: 2,
            delivered: 40,
            oldest: None,
        }
    }

    pub fn line_of_source(record: &SourceRecord) -> SourceLine {
        source_line(record.name.as_str(), &record.kind, Some(record), NOW)
    }

    pub fn line_of_sink(record: &SinkRecord) -> SinkLine {
        sink_line(record.name.as_str(), "http", Some(record), NOW)
    }

    #[test]
    fn the_json_has_exactly_the_fields_of_the_contract() {
        let report = Report { sources: vec![line_of_source(&source())], sinks: vec![line_of_sink(&sink())] };
        let expected = concat!(
            r#"{"sources":[{"name":"orders","kind":"folder","state":"ok","held":null,"known":7,"waiting":1,"events":9,"#,
            r#""refused":0,"last_poll":"1970-01-01T00:00:09Z","last_error":null,"cursor":null}],"#,
            r#""sinks":[{"name":"erp","kind":"http","state":"ok","held":null,"pending":4,"retrying":0,"dead":2,"#,
            r#""delivered":40}]}"#
        );
        assert_eq!(serde_json::to_string(&report).expect("serialises"), expected);
    }

    #[test]
    fn the_state_of_a_source_is_the_worst_of_what_is_known() {
        let state = |record: &SourceRecord| source_state(record, NOW).0;
        let mut record = source();
        assert_eq!(state(&record), "ok");
        record.degraded = Some("3 lines not understood".into());
        assert_eq!(state(&record), "degraded");
        record.last_error = Some("530".into());
        assert_eq!(state(&record), "failing");
        record.hold = Some(Hold { reason: HoldReason::MaxNew, detail: "120000 new; accept".into() });
        assert_eq!(source_state(&record, NOW), ("held", Some("max_new: 120000 new; accept".into())));
        record.pause = Some(Pause { reason: "wrong files".into(), until: None });
        let (word, held) = source_state(&record, NOW);
        assert_eq!(
            (word, held.as_deref()),
            ("paused", Some("paused: wrong files; \"highwater resume orders\" ends it"))
        );
        record.pause = Some(Pause { reason: "wrong files".into(), until: Some(Timestamp::from_millis(9_999)) });
        assert_eq!(state(&record), "held", "a pause that is over is no pause");
        let new = SourceRecord { last_poll: None, ..source() };
        assert_eq!(state(&new), "new");
    }

    #[test]
    fn the_state_of_a_sink_is_the_worst_of_what_is_known() {
        let state = |record: &SinkRecord| sink_state(record, NOW).0;
        let mut record = sink();
        assert_eq!(state(&record), "ok");
        record.retrying = 1;
        assert_eq!(state(&record), "failing");
        record.hold.not_before = Some(Timestamp::from_millis(11_000));
        assert_eq!(state(&record), "held");
        record.hold.breaker_until = Some(Timestamp::from_millis(12_000));
        assert_eq!(state(&record), "open");
        record.hold.pause = Some(Pause { reason: "410 Gone".into(), until: None });
        assert_eq!(state(&record), "paused");
        assert_eq!(sink_line("new", "http", None, NOW).state, "ok");
    }
}
