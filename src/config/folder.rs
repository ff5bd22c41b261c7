//! `kind = "folder"`: the keys of a folder source, and those all directories share. What they do belongs to `source::directory`.

use std::path::PathBuf;

use super::filter;
use super::glob::PathGlob;
use super::list::AtLeastOne;
use super::reading::Reading;
use super::section::{Keys, Located, Required, section};
use super::source::{Brake, KindDraft};
use super::takeaway::{OnDead, OnDelivered};
use super::value::{DAY, Span, Wait};
use super::word::Words;
use crate::change::Kind;
use crate::setting::{Interval, Template};
use crate::source::settings::{Case, DirectorySettings, Empty, FolderSettings, SourceKind, Start, Versions};

section! {
    /// A local folder.
    pub struct FolderSection {
        /// The folder, relative to this file's own. A missing folder is looked for again at each poll.
        path: Required<PathBuf> = "/srv/drop/orders",
        /// Whether changes are also watched for; the poll stays the truth.
        watch: bool = true,
        /// How long a file must stand still before it is read; "0s" takes it on sight.
        stable_for: Span<0, DAY> = "2s",
        /// A full look at the folder starts this long after the start of the one before.
        every: Located<Wait> = "30s",
        /// More new entries than this in one poll hold the source until `cursor NAME accept`; "none" lifts the brake.
        max_new: Brake = 100_000,
    }
}

section! {
    /// What all directory sources share.
    pub struct DirectorySection {
        /// Globs of which one must match; absent, everything is taken. `*` stays within a folder, `**` crosses folders;
        /// a glob without `/` holds in every folder, one that begins with `/` in the root alone.
        include: Vec<PathGlob> = [],
        /// Globs that take an entry out. Always taken out unless `include` names them: .* ~$* *.tmp *.part *.partial
        /// *.filepart *.crdownload *.writing *.swp *.lck *~ Thumbs.db desktop.ini
        exclude: Vec<PathGlob> = [],
        /// Whether `A` matches `a`: "exact" or "ignore".
        case: Case = "exact",
        /// Whether folders below are looked at.
        recursive: bool = true,
        /// The file that says a data file is complete, like "{name}.done"; without a placeholder it releases the folder.
        marker: Option<Template>,
        /// The sidecar file with the SHA-256 or MD5 that the content must have, like "{name}.sha256".
        checksum: Option<Template>,
        /// Text that the last 4 KiB must end with; `*` stands for any text.
        ends_with: Option<String>,
        /// What becomes of files of 0 bytes: "deliver", "wait" or "ignore".
        empty: Empty = "deliver",
        /// The kinds of change that are told: "created", "changed", "removed", "renamed".
        events: AtLeastOne<FileKind> = ["created", "changed"],
        /// Whether every version is delivered ("all") or only the newest of several undelivered ones ("latest").
        versions: Versions = "all",
        /// What is done with a file once all its deliveries are made: "keep", "delete" or "move:DIR".
        on_delivered: Located<OnDelivered> = "keep",
        /// What is done with a file once one of its deliveries is dead: "keep" or "move:DIR".
        on_dead: Located<OnDead> = "keep",
        /// What exists at first: "all" tells it, "now" only remembers it.
        start: FolderStart = "all",
    }
}

/// The kinds of change a file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind(pub Kind);

/// What exists at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderStart {
    /// Is told.
    All,
    /// Is only remembered.
    Now,
}

/// Reads the keys of a folder.
pub fn read(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let folder: FolderSection = keys.read(reading);
    let section: DirectorySection = keys.read(reading);
    let (on_delivered, on_dead) = (section.on_delivered.clone(), section.on_dead.clone());
    let kind = folder.path.0.map(|path| {
        let directory = directory(section, folder.stable_for.0);
        SourceKind::Folder(FolderSettings { path, watch: folder.watch, directory })
    });
    KindDraft { kind, every: folder.every, max_new: folder.max_new.0, takes_away: Some((on_delivered, on_dead)) }
}

/// What all directory sources are told.
pub fn directory(section: DirectorySection, stable_for: Interval) -> DirectorySettings {
    let exclude = filter::excludes(&section);
    DirectorySettings {
        include: section.include.into_iter().map(|glob| glob.0).collect(),
        exclude,
        case: section.case,
        recursive: section.recursive,
        stable_for,
        marker: section.marker,
        checksum: section.checksum,
        ends_with: section.ends_with,
        empty: section.empty,
        events: section.events.0.into_iter().map(|kind| kind.0).collect(),
        versions: section.versions,
        on_delivered: section.on_delivered.value.0,
        on_dead: section.on_dead.value.0,
        start: Start::from(section.start),
    }
}

impl From<FolderStart> for Start {
    fn from(start: FolderStart) -> Self {
        match start {
            FolderStart::All => Self::All,
            FolderStart::Now => Self::Now,
        }
    }
}

impl Words for FileKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("created", Self(Kind::Created)),
        ("changed", Self(Kind::Changed)),
        ("removed", Self(Kind::Removed)),
        ("renamed", Self(Kind::Renamed)),
    ];
}

impl Words for FolderStart {
    const WORDS: &'static [(&'static str, Self)] = &[("all", Self::All), ("now", Self::Now)];
}

impl Words for Case {
    const WORDS: &'static [(&'static str, Self)] = &[("exact", Self::Exact), ("ignore", Self::Ignore)];
}

impl Words for Empty {
    const WORDS: &'static [(&'static str, Self)] =
        &[("deliver", Self::Deliver), ("wait", Self::Wait), ("ignore", Self::Ignore)];
}

impl Words for Versions {
    const WORDS: &'static [(&'static str, Self)] = &[("all", Self::All), ("latest", Self::Latest)];
}
