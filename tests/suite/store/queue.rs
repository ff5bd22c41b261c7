//! Claims: order by key, one claim per delivery, retries when they are due, and what a crash leaves behind.

use super::*;
use highwater::store::records::DeliveryFilter;

#[test]
fn deliveries_are_claimed_once_in_the_order_of_their_events() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "b", "c"], &["erp", "load"]);
        assert_eq!(keys(&claim(&*f.store, "erp", 2, at(1))), ["a", "b"]);
        assert_eq!(keys(&claim(&*f.store, "erp", 2, at(1))), ["c"]);
        assert!(claim(&*f.store, "erp", 2, at(1)).is_empty());
        assert_eq!(keys(&claim(&*f.store, "load", 9, at(1))), ["a", "b", "c"]);
    });
}

#[test]
fn events_of_one_key_go_one_after_the_other_and_block_nobody_else() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a", "a", "b", "a"], &["erp"]);
        let first = claim(&*f.store, "erp", 9, at(1));
        assert_eq!(keys(&first), ["a", "b"]);
        assert!(claim(&*f.store, "erp", 9, at(1)).is_empty());
        settle(&*f.store, "erp", &first[..1], State::Retrying);
        assert!(claim(&*f.store, "erp", 9, at(1)).is_empty(), "a retrying one blocks its key");
        let retried = claim(&*f.store, "erp", 9, at(61));
        assert_eq!((keys(&retried), retried[0].attempt), (vec!["a".to_owned()], 2));
        settle(&*f.store, "erp", &retried, State::Delivered);
        let second = claim(&*f.store, "erp", 9, at(61));
        assert_eq!(second[0].event.id, told[1].id);
        settle(&*f.store, "erp", &second, State::Delivered);
        assert_eq!(claim(&*f.store, "erp", 9, at(61))[0].event.id, told[3].id);
    });
}

#[test]
fn a_renamed_file_waits_for_both_keys_and_both_wait_for_it() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["old"], &["erp"]);
        let mut renamed = new_event(&mut lease, "new", &["erp"]);
        renamed.deliveries[0].order_also = Some(order("old"));
        f.store.commit_page(&lease, CommitPage { events: vec![renamed], ..CommitPage::default() }).expect("commit");
        commit(&*f.store, &mut lease, &["old", "new"], &["erp"]);
        let mut sequence = Vec::new();
        for _ in 0..4 {
            let claims = claim(&*f.store, "erp", 9, at(1));
            sequence.push(claims.iter().map(|c| c.event.sequence).collect::<Vec<_>>());
            settle(&*f.store, "erp", &claims, State::Delivered);
        }
        assert_eq!(sequence, [vec![1], vec![2], vec![3, 4], vec![]]);
    });
}

#[test]
fn what_was_in_flight_when_the_process_died_is_unknown_and_due_again() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        claim(&*f.store, "erp", 9, at(1));
        assert_eq!(f.store.recover(at(5)).expect("recover"), 1);
        let mut outcomes = Vec::new();
        let filter = DeliveryFilter { event: Some(told[0].id), ..DeliveryFilter::default() };
        let mut note = |a: highwater::store::records::AttemptRecord| {
            outcomes.push((a.number, a.outcome));
            Ok(true)
        };
        f.store.records().expect("records").attempts(&filter, &mut note).expect("attempts");
        assert_eq!(outcomes, [(1, "unknown".to_owned())]);
        let again = claim(&*f.store, "erp", 9, at(5));
        assert_eq!((again.len(), again[0].event.id, again[0].attempt), (1, told[0].id, 2));
    });
}

#[test]
fn an_outcome_and_its_attempts_are_read_back() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let told = commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let filter = DeliveryFilter { event: Some(told[0].id), ..DeliveryFilter::default() };
        let first = claim(&*f.store, "erp", 1, at(1));
        settle(&*f.store, "erp", &first, State::Retrying);
        let second = claim(&*f.store, "erp", 1, at(60));
        settle(&*f.store, "erp", &second, State::Delivered);
        let records = f.store.records().expect("records");
        let mut deliveries = Vec::new();
        let mut note = |d: highwater::store::records::DeliveryRecord| {
            deliveries.push((d.state, d.attempts, d.last));
            Ok(true)
        };
        records.deliveries(&filter, &mut note).expect("deliveries");
        assert_eq!(deliveries, [(State::Delivered, 2, Some("said so".to_owned()))]);
        let mut attempts = Vec::new();
        let mut note = |a: highwater::store::records::AttemptRecord| {
            attempts.push((a.number, a.took_ms, a.code));
            Ok(true)
        };
        records.attempts(&filter, &mut note).expect("attempts");
        attempts.sort_unstable();
        assert_eq!(attempts, [(1, Some(7), Some(200)), (2, Some(7), Some(200))]);
        assert_eq!(records.sinks().expect("sinks").iter().find(|s| s.name == sink("erp")).expect("erp").delivered, 1);
    });
}

