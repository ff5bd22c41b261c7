//! Asking before a change that touches many records.

use std::io::{BufRead, IsTerminal, Write};

use super::failure::Failure;

/// A change of more records than this is asked for.
pub const UNASKED_MAX: u64 = 100;

/// Who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `--yes` was given.
    Yes,
    /// A person at a terminal.
    Person,
    /// Nobody: not a terminal.
    Nobody,
}

impl Asked {
    /// As the command was started.
    pub fn of(yes: bool) -> Self {
        match yes {
            true => Self::Yes,
            false if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => Self::Person,
            false => Self::Nobody,
        }
    }
}

/// Whether `count` records may be changed; `what` says what would be done to them.
///
/// # Errors
/// Usage, naming `--yes`, where nobody can be asked.
pub fn confirmed(what: &str, count: u64, asked: Asked) -> Result<bool, Failure> {
    match asked {
        _ if count <= UNASKED_MAX => Ok(true),
        Asked::Yes => Ok(true),
        Asked::Nobody => Err(Failure::usage(format!("{what}: more than {UNASKED_MAX}; repeat with --yes"))),
        Asked::Person => {
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "{what}: go on? [y/N] ").and_then(|()| stderr.flush());
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer);
            Ok(read.is_ok() && is_yes(&answer))
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_100_records_nobody_is_asked() {
        assert!(confirmed("drop 100", 100, Asked::Nobody).expect("allowed"));
    }

    #[test]
    fn above_100_records_a_script_must_say_yes() {
        let refused = confirmed("drop 101 dead letters", 101, Asked::Nobody).expect_err("refused");
        assert_eq!(refused.ending().code(), 2);
        assert!(refused.lines()[0].contains("--yes"));
        assert!(confirmed("drop", 101, Asked::Yes).expect("allowed"));
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES "));
        assert!(!is_yes("") && !is_yes("n") && !is_yes("yesterday"));
    }
}
