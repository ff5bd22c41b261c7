//! One attempt to log in with one password, counted before it is made. Whether another may be made is `Accounts`' affair.

use crate::clock::Stop;
use crate::error::Result;
use crate::source::Accounts;
use crate::source::turn::Turn;

/// An attempt that is under way. Dropped without a judgement it was not answered: given up, or the connection broke.
pub struct Attempt<'a> {
    accounts: &'a dyn Accounts,
    account: &'a str,
    secret: &'a [u8],
    is_judged: bool,
    _turn: Turn,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt, once no other of the account is under way here.
    ///
    /// # Errors
    /// `Denied` when none may be made; `Stopped` when `stop` was raised meanwhile.
    pub fn begin(accounts: &'a dyn Accounts, account: &'a str, secret: &'a [u8], stop: &Stop) -> Result<Self> {
        let turn = Turn::take(account, stop)?;
        accounts.attempt(account, secret, stop)?;
        Ok(Self { accounts, account, secret, is_judged: false, _turn: turn })
    }

    /// The server let us in.
    pub fn accepted(mut self) {
        self.is_judged = true;
        self.accounts.accepted(self.account, self.secret);
    }

    /// The server refused the password.
    pub fn refused(mut self) {
        self.is_judged = true;
        self.accounts.refused(self.account, self.secret);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_judged {
            self.accounts.unanswered(self.account, self.secret);
        }
    }
}
