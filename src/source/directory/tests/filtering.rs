//! What an edit of the filters means for what is known.

use crate::change::Presence;
use crate::source::directory::testing::Play;

#[test]
fn entries_that_leave_are_forgotten_and_entries_that_enter_are_created() {
    let mut play = Play::telling_all();
    for name in ["a.csv", "b.txt", "old/c.csv", "old/deep/d.csv", "e.xml"] {
        play.write(name, name);
    }
    play.poll();
    play.taken();
    play.restart(|settings| settings.exclude = vec!["*.txt".into(), "old/**".into()]);
    play.filters_changed = true;
    assert_eq!(play.told(), [""; 0]);
    for gone in ["b.txt", "old/c.csv", "old/deep/d.csv"] {
        assert_eq!(play.ledger.known[&gone.into()].presence, Presence::Removed, "{gone}");
    }
    assert!(!play.ledger.segments.contains_key(&b"old"[..]));
    play.filters_changed = false;
    play.assert_idle();
    play.write("b.txt", "excluded files may change");
    play.assert_idle();
    play.restart(|_| {});
    play.filters_changed = true;
    assert_eq!(play.told(), ["created b.txt 2", "created old/c.csv 2", "created old/deep/d.csv 2"]);
    play.filters_changed = false;
    play.assert_idle();
}

#[test]
fn max_new_holds_what_enters_and_keeps_it_to_be_found_again() {
    let mut play = Play::with(|settings| settings.include = vec!["*.csv".into()]);
    for n in 0..5 {
        play.write(format!("{n}.txt"), "x");
    }
    play.write("a.csv", "A");
    play.poll();
    play.taken();
    play.restart(|_| {});
    play.filters_changed = true;
    play.max_new = Some(3);
    assert!(play.poll().hold.is_some());
    play.filters_changed = false;
    assert!(play.poll().hold.is_some(), "held entries are found by later polls too");
    play.accepted.new_entries = true;
    assert_eq!(play.told().len(), 5);
    play.assert_idle();
}

#[test]
fn a_refused_file_is_tried_again_when_the_limit_is_lifted() {
    let mut play = Play::new();
    play.tracker.rules.max_size = Some(crate::setting::ByteCount(3));
    play.write("large", "12345");
    play.write("small", "1");
    assert_eq!(play.told(), ["created small 1"]);
    let reason = &play.ledger.refused[&"large".into()];
    assert!(reason.contains("5 bytes") && reason.contains("max_size"), "{reason}");
    play.assert_idle();
    play.restart(|_| {});
    play.filters_changed = true;
    assert_eq!(play.told(), ["created large 1"]);
    assert!(play.ledger.refused.is_empty());
}

#[test]
fn recursion_ends_at_the_root_on_request() {
    let mut play = Play::with(|settings| settings.recursive = false);
    play.write("a", "A");
    play.write("sub/b", "B");
    assert_eq!(play.told(), ["created a 1"]);
    play.assert_idle();
}
