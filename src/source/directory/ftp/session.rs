//! A logged-in session: where it stands (folder, type), and the commands that need no data connection. Transfers are in
//! `data`; which session does what is the directory's affair.

use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::control::Control;
use super::features::Features;
use super::refusal;
use super::reply::Reply;
use super::wire::Channel;
use crate::error::Result;

/// How the bytes of a transfer are meant (RFC 959 section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// As they are.
    Image,
    /// Lines of text in the server's character set, converted.
    Ascii,
}

/// A logged-in session.
#[derive(Debug)]
pub struct Session {
    /// The control connection.
    pub control: Control,
    /// What the server announces.
    pub features: Features,
    /// Its first words.
    pub greeting: Reply,
    /// What data connections begin TLS with.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// How the last data connection's TLS began.
    pub last_handshake: Option<rustls::HandshakeKind>,
    /// Since when nobody needs it.
    pub idle_since: Instant,
    /// The folder it is in, below the root; `None` when that is not certain.
    pub folder: Option<Vec<u8>>,
    kind: Option<Type>,
    /// Whether a transfer has begun whose end was not seen yet.
    pub transfers: bool,
}

impl Session {
    /// A session that has just begun.
    pub fn new(
        control: Control,
        features: Features,
        greeting: Reply,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Self {
        Self {
            control,
            features,
            greeting,
            tls,
            last_handshake: None,
            idle_since: Instant::now(),
            folder: None,
            kind: None,
            transfers: false,
        }
    }

    /// Whether it can be used for another command.
    pub fn is_usable(&self) -> bool {
        !self.control.is_broken() && !self.transfers
    }

    /// Makes transfers mean this.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    pub fn set_type(&mut self, kind: Type) -> Result<()> {
        if self.kind == Some(kind) {
            return Ok(());
        }
        let reply = self.control.command(if kind == Type::Image { b"TYPE I" } else { b"TYPE A" })?;
        if !reply.is_done() {
            return Err(refusal::refused(format!("set the transfer type at {}", self.control.place()), &reply));
        }
        self.kind = Some(kind);
        Ok(())
    }

    /// Sends one command whose path follows after a blank.
    ///
    /// # Errors
    /// The connection is lost. A refusal is a reply.
    pub fn ask(&mut self, verb: &str, path: &[u8]) -> Result<Reply> {
        self.control.command(&line(verb, path))
    }

    /// Sends two commands at once and waits for both replies.
    ///
    /// # Errors
    /// The connection is lost. A refusal is a reply.
    pub fn ask_both(&mut self, verbs: [&str; 2], path: &[u8]) -> Result<(Reply, Reply)> {
        self.control.send(&[&line(verbs[0], path), &line(verbs[1], path)])?;
        Ok((self.control.reply()?, self.control.reply()?))
    }

    /// The folder the server says we are in, as its bytes; `None` when it says it in no way we know.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn working_folder(&mut self) -> Result<Option<Vec<u8>>> {
        let reply = self.control.command(b"PWD")?;
        let line = reply.lines().next().unwrap_or_default();
        Ok(if reply.code == 257 { quoted_path(line) } else { None })
    }

    /// Ends the session politely.
    pub fn quit(&mut self) {
        if self.is_usable() {
            self.control.quit();
        }
    }

    /// Notes that a transfer came to its end, the final reply included.
    pub fn transfer_ended(&mut self, data: Channel) {
        drop(data);
        self.transfers = false;
    }
}

/// A command line.
pub fn line(verb: &str, path: &[u8]) -> Vec<u8> {
    [verb.as_bytes(), b" ", path].concat()
}

/// The path between the first quotation mark and the last; inner ones are doubled (RFC 959 appendix II).
fn quoted_path(line: &[u8]) -> Option<Vec<u8>> {
    let start = line.iter().position(|byte| *byte == b'"')? + 1;
    let rest = &line[start..];
    let mut path = Vec::with_capacity(rest.len());
    let mut at = 0;
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            (b'"', Some(b'"')) => at += 1,
            (b'"', _) => return Some(path),
            _ => {}
        }
        path.push(rest[at]);
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_folder_is_taken_out_of_its_quotation_marks() {
        assert_eq!(quoted_path(b"\"/srv/in\" is the current directory").as_deref(), Some(&b"/srv/in"[..]));
        assert_eq!(quoted_path(b"\"/a \"\"b\"\"\"").as_deref(), Some(&b"/a \"b\""[..]));
        assert_eq!(quoted_path(b"'USER.' is the working directory"), None);
        assert_eq!(quoted_path(b"\"never ends"), None);
    }
}
