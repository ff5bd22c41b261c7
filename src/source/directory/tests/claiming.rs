//! Files that are renamed on their server before they are fetched.

use crate::change::Fingerprint;
use crate::setting::{Interval, Template};
use crate::source::directory::testing::{RemotePlay, Tells};
use crate::source::settings::AfterAction;
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
    // The first commit marks the place it is claimed to, the second would tell it.
    play.ledger.fail_at = Some(play.ledger.commits + 2);
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

/// What is told of the second version when the process that claims it is killed after any number of steps.
fn told_of_second(tells: Tells, second: &str, (deleted, listed): (bool, bool)) -> (usize, Vec<String>) {
    let mut failures = Vec::new();
    for steps in 0.. {
        let mut play = RemotePlay::at("2026-05-03T12:00:00Z", tells).claiming();
        play.write("a", "first");
        assert_eq!(play.told(), ["created a 1"]);
        let first = order(&play, "a", Action::Delete);
        assert_eq!(play.told(), NOTHING);
        if deleted {
            assert_eq!(play.tracker.act(&play.remote, &first).expect("done"), Acted::Done(None));
        }
        if listed {
            assert_eq!(play.told(), NOTHING);
        }
        play.write("a", second);
        let ended = play.killed_after(steps, |play| drop(play.try_poll()));
        for _ in 0..4 {
            play.poll();
        }
        play.advance(600);
        play.poll();
        let content = Fingerprint::of(second.as_bytes());
        let told: Vec<_> = play.ledger.told.drain(..).map(|told| (told.revision, told.fingerprint)).collect();
        if told != [(2, Some(content))] {
            failures.push(format!("{tells:?} {second} {deleted} {listed}, killed after {steps}: {told:?}"));
        }
        play.poll();
        play.assert_idle();
        assert!(play.paths().contains(&"work/a".to_owned()), "{:?}", play.paths());
        if ended {
            return (steps, failures);
        }
    }
    unreachable!("a poll ends")
}

#[test]
fn a_version_is_told_once_wherever_the_process_that_claims_it_is_killed() {
    let (mut failures, mut kills) = (Vec::new(), 0);
    for tells in [Tells::Second, Tells::List, Tells::Minute] {
        // Of the same size and time; once with the very same content, which is a new file all the same.
        for second in ["other", "first"] {
            for way in [(true, true), (true, false), (false, true), (false, false)] {
                let (steps, failed) = told_of_second(tells, second, way);
                kills += steps;
                failures.extend(failed);
            }
        }
    }
    assert!(kills > 100, "{kills}");
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn claimed_files_that_stay_are_fetched_once_however_coarse_their_times_are() {
    for (tells, fetches) in [(Tells::Second, 3), (Tells::List, 3), (Tells::Minute, 6)] {
        let mut play = RemotePlay::at("2026-05-03T12:00:00Z", tells).claiming();
        for name in ["a", "b", "deep/c"] {
            play.write(name, name);
        }
        assert_eq!(play.told().len(), 3);
        assert_eq!(play.told(), NOTHING);
        play.advance(600);
        assert_eq!(play.told(), NOTHING);
        for _ in 0..3 {
            play.assert_idle();
            play.restart();
        }
        assert_eq!(play.server().fetched, fetches, "{tells:?}");
    }
}

#[test]
fn a_claimed_file_that_does_not_fit_its_checksum_is_not_told_and_read_again_only_when_either_changes() {
    let checksum = |play: &RemotePlay, content: &str| {
        play.advance(5);
        play.write("a.sha256", &Fingerprint::of(content.as_bytes()).to_hex());
    };
    let sidecar = Template::parse("{name}.sha256", &[]).expect("a template");
    let mut play = play().with(|settings| settings.checksum = Some(sidecar));
    play.write("a", "content");
    checksum(&play, "something else");
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.paths(), ["a.sha256", "work/a"]);
    let fetched = |play: &RemotePlay| play.server().fetched_paths.iter().filter(|path| *path == "work/a").count();
    for _ in 0..3 {
        assert_eq!(play.told(), NOTHING);
        let looked = play.poll();
        assert_eq!(looked.waiting_shown.len(), 1, "{looked:?}");
        assert!(looked.waiting_shown[0].reason.contains("does not have the checksum"), "{looked:?}");
    }
    assert_eq!(fetched(&play), 1);
    play.restart();
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.told(), NOTHING);
    assert_eq!(fetched(&play), 2, "a fresh process reads it once");
    checksum(&play, "content");
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
}

