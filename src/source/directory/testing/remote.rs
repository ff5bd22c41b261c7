//! A remote place in memory, that tells times as coarsely and listings as badly as it is told to, and a tracker that
//! follows it with clocks that stand still.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{MemoryLedger, Steps, settings};
use crate::change::{Kind, Tuple};
use crate::clock::{Clock, ManualClock, Stop, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{SourceName, Template};
use crate::source::directory::place::{Directory, Found, Listed, Listing, OpenFile, Precision, Renamed, Shape, join};
use crate::source::directory::tracker::Tracker;
use crate::source::settings::DirectorySettings;
use crate::source::{Accepted, Look, Looked, NoProgress, Patience, Scope};

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Six months, after which LIST tells the day alone.
const RECENT: Duration = Duration::from_secs(182 * 86_400);

/// What the server tells of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// To the second, like MLSD.
    Second,
    /// To the minute for half a year, then to the day, like LIST.
    List,
    /// To the minute, whatever is asked.
    Minute,
}

/// The server.
pub struct Server {
    pub files: BTreeMap<Vec<u8>, (Vec<u8>, Timestamp)>,
    pub tells: Tells,
    /// What the server adds to every time it tells in a listing.
    pub offset_seconds: i64,
    /// Listings are cut off after this many entries, and say so.
    pub cut: Option<(usize, &'static str)>,
    /// Paths that the next listings leave out although they are there.
    pub hidden: BTreeSet<Vec<u8>>,
    /// Whether sizes say nothing and contents are fetched twice.
    pub text: bool,
    /// Fetches of a text that bring something else.
    pub garbled: usize,
    /// Contents fetched so far.
    pub fetched: usize,
    /// Their paths.
    pub fetched_paths: Vec<String>,
    /// Files being fetched now, and at most so far.
    pub fetching: (usize, usize),
    /// The first fetches wait until so many are under way.
    pub fetches_awaited: usize,
    clock: Arc<ManualClock>,
}

/// The place.
#[derive(Clone)]
pub struct Remote {
    pub server: Arc<Mutex<Server>>,
    began: Arc<Condvar>,
    /// When the process that uses it is killed.
    steps: Steps,
}

impl Remote {
    fn found(server: &Server, path: &[u8], in_listing: bool) -> Option<Found> {
        if let Some((content, at)) = server.files.get(path) {
            let recent = server.clock.now().since(*at) < RECENT;
            let (unit, precision) = match server.tells {
                Tells::List if in_listing && recent => (60, Precision::Minute),
                Tells::List if in_listing => (86_400, Precision::Day),
                Tells::Minute => (60, Precision::Minute),
                _ => (1, Precision::Second),
            };
            let offset = if in_listing { server.offset_seconds } else { 0 };
            let told = at.seconds() + offset;
            let mtime_ns = (told - told.rem_euclid(unit)) * 1_000_000_000;
            let size = if server.text { 80 } else { content.len() as u64 };
            let tuple = Tuple { size, mtime_ns, ..Tuple::default() };
            return Some(Found { shape: Shape::File, tuple, precision });
        }
        let below = join(path, b"");
        let is_folder = path.is_empty() || server.files.keys().any(|file| file.starts_with(&below));
        let folder = Found { shape: Shape::Folder, tuple: Tuple::default(), precision: Precision::None };
        is_folder.then_some(folder)
    }
}

impl Directory for Remote {
    fn arrive(&mut self) -> Result<String> {
        Ok("ftp://host".into())
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn fetches_in_parallel(&self) -> usize {
        4
    }

    fn verifies_twice(&self) -> bool {
        self.server.lock().expect("no holder panics").text
    }

    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        self.steps.make()?;
        let (entries, cut) = {
            let server = self.server.lock().expect("no holder panics");
            let prefix = if folder.is_empty() { Vec::new() } else { join(folder, b"") };
            let visible =
                server.files.keys().filter(|path| !server.hidden.iter().any(|hidden| path.starts_with(hidden)));
            let names: BTreeSet<Vec<u8>> = visible
                .filter_map(|path| path.strip_prefix(&prefix[..]))
                .map(|rest| rest.split(|byte| *byte == b'/').next().unwrap_or_default().to_vec())
                .collect();
            let entry = |name: Vec<u8>| {
                let found = Remote::found(&server, &join(folder, &name), true)?;
                Some((name, found))
            };
            (names.into_iter().filter_map(entry).collect::<Vec<_>>(), server.cut)
        };
        let limit = cut.map_or(usize::MAX, |(limit, _)| limit);
        for (name, found) in entries.iter().take(limit) {
            each(Listed { name, found: *found })?;
        }
        Ok(cut.map_or(Listing::Complete, |(_, why)| Listing::Doubtful(why.into())))
    }

    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        self.steps.make()?;
        Ok(Self::found(&self.server.lock().expect("no holder panics"), path, false))
    }

    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        self.steps.make()?;
        let mut server = self.server.lock().expect("no holder panics");
        let Some((content, _)) = server.files.get(path) else { return Ok(None) };
        let mut content = content.clone();
        server.fetched += 1;
        server.fetched_paths.push(String::from_utf8_lossy(path).into_owned());
        if server.garbled > 0 {
            server.garbled -= 1;
            content.push(b'?');
        }
        let now = server.fetching.0 + 1;
        server.fetching = (now, server.fetching.1.max(now));
        self.began.notify_all();
        let alone = |server: &mut Server| server.fetching.1 < server.fetches_awaited;
        drop(self.began.wait_timeout_while(server, PATIENCE, alone).expect("no holder panics"));
        let remote = self.clone();
        Ok(Some(Box::new(Fetch { remote, path: path.to_vec(), content: Cursor::new(content) })))
    }

    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        self.steps.make()?;
        let mut server = self.server.lock().expect("no holder panics");
        if server.files.contains_key(to) {
            return Ok(Renamed::Taken);
        }
        let Some(file) = server.files.remove(from) else { return Ok(Renamed::Missing) };
        server.files.insert(to.to_vec(), file);
        Ok(Renamed::Done)
    }

    fn copy_new(&self, _: &[u8], _: &[u8]) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, "a server copies nothing"))
    }

    fn remove(&self, path: &[u8]) -> Result<()> {
        self.steps.make()?;
        self.server.lock().expect("no holder panics").files.remove(path);
        Ok(())
    }

    fn make_folder(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

struct Fetch {
    remote: Remote,
    path: Vec<u8>,
    content: Cursor<Vec<u8>>,
}

impl Read for Fetch {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.content.read(buffer)
    }
}

