//! The `ftp` source: a folder on an FTP or FTPS server, followed by the tracker.

use std::sync::Arc;
use std::time::Instant;

use super::directory::FtpDirectory;
use super::{doctor, scratch};
use crate::change::{Key, Nature};
use crate::clock::{Clock, Stop, SystemClock};
use crate::error::Result;
use crate::setting::{ByteCount, SourceName};
use crate::source::directory::place::{Directory, Listing, Shape};
use crate::source::directory::tracker::Tracker;
use crate::source::settings::{AfterAction, FtpSecurity, FtpSettings};
use crate::source::{Accounts, Acted, ActionOrder, Binding, Finding, Ledger, Look, Looked, Source, Verdict};

/// A folder on an FTP or FTPS server as a source.
#[derive(Debug)]
pub struct FtpSource {
    directory: FtpDirectory,
    tracker: Tracker,
    location: String,
    /// Whether files are renamed or deleted there.
    writes: bool,
}

impl FtpSource {
    /// The folder that `settings` name. Nothing is connected yet.
    ///
    /// # Errors
    /// `Config` when a glob, a template, TLS or the proxy make no sense.
    pub fn new(
        name: &SourceName,
        settings: &FtpSettings,
        max_size: Option<ByteCount>,
        accounts: Arc<dyn Accounts>,
    ) -> Result<Self> {
        let takes = |action: &AfterAction| *action != AfterAction::Keep;
        let (delivered, dead) = (&settings.directory.on_delivered, &settings.directory.on_dead);
        Ok(Self {
            writes: takes(delivered) || takes(dead) || settings.claim.is_some(),
            directory: FtpDirectory::new(settings, accounts)?,
            tracker: Tracker::new(name, &settings.directory, max_size)?.claiming(settings.claim.as_ref())?,
            location: location(settings),
        })
    }

    /// Outside of polls nobody hands us a clock.
    fn begin(&self) {
        self.directory.begin(SystemClock::new().now(), &Stop::new());
    }
}

/// The place without secrets: `ftps://partner@ftp.example.com:21/outgoing`.
fn location(settings: &FtpSettings) -> String {
    let scheme = match settings.security {
        FtpSecurity::Plain => "ftp",
        FtpSecurity::Explicit => "ftps",
        FtpSecurity::Implicit => "ftps+implicit",
    };
    let server = &settings.server;
    let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    // One slash leads to the login folder, two to the server's root, as in RFC 1738.
    format!("{scheme}://{}@{host}:{}/{}", server.user, server.port, settings.path)
}

impl Source for FtpSource {
    fn nature(&self) -> Nature {
        Nature::File
    }

    fn tracks_keys(&self) -> bool {
        true
    }

    fn binding(&self) -> Binding {
        Binding { location: self.location.clone(), filters: self.tracker.rules.filters.canonical().to_owned() }
    }

    fn poll(&mut self, look: &Look<'_>, ledger: &mut dyn Ledger) -> Result<Looked> {
        let began = Instant::now();
        self.directory.begin(look.clock.now(), look.stop);
        let looked = self.tracker.poll(&mut self.directory, look, ledger);
        self.directory.rest(began);
        looked
    }

    fn probe(&mut self) -> Result<Vec<String>> {
        self.begin();
        let root = self.directory.arrive()?;
        let (mut entries, mut taken) = (0_u64, 0_u64);
        let filters = &self.tracker.rules.filters;
        let listing = self.directory.list(b"", &mut |listed| {
            entries += 1;
            taken += u64::from(listed.found.shape == Shape::File && filters.why_not_file(listed.name).is_none());
            Ok(())
        })?;
        let told = format!("{root} can be read; entries at its top: {entries}, of them files to be told: {taken}");
        let doubt = match listing {
            Listing::Doubtful(why) => Some(format!("{root} can't be listed for certain: {why}")),
            Listing::Complete | Listing::Missing => None,
        };
        let reached = doctor::summary(self.directory.site())?;
        Ok([told].into_iter().chain(doubt).chain(reached).collect())
    }

    fn explain(&mut self, key: &Key) -> Result<Vec<String>> {
        self.begin();
        self.directory.arrive()?;
        self.tracker.explain(&self.directory, key)
    }

    fn examine(&mut self) -> Result<Vec<Finding>> {
        self.begin();
        let mut findings = doctor::examine(&mut self.directory)?;
        if self.writes {
            findings.extend(scratch::examine(self.directory.site())?);
        } else {
            let why = "not tried: nothing is moved or deleted here, so no scratch file is written";
            findings.push(Finding::new("rename", Verdict::Note, why));
        }
        Ok(findings)
    }

    fn act(&mut self, order: &ActionOrder) -> Result<Acted> {
        self.begin();
        self.directory.arrive()?;
        self.tracker.act(&self.directory, order)
    }
}
