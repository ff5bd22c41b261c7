//! Names of sources and sinks, as types, so that one is never passed for the other.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest name accepted, in bytes: it becomes part of ids, paths and metric labels.
pub const NAME_BYTES_MAX: usize = 64;

/// The rule every name keeps: 1 to 64 of `a-z A-Z 0-9 - _ .`, beginning with a letter or digit.
pub fn check_name(text: &str) -> Result<(), String> {
    let first_ok = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest_ok = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if first_ok && rest_ok && text.len() <= NAME_BYTES_MAX {
        Ok(())
    } else {
        Err(format!(
            "is not a name; use 1 to {NAME_BYTES_MAX} letters, digits, \"-\", \"_\" or \".\", letter or digit first"
        ))
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; [`check_name`] is applied where names enter, in `config`.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The name as written in the configuration.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a configured source.
    SourceName
);
name_type!(
    /// The name of a configured sink.
    SinkName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert!(check_name("partner-orders_2.v1").is_ok());
        for bad in ["", "-x", "a b", "ü", "a/b", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?} should be refused");
        }
    }
}
