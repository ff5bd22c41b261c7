//! `status --check`: one line with performance data, and the codes 0, 1, 2 of Nagios plugins. Pure.

use std::time::Duration;

use super::report::Report;
use crate::cli::listing::counted;
use crate::clock::Timestamp;

/// What a monitor is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// 0 ok, 1 warning, 2 critical.
    pub code: u8,
    /// The line.
    pub line: String,
}

impl Check {
    /// The status could not be read at all.
    pub fn unknown(why: &str) -> Self {
        let why = why.strip_prefix("highwater: ").unwrap_or(why).replace('|', "/");
        Self { code: 2, line: format!("HIGHWATER CRITICAL - {why}") }
    }
}

/// Critical: a source is failing or held, or was not polled well for `max_age`; a sink is open or paused by its receiver.
/// Warning: somebody paused something, a source is degraded, something is dead, refused or failing.
pub fn check(report: &Report, max_age: Option<Duration>, now: Timestamp) -> Check {
    let (mut critical, mut warning) = (Vec::new(), Vec::new());
    for source in &report.sources {
        let name = &source.name;
        match source.state {
            "held" | "failing" => critical.push(format!("source {name} {}", source.state)),
            "paused" | "degraded" => warning.push(format!("source {name} {}", source.state)),
            _ => {}
        }
        let stale = |max_age: &Duration| source.last_success.is_none_or(|at| now.since(at) > *max_age);
        if source.state != "gone" && max_age.as_ref().is_some_and(stale) {
            critical.push(format!("source {name} not polled in time"));
        }
    }
    for sink in &report.sinks {
        let name = &sink.name;
        match sink.state {
            "open" => critical.push(format!("sink {name} open")),
            "paused" | "failing" => warning.push(format!("sink {name} {}", sink.state)),
            _ => {}
        }
    }
    let sum = |of: fn(&super::report::SinkLine) -> u64| report.sinks.iter().map(of).sum::<u64>();
    let (pending, retrying, dead) = (sum(|sink| sink.pending), sum(|sink| sink.retrying), sum(|sink| sink.dead));
    let refused: u64 = report.sources.iter().map(|source| source.refused).sum();
    let waiting: u64 = report.sources.iter().map(|source| source.waiting).sum();
    warning.extend((dead > 0).then(|| format!("{dead} dead")));
    warning.extend((refused > 0).then(|| format!("{refused} refused")));
    let (code, word) = match (critical.is_empty(), warning.is_empty()) {
        (false, _) => (2, "CRITICAL"),
        (true, false) => (1, "WARNING"),
        (true, true) => (0, "OK"),
    };
    let mut said = critical;
    said.append(&mut warning);
    if said.is_empty() {
        let (sources, sinks) = (report.sources.len() as u64, report.sinks.len() as u64);
        said.push(format!("{}, {}", counted(sources, "source"), counted(sinks, "sink")));
    }
    let data = format!("pending={pending} retrying={retrying} dead={dead} refused={refused} waiting={waiting}");
    Check { code, line: format!("HIGHWATER {word} - {} | {data}", said.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{line_of_sink, line_of_source, sink, source};
    use super::*;
    use crate::store::records::{SinkRecord, SourceRecord};

    const NOW: Timestamp = Timestamp::from_millis(10_000);

    fn checked(source: SourceRecord, sink: SinkRecord, max_age: Option<u64>) -> Check {
        let report = Report { sources: vec![line_of_source(&source)], sinks: vec![line_of_sink(&sink)] };
        check(&report, max_age.map(Duration::from_secs), NOW)
    }

    fn well() -> SinkRecord {
        SinkRecord { dead: 0, ..sink() }
    }

    #[test]
    fn all_well_is_ok_with_figures() {
        let check = checked(source(), well(), None);
        let line = "HIGHWATER OK - 1 source, 1 sink | pending=4 retrying=0 dead=0 refused=0 waiting=1";
        assert_eq!(check, Check { code: 0, line: line.into() });
    }

    #[test]
    fn dead_letters_warn_and_a_failing_source_is_critical() {
        assert_eq!(checked(source(), sink(), None).code, 1);
        let failing = SourceRecord { last_error: Some("530".into()), ..source() };
        let check = checked(failing, sink(), None);
        assert_eq!(check.code, 2);
        assert!(check.line.starts_with("HIGHWATER CRITICAL - source orders failing, 2 dead | "), "{}", check.line);
    }

    #[test]
    fn a_source_that_was_not_polled_for_too_long_is_critical() {
        assert_eq!(checked(source(), well(), Some(1)).code, 0);
        let old = SourceRecord { last_success: Some(Timestamp::from_millis(8_000)), ..source() };
        assert_eq!(checked(old, well(), Some(1)).code, 2);
        let never = SourceRecord { last_success: None, ..source() };
        assert_eq!(checked(never, well(), Some(1)).code, 2);
    }

    #[test]
    fn what_can_not_be_read_is_critical_in_one_line() {
        let check = Check::unknown("highwater: open a|b");
        assert_eq!((check.code, check.line.as_str()), (2, "HIGHWATER CRITICAL - open a/b"));
    }
}
