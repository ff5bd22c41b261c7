//! The SQL that both databases share. What a value looks like on its way in and out belongs to the adapters.

use super::settling::{Resolution, Settling};
use super::{Edge, Span, Values};

/// What the adapters learn about a table, and how its SQL is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// What stands behind FROM, with the alias `t`.
    pub from: String,
    /// The high-water-mark columns.
    pub watermark: Vec<Column>,
    /// The key columns.
    pub key: Vec<Column>,
    /// What the watermark is.
    pub resolution: Resolution,
    /// How SAFE follows what was seen.
    pub settling: Settling,
    /// Whether the database itself keeps the key unique.
    pub unique_key: bool,
    /// Which database this is, as far as it tells.
    pub identity: String,
    /// What parameters begin with: `$` or `?`.
    pub parameter: char,
}

/// One column of the watermark or the key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the database names it.
    pub type_name: String,
    /// How it stands in SQL: `t."updated_at"`.
    pub sql: String,
    /// How it stands in comparisons and ORDER BY, with a collation where one is needed.
    pub ordered: String,
    /// What turns it into the text that parameters have: `::text`, or nothing.
    pub to_text: &'static str,
    /// What turns a parameter into its type: `::text::"pg_catalog"."date"`, or nothing.
    pub from_text: String,
    /// Whether it may be NULL.
    pub nullable: bool,
}

impl Column {
    /// A column without any casts.
    pub fn plain(name: &str, type_name: &str) -> Self {
        let sql = format!("t.{}", quoted(name));
        Self {
            name: name.into(),
            type_name: type_name.into(),
            ordered: sql.clone(),
            sql,
            to_text: "",
            from_text: String::new(),
            nullable: true,
        }
    }
}

/// A statement and its parameters, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// The parameters, in the database's own text.
    pub parameters: Vec<String>,
}

/// An identifier in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A possibly qualified name, each part in quotes; parts may be written in quotes already.
pub fn quoted_path(name: &str) -> String {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    let mut letters = name.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.peek() == Some(&'"') => {
                letters.next();
                parts.last_mut().expect("parts begins with one").push('"');
            }
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(String::new()),
            other => parts.last_mut().expect("parts begins with one").push(other),
        }
    }
    let parts: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    parts.join(".")
}

/// What stands behind FROM.
pub fn from_clause(from: &crate::source::settings::TableFrom) -> String {
    match from {
        crate::source::settings::TableFrom::Table(name) => format!("{} AS t", quoted_path(name)),
        // The closing parenthesis stands on a line of its own: a query may end with a comment.
        crate::source::settings::TableFrom::Query(query) => {
            format!("({}\n) AS t", query.trim().trim_end_matches(';'))
        }
    }
}

impl Shape {
    /// The columns of the order: watermark, then key.
    pub fn order(&self) -> impl Iterator<Item = &Column> {
        self.watermark.iter().chain(&self.key)
    }

    /// The newest watermark of all.
    pub fn newest(&self) -> Statement {
        let texts = list(self.watermark.iter().map(|c| format!("{}{}", c.sql, c.to_text)));
        let order = list(self.watermark.iter().map(|c| format!("{} DESC", c.ordered)));
        let complete = conditions(self.watermark.iter().map(|c| format!("{} IS NOT NULL", c.sql)));
        self.plain(format!("SELECT {texts} FROM {}{complete} ORDER BY {order} LIMIT 1", self.from))
    }

    /// 1 when a row has exactly this watermark: the round trip through text keeps it.
    pub fn has_watermark(&self, watermark: &Values) -> Statement {
        let mut statement = Statement::default();
        let equal = self.compare(&self.watermark, "=", watermark, &mut statement);
        let one = self.text_of("1");
        statement.sql = format!("SELECT {one} FROM {} WHERE {equal} LIMIT 1", self.from);
        statement
    }

    /// 1 when the watermark `later` is beyond `earlier`.
    pub fn is_later(&self, later: &Values, earlier: &Values) -> Statement {
        let mut statement = Statement::default();
        let left = self.tuple(&self.watermark, later, &mut statement);
        let right = self.tuple(&self.watermark, earlier, &mut statement);
        let (one, zero) = (self.text_of("1"), self.text_of("0"));
        statement.sql = format!("SELECT CASE WHEN {left} > {right} THEN {one} ELSE {zero} END");
        statement
    }

    /// How many rows lie beyond `watermark`, counted up to `limit`.
    pub fn count_beyond(&self, watermark: Option<&Values>, limit: u64) -> Statement {
        let mut statement = Statement::default();
        let mut all: Vec<String> = self.complete().collect();
        all.extend(watermark.map(|at| self.compare(&self.watermark, ">", at, &mut statement)));
        let rows = format!("SELECT 1 AS one FROM {}{} LIMIT {limit}", self.from, conditions(all.into_iter()));
        statement.sql = format!("SELECT {} FROM ({rows}) AS counted", self.text_of("count(*)"));
        statement
    }

    /// How many rows have no watermark and how many have one but no key, each counted up to `limit`; `None` when neither
    /// can happen.
    pub fn incomplete(&self, limit: u64) -> Option<Statement> {
        let null = |columns: &[Column]| {
            let each: Vec<String> =
                columns.iter().filter(|c| c.nullable).map(|c| format!("{} IS NULL", c.sql)).collect();
            each.join(" OR ")
        };
        let (watermark, key) = (null(&self.watermark), null(&self.key));
        let count = |condition: &str, name: &str| match condition {
            "" => self.text_of("0"),
            _ => {
                let rows = format!("SELECT 1 AS one FROM {} WHERE {condition} LIMIT {limit}", self.from);
                format!("(SELECT {} FROM ({rows}) AS {name})", self.text_of("count(*)"))
            }
        };
        let key_only = match (key.as_str(), watermark.as_str()) {
            ("", "") => return None,
            ("", _) => String::new(),
            (key, "") => key.to_owned(),
            (key, watermark) => format!("({key}) AND NOT ({watermark})"),
        };
        Some(self.plain(format!("SELECT {}, {}", count(&watermark, "w"), count(&key_only, "k"))))
    }

