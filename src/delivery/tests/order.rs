//! Order: what goes one after the other, and what does not wait.

use std::collections::{BTreeMap, HashMap};

use super::double_sink::{DoubleSink, Step, transient};
use super::double_store::DoubleStore;
use super::{Stage, policy};
use crate::delivery::Mode;
use crate::sink::Outcome;
use crate::sink::settings::{AfterDead, DeliverySettings};
use crate::store::State;

#[test]
fn events_of_one_key_go_one_after_the_other_under_concurrency() {
    let key_of = |seq: u64| seq % 7;
    let store = DoubleStore::with((1..=300).map(|seq| Some(key_of(seq))));
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);

    (0..300).for_each(|_| assert_eq!(stage.next_settled().state, State::Delivered));
    let summary = stage.stop();

    assert_eq!((summary.delivered, summary.attempts, summary.waiting), (300, 300, 0));
    let mut running: HashMap<u64, u64> = HashMap::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for step in sink.steps() {
        match step {
            Step::Began(seq) => {
                assert_eq!(running.insert(key_of(seq), seq), None, "another event of the key is under way");
                assert!(last.insert(key_of(seq), seq).is_none_or(|before| before < seq));
            }
            Step::Ended(seq) => assert_eq!(running.remove(&key_of(seq)), Some(seq)),
        }
    }
}

#[test]
fn a_failing_key_blocks_only_itself() {
    let store = DoubleStore::with((1..=40).map(|seq| Some(seq % 4)));
    let sink = DoubleSink::answering(|seq, _| if seq == 4 { transient() } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink.clone(), policy(), Mode::Run);

    (0..31).for_each(|_| drop(stage.next_settled()));
    stage.settle_down();

    assert_eq!(store.count(State::Delivered), 30);
    assert_eq!((store.row(4).state, store.row(8).state), (State::Retrying, State::Pending));
    assert!(stage.store.count(State::Pending) == 9, "the followers of the failing event wait");
    stage.stop();
}

#[test]
fn a_quick_sink_is_claimed_ahead_but_never_beyond_twice_its_concurrency() {
    let store = DoubleStore::with((1..=500).map(|_| None));
    let sink = DoubleSink::answering(|_, _| Outcome::Delivered);
    let stage = Stage::new(&store, sink, policy(), Mode::Run);
    (0..500).for_each(|_| drop(stage.next_settled()));
    stage.stop();
    assert!((5..=8).contains(&store.in_flight_max()), "{} were claimed at once", store.in_flight_max());
}

#[test]
fn a_dead_letter_frees_its_key_and_the_next_event_is_marked_by_the_gap() {
    let store = DoubleStore::with([Some(1), Some(1)]);
    let sink = DoubleSink::answering(|seq, _| if seq == 1 { Outcome::Dead } else { Outcome::Delivered });
    let stage = Stage::new(&store, sink, policy(), Mode::Run);
    assert_eq!(stage.next_settled().dead_reason, Some("poison"));
    assert_eq!(stage.next_settled().state, State::Delivered);
    assert_eq!(stage.stop().dead, 1);
}

#[test]
fn a_dead_letter_holds_its_key_where_that_is_configured() {
    let store = DoubleStore::with([Some(1), Some(1), Some(2)]);
    let sink = DoubleSink::answering(|seq, _| if seq == 1 { Outcome::Dead } else { Outcome::Delivered });
    let settings = DeliverySettings { after_dead: AfterDead::Hold, ..policy() };
    let stage = Stage::new(&store, sink, settings, Mode::Run);
    (0..2).for_each(|_| drop(stage.next_settled()));
    stage.settle_down();
    assert_eq!((store.row(2).state, store.row(3).state), (State::Pending, State::Delivered));
    stage.stop();
}
