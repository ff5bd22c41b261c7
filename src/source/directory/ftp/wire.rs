//! Sockets with deadlines, plain or under TLS: no read or write waits longer than it was given, and a request to stop is
//! noticed while waiting. What is said over them is `control` and `data`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use crate::clock::Stop;

/// While a socket waits, deadlines and requests to stop are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What `read` and `write` fail with when the work was asked to stop.
const STOPPED: &str = "asked to stop";

/// A TCP connection with deadlines.
#[derive(Debug)]
pub struct Wire {
    tcp: TcpStream,
    /// The longest wait for the next bytes.
    patience: Duration,
    /// When everything must be over.
    until: Option<Instant>,
    stop: Stop,
}

impl Wire {
    /// `tcp`, where the next bytes are waited for at most `patience`.
    ///
    /// # Errors
    /// The socket takes no options.
    pub fn new(tcp: TcpStream, patience: Duration, stop: Stop) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(LOOK_EVERY))?;
        tcp.set_write_timeout(Some(LOOK_EVERY))?;
        Ok(Self { tcp, patience, until: None, stop })
    }

    /// The socket itself.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Everything that follows must be over within `span`; `None`: only the wait for the next bytes is bounded.
    pub fn within(&mut self, span: Option<Duration>) {
        self.until = span.map(|span| Instant::now() + span);
    }

    /// From now on the next bytes are waited for at most so long.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Whose requests to stop are noticed.
    pub fn set_stop(&mut self, stop: Stop) {
        self.stop = stop;
    }

    fn attempt(&self, mut once: impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let began = Instant::now();
        if self.until.is_some_and(|until| began >= until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let until = self.until.unwrap_or(began + self.patience);
        loop {
            match once(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.stop.is_raised() {
                        return Err(io::Error::other(STOPPED));
                    }
                    if Instant::now() >= until {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                done => return done,
            }
        }
    }
}

/// Whether an error says that the work was asked to stop.
pub fn is_stop(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.get_ref().is_some_and(|inner| inner.to_string() == STOPPED)
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.attempt(|mut tcp| tcp.read(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|mut tcp| tcp.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, plain or under TLS.
#[derive(Debug)]
pub enum Channel {
    /// As it is.
    Plain(Wire),
    /// Encrypted.
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Channel {
    /// The connection below.
    pub fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// The TLS state.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(&stream.conn),
        }
    }

    /// Whether bytes that were received already wait inside the TLS layer, where a poll of the socket does not show them.
    pub fn holds_bytes(&mut self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => {
                stream.conn.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
            }
        }
    }

    /// Says that nothing more will be sent, as TLS demands; what comes of it does not matter any more.
    pub fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
