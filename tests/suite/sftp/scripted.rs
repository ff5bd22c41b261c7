//! `sftp` sources against a server of our own: passwords, old algorithms, broken and hostile answers, limits.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater::change::Key;
use highwater::clock::Stop;
use highwater::error::{Error, ErrorKind};
use highwater::setting::{Interval, Secret};
use highwater::source::settings::{HostKey, SftpSettings};
use highwater::source::{Acted, Action, ActionOrder, Source, Verdict};
use russh::{MethodKind, Preferred, cipher, kex, mac};

use crate::support::scripted_sftp::{Fault, Script, Scripted};
use crate::support::sftp::{settings, source, source_of};
use crate::support::wait_until;
use crate::support::watched::{FileLedger, OpenAccounts};

const FILES: &[(&[u8], &[u8])] = &[(b"a.csv", b"content of a"), (b"b.csv", b"")];

fn at(server: &Scripted, passwords: &[&str]) -> SftpSettings {
    let pinned = HostKey::Fingerprints(vec![server.fingerprint.clone()]);
    let mut settings = settings(server.port, "partner", "/in", pinned);
    let passwords: Vec<String> = passwords.iter().map(|text| format!("literal:{text}")).collect();
    settings.server.password = Some(Secret::parse_all(&passwords, std::path::Path::new(".")));
    settings
}

fn with(fault: Fault) -> Scripted {
    Scripted::start(Script { fault, ..Script::default() }, FILES)
}

fn poll(server: &Scripted) -> (FileLedger, Result<highwater::source::Looked, Error>) {
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source(&at(server, &["good"])));
    (ledger, looked)
}

#[test]
fn a_password_logs_in_and_is_told_to_the_accounts() {
    for methods in [vec![MethodKind::Password], vec![MethodKind::KeyboardInteractive]] {
        let server = Scripted::start(Script { methods, ..Script::default() }, FILES);
        let accounts = Arc::new(OpenAccounts::default());
        let mut settings = at(&server, &["good"]);
        settings.server.connections = 1;
        let mut ledger = FileLedger::default();
        ledger.poll(&mut source_of(&settings, Arc::clone(&accounts))).expect("a poll");
        assert_eq!(ledger.take_keys(), ["a.csv", "b.csv"]);
        assert_eq!(accounts.said(), ["attempt good", "accepted good"]);
    }
}

#[test]
fn a_refused_password_is_sent_once_and_counted_even_when_the_server_just_hangs_up() {
    for closes_at_refusal in [false, true] {
        let script = Script { closes_at_refusal, ..Script::default() };
        let server = Scripted::start(script, FILES);
        let accounts = Arc::new(OpenAccounts::default());
        let error = source_of(&at(&server, &["bad"]), Arc::clone(&accounts)).probe().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("the server refused user partner: tried password"), "{error}");
        assert!(!error.to_string().contains("bad"), "{error}");
        assert_eq!(accounts.said(), ["attempt bad", "refused bad"]);
        assert_eq!(*server.held.passwords.lock().expect("no panic"), ["bad"]);
    }
}

#[test]
fn a_question_that_is_asked_again_is_not_answered_with_the_same_password() {
    let methods = vec![MethodKind::KeyboardInteractive];
    let server = Scripted::start(Script { methods, asks_again: true, ..Script::default() }, FILES);
    let accounts = Arc::new(OpenAccounts::default());
    let error = source_of(&at(&server, &["bad"]), Arc::clone(&accounts)).probe().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("asked again after the password"), "{error}");
    assert_eq!(accounts.said(), ["attempt bad", "refused bad"]);
    assert_eq!(*server.held.passwords.lock().expect("no panic"), ["bad"]);
}

#[test]
fn a_password_the_accounts_bar_is_never_sent() {
    let server = Scripted::start(Script::default(), FILES);
    let accounts = Arc::new(OpenAccounts::barring("bad"));
    let error = source_of(&at(&server, &["bad"]), accounts).probe().expect_err("barred");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("refused twice; resume ends it"), "{error}");
    assert!(server.held.passwords.lock().expect("no panic").is_empty());
}

#[test]
fn while_rotating_the_second_password_is_tried_and_then_kept() {
    let server = Scripted::start(Script { passwords: vec!["old"], ..Script::default() }, FILES);
    let mut settings = at(&server, &["new", "old"]);
    settings.server.connections = 1;
    let mut partner = source(&settings);
    partner.probe().expect("the second one is good");
    assert_eq!(*server.held.passwords.lock().expect("no panic"), ["new", "old"]);
    // Another account on the host takes the only slot, so that the next probe must log in again.
    settings.server.user = "another".into();
    source(&settings).probe().expect("good too");
    server.held.passwords.lock().expect("no panic").clear();
    partner.probe().expect("still good");
    assert_eq!(*server.held.passwords.lock().expect("no panic"), ["old"]);
}

