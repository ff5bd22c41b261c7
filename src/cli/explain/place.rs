//! Which key a path is below a source's root, also where the file is not there (any more).

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::change::Key;

/// The key of `path` below `root`; `None` when it is not below it.
pub fn key_below(root: &Path, path: &Path) -> Option<Key> {
    let absolute = std::path::absolute(path).ok()?;
    let as_written = below(&lexical(root), &lexical(&absolute));
    as_written.or_else(|| below(&real(root), &real(&absolute)))
}

fn below(root: &Path, path: &Path) -> Option<Key> {
    let rest = path.strip_prefix(root).ok()?;
    (!rest.as_os_str().is_empty()).then(|| Key::from(rest.as_os_str().as_bytes()))
}

/// Without `.` and `..`, by the words alone.
fn lexical(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
        clean
    })
}

/// With symbolic links followed, as far as the path exists.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_still_has_its_key() {
        let key = |path: &str| key_below(Path::new("/srv/drop"), Path::new(path));
        assert_eq!(key("/srv/drop/2026/a.csv"), Some(Key::from("2026/a.csv")));
        assert_eq!(key("/srv/drop/x/../b.csv"), Some(Key::from("b.csv")));
        assert_eq!(key("/srv/dropped/a.csv"), None);
        assert_eq!(key("/srv/drop"), None);
    }

    #[test]
    fn a_root_reached_through_a_link_is_recognised() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::create_dir(&real).expect("create");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        assert_eq!(key_below(&link, &real.join("in/a.csv")), Some(Key::from("in/a.csv")));
        assert_eq!(key_below(&real, &link.join("a.csv")), Some(Key::from("a.csv")));
    }
}
