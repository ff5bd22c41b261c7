//! The worker of one sink: a thread that claims deliveries, has them attempted on the runtime, and stores what came of
//! them. This is its handle; the loop is `shift`.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;

use super::observer::Observer;
use super::shift::Shift;
use crate::clock::{Bell, Clock};
use crate::error::{Error, Result};
use crate::setting::SinkName;
use crate::sink::Sink;
use crate::sink::settings::DeliverySettings;
use crate::store::Store;

/// What a worker needs.
pub struct WorkerSetup {
    /// The sink's name.
    pub name: SinkName,
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// How its deliveries are ordered, retried and limited.
    pub settings: DeliverySettings,
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Where attempts run; with timers and I/O enabled, and alive until the worker was joined.
    pub runtime: Handle,
    /// When it ends.
    pub mode: Mode,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// When a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// When it is stopped.
    Run,
    /// When nothing is left to do, after [`Worker::finish_when_idle`].
    Once {
        /// Whether it waits for retries and holds; otherwise each delivery that is due gets one attempt.
        retries: bool,
        /// The tick at which it stops in any case.
        deadline: Option<Duration>,
    },
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerSummary {
    /// Attempts made.
    pub attempts: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Deliveries that failed and wait for another attempt.
    pub retrying: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Deliveries of the sink that are neither final nor dead, tried or not.
    pub waiting: u64,
}

/// A running worker.
pub struct Worker {
    name: SinkName,
    orders: Arc<Orders>,
    bell: Bell,
    thread: JoinHandle<Result<WorkerSummary>>,
}

/// What the worker's thread was told.
#[derive(Debug, Default)]
pub(super) struct Orders {
    stop: AtomicBool,
    finish: AtomicBool,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, when there can be no more threads.
    pub fn start(setup: WorkerSetup) -> Result<Self> {
        let name = setup.name.clone();
        let bell = setup.store.bell(&name);
        let orders = Arc::new(Orders::default());
        let (seen, heard) = (Arc::clone(&orders), bell.clone());
        let thread = std::thread::Builder::new()
            .name(format!("sink-{name}"))
            .spawn(move || work(setup, seen, heard))
            .map_err(|error| Error::io(format!("start the worker of sink {name}"), error))?;
        Ok(Self { name, orders, bell, thread })
    }

    /// The sink's name.
    pub fn name(&self) -> &SinkName {
        &self.name
    }

    /// Asks it to end: no new attempts; those under way get 30 s.
    pub fn stop(&self) {
        self.orders.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// In [`Mode::Once`]: no more events will come, so it ends when nothing is left to do.
    pub fn finish_when_idle(&self) {
        self.orders.finish.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Whether its thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The store's, when outcomes could not be stored; ours, when the thread panicked.
    pub fn join(self) -> Result<WorkerSummary> {
        let name = self.name;
        self.thread.join().unwrap_or_else(|_| Err(Error::internal(format!("the worker of sink {name} panicked"))))
    }
}

impl Orders {
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub fn finish(&self) -> bool {
        self.finish.load(Ordering::SeqCst)
    }
}

fn work(setup: WorkerSetup, orders: Arc<Orders>, bell: Bell) -> Result<WorkerSummary> {
    let (name, observer) = (setup.name.clone(), Arc::clone(&setup.observer));
    let worked = std::panic::catch_unwind(AssertUnwindSafe(|| Shift::begin(setup, orders, bell)?.run()));
    let worked = worked
        .unwrap_or_else(|_| Err(Error::internal(format!("the worker of sink {name} panicked; please report it"))));
    if let Err(error) = &worked {
        tracing::error!(sink = %name, %error, "worker ended");
        observer.failed(&name, error);
    }
    worked
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).finish_non_exhaustive()
    }
}
