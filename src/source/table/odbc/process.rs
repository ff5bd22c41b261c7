//! The helper process: started when needed, asked one thing at a time with a deadline, killed with all its children when it
//! does not answer. What is asked belongs to the adapter.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::failure::failure;
use super::wire::{self, Answer, Request, VERSION};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::table::json::one_line;

/// The helper's file name.
const PROGRAM: &str = "highwater-odbc";
/// The environment variable that names it elsewhere.
const VARIABLE: &str = "HIGHWATER_ODBC";
/// How often a waiting call looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long the helper may take to say that it is there.
const START_MAX: Duration = Duration::from_secs(20);
/// How long a helper that closed its pipe may take to end.
const END_MAX: Duration = Duration::from_secs(2);
/// What is kept of its standard error.
const ERRORS_MAX: u64 = 4_096;

/// A running helper. Dropping it ends it.
pub struct Process {
    child: Child,
    requests: Option<Sender<Vec<u8>>>,
    answers: Receiver<std::io::Result<Option<Answer>>>,
    errors: Option<thread::JoinHandle<String>>,
    /// The database, for messages.
    place: String,
    is_dead: bool,
}

impl Process {
    /// Starts the helper `program`, or the one beside this program, and waits until it says that it is there.
    pub fn start(program: Option<&Path>, place: &str, stop: &Stop) -> Result<Self> {
        let path = found(program);
        let mut command = Command::new(&path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|e| {
            let remedy = "build it with `cargo build --release --features odbc` and put it beside highwater, or name it \
                          with helper or HIGHWATER_ODBC";
            Error::io(format!("start the ODBC helper {} for {place}; {remedy}", path.display()), e)
        })?;
        let (mut input, output) = (child.stdin.take(), child.stdout.take());
        let (requests, queued) = mpsc::channel::<Vec<u8>>();
        let (answered, answers) = mpsc::channel();
        // Both pipes have a thread: one that the helper does not serve blocks nobody else.
        thread::spawn(move || {
            while let (Ok(frame), Some(pipe)) = (queued.recv(), input.as_mut()) {
                if pipe.write_all(&frame).and_then(|()| pipe.flush()).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            let Some(mut pipe) = output else { return };
            loop {
                let answer = wire::read::<Answer>(&mut pipe);
                let is_last = !matches!(answer, Ok(Some(_)));
                if answered.send(answer).is_err() || is_last {
                    return;
                }
            }
        });
        let errors = child.stderr.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut text = Vec::new();
                // What can't be read is not shown; the rest must be taken, or the helper would wait for it.
                let _ = pipe.by_ref().take(ERRORS_MAX).read_to_end(&mut text);
                let _ = std::io::copy(&mut pipe, &mut std::io::sink());
                one_line(&String::from_utf8_lossy(&text))
            })
        });
        let requests = Some(requests);
        let mut process = Self { child, requests, answers, errors, place: place.to_owned(), is_dead: false };
        match process.answer("start", START_MAX, stop)? {
            Answer::Hello { version: VERSION } => Ok(process),
            Answer::Hello { version } => {
                let fact = format!("the ODBC helper {} speaks version {version}, not {VERSION}", path.display());
                Err(Error::new(ErrorKind::Config, format!("{fact}; build it together with highwater")))
            }
            other => Err(process.surprise(&other)),
        }
    }

    /// Asks one thing and waits for its answer, at most until `deadline` has passed or `stop` is raised: then the helper is
    /// killed, for a driver that hangs can't be asked to end.
    pub fn ask(&mut self, request: &Request, deadline: Duration, stop: &Stop) -> Result<Answer> {
        if let Some(requests) = &self.requests {
            // A helper that is gone is noticed where its answer is awaited.
            let _ = requests.send(wire::frame(request));
        }
        match self.answer(doing(request), deadline, stop)? {
            Answer::Failed { state, native, message } => {
                Err(failure(&format!("{} {}", doing(request), self.place), &state, native, &message))
            }
            answer => Ok(answer),
        }
    }

    /// Whether it can't be asked any more.
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// An answer that does not fit what was asked.
    pub fn surprise(&mut self, answer: &Answer) -> Error {
        self.kill();
        let kind = format!("{answer:?}").split(['(', ' ']).next().unwrap_or_default().to_owned();
        Error::internal(format!("the ODBC helper for {} gave an answer that nobody asked for ({kind})", self.place))
    }

    fn answer(&mut self, doing: &str, deadline: Duration, stop: &Stop) -> Result<Answer> {
        let began = Instant::now();
        loop {
            let left = deadline.saturating_sub(began.elapsed());
            match self.answers.recv_timeout(left.min(LOOK)) {
                Ok(Ok(Some(answer))) => return Ok(answer),
                Ok(Ok(None)) | Err(RecvTimeoutError::Disconnected) => return Err(self.ended(doing)),
                Ok(Err(error)) => {
                    self.kill();
                    let fact = format!("{doing} {}: the ODBC helper's answer can't be read", self.place);
                    return Err(Error::new(ErrorKind::Unavailable, fact).because(error));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(stopped) = stop.check() {
                self.kill();
                return Err(stopped.while_doing(format!("{doing} {}", self.place)));
            }
            if left.is_zero() {
                self.kill();
                let fact =
                    format!("{doing} {}: no answer from the ODBC driver within {} s", self.place, deadline.as_secs());
                let remedy = "its process was ended, the next poll starts another";
                return Err(Error::new(ErrorKind::TimedOut, format!("{fact}; {remedy}")));
            }
        }
    }

    /// Why the helper is gone.
    fn ended(&mut self, doing: &str) -> Error {
        let status = self.awaited();
        self.kill();
        let said = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let how = match status {
            Some(status) => match status.signal() {
                Some(signal) => format!("the ODBC driver crashed (signal {signal})"),
                None => format!("the ODBC helper ended (exit code {})", status.code().unwrap_or_default()),
            },
            None => "the ODBC helper closed its pipe".to_owned(),
        };
        let remedy = if said.contains("libodbc") {
            "; install the ODBC driver manager (Debian: unixodbc)"
        } else {
            "; the next poll starts another"
        };
        let error = Error::new(ErrorKind::Unavailable, format!("{doing} {}: {how}{remedy}", self.place));
        if said.is_empty() { error } else { error.because(said) }
    }

    fn awaited(&mut self) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < END_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    fn kill(&mut self) {
        self.is_dead = true;
        self.requests = None;
        if let Ok(None) = self.child.try_wait() {
            // Its id is still its own: it has not been waited for. Drivers may have started processes of the group.
            if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(id, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn doing(request: &Request) -> &'static str {
    match request {
        Request::Connect { .. } => "connect to",
        _ => "read",
    }
}

fn found(program: Option<&Path>) -> PathBuf {
    if let Some(program) = program {
        return program.to_owned();
    }
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join(PROGRAM)));
    beside.unwrap_or_else(|| PROGRAM.into())
}
