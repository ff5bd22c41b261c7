//! How databases write SQL: quotes, parameters, limits. Which statements there are belongs to `statement`.

use crate::source::settings::TableFrom;

/// How a database writes SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What stands before and behind an identifier; the one behind is doubled within it.
    pub quotes: (char, char),
    /// How parameters are written.
    pub parameter: Parameter,
    /// How the number of rows is limited.
    pub limit: Limit,
    /// Whether `(a, b) > (x, y)` is understood, and served by an index.
    pub tuples: bool,
    /// The type that CAST makes a text of; `None` where every value can be asked for as a text anyway.
    pub text: Option<&'static str>,
}

/// How parameters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// `$1`, `$2`.
    Dollar,
    /// `?1`, `?2`.
    Numbered,
    /// `?`, in the order of the text.
    Mark,
}

/// How the number of rows is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `LIMIT 10` at the end.
    Rows,
    /// `FETCH FIRST 10 ROWS ONLY` at the end (SQL:2008, Oracle 12, Db2).
    FetchFirst,
    /// `SELECT TOP (10)` (SQL Server, Sybase).
    Top,
    /// `SELECT FIRST 10` (Informix, Firebird).
    First,
}

impl Dialect {
    /// SQLite's.
    pub const SQLITE: Self =
        Self { quotes: ('"', '"'), parameter: Parameter::Numbered, limit: Limit::Rows, tuples: true, text: None };
    /// PostgreSQL's.
    pub const POSTGRES: Self =
        Self { quotes: ('"', '"'), parameter: Parameter::Dollar, limit: Limit::Rows, tuples: true, text: Some("TEXT") };

    /// MySQL's and MariaDB's. They understand tuples, but don't serve them by an index.
    pub const MYSQL: Self =
        Self { quotes: ('`', '`'), parameter: Parameter::Mark, limit: Limit::Rows, tuples: false, text: None };

    /// An identifier in quotes.
    pub fn quoted(&self, name: &str) -> String {
        let (before, behind) = self.quotes;
        format!("{before}{}{behind}", name.replace(behind, &format!("{behind}{behind}")))
    }

    /// A possibly qualified name, each part in quotes; parts may be written in quotes already.
    pub fn quoted_path(&self, name: &str) -> String {
        let parts: Vec<String> = self.parts(name).iter().map(|part| self.quoted(part)).collect();
        parts.join(".")
    }

    /// The parts of a possibly qualified name, without quotes.
    pub fn parts(&self, name: &str) -> Vec<String> {
        let (before, behind) = self.quotes;
        let mut parts = vec![String::new()];
        let mut in_quotes = false;
        let mut letters = name.trim().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                _ if in_quotes && letter == behind && letters.peek() == Some(&behind) => {
                    letters.next();
                    parts.last_mut().expect("parts begins with one").push(behind);
                }
                _ if in_quotes && letter == behind => in_quotes = false,
                _ if !in_quotes && letter == before => in_quotes = true,
                '.' if !in_quotes => parts.push(String::new()),
                other => parts.last_mut().expect("parts begins with one").push(other),
            }
        }
        parts
    }

    /// What stands behind FROM, with the alias `t`.
    pub fn source_of_rows(&self, from: &TableFrom) -> String {
        match from {
            TableFrom::Table(name) => format!("{} t", self.quoted_path(name)),
            // The closing parenthesis stands on a line of its own: a query may end with a comment.
            TableFrom::Query(query) => {
                format!("({}\n) t", query.trim().trim_end_matches(';'))
            }
        }
    }

    /// A SELECT of at most `limit` rows; `rest` begins with FROM.
    pub fn select(&self, selected: &str, rest: &str, limit: Option<u64>) -> String {
        let Some(rows) = limit else { return format!("SELECT {selected} {rest}") };
        match self.limit {
            Limit::Rows => format!("SELECT {selected} {rest} LIMIT {rows}"),
            Limit::FetchFirst => format!("SELECT {selected} {rest} FETCH FIRST {rows} ROWS ONLY"),
            Limit::Top => format!("SELECT TOP ({rows}) {selected} {rest}"),
            Limit::First => format!("SELECT FIRST {rows} {selected} {rest}"),
        }
    }

    /// An expression as a text, in answers to small questions.
    pub fn text_of(&self, expression: &str) -> String {
        match self.text {
            Some(kind) => format!("CAST({expression} AS {kind})"),
            None => expression.to_owned(),
        }
    }

    /// The parameter with this number, from 1.
    pub fn placed(&self, number: usize) -> String {
        match self.parameter {
            Parameter::Dollar => format!("${number}"),
            Parameter::Numbered => format!("?{number}"),
            Parameter::Mark => "?".into(),
        }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::SQLITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_name_is_quoted_once() {
        let dialect = Dialect::SQLITE;
        assert_eq!(dialect.quoted_path("sales.customers"), "\"sales\".\"customers\"");
        assert_eq!(dialect.quoted_path("\"odd.name\".\"a\"\"b\""), "\"odd.name\".\"a\"\"b\"");
        assert_eq!(dialect.source_of_rows(&TableFrom::Query("SELECT 1 -- x;\n;".into())), "(SELECT 1 -- x;\n\n) t");
        let brackets = Dialect { quotes: ('[', ']'), ..dialect };
        assert_eq!(brackets.quoted_path("dbo.[a]].b]"), "[dbo].[a]].b]");
    }
}
