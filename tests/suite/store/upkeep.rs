//! Housekeeping prunes what is old and nothing else; look-ups work before and after it.

use super::*;
use highwater::store::Keeping;
use highwater::store::records::EventFilter;

const DAY: u64 = 86_400;

fn keep(f: &Fixture, now: Timestamp) -> Vec<String> {
    let keeping = Keeping {
        delivered_for: Duration::from_secs(30 * DAY),
        dead_for: Duration::from_secs(90 * DAY),
        pruning: true,
        step_max: 3,
    };
    let mut files = Vec::new();
    loop {
        let kept = f.store.keep(&keeping, now).expect("keep");
        files.extend(kept.spool_files);
        if !kept.more {
            return files;
        }
    }
}

fn stored(f: &Fixture) -> Vec<u64> {
    let mut sequences = Vec::new();
    let mut note = |e: highwater::store::records::EventRecord| {
        sequences.push(e.event.sequence);
        Ok(true)
    };
    f.store.records().expect("records").events(&EventFilter::default(), &mut note).expect("events");
    sequences.sort_unstable();
    sequences
}

#[test]
fn events_are_found_by_id_and_key_before_and_after_they_were_indexed() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a", "b", "a", "c", "d"], &["erp"]);
        let check = || {
            let records = f.store.records().expect("records");
            let found = records.event(told[3].id).expect("look up").expect("there");
            assert_eq!((found.event.key, found.event.body), (Key::from("c"), told[3].body.clone()));
            let mut of_a = Vec::new();
            let filter = EventFilter { source: Some(orders()), key: Some(Key::from("a")), ..EventFilter::default() };
            let mut note = |e: highwater::store::records::EventRecord| {
                of_a.push(e.event.sequence);
                Ok(true)
            };
            records.events(&filter, &mut note).expect("events");
            assert_eq!(of_a, [3, 1]);
        };
        check();
        keep(f, at(1));
        check();
    });
}

#[test]
fn old_delivered_events_go_and_undelivered_dead_and_new_ones_stay() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "b", "c", "d"], &["erp"]);
        let claims = claim(&*f.store, "erp", 3, at(1));
        settle(&*f.store, "erp", &claims[..1], State::Delivered);
        settle(&*f.store, "erp", &claims[1..2], State::Dead);
        settle(&*f.store, "erp", &claims[2..], State::Retrying);
        keep(f, at(29 * DAY));
        assert_eq!(stored(f), [1, 2, 3, 4]);
        keep(f, at(31 * DAY));
        assert_eq!(stored(f), [2, 3, 4]);
        keep(f, at(91 * DAY));
        assert_eq!(stored(f), [3, 4]);
    });
}

#[test]
fn nothing_is_pruned_while_pruning_pauses() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "b"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Delivered);
        let keeping =
            Keeping { delivered_for: Duration::ZERO, dead_for: Duration::ZERO, pruning: false, step_max: 100 };
        f.store.keep(&keeping, at(999 * DAY)).expect("keep");
        assert_eq!(stored(f), [1, 2]);
    });
}

#[test]
fn a_spooled_content_is_released_when_its_last_delivery_ended_but_not_while_it_is_dead() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let mut new = new_event(&mut lease, "a", &["erp", "load"]);
        new.event.content = Some(Content::Spooled { name: "x.bin".into(), size: 99 });
        f.store.commit_page(&lease, CommitPage { events: vec![new], ..CommitPage::default() }).expect("commit");
        assert!(f.store.names_spool_file("x.bin").expect("named"));
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        settle(&*f.store, "load", &claim(&*f.store, "load", 1, at(1)), State::Dead);
        assert!(keep(f, at(2)).is_empty());
        let drop = highwater::store::Operation::DeadDrop(highwater::store::DeadFilter::default());
        f.store.operate(&drop, at(3)).expect("drop");
        assert_eq!(keep(f, at(4)), ["x.bin"]);
        assert!(!f.store.names_spool_file("x.bin").expect("named"));
    });
}

#[test]
fn rows_of_keys_removed_long_ago_go_and_their_highest_revision_stays() {
    each_store(|f| {
        let lease = begin(&*f.store);
        let gone = |presence, revision| Known { presence, ..known(revision) };
        let mut all: Vec<(Key, Known)> =
            (0..20).map(|n| (Key::from(format!("{n}").as_str()), gone(Presence::Removed, n))).collect();
        all.push((Key::from("untold"), gone(Presence::Absent, 77)));
        all.push((Key::from("here"), known(99)));
        let keys: Vec<Key> = all.iter().map(|(key, _)| key.clone()).collect();
        let page = CommitPage { known: all, now: at(0), ..CommitPage::default() };
        f.store.commit_page(&lease, page).expect("commit");
        keep(f, at(29 * DAY));
        assert!(f.store.known(&orders(), &keys).expect("known").iter().all(Option::is_some));
        keep(f, at(31 * DAY));
        assert_eq!(begin(&*f.store).pruned_revision, 77);
        let left = f.store.known(&orders(), &keys).expect("known");
        let here: Vec<&Key> = keys.iter().zip(&left).filter(|(_, known)| known.is_some()).map(|(key, _)| key).collect();
        assert_eq!(here, [&Key::from("here")]);
    });
}

#[test]
fn a_reader_sees_what_is_committed_while_the_writer_goes_on() {
    each_store(|f| {
        let records = f.store.records().expect("records");
        let mut lease = begin(&*f.store);
        for round in 1..=20 {
            commit(&*f.store, &mut lease, &["a"], &["erp"]);
            let source = records.sources().expect("sources").into_iter().find(|s| s.name == orders()).expect("orders");
            assert_eq!(source.events, round);
        }
    });
}

#[test]
fn a_poll_under_way_gives_no_pruned_revision_again() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let gone = Known { presence: Presence::Removed, ..known(7) };
        let known = vec![(Key::from("gone"), gone)];
        f.store.commit_page(&lease, CommitPage { known, now: at(0), ..CommitPage::default() }).expect("commit");
        keep(f, at(31 * DAY));
        let events = vec![new_event(&mut lease, "gone", &["erp"])];
        let late =
            f.store.commit_page(&lease, CommitPage { events, ..CommitPage::default() }).expect_err("pruned since");
        assert_eq!(late.kind(), highwater::error::ErrorKind::Conflict);
    });
}
