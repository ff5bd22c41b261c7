//! Files that appear under another name.

use std::fs;

use crate::change::Kind;
use crate::setting::Interval;
use crate::source::Scope;
use crate::source::directory::testing::Play;
use crate::source::settings::Start;

fn filled() -> Play {
    let mut play = Play::telling_all();
    for n in 0..8 {
        play.write(format!("f{n}"), format!("content {n}"));
    }
    play.poll();
    play.taken();
    play
}

#[test]
fn a_renamed_file_is_told_once_with_its_former_key() {
    let mut play = filled();
    play.rename("f0", "sub/new name");
    play.poll();
    assert_eq!(play.ledger.told.len(), 1);
    assert_eq!(play.ledger.told[0].from, Some("f0".into()));
    assert_eq!(play.taken(), ["renamed sub/new name 1"]);
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
    play.write("f0", "a new file under the old name");
    assert_eq!(play.told(), ["created f0 2"]);
}

#[test]
fn a_renamed_folder_renames_its_files() {
    let mut play = filled();
    play.write("old/a", "1");
    play.write("old/b", "2");
    play.poll();
    play.taken();
    play.rename("old", "new");
    assert_eq!(play.told(), ["renamed new/a 1", "renamed new/b 1"]);
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
}

#[test]
fn a_copy_with_the_same_content_counts_when_one_fits_one() {
    let mut play = filled();
    play.write("copy", "content 0");
    play.remove("f0");
    assert_eq!(play.told(), ["renamed copy 1"]);
    play.write("twin 1", "content 1");
    play.write("twin 2", "content 1");
    play.remove("f1");
    assert_eq!(play.told(), ["created twin 1 1", "created twin 2 1", "removed f1 2"]);
    play.write("same size", "content x");
    play.remove("f2");
    assert_eq!(play.told(), ["created same size 1"], "what may be it waits until the new file was read");
    assert_eq!(play.told(), ["removed f2 2"]);
}

#[test]
fn empty_files_are_told_apart_by_number_only() {
    let mut play = filled();
    play.write("empty", "");
    play.poll();
    play.taken();
    play.rename("empty", "moved");
    assert_eq!(play.told(), ["renamed moved 1"]);
    fs::File::create(play.path("another")).expect("make");
    let was = fs::metadata(play.path("moved")).expect("look").modified().expect("a time");
    play.remove("moved");
    fs::File::options().write(true).open(play.path("another")).expect("open").set_modified(was).expect("touch");
    assert_eq!(play.told(), ["created another 1", "removed moved 2"]);
}

#[test]
fn a_rename_is_recognised_although_the_new_name_must_stand_still_first() {
    let all = vec![Kind::Created, Kind::Changed, Kind::Removed, Kind::Renamed];
    let mut play = Play::with(|settings| {
        settings.events = all;
        settings.stable_for = Interval::from_secs(2);
    });
    for n in 0..8 {
        play.write(format!("f{n}"), format!("content {n}"));
    }
    play.poll();
    play.advance(2);
    play.look(Scope::Waiting);
    play.taken();
    play.rename("f0", "g0");
    play.look(Scope::Folders(vec![Vec::new()]));
    assert_eq!(play.taken(), [""; 0]);
    play.advance(2);
    play.look(Scope::Waiting);
    assert_eq!(play.taken(), ["renamed g0 1"]);
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
}

#[test]
fn a_remembered_file_is_renamed_too() {
    let mut play = Play::with(|settings| {
        settings.start = Start::Now;
        settings.events.extend([Kind::Removed, Kind::Renamed]);
    });
    for n in 0..5 {
        play.write(format!("f{n}"), format!("{n}"));
    }
    play.poll();
    play.rename("f0", "g0");
    assert_eq!(play.told(), ["renamed g0 1"]);
    assert_eq!(play.told(), [""; 0]);
    play.assert_idle();
}
