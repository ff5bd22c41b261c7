//! Answers requests to the running process, about the configuration in force. A reload is only taken down here; it is
//! carried out by `run`.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use super::command::test;
use super::crew::Wakes;
use super::house::{House, Sinks};
use super::trial::Trial;
use crate::clock::{Bell, Clock};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Wake;
use crate::store::{Operation, Store};
use crate::web::{Answer, Handler, Request};

/// How long who asks for a reload is kept waiting: less than a command waits for its answer.
const RELOAD_WAIT: Duration = Duration::from_secs(50);

/// Where requests come in.
pub struct Desk {
    in_force: RwLock<Arc<InForce>>,
    store: Arc<dyn Store>,
    runtime: Arc<tokio::runtime::Runtime>,
    clock: Arc<dyn Clock>,
    askers: Mutex<Vec<Asker>>,
    bell: Bell,
}

/// The configuration in force, and what works by it.
struct InForce {
    config: Arc<Config>,
    sinks: Sinks,
    wakes: Wakes,
}

/// Somebody who asked for a reload and waits for what comes of it.
pub struct Asker(SyncSender<Result<Answer>>);

impl Asker {
    /// Tells what came of it. Who is gone need not be told.
    pub fn tell(&self, answer: Result<Answer>) {
        let _ = self.0.try_send(answer);
    }
}

impl Desk {
    /// A desk of `house` while `config` is in force.
    pub fn new(house: &House, config: Arc<Config>, wakes: Wakes) -> Arc<Self> {
        let sinks = house.furniture.sinks.clone();
        Arc::new(Self {
            in_force: RwLock::new(Arc::new(InForce { config, sinks, wakes })),
            store: house.store.clone(),
            runtime: house.runtime.clone(),
            clock: house.clock.clone(),
            askers: Mutex::default(),
            bell: Bell::new(),
        })
    }

    /// Requests are about this configuration from now on.
    pub fn serve(&self, house: &House, config: Arc<Config>, wakes: Wakes) {
        let sinks = house.furniture.sinks.clone();
        *self.in_force.write().expect("no holder of the configuration panics") =
            Arc::new(InForce { config, sinks, wakes });
    }

    /// Rung when somebody asks for a reload.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Who asked for a reload since the last call.
    pub fn take_askers(&self) -> Vec<Asker> {
        std::mem::take(&mut *self.askers.lock().expect("no holder of the askers panics"))
    }

    /// Answers the requests that come in by the control socket.
    pub fn handler(self: Arc<Self>) -> Handler {
        Arc::new(move |request| self.answer(request))
    }

    fn answer(&self, request: Request) -> Result<Answer> {
        let now = self.in_force.read().expect("no holder of the configuration panics").clone();
        match request {
            Request::Ping => Ok(Answer::done()),
            Request::Operate(operation) => self.operate(&operation, &now.wakes),
            Request::Poll { source } => {
                let missing = || {
                    Error::new(
                        ErrorKind::Usage,
                        format!("there is no source \"{source}\" in the running configuration"),
                    )
                };
                now.wakes.get(source.as_str()).ok_or_else(missing)?.wake(None);
                Ok(Answer::lines(vec![format!("source {source} is polled now; `highwater tail` follows")]))
            }
            Request::Reload => self.reload(),
            Request::Test { sink, event, dry_run } => {
                let trial = Trial {
                    sinks: &now.sinks,
                    store: &*self.store,
                    runtime: &self.runtime,
                    clock: &*self.clock,
                    config: &now.config,
                };
                test(&trial, &sink, event.as_deref(), dry_run)
            }
        }
    }

    fn operate(&self, operation: &Operation, wakes: &Wakes) -> Result<Answer> {
        let count = self.store.operate(operation, self.clock.now())?;
        match operation {
            Operation::CursorSeen { source, .. } => tracing::info!(source, count, "keys named as seen"),
            operation => tracing::info!(?operation, count, "command carried out"),
        }
        // Whatever it was, the sources look whether it concerns them.
        match operation {
            Operation::CursorAccept { source }
            | Operation::CursorSkip { source }
            | Operation::CursorReset { source }
            | Operation::CursorSet { source, .. }
            | Operation::CursorSeen { source, .. }
            | Operation::Resume { name: source } => {
                if let Some(wakes) = wakes.get(source.as_str()) {
                    wakes.wake(None);
                }
            }
            _ => {}
        }
        Ok(Answer::count(count))
    }

    fn reload(&self) -> Result<Answer> {
        let (answer, answered) = sync_channel(1);
        self.askers.lock().expect("no holder of the askers panics").push(Asker(answer));
        self.bell.ring();
        match answered.recv_timeout(RELOAD_WAIT) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                let line = "what is in flight is finished first; the log says what came of the reload";
                Ok(Answer::lines(vec![line.into()]))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(ErrorKind::Stopped, "the process ended before it read its configuration again"))
            }
        }
    }
}
