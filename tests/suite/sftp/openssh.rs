//! `sftp` sources against a real OpenSSH server: every way to log in with keys, host keys, odd names, losses.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use highwater::change::{Fingerprint, Key, Kind};
use highwater::clock::Stop;
use highwater::error::ErrorKind;
use highwater::setting::Secret;
use highwater::source::settings::{HostKey, Identity, SftpSettings};
use highwater::source::{Acted, Action, ActionOrder, Source, Verdict};

use crate::support::sftp::{settings, source, with_key};
use crate::support::sshd::{Agent, Sshd, user};
use crate::support::wait_until;
use crate::support::watched::FileLedger;

fn at(sshd: &Sshd, folder: &Path) -> SftpSettings {
    let known = HostKey::KnownHosts(vec![sshd.known_hosts("ed25519", false)]);
    settings(sshd.port, &user(), &folder.display().to_string(), known)
}

fn ready(sshd: &Sshd) -> (PathBuf, SftpSettings) {
    let folder = sshd.drop_folder();
    let settings = with_key(at(sshd, &folder), sshd.new_key("ed25519", ""));
    (folder, settings)
}

#[test]
fn files_are_told_once_with_their_content_and_a_changed_one_again() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    fs::create_dir_all(folder.join("sub/deep")).expect("make");
    let large: Vec<u8> = (0..3_000_017_u32).map(|n| (n % 251) as u8).collect();
    fs::write(folder.join("large.bin"), &large).expect("write");
    fs::write(folder.join("sub/deep/b.csv"), "B").expect("write");
    fs::write(folder.join("empty"), "").expect("write");
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source).expect("a poll");
    assert!(looked.complete && looked.degraded.is_none(), "{looked:?}");
    let told = |key: &[u8]| ledger.told.iter().find(|told| told.key == key).and_then(|told| told.fingerprint);
    assert_eq!(told(b"large.bin"), Some(sha256(&large)));
    assert_eq!(told(b"empty"), Some(sha256(b"")));
    assert_eq!(ledger.take_keys(), ["empty", "large.bin", "sub/deep/b.csv"]);
    ledger.poll(&mut source).expect("a poll");
    assert!(ledger.told.is_empty(), "{:?}", ledger.told);
    fs::write(folder.join("sub/deep/b.csv"), "BB").expect("write");
    ledger.poll(&mut source).expect("a poll");
    assert_eq!((ledger.told[0].kind, ledger.take_keys()), (Kind::Changed, vec!["sub/deep/b.csv".to_owned()]));
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2, "connections are kept between polls");
}

