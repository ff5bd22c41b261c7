//! Operators' changes: pause, resume, cancel, dead letters, cursors, and sinks that are gone.

use super::*;
use highwater::error::ErrorKind;
use highwater::source::{Accepted, Hold, HoldReason};
use highwater::store::records::DeliveryFilter;
use highwater::store::{DeadFilter, Operation, SinkHold};

fn operate(f: &Fixture, operation: &Operation) -> u64 {
    f.store.operate(operation, at(9)).expect("operate")
}

fn states(f: &Fixture) -> Vec<State> {
    let mut states = Vec::new();
    let mut note = |d: highwater::store::records::DeliveryRecord| {
        states.push(d.state);
        Ok(true)
    };
    let records = f.store.records().expect("records");
    records.deliveries(&DeliveryFilter::default(), &mut note).expect("deliveries");
    states
}

#[test]
fn a_pause_of_a_source_or_sink_is_kept_and_ends_by_resume_or_by_itself() {
    each_store(|f| {
        let pause =
            |name: &str, until| Operation::Pause { name: name.into(), reason: "maintenance".into(), until_ms: until };
        operate(f, &pause("orders", None));
        assert_eq!(begin(&*f.store).pause.expect("paused").reason, "maintenance");
        operate(f, &Operation::Resume { name: "orders".into() });
        assert_eq!(begin(&*f.store).pause, None);
        operate(f, &pause("orders", Some(at(100).millis())));
        assert!(f.store.begin_poll(&orders(), at(99)).expect("begin").pause.is_some());
        assert!(f.store.begin_poll(&orders(), at(101)).expect("begin").pause.is_none());
        operate(f, &pause("erp", None));
        assert!(f.store.sink_hold(&sink("erp")).expect("hold").pause.is_some());
        let error = f.store.operate(&pause("nobody", None), at(9)).expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::Usage);
    });
}

#[test]
fn what_holds_a_sink_is_read_back() {
    each_store(|f| {
        let hold = SinkHold {
            pause: None,
            not_before: Some(at(5)),
            breaker_until: Some(at(6)),
            last_error: Some("refused".into()),
        };
        f.store.set_sink_hold(&sink("erp"), &SinkHold::default(), &hold, at(1)).expect("set");
        assert_eq!(f.store.sink_hold(&sink("erp")).expect("hold"), hold);
        operate(f, &Operation::Resume { name: "erp".into() });
        let after = f.store.sink_hold(&sink("erp")).expect("hold");
        assert_eq!((after.not_before, after.breaker_until), (None, None));
    });
}

#[test]
fn what_an_operator_says_of_a_sink_meanwhile_is_not_overwritten() {
    each_store(|f| {
        let stored = || f.store.sink_hold(&sink("erp")).expect("hold");
        let set =
            |before: &SinkHold, hold: &SinkHold| f.store.set_sink_hold(&sink("erp"), before, hold, at(1)).expect("set");
        let before = stored();
        operate(f, &Operation::Pause { name: "erp".into(), reason: "upgrade".into(), until_ms: None });
        let busy = SinkHold { not_before: Some(at(5)), last_error: Some("503".into()), ..before.clone() };
        set(&before, &busy);
        assert_eq!(stored().pause.expect("still paused").reason, "upgrade");
        assert_eq!((stored().not_before, stored().last_error), (Some(at(5)), Some("503".into())));

        let before = stored();
        operate(f, &Operation::Resume { name: "erp".into() });
        set(&before, &SinkHold { not_before: Some(at(9)), ..before.clone() });
        assert_eq!((stored().pause, stored().not_before), (None, None), "resumed is resumed");
        let before = stored();
        set(&before, &busy);
        assert_eq!(stored(), busy);
    });
}

fn cancel(f: &Fixture, event: &Event) -> u64 {
    operate(f, &Operation::Cancel { event: event.id.to_string(), sink: None })
}

#[test]
fn a_cancelled_delivery_that_waits_frees_its_key_at_once() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Retrying);
        assert!(claim(&*f.store, "erp", 9, at(1)).is_empty());
        assert_eq!((cancel(f, &told[0]), f.store.backlog(&sink("erp"))), (1, 1));
        assert_eq!(claim(&*f.store, "erp", 9, at(1))[0].event.id, told[1].id);
    });
}

