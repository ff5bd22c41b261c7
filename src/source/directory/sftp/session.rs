//! One logged-in connection with SFTP running on it: asks, waits, and turns answers into values or errors.
//! What is asked for a listing, a file or an action belongs to those.

use std::time::Duration;

use bytes::Bytes;
use russh::client::Handle;
use tokio::runtime;

use super::attributes::Attributes;
use super::failure::{of_malformed, of_status};
use super::gate::{Gate, Seen};
use super::packet::{Malformed, Named, Reply, Request, Status};
use super::slots::Slot;
use super::waiting::wait;
use super::wire::{Pending, Wire};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::RemoteTimeouts;

/// A connection that can be asked.
pub struct Session {
    /// Requests and replies.
    pub(super) wire: Wire,
    /// What was seen of the server while connecting.
    pub(super) seen: Seen,
    /// The ways to log in that it offered.
    pub(super) offered: Vec<&'static str>,
    /// The extensions it announced.
    pub(super) extensions: Vec<Bytes>,
    /// How long is waited for what.
    pub(super) timeouts: RemoteTimeouts,
    /// `sftp://user@host:port`.
    pub(super) place: String,
    /// Where it lives.
    pub(super) runtime: runtime::Handle,
    /// The connection ends when this is dropped.
    pub(super) _ssh: Handle<Gate>,
    /// Counts it among the host's connections as long as it lives.
    pub(super) _slot: Slot,
}

impl Session {
    /// Whether it can't be used any more.
    pub fn is_ended(&self) -> bool {
        self.wire.is_ended()
    }

    /// Whether the server announced an extension.
    pub fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|one| one == extension.as_bytes())
    }

    /// Sends requests without waiting for their replies.
    pub fn send<const N: usize>(&self, stop: &Stop, doing: &str, requests: [Request; N]) -> Result<[Pending; N]> {
        let span = self.timeouts.reply.duration();
        let sent = self.wait(stop, span, doing, async {
            let mut sent = Vec::with_capacity(N);
            for request in requests {
                sent.push(self.wire.send(request).await?);
            }
            Ok(sent)
        })?;
        sent.try_into().map_err(|_| Error::internal("as many replies as requests"))
    }

    /// The reply to a request, within the time for replies.
    pub fn reply(&self, stop: &Stop, doing: &str, pending: &mut Pending) -> Result<Reply> {
        self.reply_within(stop, self.timeouts.reply.duration(), doing, pending)
    }

    /// The reply to a request, within a time of its own.
    pub fn reply_within(&self, stop: &Stop, span: Duration, doing: &str, pending: &mut Pending) -> Result<Reply> {
        match pending.reply_now() {
            Some(reply) => reply,
            None => self.wait(stop, span, doing, pending.reply()),
        }
    }

    /// Sends one request and waits for its reply.
    pub fn ask(&self, stop: &Stop, doing: &str, request: Request) -> Result<Reply> {
        let [mut pending] = self.send(stop, doing, [request])?;
        self.reply(stop, doing, &mut pending)
    }

    /// Sends a request whose only answer is whether it was done; `Ok(Some(..))` when it was not.
    pub fn try_do(&self, stop: &Stop, doing: &str, request: Request) -> Result<Option<Status>> {
        match self.ask(stop, doing, request)? {
            Reply::Status(status) if status.code == Status::OK => Ok(None),
            Reply::Status(status) => Ok(Some(status)),
            _ => Err(self.surprise()),
        }
    }

    /// What is at a path, links not followed; `None` when nothing is there.
    pub fn lstat(&self, stop: &Stop, doing: &str, path: &[u8]) -> Result<Option<Attributes>> {
        let reply = self.ask(stop, doing, Request::lstat(path))?;
        self.attributes(doing, reply)
    }

    /// Reads the answer to a look.
    pub fn attributes(&self, doing: &str, reply: Reply) -> Result<Option<Attributes>> {
        match reply {
            Reply::Attributes(attributes) => Ok(Some(attributes)),
            Reply::Status(status) if status.code == Status::NO_SUCH_FILE => Ok(None),
            Reply::Status(status) => Err(of_status(doing, &status)),
            _ => Err(self.surprise()),
        }
    }

    /// Reads the answer to opening; the status when it was refused.
    pub fn handle(&self, reply: Reply) -> Result<Result<Bytes, Status>> {
        match reply {
            Reply::Handle(handle) => Ok(Ok(handle)),
            Reply::Status(status) => Ok(Err(status)),
            _ => Err(self.surprise()),
        }
    }

    /// Reads the answer to REALPATH.
    pub fn one_name(&self, doing: &str, reply: Reply) -> Result<Bytes> {
        match reply {
            Reply::Names(mut names) if names.len() == 1 => {
                let Named { name, .. } = names.remove(0);
                Ok(name)
            }
            Reply::Status(status) => Err(of_status(doing, &status)),
            _ => Err(self.surprise()),
        }
    }

    /// Closes a file or folder on the server; nobody waits for the answer.
    pub fn close(&self, stop: &Stop, handle: &[u8]) {
        let closing = self.send(stop, "close", [Request::close(handle)]);
        if let Err(error) = closing {
            tracing::debug!(%error, "an opened file or folder was left to the server to close");
        }
    }

    /// An answer that does not fit the question: nothing on this connection is to be trusted.
    pub fn surprise(&self) -> Error {
        let error = of_malformed(&self.place, Malformed("an answer that does not fit the question"));
        self.wire.give_up(ErrorKind::Invalid, "the server gave an answer that does not fit the question");
        error
    }

    fn wait<T>(&self, stop: &Stop, span: Duration, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = wait(&self.runtime, stop, span, doing, work);
        if let Err(error) = &done
            && matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Stopped)
        {
            // Replies to what was asked may still come, and half a request may have been sent.
            self.wire.give_up(ErrorKind::Unavailable, "an earlier request was given up");
        }
        done
    }
}
