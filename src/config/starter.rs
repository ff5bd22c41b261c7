//! The commented file that `highwater init` writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::file::FILE_NAME;
use crate::error::{Error, ErrorKind, Result};

/// The starter file: a folder and a script that run as they are, and commented examples of everything else.
pub fn starter() -> &'static str {
    include_str!("starter.toml")
}

/// Writes the starter to `path`, or to `highwater.toml` in it when it is a folder, and returns where.
///
/// # Errors
/// `Usage` when the file exists already: it is never overwritten.
pub fn init(path: &Path) -> Result<PathBuf> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(&file);
    let written = opened.and_then(|mut open| open.write_all(starter().as_bytes()));
    match written {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text =
                format!("{} exists already and is left as it is; name another file with -c FILE", file.display());
            Err(Error::new(ErrorKind::Usage, text))
        }
        Err(error) => Err(Error::io(format!("write {}", file.display()), error)),
    }
}
