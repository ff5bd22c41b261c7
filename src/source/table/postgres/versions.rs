//! Row versions in PostgreSQL: snapshots, the age of a row's transaction, and for which relations that can be asked.
//! Which rows a pass needs belongs to `table::versions`.

use super::{PostgresTable, fence};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::{Settle, TableFrom, TableSettings};
use crate::source::table::dialect::Dialect;
use crate::source::table::settling::{Resolution, Settling};
use crate::source::table::statement::{Shape, Statement};
use crate::source::table::versions::{Holder, Horizon, RowVersions, VersionSpan};
use crate::source::table::{Row, Table, Values};

/// The table and those below it, partitions or heirs.
const BELOW: &str = "WITH RECURSIVE below(oid) AS (SELECT $1::text::regclass::oid \
     UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below b ON i.inhparent = b.oid)";

/// Whether rows tell which transaction wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStamps {
    /// They do.
    Kept,
    /// They do, but all of them are written afresh by each REFRESH.
    Renewed,
    /// They don't: a view, a query, a foreign table, another way to store tables.
    Absent,
}

impl RowStamps {
    /// How SAFE follows what was seen; `otherwise` is the best where rows have no versions.
    ///
    /// # Errors
    /// `Config` when row versions are asked for where there are none.
    pub fn settling(self, settings: &TableSettings, place: &str, otherwise: Settling) -> Result<Settling> {
        let has_versions = match self {
            Self::Kept => true,
            // Each REFRESH gives all rows new versions; without known keys all of them would be told again.
            Self::Renewed => settings.track_keys || settings.settle == Settle::RowVersion,
            Self::Absent => false,
        };
        if settings.settle == Settle::RowVersion && !has_versions {
            let rule = "settle = \"row-version\" needs a table whose rows the server keeps itself";
            let remedy = "write settle = \"fence\" for views, \"overlap:60s\" for foreign tables";
            return Err(Error::new(ErrorKind::Config, format!("{rule}, {place} is none; {remedy}")));
        }
        let auto = if has_versions { Settling::RowVersion } else { otherwise };
        Ok(Settling::of(settings.settle, auto))
    }
}

impl PostgresTable {
    /// Whether the rows tell which transaction wrote them.
    pub(super) fn row_stamps(&self) -> Result<RowStamps> {
        let TableFrom::Table(name) = &self.settings.table.from else { return Ok(RowStamps::Absent) };
        // Rows of foreign tables have no versions; they may hide below a partitioned table, or an inherited one.
        let sql = "SELECT CASE WHEN NOT bool_and(c.relkind IN ('r', 'p', 'm') AND (c.relam = 0 OR a.amname = 'heap')) \
                               OR NOT has_column_privilege($1::text::regclass, 'xmin', 'SELECT') THEN 'other' \
                          WHEN bool_or(c.relkind = 'm') THEN 'materialized' ELSE 'versioned' END::text \
                   FROM below b JOIN pg_catalog.pg_class c ON c.oid = b.oid \
                   LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam";
        let answer = self.small(&format!("{BELOW} {sql}"), &[&Dialect::POSTGRES.quoted_path(name)])?;
        Ok(match answer.into_iter().flatten().flatten().next().as_deref() {
            Some("versioned") => RowStamps::Kept,
            Some("materialized") => RowStamps::Renewed,
            _ => RowStamps::Absent,
        })
    }

    /// Whether an index begins with this column.
    fn has_index_of(&self, column: &str) -> Result<bool> {
        let sql = "SELECT '1'::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
                     ON a.attrelid = i.indrelid AND a.attnum = (i.indkey::int2[])[0] \
                   WHERE i.indrelid = $1::text::regclass AND i.indisvalid AND i.indpred IS NULL \
                     AND a.attname = $2::text LIMIT 1";
        Ok(!self.small(sql, &[&self.table_name(), column])?.is_empty())
    }

    fn table_name(&self) -> String {
        match &self.settings.table.from {
            TableFrom::Table(name) => Dialect::POSTGRES.quoted_path(name),
            TableFrom::Query(_) => String::new(),
        }
    }

    /// How many transactions ago this one was, in the snapshot that is open; `None` where that can't be said in 31 bits.
    fn age(&self, x: u64, horizon: &Horizon) -> Result<Option<u64>> {
        if !horizon.is_comparable(x) {
            return Ok(None);
        }
        let short = (x & u64::from(u32::MAX)).to_string();
        let answer = self.small("SELECT age($1::text::xid)::text", &[&short])?;
        // A negative age is beyond half the range.
        Ok(answer.into_iter().flatten().flatten().next().and_then(|text| text.parse().ok()))
    }

