//! When a file is ready, and what it waits for.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::setting::{Interval, Template};
use crate::source::directory::testing::Play;
use crate::source::settings::{DirectorySettings, Empty};
use crate::source::{Looked, Patience, Scope};

fn stable(settings: &mut DirectorySettings) {
    settings.stable_for = Interval::from_secs(2);
}

fn template(text: &str) -> Option<Template> {
    Some(Template::parse(text, &[]).expect("a template"))
}

fn reasons(looked: &Looked) -> Vec<String> {
    looked.waiting_shown.iter().map(|w| format!("{}: {}", w.key, w.reason)).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_file_is_told_at_the_second_look_and_only_when_it_stood_still() {
    let mut play = Play::with(stable);
    play.write("a", "A");
    play.write("growing", "1");
    let looked = play.poll();
    assert_eq!((looked.waiting, looked.look_again_in), (2, Some(Duration::from_secs(2))));
    assert_eq!(reasons(&looked), ["a: must stand still for 2s", "growing: must stand still for 2s"]);
    play.advance(1);
    assert_eq!(play.look(Scope::Waiting).look_again_in, Some(Duration::from_secs(1)));
    assert_eq!(play.taken(), NOTHING);
    play.advance(1);
    play.write("growing", "12");
    let looked = play.look(Scope::Waiting);
    assert_eq!(play.taken(), ["created a 1"]);
    assert_eq!(reasons(&looked), ["growing: still changing"]);
    play.advance(2);
    let looked = play.look(Scope::Waiting);
    assert_eq!((looked.waiting, looked.look_again_in), (0, None));
    assert_eq!(play.taken(), ["created growing 1"]);
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
}

#[test]
fn a_full_poll_is_a_second_look_too() {
    let mut play = Play::with(stable);
    play.write("a", "A");
    play.poll();
    play.advance(5);
    assert_eq!(play.told(), ["created a 1"]);
    play.assert_idle();
}

#[test]
fn a_step_of_the_wall_clock_makes_nothing_ready() {
    let mut play = Play::with(stable);
    play.write("a", "A");
    play.poll();
    play.clock.step_to(crate::clock::Timestamp::from_millis(i64::MAX / 2_000_000));
    assert_eq!(play.told(), NOTHING);
}

#[test]
fn a_file_told_between_listings_and_removed_before_the_next_is_missed() {
    let mut play = Play::with(|settings| {
        stable(settings);
        settings.events.push(crate::change::Kind::Removed);
    });
    for name in ["a", "b", "c"] {
        play.write(name, name);
    }
    play.poll();
    play.advance(2);
    play.look(Scope::Waiting);
    assert_eq!(play.taken().len(), 3);
    play.restart(|settings| {
        stable(settings);
        settings.events.push(crate::change::Kind::Removed);
    });
    play.remove("b");
    assert_eq!(play.told(), ["removed b 2"]);
    play.assert_idle();
}

#[test]
fn a_known_file_that_waits_with_new_content_and_vanishes_is_removed() {
    let mut play = Play::with(|settings| {
        stable(settings);
        settings.events.push(crate::change::Kind::Removed);
    });
    for name in ["a", "b", "c"] {
        play.write(name, name);
    }
    play.poll();
    play.advance(2);
    play.poll();
    play.taken();
    play.write("b", "new content");
    play.write("d", "so that the folder is written anew");
    play.poll();
    play.advance(2);
    play.remove("b");
    assert_eq!(play.told(), ["created d 1", "removed b 2"]);
    play.assert_idle();
}

#[test]
fn more_files_than_the_room_holds_are_waited_for_in_the_poll() {
    let mut play = Play::with(|settings| settings.stable_for = Interval::from_millis(20));
    for n in 0..5_000 {
        play.write(format!("f{n}"), "x");
    }
    let (clock, stop) = (play.clock.clone(), crate::clock::Stop::new());
    let ticking = stop.clone();
    let ticker = std::thread::spawn(move || {
        while !ticking.wait(Duration::from_millis(1)) {
            clock.advance(Duration::from_millis(1));
        }
    });
    let looked = play.poll();
    stop.raise();
    ticker.join().expect("the ticker ends");
    assert_eq!(play.taken().len(), 5_000);
    assert_eq!(looked.waiting, 0);
}

#[test]
fn a_marker_releases_one_version() {
    let mut play = Play::with(|settings| settings.marker = template("{name}.done"));
    play.write("a.csv", "A");
    play.write("b.csv", "B");
    play.write("a.csv.done", "");
    let looked = play.poll();
    assert_eq!(play.taken(), ["created a.csv 1"]);
    assert_eq!(reasons(&looked), ["b.csv: marker b.csv.done is missing"]);
    play.write("b.csv.done", "");
    play.write("a.csv", "A2");
    let looked = play.poll();
    assert_eq!(play.taken(), ["created b.csv 1"]);
    assert_eq!(reasons(&looked), ["a.csv: marker a.csv.done was already used for an earlier version; renew it"]);
    assert_eq!(play.told(), NOTHING);
    play.remove("a.csv.done");
    play.write("a.csv.done", "");
    assert_eq!(play.told(), ["changed a.csv 2"]);
    play.assert_idle();
}

#[test]
fn a_touched_file_needs_no_new_marker() {
    let mut play = Play::with(|settings| settings.marker = template("{name}.done"));
    play.write("a.csv", "A");
    play.write("a.csv.done", "");
    play.poll();
    play.taken();
    play.write("a.csv", "A");
    assert_eq!(play.poll().waiting, 0);
    assert_eq!(play.taken(), NOTHING);
    play.assert_idle();
}

#[test]
fn a_marker_for_the_folder_releases_what_was_there_before_it() {
    let mut play = Play::with(|settings| settings.marker = template("READY"));
    play.write("a", "A");
    play.write("sub/b", "B");
    assert_eq!(play.poll().waiting, 2);
    play.write("READY", "");
    assert_eq!(play.told(), ["created a 1"]);
    let changed = |name: &str| {
        let look = fs::metadata(play.path(name)).expect("look");
        (look.ctime(), look.ctime_nsec())
    };
    while !fs::exists(play.path("late")).expect("look") || changed("late") <= changed("READY") {
        play.write("late", "L");
    }
    let looked = play.poll();
    assert_eq!(reasons(&looked)[0], "late: marker READY is older than this file; renew it");
    play.write("READY", "again");
    assert_eq!(play.told(), ["created late 1"]);
}

#[test]
fn a_checksum_must_match() {
    let mut play = Play::with(|settings| settings.checksum = template("{name}.md5"));
    play.write("a", "A");
    play.write("b", "B");
    play.write("b.md5", "9d5ed678fe57bcca610140957afab571  b\n");
    play.write("a.md5", "00000000000000000000000000000000\n");
    let looked = play.poll();
    assert_eq!(play.taken(), ["created b 1"]);
    assert_eq!(reasons(&looked), ["a: content does not have the checksum it must have"]);
    play.write("a.md5", "7fc56270e7a70fa81a5935b72eacbe29 *a\n");
    assert_eq!(play.told(), ["created a 1"]);
    play.write("c", "C");
    assert_eq!(reasons(&play.poll()), ["c: checksum c.md5 is missing"]);
}

#[test]
fn an_interchange_without_its_end_waits() {
    let mut play = Play::with(|settings| settings.ends_with = Some("IEA*".into()));
    play.write("a", "ISA*...\nIEA*1*0001~\n");
    play.write("b", "ISA*...\n");
    let looked = play.poll();
    assert_eq!(play.taken(), ["created a 1"]);
    assert_eq!(reasons(&looked), ["b: does not end with \"IEA*\""]);
    let mut file = fs::File::options().append(true).open(play.path("b")).expect("open");
    file.write_all(b"IEA*1*0002~").expect("append");
    assert_eq!(play.told(), ["created b 1"]);
}

#[test]
fn empty_files_are_delivered_wait_or_are_left_out_as_configured() {
    for (empty, told, waiting) in [(Empty::Deliver, 1, 0), (Empty::Wait, 0, 1), (Empty::Ignore, 0, 0)] {
        let mut play = Play::with(|settings| settings.empty = empty);
        play.write("a", "");
        let looked = play.poll();
        assert_eq!((play.taken().len(), looked.waiting), (told, waiting), "{empty:?}");
        play.write("a", "content");
        assert_eq!(play.told().len(), 1, "{empty:?}");
        play.assert_idle();
    }
}

#[test]
fn peek_finds_everything_ready_on_sight() {
    let mut play = Play::with(|settings| {
        stable(settings);
        settings.exclude = vec!["*.tmp".into()];
    });
    play.patience = Patience::OnSight;
    play.write("a", "A");
    play.write("b.tmp", "B");
    let looked = play.poll();
    assert_eq!(play.taken(), ["created a 1"]);
    let ignored: Vec<_> = looked.ignored_shown.iter().map(|(key, why)| format!("{key}: {why}")).collect();
    assert_eq!(ignored, ["b.tmp: exclude \"*.tmp\""]);
}
