//! What server and catalogue say of a table that decides which way to settle is safe. Waiting itself belongs to `fence`.

use std::time::Duration;

use super::super::settling::Settling;
use crate::error::{Error, ErrorKind, Result};

/// `settle = "auto"` where nothing better can be had: how long commits are waited for.
pub const OVERLAP: Duration = Duration::from_secs(60);

/// What rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relation {
    /// A table, also a partitioned one.
    #[default]
    Table,
    /// A view.
    View,
    /// A materialized view.
    Materialized,
    /// A SELECT of the configuration.
    Query,
    /// A foreign table, or anything that reads one: its transactions are another server's.
    Foreign,
}

/// A sequence that fills a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The column.
    pub column: String,
    /// Its name.
    pub name: String,
    /// How many values a session takes at once.
    pub cache: i64,
    /// The step.
    pub increment: i64,
}

/// Facts that hold as long as the connection does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What rows come from.
    pub relation: Relation,
    /// Whether the server is a hot standby.
    pub standby: bool,
    /// Sequences behind watermark columns.
    pub sequences: Vec<Sequence>,
}

/// The rows of a query with parameters.
type Answer = Vec<Vec<Option<String>>>;

const RELATION: &str = "SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = $1::text::regclass";

/// Sequences of identity and serial columns, and of defaults that name one.
const SEQUENCES: &str = "\
SELECT DISTINCT a.attname::text, s.seqrelid::regclass::text, s.seqcache::text, s.seqincrement::text \
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_sequence s ON s.seqrelid IN ( \
  SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass \
    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum \
    AND d.deptype IN ('a', 'i') \
  UNION ALL SELECT d.refobjid FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d \
    ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass \
    WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum) \
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped \
  AND a.attname::text IN (SELECT json_array_elements_text($2::text::json))";

impl Facts {
    /// Asks for all of them; `table` is empty for a query, `from` stands behind FROM.
    pub fn learn(
        ask: impl Fn(&str, &[&str]) -> Result<Answer>,
        table: &str,
        from: &str,
        watermark: &[String],
    ) -> Result<Self> {
        let first = |answer: Answer| answer.into_iter().flatten().flatten().next().unwrap_or_default();
        let standby = first(ask("SELECT pg_catalog.pg_is_in_recovery()::text", &[])?) == "true";
        let plan = ask(&format!("EXPLAIN SELECT * FROM {from}"), &[])?;
        let is_foreign = plan.iter().flatten().flatten().any(|line| line.contains("Foreign Scan"));
        let kind = if table.is_empty() { String::new() } else { first(ask(RELATION, &[table])?) };
        let relation = match kind.as_str() {
            _ if is_foreign => Relation::Foreign,
            "" => Relation::Query,
            "f" => Relation::Foreign,
            "v" => Relation::View,
            "m" => Relation::Materialized,
            _ => Relation::Table,
        };
        let mut sequences = Vec::new();
        if !table.is_empty() {
            let columns = serde_json::Value::from(watermark.to_vec()).to_string();
            for row in ask(SEQUENCES, &[table, &columns])? {
                let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
                let number = |at: usize| text(at).parse().unwrap_or(1);
                sequences.push(Sequence { column: text(0), name: text(1), cache: number(2), increment: number(3) });
            }
        }
        Ok(Self { relation, standby, sequences })
    }

    /// The best way to settle that rows without versions allow.
    pub fn auto(&self) -> Settling {
        match self.relation {
            Relation::View | Relation::Materialized | Relation::Query if !self.standby => Settling::Fence,
            _ => Settling::Overlap(OVERLAP),
        }
    }

    /// The sequence whose values are not drawn in the order of their numbers.
    pub fn unordered(&self) -> Option<&Sequence> {
        self.sequences.iter().find(|sequence| sequence.cache > 1 || sequence.increment != 1)
    }

    /// Refuses a fence where it would not hold.
    ///
    /// # Errors
    /// `Invalid`, with the remedy.
    pub fn check(&self, settling: Settling, place: &str) -> Result<()> {
        if settling != Settling::Fence {
            return Ok(());
        }
        let refused = |text: String| Err(Error::new(ErrorKind::Invalid, text));
        if self.standby {
            return refused(format!(
                "settle = \"fence\" can't be used with {place}: the server is a hot standby, which does not show the \
                 transactions of its primary; write settle = \"row-version\", or read from the primary"
            ));
        }
        if self.relation == Relation::Foreign {
            return refused(format!(
                "settle = \"fence\" can't be used with {place}: its rows are another server's, whose transactions this one \
                 does not show; read from that server, or write settle = \"overlap:60s\""
            ));
        }
        if let Some(sequence) = self.unordered() {
            return refused(format!(
                "settle = \"fence\" can't be used with {place}: {}; write settle = \"row-version\", or take another \
                 watermark",
                sequence.shown()
            ));
        }
        Ok(())
    }

    /// Why rows could be lost by `settling`, one line.
    pub fn hazard(&self, settling: Settling) -> Option<String> {
        let Settling::Overlap(by) = settling else { return None };
        if let Some(sequence) = self.unordered() {
            let fact = sequence.shown();
            return Some(format!("{fact}: rows that commit more than {} s later can be lost", by.as_secs()));
        }
        if self.relation == Relation::Materialized {
            return Some(format!(
                "a materialized view shows rows only when it is refreshed: those older than {} s by then are lost",
                by.as_secs()
            ));
        }
        None
    }
}

impl Sequence {
    /// What it is, for people.
    pub fn shown(&self) -> String {
        let Self { column, name, cache, increment } = self;
        format!(
            "{column} is drawn from sequence {name} with CACHE {cache} and INCREMENT {increment}, so that a lower number can \
             be written long after a higher one"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_a_fence_where_rows_have_no_versions_and_an_overlap_where_it_would_not_hold() {
        let auto = |relation, standby| Facts { relation, standby, ..Facts::default() }.auto();
        assert_eq!(auto(Relation::View, false), Settling::Fence);
        assert_eq!(auto(Relation::Query, false), Settling::Fence);
        assert_eq!(auto(Relation::Query, true), Settling::Overlap(OVERLAP));
        assert_eq!(auto(Relation::Foreign, false), Settling::Overlap(OVERLAP));
    }

    #[test]
    fn a_fence_is_refused_where_it_would_not_hold_and_says_what_to_write() {
        let refused = |facts: Facts| facts.check(Settling::Fence, "table item").expect_err("refused").to_string();
        let standby = refused(Facts { standby: true, ..Facts::default() });
        assert!(standby.contains("hot standby") && standby.contains("row-version"), "{standby}");
        let sequence = Sequence { column: "id".into(), name: "item_id_seq".into(), cache: 10, increment: 1 };
        let facts = Facts { sequences: vec![sequence], ..Facts::default() };
        assert!(facts.hazard(Settling::Overlap(OVERLAP)).is_some_and(|text| text.contains("CACHE 10")));
        let cached = refused(facts);
        assert!(cached.contains("CACHE 10") && cached.contains("row-version"), "{cached}");
        assert!(Facts::default().check(Settling::Fence, "table item").is_ok());
    }
}
