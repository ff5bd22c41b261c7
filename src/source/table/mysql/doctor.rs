//! What `doctor` and `check` tell of a MySQL table in particular: what is seen in flight, and by whom it is not.

use super::catalog::Whose;
use super::{MysqlTable, Open};
use crate::error::Result;
use crate::source::table::settling::Settling;
use crate::source::{Finding, Verdict};

/// Tells it, inside a snapshot.
///
/// # Errors
/// `Internal` before a snapshot.
pub fn examine(table: &mut MysqlTable) -> Result<Vec<Finding>> {
    let open = table.opened()?;
    let (verdict, detail) = settling(open);
    let mut findings = vec![Finding::new("in flight", verdict, detail)];
    findings.push(match open.server.read_only {
        true => Finding::new("replica", Verdict::Note, REPLICA),
        false => Finding::new("replica", Verdict::Works, "the server can be written to, so it is no replica"),
    });
    Ok(findings)
}

/// What is to be said of a server that only reads.
pub const REPLICA: &str = "the server only reads, so it is most likely a replica: rows come in the order of the source only \
                           with replica_preserve_commit_order";

/// How well late commits are waited for.
pub fn settling(open: &Open) -> (Verdict, String) {
    let privilege =
        "safe as long as no statement takes longer than 5 s to write its first row; GRANT PROCESS ON *.* lifts that";
    match (open.layout.shape.settling, &open.engine, open.processes) {
        (Settling::Bound, Some((engine, _)), _) => {
            let fact = format!("dirty-read: the database also has tables of the engine {engine}");
            (Verdict::Problem, format!("{fact}; what is in flight in those is not seen, if they are read here"))
        }
        (Settling::Bound, None, true) => {
            let fact = "dirty-read: the bound also stays below running statements and open transactions";
            (Verdict::Works, format!("{fact} (PROCESS is granted)"))
        }
        (Settling::Bound, None, false) => (Verdict::Note, format!("dirty-read without PROCESS: {privilege}")),
        (Settling::Overlap(_), Some((engine, whose)), _) => {
            let place = match whose {
                Whose::Own => "",
                Whose::Neighbour => " (that of a table of the database; whether it is read here is not known)",
            };
            let fact =
                format!("engine {engine} shows nothing in flight{place}: an overlap is used instead of dirty reads");
            (Verdict::Problem, format!("{fact}, and a row that commits later than that is missed"))
        }
        _ => (Verdict::Note, "late commits are waited for by time alone; settle = \"dirty-read\" sees them".into()),
    }
}
