//! A request as a curl command line, for people to copy. Secrets stand in it as the place they are kept, never as text.

use std::fmt::Write;

use http::{HeaderMap, header};

use super::content::Payload;
use super::{Authorization, HttpSink};
use crate::error::Result;
use crate::setting::Secret;
use crate::sink::Attempt;

impl HttpSink {
    /// The command that would send `attempt`. The signature in it is real and, where it carries a time, good for minutes.
    pub(super) fn curl(&self, attempt: &Attempt<'_>, payload: &Payload) -> Result<String> {
        let mut headers = HeaderMap::new();
        self.add_statements(attempt, payload, &mut headers)?;
        self.add_signature_now(attempt, payload, &mut headers)?;
        for (name, _) in &self.headers {
            headers.remove(name);
        }
        let mut out = String::new();
        let body = match payload {
            Payload::Event(bytes) => quoted(&String::from_utf8_lossy(bytes)),
            _ => {
                write!(out, "highwater content {} | ", attempt.event.id).expect("a string takes everything");
                "@-".into()
            }
        };
        write!(out, "curl -sS -i -X {} {}", self.method, quoted(&self.url.of(attempt.event)?.to_string()))
            .expect("a string takes everything");
        let mut line = |text: String| write!(out, " \\\n  {text}").expect("a string takes everything");
        for (name, value) in &headers {
            line(format!("-H {}", quoted(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))));
        }
        for (name, secret) in &self.headers {
            line(format!("-H \"{name}: {}\"", place(secret)));
        }
        match &self.authorization {
            None => {}
            Some(Authorization::Bearer(secret)) => {
                line(format!("-H \"{}: Bearer {}\"", header::AUTHORIZATION, place(secret)))
            }
            Some(Authorization::Basic(secret)) => line(format!("-u \"{}\"", place(secret))),
        }
        line(format!("--data-binary {body}"));
        Ok(out)
    }
}

/// How a shell finds the secret itself, for use inside double quotes.
fn place(secret: &Secret) -> String {
    let origin = secret.origin();
    let current = origin.split(", ").next().unwrap_or_default();
    match current.split_once(':') {
        Some(("env", name)) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => format!("${name}"),
        Some(("file", path)) => format!("$(cat {})", quoted(path)),
        _ => "***".into(),
    }
}

/// Text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
