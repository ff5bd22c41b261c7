//! MySQL's failures as one clear line: which kind it is, and what to do.
//! Codes: MySQL 8.0 error reference, and MariaDB's knowledge base where it differs.

use mysql_async::{DriverError, Error as Cause, IoError};

use crate::error::{Error, ErrorKind};
use crate::source::table::json::one_line;

/// What the driver says went wrong while `doing`.
pub fn failure(doing: &str, error: &Cause) -> Error {
    let (kind, remedy, cause) = match error {
        Cause::Server(answer) => {
            let (kind, remedy) = classify(answer.code);
            (kind, remedy, answer.message.clone())
        }
        Cause::Io(IoError::Tls(tls)) => (ErrorKind::Denied, TLS, tls.to_string()),
        Cause::Io(IoError::Io(io)) if is_tls(io) => (ErrorKind::Denied, TLS, io.to_string()),
        Cause::Io(IoError::Io(io)) => {
            let kind = match ErrorKind::of_io(io) {
                // Names that don't resolve come as uncategorized: the network's matter, not ours.
                ErrorKind::Internal | ErrorKind::Invalid => ErrorKind::Unavailable,
                other => other,
            };
            let remedy = if kind == ErrorKind::NotFound { "; is there a server at that socket?" } else { "" };
            (kind, remedy, io.to_string())
        }
        Cause::Driver(driver) => {
            let (kind, remedy) = of_driver(driver);
            (kind, remedy, driver.to_string())
        }
        other => (ErrorKind::Internal, "", other.to_string()),
    };
    Error::new(kind, format!("{doing}{remedy}")).because(one_line(&cause))
}

const TLS: &str = "; check ssl-mode and the certificates (the name must be a subjectAltName)";

/// Whether a TLS error hides behind an input or output error.
fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some())
}

fn of_driver(error: &DriverError) -> (ErrorKind, &'static str) {
    match error {
        DriverError::NoClientSslFlagFromServer => (ErrorKind::Denied, "; the server offers no TLS: check ssl-mode"),
        DriverError::ConnectionClosed => (ErrorKind::Unavailable, "; the next poll tries again"),
        DriverError::UnknownAuthPlugin { .. } | DriverError::MysqlOldPasswordDisabled => {
            (ErrorKind::Denied, "; give the user a way to log in that is known here, like caching_sha2_password")
        }
        DriverError::CleartextPluginDisabled => (ErrorKind::Denied, "; passwords in clear text are not sent"),
        DriverError::NoKeyFound => (ErrorKind::Config, "; check tls.key"),
        DriverError::PacketTooLarge => (ErrorKind::Invalid, "; raise the server's max_allowed_packet"),
        _ => (ErrorKind::Internal, ""),
    }
}

/// Whether the server can't be spoken to in an encrypted way.
pub fn offers_no_encryption(error: &Cause) -> bool {
    matches!(error, Cause::Driver(DriverError::NoClientSslFlagFromServer))
}

/// The server's number for the error.
pub fn code(error: &Cause) -> Option<u16> {
    match error {
        Cause::Server(answer) => Some(answer.code),
        _ => None,
    }
}

/// Whether the login was refused: wrong password, unknown user, no way in for this user from here, a locked account.
pub fn is_refused(error: &Cause) -> bool {
    matches!(code(error), Some(1045 | 1698 | 3118 | 4151 | 1862 | 1820))
}

fn classify(code: u16) -> (ErrorKind, &'static str) {
    match code {
        1045 | 1698 => (ErrorKind::Denied, "; check user and password, and that the user may come from this host"),
        1130 => (ErrorKind::Denied, "; the server lets nobody in from this host"),
        1129 => (ErrorKind::Denied, "; the server blocks this host: an administrator runs FLUSH HOSTS"),
        3118 | 4151 => (ErrorKind::Denied, "; the account is locked"),
        1820 | 1862 => (ErrorKind::Denied, "; the password has expired: set a new one"),
        3159 => (ErrorKind::Denied, "; the server insists on TLS: write ssl-mode=REQUIRED or VERIFY_IDENTITY"),
        1044 => (ErrorKind::Denied, "; grant this user a right on the database, and check its name"),
        1142 | 1143 | 1370 | 1356 => (ErrorKind::Denied, "; grant SELECT on it to this user"),
        1227 => (ErrorKind::Denied, "; grant this user what is missing"),
        1792 | 1290 => (ErrorKind::Denied, "; a query that changes something can't be a source"),
        1049 => (ErrorKind::NotFound, "; check the database's name"),
        1146 | 1109 | 1051 => (ErrorKind::NotFound, "; check table or query (names may differ in case)"),
        1054 => (ErrorKind::NotFound, "; check query, watermark and key"),
        1064 | 1248 | 1060 => (ErrorKind::Invalid, "; check table and query"),
        // The statement's own deadline, in MySQL and MariaDB.
        3024 | 1969 => (ErrorKind::TimedOut, ""),
        1205 => (ErrorKind::Unavailable, "; another session keeps the table locked, the next poll tries again"),
        1021 | 1114 | 3675 => (ErrorKind::Full, ""),
        // Too many connections, shutdown, killed, lost, deadlock, a table altered meanwhile, a gone replication primary.
        1040 | 1203 | 1226 | 1053 | 1317 | 1927 | 1152 | 1158..=1161 | 1213 | 1412 | 3168 | 3169 | 4031 => {
            (ErrorKind::Unavailable, "; the next poll tries again")
        }
        _ => (ErrorKind::Invalid, "; check table, query, watermark and key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_the_kind() {
        for (code, kind) in [
            (1045, ErrorKind::Denied),
            (1142, ErrorKind::Denied),
            (3159, ErrorKind::Denied),
            (1049, ErrorKind::NotFound),
            (1146, ErrorKind::NotFound),
            (1054, ErrorKind::NotFound),
            (1040, ErrorKind::Unavailable),
            (1412, ErrorKind::Unavailable),
            (3024, ErrorKind::TimedOut),
            (1969, ErrorKind::TimedOut),
            (1064, ErrorKind::Invalid),
            (1, ErrorKind::Invalid),
        ] {
            assert_eq!(classify(code).0, kind, "{code}");
        }
    }
}
