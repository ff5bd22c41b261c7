//! The first minute on a terminal: what `run` shows there is what README.md says.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::sample::{FILES, ROWS, sample};
use crate::support::wait_until;

/// What the transcript in the README was made with.
const COLUMNS: usize = 120;

/// Lines without what differs from run to run: times and the process id.
fn plain(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.trim_end();
        let is_time = line.len() > 9 && line.as_bytes()[2] == b':' && line.as_bytes()[8] == b'Z';
        let line = if is_time { format!("TIME{}", &line[9..]) } else { line.to_owned() };
        let words: Vec<&str> = line.split(' ').collect();
        let pid = words.windows(2).find(|pair| pair[0] == "-9").map(|pair| pair[1].trim_end_matches(','));
        pid.map_or_else(|| line.clone(), |pid| line.replace(pid, "PID"))
    });
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn what_run_shows_on_a_terminal_is_what_the_readme_says() {
    let highwater = sample();
    let program = highwater.path("target/release/highwater");
    std::fs::create_dir_all(program.parent().expect("below")).expect("make");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_highwater"), &program).expect("link");
    let shown = highwater.path("quickstart/shown");
    let line = format!("stty cols {COLUMNS}; exec target/release/highwater run -c config/quickstart.toml");
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--flush", "--return", "--command", &line]).arg(&shown).current_dir(highwater.path(""));
    let mut terminal = terminal.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("script(1) is there");
    let read = || std::fs::read_to_string(&shown).unwrap_or_default();
    wait_until("everything is told on the terminal", || read().matches("-> show  ok: ").count() == FILES + ROWS);
    let pid = read().split_once("kill -9 ").and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok());
    kill_process(pid.and_then(Pid::from_raw).expect("it says its process id"), Signal::TERM).expect("ours");
    assert!(terminal.wait().expect("our own child").success());

    let text = read().replace('\r', "");
    assert!(text.lines().all(|line| line.chars().count() <= COLUMNS || line.starts_with("Script ")), "{text}");
    assert!(!text.contains("WARN") && !text.contains("evt_"), "no noise: {text}");
    let is_ours = |line: &String| !line.starts_with("Script ") && !line.contains("stopping: finishing");
    let mut told: Vec<String> = plain(&text).into_iter().filter(is_ours).collect();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let transcript = readme
        .split_once("<!-- transcript: begin -->")
        .and_then(|(_, rest)| rest.split_once("<!-- transcript: end -->"));
    let transcript = transcript.expect("the README has a transcript").0.replace("```text", "").replace("```", "");
    let mut printed = plain(&transcript);
    // Sources do not wait for each other, so their lines come in any order.
    told.sort();
    printed.sort();
    assert_eq!(printed, told, "README.md shows something else than:\n{text}");
}
