//! After-actions on a server that carries out no renames: what is deleted there was looked at first, and what can't be moved
//! is said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater::change::{Fingerprint, Key};
use highwater::error::{ErrorKind, Result};
use highwater::source::directory::action::act;
use highwater::source::directory::place::{Directory, Renamed};
use highwater::source::{Acted, Action, ActionOrder};

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
    for refusal in REFUSALS.into_iter().filter(|refusal| refusal.0 == "RNFR") {
        let server = without_renames(FEATURES, refusal);
        let receiver = Receiver::start();
        let highwater = orders(&server, &receiver, "on_delivered = \"move:done\"");
        highwater.run(&["once"]);
        let asked = server.count(refusal.0);
        highwater.run(&["once"]);
        assert_eq!(server.count(refusal.0), asked, "{refusal:?}");
        assert_eq!(server.files(), ["a.csv", "b.csv"]);
        let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
        assert!(story.contains("the server carries out no renames") && story.contains(refusal.1), "{story}");
    }
}

/// The outcome of the first rename on a server that refuses one of its two commands for `b`, and not for other files.
fn first_rename(verb: &'static str, refusal: &'static str) -> Result<Renamed> {
    let server = FaultyServer::start(FEATURES, &[("a", b"A"), ("b", b"B")], move |talk, said, argument| {
        let refused = said == verb && matches!(argument, "/in/b" | "/in/c");
        if refused {
            talk.say(refusal);
        }
        refused
    });
    let directory = arrived(&server.settings());
    let renamed = directory.rename_new(b"b", b"c");
    assert_eq!(directory.rename_new(b"a", b"d").expect("renamed"), Renamed::Done, "{refusal}");
    assert_eq!(server.files(), ["b", "d"], "{refusal}");
    renamed
}

#[test]
fn only_a_command_that_is_not_implemented_or_refused_for_any_name_says_that_a_server_renames_nothing() {
    for verb in ["RNFR", "RNTO"] {
        for whole in ["500 what?", "502 not implemented", "504 not for that parameter"] {
            let renamed = first_rename(verb, whole);
            assert!(matches!(renamed, Ok(Renamed::Forbidden(_))), "{verb} {whole}: {renamed:?}");
        }
        for (alone, kind) in [
            ("450 it is in use", ErrorKind::Unavailable),
            ("451 local error", ErrorKind::Unavailable),
            ("550 it is in use", ErrorKind::Denied),
            ("553 name too long", ErrorKind::Denied),
        ] {
            assert_eq!(first_rename(verb, alone).expect_err(alone).kind(), kind, "{verb} {alone}");
        }
    }
    let denied = first_rename("RNFR", "550 Permission denied");
    assert_eq!(denied.expect_err("refused").kind(), ErrorKind::Denied, "another name is not refused so");
    // Whether RNTO is refused for other names can't be found out without renaming something.
    for refusal in ["550 Permission denied", "553 Prohibited file name"] {
        let renamed = first_rename("RNTO", refusal);
        assert!(matches!(renamed, Ok(Renamed::Refused(_))), "{refusal}: {renamed:?}");
    }
}

#[test]
fn a_refusal_of_one_file_where_another_was_renamed_is_an_error_of_that_file() {
    for verb in ["RNFR", "RNTO"] {
        let server = FaultyServer::start(FEATURES, &[("a", b"A"), ("b", b"B")], move |talk, said, argument| {
            let refused = said == verb && matches!(argument, "/in/b" | "/in/c");
            if refused {
                talk.say("550 Permission denied");
            }
            refused
        });
        let directory = arrived(&server.settings());
        assert_eq!(directory.rename_new(b"a", b"d").expect("renamed"), Renamed::Done);
        assert_eq!(directory.rename_new(b"b", b"c").expect_err("refused").kind(), ErrorKind::Denied, "{verb}");
    }
}

#[test]
fn a_move_that_is_refused_for_one_file_is_not_given_up() {
    for (verb, refusal) in [("RNFR", "550 Permission denied."), ("RNTO", "550 Permission denied.")] {
        let refuses = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&refuses);
        let server = FaultyServer::start(FEATURES, &[("a.csv", b"first")], move |talk, said, argument| {
            let named = said == "RNTO" || argument.ends_with("a.csv");
            let refused = said == verb && named && still.load(Ordering::SeqCst);
            if refused {
                talk.say(refusal);
            }
            refused
        });
        let directory = arrived(&server.settings());
        let tuple = directory.look(b"a.csv").expect("a look").expect("there").tuple;
        let (key, fingerprint) = (Key::from("a.csv"), Fingerprint::of(b"first"));
        let order = ActionOrder { key, tuple, fingerprint, action: Action::Move(b"done/a.csv".to_vec()) };
        let refused = act(&directory, &order).expect_err("refused");
        assert!(refused.to_string().contains("Permission denied"), "{verb}: {refused}");
        refuses.store(false, Ordering::SeqCst);
        assert_eq!(act(&directory, &order).expect("moved"), Acted::Done(Some(b"done/a.csv".to_vec())));
        assert_eq!(server.files(), ["done/a.csv"]);
    }
}

#[test]
fn a_claim_that_a_server_without_renames_refuses_says_so_and_touches_nothing() {
    for refusal in REFUSALS {
        let server = without_renames(FEATURES, refusal);
        let receiver = Receiver::start();
        let highwater = orders(&server, &receiver, "claim = \"work/{name}\"\non_delivered = \"delete\"");
        let said = highwater.run(&["once"]);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(text.contains("can't be claimed") && text.contains(refusal.1), "{refusal:?}: {text}");
        assert_eq!((server.files(), receiver.received().len()), (vec!["a.csv".into(), "b.csv".into()], 0));
    }
}
