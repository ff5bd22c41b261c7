//! What drivers say went wrong, as one clear line: which kind it is, and what to do. Codes: ODBC reference, appendix A.

use crate::error::{Error, ErrorKind};
use crate::source::table::json::one_line;

/// What the driver says went wrong while `doing`.
pub fn failure(doing: &str, state: &str, native: i32, message: &str) -> Error {
    let (kind, remedy) = classify(state, message);
    let code = if native == 0 { state.to_owned() } else { format!("{state}, {native}") };
    Error::new(kind, format!("{doing}{remedy}")).because(format!("{} ({code})", one_line(message)))
}

/// Whether the server refused the password, in the words of those that have no code of their own for it.
pub fn is_refused(error: &Error) -> bool {
    let text = error.to_string();
    error.kind() == ErrorKind::Denied && refuses_login("", &text)
}

fn refuses_login(state: &str, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = [
        "authentication failed",
        "login failed",
        "access denied for user",
        "ora-01017",
        "sql30082n",
        "user name and password are not defined",
    ];
    state.starts_with("28") || words.iter().any(|word| message.contains(word)) || message.contains("(28")
}

fn classify(state: &str, message: &str) -> (ErrorKind, &'static str) {
    let lower = message.to_ascii_lowercase();
    if refuses_login(state, message) {
        return (ErrorKind::Denied, "; check user (UID) and password");
    }
    if lower.contains("can't open lib") {
        return (ErrorKind::NotFound, "; install the driver, or write its file's full path as Driver=");
    }
    match state {
        "IM002" => (ErrorKind::NotFound, "; name a driver (Driver=/path/to/driver.so) or a DSN of odbc.ini"),
        "IM003" | "IM004" => (ErrorKind::NotFound, "; the driver can't be loaded, check Driver="),
        "42S02" | "S0002" | "42P01" => {
            (ErrorKind::NotFound, "; check table or query (names are taken as written, also in case)")
        }
        "42S22" | "S0022" | "42703" => (ErrorKind::NotFound, "; check query, watermark and key"),
        "HYT00" | "HYT01" | "57014" | "S1T00" => (ErrorKind::TimedOut, ""),
        "42501" => (ErrorKind::Denied, "; grant SELECT on it to this user"),
        "25006" => (ErrorKind::Denied, "; a query that changes something can't be a source"),
        "HY001" | "HY014" => (ErrorKind::Unavailable, "; the driver has not enough memory"),
        _ if lower.contains("no such table") || lower.contains("does not exist") => {
            (ErrorKind::NotFound, "; check table or query (names are taken as written, also in case)")
        }
        _ if lower.contains("no such column") => (ErrorKind::NotFound, "; check query, watermark and key"),
        _ if lower.contains("read-only") || lower.contains("readonly") => {
            (ErrorKind::Denied, "; a query that changes something can't be a source")
        }
        _ if lower.contains("locked") => (ErrorKind::Unavailable, "; the next poll tries again"),
        _ if lower.contains("server closed the connection")
            || lower.contains("terminating connection")
            || lower.contains("savepoint failed") =>
        {
            (ErrorKind::Unavailable, "; the next poll tries again")
        }
        _ => match state.get(..2).unwrap_or_default() {
            "08" | "40" | "57" => (ErrorKind::Unavailable, "; the next poll tries again"),
            "22" => (ErrorKind::Invalid, "; a value does not fit its column's type"),
            "42" | "37" => (ErrorKind::Invalid, "; check table, query, watermark and key"),
            _ => (ErrorKind::Invalid, ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_words_decide_the_kind() {
        for (state, message, kind) in [
            ("28000", "", ErrorKind::Denied),
            ("08001", "FATAL: password authentication failed for user", ErrorKind::Denied),
            ("08S01", "Communication link failure", ErrorKind::Unavailable),
            ("01000", "[unixODBC][Driver Manager]Can't open lib 'x' : file not found", ErrorKind::NotFound),
            ("IM002", "Data source name not found", ErrorKind::NotFound),
            ("42S02", "", ErrorKind::NotFound),
            ("HY000", "no such table: item (1)", ErrorKind::NotFound),
            ("HYT00", "", ErrorKind::TimedOut),
            ("", "", ErrorKind::Invalid),
        ] {
            assert_eq!(classify(state, message).0, kind, "{state} {message}");
        }
        let error = failure("connect to x", "28P01", 210, "line\nline");
        assert_eq!(error.to_string(), "connect to x; check user (UID) and password: line line (28P01, 210)");
        assert!(is_refused(&error));
    }
}
