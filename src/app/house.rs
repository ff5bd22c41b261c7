//! What every writing command stands on: the lock, the store, the spool, the sinks and a runtime, opened in that order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::clock::{Clock, Stop, SystemClock};
use crate::config::Config;
use crate::delivery::{Mode, Observer, Worker, WorkerSetup};
use crate::error::{Error, Result};
use crate::event::Spool;
use crate::poll::route::SinkFacts;
use crate::poll::{Logins, Poller, SourcePlan};
use crate::setting::SinkName;
use crate::sink::settings::SinkSettings;
use crate::sink::{self, Sink};
use crate::source::settings::SourceSettings;
use crate::source::{self, Progress, Source};
use crate::store::lock::Lock;
use crate::store::sqlite::{SqliteLogins, SqliteStore};
use crate::store::{SourceRegistration, Store};

/// Threads of the runtime that carries attempts and database connections.
const RUNTIME_THREADS: usize = 2;

/// Everything that is open while a process writes. Fields are dropped in order: the lock goes last.
pub struct House {
    /// What the configuration in force asks for.
    pub furniture: Furniture,
    /// Where large contents are.
    pub spool: Spool,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Where attempts run.
    pub runtime: Arc<Runtime>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// The right to all this.
    pub lock: Lock,
}

/// Sinks by name.
pub type Sinks = HashMap<SinkName, Arc<dyn Sink>>;

/// What one configuration asks for, open.
pub struct Furniture {
    /// The sinks.
    pub sinks: Sinks,
    /// What routes need to know of them.
    pub facts: HashMap<SinkName, SinkFacts>,
}

impl House {
    /// Takes the lock, opens the store, ends what a crash left behind, and opens the sinks.
    ///
    /// # Errors
    /// `Locked` when another process holds the store; whatever keeps the store or a sink from being opened.
    pub fn open(config: &Config, what: &str, wait: Option<Duration>, stop: &Stop) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        make_folder_of(&config.state.path)?;
        let lock = Lock::take(&config.state.path, what, wait, &*clock, stop)?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&config.state.path)?);
        let run = format!("{:x}-{:x}", clock.now().nanos(), std::process::id());
        let state = &config.state;
        let spool = Spool::new(&state.spool, run, state.spool_max.0, state.min_free.0);
        spool.belongs_to(&config.state.path)?;
        let run_folder = run_folder(config);
        let survivors = sink::script::end_survivors(&run_folder)?;
        if survivors > 0 {
            tracing::warn!(
                survivors,
                "scripts that outlived a crash were ended before their deliveries are tried again"
            );
        }
        store.register(&registrations(config), &sink_names(config), clock.now())?;
        let recovered = store.recover(clock.now())?;
        if recovered > 0 {
            tracing::warn!(
                deliveries = recovered,
                "attempts cut off by a crash are tried again; they may have arrived"
            );
        }
        let orphans = spool.clean(|name| store.names_spool_file(name))?;
        if orphans > 0 {
            tracing::info!(files = orphans, "spool files that no event names were removed");
        }
        let runtime = Arc::new(runtime()?);
        let furniture = open_sinks(config, &spool, &run_folder, &runtime)?;
        Ok(Self { furniture, spool, store, runtime, clock, lock })
    }

    /// What another configuration asks for, opened beside what is there.
    ///
    /// # Errors
    /// `Config`: a sink can't be opened.
    pub fn furnish(&self, config: &Config) -> Result<Furniture> {
        open_sinks(config, &self.spool, &run_folder(config), &self.runtime)
    }

    /// Changes what is there, and the limits of the spool; returns what was there.
    pub fn refurnish(&mut self, config: &Config, furniture: Furniture) -> Furniture {
        self.spool.limit(config.state.spool_max.0, config.state.min_free.0);
        std::mem::replace(&mut self.furniture, furniture)
    }

    /// Makes sure of the names of `next`. The sinks of `now` stay as well: deliveries to them are left as they are.
    ///
    /// # Errors
    /// `Config` when a name can't mean what it shall mean now; the store's.
    pub fn register(&self, next: &Config, now: &Config) -> Result<()> {
        self.store.register(&registrations(next), &joint_sink_names(next, now), self.clock.now())
    }

    /// Gives sources that [`House::register`] renamed for `failed` the names back that they have in `now`.
    ///
    /// # Errors
    /// The store's.
    pub fn register_again(&self, now: &Config, failed: &Config) -> Result<()> {
        let mut sources = registrations(now);
        for source in &mut sources {
            let heir = failed.sources.iter().find(|heir| heir.was.as_ref() == Some(&source.name));
            source.was = heir.map(|heir| heir.name.clone()).or(source.was.take());
        }
        self.store.register(&sources, &joint_sink_names(now, failed), self.clock.now())
    }

    /// A worker for one sink, at work.
    ///
    /// # Errors
    /// The operating system's, when there can be no more threads.
    pub fn worker(&self, settings: &SinkSettings, mode: Mode, observer: Arc<dyn Observer>) -> Result<Worker> {
        let missing = || Error::internal(format!("sink {} was not opened", settings.name));
        Worker::start(WorkerSetup {
            name: settings.name.clone(),
            sink: self.furniture.sinks.get(&settings.name).ok_or_else(missing)?.clone(),
            settings: settings.delivery.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            runtime: self.runtime.handle().clone(),
            mode,
            observer,
        })
    }

    /// A poller for one source.
    pub fn poller(&self, config: &Config, settings: &SourceSettings, progress: Arc<dyn Progress>) -> Result<Poller> {
        self.poller_with(&self.furniture, config, settings, progress)
    }

    /// A poller for one source of a configuration that is about to be in force.
    pub fn poller_with(
        &self,
        furniture: &Furniture,
        config: &Config,
        settings: &SourceSettings,
        progress: Arc<dyn Progress>,
    ) -> Result<Poller> {
        let accounts = Logins::of(&settings.name, self.store.clone(), self.clock.clone());
        let source = source::open(settings, self.runtime.handle(), accounts)
            .map_err(|e| e.while_doing(format!("open source {}", settings.name)))?;
        let plan = SourcePlan::new(settings, &config.state.instance, &furniture.facts)?;
        Ok(Poller::new(source, plan, self.store.clone(), self.spool.clone(), self.clock.clone(), progress))
    }
}

