//! Sources that share the few connections of one SFTP host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater::clock::Stop;
use highwater::error::ErrorKind;
use highwater::setting::{Interval, Secret};
use highwater::source::Source;
use highwater::source::settings::{HostKey, SftpSettings};

use crate::support::scripted_sftp::{Fault, Script, Scripted};
use crate::support::sftp::{settings, source};
use crate::support::wait_until;
use crate::support::watched::FileLedger;

/// Many files, each of which takes many requests; no login is taken while another connection is open.
fn slow_server() -> Scripted {
    let server = Scripted::start(Script { fault: Fault::ShortReads, logins_max: 1, ..Script::default() }, &[]);
    let files = (0..60).map(|number| (format!("{number}").into_bytes(), vec![7; 150_000]));
    server.held.files.lock().expect("no panic").extend(files);
    server
}

/// A source of an account of its own: it can't use another one's connection.
fn at(server: &Scripted, user: &str) -> SftpSettings {
    let pinned = HostKey::Fingerprints(vec![server.fingerprint.clone()]);
    let mut settings = settings(server.port, user, "/in", pinned);
    settings.server.password = Some(Secret::literal("good"));
    settings.server.connections = 1;
    // Far less than the others' polls take.
    settings.server.timeout.idle = Interval::from_millis(300);
    settings.server.timeout.reply = Interval::from_millis(300);
    settings
}

#[test]
fn a_source_waits_for_its_turn_at_the_only_connection_and_fails_no_poll() {
    let server = slow_server();
    let ended = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for user in ["one", "two", "three"] {
            let (settings, ended) = (at(&server, user), Arc::clone(&ended));
            scope.spawn(move || {
                let mut ledger = FileLedger::default();
                let looked = ledger.poll(&mut source(&settings)).expect("a poll");
                assert!(looked.degraded.is_none(), "{looked:?}");
                assert_eq!(ledger.take_keys().len(), 60);
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(ended.load(Ordering::Relaxed), 3);
}

#[test]
fn a_long_poll_leaves_the_only_connection_to_a_source_that_waits_and_goes_on_after_it() {
    let server = slow_server();
    let mut long = at(&server, "long");
    long.server.timeout.connect = Interval::from_millis(400);
    let polling = std::thread::spawn(move || {
        let mut ledger = FileLedger::default();
        let looked = ledger.poll(&mut source(&long)).expect("a poll");
        (looked, ledger.take_keys().len())
    });
    wait_until("the long poll has begun", || server.held.reads.load(Ordering::Relaxed) > 0);
    source(&at(&server, "short")).probe().expect("its turn came");
    assert!(!polling.is_finished(), "it came only at the end");
    let (looked, told) = polling.join().expect("no panic");
    assert!(looked.degraded.is_none() && told == 60, "{looked:?}, {told} files");
}

#[test]
fn a_source_that_waits_for_its_turn_can_be_stopped() {
    let server = slow_server();
    let (first, second) = (at(&server, "one"), at(&server, "two"));
    let (first_stop, stop) = (Stop::new(), Stop::new());
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| FileLedger::default().poll_until(&mut source(&first), &first_stop).map(drop));
        wait_until("the first one reads", || server.held.reads.load(Ordering::Relaxed) > 0);
        let waiting = scope.spawn(|| FileLedger::default().poll_until(&mut source(&second), &stop));
        stop.raise();
        let error = waiting.join().expect("no panic").expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
        first_stop.raise();
        assert!(busy.join().expect("no panic").is_err());
    });
}
