//! What is tried at an SFTP server, and how often: keys and passwords, one after the other and both together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater::clock::{Clock, Stop, SystemClock};
use highwater::error::ErrorKind;
use highwater::poll::logins::{Logins, is_spent};
use highwater::setting::{Secret, SourceName};
use highwater::source::directory::SftpSource;
use highwater::source::settings::{HostKey, Identity, SftpSettings};
use highwater::source::{Accounts, Source};
use highwater::store::sqlite::SqliteStore;
use russh::MethodKind;

use crate::support::highwater::Highwater;
use crate::support::postgres::RUNTIME;
use crate::support::scripted_sftp::{Keys, Script, Scripted};
use crate::support::sftp::{settings, source_of};
use crate::support::sshd::{Agent, Sshd, make_key, run, user};
use crate::support::watched::OpenAccounts;

/// A key, and what it takes to count logins as the program does.
struct Desk {
    folder: tempfile::TempDir,
    accounts: Arc<dyn Accounts>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_key(&folder.path().join("id"), "ed25519", "");
        let book = Arc::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let accounts = Logins::of(&SourceName::new("partner"), book, clock);
        Self { folder, accounts }
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("id")
    }

    fn source(&self, settings: &SftpSettings) -> SftpSource {
        let runtime = RUNTIME.handle().clone();
        SftpSource::new(&SourceName::new("partner"), settings, None, self.accounts.clone(), runtime).expect("settings")
    }
}

fn at(server: &Scripted, key: &Path, passwords: &[&str]) -> SftpSettings {
    let pinned = HostKey::Fingerprints(vec![server.fingerprint.clone()]);
    let mut settings = settings(server.port, "partner", "/in", pinned);
    settings.identity = vec![Identity::File(key.to_owned())];
    let passwords: Vec<String> = passwords.iter().map(|text| format!("literal:{text}")).collect();
    settings.server.password = (!passwords.is_empty()).then(|| Secret::parse_all(&passwords, Path::new(".")));
    settings
}

fn script(keys: Keys, methods: &[MethodKind]) -> Scripted {
    Scripted::start(Script { keys, methods: methods.to_vec(), ..Script::default() }, &[(b"a.csv", b"A")])
}

fn connections(server: &Scripted) -> usize {
    server.held.connections.load(Ordering::Relaxed)
}

#[test]
fn a_key_that_was_refused_twice_is_held_and_its_server_is_not_called_again_until_the_key_changes() {
    for (keys, signatures) in [(Keys::Unknown, 0), (Keys::RefusedWhenSigned, 2)] {
        let server = script(keys, &[MethodKind::PublicKey]);
        let desk = Desk::new();
        let settings = at(&server, &desk.key(), &[]);
        for _ in 0..2 {
            let error = desk.source(&settings).probe().expect_err("refused");
            assert!(error.to_string().contains("the server refused user partner: tried key "), "{error}");
            assert!(!is_spent(&error), "{error}");
        }
        for _ in 0..3 {
            let error = desk.source(&settings).probe().expect_err("held");
            assert!(is_spent(&error), "{error}");
        }
        let (shown, signed) = (&server.held.keys, &server.held.signatures);
        assert_eq!((shown.load(Ordering::Relaxed), signed.load(Ordering::Relaxed)), (2, signatures), "{keys:?}");
        assert_eq!(connections(&server), 2, "{keys:?}");
        std::fs::remove_file(desk.key()).expect("remove");
        make_key(&desk.key(), "ed25519", "");
        let error = desk.source(&settings).probe().expect_err("refused too");
        assert!(!is_spent(&error) && connections(&server) == 3, "{error}");
    }
}

#[test]
fn a_refused_key_beside_a_good_password_is_shown_twice_and_then_left_out() {
    let server = script(Keys::Unknown, &[MethodKind::PublicKey, MethodKind::Password]);
    let desk = Desk::new();
    for cipher in ["aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-gcm@openssh.com"] {
        let mut settings = at(&server, &desk.key(), &["good"]);
        // A connection is only used again by sources with the same settings.
        settings.algorithms = vec![cipher.to_owned()];
        desk.source(&settings).probe().expect("the password is good");
    }
    assert_eq!((server.held.keys.load(Ordering::Relaxed), connections(&server)), (2, 4));
}

#[test]
fn a_key_that_the_server_wants_a_password_besides_is_accepted_and_only_the_password_counts() {
    for way in [MethodKind::Password, MethodKind::KeyboardInteractive] {
        let server = script(Keys::FirstOfTwo, &[MethodKind::PublicKey, way]);
        let desk = Desk::new();
        let accounts = Arc::new(OpenAccounts::default());
        source_of(&at(&server, &desk.key(), &["good"]), Arc::clone(&accounts)).probe().expect("both are good");
        let said: Vec<String> = accounts.said().iter().map(|line| line.replace(char::from(0), "|")).collect();
        assert!(said[0].starts_with("attempt |ssh key|") && said[1].starts_with("accepted |ssh key|"), "{said:?}");
        assert_eq!(said[2..], ["attempt good", "accepted good"]);
    }
}

