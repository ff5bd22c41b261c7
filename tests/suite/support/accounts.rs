//! Logins that nobody counts, for tests of adapters alone.

use highwater::clock::Stop;
use highwater::error::Result;
use highwater::source::Accounts;

/// Every attempt may be made.
#[derive(Debug)]
pub struct Unguarded;

impl Accounts for Unguarded {
    fn attempt(&self, _: &str, _: &[u8], _: &Stop) -> Result<()> {
        Ok(())
    }

    fn accepted(&self, _: &str, _: &[u8]) {}

    fn unanswered(&self, _: &str, _: &[u8]) {}
}
