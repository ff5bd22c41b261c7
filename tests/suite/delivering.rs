//! Workers on the real store: what is promised of delivery when nothing is a double but the receiver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::store::{at, begin, commit, register, sink};
use highwater::clock::{Clock, SystemClock};
use highwater::delivery::{Mode, Silent, Worker, WorkerSetup, WorkerSummary};
use highwater::error::Result;
use highwater::setting::Interval;
use highwater::sink::settings::{AfterDead, DeliverySettings, Ordering};
use highwater::sink::{Attempt, Outcome, Report, Sink};
use highwater::store::sqlite::SqliteStore;
use highwater::store::{Operation, Store};

/// Answers by the event's sequence and the attempt's number, and keeps what it accepted.
struct Receiver<F> {
    answer: F,
    accepted: Mutex<Vec<(String, u64)>>,
}

impl<F: Fn(u64, u32) -> Outcome + Send + Sync> Receiver<F> {
    fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, accepted: Mutex::default() })
    }
}

#[async_trait]
impl<F: Fn(u64, u32) -> Outcome + Send + Sync> Sink for Receiver<F> {
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report> {
        tokio::task::yield_now().await;
        let sequence = attempt.event.sequence;
        let outcome = (self.answer)(sequence, attempt.number);
        if outcome == Outcome::Delivered {
            self.accepted.lock().expect("accepted").push((attempt.event.key.shown(), sequence));
        }
        Ok(Report::new(outcome, "answered"))
    }

    async fn probe(&self) -> Result<String> {
        Ok(String::new())
    }

    fn dry_run(&self, _attempt: Attempt<'_>) -> Result<String> {
        Ok(String::new())
    }
}

struct Bench {
    store: Arc<SqliteStore>,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn with(keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
        register(&*store, &["orders"], &["erp"]);
        let mut lease = begin(&*store);
        for page in keys.chunks(1_000) {
            commit(&*store, &mut lease, page, &["erp"]);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self { store, runtime: runtime.expect("a runtime"), _folder: folder }
    }

    fn start(&self, receiver: Arc<dyn Sink>, retries: bool) -> Worker {
        let settings = DeliverySettings {
            concurrency: 8,
            ordering: Ordering::Key,
            after_dead: AfterDead::Continue,
            rate: None,
            retry: vec![Interval::from_millis(20)],
            retry_for: None,
            max_backlog: 1_000_000,
            timeout: Interval::from_secs(30),
        };
        let setup = WorkerSetup {
            name: sink("erp"),
            sink: receiver,
            settings,
            store: self.store.clone(),
            clock: Arc::new(SystemClock::new()) as Arc<dyn Clock>,
            runtime: self.runtime.handle().clone(),
            mode: Mode::Once { retries, deadline: None },
            observer: Arc::new(Silent),
        };
        Worker::start(setup).expect("a worker")
    }

    fn drain(&self, receiver: Arc<dyn Sink>, retries: bool) -> WorkerSummary {
        let worker = self.start(receiver, retries);
        worker.finish_when_idle();
        worker.join().expect("a good end")
    }
}

#[test]
fn a_flaky_receiver_gets_every_event_once_and_each_key_in_sequence() {
    let names: Vec<String> = (0..600).map(|n| format!("file-{}", n * 7 % 13)).collect();
    let bench = Bench::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let receiver = Receiver::new(|sequence, attempt| match (sequence % 10, attempt) {
        (3, 1 | 2) => Outcome::Rejected,
        (7, 1) => Outcome::Transient { retry_after: None },
        _ => Outcome::Delivered,
    });
    // The second rejection would wait a minute, so those are left to one attempt each.
    let summary = bench.drain(receiver.clone(), false);
    assert!(summary.retrying > 0 && summary.dead == 0, "{summary:?}");

    let willing = Receiver::new(|_, _| Outcome::Delivered);
    let rest = bench.drain(willing.clone(), true);
    assert_eq!((summary.delivered + rest.delivered, rest.waiting), (600, 0));
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let first = receiver.accepted.lock().expect("accepted").clone();
    for (key, sequence) in first.into_iter().chain(willing.accepted.lock().expect("accepted").clone()) {
        by_key.entry(key).or_default().push(sequence);
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 600);
    assert!(by_key.values().all(|sequences| sequences.is_sorted()), "a key is out of sequence: {by_key:?}");
}

#[test]
fn draining_goes_on_until_a_receiver_that_fails_each_event_once_has_them_all() {
    let names: Vec<String> = (0..40).map(|n| format!("file-{n}")).collect();
    let bench = Bench::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let receiver = Receiver::new(|sequence, attempt| match attempt {
        1 if sequence % 2 == 0 => Outcome::Transient { retry_after: None },
        _ => Outcome::Delivered,
    });
    let summary = bench.drain(receiver, true);
    assert_eq!((summary.delivered, summary.retrying, summary.waiting, summary.attempts), (40, 0, 0, 60));
}

#[test]
fn a_paused_sink_gets_nothing_and_goes_on_when_it_is_resumed() {
    let bench = Bench::with(&["a", "b"]);
    let pause = Operation::Pause { name: "erp".into(), reason: "upgrade".into(), until_ms: None };
    bench.store.operate(&pause, at(1)).expect("pause");
    let receiver = Receiver::new(|_, _| Outcome::Delivered);
    let held = bench.drain(receiver.clone(), true);
    assert_eq!((held.attempts, held.waiting), (0, 2));

    let worker = bench.start(receiver.clone(), true);
    bench.store.operate(&Operation::Resume { name: "erp".into() }, at(2)).expect("resume");
    worker.finish_when_idle();
    assert_eq!(worker.join().expect("a good end").delivered, 2);
}
