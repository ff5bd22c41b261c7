//! Values that are one word from a fixed set. Which words there are is said beside what they mean: in the sections.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::nearest::nearest;
use super::node::written_text;
use super::reading::{At, Reading};
use super::section::Setting;

/// A type with a word for each of its values.
pub trait Words: Copy + PartialEq + 'static {
    /// The words and what they stand for.
    const WORDS: &'static [(&'static str, Self)];

    /// Words that the design knows and this version does not.
    const LATER: &'static [&'static str] = &[];

    /// What a word stands for; the error is rule and remedy.
    fn of_word(text: &str) -> Result<Self, String> {
        if let Some((_, value)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let known = alternatives(Self::WORDS.iter().map(|(word, _)| *word));
        if Self::LATER.contains(&text) {
            return Err(format!("is not available in this version; write {known}"));
        }
        let words = Self::WORDS.iter().map(|(word, _)| *word).chain(Self::LATER.iter().copied());
        Err(match nearest(text, words) {
            Some(meant) => format!("is not a word known here; did you mean \"{meant}\"? Known are {known}"),
            None => format!("is not a word known here; write {known}"),
        })
    }

    /// The word for this value.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        found.expect("every value has a word").0
    }
}

/// `"a", "b" or "c"`.
pub fn alternatives<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

impl<T: Words> Setting for T {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, Self::of_word)
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self.word()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::settings::Empty;

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        assert_eq!(Empty::of_word("wait"), Ok(Empty::Wait));
        assert_eq!(Empty::Wait.word(), "wait");
        let rule = Empty::of_word("wiat").expect_err("unknown");
        assert!(
            rule.contains("did you mean \"wait\"?") && rule.contains("\"deliver\", \"wait\" or \"ignore\""),
            "{rule}"
        );
    }
}
