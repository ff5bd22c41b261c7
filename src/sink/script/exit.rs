//! What the end of a script means for its delivery. Pure.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::change::key::shown;
use crate::sink::settings::ExitCodes;
use crate::sink::{Outcome, Report};

/// A summary quotes at most this many characters of the output's last line.
const QUOTE_CHARS_MAX: usize = 120;

const SIGNALS: [(i32, &str); 14] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
];

/// What an exit code means: the first list that names it, any other is a retry.
pub fn outcome(code: i32, codes: &ExitCodes) -> Outcome {
    if codes.ok.contains(&code) {
        Outcome::Delivered
    } else if codes.retry.contains(&code) {
        Outcome::Transient { retry_after: None }
    } else if codes.dead.contains(&code) {
        Outcome::Dead
    } else if codes.fault.contains(&code) {
        Outcome::Fault
    } else {
        Outcome::Transient { retry_after: None }
    }
}

/// The report of a script that ended by itself.
pub fn report(status: ExitStatus, codes: &ExitCodes, output: Vec<u8>) -> Report {
    let (outcome, mut summary) = match status.code() {
        Some(code) => (outcome(code, codes), format!("exit code {code}")),
        None => (Outcome::Transient { retry_after: None }, killed_by(status.signal().unwrap_or_default())),
    };
    if outcome != Outcome::Delivered {
        let line = last_line(&output);
        if !line.is_empty() {
            summary.push_str(": ");
            summary.push_str(&line);
        }
    }
    Report { outcome, code: status.code(), summary, output }
}

fn killed_by(signal: i32) -> String {
    match SIGNALS.iter().find(|(number, _)| *number == signal) {
        Some((_, name)) => format!("killed by signal {signal} ({name})"),
        None => format!("killed by signal {signal}"),
    }
}

/// The last line that says something: mostly the reason.
fn last_line(output: &[u8]) -> String {
    let line = output.rsplit(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let line = shown(line.trim_ascii());
    match line.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_have_the_outcomes_of_the_contract() {
        let retry = Outcome::Transient { retry_after: None };
        let table = [
            (0, Outcome::Delivered),
            (75, retry.clone()),
            (1, retry.clone()),
            (64, retry),
            (65, Outcome::Dead),
            (77, Outcome::Dead),
            (78, Outcome::Dead),
            (100, Outcome::Dead),
            (126, Outcome::Fault),
            (127, Outcome::Fault),
        ];
        for (code, expected) in table {
            assert_eq!(outcome(code, &ExitCodes::default()), expected, "{code}");
        }
    }

    #[test]
    fn a_summary_names_code_or_signal_and_the_last_line() {
        let codes = ExitCodes::default();
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(report(exit(0), &codes, b"done\n".into()).summary, "exit code 0");
        assert_eq!(report(exit(75), &codes, b"a\nno disk\n\n".into()).summary, "exit code 75: no disk");
        let killed = report(ExitStatus::from_raw(9), &codes, Vec::new());
        assert_eq!((killed.summary.as_str(), killed.code), ("killed by signal 9 (SIGKILL)", None));
        assert_eq!(killed.outcome, Outcome::Transient { retry_after: None });
    }
}
