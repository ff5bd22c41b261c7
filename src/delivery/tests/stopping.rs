//! Stopping, and attempts that end in a way of their own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::double_sink::DoubleSink;
use super::double_store::DoubleStore;
use super::{Stage, policy, wait_until};
use crate::delivery::Mode;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::settings::DeliverySettings;
use crate::sink::{Attempt, Outcome, Report, Sink};
use crate::store::State;

#[test]
fn a_stop_lets_attempts_end_and_hands_back_what_has_not_begun() {
    let store = DoubleStore::with((1..=20).map(|_| None));
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    wait_until("all slots are busy", || sink.begun().len() == 4);

    stage.worker.stop();
    sink.let_go(1_000);
    let summary = stage.worker.join().expect("a good end");

    assert_eq!((summary.delivered, summary.waiting), (4, 16));
    assert_eq!((store.count(State::Delivered), store.count(State::Pending)), (4, 16));
    assert!((5..=20).all(|seq| store.row(seq).attempts == 0));
}

#[test]
fn an_attempt_that_outlasts_the_grace_is_cut_off_and_not_charged() {
    let store = DoubleStore::with([None, None]);
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    wait_until("both are under way", || sink.begun().len() == 2);

    stage.worker.stop();
    stage.settle_down();
    assert_eq!(store.count(State::InFlight), 2, "the grace is not over");
    stage.advance(Duration::from_secs(30));
    let summary = stage.worker.join().expect("a good end");

    assert_eq!((summary.retrying, store.count(State::Retrying)), (2, 2));
    assert_eq!((store.row(1).charged, store.row(1).attempts), (0, 1));
}

#[test]
fn an_idle_worker_stops_at_once() {
    let store = DoubleStore::new();
    let stage = Stage::new(&store, DoubleSink::answering(|_, _| Outcome::Delivered), policy(), Mode::Run);
    assert_eq!(stage.stop(), crate::delivery::WorkerSummary::default());
}

struct Broken;

#[async_trait]
impl Sink for Broken {
    async fn attempt(&self, attempt: Attempt<'_>) -> Result<Report> {
        assert!(attempt.event.sequence != 1, "event 1 breaks this sink");
        Err(Error::new(ErrorKind::Config, "secret env:TOKEN is not set"))
    }

    async fn probe(&self) -> Result<String> {
        Ok(String::new())
    }

    fn dry_run(&self, _attempt: Attempt<'_>) -> Result<String> {
        Ok(String::new())
    }
}

#[test]
fn a_panic_and_an_error_of_ours_are_faults_and_the_worker_goes_on() {
    let store = DoubleStore::with([None, None]);
    let settings = DeliverySettings { concurrency: 1, ..policy() };
    let stage = Stage::new(&store, Arc::new(Broken), settings, Mode::Run);
    let (first, second) = (stage.next_settled(), stage.next_settled());
    assert_eq!((first.outcome, first.charged, first.state), ("fault", true, State::Retrying));
    assert!(first.summary.contains("panicked: event 1 breaks this sink"), "{}", first.summary);
    assert_eq!((second.outcome, second.summary.as_str()), ("fault", "secret env:TOKEN is not set"));
    stage.stop();
}
