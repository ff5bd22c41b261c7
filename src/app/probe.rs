//! `check --connect`: tries every source and sink, changing nothing.

use super::house::{runtime, visiting};
use super::{Finding, Subject};
use crate::config::Config;
use crate::error::Result;
use crate::event::Spool;
use crate::sink;

/// One finding for each source and sink.
pub fn probe(config: &Config) -> Vec<Finding> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let outcome = Err(error.to_string());
            return vec![Finding { subject: Subject::Source, name: "*".into(), outcome }];
        }
    };
    let sources = config.sources.iter().map(|settings| {
        let probed = visiting(config, settings, &runtime).and_then(|mut source| source.probe());
        finding(Subject::Source, settings.name.as_str(), probed)
    });
    // Nothing is attempted, so nothing is written there.
    let folder = std::env::temp_dir();
    let spool = Spool::new(&folder, "probe", 0, 0);
    let sinks = config.sinks.iter().map(|settings| {
        let _entered = runtime.enter();
        let probed = sink::open(settings, &spool, &folder).and_then(|sink| runtime.block_on(sink.probe()));
        finding(Subject::Sink, settings.name.as_str(), probed.map(|line| vec![line]))
    });
    sources.chain(sinks).collect()
}

fn finding(subject: Subject, name: &str, probed: Result<Vec<String>>) -> Finding {
    Finding { subject, name: name.to_owned(), outcome: probed.map_err(|error| error.to_string()) }
}
