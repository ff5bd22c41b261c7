//! Our account on a server: what may be tried for it, and what the server thought of that. Showing secrets to the server is
//! `login`'s affair.

use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

use super::credential::Credentials;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::Secret;
use crate::source::Accounts;
use crate::source::settings::Identity;

/// One account on one server.
pub struct Account {
    /// `sftp://user@host:port`.
    pub name: String,
    /// The user.
    pub user: String,
    /// The password; two while rotating.
    pub password: Option<Secret>,
    /// Keys.
    pub identity: Vec<Identity>,
    /// What the keys are locked with.
    pub passphrase: Option<Secret>,
    /// Whether RSA keys may sign with SHA-1.
    pub sha1: bool,
    /// Who counts attempts.
    accounts: Arc<dyn Accounts>,
    judged: Mutex<Judged>,
}

#[derive(Default)]
struct Judged {
    /// The digest of the password that was good last.
    good: Option<[u8; 32]>,
    /// That of the one that was refused last.
    bad: Option<[u8; 32]>,
    /// The digest of all credentials of a login that failed for nothing but held secrets, and those secrets' digests.
    stuck: Option<([u8; 32], Vec<[u8; 32]>)>,
}

impl Account {
    /// An account without password and keys.
    pub fn new(name: String, user: &str, accounts: Arc<dyn Accounts>) -> Self {
        Self {
            name,
            user: user.to_owned(),
            password: None,
            identity: Vec::new(),
            passphrase: None,
            sha1: false,
            accounts,
            judged: Mutex::default(),
        }
    }

    /// Whether it makes sense to call the server at all.
    ///
    /// # Errors
    /// `Denied` with the hold's text when nothing is left that may be tried, or what the server wants is held; what
    /// hinders where there is nothing to show.
    pub fn check(&self, credentials: &Credentials) -> Result<()> {
        let stuck = self.judged().stuck.clone().filter(|(all, _)| *all == credentials.digest());
        let (mut held, mut free) = (None, 0);
        for secret in credentials.secrets() {
            match self.accounts.check(&self.name, &secret) {
                Err(error) if error.kind() == ErrorKind::Denied => held = Some(error),
                Err(error) => return Err(error),
                Ok(()) if stuck.as_ref().is_some_and(|(_, held)| held.contains(&digest(&secret))) => return Ok(()),
                Ok(()) => free += 1,
            }
        }
        match (held, &credentials.trouble) {
            (Some(held), _) if free == 0 || stuck.is_some() => Err(held),
            (None, Some(trouble)) if free == 0 => {
                Err(Error::new(trouble.kind(), format!("log in at {}", self.name)).because(trouble.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Counts an attempt with a secret; the hold's text when none may be made.
    ///
    /// # Errors
    /// It can't be counted, or others don't end; `Stopped`.
    pub fn attempt(&self, secret: &[u8], stop: &Stop) -> Result<Option<Error>> {
        match self.accounts.attempt(&self.name, secret, stop) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Denied => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    /// The server took it.
    pub fn accepted(&self, secret: &[u8]) {
        self.accounts.accepted(&self.name, secret);
        let mut judged = self.judged();
        (judged.good, judged.stuck) = (Some(digest(secret)), None);
    }

    /// The server refused it.
    pub fn refused(&self, secret: &[u8]) {
        self.accounts.refused(&self.name, secret);
        self.judged().bad = Some(digest(secret));
    }

    /// The server did not judge it.
    pub fn unanswered(&self, secret: &[u8]) {
        self.accounts.unanswered(&self.name, secret);
    }

    /// A login failed although the server refused nothing: what it wants besides is held. It is not called again before one
    /// of the held secrets may be tried, or something else can be shown.
    pub fn stuck(&self, all: [u8; 32], held: &[Vec<u8>]) {
        self.judged().stuck = Some((all, held.iter().map(|secret| digest(secret)).collect()));
    }

    /// Puts the password that was good last in front and the one that was refused last behind, so that the other one is not
    /// sent again and again while both are configured.
    pub fn good_first(&self, passwords: &mut [String]) {
        let judged = self.judged();
        passwords.sort_by_key(|password| {
            let digest = Some(digest(password.as_bytes()));
            (judged.good != digest, judged.bad == digest)
        });
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().expect("nobody panics while comparing digests")
    }
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
