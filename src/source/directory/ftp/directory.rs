//! A folder on an FTP server as a [`Directory`]. How each thing is done there is in `site` and its neighbours.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use super::site::Site;
use crate::clock::{Stop, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Accounts;
use crate::source::directory::place::{Directory, Found, Listed, Listing, OpenFile, Renamed, Shape};
use crate::source::settings::{FtpSettings, Transfer, Verify};

/// A folder on an FTP or FTPS server.
#[derive(Debug)]
pub struct FtpDirectory {
    site: Arc<Site>,
}

impl FtpDirectory {
    /// The folder that `settings` name; nothing is connected yet.
    ///
    /// # Errors
    /// `Config` when the settings can't work.
    pub fn new(settings: &FtpSettings, accounts: Arc<dyn Accounts>) -> Result<Self> {
        Ok(Self { site: Arc::new(Site::new(settings, accounts)?) })
    }

    /// What the time is, and whose requests to stop are noticed, from now on.
    pub fn begin(&self, now: Timestamp, stop: &Stop) {
        self.site.begin(now, stop);
    }

    /// Closes connections that the work since `began` had no use for.
    pub fn rest(&self, began: Instant) {
        self.site.rest(began);
    }

    pub(super) fn site(&self) -> &Arc<Site> {
        &self.site
    }
}

impl Directory for FtpDirectory {
    fn arrive(&mut self) -> Result<String> {
        self.site.arrive()
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn fetches_in_parallel(&self) -> usize {
        self.site.server.settings.server.connections.max(1)
    }

    fn verifies_twice(&self) -> bool {
        let settings = &self.site.server.settings;
        settings.verify == Verify::Twice || settings.transfer == Transfer::Text
    }

    fn list(&self, folder: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let handed_out = Cell::new(false);
        let mut each = |listed: Listed<'_>| {
            handed_out.set(true);
            each(listed)
        };
        let listed = self.site.with_leased(
            |session| self.site.list_with(session, folder, &mut each),
            // What was handed out can't be taken back.
            || !handed_out.get(),
        );
        listed.map(|(_, listing)| listing)
    }

    fn look(&self, path: &[u8]) -> Result<Option<Found>> {
        let found = self.site.with(|session| self.site.look_with(session, path))?;
        if let Some(found) = found.filter(|found| found.shape == Shape::File) {
            self.site.remember(path, found);
        }
        Ok(found)
    }

    fn open(&self, path: &[u8]) -> Result<Option<Box<dyn OpenFile>>> {
        Ok(self.site.fetch(path)?.map(|file| Box::new(file) as Box<dyn OpenFile>))
    }

    fn rename_new(&self, from: &[u8], to: &[u8]) -> Result<Renamed> {
        self.site.rename(from, to)
    }

    fn copy_new(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let _ = to;
        let fact = format!("copy {}: FTP can't copy on the server", self.site.shown(from));
        Err(Error::new(ErrorKind::Invalid, fact))
    }

    fn remove(&self, path: &[u8]) -> Result<()> {
        self.site.delete(path)
    }

    fn make_folder(&self, folder: &[u8]) -> Result<()> {
        self.site.make(folder)
    }

    fn sync_folder(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}
