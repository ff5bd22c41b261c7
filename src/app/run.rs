//! `run`: everything at once until it is asked to stop, then everything down in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::RunOptions;
use super::command::{Running, handler};
use super::house::House;
use super::listener::Listener;
use super::tend::Tending;
use super::told::Layout;
use crate::clock::Stop;
use crate::config::Config;
use crate::delivery::{Keeper, KeeperSetup, Mode, Worker, WorkerSetup};
use crate::error::{Error, Result};
use crate::poll::WakeQueue;
use crate::setting::SourceName;
use crate::sink::settings::SinkSettings;
use crate::web::Server;

/// How long whatever still runs on the runtime may take to end.
const RUNTIME_GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// Polls and delivers until `options.stop` is raised.
///
/// # Errors
/// What kept it from starting, or what made going on impossible.
pub fn run(config: Config, options: RunOptions) -> Result<()> {
    let mut house = House::open(&config, "run", None, &options.stop)?;
    match &options.ready {
        Some(ready) => ready(),
        None => tell_start(&config, "highwater runs"),
    }
    let mut config = Arc::new(config);
    loop {
        let next = shift(&mut house, &config, &options)?;
        let Some(next) = next else { break };
        house.refurnish(&next)?;
        tell_start(&next, "configuration read again");
        config = Arc::new(next);
    }
    let House { runtime, store, .. } = house;
    drop(store);
    if let Ok(runtime) = Arc::try_unwrap(runtime) {
        runtime.shutdown_timeout(RUNTIME_GRACE);
    }
    Ok(())
}

/// Runs with one configuration; returns the next one when it was asked to read it again.
fn shift(house: &mut House, config: &Arc<Config>, options: &RunOptions) -> Result<Option<Config>> {
    let stop = Stop::new();
    let next: Arc<Mutex<Option<Config>>> = Arc::default();
    let wakes: HashMap<SourceName, Arc<WakeQueue>> =
        config.sources.iter().map(|s| (s.name.clone(), WakeQueue::new())).collect();
    let actors = wakes.iter().map(|(name, wakes)| (name.clone(), wakes.bell().clone())).collect();
    let say = options.say.clone().map(|say| (say, Layout::of(config)));
    let listener = Listener::new(say, actors, stop.clone());
    let workers = start_workers(house, config, &listener)?;
    let running = Running {
        config: config.clone(),
        store: house.store.clone(),
        sinks: house.sinks.clone(),
        runtime: house.runtime.clone(),
        clock: house.clock.clone(),
        wakes: wakes.clone(),
        next: next.clone(),
        stop: stop.clone(),
    };
    let server = Server::start(&config.state.path, &house.lock, house.clock.now(), handler(running))?;
    let keeper = Keeper::start(KeeperSetup {
        store: house.store.clone(),
        spool: house.spool.clone(),
        clock: house.clock.clone(),
        retention: config.state.retention.duration(),
    })?;
    let sources = start_sources(house, config, &wakes, &listener, &stop, options)?;
    wait_for(&stop, &options.stop);
    drop(server);
    stop.raise();
    for wakes in wakes.values() {
        wakes.bell().ring();
    }
    for source in sources {
        if source.join().is_err() {
            listener.fail(Error::internal("a source's thread panicked"));
        }
    }
    end_workers(workers, &listener);
    keeper.stop();
    listener.outcome()?;
    Ok(next.lock().expect("no holder of the next configuration panics").take())
}

/// Either the process, or this configuration alone, is asked to end.
fn wait_for(own: &Stop, process: &Stop) {
    // Two stops can't be waited for at once; a quarter of a second is nothing to a person who stops a daemon.
    while !process.wait(std::time::Duration::from_millis(250)) {
        if own.is_raised() {
            return;
        }
    }
}

fn start_workers(house: &House, config: &Config, listener: &Arc<Listener>) -> Result<Vec<Worker>> {
    let start = |settings: &SinkSettings| {
        let missing = || Error::internal(format!("sink {} was not opened", settings.name));
        Worker::start(WorkerSetup {
            name: settings.name.clone(),
            sink: house.sinks.get(&settings.name).ok_or_else(missing)?.clone(),
            settings: settings.delivery.clone(),
            store: house.store.clone(),
            clock: house.clock.clone(),
            runtime: house.runtime.handle().clone(),
            mode: Mode::Run,
            observer: listener.clone(),
        })
    };
    config.sinks.iter().map(start).collect()
}

fn start_sources(
    house: &House,
    config: &Config,
    wakes: &HashMap<SourceName, Arc<WakeQueue>>,
    listener: &Arc<Listener>,
    stop: &Stop,
    options: &RunOptions,
) -> Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    for settings in &config.sources {
        let tending = Tending {
            poller: house.poller(config, settings, (options.progress)(&settings.name))?,
            wakes: wakes[&settings.name].clone(),
            clock: house.clock.clone(),
            stop: stop.clone(),
            listener: listener.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("source-{}", settings.name))
            .spawn(move || tending.run())
            .map_err(|e| Error::io(format!("start the thread of source {}", settings.name), e))?;
        threads.push(thread);
    }
    Ok(threads)
}

fn end_workers(workers: Vec<Worker>, listener: &Listener) {
    for worker in &workers {
        worker.stop();
    }
    for worker in workers {
        if let Err(error) = worker.join() {
            listener.fail(error);
        }
    }
}

fn tell_start(config: &Config, what: &'static str) {
    let (sources, sinks) = (config.sources.len(), config.sinks.len());
    tracing::info!(sources, sinks, store = %config.state.path.display(), "{what}");
}
