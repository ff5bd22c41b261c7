//! What a server's refusals and lost connections mean for whoever asked: the kind of the error, and plain words with the
//! remedy. Whether to try again is decided from the kind.

use std::io;

use super::reply::Reply;
use super::wire::is_stop;
use crate::error::{Error, ErrorKind};
use crate::net::failure::{Failure, FailureKind};

/// Words of servers that take no connection without TLS.
const WANTS_TLS: &[&str] = &["ssl", "tls", "encrypt", "secure connection", "auth before"];

/// Words of servers that have no room for one more session, whatever code they say it with.
const CROWDED: &[&str] = &[
    "too many connection",
    "too many user",
    "too many client",
    "too many session",
    "too many login sessions",
    "too many simultaneous",
    "maximum number of",
    "maximum login",
    "maximum connection",
    "connection limit",
    "user limit",
    "try again later",
];

/// Words for what is not there.
const ABSENT: &[&str] = &[
    "no such",
    "not found",
    "does not exist",
    "doesn't exist",
    "cannot find",
    "can't find",
    "not exist",
    "non-existent",
    "no longer exists",
];

/// Words for what may not be done.
const FORBIDDEN: &[&str] = &[
    "permission",
    "denied",
    "not allowed",
    "not permitted",
    "prohibited",
    "forbidden",
    "access is",
    "not authorized",
    "read-only",
];

/// A connection that failed while `doing` something.
pub fn lost(doing: &str, error: io::Error) -> Error {
    if is_stop(&error) {
        return Error::new(ErrorKind::Stopped, doing).because("asked to stop");
    }
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        let failure = Failure::of(&error);
        let tls = failure.kind == FailureKind::Tls;
        let kind = if tls { ErrorKind::Denied } else { ErrorKind::Unavailable };
        let words = failure.summary.replace("is its address http://?", "it may want ftps:// or ftp://");
        return Error::new(kind, doing).because(words);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => Error::new(ErrorKind::TimedOut, doing).because("no answer in time"),
        io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied => Error::io(doing, error),
        io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Unavailable, doing).because("the server closed the connection")
        }
        _ => Error::new(ErrorKind::Unavailable, doing).because(error),
    }
}

/// The server ends the session (421), or takes no more of them.
pub fn ended(place: &str, reply: &Reply) -> Error {
    if wants_tls(reply) {
        return demands_tls(place, reply);
    }
    Error::new(ErrorKind::Unavailable, format!("{place} has no room or time for us now")).because(reply.quoted())
}

/// Whether the server has no room for one more session.
pub fn is_crowded(reply: &Reply) -> bool {
    reply.code == 421 || ((400..=430).contains(&reply.code) || matches!(reply.code, 500..=550)) && reply.says(CROWDED)
}

/// Whether the server takes no session without TLS.
pub fn wants_tls(reply: &Reply) -> bool {
    reply.code >= 400 && reply.says(WANTS_TLS)
}

/// The server takes no session without TLS.
pub fn demands_tls(place: &str, reply: &Reply) -> Error {
    Error::new(ErrorKind::Denied, format!("{place} demands TLS: use ftps://")).because(reply.quoted())
}

/// Whether a refusal says that nothing is there.
pub fn is_absent(reply: &Reply) -> bool {
    reply.code >= 500 && reply.says(ABSENT) && !reply.says(FORBIDDEN)
}

/// Whether a refusal says that the server does not have the command (RFC 959 section 4.2.1).
pub fn is_unknown(reply: &Reply) -> bool {
    matches!(reply.code, 500 | 502 | 504)
}

/// Whether a refusal says that something may not be done: to this file, under this name, or to any.
pub fn denies(reply: &Reply) -> bool {
    matches!(reply.code, 550 | 553) && reply.says(FORBIDDEN)
}

/// A command that was refused while `doing` something.
pub fn refused(doing: impl Into<String>, reply: &Reply) -> Error {
    let kind = match reply.code {
        421 | 425 | 426 | 450 | 451 => ErrorKind::Unavailable,
        452 | 552 => ErrorKind::Full,
        // The session is over, or was never logged in: a new one helps.
        530 if !reply.says(FORBIDDEN) => ErrorKind::Unavailable,
        530 | 532 | 533 | 534 => ErrorKind::Denied,
        550 | 553 if is_absent(reply) => ErrorKind::NotFound,
        550 | 553 => ErrorKind::Denied,
        400..=499 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, doing).because(reply.quoted())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::ftp::reply::ReplyReader;

    fn reply(line: &str) -> Reply {
        ReplyReader::default().next(&mut format!("{line}\r\n").as_bytes()).expect("a reply")
    }

    #[test]
    fn words_tell_what_codes_leave_open() {
        assert!(is_absent(&reply("550 /x: No such file or directory")));
        assert!(!is_absent(&reply("550 Permission denied")));
        assert!(wants_tls(&reply("530 Non-anonymous sessions must use encryption.")));
        assert!(wants_tls(&reply("550 SSL/TLS required on the control channel")));
        assert!(!wants_tls(&reply("530 Login incorrect.")));
        assert!(is_crowded(&reply(
            "530 Sorry, the maximum number of clients (3) for this user are already connected."
        )));
        assert!(!is_crowded(&reply("530 Login incorrect.")));
        assert!(denies(&reply("550 RNFR denied")) && is_unknown(&reply("502 Command not implemented.")));
        for once in ["450 busy", "550 The file is being used by another process", "530 Permission denied"] {
            assert!(!denies(&reply(once)) && !is_unknown(&reply(once)), "{once}");
        }
    }

    #[test]
    fn the_kind_says_whether_waiting_helps() {
        for (line, kind) in [
            ("450 busy", ErrorKind::Unavailable),
            ("550 No such file", ErrorKind::NotFound),
            ("550 Permission denied", ErrorKind::Denied),
            ("552 quota", ErrorKind::Full),
            ("500 what?", ErrorKind::Invalid),
        ] {
            assert_eq!(refused("x", &reply(line)).kind(), kind, "{line}");
        }
    }
}
