//! What the SSH library asks of us while a connection lives: whether the host key is believed. What it tells besides is
//! noted for messages and for `doctor`.

use std::sync::{Arc, Mutex};

use russh::Names;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::{PublicKeyBase64, PublicKeyOrCertificate};

use super::host_key::{Shown, Trust};
use super::known_hosts::Line;
use crate::change::key::shown;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;

/// A greeting is kept up to here.
const BANNER_CHARS_MAX: usize = 200;

/// What was seen of a server, filled in as it comes.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The server's version line: `SSH-2.0-OpenSSH_9.2p1 Debian-2`.
    pub version: String,
    /// The host key it proved to hold.
    pub host_key: Option<Shown>,
    /// Key exchange, cipher and MAC.
    pub algorithms: String,
    /// What it wants to be shown before the login.
    pub banner: String,
    /// How the connection ended.
    pub ended: Option<Ended>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The server said so, with this reason.
    Told(String),
    /// The server closed it, or offers no way to log in any more.
    Closed,
    /// It broke.
    Lost(String),
}

/// The notes on one connection, shared with its owner.
pub type Notes = Arc<Mutex<Seen>>;

/// Checks one connection.
pub struct Gate {
    trust: Arc<Trust>,
    lines: Vec<Line>,
    notes: Notes,
    believed: Option<Vec<u8>>,
}

impl Gate {
    /// A gate that lets in whom `trust` believes, given what is known of the host.
    pub fn new(trust: Arc<Trust>, lines: Vec<Line>, notes: Notes) -> Self {
        Self { trust, lines, notes, believed: None }
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.notes.lock().expect("nobody panics while taking notes"));
    }
}

/// What ends a connection from within.
#[derive(Debug)]
pub enum Shut {
    /// The host key is not believed.
    Refused(Error),
    /// The library's own reason.
    Ssh(russh::Error),
}

impl From<russh::Error> for Shut {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Gate {
    type Error = Shut;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Shut> {
        let blob = key.public_key().public_key_bytes();
        // Keys are exchanged again after an hour or a GiB; nobody else may take over then.
        if let Some(believed) = &self.believed {
            return Ok(*believed == blob);
        }
        let now_s = SystemClock::new().now().seconds();
        let words = self.trust.check(&self.lines, key, now_s).map_err(Shut::Refused)?;
        self.note(|seen| seen.host_key = Some(words));
        self.believed = Some(blob);
        Ok(true)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, session: &mut Session) -> Result<(), Shut> {
        let version = shown(session.remote_sshid());
        let mac = if names.cipher.as_ref().contains("gcm") || names.cipher.as_ref().contains("poly1305") {
            "implicit MAC"
        } else {
            names.server_mac.as_ref()
        };
        let algorithms = format!("{}, {}, {mac}", names.kex.as_ref(), names.cipher.as_ref());
        self.note(|seen| (seen.version, seen.algorithms) = (version, algorithms));
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Shut> {
        let text: String = shown(banner.trim().as_bytes()).chars().take(BANNER_CHARS_MAX).collect();
        self.note(|seen| seen.banner = text);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Shut>) -> Result<(), Shut> {
        let (ended, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (Ended::Told(shown(info.message.trim().as_bytes())), Ok(())),
            DisconnectReason::Error(Shut::Ssh(error)) => {
                let ended = match &error {
                    russh::Error::Disconnect | russh::Error::HUP | russh::Error::NoAuthMethod => Ended::Closed,
                    russh::Error::IO(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => Ended::Closed,
                    other => Ended::Lost(other.to_string()),
                };
                (ended, Err(Shut::Ssh(error)))
            }
            DisconnectReason::Error(refused) => (Ended::Closed, Err(refused)),
        };
        self.note(|seen| seen.ended = Some(ended));
        result
    }
}
