//! `once`: when a worker is done by itself.

use std::time::Duration;

use super::double_sink::{DoubleSink, retry_after, transient};
use super::double_store::DoubleStore;
use super::{Stage, policy, wait_until};
use crate::delivery::Mode;
use crate::setting::Interval;
use crate::sink::Outcome;
use crate::sink::settings::{DeliverySettings, Rate};
use crate::store::{Pause, State};

const ONCE: Mode = Mode::Once { retries: false, deadline: None };

fn drain(secs: u64) -> Mode {
    Mode::Once { retries: true, deadline: Some(Duration::from_secs(secs)) }
}

#[test]
fn it_takes_what_polls_add_and_ends_when_they_are_over() {
    let store = DoubleStore::with([None]);
    let stage = Stage::new(&store, DoubleSink::answering(|_, _| Outcome::Delivered), policy(), ONCE);
    assert_eq!(stage.next_settled().seq, 1);
    stage.settle_down();
    assert!(!stage.worker.is_finished(), "polls are not over");
    store.add([None, None]);
    stage.worker.finish_when_idle();
    let summary = stage.worker.join().expect("a good end");
    assert_eq!((summary.delivered, summary.waiting), (3, 0));
}

#[test]
fn each_delivery_gets_one_attempt_even_when_its_retry_is_due_at_once() {
    let store = DoubleStore::with([Some(1), Some(1), Some(2)]);
    let sink = DoubleSink::answering(|seq, _| if seq == 1 { Outcome::Rejected } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink.clone(), policy(), ONCE);
    (0..2).for_each(|_| drop(stage.next_settled()));
    stage.settle_down();
    stage.worker.finish_when_idle();
    let summary = stage.worker.join().expect("a good end");
    assert_eq!((summary.delivered, summary.retrying, summary.dead, summary.waiting), (1, 1, 0, 2));
    assert_eq!(sink.begun().iter().filter(|seq| **seq == 1).count(), 1);
    assert_eq!((store.row(1).state, store.row(1).attempts), (State::Retrying, 1));
    assert_eq!(store.row(2).state, State::Pending);
}

#[test]
fn rejections_of_earlier_runs_count_so_that_cron_gives_up_too() {
    let store = DoubleStore::with([None]);
    for run in 1..=4 {
        let clock = crate::clock::ManualClock::at(super::start().plus(Duration::from_secs(3_600 * run)));
        let stage = Stage::at(&store, DoubleSink::answering(|_, _| Outcome::Rejected), policy(), ONCE, clock);
        stage.worker.finish_when_idle();
        stage.worker.join().expect("a good end");
        let expected = if run < 4 { State::Retrying } else { State::Dead };
        assert_eq!(store.row(1).state, expected, "run {run}");
    }
    assert_eq!(store.row(1).dead_reason, Some("rejected"));
}

#[test]
fn a_held_sink_does_not_keep_it_waiting() {
    for hold in ["pause", "retry-after", "breaker"] {
        let store = DoubleStore::with((1..=9).map(|_| None));
        if hold == "pause" {
            store.operate(|one| one.pause = Some(Pause { reason: "upgrade".to_owned(), until: None }));
        }
        let answer = move |_, _| if hold == "breaker" { transient() } else { retry_after(60) };
        let settings = DeliverySettings { concurrency: 1, ..policy() };
        let stage = Stage::new(&store, DoubleSink::answering(answer), settings, ONCE);
        stage.worker.finish_when_idle();
        let summary = stage.worker.join().expect("a good end");
        let attempts = [("pause", 0), ("retry-after", 1), ("breaker", 5)].iter().find(|one| one.0 == hold);
        assert_eq!(Some((hold, summary.attempts)), attempts.copied());
        assert_eq!((summary.waiting, store.count(State::InFlight)), (9, 0));
    }
}

#[test]
fn a_rate_is_waited_for() {
    let store = DoubleStore::with((1..=3).map(|_| None));
    let rate = Some(Rate { count: 1, per: Interval::from_secs(1) });
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink, DeliverySettings { rate, ..policy() }, ONCE);
    stage.worker.finish_when_idle();
    for _ in 0..3 {
        stage.next_settled();
        stage.advance(Duration::from_secs(1));
    }
    assert_eq!(stage.worker.join().expect("a good end").delivered, 3);
}

#[test]
fn draining_waits_for_retries() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::answering(|_, attempt| if attempt < 3 { transient() } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink, policy(), drain(600));
    stage.worker.finish_when_idle();
    assert_eq!(stage.next_settled().state, State::Retrying);
    stage.advance(Duration::from_secs(6));
    assert_eq!(stage.next_settled().state, State::Retrying);
    stage.advance(Duration::from_secs(36));
    let summary = stage.worker.join().expect("a good end");
    assert_eq!((summary.delivered, summary.retrying, summary.attempts), (1, 0, 3));
}

#[test]
fn draining_ends_early_when_nothing_can_happen_before_the_deadline() {
    let store = DoubleStore::with([None]);
    let stage = Stage::new(&store, DoubleSink::answering(|_, _| transient()), policy(), drain(4));
    stage.worker.finish_when_idle();
    let summary = stage.worker.join().expect("a good end");
    assert_eq!((summary.attempts, summary.retrying, summary.waiting), (1, 1, 1));
}

#[test]
fn a_deadline_ends_it_although_polls_go_on() {
    let store = DoubleStore::with((1..=9).map(|_| None));
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), drain(60));
    wait_until("all slots are busy", || sink.begun().len() == 4);
    stage.advance(Duration::from_secs(60));
    stage.settle_down();
    sink.let_go(100);
    let summary = stage.worker.join().expect("a good end");
    assert_eq!((summary.delivered, summary.waiting), (4, 5));
}
