//! What is said over the control socket: one request, one answer, each a line of JSON.
//! How the lines travel belongs to `socket`, `control` and `client`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Operation;

/// A request of this many bytes or more is refused.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// An answer of this many bytes or more is a failure of the other side.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What a command asks of the running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Who is there? Answered by the server itself: `{"pid","version","since"}`.
    Ping,
    /// An operator's change of the store.
    Operate(Operation),
    /// Look at this source now.
    Poll {
        /// The source's name.
        source: String,
    },
    /// Read the configuration again.
    Reload,
    /// A probe delivery.
    Test {
        /// The sink's name.
        sink: String,
        /// The id of a stored event to send; a made-up one is sent when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<String>,
        /// Only say what would be sent.
        #[serde(default)]
        dry_run: bool,
    },
}

/// What the running process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// How many records were touched, where that can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Lines for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Facts for programs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// An error on its way through the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind's word.
    pub kind: String,
    /// The whole error in one line.
    pub message: String,
}

impl Answer {
    /// It was done.
    pub fn done() -> Self {
        Self { ok: true, count: None, lines: Vec::new(), value: Value::Null, error: None }
    }

    /// It was done to so many records.
    pub fn count(count: u64) -> Self {
        Self { count: Some(count), ..Self::done() }
    }

    /// It was done, and this is what people are told.
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, ..Self::done() }
    }

    /// It was done, and this is what came of it.
    pub fn value(value: Value) -> Self {
        Self { value, ..Self::done() }
    }

    /// It was not done.
    pub fn failed(error: &Error) -> Self {
        let failure = Failure { kind: word(error.kind()).to_owned(), message: error.to_string() };
        Self { ok: false, error: Some(failure), ..Self::done() }
    }

    /// The error it carries becomes an error of its kind again.
    pub fn into_result(self) -> Result<Self> {
        match self.error {
            Some(Failure { kind, message }) => Err(Error::new(kind_of(&kind), message)),
            None if self.ok => Ok(self),
            None => Err(Error::internal("the running process refused without a reason")),
        }
    }
}

const WORDS: [(&str, ErrorKind); 14] = [
    ("usage", ErrorKind::Usage),
    ("config", ErrorKind::Config),
    ("locked", ErrorKind::Locked),
    ("denied", ErrorKind::Denied),
    ("not_found", ErrorKind::NotFound),
    ("unavailable", ErrorKind::Unavailable),
    ("timed_out", ErrorKind::TimedOut),
    ("invalid", ErrorKind::Invalid),
    ("full", ErrorKind::Full),
    ("read_only", ErrorKind::ReadOnly),
    ("corrupt", ErrorKind::Corrupt),
    ("conflict", ErrorKind::Conflict),
    ("stopped", ErrorKind::Stopped),
    ("internal", ErrorKind::Internal),
];

fn word(kind: ErrorKind) -> &'static str {
    WORDS.iter().find(|(_, each)| *each == kind).map_or("internal", |(word, _)| word)
}

fn kind_of(word: &str) -> ErrorKind {
    WORDS.iter().find(|(each, _)| *each == word).map_or(ErrorKind::Internal, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DeadFilter;

    #[test]
    fn requests_survive_the_way_through_json() {
        let filter = DeadFilter { sink: Some("erp".into()), ..DeadFilter::default() };
        let requests = [
            Request::Ping,
            Request::Operate(Operation::Resume { name: "erp".into() }),
            Request::Operate(Operation::DeadRetry(filter)),
            Request::Poll { source: "orders".into() },
            Request::Reload,
            Request::Test { sink: "erp".into(), event: None, dry_run: true },
        ];
        for request in requests {
            let json = serde_json::to_string(&request).expect("serialises");
            assert_eq!(serde_json::from_str::<Request>(&json).expect("reads back"), request, "{json}");
        }
    }

    #[test]
    fn an_error_keeps_its_kind_and_text() {
        for (_, kind) in WORDS {
            let error = Error::new(kind, "poll source x").because("530 no");
            let json = serde_json::to_string(&Answer::failed(&error)).expect("serialises");
            let back = serde_json::from_str::<Answer>(&json).expect("reads back").into_result().expect_err("an error");
            assert_eq!((back.kind(), back.to_string()), (kind, "poll source x: 530 no".into()));
        }
    }

    #[test]
    fn an_answer_of_a_newer_version_is_still_read() {
        let answer: Answer = serde_json::from_str(r#"{"ok":true,"count":3,"colour":"blue"}"#).expect("reads");
        assert_eq!(answer.into_result().expect("ok").count, Some(3));
    }
}
