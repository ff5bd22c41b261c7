//! `once`: one poll of each source, one attempt for all that is due, one summary line: for cron.

use std::collections::HashMap;

use super::house::House;
use super::listener::Listener;
use super::{OnceOptions, OnceSummary};
use crate::clock::Stop;
use crate::config::Config;
use crate::delivery::{KeeperSetup, Mode, Rounds, Worker, WorkerSummary};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poller, Round, RoundState};
use crate::setting::SourceName;
use crate::source::Scope;
use crate::source::settings::SourceSettings;

/// Sources polled at the same time.
const SOURCES_AT_ONCE: usize = 8;
/// Waiting files named in the summary.
const WAITING_NAMED_MAX: usize = 3;

/// Housekeeping at the end takes at most this long.
const KEEPING_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// What one source came to.
struct Polled {
    name: SourceName,
    outcome: Result<Round>,
    poller: Option<Poller>,
}

/// One poll of each source, and one attempt of all that is due.
///
/// # Errors
/// What kept it from starting; what goes wrong with a source or a sink is in the summary.
pub fn once(config: Config, options: OnceOptions) -> Result<OnceSummary> {
    let house = House::open(&config, "once", options.wait, &options.stop)?;
    let stop = options.deadline.map_or_else(|| options.stop.clone(), |span| options.stop.within(span));
    let deadline = options.deadline.map(|span| house.clock.tick() + span);
    let listener = Listener::new(None, HashMap::new(), Stop::new());
    let mut workers = Vec::new();
    for settings in &config.sinks {
        let mode = Mode::Once { retries: options.drain, deadline };
        workers.push(house.worker(settings, mode, listener.clone())?);
    }
    let mut polled = poll_all(&house, &config, &options, &stop);
    for worker in &workers {
        if options.stop.is_raised() {
            worker.stop();
        } else {
            worker.finish_when_idle();
        }
    }
    let mut delivered = WorkerSummary::default();
    let mut unexpected = Vec::new();
    for worker in workers {
        match join(worker, &options.stop) {
            Ok(summary) => add(&mut delivered, summary),
            Err(error) => unexpected.push(error.to_string()),
        }
    }
    for one in &mut polled {
        act_until_done(one);
    }
    keep_house(&house, &config, &stop);
    unexpected.extend(listener.outcome().err().map(|e| e.to_string()));
    Ok(summarise(&house, &polled, delivered, &unexpected))
}

/// Waits for a worker's end, and passes a stop on to it.
fn join(worker: Worker, stop: &Stop) -> Result<WorkerSummary> {
    while !worker.is_finished() {
        if stop.wait(std::time::Duration::from_millis(20)) {
            worker.stop();
            break;
        }
    }
    worker.join()
}

fn poll_all(house: &House, config: &Config, options: &OnceOptions, stop: &Stop) -> Vec<Polled> {
    let wanted = |s: &&SourceSettings| options.sources.is_empty() || options.sources.contains(&s.name);
    let sources: Vec<&SourceSettings> = config.sources.iter().filter(wanted).collect();
    let mut polled = Vec::with_capacity(sources.len());
    for some in sources.chunks(SOURCES_AT_ONCE) {
        std::thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|settings| {
                    let progress = (options.progress)(&settings.name);
                    let thread = scope.spawn(move || match house.poller(config, settings, progress) {
                        Ok(poller) => poll_one(poller, stop),
                        Err(error) => Polled { name: settings.name.clone(), outcome: Err(error), poller: None },
                    });
                    (settings.name.clone(), thread)
                })
                .collect();
            for (name, thread) in threads {
                let panicked = |_| Polled {
                    name,
                    outcome: Err(Error::internal("the source's thread panicked; please report it")),
                    poller: None,
                };
                polled.push(thread.join().unwrap_or_else(panicked));
            }
        });
    }
    polled
}