#[test]
fn a_wrong_second_factor_holds_the_login_although_the_key_is_good() {
    let server = script(Keys::FirstOfTwo, &[MethodKind::PublicKey, MethodKind::Password]);
    let desk = Desk::new();
    let mut source = desk.source(&at(&server, &desk.key(), &["bad"]));
    for _ in 0..2 {
        assert!(!is_spent(&source.probe().expect_err("refused")));
    }
    // Only a look at the server tells that the key alone is not enough; it is taken once by each source.
    for _ in 0..4 {
        let error = source.probe().expect_err("held");
        assert!(is_spent(&error), "{error}");
    }
    assert_eq!(server.held.passwords.lock().expect("no panic").len(), 2);
    assert_eq!(connections(&server), 3);
    desk.source(&at(&server, &desk.key(), &["good"])).probe().expect("another password is another matter");
}

#[test]
fn the_agents_keys_count_together_and_some_are_shown_at_most() {
    // The agent is found by the environment, so this test runs itself again with another one.
    const SETTINGS: &str = "HIGHWATER_TEST_AGENT_OF_STRANGERS";
    if let Ok(port) = std::env::var(SETTINGS) {
        let (port, fingerprint) = port.split_once(' ').expect("both");
        let pinned = HostKey::Fingerprints(vec![fingerprint.to_owned()]);
        let mut settings = settings(port.parse().expect("a port"), "partner", "/in", pinned);
        settings.identity = vec![Identity::Agent];
        let desk = Desk::new();
        for spent in [false, false, true, true] {
            let error = desk.source(&settings).probe().expect_err("refused");
            assert_eq!(is_spent(&error), spent, "{error}");
        }
        return;
    }
    let server = script(Keys::Unknown, &[MethodKind::PublicKey]);
    let keys = tempfile::tempdir().expect("a folder");
    let agent = Agent::with(&new_key(keys.path(), 0));
    for number in 1..8 {
        let key = new_key(keys.path(), number);
        run(std::process::Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.socket));
    }
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "sftp::logins::the_agents_keys_count_together_and_some_are_shown_at_most"]);
    let place = format!("{} {}", server.port, server.fingerprint);
    let done = again.env("SSH_AUTH_SOCK", &agent.socket).env(SETTINGS, place).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!((connections(&server), server.held.keys.load(Ordering::Relaxed)), (2, 2 * 5));
}

fn new_key(folder: &Path, number: usize) -> PathBuf {
    let path = folder.join(format!("id_{number}"));
    make_key(&path, "ed25519", "");
    path
}

#[test]
fn the_program_shows_a_real_server_a_strange_key_twice_and_never_calls_it_again() {
    let sshd = Sshd::start_with("LogLevel VERBOSE");
    let folder = sshd.drop_folder();
    let key = folder.join("id");
    make_key(&key, "ed25519", "");
    std::fs::write(folder.join("a.csv"), "A").expect("write");
    let text = format!(
        "[source.orders]\nkind = \"sftp\"\nurl = \"sftp://{}@127.0.0.1:{}\"\npath = \"{}\"\nidentity = \"{}\"\n\
         include = [\"*.csv\"]\nhost_key = \"{}\"\nstable_for = \"0s\"\nto = [\"seen\"]\n\n\
         [sink.seen]\nkind = \"script\"\ncommand = [\"true\"]\n",
        user(),
        sshd.port,
        folder.display(),
        key.display(),
        sshd.fingerprint("ed25519"),
    );
    let highwater = Highwater::with_config(&text);
    let calls = || sshd.log().matches("Connection from ").count();
    let before = calls();
    for command in [&["once"][..], &["peek", "orders"], &["once"], &["check", "--connect"], &["once"]] {
        let said = highwater.run(command);
        assert!(said.status != Some(0), "{command:?}: {}", said.stderr);
    }
    assert_eq!(calls() - before, 2, "{}", sshd.log());
    let said = highwater.run(&["once"]).code(3);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("auth_refused"), "{}", said.stderr);
    std::fs::copy(sshd.new_key("ed25519", ""), &key).expect("a key that the server knows");
    highwater.run(&["once"]).code(0);
}

#[test]
fn a_login_that_waits_for_another_of_its_account_can_be_stopped() {
    let server = script(Keys::Unknown, &[MethodKind::Password]);
    let desk = Desk::new();
    let settings = at(&server, &desk.key(), &["good"]);
    let account = format!("sftp://partner@127.0.0.1:{}", server.port);
    for _ in 0..2 {
        desk.accounts.attempt(&account, b"good", &Stop::new()).expect("under way elsewhere");
    }
    let stop = Stop::new();
    let mut source = desk.source(&settings);
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| crate::support::watched::FileLedger::default().poll_until(&mut source, &stop));
        crate::support::wait_until("the login has begun", || connections(&server) == 1);
        stop.raise();
        let began = std::time::Instant::now();
        let error = polling.join().expect("no panic").expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
        assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    });
    assert!(server.held.passwords.lock().expect("no panic").is_empty());
}