    fn statement(&self, selected: &str, span: &VersionSpan) -> Result<Statement> {
        let horizon = self.horizon_now()?;
        let since = match span.since {
            Some(since) => self.age(since, &horizon)?,
            None => None,
        };
        let settled = self.age(span.settled, &horizon)?;
        Ok(version_page(&self.opened()?.layout.shape, selected, span, since, settled))
    }

    fn horizon_now(&self) -> Result<Horizon> {
        // These functions are there in all versions; their ids are those of the newer ones.
        let sql = "SELECT txid_snapshot_xmin(s)::text, txid_snapshot_xmax(s)::text, \
                     pg_catalog.pg_relation_filenode($1::text::regclass)::text, \
                     (SELECT string_agg(oid::text, ',' ORDER BY oid) FROM below) \
                   FROM txid_current_snapshot() AS s";
        let row = self.small(&format!("{BELOW} {sql}"), &[&self.table_name()])?;
        let row = row.into_iter().next().unwrap_or_default();
        let number = |at: usize| row.get(at).cloned().flatten().and_then(|text: String| text.parse::<u64>().ok());
        let members = row.get(3).cloned().flatten().unwrap_or_default();
        let members = members.split(',').filter_map(|text| text.parse().ok()).collect();
        match (number(0), number(1)) {
            (Some(xmin), Some(xmax)) => Ok(Horizon { xmin, xmax, file: row.get(2).cloned().flatten(), members }),
            _ => Err(Error::internal("PostgreSQL says no snapshot in which it answers")),
        }
    }
}

impl RowVersions for PostgresTable {
    fn horizon(&mut self) -> Result<Horizon> {
        self.horizon_now()
    }

    fn renew(&mut self, stop: &Stop) -> Result<()> {
        self.opened()?.session.run("COMMIT", stop)?;
        self.begin_snapshot(stop)
    }

    fn has_window_index(&mut self) -> Result<bool> {
        let shape = &self.opened()?.layout.shape;
        let (Resolution::Clock, [column]) = (shape.resolution, shape.watermark.as_slice()) else { return Ok(false) };
        self.has_index_of(&column.name)
    }

    fn has_key_index(&mut self) -> Result<bool> {
        self.is_indexed()
    }

