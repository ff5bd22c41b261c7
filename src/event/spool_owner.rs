//! Whose spool a folder is: a note in it names the store, so that two stores never clean up each other's content. What is
//! in the spool belongs to `spool`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The note's name.
const NOTE: &str = ".store";

/// Fails with `Config` when the note in `folder` names another store than `store` that is still there.
pub fn check(folder: &Path, store: &Path) -> Result<()> {
    let Some(owner) = owner(folder) else { return Ok(()) };
    // A store that is gone, or was moved here with its spool, has nothing to lose any more.
    if owner == store || is_same(&owner, store) || !owner.exists() {
        return Ok(());
    }
    let fact = format!(
        "the spool {} belongs to the store {}; give each store a folder of its own by state.spool",
        folder.display(),
        owner.display()
    );
    Err(Error::new(ErrorKind::Config, fact))
}

/// Writes the note, where it is not there yet or names another store.
pub fn note(folder: &Path, store: &Path) {
    if owner(folder).as_deref() == Some(store) {
        return;
    }
    if let Err(error) = fs::write(folder.join(NOTE), store.as_os_str().as_bytes()) {
        tracing::warn!(spool = %folder.display(), %error, "the spool could not be marked as this store's");
    }
}

fn owner(folder: &Path) -> Option<PathBuf> {
    let bytes = fs::read(folder.join(NOTE)).ok().filter(|bytes| !bytes.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    place(one).is_some_and(|place_of_one| place(other) == Some(place_of_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_one_stores_alone_as_long_as_that_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, a, b) = (folder.path().join("spool"), folder.path().join("a.db"), folder.path().join("b.db"));
        fs::create_dir(&spool).expect("a spool");
        fs::write(&a, "").expect("a store");
        fs::write(&b, "").expect("a store");
        check(&spool, &a).expect("nobody's yet");
        note(&spool, &a);
        check(&spool, &a).expect("its own");
        let error = check(&spool, &b).expect_err("another's");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("a.db; give each store a folder of its own by state.spool"), "{error}");

        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&a, &link).expect("a link");
        check(&spool, &link).expect("the same store by another path");
        fs::remove_file(&a).expect("remove");
        check(&spool, &b).expect("the other one is gone");
        note(&spool, &b);
        assert_eq!(owner(&spool), Some(b));
    }
}
