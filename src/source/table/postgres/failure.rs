//! PostgreSQL's failures as one clear line: which kind it is, and what to do. Codes: PostgreSQL documentation, appendix A.

use std::error::Error as _;

use crate::error::{Error, ErrorKind};
use crate::source::table::json::one_line;

/// What the driver says went wrong while `doing`.
pub fn failure(doing: &str, error: &tokio_postgres::Error) -> Error {
    if let Some(answer) = error.as_db_error() {
        let (kind, remedy) = classify(answer.code().code());
        let hint = answer.hint().map_or(String::new(), |hint| format!(" ({hint})"));
        let cause = one_line(&format!("{}{hint}", answer.message()));
        return Error::new(kind, format!("{doing}{remedy}")).because(cause);
    }
    let mut cause = error.to_string();
    let mut kind = if error.is_closed() { ErrorKind::Unavailable } else { ErrorKind::Internal };
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !cause.ends_with(&text) {
            cause = format!("{cause}: {text}");
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            kind = match ErrorKind::of_io(io) {
                // Names that don't resolve come as uncategorized: the network's matter, not ours.
                ErrorKind::Internal => ErrorKind::Unavailable,
                ErrorKind::Invalid => ErrorKind::Denied,
                other => other,
            };
        }
        source = inner.source();
    }
    let text = error.to_string();
    if text.contains("TLS") {
        kind = ErrorKind::Denied;
    } else if text.contains("timeout") {
        kind = ErrorKind::TimedOut;
    } else if text.contains("authentication") {
        kind = ErrorKind::Denied;
    } else if text.contains("configuration") {
        kind = ErrorKind::Config;
    } else if text.contains("connect") || text.contains("communicating") {
        kind = if kind == ErrorKind::Internal { ErrorKind::Unavailable } else { kind };
    }
    let remedy = match kind {
        ErrorKind::NotFound => "; is there a server at that socket?",
        ErrorKind::Denied if text.contains("TLS") => {
            "; check sslmode and the certificates (the name must be a subjectAltName)"
        }
        _ => "",
    };
    Error::new(kind, format!("{doing}{remedy}")).because(one_line(&cause))
}

/// Whether the same server might be reached in the other way, encrypted or not.
pub fn calls_for_other_encryption(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        // pg_hba.conf has no entry for this way.
        Some(answer) => answer.code().code() == "28000",
        None => error.to_string().contains("TLS"),
    }
}

/// Whether the password was refused.
pub fn is_wrong_password(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| answer.code().code() == "28P01")
}

/// Whether the login was refused: wrong password, unknown role, or no way in for this user (SQLSTATE class 28).
pub fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| matches!(answer.code().code(), "28P01" | "28000"))
}

fn classify(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "28P01" => (ErrorKind::Denied, "; check user and password"),
        "28000" => (ErrorKind::Denied, "; the server's pg_hba.conf does not let this user in from here"),
        "42501" => (ErrorKind::Denied, "; grant SELECT on it to this user"),
        "3D000" => (ErrorKind::NotFound, "; check the database's name"),
        "42P01" | "3F000" => (ErrorKind::NotFound, "; check table or query (names are taken as written, also in case)"),
        "42703" => (ErrorKind::NotFound, "; check query, watermark and key"),
        "57014" => (ErrorKind::TimedOut, ""),
        "55P03" => (ErrorKind::Unavailable, "; another session keeps the table locked, the next poll tries again"),
        // The server says itself that it is worth trying again: shutdown, too many connections, conflict with recovery.
        "53300" | "53400" | "40001" | "40P01" | "0A000" => (ErrorKind::Unavailable, "; the next poll tries again"),
        "53100" => (ErrorKind::Full, ""),
        _ => match &code[..2.min(code.len())] {
            "08" | "57" | "53" | "58" => (ErrorKind::Unavailable, "; the next poll tries again"),
            "22" => (ErrorKind::Invalid, "; a value does not fit its column's type"),
            "42" => (ErrorKind::Invalid, "; check table, query, watermark and key"),
            "25" => (ErrorKind::Denied, "; a query that changes something can't be a source"),
            _ => (ErrorKind::Invalid, ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_the_kind() {
        for (code, kind) in [
            ("28P01", ErrorKind::Denied),
            ("42P01", ErrorKind::NotFound),
            ("42703", ErrorKind::NotFound),
            ("57P01", ErrorKind::Unavailable),
            ("57014", ErrorKind::TimedOut),
            ("22007", ErrorKind::Invalid),
            ("25006", ErrorKind::Denied),
            ("", ErrorKind::Invalid),
        ] {
            assert_eq!(classify(code).0, kind, "{code}");
        }
    }
}
