//! What `doctor` tells of a MySQL table in particular: replica, time zone, engine, and which ways to settle are safe.

use super::MysqlTable;
use super::catalog::Whose;
use super::cell::Cell;
use crate::error::Result;
use crate::source::table::settling::Settling;
use crate::source::{Finding, Verdict};

/// Tells it, inside a snapshot.
///
/// # Errors
/// As the server answers.
pub fn examine(table: &mut MysqlTable) -> Result<Vec<Finding>> {
    let given = table.settings.table.watermark_timezone.clone();
    let open = table.opened()?;
    let mut findings = Vec::new();
    let mut tell = |topic: &str, verdict, detail: String| findings.push(Finding::new(topic, verdict, detail));
    match open.server.read_only {
        false => {
            tell("replica", Verdict::Works, "the server can be written to, so it is most likely no replica".into())
        }
        true => {
            let detail = "the server only reads, so it is most likely a replica: rows come in the order of the source only with \
                          replica_preserve_commit_order = ON; set it, or read from the source";
            tell("replica", Verdict::Note, detail.into());
        }
    }
    let names: Vec<&str> = open.layout.shape.watermark.iter().map(|column| column.name.as_str()).collect();
    match (open.layout.clock, &given) {
        (Some(Cell::Instant), _) => tell("time zone", Verdict::Works, "TIMESTAMP is kept in UTC".into()),
        (Some(_), Some(zone)) => {
            tell("time zone", Verdict::Works, format!("{} holds times of {zone}", names.join(", ")))
        }
        (Some(_), None) => {
            let zone = &open.server.zone;
            let detail = format!(
                "{} has no time zone: it may hold UTC or the server's time ({zone}), and SAFE stays below both; say which by \
                 watermark_timezone",
                names.join(", ")
            );
            let is_utc = ["UTC", "+00:00"].contains(&zone.as_str());
            tell("time zone", if is_utc { Verdict::Works } else { Verdict::Problem }, detail);
        }
        (None, _) => {}
    }
    let by_time = matches!(open.layout.shape.settling, Settling::Overlap(_));
    match &open.engine {
        Some((engine, whose)) => {
            let place = match whose {
                Whose::Own => "",
                Whose::Neighbour => " (that of a table of the database; whether it is read here is not known)",
            };
            let fact = format!("engine {engine} shows nothing in flight{place}");
            let follows = match by_time {
                true => "an overlap is used instead of dirty reads, and a row that commits later than that is missed",
                false => "what is in flight in those tables is not seen, if they are read here",
            };
            tell("engine", Verdict::Problem, format!("{fact}: {follows}; ALTER TABLE ... ENGINE = InnoDB"));
            tell("dirty-read", Verdict::Absent, fact);
        }
        None => {
            let (verdict, detail) = match open.processes {
                true => (
                    Verdict::Works,
                    "SAFE also stays below running statements and open transactions (PROCESS is granted)",
                ),
                false => (
                    Verdict::Note,
                    "without PROCESS it is safe as long as no statement takes longer than 5 s to write its first row; \
                     GRANT PROCESS ON *.* lifts that",
                ),
            };
            tell("dirty-read", verdict, detail.into());
            if by_time {
                let detail = "late commits are waited for by time alone; settle = \"dirty-read\" sees them";
                tell("overlap", Verdict::Note, detail.into());
            }
        }
    }
    Ok(findings)
}
