//! What gathers while a configuration is read: problems, warnings, and each value with its origin for `config show`.
//! Which problems there are is decided by the sections and their values.

use std::fmt::Display;
use std::rc::Rc;

use super::node::{Node, Value, written_text};
use super::place::Place;
use super::problem::{Problem, Warning};
use super::show::{Line, ShownSection};

/// Whether secrets must be there. Commands that only read the store need none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// A secret that can't be read is a problem.
    MustBeThere,
    /// They are not looked at.
    NotNeeded,
}

/// What gathers while files are read.
pub struct Reading {
    /// Whether secrets are looked at.
    pub secrets: Secrets,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is probably not meant.
    pub warnings: Vec<Warning>,
    /// Every value read, with its origin.
    pub shown: Vec<ShownSection>,
}

/// A section of the file: a header and the path its keys are called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionPath {
    /// `[source.orders]`, `[[source.orders.route]]`.
    pub header: String,
    /// `source.orders`, `source.orders.route[2]`.
    pub path: String,
    /// The name `config show` knows it by: `orders`, `state`.
    pub name: String,
}

/// One value that is being read.
#[derive(Debug, Clone)]
pub struct At<'n> {
    /// The value.
    pub node: &'n Node,
    /// The section it is in.
    pub section: Rc<SectionPath>,
    /// Its key within the section: `every`, `sign.secret`.
    pub key: String,
    /// Whether the value may be repeated in a message.
    pub quoting: Quoting,
}

/// Whether a value may be repeated in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// It may.
    Value,
    /// It may not: it is, or may hold, a secret.
    KeyOnly,
}

impl At<'_> {
    /// The key as problems name it: `source.orders.every`.
    pub fn full_key(&self) -> String {
        format!("{}.{}", self.section.path, self.key)
    }
}

/// A value longer than this is cut in messages.
const QUOTED_CHARS_MAX: usize = 60;

impl Reading {
    /// Nothing gathered yet.
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, problems: Vec::new(), warnings: Vec::new(), shown: Vec::new() }
    }

    /// Reports `KEY = VALUE rule`.
    pub fn reject(&mut self, at: &At<'_>, rule: impl Display) {
        // In a file that is not TOML a value may have strayed from another key, even a secret one.
        let quoted = match at.quoting {
            Quoting::Value if !at.node.place.is_in_broken_file() => quoted(at.node),
            _ => None,
        };
        let key = at.full_key();
        let text = match quoted {
            Some(value) => format!("{key} = {value} {rule}"),
            None => format!("{key} {rule}"),
        };
        self.problem(&at.node.place, text);
    }

    /// Reports something at a place.
    pub fn problem(&mut self, place: &Place, text: impl Into<String>) {
        if !place.is_broken() {
            self.problems.push(Problem::new(place.clone(), text));
        }
    }

    /// Reports what is not there, or should not be: worth telling only when all of the file was read. Behind a broken
    /// header, keys seem to be missing in one section and unknown in another.
    pub fn missing(&mut self, place: &Place, text: impl Into<String>) {
        if !place.is_in_broken_file() {
            self.problems.push(Problem::new(place.clone(), text));
        }
    }

    /// Warns of something at a place.
    pub fn warn(&mut self, place: &Place, text: impl Into<String>) {
        self.warnings.push(Warning::new(place.clone(), text));
    }

    /// Remembers an effective value and its origin for `config show`. `origin` stands before the place.
    pub fn note(&mut self, at: &At<'_>, value: String, origin: Option<String>) {
        let variables: Vec<String> = at.node.variables.iter().map(|name| format!("${{{name}}}")).collect();
        let origin = origin.or_else(|| (!variables.is_empty()).then(|| variables.join(" ")));
        let origin = match (origin, at.node.place.is_written()) {
            (Some(origin), true) => format!("{origin} at {}", at.node.place),
            (Some(origin), false) => origin,
            (None, true) => at.node.place.to_string(),
            (None, false) => "default".into(),
        };
        let line = Line { key: at.key.clone(), value, origin };
        match self.shown.iter_mut().rev().find(|section| section.path == *at.section) {
            Some(section) => section.lines.push(line),
            None => self.shown.push(ShownSection { path: at.section.as_ref().clone(), lines: vec![line] }),
        }
    }

    /// Takes back what was noted for a key that turned out to have no effect.
    pub fn forget(&mut self, section: &SectionPath, key: &str) {
        for shown in self.shown.iter_mut().filter(|shown| shown.path == *section) {
            shown.lines.retain(|line| line.key != key);
        }
    }

    /// Shows values that a source has from its server as comments: written out they would be the source's own.
    pub fn mark_inherited(&mut self, section: &SectionPath, keys: &[String]) {
        let is_inherited = |key: &str| {
            let below =
                |inherited: &String| key.strip_prefix(inherited.as_str()).is_some_and(|rest| rest.starts_with('.'));
            keys.iter().any(|inherited| inherited == key || below(inherited))
        };
        for shown in self.shown.iter_mut().filter(|shown| shown.path == *section) {
            for line in shown.lines.iter_mut().filter(|line| is_inherited(&line.key)) {
                line.key = format!("# {}", line.key);
            }
        }
    }

    /// The text at `at`; anything else is reported.
    pub fn text<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        match &at.node.value {
            Value::Text(text) => Some(text),
            Value::Unknown => None,
            _ => {
                self.reject(at, "is not a text; write it in quotes");
                None
            }
        }
    }

    /// The text at `at`, turned into something by `parse`, whose error is rule and remedy.
    pub fn parsed<T>(&mut self, at: &At<'_>, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(at)?;
        parse(text).map_err(|rule| self.reject(at, rule)).ok()
    }
}

/// A value as messages repeat it; `None` for what would not fit on a line.
fn quoted(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::Text(text) => quoted_text(text),
        Value::Whole(number) => number.to_string(),
        Value::Fraction(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Moment(moment) => moment.clone(),
        Value::List(list) if list.is_empty() => "[]".into(),
        Value::List(_) | Value::Table(_) | Value::Unknown => return None,
    })
}

/// A text as messages repeat it: on one line, cut, without what an address holds before its `@`.
pub fn quoted_text(text: &str) -> String {
    let without_login = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://***{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    };
    if without_login.chars().count() <= QUOTED_CHARS_MAX {
        return written_text(&without_login);
    }
    let cut: String = without_login.chars().take(QUOTED_CHARS_MAX).collect();
    written_text(&format!("{cut}..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_short_and_holds_no_login() {
        assert_eq!(quoted_text("https://me:pw@erp/in"), "\"https://***@erp/in\"");
        assert_eq!(quoted_text("me@erp"), "\"me@erp\"");
        assert!(quoted_text(&"x".repeat(200)).len() < 80);
    }
}
