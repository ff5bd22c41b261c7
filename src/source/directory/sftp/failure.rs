//! What failures of SSH and SFTP mean: the kind decides the retry, the text is for people.
//! Refused logins and host keys have their own words, in `login` and `host_key`.

use super::packet::{Malformed, Status};
use crate::error::{Error, ErrorKind};

/// A request the server answered with something else than was hoped for.
pub fn of_status(doing: impl Into<String>, status: &Status) -> Error {
    let (kind, name) = match status.code {
        Status::NO_SUCH_FILE => (ErrorKind::NotFound, "no such file"),
        Status::PERMISSION_DENIED => (ErrorKind::Denied, "permission denied"),
        Status::FAILURE => (ErrorKind::Unavailable, "failure"),
        Status::BAD_MESSAGE => (ErrorKind::Invalid, "bad message"),
        Status::UNSUPPORTED => (ErrorKind::Invalid, "the server can't do that"),
        6 | 7 => (ErrorKind::Unavailable, "connection lost"),
        Status::OK | Status::EOF => (ErrorKind::Invalid, "an answer that does not fit the request"),
        _ => (ErrorKind::Unavailable, "an unknown status"),
    };
    let said = status.message.trim();
    let said = if said.is_empty() || said.eq_ignore_ascii_case(name) { String::new() } else { format!(" ({said})") };
    Error::new(kind, doing).because(format!("{name}{said}"))
}

/// Something that no server should send: the connection can't be trusted any more.
pub fn of_malformed(place: &str, Malformed(what): Malformed) -> Error {
    Error::new(ErrorKind::Invalid, format!("{place} sent {what}"))
}

/// A failure of the SSH connection.
pub fn of_ssh(doing: impl Into<String>, error: &russh::Error) -> Error {
    use russh::Error as Ssh;
    let doing = doing.into();
    match error {
        Ssh::IO(io) => {
            let kind = match ErrorKind::of_io(io) {
                ErrorKind::Internal => ErrorKind::Unavailable,
                kind => kind,
            };
            Error::new(kind, doing).because(io.to_string())
        }
        Ssh::NoCommonAlgo { kind, ours, theirs } => {
            let fact = format!(
                "no common {}: the server offers only {}; we offer {}; for an old server add one of its own to algorithms",
                kind_shown(kind),
                theirs.join(" "),
                ours.join(" ")
            );
            Error::new(ErrorKind::Denied, doing).because(fact)
        }
        Ssh::Version => Error::new(ErrorKind::Invalid, doing).because("this is no SSH server; check host and port"),
        Ssh::Disconnect | Ssh::HUP | Ssh::SendError | Ssh::RecvError => {
            Error::new(ErrorKind::Unavailable, doing).because("the server closed the connection")
        }
        Ssh::KeepaliveTimeout | Ssh::InactivityTimeout | Ssh::ConnectionTimeout | Ssh::Elapsed(_) => {
            Error::new(ErrorKind::TimedOut, doing).because(error.to_string())
        }
        Ssh::WrongServerSig => {
            Error::new(ErrorKind::Denied, doing).because("the server could not prove that the host key is its own")
        }
        _ => Error::new(ErrorKind::Unavailable, doing).because(error.to_string()),
    }
}

fn kind_shown(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange",
        russh::AlgorithmKind::Key => "host key type",
        russh::AlgorithmKind::Cipher => "cipher",
        russh::AlgorithmKind::Compression => "compression",
        russh::AlgorithmKind::Mac => "MAC",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_its_name_once_and_the_servers_own_words() {
        let of = |code, message: &str| of_status("list /in", &Status { code, message: message.into() });
        assert_eq!(of(3, "Permission denied").to_string(), "list /in: permission denied");
        assert_eq!(of(4, "disk on fire").to_string(), "list /in: failure (disk on fire)");
        assert_eq!((of(2, "").kind(), of(3, "").kind(), of(4, "").kind()), kinds());
    }

    fn kinds() -> (ErrorKind, ErrorKind, ErrorKind) {
        (ErrorKind::NotFound, ErrorKind::Denied, ErrorKind::Unavailable)
    }
}
