//! Files that are renamed on their server before they are fetched.

use crate::source::directory::testing::{RemotePlay, Tells};
use crate::source::{Acted, Action, ActionOrder, Patience};

const NOTHING: [&str; 0] = [];

fn play() -> RemotePlay {
    RemotePlay::at("2026-05-03T12:00:00Z", Tells::Second).claiming()
}

fn order(play: &RemotePlay, key: &str, action: Action) -> ActionOrder {
    let known = &play.ledger.known[&key.into()];
    let (tuple, fingerprint) = (known.tuple.expect("a tuple"), known.fingerprint.expect("a fingerprint"));
    ActionOrder { key: key.into(), tuple, fingerprint, action }
}

#[test]
fn a_file_is_renamed_before_it_is_fetched_and_told_under_its_own_name() {
    let mut play = play();
    play.write("a", "A");
    play.write("deep/er/b", "B");
    assert_eq!(play.told(), ["created a 1", "created deep/er/b 1"]);
    assert_eq!(play.paths(), ["work/a", "work/deep/er/b"]);
    for _ in 0..3 {
        assert_eq!(play.told(), NOTHING, "it is not told as removed, nor once more");
    }
    play.assert_idle();
    play.restart();
    play.assert_idle();
}

#[test]
fn a_claimed_file_that_was_not_told_is_told_from_where_it_lies() {
    let mut play = play();
    play.write("a", "A");
    play.ledger.fail_at = Some(play.ledger.commits + 1);
    assert!(play.try_poll().is_err());
    assert_eq!((play.paths(), play.ledger.told.len()), (vec!["work/a".to_owned()], 0));
    play.restart();
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
}

#[test]
fn another_file_of_that_name_is_a_new_file_and_each_version_has_its_own_after_action() {
    let mut play = play();
    play.write("a", "first");
    assert_eq!(play.told(), ["created a 1"]);
    let first = order(&play, "a", Action::Delete);
    play.advance(60);
    play.write("a", "second");
    assert_eq!(play.told(), ["created a 2"]);
    let second = order(&play, "a", Action::Move(b"done/a".to_vec()));
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.paths().len(), 2, "{:?}", play.paths());
    assert_eq!(play.tracker.act(&play.remote, &first).expect("done"), Acted::Done(None));
    assert_eq!(play.paths(), ["work/a"]);
    assert_eq!(play.server().files[b"work/a".as_slice()].0, b"second");
    assert_eq!(play.tracker.act(&play.remote, &second).expect("done"), Acted::Done(Some(b"done/a".to_vec())));
    assert_eq!(play.paths(), ["done/a"]);
}

#[test]
fn a_version_that_was_claimed_and_not_told_goes_before_the_next_one() {
    let mut play = play();
    play.write("a", "first");
    play.ledger.fail_at = Some(play.ledger.commits + 1);
    assert!(play.try_poll().is_err());
    play.advance(60);
    play.write("a", "second");
    let mut told = play.told();
    told.extend(play.told());
    told.extend(play.told());
    assert_eq!(told, ["created a 1", "created a 2"]);
}

/// A version was told and taken away; the next one, of the same size and minute, was claimed when the process died.
fn second_version_of_the_minute(tells: Tells) -> RemotePlay {
    let mut play = RemotePlay::at("2026-05-03T12:00:00Z", tells).claiming();
    play.write("a", "first");
    assert_eq!(play.told(), ["created a 1"]);
    let first = order(&play, "a", Action::Delete);
    assert_eq!(play.tracker.act(&play.remote, &first).expect("done"), Acted::Done(None));
    assert_eq!(play.told(), NOTHING);
    play.advance(10);
    play.write("a", "other");
    play.ledger.fail_at = Some(play.ledger.commits + 1);
    assert!(play.try_poll().is_err());
    assert_eq!(play.paths(), ["work/a"]);
    play.restart();
    play
}

#[test]
fn a_claimed_version_that_was_not_told_is_no_earlier_one_of_the_same_minute() {
    for tells in [Tells::List, Tells::Minute] {
        let mut play = second_version_of_the_minute(tells);
        assert_eq!(play.told(), ["created a 2"], "{tells:?}");
        for _ in 0..2 {
            assert_eq!(play.told(), NOTHING, "{tells:?}");
        }
        play.assert_idle();
    }
}

#[test]
fn a_claimed_version_that_was_not_told_is_not_put_aside_for_an_earlier_one_of_the_same_minute() {
    let mut play = second_version_of_the_minute(Tells::Minute);
    play.advance(10);
    play.write("a", "third");
    let mut told = play.told();
    told.extend(play.told());
    told.extend(play.told());
    assert_eq!(told, ["created a 2", "created a 3"]);
}

#[test]
fn a_look_that_changes_nothing_claims_nothing() {
    let mut play = play();
    play.write("a", "A");
    play.patience = Patience::OnSight;
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.paths(), ["a"]);
}