#[test]
fn the_first_attempt_that_arrives_is_listed_though_it_has_no_row_of_its_own() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp"]);
        settle(&*f.store, "erp", &claim(&*f.store, "erp", 1, at(1)), State::Delivered);
        let mut numbers = Vec::new();
        let records = f.store.records().expect("records");
        let mut note = |a: highwater::store::records::AttemptRecord| {
            numbers.push((a.number, a.outcome));
            Ok(true)
        };
        records.attempts(&DeliveryFilter::default(), &mut note).expect("attempts");
        assert_eq!(numbers, [(1, "delivered".to_owned())]);
    });
}

#[test]
fn a_dead_one_frees_its_key_and_only_the_next_one_tells_the_gap() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a", "a"], &["erp"]);
        let first = claim(&*f.store, "erp", 9, at(1));
        settle(&*f.store, "erp", &first, State::Dead);
        let second = claim(&*f.store, "erp", 9, at(1));
        assert!(second[0].gap);
        settle(&*f.store, "erp", &second, State::Retrying);
        let retried = claim(&*f.store, "erp", 9, at(60));
        assert!(retried[0].gap, "a retry of the next one tells it again");
        settle(&*f.store, "erp", &retried, State::Delivered);
        assert!(!claim(&*f.store, "erp", 9, at(60))[0].gap);
    });
}

#[test]
fn a_dead_one_may_hold_its_key() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a", "b"], &["erp"]);
        let holding = |now| Claiming { hold_after_dead: true, ..claiming(9, now) };
        let turn = |settled, now| f.store.turn(&sink("erp"), settled, &holding(now)).expect("turn");
        let first = turn(Vec::new(), at(1));
        assert_eq!(keys(&first), ["a", "b"]);
        let left = turn(vec![settled(&first[0], State::Dead)], at(1));
        assert!(left.is_empty(), "the dead letter keeps its key");
        let drop = highwater::store::Operation::DeadDrop(highwater::store::DeadFilter::default());
        assert_eq!(f.store.operate(&drop, at(2)).expect("drop"), 1);
        assert_eq!(keys(&turn(Vec::new(), at(2))), ["a"]);
    });
}

#[test]
fn the_next_due_time_is_told_and_one_beyond_every_wait_is_pulled_in() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let first = claim(&*f.store, "erp", 1, at(1));
        let mut far = settled(&first[0], State::Retrying);
        far.next_at = Some(at(10_000_000));
        f.store.turn(&sink("erp"), vec![far], &claiming(0, at(1))).expect("settle");
        assert_eq!(f.store.next_due(&sink("erp")).expect("due"), Some(at(10_000_000)));
        assert!(claim(&*f.store, "erp", 1, at(2)).is_empty());
        assert_eq!(f.store.next_due(&sink("erp")).expect("due"), Some(at(2 + 3_600)));
        assert_eq!(claim(&*f.store, "erp", 1, at(2 + 3_600)).len(), 1);
    });
}

#[test]
fn a_claim_that_was_never_attempted_goes_back_uncounted() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a"], &["erp"]);
        let first = claim(&*f.store, "erp", 1, at(1));
        settle(&*f.store, "erp", &first, State::Pending);
        let again = claim(&*f.store, "erp", 1, at(2));
        assert_eq!((again[0].attempt, again[0].charged), (1, 0));
    });
}

#[test]
fn a_retry_that_was_claimed_and_never_attempted_waits_as_before() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
        let first = claim(&*f.store, "erp", 1, at(1));
        settle(&*f.store, "erp", &first, State::Retrying);
        let second = claim(&*f.store, "erp", 1, at(61));
        settle(&*f.store, "erp", &second, State::Pending);

        let (mut shown, mut attempts) = (Vec::new(), 0);
        let records = f.store.records().expect("records");
        let filter = DeliveryFilter::default();
        let mut note = |d: highwater::store::records::DeliveryRecord| {
            shown.push((d.state, d.attempts, d.last));
            Ok(true)
        };
        records.deliveries(&filter, &mut note).expect("deliveries");
        records
            .attempts(&filter, &mut |_| {
                Ok({
                    attempts += 1;
                    true
                })
            })
            .expect("attempts");
        shown.sort_by_key(|one| one.1);
        assert_eq!((shown[1].0, shown[1].1, attempts), (State::Retrying, 1, 1));
        assert!(shown[1].2.is_some(), "what the last attempt came to stays");
        let again = claim(&*f.store, "erp", 9, at(62));
        assert_eq!((again.len(), again[0].seq, again[0].attempt), (1, first[0].seq, 2));
    });
}

