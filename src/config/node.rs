//! One configuration file as a tree of values that know where they were written, with variables already replaced.
//! What the values mean belongs to the sections.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand;
use super::place::{ConfigFile, LineIndex, Place};
use super::problem::Problem;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Node {
    /// The line of the value.
    pub place: Place,
    /// The value.
    pub value: Value,
    /// The environment variables its text came from.
    pub variables: Vec<String>,
}

/// The values TOML has.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, variables replaced.
    Text(String),
    /// A whole number.
    Whole(i128),
    /// A number with a fraction.
    Fraction(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A date or time, as it is written.
    Moment(String),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// A value that could not be made out; that was reported already.
    Unknown,
}

/// A table's keys in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The entries.
    pub entries: Vec<Named>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Named {
    /// The key.
    pub key: String,
    /// The line of the key, or of the table's header.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Table {
    /// The entry with this key.
    pub fn get(&self, key: &str) -> Option<&Named> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// A key as it is written in TOML: bare where that is allowed, else quoted.
pub fn written_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { written_text(key) }
}

/// A text as it is written in TOML, in double quotes on one line.
pub fn written_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Parses `text`, the content of `file`. Whatever is wrong is added to `problems`; what could be made out is returned.
pub fn parse(
    file: ConfigFile,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> (Arc<ConfigFile>, Table) {
    let lines = LineIndex::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let line_of_error = |error: &toml::de::Error| lines.line_of(error.span().map_or(0, |span| span.start));
    let broken_lines: Vec<u32> = errors.iter().map(line_of_error).collect();
    let file = Arc::new(ConfigFile { broken_lines, ..file });
    let mut told: Vec<(u32, &str)> = errors.iter().map(|error| (line_of_error(error), error.message())).collect();
    // The parser's follow-ups, on one line or of a bracket that is never closed, say nothing a person can use.
    told.sort_by_key(|(line, _)| *line);
    told.dedup_by_key(|(line, _)| *line);
    told.dedup_by(|(_, message), (_, before)| message == before && message.contains("array"));
    for (line, message) in told {
        // An open bracket shows only on the lines below it.
        let hint = if message.contains("array") { "; is a bracket above never closed?" } else { "" };
        problems.push(Problem::new(Place::new(&file, line), format!("this is not TOML: {message}{hint}")));
    }
    let mut tree = Tree { file: &file, lines: &lines, environment, problems };
    let table = tree.table(root.get_ref(), "");
    (file, table)
}

/// Turns the parser's values into nodes.
struct Tree<'a> {
    file: &'a Arc<ConfigFile>,
    lines: &'a LineIndex,
    environment: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Vec<Problem>,
}

impl Tree<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let written = written_key(key.get_ref());
            let below = if path.is_empty() { written } else { format!("{path}.{written}") };
            let place = Place::new(self.file, self.lines.line_of(key.span().start));
            Named { key: key.get_ref().to_string(), node: self.node(value, &place, &below), place }
        });
        Table { entries: entries.collect() }
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, parent: &Place, path: &str) -> Node {
        let mut variables = Vec::new();
        let mut place = Place::new(self.file, self.lines.line_of(value.span().start));
        let value = match value.get_ref() {
            DeValue::String(text) => match expand::expand(text, self.environment) {
                Ok(expanded) => {
                    variables = expanded.variables;
                    Value::Text(expanded.text)
                }
                Err(rule) => {
                    self.problems.push(Problem::new(place.clone(), format!("{path} {rule}")));
                    Value::Unknown
                }
            },
            DeValue::Integer(number) => {
                Value::Whole(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Unknown, Value::Fraction),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
            DeValue::Array(list) => Value::List(list.iter().map(|one| self.item(one, path)).collect()),
            DeValue::Table(table) => {
                // The parser gives a table that only its sub-tables make the place of the last of them.
                place = parent.clone();
                Value::Table(self.table(table, path))
            }
        };
        Node { place, value, variables }
    }

    fn item(&mut self, value: &Spanned<DeValue<'_>>, path: &str) -> Node {
        let place = Place::new(self.file, self.lines.line_of(value.span().start));
        self.node(value, &place, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Table, Vec<String>) {
        let file = ConfigFile { index: 0, shown: "t.toml".into(), folder: "/".into(), broken_lines: Vec::new() };
        let mut problems = Vec::new();
        let (_, table) = parse(file, text, &|_| None, &mut problems);
        (table, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_value_knows_its_line() {
        let (table, problems) = parsed("[source.a]\nlist = [\n  1,\n  \"x\",\n]\n");
        assert!(problems.is_empty(), "{problems:?}");
        let Value::Table(sources) = &table.get("source").expect("there").node.value else { panic!("a table") };
        let Value::Table(a) = &sources.get("a").expect("there").node.value else { panic!("a table") };
        let Value::List(list) = &a.get("list").expect("there").node.value else { panic!("a list") };
        assert_eq!(list[1].place.to_string(), "t.toml:4");
        assert_eq!(sources.get("a").expect("there").place.to_string(), "t.toml:1");
    }

    #[test]
    fn every_table_of_a_list_knows_its_header() {
        let (table, _) = parsed("[[route]]\na = 1\n\n[[route]]\na = 2\n");
        let Value::List(list) = &table.get("route").expect("there").node.value else { panic!("a list") };
        assert_eq!(list[0].place.to_string(), "t.toml:1");
        assert_eq!(list[1].place.to_string(), "t.toml:4");
    }

    #[test]
    fn several_syntax_errors_are_told_with_their_lines() {
        let (_, problems) = parsed("a = \nb = 1\nc = \"x\nd = 2\n");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("t.toml:1: ") && problems[1].starts_with("t.toml:3: "), "{problems:?}");
    }

    #[test]
    fn a_bracket_that_is_never_closed_is_told_once() {
        let (_, problems) = parsed("a = [\"x\"\nb = 1\nc = \"y\"\n[d]\ne = true\n");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn texts_are_written_on_one_line() {
        assert_eq!(written_text("a\"b\\\n\u{1}"), r#""a\"b\\\n\u0001""#);
        assert_eq!(written_key("a.b"), "\"a.b\"");
    }
}
