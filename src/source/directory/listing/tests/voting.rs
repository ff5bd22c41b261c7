//! How the format of a listing is found, and what happens where it can't be.

use super::*;

fn auto(text: &str) -> Seen {
    list(FtpListing::Auto, "UTC", now(), [text.as_bytes()])
}

fn unix(name: &str) -> String {
    format!("-rw-r--r-- 1 ftp ftp 1 Nov 20 07:01 {name}\n")
}

fn dos(name: &str) -> String {
    format!("11-20-26  07:01AM                    1 {name}\n")
}

fn many(line: fn(&str) -> String, count: usize) -> String {
    (0..count).map(|nth| line(&format!("file-{nth}"))).collect()
}

#[test]
fn an_empty_answer_is_complete_and_empty() {
    for text in ["", "\r\n", "total 0\r\n"] {
        let seen = auto(text);
        assert_eq!((seen.rows.len(), seen.end), (0, Listing::Complete), "{text:?}");
    }
}

#[test]
fn lines_that_no_format_takes_are_counted_and_the_first_is_shown() {
    let seen = auto("hello\nworld\n");
    let text = "2 of 2 lines not understood as any listing format, the first is \"hello\"";
    assert_eq!((seen.rows.len(), seen.end), (0, Listing::Doubtful(text.into())));
}

#[test]
fn one_format_reads_all_lines_and_those_of_another_are_unknown() {
    let seen = auto(&(many(unix, 10) + &dos("stranger")));
    assert_eq!(seen.rows.len(), 10);
    let Listing::Doubtful(text) = seen.end else { panic!("a stranger was taken") };
    assert!(text.starts_with("1 of 11 lines not understood as a Unix listing"), "{text}");
}

#[test]
fn the_format_is_settled_by_the_first_lines() {
    let mut reader = ListReader::new(FtpListing::Auto, "UTC", now()).expect("a zone");
    let mut count = 0;
    let mut each = |_: Listed<'_>| {
        count += 1;
        Ok(())
    };
    reader.feed(many(dos, 63).as_bytes(), &mut each).expect("takes all");
    assert_eq!(reader.format(), None);
    reader.feed(dos("last").as_bytes(), &mut each).expect("takes all");
    assert_eq!(reader.format(), Some(FtpListing::Dos));
    assert_eq!(count, 64);
}

#[test]
fn a_long_banner_does_not_hide_the_listing_behind_it() {
    let banner = "Welcome to the server of the company.\n".repeat(100);
    let seen = auto(&(banner + &many(dos, 200)));
    assert_eq!((seen.rows.len(), seen.format), (200, Some(FtpListing::Dos)));
    let Listing::Doubtful(text) = seen.end else { panic!("a banner is no entry") };
    assert!(text.starts_with("100 of 300 lines not understood as a DOS listing"), "{text}");
}

#[test]
fn a_format_that_changes_in_the_middle_is_told() {
    let seen = auto(&(many(unix, 100) + &many(dos, 100)));
    assert_eq!(seen.rows.len(), 200);
    assert_eq!(seen.end, Listing::Doubtful("its format changes in the middle".into()));
}

#[test]
fn a_format_that_is_set_is_never_left() {
    let text = many(dos, 100);
    let seen = list(FtpListing::Unix, "UTC", now(), [text.as_bytes()]);
    assert_eq!((seen.rows.len(), seen.format), (0, Some(FtpListing::Unix)));
    let Listing::Doubtful(text) = seen.end else { panic!("DOS is no Unix") };
    assert!(text.starts_with("100 of 100 lines not understood as a Unix listing"), "{text}");
}

#[test]
fn dates_of_a_listing_are_all_read_in_the_same_order() {
    let line = |date: &str| format!("BATCH 1 {date} 07:01:09 *STMF      x-{}\n", date.replace('/', ""));
    let seen = auto(&["05/06/26", "07/08/26", "23/09/26"].map(line).concat());
    let times: Vec<_> = seen
        .rows
        .iter()
        .map(|(_, found)| Timestamp::from_nanos(found.tuple.mtime_ns).to_rfc3339()[..10].to_owned())
        .collect();
    assert_eq!(times, ["2026-06-05", "2026-08-07", "2026-09-23"]);
}

#[test]
fn a_line_of_more_than_64_kib_is_unknown_and_the_next_is_read() {
    let seen = auto(&(unix("first") + &unix(&"x".repeat(70_000)) + &unix("last")));
    assert_eq!(names(&seen), ["first", "last"]);
    assert!(matches!(seen.end, Listing::Doubtful(text) if text.starts_with("1 of 3 lines")));
}

#[test]
fn an_error_of_the_taker_ends_the_reading() {
    use crate::error::{Error, ErrorKind};
    let mut reader = ListReader::new(FtpListing::Unix, "UTC", now()).expect("a zone");
    let mut each = |_: Listed<'_>| Err(Error::new(ErrorKind::Stopped, "enough"));
    let fed = reader.feed(many(unix, 100).as_bytes(), &mut each);
    assert_eq!(fed.expect_err("the taker's own").kind(), ErrorKind::Stopped);
}

#[test]
fn a_line_of_facts_in_a_reply_to_mlst_is_read() {
    let (name, found) = super::super::parse_mlst(b" type=file;size=3;modify=20261120070109;unique=a; /in/x y.csv\r\n")
        .expect("a line of facts");
    assert_eq!((name, found.tuple.size, found.precision), (&b"/in/x y.csv"[..], 3, Precision::Second));
    let (_, root) = super::super::parse_mlst(b"type=cdir;modify=20261120070109; /").expect("a line of facts");
    assert_eq!(root.shape, Shape::Folder);
    assert_eq!(super::super::parse_mlst(b"250 End"), None);
}

#[test]
fn names_of_the_folder_itself_are_passed_over_without_doubt() {
    let seen = mlsd([&b"type=dir; .\r\ntype=dir; ..\r\ntype=cdir; /in\r\ntype=pdir; /\r\n"[..]]);
    assert_eq!((seen.rows.len(), seen.end), (0, Listing::Complete));
}
