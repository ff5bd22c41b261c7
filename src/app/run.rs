//! `run`: everything at once until it is asked to stop, then everything down in order. In between the configuration may
//! be read again: the new one is taken up whole, or the old one goes on.

use std::sync::Arc;
use std::time::Duration;

use super::RunOptions;
use super::crew::Crew;
use super::desk::{Asker, Desk};
use super::house::House;
use super::reload;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::poll::Poller;
use crate::source::settings::SourceSettings;
use crate::web::{Answer, Server};

/// How long whatever still runs on the runtime may take to end.
const RUNTIME_GRACE: Duration = Duration::from_secs(2);
/// A stop is noticed this soon: two things can't be waited for at once, and to a person this is nothing.
const STOP_LOOK: Duration = Duration::from_millis(250);
/// An old configuration that can't be started again at once is tried again after this.
const START_RETRY: Duration = Duration::from_secs(5);

/// Polls and delivers until `options.stop` is raised.
///
/// # Errors
/// What kept it from starting, or what made going on impossible.
pub fn run(config: Config, options: RunOptions) -> Result<()> {
    let house = House::open(&config, "run", None, &options.stop)?;
    match &options.ready {
        Some(ready) => ready(),
        None => tell_start(&config, "highwater runs"),
    }
    let config = Arc::new(config);
    let crew = Crew::begin(&house, &config, pollers(&house, &config, &options)?, &options)?;
    let desk = Desk::new(&house, config.clone(), crew.wakes().clone());
    let server = Server::start(&config.state.path, &house.lock, house.clock.now(), desk.clone().handler());
    let mut process = Process { house, config, crew, desk, options };
    let worked = server.and_then(|server| {
        let worked = process.work();
        // From now on nobody is told that it runs.
        drop(server);
        worked
    });
    let ended = process.crew.end();
    process.close();
    worked.and(ended)
}

/// The process that runs.
struct Process {
    house: House,
    /// The configuration in force.
    config: Arc<Config>,
    /// Who works by it.
    crew: Crew,
    desk: Arc<Desk>,
    options: RunOptions,
}

impl Process {
    /// Until it is asked to stop, or can't go on.
    fn work(&mut self) -> Result<()> {
        // The configuration was read before anybody could ask for it to be read again: what rang since then counts.
        let mut hangups = 0;
        loop {
            let rings = self.desk.bell().rings();
            let askers = self.desk.take_askers();
            let hung_up = std::mem::replace(&mut hangups, self.options.hangup.rings()) != hangups;
            if !askers.is_empty() || hung_up {
                self.reload(&askers)?;
                continue;
            }
            self.desk.bell().wait(rings, STOP_LOOK);
            if self.options.stop.is_raised() || self.crew.has_failed() {
                return Ok(());
            }
        }
    }

    /// Reads the configuration again, and tells everybody who asked what came of it.
    ///
    /// # Errors
    /// What made going on impossible; a configuration that is refused is none.
    fn reload(&mut self, askers: &[Asker]) -> Result<()> {
        match self.take_up()? {
            Ok(()) => {
                tell_start(&self.config, "configuration read again");
                let (sources, sinks) = (self.config.sources.len(), self.config.sinks.len());
                let line = format!("configuration read again: {sources} sources, {sinks} sinks");
                askers.iter().for_each(|asker| asker.tell(Ok(Answer::lines(vec![line.clone()]))));
            }
            Err(error) => {
                askers.iter().for_each(|asker| asker.tell(Err(reload::refused(&error))));
                let error = error.to_string().replace('\n', "; ");
                tracing::error!(error, "configuration not taken up; the old one stays in force");
            }
        }
        Ok(())
    }

    /// Puts the next configuration into force, or leaves the old one there and returns why. Whatever can be tried
    /// beforehand is tried while the old one still works.
    fn take_up(&mut self) -> Result<Result<()>> {
        let prepared = reload::load_next(&self.config).and_then(|next| {
            let furniture = self.house.furnish(&next)?;
            let pollers = next.sources.iter().map(|settings| {
                self.house.poller_with(&furniture, &next, settings, (self.options.progress)(&settings.name))
            });
            let pollers = pollers.collect::<Result<Vec<_>>>()?;
            Ok((next, furniture, pollers))
        });
        let (next, furniture, pollers) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(error)),
        };
        self.crew.end()?;
        // Sinks that are gone are wound up once nothing can lead back to them.
        if let Err(error) = self.house.register(&next, &self.config) {
            return self.go_on(error);
        }
        let old = self.house.refurnish(&next, furniture);
        match Crew::begin(&self.house, &next, pollers, &self.options) {
            Ok(crew) => self.crew = crew,
            Err(error) => {
                self.house.refurnish(&self.config, old);
                if let Err(error) = self.house.register_again(&self.config, &next) {
                    tracing::error!(%error, "names of sources could not be changed back");
                }
                return self.go_on(error);
            }
        }
        self.config = Arc::new(next);
        self.desk.serve(&self.house, self.config.clone(), self.crew.wakes().clone());
        if let Err(error) = self.house.register(&self.config, &self.config) {
            tracing::error!(%error, "sinks that are gone are wound up at the next start");
        }
        Ok(Ok(()))
    }

    /// Starts the old configuration again, which the new one could not follow because of `error`.
    fn go_on(&mut self, error: Error) -> Result<Result<()>> {
        loop {
            let pollers = pollers(&self.house, &self.config, &self.options);
            match pollers.and_then(|pollers| Crew::begin(&self.house, &self.config, pollers, &self.options)) {
                Ok(crew) => self.crew = crew,
                Err(error) => {
                    tracing::error!(%error, "old configuration could not be started again: it is tried again");
                    if !self.options.stop.wait(START_RETRY) {
                        continue;
                    }
                }
            }
            self.desk.serve(&self.house, self.config.clone(), self.crew.wakes().clone());
            return Ok(Err(error));
        }
    }

    fn close(self) {
        let House { runtime, store, .. } = self.house;
        drop((store, self.desk));
        if let Ok(runtime) = Arc::try_unwrap(runtime) {
            runtime.shutdown_timeout(RUNTIME_GRACE);
        }
    }
}

fn pollers(house: &House, config: &Config, options: &RunOptions) -> Result<Vec<Poller>> {
    let poller = |settings: &SourceSettings| house.poller(config, settings, (options.progress)(&settings.name));
    config.sources.iter().map(poller).collect()
}

fn tell_start(config: &Config, what: &'static str) {
    let (sources, sinks) = (config.sources.len(), config.sinks.len());
    tracing::info!(sources, sinks, store = %config.state.path.display(), "{what}");
}
