//! What identifies an entry within its source.
//!
//! For files: the path relative to the root, as the file system's own bytes, folders separated by `/`. For rows: the
//! text of the key column, or a compact JSON array of the texts when there are several. For messages: the message id.

use std::fmt;

use data_encoding::BASE64;

/// The bytes that identify an entry within its source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Box<[u8]>);

impl Key {
    /// A key of exactly these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes that go into ids.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For people and JSON: UTF-8 with replacement characters, control characters escaped as `\u{..}`.
    pub fn shown(&self) -> String {
        shown(&self.0)
    }

    /// Standard base64 of the bytes, when [`Key::shown`] is not exactly them.
    pub fn exact_base64(&self) -> Option<String> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.contains(char::is_control) => None,
            _ => Some(BASE64.encode(&self.0)),
        }
    }

    /// The last path component, for files.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }
}

/// Bytes as printable text: lossy UTF-8 with control characters escaped.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(char::is_control) {
        return text.into_owned();
    }
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_shown_safely_and_kept_exactly() {
        let key = Key::from(&b"a\nb\xff"[..]);
        assert_eq!(key.shown(), "a\\nb\u{fffd}");
        assert_eq!(key.exact_base64().as_deref(), Some("YQpi/w=="));
        assert_eq!(Key::from("ü.csv").exact_base64(), None);
    }

    #[test]
    fn the_name_is_the_last_component() {
        assert_eq!(Key::from("a/b/c.csv").name(), b"c.csv");
        assert_eq!(Key::from("c.csv").name(), b"c.csv");
    }
}
