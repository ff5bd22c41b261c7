//! How a table source waits for late commits, and what it remembers: the values of `settle`, `window`, `sweep` and `track`.
//! What they do belongs to `source::table`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::{Value, written_text};
use super::reading::{At, Reading};
use super::section::Setting;
use super::value::{DAY, Span};
use super::word::Words;
use crate::setting::Interval;
use crate::source::settings::{Settle, Window};

/// Names of the modes and what they stand for.
const MODES: [(&str, Settle); 6] = [
    ("auto", Settle::Auto),
    ("row-version", Settle::RowVersion),
    ("fence", Settle::Fence),
    ("dirty-read", Settle::DirtyRead),
    ("active-rowversion", Settle::ActiveRowversion),
    ("inclusive", Settle::Inclusive),
];

/// The mode as it is written.
pub fn settle_word(settle: Settle) -> String {
    match MODES.iter().find(|(_, mode)| *mode == settle) {
        Some((word, _)) => (*word).to_owned(),
        None => match settle {
            Settle::Overlap(span) => format!("overlap:{span}"),
            _ => unreachable!("every other mode has a word"),
        },
    }
}

impl Setting for Settle {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| {
            if let Some((_, mode)) = MODES.iter().find(|(word, _)| *word == text) {
                return Ok(*mode);
            }
            match text.strip_prefix("overlap:") {
                Some(span) => Span::<1_000, { 31 * DAY }>::parse(span).map(|span| Self::Overlap(span.0)),
                None => Err("is not a way to settle; write \"auto\" or \"overlap:60s\"".into()),
            }
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&settle_word(*self)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = MODES.iter().map(|(word, _)| *word).collect();
        let other = json_schema!({ "type": "string", "pattern": "^overlap:[0-9]+ *(ms|s|m|h|d)$|\\$\\{" });
        json_schema!({ "anyOf": [{ "enum": words }, other] })
    }
}

/// From an hour to ten years.
type WindowSpan = Span<{ DAY / 24 }, { 3_660 * DAY }>;

impl Setting for Window {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        match &at.node.value {
            Value::Text(text) if text == "none" => Some(Self::None),
            _ => WindowSpan::read(at, reading).map(|span| Self::Span(span.0)),
        }
    }

    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::None => written_text("none"),
            Self::Span(span) => written_text(&span.to_string()),
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["none"] }, WindowSpan::schema(generator)] })
    }
}

/// How often a table is swept: a minute to a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep(pub Interval);

type SweepSpan = Span<1_000, { 31 * DAY }>;

impl Setting for Sweep {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        SweepSpan::read(at, reading).map(|span| Self(span.0))
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0.to_string()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        SweepSpan::schema(generator)
    }
}

/// Whether known keys tell created from changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// They do.
    Keys,
    /// They are not kept.
    None,
}

impl Words for Track {
    const WORDS: &'static [(&'static str, Self)] = &[("keys", Self::Keys), ("none", Self::None)];
}