/// One full poll, and one more look at what was not ready: what still changes then is left for the next run.
fn poll_one(mut poller: Poller, stop: &Stop) -> Polled {
    let name = poller.plan().name.clone();
    let outcome = poller.act().and_then(|_| poller.round(Scope::Everything, stop)).and_then(|mut first| {
        let Some(wait) = first.look_again_in else { return Ok(first) };
        if stop.wait(wait) {
            return Ok(first);
        }
        let second = poller.round(Scope::Waiting, stop)?;
        first.told += second.told;
        first.refused += second.refused;
        first.waiting = second.waiting;
        if second.state != RoundState::Ok {
            first.state = second.state;
        }
        Ok(first)
    });
    Polled { name, outcome, poller: Some(poller) }
}

fn act_until_done(one: &mut Polled) {
    let Some(poller) = &mut one.poller else { return };
    loop {
        match poller.act() {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(source = %one.name, %error, "after-actions wait for the next run");
                return;
            }
        }
    }
}

fn keep_house(house: &House, config: &Config, stop: &Stop) {
    let setup = KeeperSetup {
        store: house.store.clone(),
        spool: house.spool.clone(),
        clock: house.clock.clone(),
        retention: config.state.retention.duration(),
    };
    // What is left over is for the next run: nobody waits for housekeeping.
    Rounds::new(setup).round(&stop.within(KEEPING_MAX));
}

fn add(sum: &mut WorkerSummary, one: WorkerSummary) {
    sum.attempts += one.attempts;
    sum.delivered += one.delivered;
    sum.retrying += one.retrying;
    sum.dead += one.dead;
    sum.waiting += one.waiting;
}

fn summarise(house: &House, polled: &[Polled], delivered: WorkerSummary, unexpected: &[String]) -> OnceSummary {
    let mut parts = vec![counted(polled.len() as u64, "source", "sources") + " polled"];
    let sum = |of: fn(&Round) -> u64| polled.iter().filter_map(|p| p.outcome.as_ref().ok()).map(of).sum::<u64>();
    parts.push(counted(sum(|r| r.told), "event", "events"));
    parts.push(format!("{} delivered", delivered.delivered));
    let left = delivered.waiting;
    let further = [(left, "waiting for a retry"), (delivered.dead, "dead"), (sum(|r| r.refused), "refused")];
    parts.extend(further.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let mut line = parts.join(", ");
    for one in polled {
        if let Some(trouble) = trouble_of(&one.outcome) {
            line.push_str(&format!("; {}: {trouble}", one.name));
        }
        line.push_str(&waiting_of(house, one));
    }
    for error in unexpected {
        line.push_str(&format!("; {error}"));
    }
    OnceSummary {
        line,
        unexpected: !unexpected.is_empty() || polled.iter().any(|p| is_unexpected(&p.outcome)),
        source_trouble: polled.iter().any(|p| is_source_trouble(&p.outcome)),
        delivery_trouble: left > 0 || delivered.dead > 0,
    }
}

pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn trouble_of(outcome: &Result<Round>) -> Option<String> {
    match outcome {
        Ok(round) => round.state.trouble(),
        Err(error) => Some(error.to_string()),
    }
}

fn is_source_trouble(outcome: &Result<Round>) -> bool {
    match outcome {
        Ok(round) => !matches!(round.state, RoundState::Ok | RoundState::Degraded(_)),
        Err(error) => !is_our_own(error.kind()),
    }
}

fn is_unexpected(outcome: &Result<Round>) -> bool {
    outcome.as_ref().is_err_and(|error| is_our_own(error.kind()))
}

const fn is_our_own(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Corrupt)
}

/// `; orders: 2 waiting (a.csv, b.csv)`
fn waiting_of(house: &House, one: &Polled) -> String {
    let waiting = one.outcome.as_ref().map_or(0, |round| round.waiting);
    if waiting == 0 {
        return String::new();
    }
    let shown = house.store.records().and_then(|records| records.waiting(&one.name)).unwrap_or_default();
    let mut names: Vec<String> = shown.iter().take(WAITING_NAMED_MAX).map(|w| w.key.shown()).collect();
    if waiting as usize > names.len() {
        names.push("...".into());
    }
    format!("; {}: {waiting} waiting ({})", one.name, names.join(", "))
}