#[test]
fn a_source_that_fetches_for_long_leaves_a_connection_to_another_one() {
    let server = with(Fault::ShortReads);
    let files = (0..100).map(|number| (format!("{number}").into_bytes(), vec![7; 200_000]));
    server.held.files.lock().expect("no panic").extend(files);
    let mut other = at(&server, &["good"]);
    other.server.user = "another".into();
    let settings = at(&server, &["good"]);
    let busy = std::thread::spawn(move || FileLedger::default().poll(&mut source(&settings)).map(drop));
    wait_until("both connections are in use", || server.held.open_max.load(Ordering::Relaxed) == 2);
    source(&other).probe().expect("its turn came");
    assert!(!busy.is_finished(), "it came only at the end");
    busy.join().expect("no panic").expect("the poll ends well on the connection that is left");
}

#[test]
fn a_good_password_is_refused_once_at_most_by_a_server_that_allows_no_further_login() {
    let server = Scripted::start(Script { fault: Fault::ShortReads, logins_max: 1, ..Script::default() }, &[]);
    let fill = |round: u8| {
        let files = (0..40).map(|number| (format!("{round} {number}").into_bytes(), vec![round; 20_000]));
        server.held.files.lock().expect("no panic").extend(files);
    };
    let accounts = Arc::new(OpenAccounts::default());
    let mut settings = at(&server, &["good"]);
    settings.server.connections = 8;
    let mut partner = source_of(&settings, Arc::clone(&accounts));
    let mut ledger = FileLedger::default();
    for round in 0..3 {
        fill(round);
        ledger.poll(&mut partner).expect("a poll");
        assert_eq!(ledger.take_keys().len(), 40);
    }
    assert_eq!(accounts.said(), ["attempt good", "accepted good", "attempt good", "refused good"]);
}

#[test]
fn an_old_servers_algorithms_must_be_allowed_by_name() {
    let old = Preferred {
        kex: Cow::Borrowed(&[kex::DH_G14_SHA1]),
        key: Cow::Borrowed(&[russh::keys::Algorithm::Rsa { hash: None }]),
        cipher: Cow::Borrowed(&[cipher::AES_128_CBC]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA1]),
        ..Preferred::DEFAULT
    };
    let server = Scripted::start(Script { preferred: Some(old), ..Script::default() }, FILES);
    let mut settings = at(&server, &["good"]);
    let error = source(&settings).probe().expect_err("nothing in common");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let text = error.to_string();
    assert!(text.contains("no common key exchange: the server offers only diffie-hellman-group14-sha1"), "{text}");
    assert!(text.contains("add one of its own to algorithms"), "{text}");
    settings.algorithms =
        ["diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "hmac-sha1"].map(String::from).to_vec();
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source(&settings)).expect("a poll");
    assert_eq!(ledger.take_keys(), ["a.csv", "b.csv"]);
    let found = source(&settings).examine().expect("examined");
    let algorithms = found.iter().find(|finding| finding.topic == "algorithms").expect("told");
    assert_eq!(algorithms.verdict, Verdict::Problem, "{algorithms:?}");
}

#[test]
fn entries_without_attributes_are_looked_at_and_short_reads_put_together() {
    for fault in [Fault::NoAttributes, Fault::ShortReads] {
        let server = with(fault);
        let large: Vec<u8> = (0..100_000_u32).map(|n| (n % 249) as u8).collect();
        server.held.files.lock().expect("no panic").insert(b"large".to_vec(), large.clone());
        let (mut ledger, looked) = poll(&server);
        assert!(looked.expect("a poll").degraded.is_none());
        let told = ledger.told.iter().find(|told| told.key == b"large").and_then(|told| told.fingerprint);
        use sha2::{Digest, Sha256};
        assert_eq!(told.map(|told| told.0), Some(Sha256::digest(&large).into()), "{fault:?}");
        assert_eq!(ledger.take_keys(), ["a.csv", "b.csv", "large"]);
    }
}

