//! A secret: where it is kept, read again at each use, and never printed, logged or served.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};

/// One or two secrets (two while rotating), each from the environment, a file or the configuration itself.
/// `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    places: Vec<Place>,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Environment(String),
    File(PathBuf),
    Literal(String),
}

/// At most this many secrets may be active at once: the current and the previous one.
pub const SECRETS_MAX: usize = 2;

impl Secret {
    /// Reads one written form: `env:NAME`, `file:PATH`, `literal:TEXT` or the text itself. A relative file is looked for
    /// below `base`, then below `$CREDENTIALS_DIRECTORY` (systemd's LoadCredential).
    pub fn parse(written: &str, base: &std::path::Path) -> Self {
        Self { places: vec![Place::parse(written, base)] }
    }

    /// Reads a list of written forms, the current one first.
    pub fn parse_all(written: &[String], base: &std::path::Path) -> Self {
        Self { places: written.iter().map(|one| Place::parse(one, base)).collect() }
    }

    /// A secret given as plain text, for tests and command-line options.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { places: vec![Place::Literal(text.into())] }
    }

    /// All values, the current one first, read now. Errors name the place, never the value.
    pub fn reveal_all(&self) -> Result<Vec<String>> {
        self.places.iter().map(Place::read).collect()
    }

    /// The current value, read now.
    pub fn reveal(&self) -> Result<String> {
        let first = self.places.first().ok_or_else(|| Error::internal("a secret without a place"))?;
        first.read()
    }

    /// Where it is kept, safe to print: `env:NAME`, `file:PATH` or `literal`.
    pub fn origin(&self) -> String {
        let each: Vec<String> = self.places.iter().map(Place::origin).collect();
        each.join(", ")
    }
}

impl Place {
    fn parse(written: &str, base: &std::path::Path) -> Self {
        if let Some(name) = written.strip_prefix("env:") {
            Self::Environment(name.to_owned())
        } else if let Some(path) = written.strip_prefix("file:") {
            Self::File(base.join(path))
        } else {
            Self::Literal(written.strip_prefix("literal:").unwrap_or(written).to_owned())
        }
    }

    fn read(&self) -> Result<String> {
        match self {
            Self::Environment(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value),
                _ => Err(Error::new(
                    ErrorKind::Config,
                    format!("secret env:{name} is not set; export {name} before starting"),
                )),
            },
            Self::File(path) => read_file(path),
            Self::Literal(text) => Ok(text.clone()),
        }
    }

    fn origin(&self) -> String {
        match self {
            Self::Environment(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Literal(_) => "literal".into(),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<String> {
    let read = std::fs::read_to_string(path).or_else(|error| {
        // systemd puts LoadCredential files here, under the name alone.
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) => std::fs::read_to_string(PathBuf::from(folder).join(name)).map_err(|_| error),
            None => Err(error),
        }
    });
    let text = read.map_err(|error| {
        let fact = format!("read secret file:{}; put the secret there, readable for this user", path.display());
        Error::new(ErrorKind::Config, fact).because(error)
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::parse("hunter2", Path::new("."));
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.origin(), "literal");
        assert_eq!(secret.reveal().expect("literal"), "hunter2");
    }

    #[test]
    fn a_file_is_read_again_at_each_use_without_its_last_newline() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "one\n").expect("write");
        let secret = Secret::parse("file:token", folder.path());
        assert_eq!(secret.reveal().expect("first"), "one");
        std::fs::write(&path, "two\r\n").expect("write");
        assert_eq!(secret.reveal().expect("second"), "two");
    }

    #[test]
    fn literal_escapes_a_prefix_and_a_missing_variable_is_named() {
        assert_eq!(Secret::parse("literal:env:X", Path::new(".")).reveal().expect("literal"), "env:X");
        let missing = Secret::parse("env:HIGHWATER_NOT_SET_ANYWHERE", Path::new("."));
        assert!(missing.reveal().expect_err("unset").to_string().contains("HIGHWATER_NOT_SET_ANYWHERE"));
    }
}
