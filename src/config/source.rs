//! `[source.NAME]`: what all sources share, and the one `match` from `kind` to the keys of a kind.
//! Whether the sinks named exist is checked by `agreement`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::list::AtLeastOne;
use super::node::{Table, Value, written_key, written_text};
use super::place::Place;
use super::reading::{At, Quoting, Reading, SectionPath};
use super::remote::Remote;
use super::route;
use super::schedule::{self, CalendarSection};
use super::section::{Keys, Located, Setting, section};
use super::server::{self, ServerDraft};
use super::takeaway::{OnDead, OnDelivered};
use super::value::{Bytes, Name, Wait};
use super::word::alternatives;
use super::{folder, ftp, mysql, nearest, odbc, sftp, table};
use crate::setting::{SinkName, SourceName};
use crate::source::settings::{SourceKind, SourceSettings, Unrouted};

section! {
    /// What all sources share.
    pub struct SourceSection {
        /// The sinks that every event goes to.
        to: Option<Located<AtLeastOne<Located<Name>>>>,
        /// What becomes of entries that no route takes: "degrade" counts them and degrades the source.
        unrouted: Option<Located<Unrouted>>,
        /// A poll that takes longer is ended and reported; what it committed stays.
        poll_timeout: Option<Wait>,
        /// Larger entries are refused.
        max_size: Option<Bytes<1>>,
        /// The name the source had before, whose state and ids it takes over.
        was: Option<Located<Name>>,
    }
}

/// The kinds of source in this version.
pub const KINDS: [&str; 7] = ["folder", "ftp", "sftp", "sqlite", "postgres", "mysql", "odbc"];

/// The kinds the design has beside them.
const KINDS_LATER: [&str; 2] = ["api", "webhook"];

/// What one kind of source made of its keys.
pub struct KindDraft {
    /// The kind's settings; `None` when something needed was missing or wrong, which was reported.
    pub kind: Option<SourceKind>,
    /// How often it is polled.
    pub every: Located<Wait>,
    /// The brake on new entries.
    pub max_new: Option<u64>,
    /// What is done with its files afterwards.
    pub takes_away: Option<(Located<OnDelivered>, Located<OnDead>)>,
}

/// A source as it was read, with the places that checks across sections report.
pub struct SourceDraft {
    /// Its name.
    pub name: String,
    /// Where its section begins.
    pub place: Place,
    /// The key that names sinks (`source.orders.to`) and the sinks, with their places.
    pub sinks: Vec<(String, Located<Name>)>,
    /// The name it had before.
    pub was: Option<Located<Name>>,
    /// What is done with its files afterwards.
    pub takes_away: Option<(Located<OnDelivered>, Located<OnDead>)>,
    /// The settings; `None` when something was missing or wrong, which was reported.
    pub settings: Option<SourceSettings>,
}

/// Reads the section of the source `name`; `servers` are those it may name.
pub fn read(name: &str, place: &Place, table: &Table, servers: &[ServerDraft], reading: &mut Reading) -> SourceDraft {
    let path = format!("source.{}", written_key(name));
    let section = SectionPath { header: format!("[{path}]"), path: path.clone(), name: name.to_owned() };
    let inherited = server::inherit(table, servers);
    let mut keys = Keys::of_section(section, place, &inherited.table);
    let kind = read_kind(&mut keys, &KINDS, &KINDS_LATER, reading);
    let common: SourceSection = keys.read(reading);
    let draft = match kind.as_deref() {
        Some("folder") => Some(folder::read(&mut keys, reading)),
        Some("ftp") => {
            let remote = Remote { inherited: &inherited, servers, kind: "ftp" };
            Some(ftp::read(&mut keys, &remote, reading))
        }
        Some("sftp") => {
            let remote = Remote { inherited: &inherited, servers, kind: "sftp" };
            Some(sftp::read(&mut keys, &remote, reading))
        }
        Some("sqlite") => Some(table::read_sqlite(&mut keys, reading)),
        Some("postgres") => Some(table::read_postgres(&mut keys, reading)),
        Some("mysql") => Some(mysql::read(&mut keys, reading)),
        Some("odbc") => Some(odbc::read(&mut keys, reading)),
        _ => None,
    };
    let calendar: CalendarSection = keys.read(reading);
    let routes = route::read_all(&mut keys, reading);
    let sinks = sinks_named(&path, &common, &routes);
    check_addressees(&path, &common, &keys, reading);
    let Some(draft) = draft else {
        // Which keys a source of an unknown kind may have can't be said.
        let (place, was) = (place.clone(), common.was);
        return SourceDraft { name: name.to_owned(), place, sinks, was, takes_away: None, settings: None };
    };
    let schedule = schedule::schedule(&draft.every, &calendar, &keys, reading);
    keys.finish(reading);
    let settings = draft.kind.map(|kind| SourceSettings {
        name: SourceName::new(name),
        was: common.was.as_ref().map(|was| SourceName::new(was.value.0.as_str())),
        to: common.to.iter().flat_map(|to| &to.value.0).map(|to| SinkName::new(to.value.0.as_str())).collect(),
        routes: routes.into_iter().map(|route| route.route).collect(),
        unrouted: common.unrouted.map_or(Unrouted::Degrade, |unrouted| unrouted.value),
        schedule,
        max_new: draft.max_new,
        poll_timeout: common.poll_timeout.map(|span| span.0),
        max_size: common.max_size.map(|size| size.0),
        kind,
    });
    let (place, takes_away) = (place.clone(), draft.takes_away);
    SourceDraft { name: name.to_owned(), place, sinks, was: common.was, takes_away, settings }
}

