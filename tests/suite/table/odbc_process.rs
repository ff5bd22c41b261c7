//! The ODBC helper when it is missing, crashes, hangs or speaks nonsense: scripts stand in for it, no driver is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater::clock::Stop;
use highwater::error::{Error, ErrorKind};
use highwater::setting::{Interval, Secret, SourceName};
use highwater::source::settings::OdbcSettings;
use highwater::source::table::OdbcSource;

use super::{Bench, table};
use crate::support::accounts::Unguarded;
use crate::support::wait_until;

struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Self { folder };
        fs::write(script.path(), format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(script.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        script
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("helper")
    }

    fn bench(&self) -> Bench {
        bench(self.path())
    }

    fn error(&self) -> Error {
        self.bench().try_poll().expect_err("the poll fails")
    }
}

fn bench(helper: PathBuf) -> Bench {
    let settings = OdbcSettings {
        connection: Secret::literal("Driver=x;Server=db;UID=me;PWD=sesame"),
        password: None,
        helper: Some(helper),
        connect_timeout: Interval::from_secs(1),
        answer_timeout: Interval::from_secs(1),
        table: table("item", &["at"], &["id"]),
    };
    let source = OdbcSource::new(&SourceName::new("erp"), &settings, Arc::new(Unguarded)).expect("a source");
    Bench::new(Box::new(source))
}

/// What a helper says first.
const HELLO: &str = "printf '\\000\\000\\000\\005\\001\\000\\000\\000\\001'";

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(!text.contains('\n') && !text.contains("sesame"), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_missing_helper_is_named_with_its_remedy() {
    let error = bench("/nowhere/highwater-odbc".into()).try_poll().expect_err("no helper");
    says(&error, ErrorKind::NotFound, &["/nowhere/highwater-odbc", "cargo build --release --features odbc"]);
}

#[test]
fn a_helper_without_driver_manager_says_what_to_install() {
    let script = Script::new("echo 'error while loading shared libraries: libodbc.so.2: cannot open' >&2; exit 127");
    says(&script.error(), ErrorKind::Unavailable, &["exit code 127", "unixodbc", "libodbc.so.2"]);
}

#[test]
fn a_driver_that_crashes_is_unavailable_and_the_next_poll_starts_another() {
    let script = Script::new(&format!("{HELLO}; echo x >>\"$0.count\"; head -c 5 >/dev/null; kill -SEGV $$"));
    let mut bench = script.bench();
    for _ in 0..2 {
        says(&bench.try_poll().expect_err("a crash"), ErrorKind::Unavailable, &["crashed (signal 11)", "odbc:x/db"]);
    }
    let starts = fs::read_to_string(script.folder.path().join("helper.count")).expect("the count");
    assert_eq!(starts.lines().count(), 2);
}

#[test]
fn a_driver_that_hangs_is_killed_with_all_its_children() {
    let script = Script::new(&format!("{HELLO}; sleep 1000 & echo $! >\"$0.child\"; kill -STOP $$"));
    let began = Instant::now();
    says(&script.error(), ErrorKind::TimedOut, &["connect to odbc:x/db", "within 1 s"]);
    assert!(began.elapsed() < Duration::from_secs(20));
    let child = fs::read_to_string(script.folder.path().join("helper.child")).expect("the child's id");
    wait_until("the child is gone", || {
        let state = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
}

#[test]
fn a_raised_stop_ends_the_wait_for_a_helper() {
    let script = Script::new("sleep 1000");
    let stop = Stop::new();
    let raised = stop.clone();
    let raiser = std::thread::spawn(move || raised.raise());
    let error = script.bench().poll_until(&stop).expect_err("stopped");
    raiser.join().expect("it was raised");
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
}

#[test]
fn what_is_no_helper_is_noticed() {
    let other = Script::new("printf '\\000\\000\\000\\005\\001\\000\\000\\000\\011'; cat >/dev/null");
    says(&other.error(), ErrorKind::Config, &["version 9"]);
    let nonsense = Script::new("echo 'Usage: something else'; cat >/dev/null");
    says(&nonsense.error(), ErrorKind::Unavailable, &["can't be read"]);
}