    /// The first key that several rows have.
    pub fn duplicate(&self) -> Statement {
        let texts = list(self.key.iter().map(|c| format!("{}{}", c.sql, c.to_text)));
        let group = list(self.key.iter().map(|c| c.ordered.clone()));
        let group = format!("{group}, {}", list(self.key.iter().map(|c| c.sql.clone())));
        let complete = conditions(self.complete());
        self.plain(format!("SELECT {texts} FROM {}{complete} GROUP BY {group} HAVING count(*) > 1 LIMIT 1", self.from))
    }

    /// The watermark of the row with this key.
    pub fn watermark_of(&self, key: &Values) -> Statement {
        let mut statement = Statement::default();
        let equal = self.compare(&self.key, "=", key, &mut statement);
        let texts = list(self.watermark.iter().map(|c| format!("{}{}", c.sql, c.to_text)));
        statement.sql = format!("SELECT {texts} FROM {} WHERE {equal} LIMIT 2", self.from);
        statement
    }

    /// The rows of a span: `selected`, then whether the row is settled. `limit` rows at most.
    pub fn page(&self, selected: &str, span: &Span, limit: Option<u64>) -> Statement {
        let mut statement = Statement::default();
        let settled = match &span.settled {
            Some(edge) => {
                let operator = if edge.ties { "<" } else { "<=" };
                self.compare(&self.watermark, operator, &edge.at, &mut statement)
            }
            None => "1 = 0".into(),
        };
        let mut all: Vec<String> = self.complete().collect();
        if let Some(after) = &span.after {
            let columns: Vec<Column> = self.order().cloned().collect();
            let values: Values = after.watermark.iter().chain(&after.key).cloned().collect();
            all.push(self.compare(&columns, ">", &values, &mut statement));
        } else if let Some(Edge { at, ties }) = &span.floor {
            let operator = if *ties { ">=" } else { ">" };
            all.push(self.compare(&self.watermark, operator, at, &mut statement));
        }
        let order = list(self.order().map(|c| c.ordered.clone()));
        let limit = limit.map_or(String::new(), |rows| format!(" LIMIT {rows}"));
        let complete = conditions(all.into_iter());
        statement.sql = format!("SELECT {selected}, {settled} FROM {}{complete} ORDER BY {order}{limit}", self.from);
        statement
    }

    fn complete(&self) -> impl Iterator<Item = String> {
        self.order().filter(|c| c.nullable).map(|c| format!("{} IS NOT NULL", c.sql))
    }

    fn compare(&self, columns: &[Column], operator: &str, values: &Values, statement: &mut Statement) -> String {
        let right = self.tuple(columns, values, statement);
        let left = list(columns.iter().map(|c| c.ordered.clone()));
        if columns.len() == 1 { format!("{left} {operator} {right}") } else { format!("({left}) {operator} {right}") }
    }

    fn tuple(&self, columns: &[Column], values: &Values, statement: &mut Statement) -> String {
        let placed = columns.iter().zip(values).map(|(column, value)| {
            statement.parameters.push(value.clone());
            format!("{}{}{}", self.parameter, statement.parameters.len(), column.from_text)
        });
        let placed = list(placed);
        if columns.len() == 1 { placed } else { format!("({placed})") }
    }

    fn text_of(&self, expression: &str) -> String {
        // SQLite hands out any value as a text; PostgreSQL's answers are asked for as texts.
        if self.parameter == '?' { expression.to_owned() } else { format!("CAST({expression} AS TEXT)") }
    }

    fn plain(&self, sql: String) -> Statement {
        Statement { sql, parameters: Vec::new() }
    }
}

fn list(each: impl Iterator<Item = String>) -> String {
    each.collect::<Vec<_>>().join(", ")
}

fn conditions(each: impl Iterator<Item = String>) -> String {
    let all = each.collect::<Vec<_>>().join(" AND ");
    if all.is_empty() { all } else { format!(" WHERE {all}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::settings::TableFrom;

    #[test]
    fn every_part_of_a_name_is_quoted_once() {
        assert_eq!(quoted_path("sales.customers"), "\"sales\".\"customers\"");
        assert_eq!(quoted_path("\"odd.name\".\"a\"\"b\""), "\"odd.name\".\"a\"\"b\"");
        assert_eq!(from_clause(&TableFrom::Query("SELECT 1 -- x;\n;".into())), "(SELECT 1 -- x;\n\n) AS t");
    }

    #[test]
    fn pages_go_on_by_key_and_never_by_offset() {
        let shape = Shape {
            from: "\"t\" AS t".into(),
            watermark: vec![Column { nullable: false, ..Column::plain("w", "") }],
            key: vec![Column { nullable: false, ..Column::plain("k", "") }],
            parameter: '$',
            ..Shape::default()
        };
        let span = Span {
            after: Some(super::super::Position { watermark: vec!["1".into()], key: vec!["2".into()] }),
            settled: Some(Edge { at: vec!["9".into()], ties: false }),
            ..Span::default()
        };
        let page = shape.page("t.\"w\"", &span, Some(10));
        assert_eq!(
            page.sql,
            "SELECT t.\"w\", t.\"w\" <= $1 FROM \"t\" AS t WHERE (t.\"w\", t.\"k\") > ($2, $3) \
             ORDER BY t.\"w\", t.\"k\" LIMIT 10"
        );
        assert_eq!(page.parameters, ["9", "1", "2"]);
    }
}
