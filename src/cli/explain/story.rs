//! What the store knows of one key, told in order: state, holds, events, deliveries, attempts.

use std::fmt::Display;

use crate::change::{Key, Kind, Known, Presence};
use crate::cli::attempts::oldest_first;
use crate::cli::delivery_line::{Holds, in_force, paused, story};
use crate::cli::listing::{seconds, time};
use crate::cli::output::{Out, safe};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::setting::SourceName;
use crate::store::Records;
use crate::store::records::{DeliveryFilter, EventFilter, EventRecord, SourceRecord};

/// The newest events of a key that are told with their deliveries.
const EVENTS_TOLD: usize = 10;

/// Lines below a heading; nothing where there is none.
pub fn print(heading: &str, lines: impl IntoIterator<Item = impl Display>, out: &mut Out<'_>) -> Result<()> {
    for (number, line) in lines.into_iter().enumerate() {
        let heading = if number == 0 { heading } else { "" };
        out.line(format_args!("  {heading:<9} {line}"))?;
    }
    Ok(())
}

/// Tells all that is stored of `key`.
pub fn tell(records: &dyn Records, source: &SourceName, key: &Key, now: Timestamp, out: &mut Out<'_>) -> Result<()> {
    let stored = records.sources()?.into_iter().find(|record| record.name == *source);
    if stored.is_none() {
        return print("known", ["nothing: the source was never polled"], out);
    }
    print("source", stored.iter().flat_map(|record| source_lines(record, now)), out)?;
    let known = records.known(source, std::slice::from_ref(key))?.into_iter().next().flatten();
    let newest = newest_events(records, source, key)?;
    print("known", known_lines(known.as_ref(), newest.first().map(|record| record.event.kind)), out)?;
    let waiting = records.waiting(source)?.into_iter().filter(|waiting| waiting.key == *key);
    print("waiting", waiting.map(|it| waiting_line(&it.reason, it.since, it.until)), out)?;
    let mut refused = None;
    records.refused(Some(source), &mut |record| {
        if record.key == *key {
            refused = Some(format!("since {}: {}", seconds(record.at), safe(&record.reason)));
        }
        Ok(refused.is_none())
    })?;
    print("refused", refused, out)?;
    print("after", records.action(source, key)?.map(|action| safe(&action)), out)?;
    tell_events(records, &newest, now, out)
}

fn source_lines(record: &SourceRecord, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(pause) = record.pause.as_ref().filter(|pause| in_force(pause, now)) {
        lines.push(format!("{}; \"highwater resume {}\" ends it", paused(pause), record.name));
    }
    if let Some(hold) = &record.hold {
        lines.push(format!("held ({}): {}", hold.reason.as_str(), safe(&hold.detail)));
    }
    if let Some(error) = &record.last_error {
        lines.push(format!("last poll failed: {}", safe(error)));
    }
    if let Some(degraded) = &record.degraded {
        lines.push(format!("degraded: {}", safe(degraded)));
    }
    if let Some(settled) = record.settled.as_ref().filter(|_| record.cursor.is_some()) {
        lines.extend(settled.lines().iter().map(|line| safe(line)));
    }
    lines.push(format!("last polled {}, last well {}", time(record.last_poll), time(record.last_success)));
    lines
}

fn known_lines(known: Option<&Known>, newest: Option<Kind>) -> Vec<String> {
    let Some(known) = known else {
        let why = if newest.is_none() { "never told" } else { "nothing is kept: the cursor is beyond what was told" };
        return vec![why.into()];
    };
    if known.is_vouched() {
        return vec!["named as seen: the version found first is only remembered".into()];
    }
    let told = match (known.revision, known.fingerprint) {
        (0, _) => "only remembered, never told".into(),
        (revision, Some(fingerprint)) => format!("told as revision {revision}, sha256 {}", fingerprint.to_hex()),
        (revision, None) => format!("told as revision {revision}"),
    };
    let presence = match known.presence {
        Presence::Present => "there at the last look",
        Presence::Absent => "gone at the last look; that is not told",
        // Nothing is told of what we took away ourselves.
        Presence::Removed if newest.is_some_and(|kind| kind != Kind::Removed) => "taken away by its after-action",
        Presence::Removed => "gone at the last look; that was told",
    };
    vec![told, presence.into()]
}

