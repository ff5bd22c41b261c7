//! How often a secret was refused, kept durably: partners lock accounts. The rule is the store's, because several
//! processes count together; waiting for others, and what people are told, belongs to `poll`.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::setting::SourceName;

/// A secret is tried at most this often before the server has accepted it.
pub const LOGIN_ATTEMPTS_MAX: u32 = 2;

/// An attempt of which nothing was heard for this long has ended: it was refused, or its process is gone. It is longer than
/// anybody waits for a reply, because an attempt that may still succeed must not hold a good secret.
pub const LOGIN_SECONDS_MAX: i64 = 600;

/// Secrets remembered for one account; older ones are forgotten.
pub const SECRETS_KEPT_MAX: u32 = 32;

/// A login at an account. The secret is never stored, only a salted digest of it.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The source that logs in: `resume` of it lets the account be tried again.
    pub source: &'a SourceName,
    /// `ftp://user@host:port`.
    pub account: &'a str,
    /// The password, passphrase or key.
    pub secret: &'a [u8],
}

/// What happens to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStep {
    /// It is only asked whether it may be tried; nothing is counted.
    Look,
    /// It is about to be tried.
    Attempt,
    /// The server took the secret.
    Accepted,
    /// The server refused the secret.
    Refused,
    /// The server did not judge it.
    Unanswered,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginTurn {
    /// It may, and is counted.
    Go,
    /// As many are under way as may still be refused: ask again soon.
    Wait,
    /// The secret was refused too often.
    Spent,
}

/// Where attempts to log in are counted.
pub trait LoginBook: Send + Sync {
    /// One step of a login, durable when this returns. What is answered matters for [`LoginStep::Look`]
    /// and [`LoginStep::Attempt`] alone.
    ///
    /// # Errors
    /// The store can't be written: then nothing may be tried.
    fn login(&self, login: &Login<'_>, step: LoginStep, now: Timestamp) -> Result<LoginTurn>;
}
