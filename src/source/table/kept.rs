//! A connection that an adapter to a server keeps between polls, and that may be gone by the next one.

use super::{Begun, End, Opening, Table};
use crate::clock::Stop;
use crate::error::{ErrorKind, Result};

/// What an adapter can do with the connection it keeps.
pub trait Kept: Table {
    /// Whether there is one that is not known to be gone.
    fn is_open(&self) -> bool;

    /// Lets go of what there is, and connects.
    fn reconnect(&mut self, stop: &Stop) -> Result<()>;

    /// Reads what must be read before the snapshot, and opens it.
    fn open_snapshot(&mut self, opening: &Opening<'_>, stop: &Stop) -> Result<()>;
}

/// Opens a snapshot on the connection that was kept, or on a new one. What is not open afterwards is closed.
pub fn begin(table: &mut impl Kept, opening: &Opening<'_>, stop: &Stop) -> Result<Begun> {
    let kept = table.is_open();
    if !kept {
        table.reconnect(stop)?;
    }
    let mut begun = table.open_snapshot(opening, stop);
    if kept && begun.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable) {
        // The other side went away while nobody looked; nothing of this poll is lost by connecting once more.
        table.reconnect(stop)?;
        begun = table.open_snapshot(opening, stop);
    }
    if begun.is_err() {
        table.end(End::Broken);
    }
    begun.map(|()| Begun::Snapshot)
}