#[test]
fn the_backlog_counts_what_is_neither_final_nor_dead() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit(&*f.store, &mut lease, &["a", "b", "c"], &["erp"]);
        let backlog = || f.store.backlog(&sink("erp"));
        assert_eq!(backlog(), 3);
        let claims = claim(&*f.store, "erp", 9, at(1));
        settle(&*f.store, "erp", &claims[..1], State::Delivered);
        settle(&*f.store, "erp", &claims[1..2], State::Dead);
        settle(&*f.store, "erp", &claims[2..], State::Retrying);
        assert_eq!(backlog(), 1);
        let retry = highwater::store::Operation::DeadRetry(highwater::store::DeadFilter::default());
        assert_eq!(f.store.operate(&retry, at(2)).expect("retry"), 1);
        assert_eq!(backlog(), 2);
    });
}

#[test]
fn a_newer_version_supersedes_older_undelivered_ones_but_not_what_is_under_way() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let put = |lease: &mut Lease, key: &str| {
            let mut new = new_event(lease, key, &["erp"]);
            new.supersedes = true;
            let known = vec![(new.event.key.clone(), known(1))];
            f.store
                .commit_page(lease, CommitPage { events: vec![new], known, ..CommitPage::default() })
                .expect("commit");
        };
        put(&mut lease, "a");
        put(&mut lease, "a");
        put(&mut lease, "a");
        assert_eq!(f.store.backlog(&sink("erp")), 1);
        let claims = claim(&*f.store, "erp", 9, at(1));
        assert_eq!(claims[0].event.sequence, 3);
        put(&mut lease, "a");
        settle(&*f.store, "erp", &claims, State::Delivered);
        assert_eq!(claim(&*f.store, "erp", 9, at(1))[0].event.sequence, 4);
    });
}

/// Commits one event of `key`, with a second key or instead of the older ones of its key.
fn commit_one(f: &Fixture, lease: &mut Lease, key: &str, also: Option<&str>, supersedes: bool) {
    let mut new = new_event(lease, key, &["erp"]);
    new.deliveries[0].order_also = also.map(order);
    new.supersedes = supersedes;
    let known = vec![(new.event.key.clone(), known(new.event.revision))];
    f.store.commit_page(lease, CommitPage { events: vec![new], known, ..CommitPage::default() }).expect("commit");
}

#[test]
fn what_waits_for_a_superseded_delivery_is_free_again() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit_one(f, &mut lease, "a", None, true);
        let first = claim(&*f.store, "erp", 9, at(1));
        commit_one(f, &mut lease, "b", Some("a"), true);
        assert!(claim(&*f.store, "erp", 9, at(1)).is_empty(), "the renamed one waits for its old key");
        settle(&*f.store, "erp", &first, State::Retrying);
        commit_one(f, &mut lease, "a", None, true);
        let renamed = claim(&*f.store, "erp", 9, at(2));
        assert_eq!(keys(&renamed), ["b"]);
        settle(&*f.store, "erp", &renamed, State::Delivered);
        let newest = claim(&*f.store, "erp", 9, at(2));
        assert_eq!((keys(&newest), newest[0].event.sequence), (vec!["a".to_owned()], 3));
    });
}

fn hold_after_dead(f: &Fixture) -> Vec<Claim> {
    let holding = Claiming { hold_after_dead: true, ..claiming(9, at(1)) };
    f.store.turn(&sink("erp"), Vec::new(), &holding).expect("claim")
}

fn dead_with_a_follower(f: &Fixture) {
    let mut lease = begin(&*f.store);
    commit(&*f.store, &mut lease, &["a", "a"], &["erp"]);
    let dead = hold_after_dead(f).iter().map(|claim| settled(claim, State::Dead)).collect();
    let holding = Claiming { hold_after_dead: true, ..claiming(9, at(1)) };
    assert!(f.store.turn(&sink("erp"), dead, &holding).expect("settle").is_empty());
}

#[test]
fn what_a_dead_letter_held_goes_on_when_after_dead_is_edited() {
    each_store(|f| {
        dead_with_a_follower(f);
        register(&*f.store, &["orders", "stock"], &["erp", "load"]);
        assert!(hold_after_dead(f).is_empty(), "still held");
        register(&*f.store, &["orders", "stock"], &["erp", "load"]);
        assert_eq!(keys(&claim(&*f.store, "erp", 9, at(1))), ["a"]);
    });
}

#[test]
fn what_a_dead_letter_held_goes_on_when_the_dead_letter_is_pruned() {
    each_store(|f| {
        dead_with_a_follower(f);
        let day = Duration::from_secs(86_400);
        let keeping = highwater::store::Keeping { delivered_for: day, dead_for: day, pruning: true, step_max: 100 };
        while f.store.keep(&keeping, at(10 * 86_400)).expect("keep").more {}
        assert_eq!(hold_after_dead(f).len(), 1);
    });
}

