//! Tests of the worker as a whole, against doubles of store and sink. Tests of one decision stand in its own file.

pub(super) mod double_records;
mod double_sink;
mod double_store;
mod holds;
mod keeping;
mod model;
mod once;
mod order;
mod stopping;
mod trouble;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::change::{Key, Kind, Nature};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::delivery::{Mode, Observer, SettledAttempt, SinkChange, Worker, WorkerSetup};
use crate::error::Error;
use crate::event::{Event, EventId};
use crate::setting::{Interval, SinkName, SourceName};
use crate::sink::Sink;
use crate::sink::settings::{AfterDead, DeliverySettings, Ordering};
use crate::store::{Settled, State, Store};

use double_store::DoubleStore;

/// Long enough for a loaded machine; no test waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn start() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000)
}

pub(super) fn policy() -> DeliverySettings {
    DeliverySettings {
        concurrency: 4,
        ordering: Ordering::Key,
        after_dead: AfterDead::Continue,
        rate: None,
        retry: [5, 30, 120, 600].map(Interval::from_secs).to_vec(),
        retry_for: Some(Interval::from_secs(72 * 3600)),
        max_backlog: 1_000_000,
        timeout: Interval::from_secs(30),
    }
}

/// The event with this number in the store.
pub(super) fn event(seq: u64) -> Event {
    let mut id = [0; 20];
    id[..8].copy_from_slice(&seq.to_be_bytes());
    Event {
        id: EventId(id),
        source: SourceName::new("orders"),
        kind: Kind::Created,
        nature: Nature::File,
        key: Key::from("orders-17.csv"),
        revision: 1,
        fingerprint: None,
        sequence: seq,
        time: start(),
        body: b"{}".to_vec(),
        content: None,
    }
}

/// What a worker told.
#[derive(Debug)]
pub(super) enum Told {
    Settled(Settled),
    Changed(SinkChange),
    Failed(String),
}

struct Teller(Sender<Told>);

impl Observer for Teller {
    fn settled(&self, attempt: &SettledAttempt<'_>) {
        let _ = self.0.send(Told::Settled(attempt.settled.clone()));
    }

    fn sink_changed(&self, _sink: &SinkName, change: &SinkChange) {
        let _ = self.0.send(Told::Changed(change.clone()));
    }

    fn failed(&self, _sink: &SinkName, error: &Error) {
        let _ = self.0.send(Told::Failed(error.to_string()));
    }
}

/// A worker with its doubles.
pub(super) struct Stage {
    pub store: Arc<DoubleStore>,
    pub clock: Arc<ManualClock>,
    pub worker: Worker,
    told: Receiver<Told>,
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub fn new(store: &Arc<DoubleStore>, sink: Arc<dyn Sink>, settings: DeliverySettings, mode: Mode) -> Self {
        Self::at(store, sink, settings, mode, ManualClock::at(start()))
    }

    pub fn at(
        store: &Arc<DoubleStore>,
        sink: Arc<dyn Sink>,
        settings: DeliverySettings,
        mode: Mode,
        clock: Arc<ManualClock>,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let (teller, told) = channel();
        let setup = WorkerSetup {
            name: SinkName::new("erp"),
            sink,
            settings,
            store: Arc::clone(store) as Arc<dyn Store>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            runtime: runtime.handle().clone(),
            mode,
            observer: Arc::new(Teller(teller)),
        };
        let worker = Worker::start(setup).expect("a worker");
        Self { store: Arc::clone(store), clock, worker, told, _runtime: runtime }
    }

    /// Moves both clocks and wakes the worker, as time does.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.store.ring();
    }

    /// The next attempt that was settled.
    pub fn next_settled(&self) -> Settled {
        loop {
            if let Told::Settled(settled) = self.next_told() {
                return settled;
            }
        }
    }

    /// Attempts until one ends in `state`.
    pub fn wait_for(&self, state: State) -> Settled {
        loop {
            let settled = self.next_settled();
            if settled.state == state {
                return settled;
            }
        }
    }

    /// The next change of the sink.
    pub fn next_change(&self) -> SinkChange {
        loop {
            if let Told::Changed(change) = self.next_told() {
                return change;
            }
        }
    }

    pub fn next_told(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the worker tells something")
    }

    /// Has the worker look at everything once more, and waits until it has: two turns of its loop later, whatever
    /// could have started by now has started.
    pub fn settle_down(&self) {
        for _ in 0..2 {
            let asked = self.store.asked();
            self.store.ring();
            wait_until("the worker has looked again", || self.store.asked() > asked);
        }
    }

    /// Ends the worker.
    pub fn stop(self) -> crate::delivery::WorkerSummary {
        self.worker.stop();
        self.worker.join().expect("the worker ends well")
    }
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
