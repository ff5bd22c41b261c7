//! Why a request got no answer: one kind and one line for people, found in the chain of errors a client returns.
//! Whether to try again belongs to the caller.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustls::CertificateError;

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure.
    pub kind: FailureKind,
    /// One line for people, without a full stop.
    pub summary: String,
}

/// What sort of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The host's name could not be resolved.
    Dns,
    /// No connection: refused, unreachable, or cut before the request was sent.
    Connect,
    /// The connection ended before the answer was complete.
    Reset,
    /// TLS: certificate, version, or no TLS at all.
    Tls,
    /// A deadline passed.
    Timeout,
    /// The address is one that is never dialled.
    Forbidden,
    /// What came back is not HTTP.
    NotHttp,
    /// Our own body could not be read to its end.
    Body,
}

impl Failure {
    /// A failure of `kind`.
    pub fn new(kind: FailureKind, summary: impl Into<String>) -> Self {
        Self { kind, summary: summary.into() }
    }

    /// Reads the chain of causes below `error`.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut link = Some(error);
        let mut io_cause = None;
        let mut http_cause = None;
        while let Some(cause) = link {
            if let Some(found) = named(cause) {
                return found;
            }
            if let Some(found) = cause.downcast_ref::<io::Error>() {
                // An io::Error hides the error it was made of from source(), so look inside.
                if let Some(inner) = found.get_ref() {
                    let inner = Self::of(inner as &(dyn StdError + 'static));
                    if inner.kind != FailureKind::Connect {
                        return inner;
                    }
                }
                io_cause = Some(found);
            }
            if let Some(found) = cause.downcast_ref::<hyper::Error>() {
                http_cause = Some(found);
            }
            link = cause.source();
        }
        match (http_cause, io_cause) {
            (Some(http), _) if http.is_parse() => {
                Self::new(FailureKind::NotHttp, format!("the answer is not HTTP/1.1 ({http})"))
            }
            (http, Some(io)) => Self::of_io(io, http.is_some()),
            (Some(http), None) if http.is_incomplete_message() || http.is_closed() || http.is_canceled() => {
                Self::new(FailureKind::Reset, "the connection was closed before the answer was complete")
            }
            _ => Self::new(FailureKind::Connect, deepest(error)),
        }
    }

    fn of_io(error: &io::Error, after_connect: bool) -> Self {
        use io::ErrorKind as Io;
        let (kind, summary) = match error.kind() {
            Io::ConnectionRefused => (FailureKind::Connect, "connection refused".into()),
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe => {
                (FailureKind::Reset, "connection reset".into())
            }
            Io::UnexpectedEof => (FailureKind::Reset, "the connection was closed in between".into()),
            Io::TimedOut => (FailureKind::Timeout, "connection timed out".into()),
            Io::HostUnreachable => (FailureKind::Connect, "no route to host".into()),
            Io::NetworkUnreachable => (FailureKind::Connect, "network unreachable".into()),
            _ if after_connect => (FailureKind::Reset, error.to_string()),
            _ => (FailureKind::Connect, error.to_string()),
        };
        Self { kind, summary }
    }
}

fn named(cause: &(dyn StdError + 'static)) -> Option<Failure> {
    if let Some(found) = cause.downcast_ref::<Unresolved>() {
        return Some(Failure::new(FailureKind::Dns, found.to_string()));
    }
    if let Some(found) = cause.downcast_ref::<Forbidden>() {
        return Some(Failure::new(FailureKind::Forbidden, found.to_string()));
    }
    if let Some(found) = cause.downcast_ref::<TooLate>() {
        return Some(Failure::new(FailureKind::Timeout, found.to_string()));
    }
    if let Some(found) = cause.downcast_ref::<BodyBroken>() {
        return Some(Failure::new(FailureKind::Body, found.to_string()));
    }
    let tls = cause.downcast_ref::<rustls::Error>()?;
    Some(Failure::new(FailureKind::Tls, format!("TLS: {}", tls_reason(tls))))
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// What a TLS failure means, and what would end it.
fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => certificate_reason(why),
        rustls::Error::InvalidMessage(_) => "the port does not speak TLS; is its address http://?".into(),
        rustls::Error::AlertReceived(alert) => {
            format!("the server ended the handshake ({alert:?}); it may want another version or a client certificate")
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("no version or cipher in common ({why:?}); TLS 1.2 with AES-GCM or ChaCha20 is the least")
        }
        other => other.to_string(),
    }
}

fn certificate_reason(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate has expired ({why})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate is not valid yet ({why}); check the clocks")
        }
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is unknown; give its authority as tls.ca, or the key as tls.pin".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is for another name ({why}); tls.server_name can name it")
        }
        CertificateError::BadSignature => {
            "the certificate is not signed by tls.ca, but by another authority of the same name".into()
        }
        CertificateError::Revoked => "the certificate is revoked".into(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the certificate is an authority's own; pin its key with tls.pin".into()
        }
        other => format!("the certificate is not acceptable ({other})"),
    }
}

/// A host whose name could not be resolved.
#[derive(Debug)]
pub struct Unresolved {
    /// The name asked for.
    pub host: String,
    /// The resolver's words.
    pub why: String,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {} can't be resolved ({})", self.host, self.why)
    }
}

impl StdError for Unresolved {}

/// An address that is never dialled.
#[derive(Debug)]
pub struct Forbidden {
    /// The address.
    pub ip: IpAddr,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a link-local or metadata address; these are never dialled", self.ip)
    }
}

impl StdError for Forbidden {}

/// A deadline that passed.
#[derive(Debug)]
pub struct TooLate {
    /// What was waited for.
    pub waiting_for: &'static str,
    /// How long.
    pub after: Duration,
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} within {}", self.waiting_for, crate::setting::Interval::from(self.after))
    }
}

impl StdError for TooLate {}

/// A body of ours that could not be read to its announced end.
#[derive(Debug)]
pub struct BodyBroken {
    /// What was wrong.
    pub why: String,
}

impl fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl StdError for BodyBroken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_below_any_number_of_layers() {
        let refused = io::Error::other(io::Error::other(Forbidden { ip: "169.254.169.254".parse().expect("ip") }));
        assert_eq!(Failure::of(&refused).kind, FailureKind::Forbidden);
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let found = Failure::of(&io::Error::other(expired));
        assert_eq!(found.kind, FailureKind::Tls);
        assert!(found.summary.contains("has expired"), "{}", found.summary);
    }

    #[test]
    fn the_systems_words_become_kinds() {
        for (io, kind) in [
            (io::ErrorKind::ConnectionRefused, FailureKind::Connect),
            (io::ErrorKind::ConnectionReset, FailureKind::Reset),
            (io::ErrorKind::TimedOut, FailureKind::Timeout),
        ] {
            assert_eq!(Failure::of(&io::Error::from(io)).kind, kind);
        }
    }
}
