//! What the poll layer needs to know of a source beyond how it looks: which kinds are told, where events go, what follows.

use std::collections::HashMap;

use super::route::{Routes, SinkFacts};
use crate::change::Kind;
use crate::error::Result;
use crate::setting::{Interval, SinkName, SourceName};
use crate::source::settings::{AfterAction, Schedule, SourceKind, SourceSettings, Versions};

/// The plan of one source.
#[derive(Debug)]
pub struct SourcePlan {
    /// Its name.
    pub name: SourceName,
    /// The installation's name, part of every id.
    pub instance: String,
    /// When it is looked at.
    pub schedule: Schedule,
    /// Where its events go.
    pub routes: Routes,
    /// The kinds that are told; others are only remembered.
    pub tells: Vec<Kind>,
    /// Whether older undelivered versions are superseded.
    pub latest_only: bool,
    /// What follows when every delivery arrived or was cancelled.
    pub on_delivered: AfterAction,
    /// What follows when all are final and one is dead.
    pub on_dead: AfterAction,
    /// More new entries than this hold the source.
    pub max_new: Option<u64>,
    /// A poll that takes longer is ended.
    pub poll_timeout: Option<Interval>,
    /// The table's name, for removed rows.
    pub table: Option<String>,
}

impl SourcePlan {
    /// The plan that `settings` make for an installation with these sinks.
    pub fn new(settings: &SourceSettings, instance: &str, sinks: &HashMap<SinkName, SinkFacts>) -> Result<Self> {
        let directory = match &settings.kind {
            SourceKind::Folder(folder) => Some(&folder.directory),
            SourceKind::Ftp(ftp) => Some(&ftp.directory),
            SourceKind::Sftp(sftp) => Some(&sftp.directory),
            _ => None,
        };
        Ok(Self {
            name: settings.name.clone(),
            instance: instance.to_owned(),
            schedule: settings.schedule.clone(),
            routes: Routes::new(settings, sinks)?,
            tells: directory.map_or_else(|| Kind::ALL.to_vec(), |d| d.events.clone()),
            latest_only: directory.is_some_and(|d| d.versions == Versions::Latest),
            on_delivered: directory.map_or(AfterAction::Keep, |d| d.on_delivered.clone()),
            on_dead: directory.map_or(AfterAction::Keep, |d| d.on_dead.clone()),
            max_new: settings.max_new,
            poll_timeout: settings.poll_timeout,
            table: settings.kind.table().map(|table| table.from.word().to_owned()),
        })
    }

    /// Whether anything follows when deliveries are final.
    pub fn has_actions(&self) -> bool {
        self.on_delivered != AfterAction::Keep || self.on_dead != AfterAction::Keep
    }
}
