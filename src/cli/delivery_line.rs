//! Deliveries and attempts as lines: the JSON of the contract, and why a delivery is held.

use std::collections::BTreeMap;

use serde::Serialize;

use super::listing::{millis, seconds};
use super::output::safe;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::setting::SinkName;
use crate::store::records::{AttemptRecord, DeliveryRecord};
use crate::store::{Pause, Records, SinkHold, State};

/// `deliveries --json`, one line.
#[derive(Debug, Serialize)]
pub struct DeliveryLine {
    event_id: String,
    sink: String,
    state: &'static str,
    attempts: u32,
    next_at: Option<String>,
    held: Option<String>,
    last: Option<String>,
}

/// `attempts --json`, one line; `output` only where it was asked for.
#[derive(Debug, Serialize)]
pub struct AttemptLine {
    event_id: String,
    sink: String,
    attempt: u32,
    at: String,
    took_ms: Option<u64>,
    outcome: String,
    code: Option<i32>,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_b64: Option<String>,
}

/// What holds the sinks, to say why deliveries to them wait.
pub struct Holds {
    sinks: BTreeMap<SinkName, SinkHold>,
    now: Timestamp,
}

impl Holds {
    /// As stored now.
    pub fn load(records: &dyn Records, now: Timestamp) -> Result<Self> {
        let sinks = records.sinks()?.into_iter().map(|sink| (sink.name, sink.hold)).collect();
        Ok(Self { sinks, now })
    }

    /// Why this delivery waits for something else than its own next try, and the command that ends it.
    pub fn of(&self, delivery: &DeliveryRecord) -> Option<String> {
        if delivery.state.is_final() {
            return None;
        }
        let hold = self.sinks.get(&delivery.sink).and_then(|hold| sink_held(&delivery.sink, hold, self.now));
        let first = delivery.blocked_by.map(|first| {
            let remedy = if delivery.blocked_by_dead {
                format!("is dead and comes first; \"highwater dead retry {first}\" or \"dead drop {first}\" ends it")
            } else {
                format!("comes first; \"highwater deliveries show {first}\" says what it waits for")
            };
            format!("{first} {remedy}")
        });
        hold.or(first)
    }
}

/// Why a whole sink waits, and what ends it.
pub fn sink_held(sink: &SinkName, hold: &SinkHold, now: Timestamp) -> Option<String> {
    let remedy = format!("\"highwater resume {sink}\" ends it");
    if let Some(pause) = hold.pause.as_ref().filter(|pause| in_force(pause, now)) {
        return Some(format!("{}; {remedy}", paused(pause)));
    }
    if let Some(until) = hold.breaker_until.filter(|until| *until > now) {
        let cause = hold.last_error.as_deref().map(|error| format!(" after {}", safe(error))).unwrap_or_default();
        return Some(format!("open{cause}; tried again at {}; {remedy}", seconds(until)));
    }
    let until = hold.not_before.filter(|until| *until > now)?;
    Some(format!("the receiver asked to wait until {}; {remedy}", seconds(until)))
}

/// An operator's pause in words.
pub fn paused(pause: &Pause) -> String {
    let until = pause.until.map(|at| format!(" until {}", seconds(at))).unwrap_or_default();
    format!("paused{until}: {}", safe(&pause.reason))
}

/// Whether a pause has not ended by itself.
pub fn in_force(pause: &Pause, now: Timestamp) -> bool {
    pause.until.is_none_or(|until| until > now)
}

