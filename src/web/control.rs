//! The server side of the control socket: accepts connections and hands each request to the handler.
//! What a request does belongs to the handler; who may connect is decided by the socket's mode.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::message::{Answer, REQUEST_BYTES_MAX, Request};
use super::socket::{self, socket_path};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::store::lock::Lock;

/// Carries out a request. Called from several threads at once; an error becomes the answer.
pub type Handler = Arc<dyn Fn(Request) -> Result<Answer> + Send + Sync>;

/// At most this many connections are served at once; one more is told so.
pub const CONNECTIONS_MAX: usize = 8;

/// A request must have come in whole, and an answer gone out whole, within this time.
pub const TRANSFER_WAIT_MAX: Duration = Duration::from_secs(10);

/// The control socket of a running process. Dropping it removes the socket's file and ends the thread; requests that
/// are being carried out go on.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    end: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens `highwater.sock` beside the store at `store`. `lock` proves that no other process serves this store, so that
    /// a socket file found there is a dead process's and may be removed. `since` is when this process began.
    ///
    /// # Errors
    /// The socket can't be made: the kind of the I/O error.
    pub fn start(store: &Path, lock: &Lock, since: Timestamp, handler: Handler) -> Result<Self> {
        debug_assert_eq!(lock.path(), crate::store::lock::lock_path(store));
        let path = socket_path(store);
        remove_stale(&path)?;
        let listener = socket::bind(&path)?;
        let surprise = |e| Error::io("start the control socket's thread", e);
        listener.set_nonblocking(true).map_err(surprise)?;
        let (end, ended) = UnixStream::pair().map_err(surprise)?;
        let accepting = Accepting { listener, ended, since, handler, open: Arc::new(AtomicUsize::new(0)) };
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || accepting.run());
        Ok(Self { path, end, thread: Some(thread.map_err(surprise)?) })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.end.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn remove_stale(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove the stale control socket {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

struct Accepting {
    listener: UnixListener,
    ended: UnixStream,
    since: Timestamp,
    handler: Handler,
    open: Arc<AtomicUsize>,
}

impl Accepting {
    fn run(self) {
        while self.wait() {
            match self.listener.accept() {
                Ok((stream, _)) => self.serve(stream),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => tracing::warn!(error = %e, "control connection not accepted"),
            }
        }
    }

    /// Whether there may be a connection to accept; false once the server shall end.
    fn wait(&self) -> bool {
        let mut polled = [
            PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.ended.as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => polled[1].revents().is_empty(),
            Err(rustix::io::Errno::INTR) => true,
            Err(e) => {
                tracing::error!(error = %e, "control socket ended");
                false
            }
        }
    }

    fn serve(&self, stream: UnixStream) {
        let (handler, since, open) = (self.handler.clone(), self.since, self.open.clone());
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            let fact = format!("the running process already serves {CONNECTIONS_MAX} commands; try again");
            return send(&stream, &Answer::failed(&Error::new(ErrorKind::Unavailable, fact)));
        }
        let left = Left(open);
        let spawned = std::thread::Builder::new().name("control connection".into()).spawn(move || {
            let _left = left;
            let answer = receive(&stream).and_then(|request| match request {
                Request::Ping => Ok(who(since)),
                request => handler(request),
            });
            send(&stream, &answer.unwrap_or_else(|error| Answer::failed(&error)));
        });
        if let Err(e) = spawned {
            tracing::warn!(error = %e, "control connection not served");
        }
    }
}

/// Counts a connection out, also when its handler panics.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn who(since: Timestamp) -> Answer {
    Answer::value(serde_json::json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "since": since.whole_millis().to_rfc3339(),
    }))
}

fn receive(stream: &UnixStream) -> Result<Request> {
    let line = read_line(stream, REQUEST_BYTES_MAX, TRANSFER_WAIT_MAX)?;
    serde_json::from_slice(&line)
        .map_err(|e| Error::new(ErrorKind::Invalid, "control request not understood").because(e))
}

fn send(mut stream: &UnixStream, answer: &Answer) {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    let sent = stream.set_write_timeout(Some(TRANSFER_WAIT_MAX)).and_then(|()| stream.write_all(&line));
    if let Err(e) = sent {
        tracing::debug!(error = %e, "control answer not sent");
    }
}

