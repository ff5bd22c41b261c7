//! The script sink with scripts that behave, and that misbehave.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use highwater::change::{Content, Kind};
use highwater::clock::Timestamp;
use highwater::event::Event;
use highwater::setting::{Secret, SinkName, Template};
use highwater::sink::script::ScriptSink;
use highwater::sink::settings::{ExitCodes, ScriptSettings, Stdin};
use highwater::sink::{Attempt, Outcome, Report, Sink};

use crate::sending::{delivery, spool};
use crate::support::event::file_event;
use crate::support::wait_until;

const TRANSIENT: Outcome = Outcome::Transient { retry_after: None };

/// A folder with one script, and the sink that runs it.
struct Stand {
    folder: tempfile::TempDir,
    settings: ScriptSettings,
    timeout: Duration,
}

impl Stand {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stand = Self {
            settings: ScriptSettings {
                command: vec![Template::parse("./load.sh", &[]).expect("plain")],
                stdin: Stdin::Event,
                env: Vec::new(),
                cwd: folder.path().to_owned(),
                exit: ExitCodes::default(),
                base: folder.path().to_owned(),
            },
            folder,
            timeout: Duration::from_secs(20),
        };
        stand.write(&format!("#!/bin/sh\n{script}\n"));
        stand
    }

    fn write(&self, script: &str) {
        let path = self.path("load.sh");
        std::fs::write(&path, script).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    fn argument(mut self, text: &str) -> Self {
        self.settings.command.push(Template::parse(text, &["file", "event_file"]).expect("placeholders"));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run_folder(&self) -> PathBuf {
        self.path("run")
    }

    fn sink(&self) -> ScriptSink {
        let (name, delivery) = (SinkName::new("load"), delivery(self.timeout));
        let spool = spool(self.folder.path());
        ScriptSink::new(&self.settings, &delivery, &name, spool, self.run_folder()).expect("valid settings")
    }

    async fn run(&self, event: &Event) -> Report {
        let sink = self.sink();
        let report = sink.attempt(attempt(event)).await.expect("theirs");
        drop(sink);
        if self.run_folder().exists() {
            assert_eq!(
                std::fs::read_dir(self.run_folder()).expect("list").count(),
                0,
                "nothing of the attempt is left"
            );
        }
        report
    }

    async fn run_any(&self) -> Report {
        self.run(&file_event("a.csv", None)).await
    }
}

fn attempt(event: &Event) -> Attempt<'_> {
    Attempt { event, number: 2, at: Timestamp::from_millis(1_795_428_900_000), gap: false }
}

fn text(report: &Report) -> String {
    String::from_utf8_lossy(&report.output).into_owned()
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_script_gets_event_file_arguments_and_a_clean_environment() {
    let script = r#"cat; echo "arg:$1 two:$2"; [ "$3" = "event:$HIGHWATER_EVENT_FILE" ] || exit 9; echo "file:$HIGHWATER_FILE"; cat "$1"; cmp - "$HIGHWATER_EVENT_FILE" </dev/null; env | sort; pwd"#;
    let mut stand = Stand::new(script).argument("{file}").argument("{name};$(touch x)").argument("event:{event_file}");
    stand.settings.env = vec![("ORACLE_HOME".into(), Secret::literal("/u01"))];
    let event = file_event("in/or ders'$x.csv", Some(Content::Inline(b"content\n".to_vec())));
    let report = stand.run(&event).await;
    assert_eq!((report.outcome.clone(), report.code), (Outcome::Delivered, Some(0)), "{}", text(&report));
    let output = text(&report);
    let body = String::from_utf8(event.body.clone()).expect("JSON");
    assert!(output.starts_with(&format!("{body}\n")), "{output}");
    let line = |start: &str| output.lines().find(|line| line.starts_with(start)).expect(start).to_owned();
    assert!(line("arg:/").ends_with("/or ders'$x.csv two:or ders'$x.csv;$(touch x)"), "{output}");
    assert_eq!(
        line("file:").strip_prefix("file:"),
        line("arg:").strip_prefix("arg:").and_then(|l| l.split(" two:").next())
    );
    assert!(output.contains("\ncontent\n"));
    let names: Vec<&str> = output.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| !name.starts_with("HIGHWATER_") && !name.contains(['{', ' '])) {
        assert!(["PATH", "HOME", "LANG", "TZ", "ORACLE_HOME", "PWD", "SHLVL", "_", "OLDPWD"].contains(name), "{name}");
    }
    for variable in ["HIGHWATER_NAME=or ders'$x.csv", "HIGHWATER_SIZE=8", "HIGHWATER_ATTEMPT=2", "HIGHWATER_SINK=load"]
    {
        assert!(output.lines().any(|line| line == variable), "{variable} in {output}");
    }
    assert!(!stand.path("x").exists(), "no shell reads the arguments");
}

