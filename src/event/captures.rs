//! What one poll has captured and no transaction has named yet. How contents are written belongs to `spool`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use super::spool::{Spool, SpoolWriter};

/// The contents that one poll has put into the spool. What no transaction has named when this is dropped is removed: a
/// poll that ends early leaves no room taken.
#[derive(Debug)]
pub struct Captures {
    spool: Spool,
    unnamed: Unnamed,
}

impl Captures {
    /// None yet.
    pub fn new(spool: Spool) -> Self {
        Self { spool, unnamed: Unnamed::default() }
    }

    /// The spool they are in.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// A writer whose content belongs to these until it is named.
    pub fn writer(&self) -> SpoolWriter {
        let mut writer = self.spool.writer();
        writer.captures = Some(self.unnamed.clone());
        writer
    }

    /// A transaction names this content: it is not ours any more.
    pub fn named(&self, name: &str) {
        self.unnamed.names().remove(name);
    }

    /// Removes a content that nobody needs.
    pub fn discard(&self, name: &str) {
        self.named(name);
        if let Err(error) = self.spool.remove(name) {
            // An orphan costs room until the next start, nothing else.
            tracing::warn!(%error, "a spool file that is not needed stays until the next start");
        }
    }
}

impl Drop for Captures {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *self.unnamed.names());
        left.iter().for_each(|name| self.discard(name));
    }
}

/// The names of spool files that no transaction names yet.
#[derive(Debug, Clone, Default)]
pub struct Unnamed(Arc<Mutex<HashSet<String>>>);

impl Unnamed {
    /// One more.
    pub fn note(&self, name: &str) {
        self.names().insert(name.to_owned());
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().expect("no holder of the names panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Content;
    use crate::change::content::INLINE_BYTES_MAX;

    #[test]
    fn what_a_poll_captured_and_no_transaction_named_is_removed_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = Spool::new(folder.path().join("spool"), "run1", u64::MAX, 0);
        let captures = Captures::new(spool.clone());
        let capture = || {
            let mut writer = captures.writer();
            writer.write(&vec![1; INLINE_BYTES_MAX + 1]).expect("write");
            match writer.finish().expect("finish") {
                Content::Spooled { name, .. } => name,
                Content::Inline(_) => panic!("it is large"),
            }
        };
        let (kept, _left) = (capture(), capture());
        captures.named(&kept);
        drop(captures);
        let there: Vec<_> =
            std::fs::read_dir(spool.folder()).expect("list").map(|e| e.expect("an entry").file_name()).collect();
        assert_eq!(there, [kept.as_str()]);
        assert_eq!(spool.bytes_used(), INLINE_BYTES_MAX as u64 + 1);
    }
}