#[test]
fn a_listing_that_breaks_off_or_never_ends_is_never_complete() {
    for (fault, kind, words) in [
        (Fault::ListingBreaks, ErrorKind::Unavailable, "failure (as the script says)"),
        (Fault::ListingEmptyAnswers, ErrorKind::Invalid, "answers without an entry"),
    ] {
        let (ledger, looked) = poll(&with(fault));
        let error = looked.expect_err("not complete");
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
        assert!(ledger.known.is_empty(), "{fault:?}");
    }
    let (mut ledger, looked) = poll(&with(Fault::ImpossibleNames));
    let looked = looked.expect("the others are told");
    let degraded = looked.degraded.expect("one is left out");
    assert!(!looked.complete && degraded.contains("an impossible name, \"../../etc/passwd\""), "{degraded}");
    assert_eq!(ledger.take_keys(), ["a.csv", "b.csv"]);
    let server = with(Fault::ListingEndless);
    let stop = Stop::new().within(Duration::from_millis(500));
    let mut ledger = FileLedger::default();
    let error = ledger.poll_until(&mut source(&at(&server, &["good"])), &stop).expect_err("it has no end");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

#[test]
fn a_server_that_breaks_the_protocol_is_not_believed() {
    for (fault, words) in [
        (Fault::WrongId, "an answer to a request that was never made"),
        (Fault::HugePacket, "a packet of impossible length"),
        (Fault::Noise, "a packet of impossible length; is this an SFTP server, and its shell silent?"),
    ] {
        let error = poll(&with(fault)).1.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    let (ledger, looked) = poll(&with(Fault::LongReads));
    let degraded = looked.expect("the others are told").degraded.expect("one could not be read");
    assert!(degraded.contains("an answer that does not fit the question"), "{degraded}");
    assert!(ledger.told.iter().all(|told| told.key != b"a.csv"));
}

#[test]
fn a_server_that_stalls_is_given_up_after_the_idle_time() {
    let server = with(Fault::StallsAtRead);
    let mut settings = at(&server, &["good"]);
    settings.server.timeout.idle = Interval::from_millis(300);
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source(&settings)).expect("the listing was whole");
    assert!(looked.degraded.expect("not read").contains("no answer within 0.3 s"));
    assert!(ledger.told.is_empty());
}

#[test]
fn a_download_that_was_cut_is_read_again_whole_at_the_next_poll() {
    let server = with(Fault::CutsAtRead);
    let mut partner = source(&at(&server, &["good"]));
    let mut ledger = FileLedger::default();
    let first = ledger.poll(&mut partner).expect("the listing was whole");
    assert!(first.degraded.is_some(), "{first:?}");
    ledger.poll(&mut partner).expect("a poll");
    assert_eq!(ledger.take_keys(), ["a.csv", "b.csv"]);
}

#[test]
fn a_move_overwrites_nothing_even_where_renames_do() {
    let server = with(Fault::RenameOverwrites);
    let mut partner = source(&at(&server, &["good"]));
    let mut ledger = FileLedger::default();
    ledger.poll(&mut partner).expect("a poll");
    server.held.files.lock().expect("no panic").insert(b"taken.csv".to_vec(), b"another".to_vec());
    let known = &ledger.known[&Key::from("a.csv")];
    let order = ActionOrder {
        key: "a.csv".into(),
        tuple: known.tuple.expect("a file"),
        fingerprint: known.fingerprint.expect("read"),
        action: Action::Move(b"taken.csv".to_vec()),
    };
    assert_eq!(partner.act(&order).expect("moved"), Acted::Done(Some(b"taken-2.csv".to_vec())));
    let files = server.held.files.lock().expect("no panic");
    assert_eq!(files.get(&b"taken.csv"[..]).map(Vec::as_slice), Some(&b"another"[..]));
    assert_eq!(files.get(&b"taken-2.csv"[..]).map(Vec::as_slice), Some(&b"content of a"[..]));
}

#[test]
fn sources_of_one_account_share_connections_and_a_host_never_gets_more_than_allowed() {
    let server = with(Fault::None);
    for n in 0..40 {
        let mut files = server.held.files.lock().expect("no panic");
        files.insert(format!("{n}.bin").into_bytes(), vec![n; 70_000]);
    }
    let settings = at(&server, &["good"]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut ledger = FileLedger::default();
                ledger.poll(&mut source(&settings)).expect("a poll");
                assert_eq!(ledger.take_keys().len(), 42);
            });
        }
    });
    let most = server.held.open_max.load(Ordering::Relaxed);
    assert!(most <= 2, "{most} connections at once");
    let before = server.held.connections.load(Ordering::Relaxed);
    source(&settings).probe().expect("a connection waits");
    assert_eq!(server.held.connections.load(Ordering::Relaxed), before);
}
