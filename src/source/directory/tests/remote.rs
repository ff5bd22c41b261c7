//! What holds for places on other machines: absence and times are believed less.

use crate::change::Presence;
use crate::clock::{Clock, Timestamp};
use crate::source::HoldReason;
use crate::source::directory::testing::{RemotePlay, Tells};

const NOTHING: [&str; 0] = [];
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

/// A place with so many files, written at different times before `now`, that were told.
fn filled(now: &str, tells: Tells, count: u64) -> RemotePlay {
    let mut play = RemotePlay::at(now, tells);
    for n in 0..count {
        let age = std::time::Duration::from_secs(2 * DAY + n * 4 * HOUR + n * 61);
        play.write_at(&format!("d{}/f{n}", n % 2), &format!("content {n}"), time(now).minus(age));
    }
    assert_eq!(play.told().len() as u64, count);
    play.assert_idle();
    play
}

#[test]
fn a_removal_is_told_when_two_complete_listings_in_a_row_miss_the_file_also_across_a_restart() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    play.remove("d0/f0");
    assert_eq!(play.told(), NOTHING);
    play.restart();
    assert_eq!(play.told(), ["removed d0/f0 2"]);
    play.assert_idle();
}

#[test]
fn a_file_that_one_listing_misses_is_no_event_and_must_be_missed_twice_again() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    for _ in 0..3 {
        play.server().hidden.insert(b"d0/f0".to_vec());
        assert_eq!(play.told(), NOTHING);
        play.server().hidden.clear();
        assert_eq!(play.told(), NOTHING);
        play.assert_idle();
    }
    assert_eq!(play.server().fetched, 9, "it was fetched once");
}

#[test]
fn a_folder_that_one_listing_misses_is_no_event() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    play.server().hidden.insert(b"d1/".to_vec());
    assert_eq!(play.told(), NOTHING);
    play.server().hidden.clear();
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
    play.server().files.retain(|path, _| !path.starts_with(b"d1/"));
    assert_eq!(play.told(), NOTHING);
    let told = play.told();
    assert_eq!(told.len(), 4, "{told:?}");
    play.assert_idle();
}

#[test]
fn an_empty_answer_holds_removals_only_when_it_comes_twice() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    play.server().hidden.insert(Vec::new());
    assert!(play.poll().hold.is_none());
    assert_eq!(play.poll().hold.expect("held").reason, HoldReason::MassRemoval);
    play.server().hidden.clear();
    assert!(play.poll().hold.is_none());
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
    assert!(play.ledger.known.values().all(|known| known.presence == Presence::Present));
}

#[test]
fn a_file_under_a_new_name_waits_for_the_second_listing_and_is_told_as_renamed() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    let file = play.server().files.remove(b"d0/f0".as_slice()).expect("there");
    play.server().files.insert(b"d0/renamed".to_vec(), file);
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.told(), ["renamed d0/renamed 1"]);
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
}

#[test]
fn of_a_doubtful_listing_what_is_there_is_told_and_nothing_is_concluded_from_what_is_not() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::Second, 9);
    play.write("d0/a-new", "new");
    play.remove("d0/f8");
    play.server().cut = Some((3, "226 Output truncated to 3 matches"));
    let looked = play.poll();
    assert!(!looked.complete);
    let why = looked.degraded.expect("degraded");
    assert!(why.contains("may not be all") && why.contains("226 Output truncated"), "{why}");
    assert_eq!(play.told(), ["created d0/a-new 1"]);
    assert_eq!(play.ledger.known.len(), 10);
    play.server().cut = None;
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.told(), ["removed d0/f8 2"]);
    play.assert_idle();
}

#[test]
fn what_list_tells_to_the_minute_for_half_a_year_and_then_to_the_day_is_no_change() {
    let mut play = filled("2026-05-03T12:00:00Z", Tells::List, 20);
    for _ in 0..20 {
        play.advance(15 * DAY);
        play.assert_idle();
    }
    assert_eq!(play.clock.now(), time("2027-02-27T12:00:00Z"), "a new year has begun");
    play.restart();
    play.assert_idle();
}

