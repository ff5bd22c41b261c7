//! Commits that fail at any point, as a crash does: nothing is lost, nothing told twice.

use std::collections::BTreeMap;
use std::fs;

use crate::setting::Interval;
use crate::source::Scope;
use crate::source::directory::testing::Play;
use crate::source::settings::{DirectorySettings, Start};

/// Plays `scene` with every commit failing once in turn; after each failure the process starts anew and goes on.
fn break_everywhere(change: fn(&mut DirectorySettings), prepare: fn(&mut Play), scene: fn(&mut Play)) {
    let whole = {
        let mut play = Play::with(change);
        prepare(&mut play);
        scene(&mut play);
        go_on(&mut play);
        count(play.taken())
    };
    for fail_at in 1.. {
        let mut play = Play::with(change);
        prepare(&mut play);
        scene(&mut play);
        let planned = play.ledger.commits + fail_at;
        play.ledger.fail_at = Some(planned);
        let failed = go_on(&mut play);
        play.ledger.fail_at = None;
        play.restart(change);
        go_on(&mut play);
        assert_eq!(count(play.taken()), whole, "commit {fail_at} failed");
        go_on(&mut play);
        play.assert_idle();
        if !failed {
            return;
        }
    }
}

fn count(told: Vec<String>) -> BTreeMap<String, usize> {
    told.into_iter().fold(BTreeMap::new(), |mut counts, line| {
        *counts.entry(line).or_default() += 1;
        counts
    })
}

/// A poll, what waits, and a poll; whether one of them failed.
fn go_on(play: &mut Play) -> bool {
    let first = play.try_look(Scope::Everything).is_err();
    play.advance(2);
    let second = !first && play.try_look(Scope::Waiting).is_err();
    first || second || play.try_look(Scope::Everything).is_err()
}

fn ready_on_sight(settings: &mut DirectorySettings) {
    settings.events.push(crate::change::Kind::Removed);
}

fn standing_still(settings: &mut DirectorySettings) {
    settings.events.push(crate::change::Kind::Removed);
    settings.stable_for = Interval::from_secs(2);
}

fn start_now(settings: &mut DirectorySettings) {
    settings.events.push(crate::change::Kind::Removed);
    settings.start = Start::Now;
}

fn renaming(settings: &mut DirectorySettings) {
    settings.events.extend([crate::change::Kind::Removed, crate::change::Kind::Renamed]);
}

fn fill(play: &mut Play) {
    for n in 0..160 {
        play.write(format!("d{}/f{n}", n % 2), format!("{n}"));
    }
}

fn filled(play: &mut Play) {
    fill(play);
    go_on(play);
    play.taken();
}

fn change_all_sorts(play: &mut Play) {
    for n in 0..110 {
        play.write(format!("d{}/f{n}", n % 2), format!("changed {n}"));
    }
    for n in 110..130 {
        play.remove(format!("d{}/f{n}", n % 2));
    }
    for n in 0..20 {
        play.write(format!("d2/deep/g{n}"), format!("{n}"));
    }
}

fn drop_a_folder(play: &mut Play) {
    fs::remove_dir_all(play.path("d0")).expect("remove");
    play.write("d0x", "so that not all is gone");
    play.accepted.removals = true;
}

#[test]
fn a_first_scan_that_breaks_anywhere_goes_on_where_it_was() {
    break_everywhere(ready_on_sight, |_| {}, fill);
    break_everywhere(standing_still, |_| {}, |play| (0..40).for_each(|n| play.write(format!("f{n}"), "x")));
}

#[test]
fn changes_removals_and_new_folders_survive_a_break_anywhere() {
    break_everywhere(ready_on_sight, filled, change_all_sorts);
    break_everywhere(start_now, filled, change_all_sorts);
}

#[test]
fn a_vanished_folder_survives_a_break_anywhere() {
    break_everywhere(ready_on_sight, filled, drop_a_folder);
    break_everywhere(start_now, filled, drop_a_folder);
}

#[test]
fn renames_survive_a_break_anywhere() {
    break_everywhere(renaming, filled, |play| play.rename("d0", "d9"));
}
