//! Holds: the breaker, `Retry-After`, 410, pauses and `rate`, as a worker keeps them.

use std::time::Duration;

use super::double_sink::{DoubleSink, retry_after, transient};
use super::double_store::DoubleStore;
use super::{Stage, policy, start};
use crate::clock::{Clock, ManualClock};
use crate::delivery::{Mode, SinkChange};
use crate::setting::Interval;
use crate::sink::Outcome;
use crate::sink::settings::{DeliverySettings, Rate};
use crate::store::{Pause, SinkHold, State};

const SECOND: Duration = Duration::from_secs(1);

fn one_by_one() -> DeliverySettings {
    DeliverySettings { concurrency: 1, ..policy() }
}

#[test]
fn the_breaker_opens_after_five_faults_and_sends_one_probe_when_its_time_is_over() {
    let store = DoubleStore::with((1..=20).map(|_| None));
    let sink = DoubleSink::answering(|_, _| transient());
    let stage = Stage::new(&store, sink.clone(), one_by_one(), Mode::Run);

    assert_eq!(stage.next_change(), SinkChange::BreakerOpened(30 * SECOND));
    stage.advance(29 * SECOND);
    stage.settle_down();
    assert_eq!((sink.begun().len(), store.count(State::InFlight)), (5, 0));
    assert_eq!(store.hold().breaker_until, Some(start().plus(30 * SECOND)));

    stage.advance(SECOND);
    assert_eq!(stage.next_change(), SinkChange::BreakerOpened(60 * SECOND));
    stage.settle_down();
    assert_eq!(sink.begun().len(), 6, "one probe");
    assert_eq!(sink.begun()[5], 1, "the oldest that is due");
    let summary = stage.stop();
    assert_eq!((summary.attempts, summary.waiting), (6, 20));
}

#[test]
fn an_answered_probe_closes_the_breaker_and_the_start_is_slow() {
    let store = DoubleStore::with((1..=40).map(|_| None));
    let sink = DoubleSink::slow(|_, attempt| if attempt == 1 { transient() } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    sink.let_go(5);
    assert_eq!(stage.next_change(), SinkChange::BreakerOpened(30 * SECOND));
    sink.let_go(3);
    super::wait_until("the attempts under way have ended", || store.count(State::InFlight) == 0);
    let before = sink.begun().len();

    stage.advance(40 * SECOND);
    super::wait_until("the probe has begun", || sink.begun().len() == before + 1);
    stage.settle_down();
    assert_eq!(store.count(State::InFlight), 1);
    sink.let_go(1);
    assert_eq!(stage.next_change(), SinkChange::BreakerClosed);
    super::wait_until("that is stored", || store.hold().breaker_until.is_none());
    for allowed in [1, 2, 4] {
        super::wait_until(&format!("{allowed} attempts have begun"), || sink.running() == allowed);
        stage.settle_down();
        assert_eq!(sink.running(), allowed);
        let delivered = store.count(State::Delivered);
        sink.let_go(allowed);
        super::wait_until("they have ended", || store.count(State::Delivered) >= delivered + allowed);
    }
    sink.let_go(1_000);
    stage.stop();
}

#[test]
fn an_open_breaker_survives_a_restart_but_not_beyond_its_longest_time() {
    let store = DoubleStore::with([None]);
    store.operate(|hold| hold.breaker_until = Some(start().plus(Duration::from_secs(86_400))));
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    stage.settle_down();
    assert_eq!(sink.begun().len(), 0);
    stage.advance(15 * 60 * SECOND);
    assert_eq!(stage.next_settled().state, State::Delivered);
    stage.stop();
}

#[test]
fn retry_after_holds_the_whole_sink_and_charges_nothing() {
    let store = DoubleStore::with((1..=8).map(|_| None));
    let sink = DoubleSink::answering(|_, attempt| if attempt == 1 { retry_after(120) } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink.clone(), one_by_one(), Mode::Run);

    assert_eq!(stage.next_change(), SinkChange::Held(120 * SECOND));
    stage.advance(119 * SECOND);
    stage.settle_down();
    assert_eq!(sink.begun(), [1]);
    assert_eq!((store.row(1).charged, store.row(1).state), (0, State::Retrying));
    assert_eq!(store.hold().not_before, Some(start().plus(120 * SECOND)));

    stage.advance(SECOND);
    assert_eq!(stage.wait_for(State::Delivered).seq, 1);
    stage.stop();
}

#[test]
fn a_receiver_that_is_gone_pauses_its_sink_until_an_operator_resumes_it() {
    let store = DoubleStore::with([None, None]);
    let sink = DoubleSink::answering(|_, attempt| if attempt == 1 { Outcome::Gone } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink.clone(), one_by_one(), Mode::Run);

    assert_eq!(stage.next_change(), SinkChange::Gone);
    stage.advance(86_400 * SECOND);
    stage.settle_down();
    assert_eq!(sink.begun(), [1]);
    assert!(store.hold().pause.is_some());
    assert_eq!((store.row(1).state, store.row(1).charged), (State::Retrying, 0));

    store.operate(|hold| *hold = SinkHold::default());
    assert_eq!(stage.wait_for(State::Delivered).seq, 1);
    stage.stop();
}

#[test]
fn an_operators_pause_stops_new_attempts_and_ends_by_itself() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    assert_eq!(stage.next_settled().seq, 1);

    let until = Some(stage.clock.now().plus(3_600 * SECOND));
    store.operate(|hold| hold.pause = Some(Pause { reason: "upgrade".to_owned(), until }));
    assert_eq!(stage.next_change(), SinkChange::HoldChanged);
    store.add([None]);
    stage.settle_down();
    assert_eq!(store.row(2).state, State::Pending);

    stage.advance(3_600 * SECOND);
    assert_eq!(stage.next_settled().seq, 2);
    stage.settle_down();
    assert_eq!(store.hold().pause, None);
    stage.stop();
}

#[test]
fn a_fault_is_shown_with_the_sink_until_it_works_again() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::answering(|_, attempt| if attempt == 1 { Outcome::Fault } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink, policy(), Mode::Run);
    stage.next_settled();
    stage.advance(SECOND);
    super::wait_until("the fault is shown", || store.hold().last_error.as_deref() == Some("Fault"));
    stage.advance(10 * SECOND);
    assert_eq!(stage.next_settled().state, State::Delivered);
    stage.advance(SECOND);
    super::wait_until("it is shown no more", || store.hold().last_error.is_none());
    stage.stop();
}

#[test]
fn a_rate_spreads_attempts_and_claims_nothing_far_ahead() {
    let store = DoubleStore::with((1..=10).map(|_| None));
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let rate = Some(Rate { count: 2, per: Interval::from_secs(1) });
    let clock = ManualClock::at(start());
    let stage = Stage::at(&store, sink.clone(), DeliverySettings { rate, ..policy() }, Mode::Run, clock);
    for count in 1..=10 {
        stage.next_settled();
        stage.settle_down();
        assert_eq!((sink.begun().len(), store.count(State::InFlight)), (count, 0));
        stage.advance(Duration::from_millis(500));
    }
    stage.stop();
}
