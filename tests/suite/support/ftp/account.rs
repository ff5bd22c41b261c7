//! Accounts that only count.

use std::collections::BTreeMap;
use std::sync::Mutex;

use highwater::clock::Stop;
use highwater::error::{Error, ErrorKind, Result};
use highwater::source::Accounts;

/// Counts what was tried with each secret of each account; twice refused is held.
#[derive(Debug, Default)]
pub struct Counting {
    tried: Mutex<BTreeMap<(String, Vec<u8>), u32>>,
    accounts: Mutex<Vec<String>>,
}

impl Counting {
    /// How often this secret counts as refused.
    pub fn refused(&self, secret: &str) -> u32 {
        self.tried.lock().expect("held").iter().filter(|((_, s), _)| s == secret.as_bytes()).map(|(_, n)| n).sum()
    }

    /// The accounts that were tried, each once.
    pub fn accounts(&self) -> Vec<String> {
        self.accounts.lock().expect("held").clone()
    }
}

impl Accounts for Counting {
    fn attempt(&self, account: &str, secret: &[u8], _: &Stop) -> Result<()> {
        let mut accounts = self.accounts.lock().expect("held");
        if !accounts.iter().any(|known| known == account) {
            accounts.push(account.into());
        }
        let mut tried = self.tried.lock().expect("held");
        let count = tried.entry((account.into(), secret.to_vec())).or_default();
        if *count >= 2 {
            return Err(Error::new(ErrorKind::Denied, "held: refused twice"));
        }
        *count += 1;
        Ok(())
    }

    fn accepted(&self, account: &str, secret: &[u8]) {
        self.tried.lock().expect("held").remove(&(account.to_owned(), secret.to_vec()));
    }

    fn unanswered(&self, account: &str, secret: &[u8]) {
        let mut tried = self.tried.lock().expect("held");
        if let Some(count) = tried.get_mut(&(account.to_owned(), secret.to_vec())) {
            *count -= 1;
        }
    }
}