#[test]
fn a_cancelled_delivery_under_way_keeps_its_key_until_its_attempt_has_ended() {
    each_store(|f| {
        for ending in [State::Retrying, State::Dead, State::Pending] {
            let mut lease = begin(&*f.store);
            let told = commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
            let first = claim(&*f.store, "erp", 9, at(1));
            assert_eq!(cancel(f, &told[0]), 1);
            assert_eq!(cancel(f, &told[0]), 0, "it is cancelled already");
            assert!(claim(&*f.store, "erp", 9, at(1)).is_empty(), "the attempt is still under way");
            assert_eq!((states(f)[1], f.store.backlog(&sink("erp"))), (State::InFlight, 2));
            settle(&*f.store, "erp", &first, ending);
            assert_eq!(states(f)[..2], [State::Pending, State::Cancelled], "{ending:?}");
            assert_eq!(f.store.backlog(&sink("erp")), 1);
            let next = claim(&*f.store, "erp", 9, at(999));
            assert_eq!(next.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [told[1].id]);
            settle(&*f.store, "erp", &next, State::Delivered);
        }
    });
}

#[test]
fn what_arrived_although_it_was_cancelled_is_delivered() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let first = claim(&*f.store, "erp", 9, at(1));
        cancel(f, &told[0]);
        settle(&*f.store, "erp", &first, State::Delivered);
        assert_eq!((states(f), f.store.backlog(&sink("erp"))), (vec![State::Delivered], 0));
    });
}

#[test]
fn what_was_cancelled_under_way_stays_cancelled_when_the_process_dies() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = highwater::store::sqlite::SqliteStore::open(&folder.path().join("highwater.db")).expect("open");
    let f = Fixture { folder, store: Box::new(store) };
    register(&*f.store, &["orders"], &["erp"]);
    let mut lease = begin(&*f.store);
    let told = commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
    claim(&*f.store, "erp", 9, at(1));
    assert!(claim(&*f.store, "erp", 9, at(1)).is_empty());
    cancel(&f, &told[0]);
    let f = reopen(f);
    f.store.recover(at(5)).expect("recover");
    assert_eq!((states(&f), f.store.backlog(&sink("erp"))), (vec![State::Pending, State::Cancelled], 1));
    assert_eq!(claim(&*f.store, "erp", 9, at(5))[0].event.id, told[1].id);
}

#[test]
fn dead_letters_are_retried_or_dropped_by_filter_and_dry_run_changes_nothing() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a", "b"], &["erp", "load"]);
        for name in ["erp", "load"] {
            let claims = claim(&*f.store, name, 9, at(1));
            settle(&*f.store, name, &claims, State::Dead);
        }
        let filter = |event: Option<String>, sink: Option<&str>, dry_run| DeadFilter {
            event,
            sink: sink.map(str::to_owned),
            dry_run,
            ..DeadFilter::default()
        };
        assert_eq!(operate(f, &Operation::DeadRetry(filter(None, None, true))), 4);
        assert_eq!(f.store.backlog(&sink("erp")), 0);
        assert_eq!(operate(f, &Operation::DeadRetry(filter(Some(told[0].id.to_string()), Some("erp"), false))), 1);
        let again = claim(&*f.store, "erp", 9, at(9));
        assert_eq!((again.len(), again[0].attempt, again[0].charged), (1, 2, 0));
        assert_eq!(operate(f, &Operation::DeadDrop(filter(None, Some("load"), false))), 2);
        assert_eq!(operate(f, &Operation::DeadDrop(filter(None, None, true))), 1);
    });
}

#[test]
fn a_dead_letter_older_than_what_was_delivered_is_sent_only_on_request() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Dead);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Delivered);
        assert_eq!(operate(f, &Operation::DeadRetry(DeadFilter::default())), 0);
        let out_of_order = DeadFilter { out_of_order: true, ..DeadFilter::default() };
        assert_eq!(operate(f, &Operation::DeadRetry(out_of_order)), 1);
    });
}