impl OpenFile for Fetch {
    fn tuple(&self) -> Result<Tuple> {
        let found = self.remote.look(&self.path)?;
        found.map(|found| found.tuple).ok_or_else(|| Error::new(ErrorKind::NotFound, "it is gone"))
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.remote.server.lock().expect("no holder panics").fetching.0 -= 1;
    }
}

/// A remote place and who follows it.
pub struct RemotePlay {
    pub remote: Remote,
    pub tracker: Tracker,
    pub ledger: MemoryLedger,
    pub clock: Arc<ManualClock>,
    pub accepted: Accepted,
    pub patience: Patience,
    claims: bool,
    settings: DirectorySettings,
}

impl RemotePlay {
    /// At this moment, with all kinds told.
    pub fn at(now: &str, tells: Tells) -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(now).expect("a time"));
        let server = Server {
            files: BTreeMap::new(),
            tells,
            offset_seconds: 0,
            cut: None,
            hidden: BTreeSet::new(),
            text: false,
            garbled: 0,
            fetched: 0,
            fetched_paths: Vec::new(),
            fetching: (0, 0),
            fetches_awaited: 0,
            clock: clock.clone(),
        };
        let (ledger, accepted) = (MemoryLedger::new(), Accepted::default());
        let steps = ledger.steps.clone();
        let remote = Remote { server: Arc::new(Mutex::new(server)), began: Arc::default(), steps };
        let settings = DirectorySettings {
            events: vec![Kind::Created, Kind::Changed, Kind::Removed, Kind::Renamed],
            ..settings()
        };
        let tracker = tracker(&settings);
        Self { remote, tracker, ledger, clock, accepted, patience: Patience::Return, claims: false, settings }
    }

    /// The server.
    pub fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.remote.server.lock().expect("no holder panics")
    }

    /// Writes a file now.
    pub fn write(&self, path: &str, content: &str) {
        self.write_at(path, content, self.clock.now());
    }

    /// Writes a file as of a moment.
    pub fn write_at(&self, path: &str, content: &str, at: Timestamp) {
        self.server().files.insert(path.into(), (content.into(), at));
    }

    pub fn remove(&self, path: &str) {
        self.server().files.remove(path.as_bytes());
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The same, claiming files into `work`.
    pub fn claiming(self) -> Self {
        let mut play = Self { claims: true, ..self };
        play.restart();
        play
    }

    /// The same, with other settings.
    pub fn with(mut self, change: impl FnOnce(&mut DirectorySettings)) -> Self {
        change(&mut self.settings);
        self.restart();
        self
    }

    /// A fresh process.
    pub fn restart(&mut self) {
        let claim = Template::parse("work/{name}", &[]).expect("a template");
        self.tracker = tracker(&self.settings).claiming(self.claims.then_some(&claim)).expect("a claim");
    }

    /// Does something in a process that is killed after so many steps; whether it got to its end. What it told until then
    /// is kept, and a fresh process follows.
    pub fn killed_after(&mut self, steps: usize, act: impl FnOnce(&mut Self)) -> bool {
        self.remote.steps.set(steps);
        act(self);
        let ended = self.remote.steps.left() > 0;
        self.remote.steps.set(usize::MAX);
        self.restart();
        ended
    }

    /// The paths on the server.
    pub fn paths(&self) -> Vec<String> {
        self.server().files.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    /// A full poll.
    pub fn poll(&mut self) -> Looked {
        self.try_poll().expect("the look ends well")
    }

    /// A full poll that may fail.
    pub fn try_poll(&mut self) -> Result<Looked> {
        self.look(Scope::Everything)
    }

    /// A look at what waits.
    pub fn visit(&mut self) -> Result<Looked> {
        self.look(Scope::Waiting)
    }

    fn look(&mut self, scope: Scope) -> Result<Looked> {
        let clock = Arc::clone(&self.clock);
        let look = Look {
            scope,
            first: self.ledger.commits == 0,
            filters_changed: false,
            accepted: self.accepted,
            max_new: None,
            patience: self.patience,
            clock: &*clock as &dyn Clock,
            stop: &Stop::new(),
            progress: &NoProgress,
        };
        self.tracker.poll(&mut self.remote, &look, &mut self.ledger)
    }

    /// A full poll; what it told.
    pub fn told(&mut self) -> Vec<String> {
        self.poll();
        self.taken()
    }

    /// What was told since the last time.
    pub fn taken(&mut self) -> Vec<String> {
        let told = self.ledger.take_told();
        let mut told: Vec<String> = told.into_iter().map(|(kind, key, rev)| format!("{kind} {key} {rev}")).collect();
        told.sort();
        told
    }

    /// Nothing is told, fetched, written or asked for by a poll of an unchanged place.
    pub fn assert_idle(&mut self) {
        let before = (self.ledger.commits, self.ledger.asked, self.server().fetched);
        assert_eq!(self.told(), Vec::<String>::new());
        let after = (self.ledger.commits, self.ledger.asked, self.server().fetched);
        assert_eq!(after, before, "an idle poll asks, fetches and writes nothing");
    }
}

fn tracker(settings: &DirectorySettings) -> Tracker {
    Tracker::new(&SourceName::new("orders"), settings, None).expect("valid settings")
}
