//! The binary, driven as a user would: a folder of its own, a configuration file in it, commands run to their end or in
//! the background. What is asserted belongs to the tests.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_until;

/// A folder with a `highwater.toml`, in which commands are run. Removed when it is dropped.
#[derive(Debug)]
pub struct Highwater {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Asserts exit code 0 and returns standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        self.code(0).stdout
    }

    /// Asserts this exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.status, Some(expected), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON value per line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl Highwater {
    /// An empty folder with this `highwater.toml`.
    pub fn with_config(toml: &str) -> Self {
        let new = Self::without_config();
        new.write("highwater.toml", toml);
        new
    }

    /// An empty folder.
    pub fn without_config() -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-test-").tempdir().expect("a temporary folder");
        Self { folder, environment: Vec::new() }
    }

    /// Sets a variable for every command from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A path in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside the folder")).expect("create folders");
        std::fs::write(&path, content).expect("write a file");
        path
    }

    /// Writes a shell script that may be started. By a process of its own: as long as any process has a file open for
    /// writing, and every child of this one has what was open when it began, it can't be started (ETXTBSY).
    pub fn write_script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut shell = Command::new("sh");
        shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(&path).arg(text);
        assert!(shell.status().expect("sh runs").success(), "write {name}");
        path
    }

    /// A copy of the binary in the folder, for users who may not come near the original; made as scripts are.
    pub fn copy_binary(&self) -> PathBuf {
        let copy = self.path("highwater-copy");
        if !copy.exists() {
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_highwater")).arg(&copy).status();
            assert!(copied.expect("cp runs").success(), "copy the binary");
        }
        copy
    }

    /// Replaces the configuration.
    pub fn configure(&self, toml: &str) {
        self.write("highwater.toml", toml);
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, b"")
    }

    /// Runs a command to its end, with this on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let input_file = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut &input_file, input).expect("write the input");
        std::io::Seek::rewind(&mut &input_file).expect("rewind the input");
        let ended = self.command(arguments).stdin(input_file).output().expect("the binary starts");
        Output {
            status: ended.status.code(),
            stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        }
    }

    /// Starts a command in the background, like `run`, with its log in a file. It is killed when the handle is dropped.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_apart("background", arguments)
    }

    /// [`Self::spawn`] for a second command in the background: its output goes to files of this name.
    pub fn spawn_apart(&self, name: &str, arguments: &[&str]) -> Running {
        let open = |name: &str| {
            let path = self.path(name);
            let file = File::options().create(true).append(true).open(&path).expect("open a log file");
            (path, file)
        };
        let ((stdout, out), (stderr, err)) = (open(&format!("{name}.out")), open(&format!("{name}.log")));
        let child = self.command(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Running { child: child.expect("the binary starts"), stdout, stderr, ended: None }
    }

    /// Runs `once` to its end, asserts its exit code, and returns the most memory it ever had resident, in KiB.
    pub fn peak_of_once(&self, code: i32) -> u64 {
        let mut running = self.spawn(&["once"]);
        let status = format!("/proc/{}/status", running.pid());
        let mut peak = 0;
        wait_until("once ends", || {
            // The kernel's own high-water mark misses nothing between two looks, only what comes behind the last one.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = kib.unwrap_or_default().max(peak);
            !running.is_running()
        });
        assert_eq!(running.wait(), Some(code), "{}", running.log());
        assert!(peak > 0, "the kernel was asked in time");
        peak
    }

    /// Starts a command in the background and waits until its log says `line`.
    pub fn spawn_until(&self, arguments: &[&str], line: &str) -> Running {
        let mut running = self.spawn(arguments);
        running.wait_for_log(line);
        running
    }

    /// The command, for tests that need more than `run` gives.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HIGHWATER_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A command in the background.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it and its predecessors in this folder logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Everything it and its predecessors in this folder printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// Waits until its log contains `text`; panics with the log when it ended before.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for(&format!("the log says {text:?}"), |running| running.log().contains(text));
    }

    /// Waits until a condition holds; panics with the log when the process ended before.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_until(what, || {
            if condition(self) {
                return true;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended = Some(status);
                // What it did last may have made the condition true.
                assert!(condition(self), "ended with {status} before {what}; its log:\n{}", self.log());
                return true;
            }
            false
        });
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.ended.is_none() && matches!(self.child.try_wait(), Ok(None))
    }

    /// kill -9: as a power cut does, without any goodbye.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops without waiting: SIGSTOP, so that a test can look at what a hanging process leaves.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Goes on after `freeze`.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGTERM and does not wait.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP, as `systemctl reload` or an administrator may.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends SIGTERM and waits for its end. Returns the exit code; `None` when a signal ended it.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end. Returns the exit code; `None` when a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        let mut status = self.ended;
        wait_until("the process ends", || {
            status = status.or_else(|| self.child.try_wait().expect("our own child"));
            status.is_some()
        });
        self.ended = status;
        status.and_then(|status| status.code())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our own child takes signals");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
