//! Commands that change something: through the control socket of the running process, else under the lock ourselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::house::House;
use super::once::counted;
use super::trial::{Trial, attempt_with};
use crate::clock::{Clock, Stop};
use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventId;
use crate::poll::{Round, RoundState, WakeQueue};
use crate::setting::{SinkName, SourceName};
use crate::sink::Sink;
use crate::source::{Scope, Wake};
use crate::store::{Operation, Store};
use crate::web::{self, Answer, Handler, Request};

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
            "no `highwater run` is running on this store; start one, or use `once`",
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
            let trial = Trial { sinks: &house.sinks, store: &*house.store, runtime: &runtime, clock: &*clock, config };
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

/// What requests to the running process work on.
pub struct Running {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Its sinks.
    pub sinks: HashMap<SinkName, Arc<dyn Sink>>,
    /// Where attempts run.
    pub runtime: Arc<tokio::runtime::Runtime>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// The sources' hints.
    pub wakes: HashMap<SourceName, Arc<WakeQueue>>,
    /// Where the next configuration is put.
    pub next: Arc<Mutex<Option<Config>>>,
    /// Ends this configuration.
    pub stop: Stop,
}

/// Answers requests to the running process.
pub fn handler(running: Running) -> Handler {
    Arc::new(move |request| running.answer(request))
}

impl Running {
    fn answer(&self, request: Request) -> Result<Answer> {
        match request {
            Request::Ping => Ok(Answer::done()),
            Request::Operate(operation) => self.operate(&operation),
            Request::Poll { source } => {
                let missing = || {
                    Error::new(
                        ErrorKind::Usage,
                        format!("there is no source \"{source}\" in the running configuration"),
                    )
                };
                self.wakes.get(source.as_str()).ok_or_else(missing)?.wake(None);
                Ok(Answer::lines(vec![format!("source {source} is polled now; `highwater tail` follows")]))
            }
            Request::Reload => self.reload(),
            Request::Test { sink, event, dry_run } => {
                let trial = Trial {
                    sinks: &self.sinks,
                    store: &*self.store,
                    runtime: &self.runtime,
                    clock: &*self.clock,
                    config: &self.config,
                };
                test(&trial, &sink, event.as_deref(), dry_run)
            }
        }
    }

    fn operate(&self, operation: &Operation) -> Result<Answer> {
        let count = self.store.operate(operation, self.clock.now())?;
        tracing::info!(?operation, count, "command carried out");
        // Whatever it was, the sources look whether it concerns them.
        match operation {
            Operation::CursorAccept { source }
            | Operation::CursorReset { source }
            | Operation::CursorSet { source, .. } => {
                if let Some(wakes) = self.wakes.get(source.as_str()) {
                    wakes.wake(None);
                }
            }
            Operation::Resume { name } => {
                if let Some(wakes) = self.wakes.get(name.as_str()) {
                    wakes.wake(None);
                }
            }
            _ => {}
        }
        Ok(Answer::count(count))
    }

    fn reload(&self) -> Result<Answer> {
        let file = self.config.files.first().cloned();
        let config = config::load(file.as_deref()).map_err(|problems| {
            Error::new(
                ErrorKind::Config,
                format!("the configuration was not read again; the old one stays in force:\n{problems}"),
            )
        })?;
        if config.state.path != self.config.state.path || config.state.spool != self.config.state.spool {
            let fact = "state.path and state.spool can't change while running; restart instead. The old configuration stays in force";
            return Err(Error::new(ErrorKind::Config, fact));
        }
        let (sources, sinks) = (config.sources.len(), config.sinks.len());
        *self.next.lock().expect("no holder of the next configuration panics") = Some(config);
        self.stop.raise();
        Ok(Answer::lines(vec![format!("configuration read again: {sources} sources, {sinks} sinks")]))
    }
}

fn test(trial: &Trial<'_>, sink: &str, event: Option<&str>, dry_run: bool) -> Result<Answer> {
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
