//! The control connection: commands out, replies in, always in step. After any failure it is broken, and nothing more is
//! sent: a late reply would be taken for the answer to another command.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::refusal;
use super::reply::{Reply, ReplyReader};
use super::wire::{Channel, Wire};
use crate::change::key::shown;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};

/// A control connection.
#[derive(Debug)]
pub struct Control {
    /// `None` only while TLS begins.
    channel: Option<Channel>,
    replies: ReplyReader,
    place: String,
    patience: Duration,
    local: SocketAddr,
    peer: SocketAddr,
    broken: bool,
}

impl Control {
    /// Speaks over `wire`; `place` names the server in errors, replies are waited for at most `patience`.
    ///
    /// # Errors
    /// The connection is gone already.
    pub fn new(wire: Wire, place: String, patience: Duration) -> Result<Self> {
        let addresses = wire.tcp().local_addr().and_then(|local| Ok((local, wire.tcp().peer_addr()?)));
        let (local, peer) = addresses.map_err(|error| Error::io(format!("connect to {place}"), error))?;
        let replies = ReplyReader::default();
        Ok(Self { channel: Some(Channel::Plain(wire)), replies, place, patience, local, peer, broken: false })
    }

    /// The server, for errors.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Our address on this connection.
    pub fn local_ip(&self) -> IpAddr {
        self.local.ip()
    }

    /// The server's address on this connection, or the proxy's.
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Whether it must not be used any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Gives it up.
    pub fn break_off(&mut self) {
        self.broken = true;
    }

    /// Whose requests to stop are noticed from now on.
    pub fn set_stop(&mut self, stop: &Stop) {
        if let Some(channel) = &mut self.channel {
            channel.wire().set_stop(stop.clone());
        }
    }

    /// Whether the server said or did something while nobody asked: it closed the connection, or is about to.
    pub fn is_stale(&mut self) -> bool {
        let Some(channel) = &mut self.channel else { return true };
        if self.broken || self.replies.holds_bytes() || channel.holds_bytes() {
            return true;
        }
        let tcp = channel.wire().tcp();
        if tcp.set_nonblocking(true).is_err() {
            return true;
        }
        let quiet = matches!(tcp.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        tcp.set_nonblocking(false).is_err() || !quiet
    }

    /// Whether a reply, or a part of one, was received already.
    pub fn holds_bytes(&mut self) -> bool {
        self.replies.holds_bytes() || self.channel.as_mut().is_some_and(Channel::holds_bytes)
    }

    /// The TLS state, once TLS has begun.
    pub fn tls(&self) -> Option<&ClientConnection> {
        self.channel.as_ref().and_then(Channel::tls)
    }

    /// The socket, to be waited for.
    ///
    /// # Errors
    /// It is closed.
    pub fn tcp(&mut self) -> Result<&std::net::TcpStream> {
        let channel = self.channel.as_mut().ok_or_else(|| Error::internal("a closed control connection is used"))?;
        Ok(channel.wire().tcp())
    }

    /// Begins TLS, within `span`.
    ///
    /// # Errors
    /// The handshake failed, or something was said before it that TLS would hide (RFC 4217 section 15).
    pub fn begin_tls(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>, span: Duration) -> Result<()> {
        if self.replies.holds_bytes() {
            self.broken = true;
            let fact = format!("{} said more than one reply before TLS began; somebody may sit in between", self.place);
            return Err(Error::new(ErrorKind::Denied, fact));
        }
        let Some(Channel::Plain(mut wire)) = self.channel.take() else {
            return Err(Error::internal("TLS begins twice"));
        };
        wire.within(Some(span));
        let begun = ClientConnection::new(config, name).map_err(io::Error::other).and_then(|conn| {
            let mut stream = Box::new(StreamOwned::new(conn, wire));
            stream.conn.complete_io(&mut stream.sock)?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => {
                self.channel = Some(Channel::Tls(stream));
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(refusal::lost(&format!("begin TLS with {}", self.place), error))
            }
        }
    }

    /// Sends commands in one write. None of them may hold a line break.
    ///
    /// # Errors
    /// A command can't be sent as it is, or the connection is lost.
    pub fn send(&mut self, commands: &[&[u8]]) -> Result<()> {
        let mut bytes = Vec::with_capacity(commands.iter().map(|command| command.len() + 2).sum());
        for command in commands {
            if command.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                let fact = format!("\"{}\" holds a line break and is not sent", hidden(command));
                return Err(Error::new(ErrorKind::Invalid, fact));
            }
            tracing::trace!(at = %self.place, command = %hidden(command), "ftp command");
            bytes.extend_from_slice(command);
            bytes.extend_from_slice(b"\r\n");
        }
        let Some(channel) = self.channel.as_mut().filter(|_| !self.broken) else {
            return Err(Error::internal("a broken control connection is used"));
        };
        channel.wire().within(Some(self.patience));
        channel.write_all(&bytes).and_then(|()| channel.flush()).map_err(|error| {
            self.broken = true;
            refusal::lost(&format!("send a command to {}", self.place), error)
        })
    }

    /// The next reply, within the time a reply may take.
    ///
    /// # Errors
    /// The connection is lost, the reply is none, or it is 421: the server ends the session.
    pub fn reply(&mut self) -> Result<Reply> {
        let Some(channel) = self.channel.as_mut().filter(|_| !self.broken) else {
            return Err(Error::internal("a broken control connection is used"));
        };
        channel.wire().within(Some(self.patience));
        match self.replies.next(channel) {
            Ok(reply) if reply.code == 421 => {
                self.broken = true;
                Err(refusal::ended(&self.place, &reply))
            }
            Ok(reply) => {
                tracing::trace!(at = %self.place, reply = %reply.quoted(), "ftp reply");
                Ok(reply)
            }
            Err(error) => {
                self.broken = true;
                Err(refusal::lost(&format!("wait for a reply of {}", self.place), error))
            }
        }
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Errors
    /// As [`Control::send`] and [`Control::reply`].
    pub fn command(&mut self, command: &[u8]) -> Result<Reply> {
        self.send(&[command])?;
        self.reply()
    }

    /// Says goodbye and does not wait for the answer.
    pub fn quit(&mut self) {
        let Some(channel) = self.channel.as_mut().filter(|_| !self.broken) else { return };
        channel.wire().within(Some(Duration::from_millis(200)));
        let _ = channel.write_all(b"QUIT\r\n").and_then(|()| channel.flush());
        channel.say_goodbye();
        self.broken = true;
    }
}

/// A command as it may be logged.
fn hidden(command: &[u8]) -> Cow<'_, str> {
    match command.get(..5) {
        Some(verb) if verb.eq_ignore_ascii_case(b"PASS ") || verb.eq_ignore_ascii_case(b"ACCT ") => "PASS ***".into(),
        _ => shown(command).into(),
    }
}