/// Reads up to the first newline, which is left out.
///
/// # Errors
/// `Invalid` at `bytes_max` bytes without a newline, `TimedOut` when the line is not whole after `wait`, `Unavailable` when
/// the other side ended before it was.
pub(super) fn read_line(mut stream: &UnixStream, bytes_max: usize, wait: Duration) -> Result<Vec<u8>> {
    let doing = "read from the control socket";
    let until = Instant::now() + wait;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let fact = format!("{doing}: nothing whole came within {} s", wait.as_secs());
            return Err(Error::new(ErrorKind::TimedOut, fact));
        }
        stream.set_read_timeout(Some(left)).map_err(|e| Error::io(doing, e))?;
        let read = match stream.read(&mut buffer) {
            Ok(0) => {
                return Err(Error::new(ErrorKind::Unavailable, format!("{doing}: ended before the end of the line")));
            }
            Ok(read) => &buffer[..read],
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => continue,
            Err(e) => return Err(Error::io(doing, e)),
        };
        let end = read.iter().position(|b| *b == b'\n');
        line.extend_from_slice(&read[..end.unwrap_or(read.len())]);
        if line.len() >= bytes_max {
            return Err(Error::new(ErrorKind::Invalid, format!("{doing}: a line of {bytes_max} bytes or more")));
        }
        if end.is_some() {
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::ask;
    use super::*;
    use crate::clock::{Stop, SystemClock};
    use crate::store::Operation;

    const WAIT: Duration = Duration::from_secs(30);

    struct Fixture {
        folder: tempfile::TempDir,
        lock: Lock,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let lock = Lock::take(&folder.path().join("s.db"), "run", None, &SystemClock::new(), &Stop::new());
            Self { lock: lock.expect("free"), folder }
        }

        fn store(&self) -> PathBuf {
            self.folder.path().join("s.db")
        }

        fn start(&self, handler: impl Fn(Request) -> Result<Answer> + Send + Sync + 'static) -> Server {
            Server::start(&self.store(), &self.lock, Timestamp::from_millis(0), Arc::new(handler)).expect("starts")
        }
    }

    #[test]
    fn a_request_reaches_the_handler_and_its_answer_comes_back() {
        let fixture = Fixture::new();
        let _server = fixture.start(|request| match request {
            Request::Operate(Operation::Resume { name }) if name == "erp" => Ok(Answer::count(7)),
            other => Err(Error::new(ErrorKind::Usage, format!("{other:?}"))),
        });
        let resume = Request::Operate(Operation::Resume { name: "erp".into() });
        assert_eq!(ask(&fixture.store(), &resume, WAIT).expect("answered").count, Some(7));
        assert_eq!(ask(&fixture.store(), &Request::Reload, WAIT).expect_err("refused").kind(), ErrorKind::Usage);
    }

    #[test]
    fn a_ping_tells_who_is_there() {
        let fixture = Fixture::new();
        let _server = fixture.start(|_| Ok(Answer::done()));
        let value = ask(&fixture.store(), &Request::Ping, WAIT).expect("answered").value;
        assert_eq!(value["pid"], std::process::id());
        assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(value["since"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_socket_left_by_a_killed_process_is_replaced_and_the_own_one_removed_at_the_end() {
        let fixture = Fixture::new();
        let path = socket_path(&fixture.store());
        drop(UnixListener::bind(&path).expect("binds"));
        assert!(path.exists(), "a dropped listener leaves its file, as a killed process does");
        let server = fixture.start(|_| Ok(Answer::done()));
        ask(&fixture.store(), &Request::Ping, WAIT).expect("answered");
        drop(server);
        assert!(!path.exists());
        assert_eq!(ask(&fixture.store(), &Request::Ping, WAIT).expect_err("nobody").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn nonsense_and_endless_requests_are_refused_in_words() {
        let fixture = Fixture::new();
        let server = fixture.start(|_| Ok(Answer::done()));
        for (sent, expected) in
            [(b"hello\n".to_vec(), "not understood"), (vec![b'x'; REQUEST_BYTES_MAX], "bytes or more")]
        {
            let mut stream = socket::connect(server.path()).expect("connects");
            stream.write_all(&sent).expect("sends");
            let line = read_line(&stream, REQUEST_BYTES_MAX, WAIT).expect("answers");
            let answer: Answer = serde_json::from_slice(&line).expect("an answer");
            let error = answer.into_result().expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_handler_that_panics_ends_its_own_connection_only() {
        let fixture = Fixture::new();
        let _server = fixture.start(|request| match request {
            Request::Reload => panic!("on purpose"),
            _ => Ok(Answer::done()),
        });
        for _ in 0..=CONNECTIONS_MAX {
            assert_eq!(
                ask(&fixture.store(), &Request::Reload, WAIT).expect_err("ended").kind(),
                ErrorKind::Unavailable
            );
        }
        ask(&fixture.store(), &Request::Poll { source: "x".into() }, WAIT).expect("still served");
    }

    #[test]
    fn a_line_that_does_not_end_in_time_is_given_up() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        ours.write_all(b"half").expect("sends");
        let error = read_line(&theirs, 100, Duration::from_millis(5)).expect_err("not whole");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
