//! Replies that come in pieces or run together, and 421 and silence where an answer should be: each is understood, or told,
//! and never taken for something else.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use highwater::error::ErrorKind;
use highwater::setting::Interval;
use highwater::source::directory::place::{Directory, Renamed};

use crate::support::ftp::faulty::{FEATURES, FaultyServer, OLD};
use crate::support::ftp::{arrived, fetch, list, names, opened};

const FILES: &[(&str, &[u8])] = &[("a", b"AAAA"), ("b", b"BB")];

#[test]
fn replies_that_come_byte_by_byte_are_the_same_replies() {
    for features in [FEATURES, OLD] {
        let server = FaultyServer::start(features, FILES, |talk, _, _| {
            talk.in_bytes = true;
            false
        });
        let directory = arrived(&server.settings());
        assert_eq!(names(&directory, ""), ["a", "b"]);
        assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"AAAA"[..]));
        assert_eq!(directory.rename_new(b"b", b"c").expect("asked"), Renamed::Done);
        assert_eq!(server.sessions(), 1);
    }
}

#[test]
fn a_final_reply_that_runs_into_the_first_one_proves_nothing_before_the_data_has_ended() {
    for cut in [false, true] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, argument| {
            let merges = verb == "RETR";
            if merges {
                talk.raw(b"150 here it comes\r\n226 done\r\n");
                let bytes = talk.file(argument).expect("there");
                let _ = talk.data().write_all(if cut { &bytes[..1] } else { &bytes });
            }
            merges
        });
        let directory = arrived(&server.settings());
        let bytes: &[u8] = if cut { b"A" } else { b"AAAA" };
        assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(bytes));
        // What follows finds its own replies.
        assert_eq!(names(&directory, ""), ["a", "b"]);
        assert_eq!(server.sessions(), 1);
    }
}

#[test]
fn a_421_at_any_time_is_told_or_made_good_and_never_an_answer() {
    for step in ["", "USER", "PASS", "FEAT", "OPTS", "CWD", "PWD", "TYPE", "EPSV", "MLSD", "MLST", "RETR"] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let ends = verb == step && talk.before == 0;
            if ends {
                talk.say("421 closing down");
                talk.hang_up();
            }
            ends
        });
        let mut directory = opened(&server.settings());
        let mut try_all = || {
            directory.arrive()?;
            let listed = list(&directory, "")?.0.len();
            Ok::<_, highwater::error::Error>((listed, fetch(&directory, "a")?))
        };
        let whole = (2, Some(b"AAAA".to_vec()));
        match try_all() {
            Ok(found) => assert_eq!(found, whole, "{step}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{step}: {error}");
                assert!(error.to_string().contains("421 closing down"), "{step}: {error}");
            }
        }
        assert_eq!(try_all().unwrap_or_else(|error| panic!("{step}: {error}")), whole);
    }
}

#[test]
fn a_421_in_the_middle_of_data_is_never_a_whole_listing_or_file() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let ends = matches!(verb, "MLSD" | "RETR");
        if ends {
            talk.send(if verb == "RETR" { b"AAAA" } else { b"type=file;size=4;modify=20261101120000; a\r\n" });
            talk.say("421 closing down");
            talk.hang_up();
        }
        ends
    });
    let directory = arrived(&server.settings());
    for error in [list(&directory, "").map(drop), fetch(&directory, "a").map(drop)] {
        let error = error.expect_err("not proven");
        assert!(error.to_string().contains("421 closing down"), "{error}");
    }
}

#[test]
fn a_peer_that_vanished_without_a_word_costs_one_deadline_and_no_error() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        // As after a crash of the server or of a firewall between: bytes go out, and nothing ever comes back.
        let vanished = talk.session == 0 && verb == "MLSD" && talk.before == 1;
        if vanished {
            talk.stall();
        }
        vanished
    });
    let directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    let began = Instant::now();
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(server.sessions(), 2);
}

#[test]
fn a_host_that_takes_no_connection_costs_the_deadline_for_connecting() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&full, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("bound");
    listen(&full, 0).expect("listens");
    let address = SocketAddr::try_from(getsockname(&full).expect("bound")).expect("an address");
    // Nobody accepts: what does not fit into the queue is not answered at all.
    let begun: Vec<_> =
        (0..8).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()).collect();
    assert!(begun.len() < 8, "the queue is full");
    let mut settings = crate::support::ftp::settings(address.port(), "partner", "secret", "/in");
    settings.server.timeout.connect = Interval::from_millis(700);
    let error = opened(&settings).arrive().expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains(&format!("connect to 127.0.0.1:{}", address.port())), "{error}");
}

#[test]
fn commands_of_the_login_are_sent_once_a_session_and_one_that_is_refused_is_named() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, argument| {
        let known = verb == "SITE";
        if known {
            talk.say(if argument == "NAMEFMT 1" { "250 ok" } else { "501 unknown" });
        }
        known
    });
    let mut settings = server.settings();
    settings.login = vec!["SITE NAMEFMT 1".into()];
    let directory = arrived(&settings);
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"AAAA"[..]));
    let heard = server.heard();
    let at = |line: &str| heard.iter().position(|heard| heard == line).unwrap_or_else(|| panic!("{line}: {heard:?}"));
    assert!(at("PASS secret") < at("SITE NAMEFMT 1") && at("SITE NAMEFMT 1") < at("MLSD"), "{heard:?}");
    assert_eq!(server.count("SITE"), 1);
    settings.login = vec!["SITE NAMEFMT 7".into()];
    let error = opened(&settings).arrive().expect_err("refused").to_string();
    assert!(error.contains("SITE NAMEFMT 7") && error.contains("501 unknown"), "{error}");
}