#[test]
fn a_claimed_file_that_is_still_written_waits_until_it_stands_still() {
    let mut play = play().with(|settings| settings.stable_for = Interval::from_millis(10_000));
    play.write("a", "one");
    play.poll();
    play.advance(10);
    play.killed_after(4, |play| drop(play.visit()));
    assert_eq!((play.paths(), play.taken()), (vec!["work/a".to_owned()], vec![]));
    // Its writer has it open still.
    play.write("work/a", "one, two");
    play.poll();
    play.advance(5);
    play.write("work/a", "one, two, three");
    play.poll();
    play.advance(5);
    play.poll();
    assert_eq!(play.taken(), NOTHING);
    play.advance(10);
    play.visit().expect("the look ends well");
    assert_eq!(play.taken(), ["created a 1"]);
    play.poll();
    play.assert_idle();
}

#[test]
fn a_version_waits_behind_an_earlier_one_that_lies_untold_where_it_is_to_be_claimed() {
    let mut play = play().with(|settings| settings.ends_with = Some("END".into()));
    play.write("a", "first");
    assert_eq!(play.told(), NOTHING);
    play.advance(60);
    play.write("a", "second END");
    assert_eq!(play.told(), NOTHING);
    let looked = play.poll();
    let reasons: Vec<&str> = looked.waiting_shown.iter().map(|waiting| &*waiting.reason).collect();
    assert!(reasons.len() == 2 && reasons[0].contains("work/a") && reasons[1].contains("does not end"), "{reasons:?}");
    assert_eq!(looked.look_again_in, None, "time alone does not help it");
    play.write("work/a", "first END");
    assert_eq!(play.told(), ["created a 1", "created a 2"]);
}

#[test]
fn a_kept_file_whose_row_was_pruned_is_in_nobodys_way() {
    let mut play = play();
    play.write("a", "first");
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.told(), NOTHING);
    play.ledger.known.clear();
    play.advance(86_400 * 90);
    play.write("a", "second");
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.server().files[b"work/a".as_slice()].0, b"second");
    play.assert_idle();
}

#[test]
fn a_claimed_version_that_changed_while_it_was_read_is_no_earlier_one_when_it_is_visited() {
    let mut play = RemotePlay::at("2026-05-03T12:00:00Z", Tells::Minute).claiming();
    play.write("a", "same");
    assert_eq!(play.told(), ["created a 1"]);
    let first = order(&play, "a", Action::Delete);
    assert_eq!(play.tracker.act(&play.remote, &first).expect("done"), Acted::Done(None));
    play.write("a", "same");
    play.ledger.fail_at = Some(play.ledger.commits + 2);
    assert!(play.try_poll().is_err());
    assert_eq!(play.paths(), ["work/a"]);
    play.restart();
    play.server().garbled = 1;
    assert_eq!(play.told(), NOTHING);
    play.visit().expect("the look ends well");
    assert_eq!(play.taken(), ["created a 2"]);
    play.poll();
    assert_eq!(play.taken(), NOTHING);
}

#[test]
fn an_after_action_that_is_killed_anywhere_takes_away_its_own_version_alone() {
    for tells in [Tells::Second, Tells::Minute] {
        for action in [Action::Delete, Action::Move(b"done/a".to_vec())] {
            for steps in 0.. {
                let done = Template::parse("done", &[]).expect("a template");
                let play = RemotePlay::at("2026-05-03T12:00:00Z", tells).claiming();
                let mut play = play.with(|settings| settings.on_delivered = AfterAction::Move(done));
                play.write("a", "first");
                play.poll();
                let first = order(&play, "a", action.clone());
                play.advance(1);
                play.write("a", "other");
                play.poll();
                let ended = play.killed_after(steps, |play| drop(play.tracker.act(&play.remote, &first)));
                play.poll();
                let acted = play.tracker.act(&play.remote, &first).expect("acted");
                // What was carried out and not noted finds the other version where its own was.
                let is_fine = matches!(acted, Acted::Done(_) | Acted::OtherVersion);
                assert!(is_fine, "{tells:?} {action:?}, killed after {steps}: {acted:?}");
                play.advance(600);
                play.poll();
                assert_eq!(play.taken(), ["created a 1", "created a 2"], "{tells:?} {action:?}, killed after {steps}");
                assert_eq!(play.server().files[b"work/a".as_slice()].0, b"other");
                assert_eq!(play.paths().len(), if action == Action::Delete { 1 } else { 2 });
                if ended {
                    break;
                }
            }
        }
    }
}
