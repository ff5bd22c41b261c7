//! `once` as cron starts it: in another folder, with next to no environment, again and again.

use std::process::Stdio;

use super::sample::{FILES, ROWS, sample};
use crate::support::highwater::{Highwater, Output};

fn from_cron(highwater: &Highwater, more: &[&str]) -> Output {
    let mut command = highwater.command(&["once"]);
    command.args(more).arg("-c").arg(highwater.path("config/quickstart.toml"));
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
    let ended = command.output().expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { status: ended.status.code(), stdout: text(ended.stdout), stderr: text(ended.stderr) }
}

#[test]
fn the_first_run_tells_everything_the_second_nothing_and_quiet_ones_are_silent() {
    let highwater = sample();
    let count = FILES + ROWS;
    let first = from_cron(&highwater, &[]);
    assert_eq!(first.code(0).stdout, format!("2 sources polled, {count} events, {count} delivered\n"));
    let second = from_cron(&highwater, &[]).code(0);
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("2 sources polled, 0 events, 0 delivered\n", ""));
    let quiet = from_cron(&highwater, &["--quiet", "--deadline", "4m"]).code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "cron sends no mail");

    highwater.write("fixtures/drop/try-1.csv", "1\n");
    let third = from_cron(&highwater, &["--source", "drop"]).code(0);
    assert_eq!(third.stdout, "1 source polled, 1 event, 1 delivered\n");
    let lines = std::fs::read_to_string(highwater.path("quickstart/events.log")).expect("written");
    assert_eq!(lines.lines().count(), count + 1);
}

#[test]
fn a_file_that_still_grows_is_named_in_the_summary_and_told_by_the_next_run() {
    let highwater = Highwater::with_config(
        "[source.in]\nkind = \"folder\"\npath = \"in\"\nstable_for = \"300ms\"\nto = [\"cat\"]\n\
         [sink.cat]\nkind = \"script\"\ncommand = [\"cat\"]\n",
    );
    highwater.write("in/done.csv", "1\n");
    let growing = highwater.write("in/growing.csv", "1\n");
    let output = std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let mut file = std::fs::File::options().append(true).open(growing).expect("open");
            // A writer's own pace, not a wait for anything.
            while stopped.recv_timeout(std::time::Duration::from_millis(20)).is_err() {
                std::io::Write::write_all(&mut file, b"more\n").expect("write");
            }
        });
        let output = highwater.run(&["once"]);
        stop.send(()).expect("the writer waits");
        output
    });
    let stdout = output.code(0).stdout;
    assert_eq!(stdout, "1 source polled, 1 event, 1 delivered; in: 1 waiting (growing.csv)\n");
    assert_eq!(highwater.run(&["once"]).ok(), "1 source polled, 1 event, 1 delivered\n");
}

#[test]
fn a_quiet_run_with_trouble_says_so_on_standard_error_in_one_line() {
    let highwater = Highwater::with_config(
        "[source.in]\nkind = \"folder\"\npath = \"nowhere\"\nto = [\"cat\"]\n[sink.cat]\nkind = \"script\"\ncommand = [\"cat\"]\n",
    );
    let output = highwater.run(&["once", "--quiet", "--log", "off"]).code(3);
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(
        output.stderr.starts_with("highwater: 1 source polled, 0 events, 0 delivered; in: folder "),
        "{}",
        output.stderr
    );
}
