//! The one error type: what we were doing with which facts, why it failed, and what kind of failure it is.
//! What to do about it (retry, hold, exit code) is decided by whoever receives it, from the kind alone.

use std::fmt;

/// Shorthand used by every module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure an [`Error`] is. The adapter decides the kind, the kind decides the retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line asks for something that does not exist or makes no sense.
    Usage,
    /// The configuration is wrong; nothing was started.
    Config,
    /// Another process holds the store.
    Locked,
    /// The other side refused who we are: login, permission, certificate.
    Denied,
    /// The thing named is not there.
    NotFound,
    /// The other side is there but cannot serve now: worth a retry.
    Unavailable,
    /// A deadline passed.
    TimedOut,
    /// The other side, or a file, holds something we cannot accept.
    Invalid,
    /// No room: disk full, spool full, below `min_free`.
    Full,
    /// The store or a folder may not be written.
    ReadOnly,
    /// The store is damaged or newer than this program.
    Corrupt,
    /// Someone else moved first: a lost lease, a changed file, a taken name.
    Conflict,
    /// The process was asked to stop before the work was done.
    Stopped,
    /// A bug or a surprise of ours.
    Internal,
}

/// An error says what we were doing with which facts; the cause is separate.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `doing` is one line without a full stop: what, where, and what to do about it.
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), cause: None }
    }

    /// A surprise of ours, for states that should not happen.
    pub fn internal(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, doing)
    }

    /// Adds the underlying error, printed after a colon.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Puts an outer layer of facts around this error and keeps its kind.
    #[must_use]
    pub fn while_doing(self, doing: impl Into<String>) -> Self {
        Self { kind: self.kind, doing: doing.into(), cause: Some(Box::new(self)) }
    }

    /// Wraps an I/O error; its kind follows from the operating system's.
    pub fn io(doing: impl Into<String>, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::of_io(&cause), doing).because(cause)
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl ErrorKind {
    /// The kind an operating system error stands for.
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound | Io::NotADirectory => Self::NotFound,
            Io::PermissionDenied => Self::Denied,
            Io::TimedOut => Self::TimedOut,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Self::Full,
            Io::ReadOnlyFilesystem => Self::ReadOnly,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NotConnected
            | Io::BrokenPipe
            | Io::UnexpectedEof => Self::Unavailable,
            Io::InvalidData | Io::InvalidInput => Self::Invalid,
            _ => Self::Internal,
        }
    }

    /// The process exit code DESIGN section 9 gives to a command that ends with this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Config => 2,
            Self::Locked => 5,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_facts_come_first_and_the_cause_last() {
        let inner = Error::new(ErrorKind::Denied, "login as x").because("530 no");
        let outer = inner.while_doing("poll source partner");
        assert_eq!(outer.to_string(), "poll source partner: login as x: 530 no");
        assert_eq!(outer.kind(), ErrorKind::Denied);
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("write", error).kind(), ErrorKind::Full);
    }
}
