//! The local folder as a source: the tracker over a [`LocalFolder`]. How entries are judged is the tracker's affair.

use std::sync::Arc;

use super::after_action;
use super::local::{FolderWatch, LocalFolder};
use super::place::{Directory, Shape};
use super::tracker::Tracker;
use crate::change::{Key, Nature};
use crate::error::Result;
use crate::setting::{ByteCount, SourceName};
use crate::source::settings::{AfterAction, FolderSettings};
use crate::source::{Acted, ActionOrder, Binding, Ledger, Look, Looked, Scope, Source, Wake};

/// A folder of this machine.
#[derive(Debug)]
pub struct FolderSource {
    tracker: Tracker,
    folder: LocalFolder,
    watches: bool,
    watch: Option<FolderWatch>,
}

impl FolderSource {
    /// A source over the folder that `settings` name. Nothing is opened before the first look.
    ///
    /// # Errors
    /// `Config` when a glob or a sidecar template makes no sense.
    pub fn new(name: &SourceName, settings: &FolderSettings, max_size: Option<ByteCount>) -> Result<Self> {
        let tracker = Tracker::new(name, &settings.directory, max_size)?;
        Ok(Self { tracker, folder: LocalFolder::new(settings.path.clone()), watches: settings.watch, watch: None })
    }
}

impl Source for FolderSource {
    fn nature(&self) -> Nature {
        Nature::File
    }

    fn tracks_keys(&self) -> bool {
        true
    }

    fn binding(&self) -> Binding {
        Binding {
            location: self.folder.path().display().to_string(),
            filters: self.tracker.rules.filters.canonical().to_owned(),
        }
    }

    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        if let Some(watch) = self.watch.as_mut().filter(|_| look.scope == Scope::Everything) {
            watch.renew(self.folder.path());
        }
        self.tracker.poll(&mut self.folder, look, ledger)
    }

    /// The watch itself is set by the next full look, and again whenever another folder stands in the place.
    fn watch(&mut self, wake: Arc<dyn Wake>) {
        if self.watches {
            self.watch = Some(FolderWatch::new(&self.tracker.name, self.tracker.rules.filters.is_recursive(), wake));
        }
    }

    fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
        self.folder.arrive()?;
        after_action::act(&self.folder, order)
    }

    fn probe(&mut self) -> Result<Vec<String>> {
        self.folder.arrive()?;
        let mut entries = 0_u64;
        self.folder.list(b"", &mut |_| {
            entries += 1;
            Ok(())
        })?;
        let mut lines =
            vec![format!("folder {} can be read; {entries} entries at the top", self.folder.path().display())];
        let settings = &self.tracker.rules.settings;
        let acts = [&settings.on_delivered, &settings.on_dead].into_iter().any(|action| *action != AfterAction::Keep);
        if acts && !self.folder.is_writable() {
            lines.push("it may not be written: after-actions will fail; give this user write permission".into());
        }
        Ok(lines)
    }

    fn explain(&mut self, key: &Key) -> Result<Vec<String>> {
        self.folder.arrive()?;
        let filters = &self.tracker.rules.filters;
        let why_not = filters.why_not_above(key.as_bytes()).or_else(|| filters.why_not_file(key.as_bytes()));
        let mut lines = vec![match self.folder.look(key.as_bytes())? {
            None => "is not there".into(),
            Some(found) => match found.shape {
                Shape::File => format!("is there, {} bytes", found.tuple.size),
                Shape::Folder => "is a folder; name a file in it".into(),
                Shape::Other => "is a link or a special file, which is passed over".into(),
            },
        }];
        lines.extend(why_not.map(|why| format!("filtered out: {why}")));
        Ok(lines)
    }
}