#[test]
fn a_clock_set_by_whole_hours_is_no_change_and_costs_no_fetch_of_older_files() {
    for shift in [1, -1, 2] {
        let mut play = filled("2026-10-24T23:00:00Z", Tells::List, 20);
        play.advance(2 * HOUR);
        play.server().offset_seconds = shift * 3_600;
        assert_eq!(play.told(), NOTHING, "{shift}");
        assert_eq!(play.server().fetched, 20, "nothing was fetched again");
        play.assert_idle();
    }
}

#[test]
fn a_clock_set_while_nobody_looked_costs_fetches_and_is_no_event() {
    let mut play = filled("2026-10-24T23:00:00Z", Tells::Second, 20);
    play.restart();
    play.server().offset_seconds = -3_600;
    play.server().tells = Tells::Second;
    assert_eq!(play.told(), NOTHING);
    play.server().offset_seconds = 0;
    assert_eq!(play.told(), NOTHING);
    play.assert_idle();
}

#[test]
fn files_written_again_with_the_same_sizes_exactly_one_hour_later_are_changes() {
    let mut play = RemotePlay::at("2026-05-03T12:00:05Z", Tells::List);
    for n in 0..3 {
        play.write(&format!("f{n}"), "AAA");
    }
    assert_eq!(play.told().len(), 3);
    play.advance(600);
    play.poll();
    play.advance(3_000);
    for n in 0..3 {
        play.write(&format!("f{n}"), "BBB");
    }
    play.advance(30);
    let told = play.told();
    assert_eq!(told, ["changed f0 2", "changed f1 2", "changed f2 2"]);
}

#[test]
fn a_file_fetched_before_its_minute_was_over_is_read_once_more_also_after_a_restart() {
    let mut play = RemotePlay::at("2026-05-03T12:00:05Z", Tells::List);
    play.write("a", "first");
    play.write("b", "other");
    assert_eq!(play.told(), ["created a 1", "created b 1"]);
    play.advance(10);
    play.write("a", "later");
    assert_eq!(play.told(), NOTHING, "size and minute are the same");
    play.restart();
    play.advance(300);
    assert_eq!(play.told(), ["changed a 2"]);
    assert_eq!(play.server().fetched, 4);
    play.assert_idle();
}

#[test]
fn a_listing_in_another_zone_than_looks_are_does_not_keep_files_from_being_told() {
    let mut play = RemotePlay::at("2026-05-03T12:00:05Z", Tells::List);
    play.server().offset_seconds = -5 * 3_600;
    play.write_at("a", "A", time("2026-05-01T08:00:33Z"));
    assert_eq!(play.told(), ["created a 1"]);
    play.assert_idle();
}

#[test]
fn a_text_is_told_when_two_fetches_bring_the_same() {
    let mut play = RemotePlay::at("2026-05-03T12:00:00Z", Tells::Second);
    play.server().text = true;
    play.server().garbled = 1;
    play.write_at("a", "a text whose size is not what is listed", time("2026-05-01T08:00:00Z"));
    assert_eq!(play.told(), NOTHING);
    assert_eq!(play.told(), ["created a 1"]);
    assert_eq!(play.server().fetched, 4);
    play.assert_idle();
}

#[test]
fn as_many_files_are_fetched_at_once_as_the_place_allows() {
    let mut play = RemotePlay::at("2026-05-03T12:00:00Z", Tells::Second);
    for n in 0..200 {
        play.write_at(&format!("f{n}"), "x", time("2026-05-01T08:00:00Z"));
    }
    play.server().fetches_awaited = 4;
    assert_eq!(play.told().len(), 200);
    assert_eq!(play.server().fetching.1, 4);
}
