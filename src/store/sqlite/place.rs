//! Where the store is: whether its path can hold one at all, told before SQLite is asked, which only says that it can't.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Whether there is a store at `path`.
///
/// # Errors
/// `Invalid` for a folder and the like; `Denied` where we may not look or read.
pub fn exists(path: &Path) -> Result<bool> {
    let shown = path.display();
    match std::fs::metadata(path).and_then(|metadata| readable(path, &metadata).map(|()| metadata)) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => {
            Err(Error::new(ErrorKind::Invalid, format!("the store {shown} is not a file; name a file in state.path")))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => {
            let remedy = "run as the user that owns it, or name another file in state.path";
            Err(Error::io(format!("open store {shown}; {remedy}"), e))
        }
    }
}

/// Asks, and does not open: closing a database file gives up every lock that this process has on it (fcntl(2)), the running
/// writer's too.
fn readable(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let may_read = || rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(io::Error::from);
    if metadata.is_file() { may_read() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_there_or_not_or_can_not_be_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("highwater.db");
        assert!(!exists(&path).expect("nothing there"));
        std::fs::write(&path, "").expect("write");
        assert!(exists(&path).expect("a file"));
        let error = exists(folder.path()).expect_err("a folder");
        assert!(error.to_string().ends_with("is not a file; name a file in state.path"), "{error}");
        let below = exists(&path.join("below.db")).expect_err("a file is no folder");
        assert!(below.to_string().contains("name another file in state.path"), "{below}");
    }
}
