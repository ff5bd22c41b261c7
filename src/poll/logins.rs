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

/// How long a login waits for others; those of this process wait for their turn before.
const WAIT_MAX: Duration = Duration::from_secs(45);

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
    fn check(&self, account: &str, secret: &[u8]) -> Result<()> {
        match self.step(account, secret, LoginStep::Look)? {
            LoginTurn::Spent => Err(self.spent(account)),
            LoginTurn::Go | LoginTurn::Wait => Ok(()),
        }
    }

    fn attempt(&self, account: &str, secret: &[u8], stop: &Stop) -> Result<()> {
        let until = self.clock.tick() + WAIT_MAX;
        loop {
            match self.step(account, secret, LoginStep::Attempt)? {
                LoginTurn::Go => return Ok(()),
                LoginTurn::Spent => return Err(self.spent(account)),
                LoginTurn::Wait if self.clock.tick() >= until => return Err(unsure(account)),
                LoginTurn::Wait => stop.wait(LOOK_EVERY),
            };
            stop.check().map_err(|e| e.while_doing(format!("wait for other logins as {account}")))?;
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

/// As many attempts as may be refused were begun, and nobody knows yet what came of them.
fn unsure(account: &str) -> Error {
    let text = format!(
        "{LOGIN_ATTEMPTS_MAX} logins as {account} with this secret are under way in another process, or were cut off by a \
         crash; it is not tried before it is known what came of them, for at most {} minutes",
        LOGIN_SECONDS_MAX / 60
    );
    Error::new(ErrorKind::Unavailable, text)
}

/// Whether an error says that a login is not tried any more.
pub fn is_spent(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied && error.to_string().contains(AUTH_REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::store::sqlite::SqliteStore;

    const ACCOUNT: &str = "ftp://me@host:21";

    struct Desk {
        _folder: tempfile::TempDir,
        clock: Arc<ManualClock>,
        logins: Arc<dyn Accounts>,
    }

    /// Others are always under way; ten seconds pass with each look.
    struct Busy(Arc<ManualClock>);

    impl LoginBook for Busy {
        fn login(&self, _: &Login<'_>, _: LoginStep, _: Timestamp) -> Result<LoginTurn> {
            self.0.advance(Duration::from_secs(10));
            Ok(LoginTurn::Wait)
        }
    }

    fn desk() -> Desk {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let book = Arc::new(SqliteStore::open(&folder.path().join("highwater.db")).expect("open"));
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let logins = Logins::of(&SourceName::new("orders"), book, clock.clone());
        Desk { _folder: folder, clock, logins }
    }

    #[test]
    fn a_spent_secret_is_denied_with_the_account_and_the_remedy_and_without_the_secret() {
        let desk = desk();
        for _ in 0..2 {
            desk.logins.attempt(ACCOUNT, b"hunter2", &Stop::new()).expect("counted");
            desk.logins.refused(ACCOUNT, b"hunter2");
        }
        let error = desk.logins.attempt(ACCOUNT, b"hunter2", &Stop::new()).expect_err("spent");
        assert!(
            is_spent(&error) && is_spent(&desk.logins.attempt(ACCOUNT, b"hunter2", &Stop::new()).expect_err("spent"))
        );
        let text = error.to_string();
        assert!(text.starts_with("auth_refused: ") && text.contains(ACCOUNT) && !text.contains("hunter2"), "{text}");
        assert!(text.contains("highwater resume orders"), "{text}");
        desk.logins.attempt(ACCOUNT, b"another", &Stop::new()).expect("another secret");
        desk.logins.attempt("ftp://you@host:21", b"hunter2", &Stop::new()).expect("another account");
    }

    #[test]
    fn a_third_login_goes_on_once_one_that_is_under_way_was_accepted() {
        let desk = desk();
        desk.logins.attempt(ACCOUNT, b"right", &Stop::new()).expect("counted");
        desk.logins.attempt(ACCOUNT, b"right", &Stop::new()).expect("counted");
        let third = desk.logins.clone();
        let third = std::thread::spawn(move || third.attempt(ACCOUNT, b"right", &Stop::new()));
        desk.logins.accepted(ACCOUNT, b"right");
        third.join().expect("no panic").expect("it goes on");
    }

    #[test]
    fn a_third_login_is_denied_once_those_before_it_can_not_be_under_way_any_more() {
        let desk = desk();
        desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect("counted");
        desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect("counted");
        desk.clock.advance(Duration::from_secs(LOGIN_SECONDS_MAX.unsigned_abs()));
        assert!(is_spent(&desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect_err("spent")));
    }

    #[test]
    fn a_login_that_waits_for_others_ends_when_it_shall_stop_and_is_not_held() {
        let desk = desk();
        desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect("counted");
        desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect("counted");
        let stop = Stop::new();
        let (third, stopped) = (desk.logins.clone(), stop.clone());
        let third = std::thread::spawn(move || third.attempt(ACCOUNT, b"a", &stopped));
        stop.raise();
        assert_eq!(third.join().expect("no panic").expect_err("stopped").kind(), ErrorKind::Stopped);
        let book = Arc::new(Busy(desk.clock.clone()));
        let logins = Logins::of(&SourceName::new("orders"), book, desk.clock.clone());
        let error = logins.attempt(ACCOUNT, b"a", &Stop::new()).expect_err("it is not known what came of the others");
        assert!(error.kind() == ErrorKind::Unavailable && !is_spent(&error), "{error}");
    }

    #[test]
    fn a_look_counts_nothing_and_sees_what_is_spent() {
        let desk = desk();
        for _ in 0..9 {
            desk.logins.check(ACCOUNT, b"a").expect("nothing was tried");
        }
        for _ in 0..2 {
            desk.logins.attempt(ACCOUNT, b"a", &Stop::new()).expect("counted");
            desk.logins.check(ACCOUNT, b"a").expect("it may still be good");
            desk.logins.refused(ACCOUNT, b"a");
        }
        assert!(is_spent(&desk.logins.check(ACCOUNT, b"a").expect_err("spent")));
    }

    #[test]
    fn facts_around_a_spent_login_do_not_hide_it() {
        let error = Error::new(ErrorKind::Denied, format!("{AUTH_REFUSED}x")).while_doing("list").while_doing("poll");
        assert!(is_spent(&error) && !is_spent(&Error::new(ErrorKind::Denied, "530 no")));
    }
}
