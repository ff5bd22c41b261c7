//! The status for people: two tables, and below them a line for each thing that needs attention.

use super::report::{Report, SinkLine, SourceLine};
use crate::cli::listing::{Listing, time};
use crate::cli::output::{Out, safe};
use crate::error::Result;

/// Prints it; `process` says who runs.
pub fn print(report: &Report, process: &str, out: &mut Out<'_>) -> Result<()> {
    out.line(process)?;
    out.line("")?;
    let header = ["SOURCE", "KIND", "STATE", "KNOWN", "WAITING", "EVENTS", "REFUSED", "LAST POLL"];
    let mut sources = Listing::new(&header, &[3, 4, 5, 6]);
    for source in &report.sources {
        sources.row(source_row(source), out)?;
    }
    sources.end(out)?;
    out.line("")?;
    let header = ["SINK", "KIND", "STATE", "PENDING", "RETRYING", "DEAD", "DELIVERED", "OLDEST WAITING"];
    let mut sinks = Listing::new(&header, &[3, 4, 5, 6]);
    for sink in &report.sinks {
        sinks.row(sink_row(sink), out)?;
    }
    sinks.end(out)?;
    let notes = notes(report);
    if !notes.is_empty() {
        out.line("")?;
    }
    for note in notes {
        out.line(note)?;
    }
    Ok(())
}

fn source_row(source: &SourceLine) -> Vec<String> {
    vec![
        source.name.clone(),
        source.kind.clone(),
        source.state.to_owned(),
        source.known.to_string(),
        source.waiting.to_string(),
        source.events.to_string(),
        source.refused.to_string(),
        time(source.polled),
    ]
}

fn sink_row(sink: &SinkLine) -> Vec<String> {
    vec![
        sink.name.clone(),
        sink.kind.clone(),
        sink.state.to_owned(),
        sink.pending.to_string(),
        sink.retrying.to_string(),
        sink.dead.to_string(),
        sink.delivered.to_string(),
        time(sink.oldest),
    ]
}

/// A line for each thing that needs attention, with the command that helps.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    for source in &report.sources {
        let name = &source.name;
        notes.extend(source.held.iter().map(|held| format!("source {name}: {held}")));
        if let Some(error) = &source.last_error {
            notes.push(format!("source {name}: last poll failed: {}; it is tried again", safe(error)));
        }
        if let Some(degraded) = &source.degraded {
            notes.push(format!("source {name}: degraded: {}", safe(degraded)));
        }
        if let Some(settled) = &source.settled {
            notes.extend(settled.lines().iter().map(|line| format!("source {name}: {}", safe(line))));
        }
        if source.refused > 0 {
            notes.push(format!("source {name}: {} refused; \"highwater dead list --source {name}\"", source.refused));
        }
    }
    for sink in &report.sinks {
        let name = &sink.name;
        notes.extend(sink.held.iter().map(|held| format!("sink {name}: {held}")));
        if let (None, Some(error), true) = (&sink.held, &sink.last_error, sink.retrying > 0) {
            notes.push(format!("sink {name}: last fault: {}", safe(error)));
        }
        if sink.dead > 0 {
            notes.push(format!("sink {name}: {} dead; \"highwater dead list --sink {name}\"", sink.dead));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{line_of_sink, line_of_source, sink, source};
    use super::*;
    use crate::source::{Hold, HoldReason};

    #[test]
    fn every_trouble_comes_with_the_command_that_helps() {
        let mut held = source();
        held.refused = 4;
        held.hold =
            Some(Hold { reason: HoldReason::MaxNew, detail: "200000 new; \"highwater cursor orders accept\"".into() });
        let report = Report { sources: vec![line_of_source(&held)], sinks: vec![line_of_sink(&sink())] };
        let notes = notes(&report);
        assert_eq!(
            notes,
            [
                "source orders: max_new: 200000 new; \"highwater cursor orders accept\"",
                "source orders: 4 refused; \"highwater dead list --source orders\"",
                "sink erp: 2 dead; \"highwater dead list --sink erp\"",
            ]
        );
    }
}
