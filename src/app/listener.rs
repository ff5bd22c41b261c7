//! Listens to what workers do: lines for people, after-actions that may be due, and failures that end the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::Say;
use super::told::Layout;
use crate::clock::{Bell, Stop};
use crate::delivery::{Observer, SettledAttempt, SinkChange};
use crate::error::{Error, Result};
use crate::setting::{SinkName, SourceName};

/// An observer for a whole process.
pub struct Listener {
    say: Option<(Say, Layout)>,
    /// Rung when a delivery of a source with after-actions is final.
    actors: HashMap<SourceName, Bell>,
    failure: Mutex<Option<Error>>,
    stop: Stop,
}

impl Listener {
    /// `stop` is raised when the process can't go on.
    pub fn new(say: Option<(Say, Layout)>, actors: HashMap<SourceName, Bell>, stop: Stop) -> Arc<Self> {
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
        if let Some((say, layout)) = &self.say {
            for line in layout.lines_of(attempt) {
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
