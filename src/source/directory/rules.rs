//! What a source's settings ask of its files, compiled once. Whether a file has it is `judge`'s affair.

use std::sync::Arc;
use std::time::Duration;

use super::claim::Claim;
use super::filter::Filters;
use super::sidecar::Sidecar;
use crate::error::Result;
use crate::setting::ByteCount;
use crate::source::settings::DirectorySettings;

/// What a source's settings ask of its files.
#[derive(Debug)]
pub struct Rules {
    /// As configured.
    pub settings: DirectorySettings,
    /// Larger files are refused.
    pub max_size: Option<ByteCount>,
    /// Which entries belong.
    pub filters: Arc<Filters>,
    /// Which other file says that one is complete.
    pub marker: Option<Sidecar>,
    /// Which other file holds one's checksum.
    pub checksum: Option<Sidecar>,
}

impl Rules {
    /// Compiles settings.
    ///
    /// # Errors
    /// `Config` when a glob or a sidecar template makes no sense.
    pub fn new(settings: &DirectorySettings, max_size: Option<ByteCount>) -> Result<Self> {
        Ok(Self {
            max_size,
            filters: Arc::new(Filters::new(settings, max_size)?),
            marker: settings.marker.as_ref().map(Sidecar::new).transpose()?,
            checksum: settings.checksum.as_ref().map(Sidecar::new).transpose()?,
            settings: settings.clone(),
        })
    }

    /// The same, with files claimed before they are read.
    ///
    /// # Errors
    /// As [`Rules::new`].
    pub fn claiming(self, claim: Claim) -> Result<Self> {
        let filters = Filters::new(&self.settings, self.max_size)?.claiming(claim);
        Ok(Self { filters: Arc::new(filters), ..self })
    }

    /// How long a file must stand still.
    pub fn stable_for(&self) -> Duration {
        self.settings.stable_for.duration()
    }
}