#[test]
fn a_backlog_of_one_key_is_parked_in_portions_and_rings_until_what_is_behind_is_reached() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        let mut told = vec!["busy"; 2_500];
        told.push("free");
        commit(&*f.store, &mut lease, &told, &["erp"]);
        let bell = f.store.bell(&SinkName::new("erp"));
        let mut claims = keys(&claim(&*f.store, "erp", 4, at(1)));
        let mut turns = 1;
        let mut rings = 0;
        while bell.rings() != rings {
            rings = bell.rings();
            claims.extend(keys(&claim(&*f.store, "erp", 4, at(1))));
            turns += 1;
        }
        assert_eq!(claims, ["busy", "free"]);
        assert!(turns > 2, "one turn must not park the whole backlog");
    });
}

/// Commits newer versions of `a` in one page, each instead of the ones before.
fn commit_versions(f: &Fixture, lease: &mut Lease, count: usize) {
    let version = |lease: &mut Lease| NewEvent { supersedes: true, ..new_event(lease, "a", &["erp"]) };
    let events: Vec<NewEvent> = (0..count).map(|_| version(lease)).collect();
    let known = vec![(Key::from("a"), known(lease.sequence))];
    f.store.commit_page(lease, CommitPage { events, known, ..CommitPage::default() }).expect("commit");
}

/// The states of all deliveries, in the order of their events.
fn states(f: &Fixture) -> Vec<State> {
    let mut states = Vec::new();
    let mut note = |d: highwater::store::records::DeliveryRecord| {
        states.insert(0, d.state);
        Ok(true)
    };
    f.store.records().expect("records").deliveries(&DeliveryFilter::default(), &mut note).expect("deliveries");
    states
}

#[test]
fn of_versions_that_come_in_one_page_only_the_newest_is_delivered() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit_versions(f, &mut lease, 1);
        commit_versions(f, &mut lease, 3);
        assert_eq!(states(f), [State::Superseded, State::Superseded, State::Superseded, State::Pending]);
        assert_eq!(f.store.backlog(&sink("erp")), 1);
        assert_eq!(claim(&*f.store, "erp", 9, at(1))[0].event.sequence, 4);
    });
}

#[test]
fn a_version_under_way_is_superseded_once_its_attempt_has_failed() {
    each_store(|f| {
        for ending in [State::Retrying, State::Dead, State::Pending] {
            let mut lease = begin(&*f.store);
            commit_versions(f, &mut lease, 1);
            let older = claim(&*f.store, "erp", 9, at(1));
            commit_versions(f, &mut lease, 1);
            assert!(claim(&*f.store, "erp", 9, at(1)).is_empty(), "the newer one waits for its end");
            settle(&*f.store, "erp", &older, ending);
            let newest = claim(&*f.store, "erp", 9, at(1));
            assert_eq!(newest.iter().map(|c| c.event.sequence).collect::<Vec<_>>(), [lease.sequence], "{ending:?}");
            settle(&*f.store, "erp", &newest, State::Delivered);
            assert_eq!(f.store.backlog(&sink("erp")), 0);
            assert_eq!(states(f).split_off(states(f).len() - 2), [State::Superseded, State::Delivered]);
            assert!(claim(&*f.store, "erp", 9, at(9_999)).is_empty(), "never an older one after a newer one");
        }
    });
}

#[test]
fn a_version_under_way_that_arrives_is_delivered_and_the_newer_one_after_it() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit_versions(f, &mut lease, 1);
        let older = claim(&*f.store, "erp", 9, at(1));
        commit_versions(f, &mut lease, 2);
        settle(&*f.store, "erp", &older, State::Delivered);
        assert_eq!(states(f), [State::Delivered, State::Superseded, State::Pending]);
        assert_eq!(claim(&*f.store, "erp", 9, at(1))[0].event.sequence, 3);
    });
}

#[test]
fn who_waits_for_a_renamed_file_names_it() {
    each_store(|f| {
        let mut lease = begin(&*f.store);
        commit_one(f, &mut lease, "new", Some("old"), false);
        let renamed = claim(&*f.store, "erp", 9, at(1));
        commit_one(f, &mut lease, "old", None, false);
        assert!(claim(&*f.store, "erp", 9, at(1)).is_empty());
        let mut blocked = Vec::new();
        let mut note = |d: highwater::store::records::DeliveryRecord| {
            blocked.push(d.blocked_by);
            Ok(true)
        };
        f.store.records().expect("records").deliveries(&DeliveryFilter::default(), &mut note).expect("deliveries");
        assert_eq!(blocked, [Some(renamed[0].event.id), None]);
    });
}
