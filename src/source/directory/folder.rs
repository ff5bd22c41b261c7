//! The `folder` source: a local folder, followed by the tracker and woken by the kernel.

use super::local::{LocalFolder, health};
use super::place::Directory;
use super::tracker::Tracker;
use super::watch;
use crate::change::{Key, Nature};
use crate::error::Result;
use crate::setting::{ByteCount, SourceName};
use crate::source::settings::FolderSettings;
use crate::source::{Acted, ActionOrder, Binding, Finding, Ledger, Look, Looked, Source, Verdict, Wake};

use std::sync::Arc;

/// A local folder as a source.
#[derive(Debug)]
pub struct FolderSource {
    directory: LocalFolder,
    tracker: Tracker,
    watches: bool,
}

impl FolderSource {
    /// The folder at `settings.path`. Nothing is looked at yet.
    ///
    /// # Errors
    /// `Config` when a glob or a template makes no sense.
    pub fn new(name: &SourceName, settings: &FolderSettings, max_size: Option<ByteCount>) -> Result<Self> {
        Ok(Self {
            directory: LocalFolder::new(settings.path.clone()),
            tracker: Tracker::new(name, &settings.directory, max_size)?,
            watches: settings.watch,
        })
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
        let location = self.directory.path().display().to_string();
        Binding { location, filters: self.tracker.rules.filters.canonical().to_owned() }
    }

    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        self.tracker.poll(&mut self.directory, look, ledger)
    }

    fn probe(&mut self) -> Result<Vec<String>> {
        self.tracker.probe(&mut self.directory)
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        let mut findings = health::examine(&mut self.directory, &self.tracker.rules.filters, self.watches)?;
        let probed = self.tracker.probe(&mut self.directory)?.into_iter().enumerate();
        findings.extend(probed.map(|(at, line)| match at {
            0 => Finding::new("folder", Verdict::Works, line),
            _ => Finding::new("after-actions", Verdict::Problem, line),
        }));
        Ok(findings)
    }

    fn explain(&mut self, key: &Key) -> Result<Vec<String>> {
        self.directory.arrive()?;
        self.tracker.explain(&self.directory, key)
    }

    fn watch(&mut self, wake: Arc<dyn Wake>) -> Option<Box<dyn Send>> {
        if !self.watches {
            return None;
        }
        watch::begin(&self.tracker.name, self.directory.path(), Arc::clone(&self.tracker.rules.filters), wake)
    }

    fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
        self.directory.arrive()?;
        self.tracker.act(&self.directory, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::testing::{MemoryLedger, settings};

    fn source(path: &std::path::Path) -> FolderSource {
        let settings = FolderSettings { path: path.to_owned(), watch: true, directory: settings() };
        FolderSource::new(&SourceName::new("orders"), &settings, None).expect("valid settings")
    }

    #[test]
    fn it_is_bound_to_its_path_and_filters() {
        let binding = source(std::path::Path::new("/srv/drop")).binding();
        assert_eq!(binding.location, "/srv/drop");
        assert!(binding.filters.contains("\"include\":[]"), "{}", binding.filters);
    }

    #[test]
    fn an_examination_says_what_the_disk_is_and_whether_wake_ups_come() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("a/b")).expect("make");
        let findings = source(folder.path()).examine().expect("examined");
        let topics: Vec<&str> = findings.iter().map(|finding| finding.topic.as_str()).collect();
        assert_eq!(topics, ["file system", "wake-ups", "folder"]);
        assert!(findings[1].detail.contains("3 folders") || findings[1].verdict != Verdict::Works, "{findings:?}");
        let gone = source(&folder.path().join("none")).examine().expect_err("nothing is there");
        assert_eq!(gone.kind(), crate::error::ErrorKind::NotFound);
    }

    #[test]
    fn a_probe_says_what_is_there_and_an_explanation_what_becomes_of_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a.csv"), "A").expect("write");
        let mut source = source(folder.path());
        let probe = source.probe().expect("a probe");
        assert!(probe[0].ends_with("can be read; entries at its top: 1, of them files to be told: 1"), "{probe:?}");
        let lines = source.explain(&"a.csv".into()).expect("an explanation");
        assert!(
            lines[0].starts_with("it is there: 1 bytes, modified 20") && lines[1] == "filters let it in",
            "{lines:?}"
        );
        let lines = source.explain(&"none".into()).expect("an explanation");
        assert_eq!(lines[0], "it is not there now");
        assert!(MemoryLedger::new().told.is_empty());
    }
}