#[test]
fn every_kind_of_key_logs_in_locked_or_not() {
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    fs::write(folder.join("a"), "A").expect("write");
    for (kind, passphrase) in [("ed25519", "open sesame"), ("ecdsa", ""), ("rsa", ""), ("rsa", "open sesame")] {
        let mut settings = with_key(at(&sshd, &folder), sshd.new_key(kind, passphrase));
        settings.passphrase = Some(Secret::literal("open sesame"));
        let mut ledger = FileLedger::default();
        ledger.poll(&mut source(&settings)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(ledger.take_keys(), ["a"], "{kind}");
    }
    assert!(sshd.log().contains("RSA SHA256:"));
}

#[test]
fn the_agent_logs_in() {
    // The agent is found by the environment, so this test runs itself again with another one.
    const SETTINGS: &str = "HIGHWATER_TEST_AGENT";
    if let Ok(text) = std::env::var(SETTINGS) {
        let parts: Vec<&str> = text.split('\n').collect();
        let known = HostKey::KnownHosts(vec![parts[2].into()]);
        let mut settings = settings(parts[0].parse().expect("a port"), &user(), parts[1], known);
        settings.identity = vec![Identity::Agent];
        let mut ledger = FileLedger::default();
        ledger.poll(&mut source(&settings)).expect("a poll");
        assert_eq!(ledger.take_keys(), ["a"]);
        return;
    }
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    fs::write(folder.join("a"), "A").expect("write");
    for kind in ["rsa", "ed25519"] {
        let agent = Agent::with(&sshd.new_key(kind, ""));
        let known = sshd.known_hosts("ed25519", false);
        let text = format!("{}\n{}\n{}", sshd.port, folder.display(), known.display());
        let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", "sftp::openssh::the_agent_logs_in"]);
        let done = again.env("SSH_AUTH_SOCK", &agent.socket).env(SETTINGS, text).output().expect("it runs");
        assert!(done.status.success(), "{kind}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

#[test]
fn a_key_the_server_does_not_know_is_refused_in_plain_words() {
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    let other = Sshd::start().new_key("ed25519", "");
    let missing = source(&with_key(at(&sshd, &folder), other)).probe().expect_err("its folder is gone");
    assert!(missing.to_string().contains("the file can't be read"), "{missing}");
    let stranger = Sshd::start();
    let settings = with_key(at(&sshd, &folder), stranger.new_key("ed25519", ""));
    let error = source(&settings).probe().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied);
    let text = error.to_string();
    assert!(text.contains(&format!("the server refused user {}: tried key ", user())), "{text}");
    assert!(text.contains("it takes publickey; check user, identity and password"), "{text}");
}

#[test]
fn a_host_is_known_hashed_or_pinned_by_any_of_its_keys() {
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    let key = sshd.new_key("ed25519", "");
    for host_key in [
        HostKey::KnownHosts(vec![sshd.known_hosts("ed25519", true)]),
        // The server prefers to show its ed25519 key; only its RSA key is known.
        HostKey::KnownHosts(vec![sshd.known_hosts("rsa", false)]),
        HostKey::Fingerprints(vec![sshd.fingerprint("ed25519")]),
        HostKey::Fingerprints(vec![sshd.fingerprint("rsa")]),
    ] {
        let shown = format!("{host_key:?}");
        let settings = settings(sshd.port, &user(), &folder.display().to_string(), host_key);
        source(&with_key(settings, key.clone())).probe().unwrap_or_else(|e| panic!("{shown}: {e}"));
    }
}

#[test]
fn a_changed_host_key_is_refused_before_anything_is_sent() {
    let mut sshd = Sshd::start();
    let folder = sshd.drop_folder();
    let file = folder.join("hosts");
    let settings = settings(sshd.port, &user(), &folder.display().to_string(), HostKey::FirstUse(file.clone()));
    let settings = with_key(settings, sshd.new_key("ed25519", ""));
    source(&settings).probe().expect("the first key is believed");
    assert!(
        fs::read_to_string(&file).expect("written").starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port))
    );
    sshd.kill();
    sshd.change_host_key("ed25519");
    sshd.resume();
    let error = source(&settings).probe().expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Denied);
    let text = error.to_string();
    assert!(text.contains("THE KEY HAS CHANGED") && text.contains(&sshd.fingerprint("ed25519")), "{text}");
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[test]
fn names_that_are_no_text_are_read_and_links_are_passed_over() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    let odd = folder.join(std::ffi::OsStr::from_bytes(b"not\xffutf8 with space"));
    fs::write(&odd, "odd").expect("write");
    std::os::unix::fs::symlink(&odd, folder.join("link")).expect("link");
    std::os::unix::fs::symlink(".", folder.join("loop")).expect("link");
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source(&settings)).expect("a poll");
    assert!(looked.complete && looked.degraded.is_none(), "{looked:?}");
    assert_eq!(ledger.told.len(), 1, "{:?}", ledger.told);
    assert_eq!(ledger.told[0].key, b"not\xffutf8 with space");
}

#[test]
fn a_name_with_a_line_break_is_refused_and_the_others_are_told() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    fs::write(folder.join("a\r\nDELE b"), "A").expect("write");
    fs::write(folder.join("b"), "B").expect("write");
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source(&settings)).expect("a poll");
    assert!(looked.complete, "{looked:?}");
    assert_eq!(ledger.take_keys(), ["b"]);
    assert_eq!(ledger.refused.len(), 1, "{:?}", ledger.refused);
    assert!(ledger.refused[0].1.contains("its name holds a line break or NUL"), "{:?}", ledger.refused);
}

#[test]
fn a_server_killed_in_the_middle_of_a_download_loses_nothing() {
    let mut sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    // Without blocks on disk, and large enough that the kill comes before the end.
    let large = fs::File::create(folder.join("large.bin")).expect("make");
    large.set_len(4 << 30).expect("grow");
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| ledger.poll(&mut source));
        wait_until("the download has begun", || sshd.reads(&folder));
        sshd.kill();
        drop(polling.join().expect("no panic"));
    });
    assert!(ledger.told.is_empty(), "{:?}", ledger.told);
    large.set_len(20 << 20).expect("shrink");
    sshd.resume();
    let looked = ledger.poll(&mut source).expect("a poll on a new connection");
    assert!(looked.degraded.is_none(), "{looked:?}");
    assert_eq!(ledger.take_keys(), ["large.bin"]);
}

