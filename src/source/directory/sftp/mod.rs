//! The `sftp` source: a folder on an SFTP server, followed by the tracker. SSH is russh's; SFTP version 3 is our own, over a
//! plain channel, because the libraries there are decode names to text and so can't open a file whose name is none.
//!
//! From the outside in: [`folder`] is the [`Directory`](super::place::Directory), [`pool`] and [`slots`] have its
//! connections, [`server`] opens one ([`dial`], [`gate`] with [`host_key`] and [`known_hosts`], [`algorithms`], [`login`] as
//! [`account`] with [`credential`] and [`identity`]), [`session`] asks over a [`wire`] of [`packet`]s with [`attributes`]; [`listing`], [`file`] and [`copying`] are
//! what takes many requests, [`examine`] is for `doctor`. [`waiting`] and [`failure`] serve them all.

mod account;
mod algorithms;
mod attributes;
mod copying;
mod credential;
mod dial;
mod examine;
mod failure;
mod file;
mod folder;
mod gate;
mod host_key;
mod identity;
mod known_hosts;
mod listing;
mod login;
mod packet;
mod pool;
mod server;
mod session;
mod slots;
mod waiting;
mod wire;

use std::sync::Arc;

use tokio::runtime::Handle;

use super::place::{Directory, Listing, Shape};
use super::tracker::Tracker;
use crate::change::{Key, Nature};
use crate::clock::Stop;
use crate::error::Result;
use crate::setting::{ByteCount, SourceName};
use crate::source::settings::{AfterAction, SftpSettings};
use crate::source::{Accounts, Acted, ActionOrder, Binding, Finding, Ledger, Look, Looked, Source};
use folder::SftpFolder;
use server::SftpServer;

/// A folder on an SFTP server as a source.
pub struct SftpSource {
    directory: SftpFolder,
    tracker: Tracker,
    /// Whether files are moved, deleted or claimed on the server, so that we write there anyway.
    writes: bool,
}

impl SftpSource {
    /// The folder at `settings.path`; its connections live on `runtime`, whose threads must not poll it. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// `Config` when a glob, a template or the name of an algorithm makes no sense.
    pub fn new(
        name: &SourceName,
        settings: &SftpSettings,
        max_size: Option<ByteCount>,
        accounts: Arc<dyn Accounts>,
        runtime: Handle,
    ) -> Result<Self> {
        let server = SftpServer::new(settings, accounts, runtime)?;
        let takes = |action: &AfterAction| *action != AfterAction::Keep;
        let directory = &settings.directory;
        Ok(Self {
            directory: SftpFolder::new(server, &settings.path),
            tracker: Tracker::new(name, directory, max_size)?.claiming(settings.claim.as_ref())?,
            writes: takes(&directory.on_delivered) || takes(&directory.on_dead) || settings.claim.is_some(),
        })
    }

    /// Does something with the folder; the connections wait for the next use when it is done.
    fn visit<T>(&mut self, stop: &Stop, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.directory.obey(stop);
        let done = work(self);
        self.directory.pool().end();
        done
    }
}

impl Source for SftpSource {
    fn nature(&self) -> Nature {
        Nature::File
    }

    fn tracks_keys(&self) -> bool {
        true
    }

    fn binding(&self) -> Binding {
        Binding { location: self.directory.location(), filters: self.tracker.rules.filters.canonical().to_owned() }
    }

    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        self.visit(look.stop, |source| source.tracker.poll(&mut source.directory, look, ledger))
    }

    fn probe(&mut self) -> Result<Vec<String>> {
        let (writes, rules) = (self.writes, Arc::clone(&self.tracker.rules.filters));
        self.visit(&Stop::new(), |source| {
            let folder = &mut source.directory;
            folder.arrive()?;
            let (mut entries, mut taken) = (0_u64, 0_u64);
            let listing = folder.list(b"", &mut |listed| {
                entries += 1;
                let takes = listed.found.shape == Shape::File && rules.why_not_file(listed.name).is_none();
                taken += u64::from(takes);
                Ok(())
            })?;
            let place = folder.location();
            let mut lines = match listing {
                Listing::Doubtful(why) => vec![format!("{place} can be read, but not relied upon: {why}")],
                _ => vec![format!(
                    "{place} can be read; entries at its top: {entries}, of them files to be told: {taken}"
                )],
            };
            if writes {
                lines.push("whether files can be moved there is tried by `highwater doctor`".into());
            }
            Ok(lines)
        })
    }

    fn explain(&mut self, key: &Key) -> Result<Vec<String>> {
        self.visit(&Stop::new(), |source| {
            source.directory.arrive()?;
            source.tracker.explain(&source.directory, key)
        })
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        self.visit(&Stop::new(), |source| {
            source.directory.arrive()?;
            examine::examine(&source.directory, source.writes)
        })
    }

    fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
        self.visit(&Stop::new(), |source| {
            source.directory.arrive()?;
            source.tracker.act(&source.directory, order)
        })
    }
}
