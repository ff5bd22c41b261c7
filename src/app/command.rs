//! Commands that change something: through the control socket of the running process, else under the lock ourselves.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::house::House;
use super::once::counted;
use super::trial::{Trial, attempt_with};
use crate::clock::Stop;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventId;
use crate::poll::{Round, RoundState};
use crate::setting::{SinkName, SourceName};
use crate::source::Scope;
use crate::web::{self, Answer, Request};

/// How long a command waits for the running process.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Carries out one request.
///
/// # Errors
/// The running process refused it; or none runs and it needs one.
pub fn command(config: &Config, request: Request) -> Result<Answer> {
    let stop = Stop::new();
    // Whoever holds the lock serves the socket; between the two there is a moment at its start and end.
    match web::ask(&config.state.path, &request, ANSWER_WAIT) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable) => {}
        answered => return answered.and_then(Answer::into_result),
    }
    match request {
        Request::Ping | Request::Reload => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "no `highwater run` is running on store {}; start one, or use `once`; a changed state.path needs a restart",
                config.state.path.display()
            ),
        )),
        Request::Operate(operation) => {
            let house = House::open(config, "command", None, &stop)?;
            house.store.operate(&operation, house.clock.now()).map(Answer::count)
        }
        Request::Poll { source } => {
            let name = SourceName::new(source);
            let settings = super::peek::settings_of(config, &name)?;
            let house = House::open(config, "poll", None, &stop)?;
            let mut poller = house.poller(config, settings, Arc::new(crate::source::NoProgress))?;
            let round = poller.round(Scope::Everything, &stop)?;
            Ok(polled(&name, &round))
        }
        Request::Test { sink, event, dry_run } => {
            let house = House::open(config, "test", None, &stop)?;
            let (runtime, clock) = (house.runtime.clone(), house.clock.clone());
            let trial = Trial {
                sinks: &house.furniture.sinks,
                store: &*house.store,
                runtime: &runtime,
                clock: &*clock,
                config,
            };
            test(&trial, &sink, event.as_deref(), dry_run)
        }
    }
}

/// What a look came to; `trouble` is in the value where the source could not be looked at.
fn polled(name: &SourceName, round: &Round) -> Answer {
    if !matches!(round.state, RoundState::Ok | RoundState::Degraded(_)) {
        return Answer::value(json!({ "trouble": round.state.trouble() }));
    }
    let mut parts = vec![counted(round.told, "event", "events")];
    let further = [(round.waiting, "not ready"), (round.refused, "refused")];
    parts.extend(further.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let next = if round.told > 0 { "; `highwater once` or `run` delivers" } else { "" };
    let looked = format!("{name} was looked at: {}{next}", parts.join(", "));
    Answer::lines(std::iter::once(looked).chain(round.state.trouble()).collect())
}

/// A probe delivery, as an answer.
pub(super) fn test(trial: &Trial<'_>, sink: &str, event: Option<&str>, dry_run: bool) -> Result<Answer> {
    let event = event.map(EventId::parse).transpose()?;
    let tested = attempt_with(trial, &SinkName::new(sink), event, dry_run)?;
    let report = tested.report.map(|report| {
        json!({
            "outcome": crate::delivery::settlement::word(&report.outcome),
            "code": report.code,
            "summary": report.summary,
            "output": String::from_utf8_lossy(&report.output),
        })
    });
    Ok(Answer::value(json!({ "command": tested.command, "report": report })))
}