#[tokio::test]
async fn names_that_are_no_plain_text_arrive_exactly() {
    for name in [&b"a\nb.csv"[..], b"caf\xe9.txt", b"-rf", b"..x", b" "] {
        let stand = Stand::new(r#"printf %s "${1##*/}""#).argument("{file}");
        let report = stand.run(&file_event(name, Some(Content::Inline(b"x".to_vec())))).await;
        assert_eq!(report.output, name, "{}", report.summary);
    }
    let stand = Stand::new(r#"cat "$1""#).argument("{file}");
    let long = format!("{}.csv", "n".repeat(250));
    assert_eq!(stand.run(&file_event(long, Some(Content::Inline(b"x".to_vec())))).await.output, b"x");
}

#[tokio::test]
async fn exit_codes_and_signals_have_the_outcomes_of_the_contract() {
    for (end, outcome, code) in [
        ("exit 0", Outcome::Delivered, Some(0)),
        ("exit 75", TRANSIENT, Some(75)),
        ("exit 65", Outcome::Dead, Some(65)),
        ("exit 126", Outcome::Fault, Some(126)),
        ("exit 7", TRANSIENT, Some(7)),
        ("kill -9 $$", TRANSIENT, None),
        ("no-such-command", Outcome::Fault, Some(127)),
    ] {
        let report = Stand::new(end).run_any().await;
        assert_eq!((report.outcome, report.code), (outcome, code), "{end}: {}", report.summary);
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_started_is_a_fault_with_its_remedy() {
    let stand = Stand::new("true");
    std::fs::set_permissions(stand.path("load.sh"), std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let report = stand.run_any().await;
    assert_eq!(report.outcome, Outcome::Fault);
    assert!(report.summary.contains("script ./load.sh is not executable; chmod +x"), "{}", report.summary);
    assert!(stand.sink().probe().await.expect_err("no x").to_string().contains("chmod +x"));

    stand.write("#!/no/such/interpreter\n");
    assert!(stand.run_any().await.summary.contains("interpreter"));
    stand.write("no first line");
    assert!(stand.run_any().await.summary.contains("#!/bin/sh"));
    std::fs::remove_file(stand.path("load.sh")).expect("remove");
    let missing = stand.run_any().await;
    assert_eq!(missing.outcome, Outcome::Fault);
    assert!(missing.summary.contains("is not there"), "{}", missing.summary);

    let mut stand = Stand::new("true");
    stand.settings.cwd = stand.path("nowhere");
    assert!(stand.run_any().await.summary.contains("working directory"));
}

#[tokio::test]
async fn a_script_that_ignores_its_input_is_fine() {
    let mut event = file_event("a.csv", None);
    event.body = vec![b' '; 4 * 1024 * 1024];
    assert_eq!(Stand::new("exec <&-; exit 0").run(&event).await.outcome, Outcome::Delivered);
}

#[tokio::test]
async fn stdin_can_be_the_content_or_nothing() {
    let mut stand = Stand::new("cat");
    stand.settings.stdin = Stdin::Content;
    let report = stand.run(&file_event("a.csv", Some(Content::Inline(b"bytes\xff".to_vec())))).await;
    assert_eq!(report.output, b"bytes\xff");
    let missing = stand.run(&file_event("a.csv", None)).await;
    assert_eq!(missing.outcome, Outcome::Dead);
    assert!(missing.summary.contains("no content was captured"), "{}", missing.summary);
    let mut removed = file_event("a.csv", None);
    removed.kind = Kind::Removed;
    assert_eq!(stand.run(&removed).await.output, b"");
    stand.settings.stdin = Stdin::None;
    assert_eq!(stand.run_any().await.output, b"");
}

#[tokio::test]
async fn endless_output_is_drained_and_its_ends_are_kept() {
    let stand = Stand::new("echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last >&2");
    let report = stand.run_any().await;
    assert_eq!(report.outcome, Outcome::Delivered);
    let output = text(&report);
    assert!(output.starts_with("first\nxxx") && output.ends_with("x\nlast\n"));
    assert!(output.contains("bytes left out") && output.len() < 70_000);
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_open_is_not_waited_for() {
    let stand = Stand::new("sleep 1000 & echo $! > child; echo started");
    let started = Instant::now();
    let report = stand.run_any().await;
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!((report.outcome.clone(), text(&report).as_str()), (Outcome::Delivered, "started\n"));
    let child = std::fs::read_to_string(stand.path("child")).expect("written");
    assert!(!is_alive(&child), "the rest of the group is ended");
}

#[tokio::test]
async fn a_script_out_of_time_is_ended_with_its_group() {
    let mut stand = Stand::new("sleep 1000 & echo $! > child; echo begun; wait");
    stand.timeout = Duration::from_millis(500);
    let report = stand.run_any().await;
    assert_eq!((report.outcome.clone(), report.summary.as_str()), (TRANSIENT, "not done within 500ms, ended"));
    assert_eq!(text(&report), "begun\n");
    assert!(!is_alive(&std::fs::read_to_string(stand.path("child")).expect("written")));
}

#[tokio::test]
async fn a_script_that_ignores_term_is_killed_after_ten_seconds() {
    let mut stand = Stand::new("trap '' TERM; echo deaf; while :; do sleep 1000; done");
    stand.timeout = Duration::from_millis(300);
    let started = Instant::now();
    let report = stand.run_any().await;
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(16), "{took:?}");
    assert_eq!((report.outcome.clone(), text(&report).as_str()), (TRANSIENT, "deaf\n"));
}

#[tokio::test]
async fn an_attempt_that_is_given_up_ends_its_group_and_removes_its_folder() {
    let stand = Stand::new("sleep 1000 & echo $$ $! > pids.tmp; mv pids.tmp pids; wait");
    let sink = stand.sink();
    let event = file_event("a.csv", None);
    let mut running = Box::pin(sink.attempt(attempt(&event)));
    let pids = loop {
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut running).await.is_err(), "it runs");
        if let Ok(pids) = std::fs::read_to_string(stand.path("pids")) {
            break pids;
        }
    };
    drop(running);
    drop(sink);
    let (folder, path) = (stand.run_folder(), stand.path("pids"));
    let gone = tokio::task::spawn_blocking(move || {
        wait_until("the group is gone", || !pids.split_whitespace().any(is_alive));
        wait_until("the folder is gone", || std::fs::read_dir(&folder).expect("list").count() == 0);
        assert!(path.exists());
    });
    gone.await.expect("gone");
}

#[tokio::test]
async fn known_secrets_are_unreadable_in_the_output() {
    let mut stand = Stand::new("echo connecting with $DB_PASSWORD; exit 1");
    stand.settings.env = vec![("DB_PASSWORD".into(), Secret::literal("hunter2"))];
    let report = stand.run_any().await;
    assert_eq!(text(&report), "connecting with *******\n");
    assert_eq!(report.summary, "exit code 1: connecting with *******");
    let shown = stand.sink().dry_run(attempt(&file_event("a.csv", None))).expect("shown");
    assert!(!shown.contains("hunter2") && shown.contains("HIGHWATER_SINK='load'"), "{shown}");
}

#[tokio::test]
async fn a_spooled_content_is_copied_for_the_script() {
    let stand = Stand::new(r#"wc -c < "$HIGHWATER_FILE"; [ -w "$HIGHWATER_FILE" ] || echo read-only"#);
    let spool = spool(stand.folder.path());
    let mut writer = spool.writer();
    writer.write(&vec![7; 300_000]).expect("write");
    let event = file_event("big.bin", Some(writer.finish().expect("finish")));
    let report = stand.run(&event).await;
    assert!(text(&report).starts_with("300000\n"), "{}", text(&report));
}

#[tokio::test]
async fn programs_are_found_in_path_and_relative_to_the_configuration() {
    let mut stand = Stand::new("true");
    stand.settings.command = ["sh", "-c", "exit 75"].map(|t| Template::parse(t, &[]).expect("plain")).to_vec();
    stand.settings.cwd = Path::new("/").to_owned();
    assert_eq!(stand.run_any().await.code, Some(75));
    assert!(stand.sink().probe().await.expect("found").ends_with("/sh"));
    stand.settings.command = vec![Template::parse("no-such-program", &[]).expect("plain")];
    assert!(stand.run_any().await.summary.contains("not in PATH"));
}
