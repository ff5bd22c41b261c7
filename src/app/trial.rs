//! `test SINK`: a probe delivery of a made-up or a stored event. It leaves no delivery behind.

use std::collections::HashMap;
use std::sync::Arc;

use super::TestReport;
use crate::change::{Content, Facts, Fingerprint, Key, Kind, Nature};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::body::Statement;
use crate::event::{Event, EventId, Identity};
use crate::setting::{SinkName, SourceName};
use crate::sink::{Attempt, Outcome, Sink};
use crate::store::Store;

/// What a trial works with.
pub struct Trial<'a> {
    /// The sinks by name.
    pub sinks: &'a HashMap<SinkName, Arc<dyn Sink>>,
    /// Where stored events are.
    pub store: &'a dyn Store,
    /// Where the attempt runs.
    pub runtime: &'a tokio::runtime::Runtime,
    /// Both clocks.
    pub clock: &'a dyn Clock,
    /// For the instance's name.
    pub config: &'a Config,
}

/// Makes one attempt outside the queue, or only says what it would be.
///
/// # Errors
/// There is no such sink or event; or the attempt failed for a reason of ours.
pub fn attempt_with(trial: &Trial<'_>, name: &SinkName, id: Option<EventId>, dry_run: bool) -> Result<TestReport> {
    let missing = || Error::new(ErrorKind::Usage, format!("there is no sink \"{name}\" in the configuration"));
    let sink = trial.sinks.get(name).ok_or_else(missing)?;
    let event = match id {
        Some(id) => stored(trial.store, id)?,
        None => made_up(trial),
    };
    let attempt = || Attempt { event: &event, number: 1, at: trial.clock.now(), gap: false };
    let command = sink.dry_run(attempt())?;
    let report = if dry_run { None } else { Some(trial.runtime.block_on(sink.attempt(attempt()))?) };
    Ok(TestReport { command, report })
}

/// `test SINK` as a command: see [`attempt_with`].
///
/// # Errors
/// As [`attempt_with`], and whatever keeps the command from reaching the running process or the store.
pub fn test_sink(config: &Config, name: &SinkName, id: Option<EventId>, dry_run: bool) -> Result<TestReport> {
    let request = crate::web::Request::Test { sink: name.to_string(), event: id.map(|id| id.to_string()), dry_run };
    let answer = super::command(config, request)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let report = &answer.value["report"];
    let report = (!report.is_null()).then(|| crate::sink::Report {
        outcome: if report["outcome"] == "delivered" { Outcome::Delivered } else { Outcome::Fault },
        code: report["code"].as_i64().and_then(|code| i32::try_from(code).ok()),
        summary: text(&report["summary"]),
        output: text(&report["output"]).into_bytes(),
    });
    Ok(TestReport { command: text(&answer.value["command"]), report })
}

fn stored(store: &dyn Store, id: EventId) -> Result<Event> {
    let records = store.records()?;
    let missing = || Error::new(ErrorKind::Usage, format!("there is no event {id}; `highwater events` lists them"));
    let record = records.event(id)?.ok_or_else(missing)?;
    let content = records.content(record.seq)?;
    Ok(Event { content, ..record.event })
}

const TRIAL_CONTENT: &[u8] = b"id;text\n1;a test delivery of highwater\n";

fn made_up(trial: &Trial<'_>) -> Event {
    let (source, key) = (SourceName::new("highwater-test"), Key::from("test.csv"));
    let now = trial.clock.now().whole_millis();
    let fingerprint = Some(Fingerprint::of(TRIAL_CONTENT));
    // The generation makes each test an event of its own, which receivers that dedupe would otherwise swallow.
    let generation = u64::try_from(now.nanos()).unwrap_or(0);
    let instance = trial.config.state.instance.as_str();
    let identity =
        Identity { instance, generation, source: &source, kind: Kind::Created, key: &key, revision: 1, fingerprint };
    let id = identity.id();
    let facts = Facts::File { size: TRIAL_CONTENT.len() as u64, modified: Some(now) };
    let statement = Statement {
        identity,
        id,
        nature: Nature::File,
        sequence: 0,
        time: now,
        facts: Some(&facts),
        size: 0,
        from: None,
        table: None,
    };
    let body = statement.render();
    Event {
        id,
        source: source.clone(),
        kind: Kind::Created,
        nature: Nature::File,
        key: key.clone(),
        revision: 1,
        fingerprint,
        sequence: 0,
        time: now,
        body,
        content: Some(Content::Inline(TRIAL_CONTENT.to_vec())),
    }
}
