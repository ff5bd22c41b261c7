//! What comes between on the way from an FTP server through the program: kill -9 in the middle of a download and of a move,
//! uploads that take their time, passwords that are wrong.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::ftp::faulty::{FEATURES, FaultyServer, Talk};
use crate::support::ftp::real::{ALL, FtpServer, Tls};
use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;

/// More than the sockets between hold: half of it was read when half of it was sent.
const BIG_BYTES: usize = 24_000_000;

pub(super) fn source(name: &str, port: u16, user: &str, path: &str, more: &str) -> String {
    format!(
        "[source.{name}]\nkind = \"ftp\"\nurl = \"ftp://{user}@127.0.0.1:{port}\"\npassword = \"env:FTP_PASSWORD\"\n\
         path = \"{path}\"\nto = [\"erp\"]\n{more}\n"
    )
}

pub(super) fn sink(receiver: &Receiver) -> String {
    format!("[sink.erp]\nkind = \"http\"\nurl = \"{}\"\ncontent = \"raw\"\n", receiver.url("/hook"))
}

pub(super) fn plant(config: &str, password: &str) -> Highwater {
    let mut highwater = Highwater::with_config(config);
    highwater.set_env("FTP_PASSWORD", password);
    highwater
}

pub(super) fn orders(server: &FaultyServer, receiver: &Receiver, more: &str) -> Highwater {
    let said = format!("stable_for = \"0s\"\n{more}");
    plant(&(source("orders", server.port, "partner", "/in", &said) + &sink(receiver)), "secret")
}

fn told(highwater: &Highwater) -> usize {
    highwater.run(&["events", "--json", "--limit", "0"]).json_lines().len()
}

pub(super) fn delivered(receiver: &Receiver) -> BTreeSet<(String, Vec<u8>)> {
    receiver.received().into_iter().map(|received| (received.id, received.body)).collect()
}

/// What is delivered when nothing comes between: ids and contents.
fn undisturbed(files: &[(&str, &[u8])]) -> BTreeSet<(String, Vec<u8>)> {
    let server = FaultyServer::start(FEATURES, files, |_, _, _| false);
    let receiver = Receiver::start();
    orders(&server, &receiver, "").run(&["once"]).code(0);
    delivered(&receiver)
}

#[test]
fn killed_in_the_middle_of_a_download_the_file_is_told_once_whole_and_under_its_id() {
    let big: Vec<u8> = (0_u32..).flat_map(u32::to_le_bytes).take(BIG_BYTES).collect();
    let files: &[(&str, &[u8])] = &[("a.csv", b"small"), ("b.bin", &big)];
    let half_sent = Arc::new(AtomicBool::new(false));
    let sent = Arc::clone(&half_sent);
    let server = FaultyServer::start(FEATURES, files, move |talk, verb, argument| {
        let stalls = verb == "RETR" && argument.ends_with("b.bin") && !sent.load(Ordering::SeqCst);
        if stalls {
            talk.say("150 here it comes");
            let half = talk.file(argument).expect("there");
            let mut data = talk.data();
            let _ = data.write_all(&half[..BIG_BYTES / 2]);
            sent.store(true, Ordering::SeqCst);
            talk.stall();
        }
        stalls
    });
    let receiver = Receiver::start();
    let highwater = orders(&server, &receiver, "");
    let mut running = highwater.spawn(&["run"]);
    running.wait_for("half of the file was read", |_| half_sent.load(Ordering::SeqCst));
    running.kill();
    highwater.run(&["once"]).code(0);
    assert_eq!(delivered(&receiver), undisturbed(files));
    highwater.run(&["once"]).code(0);
    assert_eq!((told(&highwater), delivered(&receiver).len()), (2, 2), "nothing is told as something new");
}

/// A server that stays silent after the RNTO with this number, whether it carried it out or not.
fn silent_at(nth: usize, carried_out: bool, files: &[(&str, &[u8])]) -> (FaultyServer, Arc<AtomicBool>) {
    let silent = Arc::new(AtomicBool::new(false));
    let reached = Arc::clone(&silent);
    let server = FaultyServer::start(FEATURES, files, move |talk: &mut Talk, verb, argument| {
        let stalls = verb == "RNTO" && talk.before == nth;
        if stalls {
            if carried_out {
                talk.carry_out_rename(argument);
            }
            reached.store(true, Ordering::SeqCst);
            talk.stall();
        }
        stalls
    });
    (server, silent)
}

