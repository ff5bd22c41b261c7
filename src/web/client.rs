//! The client side of the control socket: one request, one answer.
//! Whether to ask or to take the lock is decided by `app`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::control::{TRANSFER_WAIT_MAX, read_line};
use super::message::{ANSWER_BYTES_MAX, Answer, Request};
use super::socket::{connect, socket_path};
use crate::error::{Error, ErrorKind, Result};

/// Asks the process that runs the store at `store`, and waits up to `wait` for its answer.
///
/// # Errors
/// `NotFound` when no process listens there; the error of the other side with its kind; `TimedOut` when no answer came in
/// time: what was asked may still be done.
pub fn ask(store: &Path, request: &Request, wait: Duration) -> Result<Answer> {
    let path = socket_path(store);
    let doing = || format!("ask the running process through {}", path.display());
    let mut stream = connect(&path).map_err(|e| match e.kind() {
        // A refused connection is the socket file of a process that was killed.
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "no process is running on this store; start one with \"highwater run\"")
        }
        _ => Error::io(doing(), e),
    })?;
    let mut line = serde_json::to_vec(request).map_err(|e| Error::internal(doing()).because(e))?;
    line.push(b'\n');
    stream
        .set_write_timeout(Some(TRANSFER_WAIT_MAX))
        .and_then(|()| stream.write_all(&line))
        .map_err(|e| Error::io(doing(), e))?;
    let line = read_line(&stream, ANSWER_BYTES_MAX, wait).map_err(|e| e.while_doing(doing()))?;
    let answer: Answer =
        serde_json::from_slice(&line).map_err(|e| Error::new(ErrorKind::Invalid, doing()).because(e))?;
    answer.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_runs_the_error_says_how_to_start() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = ask(&folder.path().join("s.db"), &Request::Ping, Duration::from_secs(1)).expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("highwater run"), "{error}");
    }
}
