//! Listens to what workers do: lines for people, after-actions that may be due, and failures that end the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::Say;
use crate::clock::{Bell, Stop};
use crate::delivery::{Observer, SettledAttempt, SinkChange};
use crate::error::{Error, Result};
use crate::setting::{SinkName, SourceName};
use crate::store::State;

/// An observer for a whole process.
pub struct Listener {
    say: Option<Say>,
    /// Rung when a delivery of a source with after-actions is final.
    actors: HashMap<SourceName, Bell>,
    failure: Mutex<Option<Error>>,
    stop: Stop,
}

impl Listener {
    /// `stop` is raised when the process can't go on.
    pub fn new(say: Option<Say>, actors: HashMap<SourceName, Bell>, stop: Stop) -> Arc<Self> {
        Arc::new(Self { say, actors, failure: Mutex::default(), stop })
    }

    /// Remembers the first failure that ends the process, and raises its stop.
    pub fn fail(&self, error: Error) {
        self.failure.lock().expect("no holder of the failure panics").get_or_insert(error);
        self.stop.raise();
    }

    /// The failure, if there was one.
    pub fn outcome(&self) -> Result<()> {
        self.failure.lock().expect("no holder of the failure panics").take().map_or(Ok(()), Err)
    }
}

impl Observer for Listener {
    fn settled(&self, attempt: &SettledAttempt<'_>) {
        if attempt.settled.state.is_final()
            && let Some(bell) = self.actors.get(&attempt.event.source)
        {
            bell.ring();
        }
        if let Some(say) = &self.say {
            for line in lines_of(attempt) {
                say(&line);
            }
        }
    }

    fn sink_changed(&self, sink: &SinkName, change: &SinkChange) {
        let _ = (sink, change);
    }

    fn failed(&self, sink: &SinkName, error: &Error) {
        self.fail(Error::new(error.kind(), format!("sink {sink}: {error}")));
    }
}

/// What a person sees of one attempt: one line, and what a script printed below it.
fn lines_of(attempt: &SettledAttempt<'_>) -> Vec<String> {
    let (event, settled) = (attempt.event, attempt.settled);
    let what = match settled.state {
        State::Delivered => "delivered",
        State::Retrying => "will retry",
        State::Dead => "dead",
        _ => return Vec::new(),
    };
    let tail = if settled.state == State::Delivered { String::new() } else { format!(": {}", settled.summary) };
    let (kind, key, source, sink) = (event.type_name(), event.key.shown(), &event.source, attempt.sink);
    let mut lines = vec![format!("{} {source}: {key} ({kind}) -> {sink}: {what}{tail}", event.time.to_rfc3339())];
    let output = String::from_utf8_lossy(&settled.output);
    let safe = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    lines.extend(output.lines().take(SHOWN_LINES_MAX).map(|line| format!("    {}", safe(line))));
    lines
}

/// Lines of a script's output that are shown; all of it is kept with the attempt.
const SHOWN_LINES_MAX: usize = 10;