    fn stream_versions(
        &mut self,
        span: &VersionSpan,
        stop: &Stop,
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<(u64, Option<Values>)> {
        let selected = self.opened()?.layout.selected.clone();
        let statement = self.statement(&selected, span)?;
        let mut last = None;
        let count = self.page(&statement, &mut last, stop, each)?;
        Ok((count, last.map(|last| last.key)))
    }

    fn holders(&mut self) -> Result<Vec<Holder>> {
        let mut holders = fence::horizon_holders(|sql| self.small(sql, &[]))?;
        if holders.is_empty() && self.opened()?.facts.standby {
            let shown = "a transaction of the primary server, which this standby can't name".into();
            holders.push(Holder { shown, age: None });
        }
        Ok(holders)
    }

    fn has_fence(&mut self) -> Result<bool> {
        let open = self.opened()?;
        let Some(column) = open.layout.shape.watermark.first() else { return Ok(false) };
        Ok(open.facts.check(Settling::Fence, "").is_ok() && self.has_index_of(&column.name)?)
    }

    fn count_versions(&mut self, span: &VersionSpan) -> Result<u64> {
        let mut statement = self.statement("1", span)?;
        statement.sql =
            format!("SELECT count(*)::text FROM ({}) AS p (one, settled, quiet) WHERE quiet = 0", statement.sql);
        let parameters: Vec<&str> = statement.parameters.iter().map(String::as_str).collect();
        let answer = self.small(&statement.sql, &parameters)?;
        Ok(answer.into_iter().flatten().flatten().next().and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// The rows of a span by key: `selected`, whether the row is settled, whether it is quiet. `since` and `settled` are ages:
/// constants, which are compared four times as fast as expressions.
fn version_page(
    shape: &Shape,
    selected: &str,
    span: &VersionSpan,
    since: Option<u64>,
    settled: Option<u64>,
) -> Statement {
    let mut statement = Statement::default();
    // Rows older than half the range show an age that says nothing, mostly a negative one.
    let settled = match settled {
        Some(age) => format!("CASE WHEN age(t.xmin) BETWEEN 0 AND {age} THEN 0 ELSE 1 END"),
        None => "0".into(),
    };
    let quiet = match &span.floor {
        Some(floor) => {
            let operator = if floor.ties { ">=" } else { ">" };
            let told = shape.compare(&shape.watermark, operator, &floor.at, &mut statement);
            format!("CASE WHEN {told} THEN 0 ELSE 1 END")
        }
        None => "0".into(),
    };
    let mut all: Vec<String> =
        shape.key.iter().filter(|c| c.nullable).map(|c| format!("{} IS NOT NULL", c.sql)).collect();
    let mut changed: Vec<String> = Vec::new();
    changed.extend(since.map(|age| format!("age(t.xmin) BETWEEN 0 AND {age}")));
    if let (Some(coarse), [column]) = (&span.coarse, shape.watermark.as_slice()) {
        let beyond = shape.compare(&shape.watermark, ">", &vec![coarse.clone()], &mut statement);
        let null = if column.nullable { format!(" OR {} IS NULL", column.sql) } else { String::new() };
        changed.push(format!("({beyond}{null})"));
    }
    if let Some(beyond) = &span.beyond {
        let operator = if beyond.ties { ">=" } else { ">" };
        changed.push(shape.compare(&shape.watermark, operator, &beyond.at, &mut statement));
    }
    if !changed.is_empty() && !span.fresh.is_empty() {
        let fresh: Vec<String> = span.fresh.iter().map(u32::to_string).collect();
        changed = vec![format!("({} OR t.tableoid IN ({}))", changed.join(" AND "), fresh.join(", "))];
    }
    all.extend(changed);
    if let Some(after) = &span.after {
        all.push(shape.compare(&shape.key, ">", after, &mut statement));
    }
    let filter = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
    let order: Vec<&str> = shape.key.iter().map(|c| c.ordered.as_str()).collect();
    let rest = format!("{filter} ORDER BY {}", order.join(", "));
    statement.sql = shape.select(&format!("{selected}, {settled}, {quiet}"), &rest, span.limit);
    statement
}

/// The first page of all rows by key, to ask how it would be read.
pub fn first_page(shape: &Shape, limit: u64) -> Statement {
    version_page(shape, "1", &VersionSpan { limit: Some(limit), ..VersionSpan::default() }, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::table::Edge;
    use crate::source::table::statement::Column;

    fn shape(nullable: bool) -> Shape {
        let column = |name| Column { nullable, ..Column::written(name, "", &Dialect::POSTGRES) };
        Shape {
            from: "\"t\" t".into(),
            watermark: vec![column("w")],
            key: vec![column("k")],
            dialect: Dialect::POSTGRES,
            ..Shape::default()
        }
    }

    #[test]
    fn a_first_load_pages_by_key_and_asks_for_no_version() {
        let span = VersionSpan { after: Some(vec!["7".into()]), limit: Some(10), ..VersionSpan::default() };
        let page = version_page(&shape(false), "t.\"w\"", &span, None, Some(3));
        let settled = "CASE WHEN age(t.xmin) BETWEEN 0 AND 3 THEN 0 ELSE 1 END";
        let sql = format!("SELECT t.\"w\", {settled}, 0 FROM \"t\" t WHERE t.\"k\" > $1 ORDER BY t.\"k\" LIMIT 10");
        assert_eq!((page.sql, page.parameters), (sql, vec!["7".to_owned()]));
    }

    #[test]
    fn a_look_between_scans_leaves_rows_without_watermark_to_the_scan() {
        let beyond = Some(Edge { at: vec!["f".into()], ties: true });
        let span = VersionSpan { since: Some(1), beyond, ..VersionSpan::default() };
        let page = version_page(&shape(true), "1", &span, Some(9), None);
        let filter = "t.\"k\" IS NOT NULL AND age(t.xmin) BETWEEN 0 AND 9 AND t.\"w\" >= $1";
        assert_eq!(page.sql, format!("SELECT 1, 0, 0 FROM \"t\" t WHERE {filter} ORDER BY t.\"k\""));
    }

    #[test]
    fn a_window_takes_rows_without_watermark_too() {
        let span = VersionSpan {
            since: Some(1),
            coarse: Some("c".into()),
            floor: Some(Edge { at: vec!["f".into()], ties: false }),
            ..VersionSpan::default()
        };
        let page = version_page(&shape(true), "1", &span, Some(9), None);
        assert_eq!(
            page.sql,
            "SELECT 1, 0, CASE WHEN t.\"w\" > $1 THEN 0 ELSE 1 END FROM \"t\" t WHERE t.\"k\" IS NOT NULL AND \
             age(t.xmin) BETWEEN 0 AND 9 AND (t.\"w\" > $2 OR t.\"w\" IS NULL) ORDER BY t.\"k\""
        );
        assert_eq!(page.parameters, ["f", "c"]);
    }
}
