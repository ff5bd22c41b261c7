//! A store that does not take outcomes.

use std::time::Duration;

use super::double_sink::DoubleSink;
use super::double_store::DoubleStore;
use super::{Stage, Told, policy, wait_until};
use crate::delivery::Mode;
use crate::error::ErrorKind;
use crate::sink::Outcome;
use crate::store::State;

#[test]
fn outcomes_that_a_full_store_refuses_are_kept_until_it_has_room() {
    let store = DoubleStore::with((1..=12).map(|_| None));
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    wait_until("all slots are busy", || sink.begun().len() == 4);

    store.refuse(Some(ErrorKind::Full));
    sink.let_go(1_000);
    for _ in 0..12 {
        let refused = store.refused();
        wait_until("the store has refused again", || {
            stage.advance(Duration::from_secs(30));
            store.refused() > refused
        });
    }
    assert_eq!((store.count(State::InFlight), sink.begun().len()), (4, 4), "nothing new is sent");

    store.refuse(None);
    stage.advance(Duration::from_secs(30));
    (0..12).for_each(|_| drop(stage.wait_for(State::Delivered)));
    assert_eq!(stage.stop().delivered, 12);
    assert_eq!(sink.begun().len(), 12, "nothing was sent twice");
}

#[test]
fn a_store_that_keeps_failing_ends_the_worker_with_a_clear_error() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    wait_until("it is under way", || sink.begun().len() == 1);

    store.refuse(Some(ErrorKind::Corrupt));
    sink.let_go(1);
    wait_until("the worker has ended", || {
        stage.advance(Duration::from_secs(30));
        stage.worker.is_finished()
    });

    let Told::Failed(told) = stage.next_told() else { panic!("the failure is told first") };
    let error = stage.worker.join().expect_err("a failure");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(told, error.to_string());
    assert_eq!(told, "store 1 outcomes of sink erp: commit");
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_full_store() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);
    wait_until("it is under way", || sink.begun().len() == 1);
    store.refuse(Some(ErrorKind::Full));
    stage.worker.stop();
    sink.let_go(1);
    wait_until("the worker has ended", || {
        stage.advance(Duration::from_secs(5));
        stage.worker.is_finished()
    });
    let error = stage.worker.join().expect_err("an outcome is not stored");
    assert!(error.to_string().contains("1 outcomes could not be stored"), "{error}");
}

#[test]
fn a_run_that_somebody_waits_for_does_not_wait_for_a_full_store() {
    let store = DoubleStore::with([None]);
    let sink = DoubleSink::slow(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Once { retries: false, deadline: None });
    wait_until("it is under way", || sink.begun().len() == 1);
    store.refuse(Some(ErrorKind::Full));
    sink.let_go(1);
    stage.worker.finish_when_idle();
    wait_until("the worker has ended", || {
        stage.advance(Duration::from_secs(1));
        stage.worker.is_finished()
    });
    let error = stage.worker.join().expect_err("an outcome is not stored");
    assert_eq!(error.kind(), ErrorKind::Full);
}