#[test]
fn killed_in_the_middle_of_a_move_every_file_arrives_once_and_keeps_its_id() {
    let files: &[(&str, &[u8])] = &[("a.csv", b"first"), ("b.csv", b"second")];
    let expected = undisturbed(files);
    // The first rename takes a file aside, the second one to its place.
    for (nth, carried_out) in [(0, false), (0, true), (1, false), (1, true)] {
        let about = format!("RNTO {nth}, carried out: {carried_out}");
        let (server, silent) = silent_at(nth, carried_out, files);
        let receiver = Receiver::start();
        let highwater = orders(&server, &receiver, "on_delivered = \"move:done\"");
        let mut running = highwater.spawn(&["run"]);
        running.wait_for(&about, |_| silent.load(Ordering::SeqCst));
        running.kill();
        highwater.run(&["once"]).code(0);
        assert_eq!(server.files(), ["done/a.csv", "done/b.csv"], "{about}");
        assert_eq!(delivered(&receiver), expected, "{about}");
        highwater.run(&["once"]).code(0);
        assert_eq!((told(&highwater), delivered(&receiver)), (2, expected.clone()), "{about}");
        assert_eq!(server.files(), ["done/a.csv", "done/b.csv"], "{about}");
    }
}

#[test]
fn a_file_that_came_cut_although_226_was_said_is_told_when_it_comes_whole() {
    let files: &[(&str, &[u8])] = &[("a.csv", b"all of it"), ("b.csv", b"second")];
    let cuts = Arc::new(AtomicBool::new(true));
    let cut = Arc::clone(&cuts);
    let server = FaultyServer::start(FEATURES, files, move |talk, verb, argument| {
        let cuts = verb == "RETR" && argument.ends_with("a.csv") && cut.load(Ordering::SeqCst);
        if cuts {
            talk.send(b"all");
            talk.say("226 done");
        }
        cuts
    });
    let receiver = Receiver::start();
    let highwater = orders(&server, &receiver, "");
    // However often: its size is announced as another one.
    for _ in 0..3 {
        highwater.run(&["once"]).code(0);
        let bodies: Vec<Vec<u8>> = delivered(&receiver).into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, [b"second".to_vec()]);
    }
    let why = highwater.run(&["explain", "orders", "a.csv"]).ok();
    assert!(why.contains("chang"), "{why}");
    cuts.store(false, Ordering::SeqCst);
    highwater.run(&["once"]).code(0);
    assert_eq!(delivered(&receiver), undisturbed(files));
    assert_eq!(told(&highwater), 2);
}

#[test]
fn a_file_that_is_uploaded_slowly_is_told_once_and_whole() {
    std::thread::scope(|threads| {
        for kind in ALL {
            threads.spawn(move || uploaded_slowly(&FtpServer::start(kind, Tls::Off)));
        }
    });
}

fn uploaded_slowly(server: &FtpServer) {
    let kind = server.kind;
    let receiver = Receiver::start();
    let settings = server.settings();
    let quick = "every = \"250ms\"\nstable_for = \"2s\"";
    let config = source("orders", server.port, &settings.server.user, &settings.path, quick) + &sink(&receiver);
    let password = settings.server.password.expect("a password").reveal().expect("a literal");
    let highwater = plant(&config, &password);
    server.put("earlier.csv", "earlier");
    let running = highwater.spawn(&["run"]);
    receiver.wait_for(1);
    server.put("slow.csv", "");
    let mut file = OpenOptions::new().append(true).open(server.root().join("slow.csv")).expect("open");
    let mut whole = Vec::new();
    for line in 0..60 {
        let bytes = format!("{line:04};").repeat(100);
        file.write_all(bytes.as_bytes()).expect("write");
        whole.extend_from_slice(bytes.as_bytes());
        // The pace of the upload: 5 KB a second.
        std::thread::sleep(Duration::from_millis(100));
    }
    let received = receiver.wait_for(2);
    assert!(received[1].body == whole, "{kind:?}: {} of {} bytes", received[1].body.len(), whole.len());
    running.kill();
    highwater.run(&["once"]).code(0);
    assert_eq!((told(&highwater), delivered(&receiver).len()), (2, 2), "{kind:?}");
}

#[test]
fn a_wrong_password_reaches_the_server_twice_over_restarts_and_sources_of_the_account() {
    let server = FaultyServer::start(FEATURES, &[("a", b"A")], |talk, verb, argument| {
        let refused = verb == "PASS" && argument != "secret";
        if refused {
            talk.say("530 Login incorrect");
        }
        refused
    });
    let receiver = Receiver::start();
    let config = source("orders", server.port, "partner", "/in", "stable_for = \"0s\"")
        + &source("invoices", server.port, "partner", "/in", "stable_for = \"0s\"")
        + &sink(&receiver);
    let mut highwater = plant(&config, "hunter2");
    for command in [&["once"][..], &["once"], &["check", "--connect"], &["peek", "invoices"], &["once"]] {
        let said = highwater.run(command).code(3);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains("hunter2"), "{command:?}");
    }
    assert_eq!((server.count("PASS"), server.sessions()), (2, 2), "a held account's server is not even called");
    let said = highwater.run(&["once"]).code(3);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("auth_refused"), "{}", said.stderr);
    assert_eq!(server.sessions(), 2);
    // Another secret is another matter, for both.
    highwater.set_env("FTP_PASSWORD", "secret");
    highwater.run(&["once"]).code(0);
    assert_eq!(receiver.received().len(), 2);
}
