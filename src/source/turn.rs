//! One login of an account at a time in this process: attempts under way count, and a good secret must not be held by
//! them. How often a secret may be tried is `Accounts`' affair.

use std::collections::BTreeSet;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::Stop;
use crate::error::Result;

/// How often whoever waits looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

static TURNS: LazyLock<Turns> = LazyLock::new(Turns::default);

#[derive(Default)]
struct Turns {
    /// Accounts that are being logged in with.
    taken: Mutex<BTreeSet<String>>,
    ended: Condvar,
}

/// The right to log in with an account; another login may begin when it is dropped.
#[derive(Debug)]
pub struct Turn {
    account: String,
}

impl Turn {
    /// Waits until nobody else in this process logs in with the account, however long that takes: whoever does has
    /// deadlines of its own.
    ///
    /// # Errors
    /// `Stopped`, `TimedOut`: the stop was raised, or its deadline passed.
    pub fn take(account: &str, stop: &Stop) -> Result<Self> {
        let mut taken = taken();
        while taken.contains(account) {
            stop.check()?;
            taken = TURNS.ended.wait_timeout(taken, LOOK).expect("nobody panics while a turn is looked up").0;
        }
        taken.insert(account.to_owned());
        Ok(Self { account: account.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        taken().remove(&self.account);
        TURNS.ended.notify_all();
    }
}

fn taken() -> MutexGuard<'static, BTreeSet<String>> {
    TURNS.taken.lock().expect("nobody panics while a turn is looked up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_login_waits_for_another_of_its_account_until_that_ends_or_the_stop_is_raised() {
        let first = Turn::take("ftp://a@host:21", &Stop::new()).expect("free");
        Turn::take("ftp://b@host:21", &Stop::new()).expect("another account");
        let stop = Stop::new();
        stop.raise();
        assert_eq!(Turn::take("ftp://a@host:21", &stop).expect_err("stopped").kind(), ErrorKind::Stopped);
        let second = std::thread::spawn(|| Turn::take("ftp://a@host:21", &Stop::new()).map(drop));
        drop(first);
        second.join().expect("no panic").expect("its turn came");
    }
}
