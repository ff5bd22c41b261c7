//! After-actions on a server that carries out no renames: what is deleted there was looked at first, and what can't be moved
//! is said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater::error::ErrorKind;
use highwater::source::directory::place::{Directory, Renamed};

use super::crashing::{delivered, orders, plant, sink, source};
use crate::support::ftp::arrived;
use crate::support::ftp::faulty::{FEATURES, FaultyServer, OLD};
use crate::support::ftp::real::{FtpServer, Kind, Tls};
use crate::support::receiver::Receiver;

/// How servers say that they rename nothing: which command they refuse, and with which words.
const REFUSALS: [(&str, &str); 4] = [
    ("RNFR", "502 RNFR not implemented"),
    ("RNFR", "550 RNFR denied"),
    ("RNFR", "550 Permission denied."),
    ("RNTO", "553 Prohibited file name"),
];

fn without_renames(features: &str, refusal: (&'static str, &'static str)) -> FaultyServer {
    FaultyServer::start(features, &[("a.csv", b"first"), ("b.csv", b"second")], move |talk, verb, _| {
        let refused = verb == refusal.0;
        if refused {
            talk.say(refusal.1);
        }
        refused
    })
}

#[test]
fn a_server_without_renames_is_asked_what_is_there_before_a_file_is_deleted() {
    for (features, looks) in [(FEATURES, &["MLST"][..]), (OLD, &["SIZE", "MDTM"])] {
        for refusal in REFUSALS {
            let server = without_renames(features, refusal);
            let receiver = Receiver::start();
            let highwater = orders(&server, &receiver, "on_delivered = \"delete\"");
            highwater.run(&["once"]).code(0);
            assert_eq!((server.files().len(), delivered(&receiver).len()), (0, 2), "{refusal:?}");
            let heard = server.heard();
            let deleted = heard.iter().position(|line| line.starts_with("DELE")).expect("deleted");
            let before: Vec<&str> = heard[..deleted]
                .iter()
                .rev()
                .take(looks.len())
                .map(|line| line.split(' ').next().expect("a verb"))
                .collect();
            assert!(before.iter().rev().eq(looks), "{refusal:?}: {heard:?}");
        }
    }
}

#[test]
fn real_servers_that_forbid_renames_let_files_be_deleted() {
    for (kind, forbids) in [(Kind::Vsftpd, "cmds_denied=RNFR"), (Kind::Proftpd, "<Limit RNFR RNTO>\nDenyAll\n</Limit>")]
    {
        let server = FtpServer::start_with(kind, Tls::Off, forbids);
        server.put("a.csv", "first");
        let receiver = Receiver::start();
        let settings = server.settings();
        let renamed = arrived(&settings).rename_new(b"a.csv", b"b.csv").expect("an answer");
        assert!(matches!(renamed, Renamed::Forbidden(_)), "{kind:?}: {renamed:?}");
        let more = "stable_for = \"0s\"\non_delivered = \"delete\"";
        let config = source("orders", server.port, &settings.server.user, &settings.path, more) + &sink(&receiver);
        let password = settings.server.password.expect("a password").reveal().expect("a literal");
        plant(&config, &password).run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 1, "{kind:?}");
        assert!(!server.root().join("a.csv").exists(), "{kind:?}");
    }
}

#[test]
fn a_version_that_comes_before_the_last_look_is_told_before_it_is_deleted() {
    let replaced = Arc::new(AtomicBool::new(false));
    let server = FaultyServer::start(FEATURES, &[("a.csv", b"first")], move |talk, verb, argument| {
        let refused = verb == "RNFR";
        if refused {
            if !replaced.swap(true, Ordering::SeqCst) {
                talk.put(argument, b"another version");
            }
            talk.say("550 RNFR denied");
        }
        refused
    });
    let receiver = Receiver::start();
    let highwater = orders(&server, &receiver, "on_delivered = \"delete\"");
    highwater.run(&["once"]).code(0);
    highwater.run(&["once"]).code(0);
    let bodies: Vec<Vec<u8>> = receiver.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, [b"first".to_vec(), b"another version".to_vec()]);
    assert_eq!((server.count("DELE"), server.files().len()), (1, 0));
}

#[test]
fn a_move_that_a_server_without_renames_refuses_is_given_up_with_its_reason() {
    for refusal in REFUSALS {
        let server = without_renames(FEATURES, refusal);
        let receiver = Receiver::start();
        let highwater = orders(&server, &receiver, "on_delivered = \"move:done\"");
        highwater.run(&["once"]);
        let asked = server.count(refusal.0);
        highwater.run(&["once"]);
        assert_eq!((asked, server.count(refusal.0)), (2, 2), "{refusal:?}");
        assert_eq!(server.files(), ["a.csv", "b.csv"]);
        let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
        assert!(story.contains("the server carries out no renames") && story.contains(refusal.1), "{story}");
    }
}

#[test]
fn a_refusal_of_one_file_where_another_was_renamed_is_an_error_of_that_file() {
    let server = FaultyServer::start(FEATURES, &[("a", b"A"), ("b", b"B")], |talk, verb, argument| {
        let refused = verb == "RNFR" && argument.ends_with("/b");
        if refused {
            talk.say("550 Permission denied");
        }
        refused
    });
    let directory = arrived(&server.settings());
    assert!(matches!(directory.rename_new(b"b", b"c").expect("an answer"), Renamed::Forbidden(_)));
    assert_eq!(directory.rename_new(b"a", b"d").expect("renamed"), Renamed::Done);
    assert_eq!(directory.rename_new(b"b", b"c").expect_err("refused").kind(), ErrorKind::Denied);
}

#[test]
fn a_claim_that_a_server_without_renames_refuses_says_so_and_touches_nothing() {
    for refusal in REFUSALS {
        let server = without_renames(FEATURES, refusal);
        let receiver = Receiver::start();
        let highwater = orders(&server, &receiver, "claim = \"work/{name}\"\non_delivered = \"delete\"");
        let said = highwater.run(&["once"]);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(text.contains("so claim can't work there") && text.contains(refusal.1), "{refusal:?}: {text}");
        assert_eq!((server.files(), receiver.received().len()), (vec!["a.csv".into(), "b.csv".into()], 0));
    }
}
