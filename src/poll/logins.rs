//! Lets sources try to log in as often as the store allows: waits while others of the account try, and says what to do
//! when a secret is spent. Counting is the store's.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Stop};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::{AUTH_REFUSED, Accounts};
use crate::store::logins::{LOGIN_ATTEMPTS_MAX, LOGIN_SECONDS_MAX};
use crate::store::{Login, LoginBook, LoginStep, LoginTurn};

/// How often a waiting login looks whether another has ended: it may be of another process.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// One source's logins.
pub struct Logins {
    book: Arc<dyn LoginBook>,
    clock: Arc<dyn Clock>,
    source: SourceName,
}

impl Logins {
    /// The logins of `source`, counted in `book`.
    pub fn of(source: &SourceName, book: Arc<dyn LoginBook>, clock: Arc<dyn Clock>) -> Arc<dyn Accounts> {
        Arc::new(Self { book, clock, source: source.clone() })
    }

    fn step(&self, account: &str, secret: &[u8], step: LoginStep) -> Result<LoginTurn> {
        self.book.login(&Login { source: &self.source, account, secret }, step, self.clock.now())
    }

    /// What can't be counted down stays counted, which is safe: it is only told.
    fn note(&self, account: &str, secret: &[u8], step: LoginStep) {
        if let Err(error) = self.step(account, secret, step) {
            tracing::warn!(source = %self.source, account, %error, "what came of a login could not be stored");
        }
    }

    fn spent(&self, account: &str) -> Error {
        let text = format!(
            "{AUTH_REFUSED}the login as {account} was refused {LOGIN_ATTEMPTS_MAX} times with this secret and is not tried \
             again; change the secret, or `highwater resume {}` tries it once more",
            self.source
        );
        Error::new(ErrorKind::Denied, text)
    }
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Accounts for Logins {
    fn attempt(&self, account: &str, secret: &[u8]) -> Result<()> {
        let nobody = Stop::new();
        let until = self.clock.tick() + Duration::from_secs(LOGIN_SECONDS_MAX.unsigned_abs());
        loop {
            match self.step(account, secret, LoginStep::Attempt)? {
                LoginTurn::Go => return Ok(()),
                LoginTurn::Spent => return Err(self.spent(account)),
                LoginTurn::Wait if self.clock.tick() >= until => return Err(self.spent(account)),
                LoginTurn::Wait => nobody.wait(LOOK_EVERY),
            };
        }
    }

    fn accepted(&self, account: &str, secret: &[u8]) {
        self.note(account, secret, LoginStep::Accepted);
    }

    fn unanswered(&self, account: &str, secret: &[u8]) {
        self.note(account, secret, LoginStep::Unanswered);
    }

    fn refused(&self, account: &str, secret: &[u8]) {
        self.note(account, secret, LoginStep::Refused);
    }
}

/// Whether an error says that a login is not tried any more.
pub fn is_spent(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied && error.to_string().contains(AUTH_REFUSED)
}
