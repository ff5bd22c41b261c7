//! The year of a time that is told without one, and hours that a clock change takes or gives.

use super::*;

/// The time of a file whose line has this date.
fn time_of(date: &str, zone: &str, now: &str) -> String {
    let line = format!("-rw-r--r-- 1 ftp ftp 1 {date} x\n");
    let seen = list(FtpListing::Unix, zone, at(now), [line.as_bytes()]);
    assert_eq!(seen.end, Listing::Complete, "{date}");
    Timestamp::from_nanos(seen.rows[0].1.tuple.mtime_ns).to_rfc3339()
}

#[test]
fn a_time_without_a_year_is_the_most_recent_one() {
    for (date, expected) in [
        ("Nov 23 10:15", "2026-11-23T10:15:00Z"),
        ("Nov 22 10:15", "2026-11-22T10:15:00Z"),
        ("Jun  1 10:15", "2026-06-01T10:15:00Z"),
        ("Jan  1 00:00", "2026-01-01T00:00:00Z"),
        ("Dec 31 23:59", "2025-12-31T23:59:00Z"),
    ] {
        assert_eq!(time_of(date, "UTC", "2026-11-23T10:15:00Z"), expected, "{date}");
    }
}

#[test]
fn a_time_up_to_a_day_ahead_is_a_fast_clock_and_not_last_year() {
    let now = "2026-11-23T10:15:00Z";
    assert_eq!(time_of("Nov 24 10:15", "UTC", now), "2026-11-24T10:15:00Z");
    assert_eq!(time_of("Nov 24 10:16", "UTC", now), "2025-11-24T10:16:00Z");
}

#[test]
fn around_new_year_files_keep_their_times() {
    assert_eq!(time_of("Dec 31 23:59", "UTC", "2027-01-01T00:00:30Z"), "2026-12-31T23:59:00Z");
    assert_eq!(time_of("Jan  1 00:00", "UTC", "2027-01-01T00:00:30Z"), "2027-01-01T00:00:00Z");
    // The server's clock, or its zone, is already in the new year.
    assert_eq!(time_of("Jan  1 00:10", "UTC", "2026-12-31T23:59:00Z"), "2027-01-01T00:10:00Z");
    assert_eq!(time_of("Jan  1 08:00", "Asia/Tokyo", "2026-12-31T23:00:00Z"), "2026-12-31T23:00:00Z");
    assert_eq!(time_of("Dec 31 15:00", "America/Los_Angeles", "2027-01-01T00:00:00Z"), "2026-12-31T23:00:00Z");
}

#[test]
fn a_file_keeps_its_time_to_the_day_when_its_listing_changes_from_clock_to_year() {
    // `ls` writes the year instead of the time once a file is six months old.
    let before = time_of("May 25 10:15", "Europe/Berlin", "2026-11-22T12:00:00Z");
    let after = time_of("May 25  2026", "Europe/Berlin", "2026-11-24T12:00:00Z");
    assert_eq!((before.as_str(), after.as_str()), ("2026-05-25T08:15:00Z", "2026-05-24T22:00:00Z"));
    let day = |format: &str, now: &str| {
        let line = format!("-rw-r--r-- 1 ftp ftp 1 {format} x\n");
        list(FtpListing::Unix, "Europe/Berlin", at(now), [line.as_bytes()]).rows[0].1.precision
    };
    assert_eq!(day("May 25 10:15", "2026-11-22T12:00:00Z"), Precision::Minute);
    assert_eq!(day("May 25  2026", "2026-11-24T12:00:00Z"), Precision::Day);
}

#[test]
fn a_file_that_is_nearly_a_year_old_is_not_from_the_future() {
    // Some servers write the time of day for a whole year.
    assert_eq!(time_of("Nov 25 10:15", "UTC", "2026-11-23T10:15:00Z"), "2025-11-25T10:15:00Z");
}

#[test]
fn february_29_without_a_year_is_that_of_the_last_leap_year() {
    assert_eq!(time_of("Feb 29 12:00", "UTC", "2028-02-29T12:00:00Z"), "2028-02-29T12:00:00Z");
    assert_eq!(time_of("Feb 29 12:00", "UTC", "2028-02-28T13:00:00Z"), "2028-02-29T12:00:00Z");
    assert_eq!(time_of("Feb 29 12:00", "UTC", "2028-02-27T12:00:00Z"), "2024-02-29T12:00:00Z");
    assert_eq!(time_of("Feb 29 12:00", "UTC", "2029-01-15T12:00:00Z"), "2028-02-29T12:00:00Z");
    assert_eq!(time_of("Feb 29 12:00", "UTC", "2103-01-15T12:00:00Z"), "2096-02-29T12:00:00Z");
}

#[test]
fn a_day_that_does_not_exist_is_an_unknown_line() {
    for date in ["Feb 29  2026", "Feb 30 10:15", "Apr 31 10:15", "Feb 29  2100"] {
        let line = format!("-rw-r--r-- 1 ftp ftp 1 {date} x\n");
        let seen = list(FtpListing::Unix, "UTC", now(), [line.as_bytes()]);
        assert!(seen.rows.is_empty() && matches!(seen.end, Listing::Doubtful(_)), "{date}");
    }
}

#[test]
fn an_hour_that_a_clock_change_skips_counts_as_after_it_and_one_that_comes_twice_as_the_first() {
    let now = "2026-11-23T10:15:00Z";
    assert_eq!(time_of("Mar 29 02:30", "Europe/Berlin", now), "2026-03-29T01:30:00Z");
    assert_eq!(time_of("Oct 25 02:30", "Europe/Berlin", now), "2026-10-25T00:30:00Z");
    assert_eq!(time_of("Mar  8 02:30", "America/New_York", now), "2026-03-08T07:30:00Z");
    assert_eq!(time_of("Nov  1 01:30", "America/New_York", now), "2026-11-01T05:30:00Z");
    // Where midnight itself is skipped the day begins at one.
    assert_eq!(time_of("Mar  8  2026", "America/Havana", now), "2026-03-08T05:00:00Z");
}

#[test]
fn times_are_the_same_whichever_day_of_the_year_is_asked_for_first() {
    let dates = ["Jan 15 12:00", "Jul 15 12:00", "Sep 28  2025", "Mar 29 01:00", "Mar 29 04:00", "Jul 15 13:00"];
    let line = |date: &str| format!("-rw-r--r-- 1 ftp ftp 1 {date} x\n");
    let together: String = dates.iter().map(|date| line(date)).collect();
    let seen = list(FtpListing::Unix, "Europe/Berlin", now(), [together.as_bytes()]);
    for (date, (_, found)) in dates.iter().zip(&seen.rows) {
        let alone = time_of(date, "Europe/Berlin", "2026-11-23T10:15:00Z");
        assert_eq!(Timestamp::from_nanos(found.tuple.mtime_ns).to_rfc3339(), alone, "{date}");
    }
}

#[test]
fn a_year_that_no_file_can_be_from_is_no_time() {
    let seen = list(FtpListing::Unix, "UTC", now(), [&b"-rw-r--r-- 1 ftp ftp 1 Jan  1  1601 x\n"[..]]);
    assert_eq!((seen.rows[0].1.precision, seen.rows[0].1.tuple.mtime_ns), (Precision::None, 0));
}

#[test]
fn a_zone_that_does_not_exist_is_a_mistake_in_the_configuration() {
    let error = ListReader::new(FtpListing::Auto, "Europe/Atlantis", now()).expect_err("no such zone");
    assert_eq!(error.kind(), crate::error::ErrorKind::Config);
    assert!(error.to_string().contains("write an IANA name"), "{error}");
}
