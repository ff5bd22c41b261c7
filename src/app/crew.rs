//! The threads that work by one configuration: a worker per sink, one thread per source, the keeper. All of them begin or
//! none does, and they end in order. Which configuration that is belongs to `run`.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::RunOptions;
use super::house::House;
use super::listener::Listener;
use super::tend::Tending;
use super::told::Layout;
use crate::clock::Stop;
use crate::config::Config;
use crate::delivery::{Keeper, KeeperSetup, Mode, Worker};
use crate::error::{Error, Result};
use crate::poll::{Poller, WakeQueue};
use crate::setting::SourceName;

/// The hints of each source.
pub type Wakes = HashMap<SourceName, Arc<WakeQueue>>;

/// Everything that works by one configuration.
pub struct Crew {
    workers: Vec<Worker>,
    keeper: Option<Keeper>,
    sources: Vec<JoinHandle<()>>,
    wakes: Wakes,
    listener: Arc<Listener>,
    stop: Stop,
}

impl Crew {
    /// Starts everybody; `pollers` are those of the configuration's sources.
    ///
    /// # Errors
    /// The operating system's, when there can be no more threads. Whoever had begun by then has ended.
    pub fn begin(house: &House, config: &Config, pollers: Vec<Poller>, options: &RunOptions) -> Result<Self> {
        let stop = Stop::new();
        let wakes: Wakes = config.sources.iter().map(|s| (s.name.clone(), WakeQueue::new())).collect();
        let actors = wakes.iter().map(|(name, wakes)| (name.clone(), wakes.bell().clone())).collect();
        let say = options.say.clone().map(|say| (say, Layout::of(config)));
        let listener = Listener::new(say, actors, stop.clone());
        let mut crew = Self { workers: Vec::new(), keeper: None, sources: Vec::new(), wakes, listener, stop };
        match crew.start(house, config, pollers) {
            Ok(()) => Ok(crew),
            Err(error) => {
                // Why it could not begin is what counts.
                let _ = crew.end();
                Err(error)
            }
        }
    }

    /// The hints of its sources.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Whether it can't go on: [`Crew::end`] says why.
    pub fn has_failed(&self) -> bool {
        self.stop.is_raised()
    }

    /// Ends everybody: sources after the page under way, workers when what is in flight has ended.
    ///
    /// # Errors
    /// What made going on impossible.
    pub fn end(&mut self) -> Result<()> {
        self.stop.raise();
        for wakes in self.wakes.values() {
            wakes.bell().ring();
        }
        for source in self.sources.drain(..) {
            if source.join().is_err() {
                self.listener.fail(Error::internal("a source's thread panicked"));
            }
        }
        for worker in &self.workers {
            worker.stop();
        }
        for worker in self.workers.drain(..) {
            if let Err(error) = worker.join() {
                self.listener.fail(error);
            }
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.stop();
        }
        self.listener.outcome()
    }

    fn start(&mut self, house: &House, config: &Config, pollers: Vec<Poller>) -> Result<()> {
        for settings in &config.sinks {
            let worker = house.worker(settings, Mode::Run, self.listener.clone())?;
            self.workers.push(worker);
        }
        self.keeper = Some(Keeper::start(KeeperSetup {
            store: house.store.clone(),
            spool: house.spool.clone(),
            clock: house.clock.clone(),
            retention: config.state.retention.duration(),
        })?);
        for poller in pollers {
            let source = self.source(house, poller)?;
            self.sources.push(source);
        }
        Ok(())
    }

    fn source(&self, house: &House, poller: Poller) -> Result<JoinHandle<()>> {
        let name = poller.plan().name.clone();
        let missing = || Error::internal(format!("source {name} is not in the configuration"));
        let tending = Tending {
            poller,
            wakes: self.wakes.get(&name).ok_or_else(missing)?.clone(),
            clock: house.clock.clone(),
            stop: self.stop.clone(),
            listener: self.listener.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("source-{name}")).spawn(move || tending.run());
        thread.map_err(|e| Error::io(format!("start the thread of source {name}"), e))
    }
}
