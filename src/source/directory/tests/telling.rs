//! What is told of new and changed files, and what is not.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::change::{Content, Fingerprint, Key};
use crate::source::directory::testing::Play;
use crate::source::settings::Start;
use crate::source::{HoldReason, Scope};

#[test]
fn new_files_are_created_and_changed_ones_changed_with_their_bytes() {
    let mut play = Play::new();
    play.write("a.csv", "A");
    play.write("sub/b.csv", "B");
    assert_eq!(play.poll().seen, 3);
    let told = play.ledger.told.clone();
    assert_eq!(told[0].content, Some(Content::Inline(b"A".to_vec())));
    assert_eq!(told[0].fingerprint, Some(Fingerprint::of(b"A")));
    assert_eq!(play.taken(), ["created a.csv 1", "created sub/b.csv 1"]);
    play.assert_idle();
    play.write("a.csv", "A2");
    assert_eq!(play.told(), ["changed a.csv 2"]);
    play.assert_idle();
}

#[test]
fn a_b_a_is_three_events_and_a_touch_none() {
    let mut play = Play::new();
    play.write("a", "A");
    play.poll();
    play.write("a", "B");
    play.poll();
    play.write("a", "A");
    assert_eq!(play.told(), ["changed a 2", "changed a 3", "created a 1"]);
    let file = fs::File::options().write(true).open(play.path("a")).expect("open");
    file.set_modified(SystemTime::now() + Duration::from_secs(60)).expect("touch");
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
}

#[test]
fn a_touched_file_is_not_captured_again() {
    let mut play = Play::new();
    play.write("big", vec![7; 100_000]);
    play.poll();
    let spooled = play.ledger.told[0].content.clone();
    assert!(matches!(spooled, Some(Content::Spooled { size: 100_000, .. })));
    let file = fs::File::options().write(true).open(play.path("big")).expect("open");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("touch");
    play.poll();
    assert_eq!(play.ledger.spooled(), 1);
}

#[test]
fn a_restart_tells_nothing_again() {
    let mut play = Play::new();
    for n in 0..50 {
        play.write(format!("d{}/f{n}", n % 5), format!("{n}"));
    }
    assert_eq!(play.told().len(), 50);
    play.restart(|_| {});
    play.assert_idle();
}

#[test]
fn after_a_reset_unchanged_files_are_not_told_again_and_vanished_ones_are_noticed() {
    let mut play = Play::telling_all();
    for name in ["a", "b", "c", "d"] {
        play.write(name, name);
    }
    play.poll();
    play.taken();
    play.ledger.segments.clear();
    play.ledger.cursor = None;
    play.remove("d");
    play.write("c", "changed");
    assert_eq!(play.told(), ["changed c 2", "removed d 2"]);
    play.assert_idle();
}

#[test]
fn what_exists_at_first_is_only_remembered_with_start_now() {
    let mut play = Play::with(|settings| settings.start = Start::Now);
    play.write("old", "O");
    play.write("sub/old", "O");
    assert_eq!(play.told(), [""; 0]);
    assert!(play.ledger.known.is_empty(), "a remembered file has no row");
    play.assert_idle();
    play.write("old", "changed");
    play.write("new", "N");
    assert_eq!(play.told(), ["changed old 1", "created new 1"]);
    play.assert_idle();
}

#[test]
fn start_now_in_an_empty_folder_tells_what_comes_next() {
    let mut play = Play::with(|settings| settings.start = Start::Now);
    assert_eq!(play.told(), [""; 0]);
    play.write("first", "F");
    assert_eq!(play.told(), ["created first 1"]);
}

#[test]
fn changed_rights_of_a_remembered_file_are_no_change() {
    use std::os::unix::fs::PermissionsExt;
    let mut play = Play::with(|settings| settings.start = Start::Now);
    play.write("old", "O");
    play.poll();
    fs::set_permissions(play.path("old"), fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
}

#[test]
fn more_new_files_than_max_new_hold_the_source_until_accepted_while_changes_go_on() {
    let mut play = Play::new();
    play.max_new = Some(2);
    play.write("a", "A");
    assert!(play.poll().hold.is_none());
    play.taken();
    for name in ["b", "c", "d"] {
        play.write(name, name);
    }
    play.write("a", "A2");
    let hold = play.poll().hold.expect("held");
    assert_eq!(hold.reason, HoldReason::MaxNew);
    assert!(hold.detail.contains("3 new files") && hold.detail.contains("highwater cursor orders accept"), "{hold:?}");
    assert_eq!(play.taken(), ["changed a 2"]);
    assert!(play.poll().hold.is_some(), "it stays held");
    play.accepted.new_entries = true;
    assert!(play.poll().hold.is_none());
    assert_eq!(play.taken(), ["created b 1", "created c 1", "created d 1"]);
    play.accepted.new_entries = false;
    play.assert_idle();
}

#[test]
fn a_wake_up_that_names_a_folder_looks_at_that_one_and_new_ones_below() {
    let mut play = Play::new();
    play.write("a/1", "1");
    play.write("b/1", "1");
    play.poll();
    play.taken();
    play.write("a/2", "2");
    play.write("a/new/deep/3", "3");
    play.write("b/2", "2");
    let looked = play.look(Scope::Folders(vec![b"a".to_vec(), b"missing".to_vec()]));
    assert!(looked.complete);
    assert_eq!(play.taken(), ["created a/2 1", "created a/new/deep/3 1"]);
    assert_eq!(play.told(), ["created b/2 1"]);
    play.assert_idle();
}

#[test]
fn a_damaged_known_listing_is_made_anew_and_nothing_is_told_twice() {
    let mut play = Play::new();
    play.write("a", "A");
    play.write("b", "B");
    play.poll();
    play.taken();
    for bytes in play.ledger.segments.get_mut(&b""[..]).expect("the root").values_mut() {
        bytes.truncate(bytes.len() - 1);
    }
    play.write("c", "C");
    assert_eq!(play.told(), ["created c 1"]);
    play.assert_idle();
}

#[test]
fn many_files_at_once_are_told_in_pages_and_their_blocks_rewritten_one_by_one() {
    let mut play = Play::new();
    for n in 0..9_000 {
        play.write(format!("f{n}"), format!("{n}"));
    }
    assert_eq!(play.told().len(), 9_000);
    play.assert_idle();
    play.write("one more", "x");
    let before = play.ledger.block_writes;
    assert_eq!(play.told(), ["created one more 1"]);
    assert!(play.ledger.block_writes - before <= 2);
    assert_eq!(play.ledger.known[&Key::from("f17")].size, 2);
}