fn waiting_line(reason: &str, since: Timestamp, until: Option<Timestamp>) -> String {
    let until = until.map(|at| format!("; looked at again at {}", seconds(at))).unwrap_or_default();
    format!("{}, since {}{until}", safe(reason), seconds(since))
}

fn newest_events(records: &dyn Records, source: &SourceName, key: &Key) -> Result<Vec<EventRecord>> {
    let filter = EventFilter {
        source: Some(source.clone()),
        key: Some(key.clone()),
        limit: Some(EVENTS_TOLD + 1),
        ..EventFilter::default()
    };
    let mut newest: Vec<EventRecord> = Vec::new();
    records.events(&filter, &mut |record| {
        newest.push(record);
        Ok(true)
    })?;
    Ok(newest)
}

fn tell_events(records: &dyn Records, newest: &[EventRecord], now: Timestamp, out: &mut Out<'_>) -> Result<()> {
    let holds = Holds::load(records, now)?;
    for record in newest.iter().take(EVENTS_TOLD) {
        let event = &record.event;
        let (kind, revision, at) = (event.kind, event.revision, seconds(event.time));
        print("event", [format!("{} {kind}, revision {revision}, noticed {at}", event.id)], out)?;
        let mine = DeliveryFilter { event: Some(event.id), ..DeliveryFilter::default() };
        let mut deliveries = Vec::new();
        records.deliveries(&mine, &mut |delivery| {
            deliveries.push(delivery);
            Ok(true)
        })?;
        for delivery in deliveries {
            let story = story(&delivery, &holds);
            let (sink, state) = (&delivery.sink, delivery.state.as_str());
            out.line(format_args!("    to {sink}: {state}{}{story}", if story.is_empty() { "" } else { ": " }))?;
            let to_it = DeliveryFilter { sink: Some(sink.clone()), ..mine.clone() };
            for attempt in oldest_first(records, &to_it)? {
                let (at, summary) = (seconds(attempt.at), safe(&attempt.summary));
                out.line(format_args!("      attempt {} at {at}: {}: {summary}", attempt.number, attempt.outcome))?;
            }
        }
    }
    if newest.len() > EVENTS_TOLD {
        out.line("  older events: \"highwater events --source ... --key ...\" lists them")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Fingerprint;

    #[test]
    fn what_was_never_seen_what_was_only_remembered_and_what_was_told_are_told_apart() {
        assert_eq!(known_lines(None, None), ["never told"]);
        assert!(known_lines(None, Some(Kind::Upserted))[0].contains("the cursor is beyond"));
        let mut known = Known {
            fingerprint: None,
            revision: 0,
            presence: Presence::Present,
            tuple: None,
            note: Box::default(),
            size: 0,
        };
        assert_eq!(known_lines(Some(&known), None)[0], "only remembered, never told");
        assert!(known_lines(Some(&Known::vouched(3)), Some(Kind::Created))[0].starts_with("named as seen"));
        known.revision = 2;
        known.fingerprint = Some(Fingerprint::of(b""));
        known.presence = Presence::Absent;
        let lines = known_lines(Some(&known), Some(Kind::Changed));
        assert!(lines[0].starts_with("told as revision 2, sha256 e3b0c442"), "{lines:?}");
        assert!(lines[1].contains("not told"), "{lines:?}");
        known.presence = Presence::Removed;
        assert_eq!(known_lines(Some(&known), Some(Kind::Removed))[1], "gone at the last look; that was told");
        assert_eq!(known_lines(Some(&known), Some(Kind::Changed))[1], "taken away by its after-action");
    }

    #[test]
    fn headings_stand_before_the_first_line_only() {
        let mut bytes = Vec::new();
        print("now", ["one", "two"], &mut Out::to(&mut bytes)).expect("writes");
        assert_eq!(String::from_utf8(bytes).expect("text"), "  now       one\n            two\n");
    }
}
