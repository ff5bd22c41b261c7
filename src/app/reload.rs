//! Which configuration may follow the one in force without a restart. Putting it into force belongs to `run`.

use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};

/// Reads the files of the configuration in force again.
///
/// # Errors
/// `Config` with all that is wrong with them, or with what can't change while the process runs.
pub fn load_next(now: &Config) -> Result<Config> {
    let next = config::load(now.files.first().map(std::path::PathBuf::as_path))?;
    let (old, new) = (&now.state, &next.state);
    let fixed = [
        ("state.instance", old.instance == new.instance),
        ("state.path", old.path == new.path),
        ("state.spool", old.spool == new.spool),
    ];
    let changed: Vec<&str> = fixed.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect();
    if changed.is_empty() {
        return Ok(next);
    }
    let fact = format!("a change of {} needs a restart", changed.join(" and "));
    Err(Error::new(ErrorKind::Config, fact))
}

/// Why the old configuration goes on, for whoever asked for the new one.
pub fn refused(error: &Error) -> Error {
    let text = error.to_string();
    let gap = if text.contains('\n') { "\n" } else { " " };
    Error::new(error.kind(), format!("the configuration was not taken up; the old one stays in force:{gap}{text}"))
}
