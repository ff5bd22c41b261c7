//! What has no end, or hardly one, on the way through the whole program: a listing, a name.

use std::io::Write;

use super::crashing::{delivered, orders};
use crate::support::ftp::faulty::{FEATURES, FaultyServer};
use crate::support::receiver::Receiver;

/// In a debug build too.
const PEAK_KIB_MAX: u64 = 96 * 1024;

#[test]
fn an_endless_listing_ends_with_the_time_for_a_poll_and_tells_nothing() {
    let server = FaultyServer::start(FEATURES, &[("a", b"A")], |talk, verb, _| {
        let lists = verb == "MLSD";
        if lists {
            talk.say("150 here it comes");
            let mut data = std::io::BufWriter::new(talk.data());
            let line = |number: u64| format!("type=file;size=1;modify=20261101120000; file-{number:09}\r\n");
            (0..).map(line).find(|line| data.write_all(line.as_bytes()).is_err());
        }
        lists
    });
    let receiver = Receiver::start();
    let highwater = orders(&server, &receiver, "poll_timeout = \"3s\"");
    let peak = highwater.peak_of_once(3);
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    assert!(receiver.received().is_empty());
    let status = highwater.run(&["status"]).stdout;
    assert!(status.contains("deadline") || status.contains("poll_timeout"), "{status}");
}

#[test]
fn a_file_with_a_name_of_four_thousand_characters_is_told_whole_and_once() {
    let long = "x".repeat(4_092) + ".csv";
    let server = FaultyServer::start(FEATURES, &[(&long, b"content")], |_, _, _| false);
    let receiver = Receiver::start();
    let highwater = orders(&server, &receiver, "");
    for _ in 0..2 {
        highwater.run(&["once"]).code(0);
        let bodies: Vec<Vec<u8>> = delivered(&receiver).into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, [b"content".to_vec()]);
    }
    let event = highwater.run(&["events", "--json"]).json_lines().remove(0);
    assert!(event.to_string().contains(&long), "{event}");
}