impl DeliveryLine {
    /// The line of one delivery.
    pub fn of(delivery: &DeliveryRecord, holds: &Holds) -> Self {
        Self {
            event_id: delivery.event.to_string(),
            sink: delivery.sink.to_string(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_at: delivery.next_at.filter(|_| !delivery.state.is_final()).map(millis),
            held: holds.of(delivery),
            last: delivery.last.clone(),
        }
    }
}

impl AttemptLine {
    /// The line of one attempt.
    pub fn of(attempt: &AttemptRecord, with_output: bool) -> Self {
        let output = with_output.then(|| String::from_utf8_lossy(&attempt.output).into_owned());
        let exact = with_output && std::str::from_utf8(&attempt.output).is_err();
        Self {
            event_id: attempt.event.to_string(),
            sink: attempt.sink.to_string(),
            attempt: attempt.number,
            at: millis(attempt.at),
            took_ms: attempt.took_ms,
            outcome: attempt.outcome.clone(),
            code: attempt.code,
            summary: attempt.summary.clone(),
            output,
            output_b64: exact.then(|| data_encoding::BASE64.encode(&attempt.output)),
        }
    }
}

/// What a delivery waits for or came to, in a few words for people.
pub fn story(delivery: &DeliveryRecord, holds: &Holds) -> String {
    if let Some(held) = holds.of(delivery) {
        return held;
    }
    let last = delivery.last.as_deref().map(safe).unwrap_or_default();
    match (delivery.state, delivery.next_at, delivery.dead_reason.as_deref()) {
        (State::Retrying | State::Pending, Some(at), _) if last.is_empty() => format!("tried at {}", seconds(at)),
        (State::Retrying | State::Pending, Some(at), _) => format!("{last}; tried again at {}", seconds(at)),
        (State::InFlight, _, Some(reason)) => format!("{reason}: the attempt under way comes to its end first"),
        (State::Dead, _, Some(reason)) if last.is_empty() => reason.to_owned(),
        (State::Dead, _, Some(reason)) => format!("{reason}: {last}"),
        _ => last,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::change::Key;
    use crate::event::EventId;
    use crate::setting::SourceName;

    /// A delivery of `orders` to `erp` in this state.
    pub fn delivery(state: State) -> DeliveryRecord {
        DeliveryRecord {
            seq: 1,
            event: EventId([0; 20]),
            source: SourceName::new("orders"),
            key: Key::from("a.csv"),
            sink: SinkName::new("erp"),
            state,
            attempts: 2,
            next_at: Some(Timestamp::from_millis(60_000)),
            blocked_by: None,
            blocked_by_dead: false,
            dead_reason: None,
            last_at: Some(Timestamp::from_millis(1_000)),
            last: Some("503 Service Unavailable".into()),
        }
    }

    fn holds(hold: SinkHold) -> Holds {
        Holds { sinks: [(SinkName::new("erp"), hold)].into(), now: Timestamp::from_millis(1_000) }
    }

    fn pause(until: Option<i64>) -> SinkHold {
        let pause = Pause { reason: "maintenance".into(), until: until.map(Timestamp::from_millis) };
        SinkHold { pause: Some(pause), ..SinkHold::default() }
    }

    #[test]
    fn the_json_of_a_delivery_is_the_contract_s() {
        let line = DeliveryLine::of(&delivery(State::Retrying), &holds(SinkHold::default()));
        let expected = concat!(
            r#"{"event_id":"evt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","sink":"erp","state":"retrying","attempts":2,"#,
            r#""next_at":"1970-01-01T00:01:00Z","held":null,"last":"503 Service Unavailable"}"#
        );
        assert_eq!(serde_json::to_string(&line).expect("serialises"), expected);
    }

    #[test]
    fn a_delivery_to_a_paused_sink_says_who_paused_it_and_how_to_end_that() {
        let held = holds(pause(None)).of(&delivery(State::Pending)).expect("held");
        assert_eq!(held, "paused: maintenance; \"highwater resume erp\" ends it");
        assert_eq!(holds(pause(Some(999))).of(&delivery(State::Pending)), None, "a pause that is over holds nothing");
        assert_eq!(holds(pause(None)).of(&delivery(State::Delivered)), None, "what arrived is not held");
    }

    #[test]
    fn an_open_sink_and_a_receiver_that_asked_to_wait_are_named() {
        let open = SinkHold {
            breaker_until: Some(Timestamp::from_millis(5_000)),
            last_error: Some("connection refused".into()),
            ..SinkHold::default()
        };
        let held = holds(open).of(&delivery(State::Pending)).expect("held");
        assert!(held.starts_with("open after connection refused; tried again at 1970-01-01T00:00:05Z"), "{held}");
        let asked = SinkHold { not_before: Some(Timestamp::from_millis(9_000)), ..SinkHold::default() };
        let held = holds(asked).of(&delivery(State::Pending)).expect("held");
        assert!(held.contains("until 1970-01-01T00:00:09Z"), "{held}");
    }

    #[test]
    fn a_follower_names_the_event_before_it() {
        let follower = DeliveryRecord { blocked_by: Some(EventId([1; 20])), ..delivery(State::Pending) };
        let held = holds(SinkHold::default()).of(&follower).expect("held");
        assert!(held.starts_with(&format!("{} comes first", EventId([1; 20]))), "{held}");
    }

    #[test]
    fn output_that_is_not_text_is_also_given_exactly() {
        let attempt = AttemptRecord {
            event: EventId([0; 20]),
            sink: SinkName::new("erp"),
            number: 1,
            at: Timestamp::from_millis(0),
            took_ms: Some(12),
            outcome: "delivered".into(),
            code: Some(200),
            summary: "200 OK".into(),
            output: b"\xff".to_vec(),
        };
        let line = serde_json::to_value(AttemptLine::of(&attempt, true)).expect("serialises");
        assert_eq!((&line["output"], &line["output_b64"]), (&"\u{fffd}".into(), &"/w==".into()));
        let line = serde_json::to_value(AttemptLine::of(&attempt, false)).expect("serialises");
        assert!(line.get("output").is_none());
    }
}
