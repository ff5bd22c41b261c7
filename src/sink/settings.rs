//! What a sink needs to know about itself, already checked: made by `config`, used by the adapters and `delivery`.
//! The meaning of each value is DESIGN sections 4 and 8.

use std::path::PathBuf;

use crate::net::TlsSettings;
use crate::setting::{Interval, Secret, SinkName, Template};

/// One configured sink.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Its name, unique among sinks.
    pub name: SinkName,
    /// How deliveries are ordered, retried and limited.
    pub delivery: DeliverySettings,
    /// What kind of receiver it is.
    pub kind: SinkKind,
}

/// How deliveries to a sink are ordered, retried and limited.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How many attempts may run at once.
    pub concurrency: u32,
    /// What must go one after the other.
    pub ordering: Ordering,
    /// Whether a dead letter frees its key.
    pub after_dead: AfterDead,
    /// At most this many attempts per second.
    pub rate: Option<Rate>,
    /// Waits between attempts; the last one repeats. Never empty.
    pub retry: Vec<Interval>,
    /// How long a delivery is retried; `None` is for ever.
    pub retry_for: Option<Interval>,
    /// At this many undelivered events the sources that name this sink pause.
    pub max_backlog: u64,
    /// Deadline of one attempt.
    pub timeout: Interval,
}

/// What must be delivered one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ordering {
    /// Events of one key.
    Key,
    /// Nothing.
    None,
    /// Events of one source.
    Source,
    /// Everything.
    Sink,
}

/// Whether a dead letter frees its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterDead {
    /// The next event of the key is delivered, with header `highwater-gap`.
    Continue,
    /// Later ones wait for `dead retry` or `dead drop`.
    Hold,
}

/// Attempts per span: `"50/s"`, `"600/m"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Attempts.
    pub count: u32,
    /// In this span.
    pub per: Interval,
}

/// The receiver.
#[derive(Debug, Clone)]
pub enum SinkKind {
    /// An HTTP endpoint.
    Http(Box<HttpSettings>),
    /// A program started per event.
    Script(Box<ScriptSettings>),
}

impl SinkKind {
    /// The word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Script(_) => "script",
        }
    }

    /// Whether deliveries carry the file's bytes, so that they must be captured.
    pub fn takes_content(&self) -> bool {
        match self {
            Self::Http(http) => http.content != Content::Reference,
            Self::Script(_) => true,
        }
    }
}

/// An HTTP endpoint.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `http://` or `https://`, possibly with placeholders in path and query.
    pub url: Template,
    /// `POST` unless configured.
    pub method: String,
    /// Further headers; values may be secrets.
    pub headers: Vec<(String, Secret)>,
    /// `Authorization: Bearer ...`.
    pub bearer: Option<Secret>,
    /// `Authorization: Basic ...`, written `user:password`.
    pub basic: Option<Secret>,
    /// What the body is.
    pub content: Content,
    /// How it is signed.
    pub sign: Option<SignSettings>,
    /// Certificates.
    pub tls: TlsSettings,
}

/// What the body of a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The event alone.
    Reference,
    /// The event with the content in `data.content`, up to 64 KiB.
    Inline,
    /// The file's bytes, the event's attributes as `ce-` headers.
    Raw,
}

/// How a request is signed.
#[derive(Debug, Clone)]
pub struct SignSettings {
    /// Which scheme.
    pub scheme: Scheme,
    /// One or two secrets.
    pub secret: Secret,
    /// The header, where the scheme leaves it free.
    pub header: Option<String>,
}

pub use crate::net::signature::Scheme;

/// A program started per event.
#[derive(Debug, Clone)]
pub struct ScriptSettings {
    /// argv, never a shell; placeholders are replaced within each argument.
    pub command: Vec<Template>,
    /// What the program reads.
    pub stdin: Stdin,
    /// Further environment variables.
    pub env: Vec<(String, Secret)>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// What exit codes mean.
    pub exit: ExitCodes,
    /// The configuration's own folder: a relative program path with a slash is below it.
    pub base: PathBuf,
}

/// What a script reads on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// The event's JSON and a newline.
    Event,
    /// The captured bytes.
    Content,
    /// Nothing.
    None,
}

/// What exit codes mean; any other is a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitCodes {
    /// Delivered.
    pub ok: Vec<i32>,
    /// Try again.
    pub retry: Vec<i32>,
    /// Give up at once.
    pub dead: Vec<i32>,
    /// The sink itself is broken.
    pub fault: Vec<i32>,
}

impl Default for ExitCodes {
    fn default() -> Self {
        Self { ok: vec![0], retry: vec![75], dead: vec![65, 77, 78, 100], fault: vec![126, 127] }
    }
}