#[test]
fn a_retried_dead_letter_goes_before_later_events_of_its_key() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Dead);
        operate(f, &Operation::DeadRetry(DeadFilter::default()));
        let claims = claim(&*f.store, "erp", 9, at(9));
        assert_eq!(claims.iter().map(|c| c.event.sequence).collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn reset_forgets_the_cursor_and_segments_and_keeps_what_was_told() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let page = CommitPage { cursor: Some("far".into()), ..CommitPage::default() };
        f.store.commit_page(&lease, page).expect("commit");
        f.store.end_poll(&lease, ended()).expect("end");
        operate(f, &Operation::CursorReset { source: "orders".into() });
        let after = begin(&*f.store);
        assert_eq!((after.cursor, after.binding, after.sequence), (None, None, 1));
        assert!(f.store.known(&orders(), &[Key::from("a")]).expect("known")[0].is_some());
    });
}

#[test]
fn accepting_what_holds_a_source_lets_one_poll_through() {
    each_store(|f| {
        let lease = begin(&*f.store);
        let accept = Operation::CursorAccept { source: "orders".into() };
        assert!(f.store.operate(&accept, at(1)).is_err(), "there is nothing to accept");
        let hold = Some(Hold { reason: HoldReason::MassRemoval, detail: "7 of 7 are gone".into() });
        f.store.end_poll(&lease, PollEnded { hold, ..ended() }).expect("end");
        operate(f, &accept);
        let lease = begin(&*f.store);
        assert_eq!(lease.accepted, Accepted { removals: true, ..Accepted::default() });
        f.store.end_poll(&lease, PollEnded { accepted_used: true, ..ended() }).expect("end");
        assert_eq!(begin(&*f.store).accepted, Accepted::default());
    });
}

#[test]
fn an_acceptance_given_during_a_poll_is_not_used_up_by_it() {
    each_store(|f| {
        let end = |lease: &Lease, reason: HoldReason, accepted_used| {
            let hold = Some(Hold { reason, detail: String::new() });
            f.store.end_poll(lease, PollEnded { hold, accepted_used, ..ended() }).expect("end");
        };
        let accept = || operate(f, &Operation::CursorAccept { source: "orders".into() });
        end(&begin(&*f.store), HoldReason::MassRemoval, false);
        accept();
        end(&begin(&*f.store), HoldReason::MaxNew, false);
        let lease = begin(&*f.store);
        accept();
        end(&lease, HoldReason::MaxNew, true);
        assert_eq!(begin(&*f.store).accepted, Accepted { new_entries: true, ..Accepted::default() });
    });
}

#[test]
fn a_dead_letter_older_than_what_is_under_way_is_sent_only_on_request() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 9, at(1)), State::Dead);
        assert_eq!(claim(&*f.store, "erp", 9, at(1)).len(), 1, "the second is under way");
        assert_eq!(operate(f, &Operation::DeadRetry(DeadFilter::default())), 0);
    });
}

#[test]
fn deliveries_to_a_sink_that_is_gone_become_dead_letters() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp", "load"]);
        register(&*f.store, &["orders"], &["load"]);
        let mut dead = Vec::new();
        let filter = DeliveryFilter { sink: Some(sink("erp")), ..DeliveryFilter::default() };
        let mut note = |d: highwater::store::records::DeliveryRecord| {
            dead.push((d.state, d.dead_reason));
            Ok(true)
        };
        f.store.records().expect("records").deliveries(&filter, &mut note).expect("deliveries");
        assert_eq!(dead, [(State::Dead, Some("sink_gone".to_owned()))]);
        assert_eq!(claim(&*f.store, "load", 9, at(1)).len(), 1);
    });
}

#[test]
fn a_dead_letter_is_old_once_any_later_one_of_its_key_arrived() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a", "a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Dead);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        let retry = highwater::store::Operation::DeadRetry(highwater::store::DeadFilter::default());
        assert_eq!(f.store.operate(&retry, at(2)).expect("retry"), 0, "the third has yet to arrive, the second did");
    });
}
