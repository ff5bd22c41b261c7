//! `explain`: the whole story of one file or row, also of one never seen: what the source says of it now, what is known,
//! what was told, where each delivery stands and when it is tried again.

use super::house::runtime;
use super::peek::settings_of;
use super::records;
use crate::change::{Key, Presence};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::delivery::held;
use crate::error::{ErrorKind, Result};
use crate::setting::SourceName;
use crate::source;
use crate::store::records::{DeliveryFilter, EventFilter, EventRecord};
use crate::store::{Records, SinkHold};

/// Events of the key that are told of, newest first.
const EVENTS_TOLD_MAX: usize = 20;

/// Lines for people.
///
/// # Errors
/// There is no such source, or the store can't be read.
pub fn explain(config: &Config, name: &SourceName, key: &Key) -> Result<Vec<String>> {
    let settings = settings_of(config, name)?;
    let mut lines = vec![format!("{name}: {}", key.shown())];
    let runtime = runtime()?;
    let looked = source::open(settings, runtime.handle()).and_then(|mut source| source.explain(key));
    match looked {
        Ok(said) => lines.extend(said.into_iter().map(|line| format!("  now: {line}"))),
        Err(error) => lines.push(format!("  now: it can't be looked at: {error}")),
    }
    match records(config) {
        Ok(records) => lines.extend(story(&*records, name, key)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            lines.push("  nothing is stored yet: `highwater run` or `once` begins".into());
        }
        Err(error) => return Err(error),
    }
    Ok(lines)
}

fn story(records: &dyn Records, name: &SourceName, key: &Key) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let Some(source) = records.sources()?.into_iter().find(|s| s.name == *name) else {
        return Ok(vec!["  the source was never polled".into()]);
    };
    let polled = source.last_poll.map_or("never".into(), Timestamp::to_rfc3339);
    lines.push(format!("  source: last polled {polled}"));
    lines.extend(source.last_error.map(|error| format!("  source: the last poll failed: {error}")));
    lines.extend(source.hold.map(|hold| format!("  source: held ({}): {}", hold.reason.as_str(), hold.detail)));
    lines.extend(source.pause.map(|p| format!("  source: paused: {}; `highwater resume {name}` ends it", p.reason)));
    if let Some(waiting) = records.waiting(name)?.into_iter().find(|w| w.key == *key) {
        let until = waiting.until.map(|at| format!("; looked at again at {at}")).unwrap_or_default();
        lines.push(format!("  waiting since {}: {}{until}", waiting.since, waiting.reason));
    }
    records.refused(Some(name), &mut |refused| {
        if refused.key == *key {
            lines.push(format!("  refused at {}: {}", refused.at, refused.reason));
        }
        Ok(true)
    })?;
    lines.push(known_line(records, name, key)?);
    lines.extend(records.action(name, key)?.map(|line| format!("  {line}")));
    let mut events = Vec::new();
    let filter = EventFilter {
        source: Some(name.clone()),
        key: Some(key.clone()),
        limit: Some(EVENTS_TOLD_MAX),
        ..EventFilter::default()
    };
    records.events(&filter, &mut |event| {
        events.push(event);
        Ok(true)
    })?;
    if events.is_empty() {
        lines.push("  events: none".into());
    }
    for event in &events {
        lines.extend(event_lines(records, event)?);
    }
    Ok(lines)
}

fn known_line(records: &dyn Records, name: &SourceName, key: &Key) -> Result<String> {
    let known = records.known(name, std::slice::from_ref(key))?.into_iter().next().flatten();
    Ok(match known {
        None => "  known: nothing; it was never told, or is behind the cursor".into(),
        Some(known) => {
            let version = known.fingerprint.map_or("not read".into(), |f| format!("sha256 {f}"));
            let presence = match known.presence {
                Presence::Present => "present",
                Presence::Absent => "absent at the last look",
                Presence::Removed => "removed",
            };
            format!("  known: revision {}, {presence}, {version}", known.revision)
        }
    })
}

fn event_lines(records: &dyn Records, event: &EventRecord) -> Result<Vec<String>> {
    let told = &event.event;
    let mut lines =
        vec![format!("  event {}: {} revision {} at {}", told.id, told.type_name(), told.revision, told.time)];
    let holds: Vec<(crate::setting::SinkName, SinkHold)> =
        records.sinks()?.into_iter().map(|sink| (sink.name, sink.hold)).collect();
    let now = SystemClock::new().now();
    let filter = DeliveryFilter { event: Some(told.id), ..DeliveryFilter::default() };
    let mut deliveries = 0;
    records.deliveries(&filter, &mut |delivery| {
        deliveries += 1;
        let hold =
            holds.iter().find(|(name, _)| *name == delivery.sink).map(|(_, hold)| hold.clone()).unwrap_or_default();
        let mut line = format!("    -> {}: {}, {} attempts", delivery.sink, delivery.state.as_str(), delivery.attempts);
        let last = delivery.last.as_ref().map(|last| format!("; last: {last}"));
        let dead = delivery
            .dead_reason
            .as_ref()
            .map(|why| format!("; dead because {why}: `highwater dead retry {}` sends it again", told.id));
        let next = delivery.next_at.map(|at| format!("; next try {at}"));
        let held = held(&delivery, &hold, now).map(|why| format!("; {why}"));
        line.extend([last, dead, next, held].into_iter().flatten());
        lines.push(line);
        Ok(true)
    })?;
    if deliveries == 0 {
        lines.push("    no deliveries: no route took it".into());
    }
    let mut attempts = Vec::new();
    records.attempts(&filter, &mut |attempt| {
        let took = attempt.took_ms.map_or(String::new(), |ms| format!(" in {ms} ms"));
        attempts.push(format!(
            "       attempt {} to {} at {}: {}{took}: {}",
            attempt.number, attempt.sink, attempt.at, attempt.outcome, attempt.summary
        ));
        Ok(true)
    })?;
    lines.extend(attempts);
    Ok(lines)
}
