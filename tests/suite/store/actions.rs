//! After-actions are due when every delivery is final, and end in the right way.

use super::*;
use highwater::source::{Action, ActionOrder};
use highwater::store::{ActionEnded, DueAction};

fn with_action(f: &Fixture, lease: &mut Lease, key: &str, sinks: &[&str]) -> Event {
    let mut new = new_event(lease, key, sinks);
    new.action_tuple = Some(Tuple { size: 9, inode: lease.sequence, ..Tuple::default() });
    let (told, known) = (new.event.clone(), vec![(new.event.key.clone(), known(1))]);
    f.store.commit_page(lease, CommitPage { events: vec![new], known, ..CommitPage::default() }).expect("commit");
    told
}

fn due(f: &Fixture) -> Vec<DueAction> {
    f.store.actions_due(&orders(), 10, at(5)).expect("due")
}

#[test]
fn an_action_is_due_once_every_delivery_arrived() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = with_action(f, &mut lease, "a", &["erp", "load"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        assert!(due(f).is_empty());
        settle(&*f.store, "load", &claim(&*f.store, "load", 1, at(1)), State::Delivered);
        let action = due(f).remove(0);
        assert_eq!((action.event, action.delivered, action.journaled), (told.id, true, None));
        f.store.end_action(&orders(), &Key::from("a"), ActionEnded::Done, at(6)).expect("end");
        assert!(due(f).is_empty());
        let known = f.store.known(&orders(), &[Key::from("a")]).expect("known").remove(0).expect("kept");
        assert_eq!(known.presence, Presence::Removed);
    });
}

#[test]
fn a_dead_letter_makes_the_other_action_due_and_a_later_success_the_first() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Dead);
        assert!(!due(f)[0].delivered);
        f.store.end_action(&orders(), &Key::from("a"), ActionEnded::Nothing, at(6)).expect("end");
        assert!(due(f).is_empty());
        let retry = highwater::store::Operation::DeadRetry(highwater::store::DeadFilter::default());
        f.store.operate(&retry, at(7)).expect("retry");
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(8)), State::Delivered);
        assert!(due(f)[0].delivered);
    });
}

#[test]
fn only_the_latest_event_of_a_key_has_an_action() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        let latest = with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        assert!(due(f).is_empty());
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        assert_eq!(due(f)[0].event, latest.id);
    });
}

#[test]
fn a_journaled_order_is_found_again_after_a_crash() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        let action = due(f).remove(0);
        let order = ActionOrder {
            key: action.key,
            tuple: action.tuple,
            fingerprint: action.fingerprint,
            action: Action::Move(b"archive/a".to_vec()),
        };
        f.store.journal_action(&orders(), &order).expect("journal");
        assert_eq!(due(f)[0].journaled, Some(order.action));
    });
}

#[test]
fn a_failed_action_is_due_later_and_an_impossible_one_never() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        let end = |ended| f.store.end_action(&orders(), &Key::from("a"), ended, at(5)).expect("end");
        end(ActionEnded::Later("busy".into(), at(60)));
        assert!(due(f).is_empty());
        assert_eq!(f.store.actions_due(&orders(), 10, at(61)).expect("due").len(), 1);
        end(ActionEnded::Impossible("no permission".into()));
        assert!(f.store.actions_due(&orders(), 10, at(61)).expect("due").is_empty());
        let line = f.store.records().expect("records").action(&orders(), &Key::from("a")).expect("line");
        assert!(line.expect("told").contains("no permission"));
    });
}

#[test]
fn what_goes_to_nobody_has_no_action() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "unrouted", &[]);
        with_action(f, &mut lease, "a", &["load"]);
        register(&*f.store, &["orders", "stock"], &["erp"]);
        assert_eq!(due(f).iter().map(|action| action.key.shown()).collect::<Vec<_>>(), ["a"]);
    });
}

#[test]
fn a_dead_letter_that_is_retried_takes_its_action_back() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Dead);
        let action = due(f).remove(0);
        let retry = highwater::store::Operation::DeadRetry(highwater::store::DeadFilter::default());
        f.store.operate(&retry, at(7)).expect("retry");
        assert!(due(f).is_empty());
        let DueAction { key, tuple, fingerprint, .. } = action;
        let order = ActionOrder { key, tuple, fingerprint, action: Action::Delete };
        let late = f.store.journal_action(&orders(), &order).expect_err("taken back since it was looked up");
        assert_eq!(late.kind(), highwater::error::ErrorKind::Conflict);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(8)), State::Delivered);
        let action = due(f).remove(0);
        assert_eq!((action.event, action.delivered, action.journaled), (told.id, true, None));
    });
}

#[test]
fn an_action_that_may_have_begun_is_ended_although_its_dead_letter_is_retried() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Dead);
        let DueAction { key, tuple, fingerprint, .. } = due(f).remove(0);
        let order = ActionOrder { key, tuple, fingerprint, action: Action::Move(b"bad/a".to_vec()) };
        f.store.journal_action(&orders(), &order).expect("journal");
        let retry = highwater::store::Operation::DeadRetry(highwater::store::DeadFilter::default());
        f.store.operate(&retry, at(7)).expect("retry");
        assert_eq!(due(f)[0].journaled, Some(order.action), "the file may be half way");
    });
}

#[test]
fn what_was_taken_away_is_kept_for_its_whole_retention() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        with_action(f, &mut lease, "a", &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        commit(&*f.store, &mut lease, &["b"], &["erp"]);
        let day = 86_400;
        f.store.end_action(&orders(), &Key::from("a"), ActionEnded::Done, at(40 * day)).expect("end");
        let span = Duration::from_secs(30 * day);
        let keeping = highwater::store::Keeping { delivered_for: span, dead_for: span, pruning: true, step_max: 100 };
        let keep = |now| while f.store.keep(&keeping, now).expect("keep").more {};
        keep(at(41 * day));
        assert!(f.store.known(&orders(), &[Key::from("a")]).expect("known")[0].is_some());
        keep(at(71 * day));
        assert!(f.store.known(&orders(), &[Key::from("a")]).expect("known")[0].is_none());
    });
}
