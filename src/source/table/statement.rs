//! The SQL that all databases share, in the dialect of each. What a value looks like on its way in and out belongs to the
//! adapters.

use super::dialect::Dialect;
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
    /// How this database writes SQL.
    pub dialect: Dialect,
    /// What a SELECT without a table ends with: ` FROM DUAL` where one is needed.
    pub dummy: &'static str,
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
    /// It as the text that parameters have: `t."at"::text`, `DATE_FORMAT(t.`at`, ...)`.
    pub as_text: String,
    /// How a parameter becomes its type, with [`Column::PLACE`] for the parameter: `{}::text::"pg_catalog"."date"`.
    pub from_text: String,
    /// Whether it may be NULL.
    pub nullable: bool,
}

impl Column {
    /// Where the parameter stands in [`Column::from_text`].
    pub const PLACE: &'static str = "{}";

    /// A column without any casts.
    pub fn plain(name: &str, type_name: &str) -> Self {
        Self::written(name, type_name, &Dialect::SQLITE)
    }

    /// A column without any casts, as `dialect` writes it.
    pub fn written(name: &str, type_name: &str, dialect: &Dialect) -> Self {
        let sql = format!("t.{}", dialect.quoted(name));
        Self {
            name: name.into(),
            type_name: type_name.into(),
            ordered: sql.clone(),
            as_text: sql.clone(),
            sql,
            from_text: Self::PLACE.into(),
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

impl Shape {
    /// The columns of the order: watermark, then key.
    pub fn order(&self) -> impl Iterator<Item = &Column> {
        self.watermark.iter().chain(&self.key)
    }

    /// The newest watermark of all.
    pub fn newest(&self) -> Statement {
        let texts = list(self.watermark.iter().map(|c| c.as_text.clone()));
        let order = list(self.watermark.iter().map(|c| format!("{} DESC", c.ordered)));
        let complete = conditions(self.watermark.iter().map(|c| format!("{} IS NOT NULL", c.sql)));
        self.plain(self.select(&texts, &format!("{complete} ORDER BY {order}"), Some(1)))
    }

    /// 1 when a row has exactly this watermark: the round trip through text keeps it.
    pub fn has_watermark(&self, watermark: &Values) -> Statement {
        let mut statement = Statement::default();
        let equal = self.compare(&self.watermark, "=", watermark, &mut statement);
        statement.sql = self.select(&self.dialect.text_of("1"), &format!(" WHERE {equal}"), Some(1));
        statement
    }

    /// 1 when the watermark `later` is beyond `earlier`.
    pub fn is_later(&self, later: &Values, earlier: &Values) -> Statement {
        let mut statement = Statement::default();
        let beyond = self.values_beyond(later, earlier, &mut statement);
        let (one, zero) = (self.dialect.text_of("1"), self.dialect.text_of("0"));
        statement.sql = format!("SELECT CASE WHEN {beyond} THEN {one} ELSE {zero} END{}", self.dummy);
        statement
    }

    /// How many rows lie beyond `watermark`, counted up to `limit`.
    pub fn count_beyond(&self, watermark: Option<&Values>, limit: u64) -> Statement {
        let mut statement = Statement::default();
        let mut all: Vec<String> = self.complete().collect();
        all.extend(watermark.map(|at| self.compare(&self.watermark, ">", at, &mut statement)));
        let rows = self.select("1 AS one", &conditions(all.into_iter()), Some(limit));
        statement.sql = format!("SELECT {} FROM ({rows}) counted", self.dialect.text_of("count(*)"));
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
        // Rows by version need no watermark.
        let watermark = if self.settling == Settling::RowVersion { String::new() } else { null(&self.watermark) };
        let key = null(&self.key);
        let count = |condition: &str, name: &str| match condition {
            "" => self.dialect.text_of("0"),
            _ => {
                let rows = self.select("1 AS one", &format!(" WHERE {condition}"), Some(limit));
                format!("(SELECT {} FROM ({rows}) {name})", self.dialect.text_of("count(*)"))
            }
        };
        let key_only = match (key.as_str(), watermark.as_str()) {
            ("", "") => return None,
            ("", _) => String::new(),
            (key, "") => key.to_owned(),
            (key, watermark) => format!("({key}) AND NOT ({watermark})"),
        };
        Some(self.plain(format!("SELECT {}, {}{}", count(&watermark, "w"), count(&key_only, "k"), self.dummy)))
    }

    /// The first key that several rows have.
    pub fn duplicate(&self) -> Statement {
        let texts = list(self.key.iter().map(|c| c.as_text.clone()));
        let group = list(self.key.iter().map(|c| c.ordered.clone()));
        let group = format!("{group}, {}", list(self.key.iter().map(|c| c.sql.clone())));
        let complete = conditions(self.complete());
        let rest = format!("{complete} GROUP BY {group} HAVING count(*) > 1");
        self.plain(self.select(&texts, &rest, Some(1)))
    }

    /// The watermark of the row with this key.
    pub fn watermark_of(&self, key: &Values) -> Statement {
        let mut statement = Statement::default();
        let equal = self.compare(&self.key, "=", key, &mut statement);
        let mut texts = list(self.watermark.iter().map(|c| c.as_text.clone()));
        if texts.is_empty() {
            texts = self.dialect.text_of("1");
        }
        statement.sql = self.select(&texts, &format!(" WHERE {equal}"), Some(2));
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
        // Not every database has boolean columns.
        let settled = format!("CASE WHEN {settled} THEN 1 ELSE 0 END");
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
        let rest = format!("{} ORDER BY {order}", conditions(all.into_iter()));
        statement.sql = self.select(&format!("{selected}, {settled}"), &rest, limit);
        statement
    }

    fn complete(&self) -> impl Iterator<Item = String> {
        self.order().filter(|c| c.nullable).map(|c| format!("{} IS NOT NULL", c.sql))
    }

    /// The rows that `rest`, behind FROM, leaves over.
    pub(super) fn select(&self, selected: &str, rest: &str, limit: Option<u64>) -> String {
        self.dialect.select(selected, &format!("FROM {}{rest}", self.from), limit)
    }

    /// Compares columns with values, as a tuple; `operator` is one of `= < <= > >=`.
    pub(super) fn compare(
        &self,
        columns: &[Column],
        operator: &str,
        values: &Values,
        statement: &mut Statement,
    ) -> String {
        if columns.len() == 1 || self.dialect.tuples {
            let left = list(columns.iter().map(|c| c.ordered.clone()));
            let right = self.tuple(columns, values, statement);
            return if columns.len() == 1 {
                format!("{left} {operator} {right}")
            } else {
                format!("({left}) {operator} {right}")
            };
        }
        let left: Vec<String> = columns.iter().map(|c| c.ordered.clone()).collect();
        self.spelt_out(columns, &mut |at, _| left[at].clone(), operator, values, statement)
    }

    /// Whether the watermark `later` is beyond `earlier`; both are parameters.
    fn values_beyond(&self, later: &Values, earlier: &Values, statement: &mut Statement) -> String {
        if self.watermark.len() == 1 || self.dialect.tuples {
            let left = self.tuple(&self.watermark, later, statement);
            let right = self.tuple(&self.watermark, earlier, statement);
            return format!("{left} > {right}");
        }
        let mut left = |at: usize, statement: &mut Statement| self.value(&self.watermark[at], &later[at], statement);
        self.spelt_out(&self.watermark, &mut left, ">", earlier, statement)
    }

    /// `(a, b) > (x, y)` for databases without tuples: `(a > x OR (a = x AND b > y))`. The first column is compared once
    /// more, alone, so that an index on it serves.
    fn spelt_out(
        &self,
        columns: &[Column],
        left: &mut dyn FnMut(usize, &mut Statement) -> String,
        operator: &str,
        values: &Values,
        statement: &mut Statement,
    ) -> String {
        let equal = |at: usize, left: &mut dyn FnMut(usize, &mut Statement) -> String, statement: &mut Statement| {
            let place = left(at, statement);
            format!("{place} = {}", self.value(&columns[at], &values[at], statement))
        };
        if operator == "=" {
            let all: Vec<String> = (0..columns.len()).map(|at| equal(at, left, statement)).collect();
            return format!("({})", all.join(" AND "));
        }
        let (strict, loose) = if operator.starts_with('>') { (">", ">=") } else { ("<", "<=") };
        let last = columns.len() - 1;
        let first = left(0, statement);
        let mut text = format!("({first} {loose} {} AND (", self.value(&columns[0], &values[0], statement));
        for at in 0..=last {
            let mut all: Vec<String> = (0..at).map(|before| equal(before, left, statement)).collect();
            let operator = if at == last { operator } else { strict };
            let place = left(at, statement);
            all.push(format!("{place} {operator} {}", self.value(&columns[at], &values[at], statement)));
            text.push_str(if at == 0 { "" } else { " OR " });
            text.push_str(&format!("({})", all.join(" AND ")));
        }
        text + "))"
    }

    fn tuple(&self, columns: &[Column], values: &Values, statement: &mut Statement) -> String {
        let placed = list(columns.iter().zip(values).map(|(column, value)| self.value(column, value, statement)));
        if columns.len() == 1 { placed } else { format!("({placed})") }
    }

    fn value(&self, column: &Column, value: &str, statement: &mut Statement) -> String {
        statement.parameters.push(value.to_owned());
        let placed = self.dialect.placed(statement.parameters.len());
        column.from_text.replacen(Column::PLACE, &placed, 1)
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
    use super::super::dialect::{Limit, Parameter};
    use super::*;

    #[test]
    fn pages_go_on_by_key_and_never_by_offset() {
        let shape = Shape {
            from: "\"t\" t".into(),
            watermark: vec![Column { nullable: false, ..Column::plain("w", "") }],
            key: vec![Column { nullable: false, ..Column::plain("k", "") }],
            dialect: Dialect::POSTGRES,
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
            "SELECT t.\"w\", CASE WHEN t.\"w\" <= $1 THEN 1 ELSE 0 END FROM \"t\" t WHERE (t.\"w\", t.\"k\") > ($2, $3) \
             ORDER BY t.\"w\", t.\"k\" LIMIT 10"
        );
        assert_eq!(page.parameters, ["9", "1", "2"]);
    }
    #[test]
    fn without_tuples_the_comparison_is_spelt_out() {
        let dialect =
            Dialect { parameter: Parameter::Mark, tuples: false, limit: Limit::FetchFirst, ..Dialect::SQLITE };
        let column = |name| Column { nullable: false, ..Column::plain(name, "") };
        let shape = Shape {
            from: "x t".into(),
            watermark: vec![column("w")],
            key: vec![column("k")],
            dialect,
            ..Shape::default()
        };
        let after = super::super::Position { watermark: vec!["1".into()], key: vec!["2".into()] };
        let page = shape.page("1", &Span { after: Some(after), ..Span::default() }, Some(3));
        assert_eq!(
            page.sql,
            "SELECT 1, CASE WHEN 1 = 0 THEN 1 ELSE 0 END FROM x t WHERE (t.\"w\" >= ? AND ((t.\"w\" > ?) OR \
             (t.\"w\" = ? AND t.\"k\" > ?))) ORDER BY t.\"w\", t.\"k\" FETCH FIRST 3 ROWS ONLY"
        );
        assert_eq!(page.parameters, ["1", "1", "1", "2"]);
    }
}
