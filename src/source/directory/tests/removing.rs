//! What is told of files that vanish, and the brake.

use std::fs;

use crate::change::{Kind, Presence};
use crate::source::directory::testing::Play;
use crate::source::settings::Start;
use crate::source::{HoldReason, Scope};

const NOTHING: [&str; 0] = [];

fn filled(count: usize) -> Play {
    let mut play = Play::telling_all();
    for n in 0..count {
        play.write(format!("d{}/f{n}", n % 3), format!("content {n}"));
    }
    play.poll();
    play.taken();
    play
}

#[test]
fn removals_are_told_once_and_a_new_file_of_that_name_is_created() {
    let mut play = filled(9);
    play.remove("d0/f0");
    play.remove("d1/f1");
    assert_eq!(play.told(), ["removed d0/f0 2", "removed d1/f1 2"]);
    play.assert_idle();
    play.write("d0/f0", "content 0");
    assert_eq!(play.told(), ["created d0/f0 3"]);
}

#[test]
fn without_removed_among_the_events_absence_is_remembered_and_the_same_file_back_is_no_event() {
    let mut play = Play::new();
    play.write("share/a", "A");
    play.write("b", "B");
    play.poll();
    play.taken();
    play.rename("share", "../unmounted");
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.ledger.known[&"share/a".into()].presence, Presence::Absent);
    play.rename("../unmounted", "share");
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
    play.remove("share/a");
    play.poll();
    play.write("share/a", "A");
    assert_eq!(play.told(), ["created share/a 2"]);
}

#[test]
fn a_folder_that_vanishes_takes_its_files_along() {
    let mut play = filled(30);
    play.write("d0/deep/er/x", "X");
    play.poll();
    play.taken();
    fs::remove_dir_all(play.path("d0")).expect("remove");
    let told = play.told();
    assert_eq!(told.len(), 11);
    assert!(told.iter().all(|line| line.starts_with("removed d0/")), "{told:?}");
    play.assert_idle();
}

#[test]
fn a_mass_removal_is_held_until_accepted_while_other_changes_go_on() {
    let mut play = filled(9);
    for n in [0, 1, 2, 3, 4] {
        play.remove(format!("d{}/f{n}", n % 3));
    }
    play.write("d0/f6", "changed");
    play.write("new", "N");
    let hold = play.poll().hold.expect("held");
    assert_eq!(hold.reason, HoldReason::MassRemoval);
    assert!(hold.detail.contains("5 of 9") && hold.detail.contains("highwater cursor orders accept"), "{hold:?}");
    assert_eq!(play.taken(), ["changed d0/f6 2", "created new 1"]);
    play.restart(|settings| settings.events = vec![Kind::Created, Kind::Changed, Kind::Removed]);
    assert!(play.poll().hold.is_some(), "it is still held after a restart");
    play.accepted.removals = true;
    assert!(play.poll().hold.is_none());
    assert_eq!(play.taken().len(), 5);
    play.accepted.removals = false;
    play.assert_idle();
}

#[test]
fn an_emptied_tree_is_held_and_told_whole_once_accepted() {
    let mut play = filled(9);
    for folder in ["d0", "d1", "d2"] {
        fs::remove_dir_all(play.path(folder)).expect("remove");
    }
    assert!(play.poll().hold.is_some());
    assert!(play.poll().hold.is_some());
    play.accepted.removals = true;
    assert_eq!(play.told().len(), 9);
    assert!(play.ledger.segments.is_empty());
    play.accepted.removals = false;
    play.assert_idle();
}

#[test]
fn what_comes_back_ends_the_hold() {
    let mut play = filled(9);
    play.rename("d0", "../d0");
    play.rename("d1", "../d1");
    assert!(play.poll().hold.is_some());
    play.rename("../d0", "d0");
    play.rename("../d1", "d1");
    let looked = play.poll();
    assert!(looked.hold.is_none());
    assert_eq!(play.taken(), NOTHING);
    play.assert_idle();
}

#[test]
fn a_root_on_another_disk_holds_every_removal() {
    let mut play = filled(9);
    play.ledger.cursor = Some(r#"{"device":"another"}"#.into());
    play.remove("d0/f0");
    let hold = play.poll().hold.expect("held");
    assert!(hold.detail.contains("another disk"), "{hold:?}");
    assert!(play.poll().hold.is_some());
    play.accepted.removals = true;
    assert_eq!(play.told(), ["removed d0/f0 2"]);
    assert!(!play.ledger.cursor.as_deref().expect("a cursor").contains("another"));
}

#[test]
fn a_missing_root_is_an_error_and_removes_nothing() {
    let mut play = filled(3);
    fs::rename(play.path(""), play.folder.path().join("elsewhere")).expect("rename");
    let error = play.try_look(Scope::Everything).expect_err("no root");
    assert!(error.to_string().contains("is not there"), "{error}");
    fs::write(play.folder.path().join("root"), "a file").expect("write");
    assert!(play.try_look(Scope::Everything).is_err());
    assert_eq!(play.taken(), NOTHING);
}

#[test]
fn what_our_after_actions_took_away_is_neither_counted_nor_told() {
    let mut play = filled(9);
    for n in 0..9 {
        play.remove(format!("d{}/f{n}", n % 3));
        let known = play.ledger.known.get_mut(&format!("d{}/f{n}", n % 3).as_str().into()).expect("known");
        known.presence = Presence::Removed;
    }
    assert!(play.poll().hold.is_none());
    assert_eq!(play.taken(), NOTHING);
    play.assert_idle();
}

#[test]
fn the_removal_of_a_remembered_file_is_told() {
    let mut play = Play::with(|settings| {
        settings.start = Start::Now;
        settings.events.push(Kind::Removed);
    });
    for name in ["a", "b", "c"] {
        play.write(name, name);
    }
    play.poll();
    play.remove("b");
    assert_eq!(play.told(), ["removed b 1"]);
    play.assert_idle();
}

#[test]
fn a_wake_up_tells_removals_of_its_folder_but_leaves_a_mass_to_the_full_poll() {
    let mut play = Play::with(|settings| settings.events.push(Kind::Removed));
    for n in 0..10 {
        play.write(format!("d{}/f{n}", n % 2), format!("{n}"));
    }
    play.poll();
    play.taken();
    let folder = || Scope::Folders(vec![b"d0".to_vec()]);
    play.remove("d0/f0");
    play.look(folder());
    assert_eq!(play.taken(), ["removed d0/f0 2"]);
    for n in [2, 4, 6, 8] {
        play.remove(format!("d0/f{n}"));
    }
    assert!(play.look(folder()).hold.is_none());
    assert_eq!(play.taken(), NOTHING);
    assert_eq!(play.told().len(), 4);
}
