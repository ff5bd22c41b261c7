//! Accounts in memory: what was tried with each secret is counted and kept, as a store would.

use std::collections::BTreeMap;
use std::sync::Mutex;

use highwater::error::{Error, ErrorKind, Result};
use highwater::source::Accounts;

/// A secret that was refused so often is held.
const REFUSALS_MAX: u32 = 2;

/// Counts what was tried with each secret of each account; twice refused is held.
#[derive(Debug, Default)]
pub struct Counting {
    tried: Mutex<BTreeMap<(String, Vec<u8>), u32>>,
    accounts: Mutex<Vec<String>>,
    said: Mutex<Vec<String>>,
    barred: Option<String>,
}

impl Counting {
    /// Accounts that let no attempt with this secret be made.
    pub fn barring(secret: &str) -> Self {
        Self { barred: Some(secret.to_owned()), ..Self::default() }
    }

    /// How often this secret counts as refused.
    pub fn refused_times(&self, secret: &str) -> u32 {
        self.tried.lock().expect("held").iter().filter(|((_, s), _)| s == secret.as_bytes()).map(|(_, n)| n).sum()
    }

    /// The accounts that were tried, each once.
    pub fn accounts(&self) -> Vec<String> {
        self.accounts.lock().expect("held").clone()
    }

    /// `attempt SECRET`, `accepted SECRET` and so on, in order.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("held").clone()
    }

    fn say(&self, what: &str, secret: &[u8]) {
        self.said.lock().expect("held").push(format!("{what} {}", String::from_utf8_lossy(secret)));
    }
}

impl Accounts for Counting {
    fn attempt(&self, account: &str, secret: &[u8]) -> Result<()> {
        let mut accounts = self.accounts.lock().expect("held");
        if !accounts.iter().any(|known| known == account) {
            accounts.push(account.into());
        }
        let mut tried = self.tried.lock().expect("held");
        let count = tried.entry((account.into(), secret.to_vec())).or_default();
        if *count >= REFUSALS_MAX || self.barred.as_deref().is_some_and(|barred| barred.as_bytes() == secret) {
            return Err(Error::new(ErrorKind::Denied, "held: refused twice; resume ends it"));
        }
        // It counts until it is known to be good, as in the store: a crash in between must not allow a third one.
        *count += 1;
        self.say("attempt", secret);
        Ok(())
    }

    fn accepted(&self, account: &str, secret: &[u8]) {
        self.tried.lock().expect("held").remove(&(account.to_owned(), secret.to_vec()));
        self.say("accepted", secret);
    }

    fn unanswered(&self, account: &str, secret: &[u8]) {
        let mut tried = self.tried.lock().expect("held");
        if let Some(count) = tried.get_mut(&(account.to_owned(), secret.to_vec())) {
            *count -= 1;
        }
        self.say("unanswered", secret);
    }

    fn refused(&self, _: &str, secret: &[u8]) {
        self.say("refused", secret);
    }
}
