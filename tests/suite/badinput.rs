//! What can be wrong around Highwater, through the binary: every error is one clear line with what, where and what to
//! do, exit codes are those of the contract, nothing is lost, and no secret is shown.

mod commands;
mod files;
mod hostile;
mod places;
mod receivers;
mod scripts;
mod stores;
mod tables;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::highwater::{Highwater, Output};

/// A secret that no output may show.
const SECRET: &str = "correct-horse-battery";

/// A folder `in` whose files go to `./load.sh`, which keeps what it gets in `out`.
const TO_SCRIPT: &str = r#"
[source.orders]
kind = "folder"
path = "in"
stable_for = "0s"
every = "200ms"
to = ["load"]

[sink.load]
kind = "script"
command = ["./load.sh", "{file}"]
retry = ["50ms"]
"#;

/// Keeps the content under the file's name.
const LOAD: &str = "#!/bin/sh\nset -eu\ncat >/dev/null\nmkdir -p out\ncp \"$1\" \"out/$HIGHWATER_NAME\"\n";

/// [`TO_SCRIPT`] with its folder and script.
fn to_script() -> Highwater {
    let highwater = Highwater::with_config(TO_SCRIPT);
    std::fs::create_dir(highwater.path("in")).expect("make");
    script(&highwater, "load.sh", LOAD);
    highwater
}

/// A script that can be run.
fn script(highwater: &Highwater, name: &str, text: &str) {
    chmod(&highwater.write(name, text), 0o755);
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Runs a command as somebody whom permissions hold up: root is not, unless it gives that up.
fn run_as_mortal(highwater: &Highwater, arguments: &[&str]) -> Output {
    let plain = highwater.command(arguments);
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.arg("--bounding-set=-dac_override,-dac_read_search,-fowner");
    }
    command.arg("--").arg(plain.get_program()).args(plain.get_args());
    let folder = plain.get_current_dir().expect("the test's own folder");
    let ended = command.current_dir(folder).output().expect("setpriv runs");
    Output {
        status: ended.status.code(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// Asserts that a command was refused: this code, nothing on standard output, one line on standard error with all these
/// words.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let Output { status, stdout, stderr } = output;
    assert_eq!((*status, stdout.as_str()), (Some(code), ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    said(stderr, words);
}

/// Asserts that all words are in a text, and nothing that may never be.
#[track_caller]
fn said(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    for never in ["panicked", "RUST_BACKTRACE", SECRET] {
        assert!(!text.contains(never), "{never:?} in: {text}");
    }
}

/// The lines of the log with this message.
fn logged(output: &Output, message: &str) -> Vec<serde_json::Value> {
    let lines = output.stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}
