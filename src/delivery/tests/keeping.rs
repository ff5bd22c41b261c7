//! Housekeeping.

use std::sync::Arc;
use std::time::Duration;

use super::double_store::DoubleStore;
use super::start;
use crate::clock::{Clock, ManualClock, Stop};
use crate::delivery::KeeperSetup;
use crate::delivery::keeper::{DEAD_FOR, Rounds};
use crate::event::Spool;
use crate::store::{Kept, Store};

const HOUR: Duration = Duration::from_secs(3_600);

fn rounds(store: &Arc<DoubleStore>, clock: &Arc<ManualClock>, spool: Spool) -> Rounds {
    Rounds::new(KeeperSetup {
        store: Arc::clone(store) as Arc<dyn Store>,
        spool,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        retention: 30 * 24 * HOUR,
    })
}

#[test]
fn steps_are_repeated_until_nothing_is_left_and_freed_contents_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = folder.path().join("free");
    std::fs::write(&free, "bytes").expect("write");
    let spool = Spool::new(folder.path(), "run", u64::MAX, 0);
    let (store, clock) = (DoubleStore::new(), ManualClock::at(start()));
    store.will_keep(Kept { spool_files: vec!["free".to_owned()], pruned: 500, more: true });
    store.will_keep(Kept { spool_files: vec!["not-there".to_owned()], pruned: 3, more: false });

    rounds(&store, &clock, spool).round(&Stop::new());

    assert!(!free.exists());
    let keepings = store.keepings();
    assert_eq!(keepings.len(), 2);
    assert!(keepings.iter().all(|one| one.pruning && one.dead_for == DEAD_FOR && one.step_max <= 1_000));
}

#[test]
fn pruning_pauses_for_a_day_after_the_wall_clock_was_stepped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, clock) = (DoubleStore::new(), ManualClock::at(start()));
    let mut rounds = rounds(&store, &clock, Spool::new(folder.path(), "run", u64::MAX, 0));
    let stop = Stop::new();
    let mut pruning = || {
        rounds.round(&stop);
        store.keepings().last().expect("a round").pruning
    };
    assert!(pruning());
    clock.step_to(start().plus(HOUR / 2));
    assert!(pruning(), "half an hour is no step");
    clock.step_to(start().plus(400 * 24 * HOUR));
    assert!(!pruning());
    clock.advance(23 * HOUR);
    assert!(!pruning());
    clock.advance(HOUR);
    assert!(pruning());
    clock.step_to(start());
    assert!(!pruning(), "a step back counts too");
}

#[test]
fn a_stop_ends_a_round_between_two_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, clock, stop) = (DoubleStore::new(), ManualClock::at(start()), Stop::new());
    (0..5).for_each(|_| store.will_keep(Kept { more: true, ..Kept::default() }));
    stop.raise();
    rounds(&store, &clock, Spool::new(folder.path(), "run", u64::MAX, 0)).round(&stop);
    assert_eq!(store.keepings().len(), 1);
}

#[test]
fn dead_letters_are_announced_a_week_before_they_are_pruned() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, clock) = (DoubleStore::with([None, None]), ManualClock::at(start()));
    store.give_up(1, start());
    store.give_up(2, start().plus(24 * HOUR));
    let rounds = rounds(&store, &clock, Spool::new(folder.path(), "run", u64::MAX, 0));
    for (days, ending) in [(82, 0), (83, 1), (84, 2)] {
        let now = start().plus(days * 24 * HOUR + HOUR);
        assert_eq!(rounds.ending(now).expect("counted"), ending, "after {days} days");
    }
}
