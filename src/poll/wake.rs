//! Hints that it is worth looking now, gathered until the source has time for them. Losing one loses nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::clock::Bell;
use crate::source::{Scope, Wake};

/// More folders than this at once mean everything.
const FOLDERS_MAX: usize = 64;

/// The hints of one source.
#[derive(Debug, Default)]
pub struct WakeQueue {
    hints: Mutex<Hints>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Hints {
    everything: bool,
    folders: BTreeSet<Vec<u8>>,
}

impl WakeQueue {
    /// A queue without hints.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Rings with every hint, and when the owner shall look up for another reason.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Takes all hints; `None` when there are none.
    pub fn take(&self) -> Option<Scope> {
        let mut hints = self.hints.lock().expect("no holder of the hints panics");
        let Hints { everything, folders } = std::mem::take(&mut *hints);
        match (everything, folders.is_empty()) {
            (true, _) => Some(Scope::Everything),
            (false, false) => Some(Scope::Folders(folders.into_iter().collect())),
            (false, true) => None,
        }
    }

    /// Whether there are hints.
    pub fn is_woken(&self) -> bool {
        let hints = self.hints.lock().expect("no holder of the hints panics");
        hints.everything || !hints.folders.is_empty()
    }
}

impl Wake for WakeQueue {
    fn wake(&self, folder: Option<&[u8]>) {
        let mut hints = self.hints.lock().expect("no holder of the hints panics");
        match folder {
            Some(folder) if hints.folders.len() < FOLDERS_MAX => {
                hints.folders.insert(folder.to_vec());
            }
            Some(folder) if hints.folders.contains(folder) => {}
            _ => hints.everything = true,
        }
        drop(hints);
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_gathered_by_folder_and_taken_once() {
        let queue = WakeQueue::new();
        queue.wake(Some(b"a"));
        queue.wake(Some(b"a"));
        queue.wake(Some(b"b"));
        assert_eq!(queue.take(), Some(Scope::Folders(vec![b"a".to_vec(), b"b".to_vec()])));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn too_many_folders_or_an_unnamed_hint_mean_everything() {
        let queue = WakeQueue::new();
        for number in 0..=FOLDERS_MAX {
            queue.wake(Some(number.to_string().as_bytes()));
        }
        assert_eq!(queue.take(), Some(Scope::Everything));
        queue.wake(Some(b"a"));
        queue.wake(None);
        assert_eq!(queue.take(), Some(Scope::Everything));
    }
}
