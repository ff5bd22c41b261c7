//! `highwater check`: reads the configuration; tries every source and sink; says what an edit would do.

use super::context::Context;
use super::exit_code::{Ending, Exit};
use super::failure::Outcome;
use super::listing::counted;
use super::output::{Out, safe};
use crate::app::{self, Finding, Subject};

/// Check the configuration; try every source and sink; say what an edit would do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All problems are reported in one run, one a line.
With --connect, the exit code is 3 when a source can't be reached and 4 when only a sink can't.

Examples:
  highwater check
  highwater check --connect       before the first start
  highwater check --plan          after an edit, before \"highwater reload\"")]
pub struct Args {
    /// Also try every source and sink, without polling or delivering anything
    #[arg(long)]
    connect: bool,

    /// Also say what this configuration would do to the state there is
    #[arg(long)]
    plan: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let mut out = Out::stdout();
        let sources = counted(config.sources.len() as u64, "source");
        let sinks = counted(config.sinks.len() as u64, "sink");
        out.line(format_args!("the configuration is sound: {sources}, {sinks}"))?;
        for warning in &config.warnings {
            out.line(format_args!("warning: {warning}"))?;
        }
        if self.plan {
            for line in app::plan(&config)? {
                out.line(safe(&line))?;
            }
        }
        let mut ending = Ending::Clean;
        if self.connect {
            out.flush()?;
            let findings = app::probe(&config);
            for line in findings.iter().flat_map(lines) {
                out.line(line)?;
            }
            ending = Ending::first(&findings.iter().map(ending_of).collect::<Vec<_>>());
        }
        out.flush()?;
        Ok(Exit::from(ending))
    }
}

fn ending_of(finding: &Finding) -> Ending {
    match (&finding.outcome, finding.subject) {
        (Ok(_), _) => Ending::Clean,
        (Err(_), Subject::Source) => Ending::SourceTrouble,
        (Err(_), Subject::Sink) => Ending::DeliveryTrouble,
    }
}

fn lines(finding: &Finding) -> Vec<String> {
    let what = match finding.subject {
        Subject::Source => "source",
        Subject::Sink => "sink",
    };
    let name = &finding.name;
    match &finding.outcome {
        Ok(said) if said.is_empty() => vec![format!("{what} {name}: ok")],
        Ok(said) => said.iter().map(|line| format!("{what} {name}: {}", safe(line))).collect(),
        Err(why) => vec![format!("{what} {name}: FAILED: {}", safe(why))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: Subject, outcome: Result<Vec<String>, String>) -> Finding {
        Finding { subject, name: "x".into(), outcome }
    }

    #[test]
    fn what_was_tried_is_told_a_line_each_and_failures_loudly() {
        assert_eq!(lines(&finding(Subject::Sink, Ok(vec![]))), ["sink x: ok"]);
        let two = finding(Subject::Source, Ok(vec!["one".into(), "two".into()]));
        assert_eq!(lines(&two), ["source x: one", "source x: two"]);
        assert_eq!(lines(&finding(Subject::Source, Err("530\nno".into()))), ["source x: FAILED: 530 no"]);
    }

    #[test]
    fn a_source_out_of_reach_counts_before_a_sink() {
        let findings = [finding(Subject::Sink, Err("a".into())), finding(Subject::Source, Err("b".into()))];
        assert_eq!(Ending::first(&findings.each_ref().map(ending_of)), Ending::SourceTrouble);
    }
}