/// A source for a command that does not hold the store: its logins are counted there all the same.
///
/// # Errors
/// `Config` with rule and remedy.
pub fn visiting(config: &Config, settings: &SourceSettings, runtime: &Runtime) -> Result<Box<dyn Source>> {
    let book = Arc::new(SqliteLogins::at(&config.state.path));
    let accounts = Logins::of(&settings.name, book, Arc::new(SystemClock::new()));
    source::open(settings, runtime.handle(), accounts)
}

/// A runtime for attempts and connections.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("runtime")
        .enable_all()
        .build()
        .map_err(|e| Error::io("start the runtime", e))
}

/// Where scripts have their private folders: beside the store, so that the next start finds what a crash left.
pub fn run_folder(config: &Config) -> PathBuf {
    let mut name = config.state.path.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
    name.push(".run");
    config.state.path.with_file_name(name)
}

/// What routes need to know of every configured sink.
pub fn facts_of(config: &Config) -> HashMap<SinkName, SinkFacts> {
    let facts = |settings: &SinkSettings| SinkFacts {
        ordering: settings.delivery.ordering,
        takes_content: settings.kind.takes_content(),
        max_backlog: settings.delivery.max_backlog,
    };
    config.sinks.iter().map(|settings| (settings.name.clone(), facts(settings))).collect()
}

fn make_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|e| Error::io(format!("make the store's folder {}", folder.display()), e))
}

fn registrations(config: &Config) -> Vec<SourceRegistration> {
    let registration = |settings: &SourceSettings| SourceRegistration {
        name: settings.name.clone(),
        was: settings.was.clone(),
        kind: settings.kind.as_str(),
    };
    config.sources.iter().map(registration).collect()
}

fn sink_names(config: &Config) -> Vec<SinkName> {
    config.sinks.iter().map(|settings| settings.name.clone()).collect()
}

fn joint_sink_names(one: &Config, other: &Config) -> Vec<SinkName> {
    let mut names = sink_names(one);
    let further: Vec<SinkName> = sink_names(other).into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(further);
    names
}

fn open_sinks(config: &Config, spool: &Spool, run_folder: &Path, runtime: &Runtime) -> Result<Furniture> {
    let _entered = runtime.enter();
    let mut sinks = HashMap::new();
    for settings in &config.sinks {
        let sink = sink::open(settings, spool, run_folder)
            .map_err(|e| e.while_doing(format!("open sink {}", settings.name)))?;
        sinks.insert(settings.name.clone(), sink);
    }
    Ok(Furniture { sinks, facts: facts_of(config) })
}
