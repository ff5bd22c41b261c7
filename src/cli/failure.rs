//! Why a command failed, and how that is said: on standard error, one line each, and as the exit code.

use std::process::ExitCode;

use clap::error::ErrorKind as ClapKind;

use super::exit_code::{Ending, Exit};
use crate::config::Problems;
use crate::error::{Error, ErrorKind};

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The configuration has these problems; nothing was started.
    Problems(Problems),
    /// Anything else.
    Error(Error),
    /// The command looked at a source, and that failed.
    Source(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl Failure {
    /// A command line that asks for something that does not exist or makes no sense.
    pub fn usage(rule: impl Into<String>) -> Self {
        Self::Error(Error::new(ErrorKind::Usage, rule))
    }

    /// How the command ended.
    pub fn ending(&self) -> Ending {
        match self {
            Self::Problems(_) => Ending::Usage,
            Self::Error(error) => Ending::of_kind(error.kind()),
            Self::Source(error) => match Ending::of_kind(error.kind()) {
                Ending::Unexpected if error.kind() != ErrorKind::Internal => Ending::SourceTrouble,
                ending => ending,
            },
        }
    }

    /// The lines for standard error.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => {
                let mut lines: Vec<String> = problems.to_string().lines().map(str::to_owned).collect();
                if lines.len() > 1 {
                    let count = lines.len();
                    lines.push(format!("highwater: {count} problems in the configuration; nothing was started"));
                }
                lines
            }
            Self::Error(error) | Self::Source(error) => vec![format!("highwater: {}", one_line(&error.to_string()))],
        }
    }

    /// Says it on standard error and returns the exit code.
    pub fn report(&self) -> ExitCode {
        for line in self.lines() {
            say(&line);
        }
        Exit::from(self.ending()).into()
    }
}

/// A note for people on standard error. Where that is closed, nobody wants to know.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what is wrong with the command line, or prints the help that was asked for.
pub fn report_usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ClapKind::DisplayHelp | ClapKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ClapKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::from(Ending::Usage).into()
        }
        _ => {
            say(&format!("highwater: {}", usage_line(&error.to_string())));
            Exit::from(Ending::Usage).into()
        }
    }
}

/// clap's message with its tips as one line, and where help is.
fn usage_line(message: &str) -> String {
    let (said, usage) = message.split_once("Usage:").unwrap_or((message, ""));
    let said = said.strip_prefix("error:").unwrap_or(said);
    let parts: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let joined = parts.iter().fold(String::new(), |mut line, part| {
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { "; " });
        }
        line.push_str(part);
        line
    });
    let words = usage.split_whitespace().take_while(|w| !w.starts_with(['[', '<', '-', '{']));
    let words: Vec<&str> = words.take_while(|w| w.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    let joined = joined.trim_end_matches("; For more information, try '--help'.");
    if words.is_empty() { joined.to_owned() } else { format!("{joined}; see \"{} --help\"", words.join(" ")) }
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_other_side_says() {
        let error = Error::new(ErrorKind::Denied, "poll source partner").because("530 no\r\n\r\n530 really");
        assert_eq!(Failure::from(error).lines(), ["highwater: poll source partner: 530 no; 530 really"]);
    }

    #[test]
    fn a_source_that_can_not_be_reached_ends_with_3_but_a_wrong_name_with_2() {
        let at = |kind| Failure::Source(Error::new(kind, "peek")).ending().code();
        assert_eq!(at(ErrorKind::Unavailable), 3);
        assert_eq!(at(ErrorKind::Denied), 3);
        assert_eq!(at(ErrorKind::Usage), 2);
        assert_eq!(at(ErrorKind::Locked), 5);
        assert_eq!(at(ErrorKind::Internal), 1);
    }

    #[test]
    fn a_wrong_command_line_is_one_line_with_the_remedy() {
        let error = super::super::command_line().try_get_matches_from(["highwater", "events", "--sorce", "x"]);
        let line = usage_line(&error.expect_err("no such flag").to_string());
        assert!(line.starts_with("unexpected argument '--sorce' found"), "{line}");
        assert!(line.contains("'--source'") && line.ends_with("see \"highwater events --help\""), "{line}");
        assert!(!line.contains('\n'));
    }
}