#[test]
fn a_connection_that_was_lost_between_polls_is_opened_again() {
    let mut sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source).expect("a poll");
    sshd.kill();
    let error = ledger.poll(&mut source).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    sshd.resume();
    fs::write(folder.join("a"), "A").expect("write");
    ledger.poll(&mut source).expect("a poll");
    assert_eq!(ledger.take_keys(), ["a"]);
}

#[test]
fn delivered_files_are_moved_and_deleted_on_the_server_and_names_never_overwritten() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    for (name, text) in [("a.csv", "A"), ("b.csv", "B")] {
        fs::write(folder.join(name), text).expect("write");
    }
    fs::create_dir(folder.join("done")).expect("make");
    fs::write(folder.join("done/a.csv"), "another").expect("write");
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source).expect("a poll");
    let order = |name: &str, action| {
        let known = &ledger.known[&Key::from(name)];
        let (tuple, fingerprint) = (known.tuple.expect("a file"), known.fingerprint.expect("read"));
        ActionOrder { key: name.into(), tuple, fingerprint, action }
    };
    let moved = source.act(&order("a.csv", Action::Move(b"done/".to_vec()))).expect("moved");
    assert_eq!(moved, Acted::Done(Some(b"done/a-2.csv".to_vec())));
    assert_eq!(fs::read_to_string(folder.join("done/a.csv")).expect("still there"), "another");
    assert_eq!(fs::read_to_string(folder.join("done/a-2.csv")).expect("moved"), "A");
    let deep = source.act(&order("b.csv", Action::Move(b"x/y/b.csv".to_vec()))).expect("moved");
    assert_eq!(deep, Acted::Done(Some(b"x/y/b.csv".to_vec())));
    assert_eq!(source.act(&order("b.csv", Action::Delete)).expect("nothing to do"), Acted::Done(None));
}

#[test]
fn a_large_listing_is_seen_whole_and_nothing_is_read_twice() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    for n in 0..3_000 {
        fs::write(folder.join(format!("{n:05}")), "x").expect("write");
    }
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source).expect("a poll");
    assert_eq!(ledger.take_keys().len(), 3_000);
    ledger.poll(&mut source).expect("a poll");
    assert!(ledger.told.is_empty());
}

#[test]
fn a_stop_ends_a_poll_under_way() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    fs::File::create(folder.join("large.bin")).and_then(|file| file.set_len(4 << 30)).expect("make");
    let mut source = source(&settings);
    let mut ledger = FileLedger::default();
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| ledger.poll_until(&mut source, &stop));
        wait_until("the download has begun", || sshd.reads(&folder));
        stop.raise();
        let error = polling.join().expect("no panic").expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
    });
}

#[test]
fn a_missing_folder_and_a_missing_server_are_told_with_the_remedy() {
    let sshd = Sshd::start();
    let (folder, settings) = ready(&sshd);
    let missing = SftpSettings { path: format!("{}/none", folder.display()), ..settings.clone() };
    let error = source(&missing).probe().expect_err("no such folder");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/none: no such folder on the server; correct path"), "{error}");
    let lines = source(&settings).probe().expect("there");
    assert!(lines[0].ends_with("can be read; entries at its top: 0, of them files to be told: 0"), "{lines:?}");
}

#[test]
fn doctor_says_who_the_server_is_and_what_works_and_leaves_nothing_behind() {
    let sshd = Sshd::start();
    let (folder, mut settings) = ready(&sshd);
    fs::write(folder.join("a"), "A").expect("write");
    settings.directory.on_delivered = highwater::source::settings::AfterAction::Delete;
    let found = source(&settings).examine().expect("examined");
    let of = |topic: &str| {
        let finding = found.iter().find(|finding| finding.topic == topic);
        finding
            .map(|finding| (finding.verdict, finding.detail.as_str()))
            .unwrap_or_else(|| panic!("{topic}: {found:?}"))
    };
    assert!(of("server").1.starts_with("OpenSSH_"), "{found:?}");
    assert_eq!(of("host key").1, format!("ssh-ed25519 {}", sshd.fingerprint("ed25519")));
    assert_eq!(of("listing"), (Verdict::Works, "files 1, folders 0, others 0"));
    for topic in ["algorithms", "posix-rename@openssh.com", "attributes", "write", "rename-over", "rename", "clock"] {
        assert_eq!(of(topic).0, Verdict::Works, "{topic}: {found:?}");
    }
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
}

fn sha256(bytes: &[u8]) -> Fingerprint {
    use sha2::{Digest, Sha256};
    Fingerprint(Sha256::digest(bytes).into())
}
