//! One attempt to log in with one password, counted before it is made. Whether another may be made is `Accounts`' affair.

use crate::error::Result;
use crate::source::Accounts;

/// An attempt that is under way. Dropped without a judgement it was not answered: given up, or the connection broke.
pub struct Attempt<'a> {
    accounts: &'a dyn Accounts,
    account: &'a str,
    secret: &'a [u8],
    is_judged: bool,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt.
    ///
    /// # Errors
    /// `Denied` when none may be made.
    pub fn begin(accounts: &'a dyn Accounts, account: &'a str, secret: &'a [u8]) -> Result<Self> {
        accounts.attempt(account, secret)?;
        Ok(Self { accounts, account, secret, is_judged: false })
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