/// Reads `kind`; one that is not among `kinds` is reported.
pub fn read_kind(keys: &mut Keys<'_>, kinds: &[&str], later: &[&str], reading: &mut Reading) -> Option<String> {
    let path = keys.path();
    let known = alternatives(kinds.iter().copied());
    let Some(node) = keys.take("kind") else {
        reading.missing(&keys.place.clone(), format!("{path} has no \"kind\"; add kind = {known}"));
        return None;
    };
    let at = keys.at("kind", node, Quoting::Value);
    let kind = reading.parsed(&at, |text| {
        if kinds.contains(&text) {
            return Ok(text.to_owned());
        }
        if later.contains(&text) {
            return Err(format!("is not available in this version; write {known}"));
        }
        Err(match nearest::nearest(text, kinds.iter().chain(later).copied()) {
            Some(meant) => format!("is not a kind known here; did you mean \"{meant}\"? Known are {known}"),
            None => format!("is not a kind known here; write {known}"),
        })
    })?;
    reading.note(&at, written_text(&kind), None);
    Some(kind)
}

fn sinks_named(path: &str, common: &SourceSection, routes: &[route::RouteDraft]) -> Vec<(String, Located<Name>)> {
    let to = common.to.iter().flat_map(|to| &to.value.0).map(|sink| (format!("{path}.to"), sink.clone()));
    let routed = routes.iter().enumerate().flat_map(|(index, route)| {
        let key = format!("{path}.route[{}].to", index + 1);
        route.sinks.iter().map(move |sink| (key.clone(), sink.clone()))
    });
    to.chain(routed).collect()
}

/// Every source says where its events go: by `to` or by routes, not by both.
fn check_addressees(path: &str, common: &SourceSection, keys: &Keys<'_>, reading: &mut Reading) {
    match (&common.to, keys.has("route")) {
        (Some(to), true) => {
            reading.problem(&to.place, format!("{path}.to and its routes exclude each other; remove one of them"));
        }
        (None, false) if !keys.has("to") => {
            let remedy = format!("add to = [\"SINK\"] or a [[{path}.route]]");
            reading.missing(&keys.place, format!("{path} names no sink; {remedy}"));
        }
        _ => {}
    }
    if let (Some(unrouted), false) = (&common.unrouted, keys.has("route")) {
        let rule = "unrouted has no effect without routes; remove it or add one";
        reading.problem(&unrouted.place, format!("{path}.{rule}"));
    }
}

/// How many new entries one poll may bring before the source is held; `None` for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake(pub Option<u64>);

impl Setting for Brake {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        match &at.node.value {
            Value::Whole(number) if *number >= 1 => u64::try_from(*number).ok().map(|number| Self(Some(number))),
            Value::Text(text) if text == "none" => Some(Self(None)),
            Value::Unknown => None,
            _ => {
                reading.reject(at, "is no limit; write a whole number from 1, or \"none\"");
                None
            }
        }
    }

    fn shown(&self) -> Option<String> {
        Some(self.0.map_or_else(|| written_text("none"), |number| number.to_string()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "enum": ["none"] }] })
    }
}
