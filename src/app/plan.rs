//! `check --plan`: what an edit of the configuration would do to what is stored, said beforehand.

use std::collections::BTreeSet;

use super::house::{runtime, visiting};
use super::records;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::error::{ErrorKind, Result};
use crate::setting::SourceName;
use crate::source::settings::SourceSettings;
use crate::store::Records;

/// One line per effect; empty when nothing would change.
///
/// # Errors
/// The store can't be read.
pub fn plan(config: &Config) -> Result<Vec<String>> {
    let records = match records(config) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(vec![format!(
                "there is no store at {} yet: it is made, and every source begins anew",
                config.state.path.display()
            )]);
        }
        Err(error) => return Err(error),
    };
    let mut lines = Vec::new();
    let stored = records.sources()?;
    let runtime = runtime()?;
    for settings in &config.sources {
        lines.extend(plan_source(
            config,
            &*records,
            settings,
            &runtime,
            &stored.iter().map(|s| s.name.clone()).collect(),
        )?);
    }
    let taken_over: BTreeSet<&SourceName> = config.sources.iter().filter_map(|s| s.was.as_ref()).collect();
    for gone in
        stored.iter().filter(|s| !config.sources.iter().any(|c| c.name == s.name) && !taken_over.contains(&s.name))
    {
        lines.push(format!(
            "source {}: not configured any more; it is not polled, what is known of it is kept",
            gone.name
        ));
    }
    for sink in records.sinks()? {
        let open = sink.pending + sink.in_flight + sink.retrying;
        let configured = config.sinks.iter().any(|s| s.name == sink.name);
        if !configured && open > 0 {
            lines.push(format!(
                "sink {}: not configured any more; its {open} undelivered events become dead letters (sink_gone)",
                sink.name
            ));
        }
    }
    let known_sinks = records.sinks()?;
    for new in config.sinks.iter().filter(|s| !known_sinks.iter().any(|k| k.name == s.name)) {
        lines.push(format!("sink {}: new; it gets events from now on", new.name));
    }
    Ok(lines)
}

fn plan_source(
    config: &Config,
    records: &dyn Records,
    settings: &SourceSettings,
    runtime: &tokio::runtime::Runtime,
    stored: &BTreeSet<SourceName>,
) -> Result<Vec<String>> {
    let name = &settings.name;
    let known_as = match &settings.was {
        _ if stored.contains(name) => name,
        Some(was) if stored.contains(was) => was,
        _ => {
            let max_new =
                settings.max_new.map(|n| format!("; more than {n} entries hold it (max_new)")).unwrap_or_default();
            return Ok(vec![format!("source {name}: new; it begins with what `start` says{max_new}")]);
        }
    };
    let mut lines = Vec::new();
    if known_as != name {
        lines.push(format!("source {name}: takes over the state and ids of {known_as}"));
    }
    let lease = records.lease(known_as, SystemClock::new().now())?;
    let binding = visiting(config, settings, runtime)?.binding();
    let Some(bound) = lease.binding else { return Ok(lines) };
    if bound.location != binding.location {
        lines.push(format!(
            "source {name}: was at {} and is now at {}; it is held until `highwater cursor {name} accept` or `reset`",
            bound.location, binding.location
        ));
    }
    if bound.filters != binding.filters {
        lines.push(format!(
            "source {name}: its filters changed; entries that leave are forgotten, entries that enter are created (max_new applies)"
        ));
    }
    Ok(lines)
}
