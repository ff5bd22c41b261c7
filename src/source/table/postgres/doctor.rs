//! What `doctor` tells of a PostgreSQL table in particular: replica, sequence, time zone, triggers, open transactions, and
//! which ways to settle are safe.

use super::super::dialect::Dialect;
use super::super::settling::Settling;
use super::facts::{Facts, OVERLAP, Relation};
use super::{PostgresTable, fence};
use crate::error::Result;
use crate::source::settings::{Settle, TableFrom, TableSettings};
use crate::source::table::versions::RowVersions;
use crate::source::{Finding, Verdict};

/// Defaults of the watermark columns and triggers that run when a row is written.
const WRITERS: &str = "\
SELECT 'default'::text, a.attname::text || ' defaults to ' || pg_catalog.pg_get_expr(f.adbin, f.adrelid) \
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
WHERE a.attrelid = $1::text::regclass AND a.attname::text IN (SELECT json_array_elements_text($2::text::json)) \
UNION ALL \
SELECT 'trigger'::text, t.tgname::text || ' runs ' || CASE WHEN t.tgtype & 2 > 0 THEN 'before' ELSE 'after' END || \
  CASE WHEN t.tgtype & 4 > 0 THEN ' insert' ELSE '' END || CASE WHEN t.tgtype & 16 > 0 THEN ' update' ELSE '' END \
FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1::text::regclass AND NOT t.tgisinternal AND t.tgtype & 20 > 0 \
ORDER BY 1, 2";

/// Tells it, inside a snapshot.
///
/// # Errors
/// As the server answers.
pub fn examine(table: &mut PostgresTable) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
    let open = table.opened()?;
    let (facts, zone) = (open.facts.clone(), open.zone.clone());
    let (settling, columns) = (open.layout.shape.settling, open.layout.shape.watermark.clone());
    match facts.standby {
        false => tell("replica", Verdict::Works, "the server is no standby: it shows all of its transactions".into()),
        true => {
            let detail = "the server is a hot standby: transactions of its primary can't be seen, so settle = \"fence\" is \
                          refused; \"row-version\" works";
            tell("replica", Verdict::Note, detail.into());
        }
    }
    tell("relation", relation_verdict(facts.relation), relation_words(facts.relation).into());
    match facts.unordered() {
        Some(sequence) => tell("sequence", Verdict::Problem, sequence.shown()),
        None => {
            for sequence in &facts.sequences {
                tell("sequence", Verdict::Works, format!("{} fills {} one by one", sequence.name, sequence.column));
            }
        }
    }
    for column in &columns {
        let name = &column.name;
        match column.type_name.as_str() {
            "timestamptz" => tell("time zone", Verdict::Works, format!("{name} has a time zone")),
            "timestamp" => {
                let detail = format!(
                    "{name} has no time zone, the server's is {zone}: a clock set back an hour repeats its values; use \
                     timestamptz, or settle = \"row-version\""
                );
                tell("time zone", if is_utc(&zone) { Verdict::Note } else { Verdict::Problem }, detail);
            }
            _ => {}
        }
    }
    if let TableFrom::Table(name) = &table.settings.table.from {
        let watermark = serde_json::Value::from(table.settings.table.watermark.clone()).to_string();
        for row in table.small(WRITERS, &[&Dialect::POSTGRES.quoted_path(name), &watermark])? {
            let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
            tell(&text(0), Verdict::Note, text(1));
        }
    }
    let writers = fence::writers(|sql| table.small(sql, &[]), &[])?;
    match writers.first() {
        None => tell("open transactions", Verdict::Works, "none in this database besides ours".into()),
        Some(first) => {
            let detail = format!("{} in this database, one of them: {}", writers.len(), first.shown);
            tell("open transactions", Verdict::Note, detail);
        }
    }
    for holder in table.holders()? {
        tell("oldest writer", Verdict::Note, holder.shown);
    }
    tell_modes(table, &facts, settling, &mut findings)?;
    Ok(findings)
}

/// Which ways to settle are safe here.
fn tell_modes(table: &PostgresTable, facts: &Facts, settling: Settling, findings: &mut Vec<Finding>) -> Result<()> {
    let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
    let place = table.what();
    let stamps = table.row_stamps()?;
    let mode_of = |settle| {
        let asked = TableSettings { settle, ..table.settings.table.clone() };
        stamps.settling(&asked, &place, facts.auto())
    };
    match mode_of(Settle::RowVersion) {
        Ok(_) => tell("row-version", Verdict::Works, "safe, whatever the watermark is and whoever draws it".into()),
        Err(why) => tell("row-version", Verdict::Absent, why.to_string()),
    }
    match facts.check(Settling::Fence, &place) {
        Ok(()) => {
            tell("fence", Verdict::Works, "safe for watermarks that are drawn inside the writing transaction".into())
        }
        Err(why) => tell("fence", Verdict::Absent, why.to_string()),
    }
    let auto = mode_of(Settle::Auto)?.word();
    tell("auto", Verdict::Note, format!("settle = \"auto\" is {auto} here, in use is {}", settling.word()));
    if matches!(settling, Settling::Overlap(by) if by <= OVERLAP) {
        let detail = "a transaction that stays open for longer than the overlap loses its rows; \"row-version\" and \"fence\" \
                      wait for it";
        tell("overlap", Verdict::Note, detail.into());
    }
    Ok(())
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Zulu"].contains(&zone)
}

fn relation_verdict(relation: Relation) -> Verdict {
    match relation {
        Relation::Table => Verdict::Works,
        Relation::View | Relation::Query => Verdict::Note,
        Relation::Materialized | Relation::Foreign => Verdict::Problem,
    }
}

fn relation_words(relation: Relation) -> &'static str {
    match relation {
        Relation::Table => "a table",
        Relation::View => "a view: its rows have no versions, so \"row-version\" can't be used",
        Relation::Query => "a query: its rows have no versions, so \"row-version\" can't be used",
        Relation::Materialized => {
            "a materialized view: rows appear when it is refreshed, however old their watermark is then"
        }
        Relation::Foreign => {
            "rows of another server: only an overlap can be used; read from that server where rows count"
        }
    }
}
