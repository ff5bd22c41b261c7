//! `[[source.NAME.route]]`: which entries go to which sinks. Applying routes belongs to `poll`.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::glob::Glob;
use super::list::{AtLeastOne, OneOrMore};
use super::node::{Node, Value, written_text};
use super::reading::{At, Quoting, Reading, SectionPath};
use super::section::{Keys, Located, Required, Setting, section};
use super::value::Name;
use super::word::Words;
use crate::change::Kind;
use crate::setting::SinkName;
use crate::source::settings::{Route, Unrouted};

section! {
    /// One route of a source; the first that matches wins.
    pub struct RouteSection {
        /// Globs of which one must match the key; absent, all keys match.
        matches as "match": Option<OneOrMore<Glob>>,
        /// The kinds of change it takes; absent, all of them.
        types: Option<AtLeastOne<Kind>>,
        /// JSON pointers into the event, and the values they must have.
        when: Option<Conditions>,
        /// The sinks.
        to: Required<AtLeastOne<Located<Name>>> = ["erp"],
    }
}

/// JSON pointers and the values they must have.
#[derive(Debug, Clone, Default)]
pub struct Conditions(BTreeMap<String, serde_json::Value>);

/// A route and where its sinks are named.
pub struct RouteDraft {
    /// What `poll` applies.
    pub route: Route,
    /// The sinks with their places, for the check that they exist.
    pub sinks: Vec<Located<Name>>,
}

/// Reads the list of routes below the source whose keys are `keys`.
pub fn read_all(keys: &mut Keys<'_>, reading: &mut Reading) -> Vec<RouteDraft> {
    let Some(node) = keys.take("route") else { return Vec::new() };
    let path = keys.path();
    let Value::List(list) = &node.value else {
        let at = keys.at("route", node, Quoting::KeyOnly);
        reading.reject(&at, format!("is not a list of tables; write [[{path}.route]]"));
        return Vec::new();
    };
    list.iter().enumerate().filter_map(|(index, node)| read_one(&path, index + 1, keys, node, reading)).collect()
}

fn read_one(path: &str, number: usize, keys: &Keys<'_>, node: &Node, reading: &mut Reading) -> Option<RouteDraft> {
    let Value::Table(table) = &node.value else {
        reading.problem(&node.place, format!("{path}.route is not a list of tables; write [[{path}.route]]"));
        return None;
    };
    let section = SectionPath {
        header: format!("[[{path}.route]]"),
        path: format!("{path}.route[{number}]"),
        name: keys.section.name.clone(),
    };
    let mut keys = Keys::of_section(section, &node.place, table);
    let section: RouteSection = keys.read(reading);
    keys.finish(reading);
    let sinks = section.to.0?.0;
    let route = Route {
        matches: section.matches.map(|globs| globs.0.into_iter().map(|glob| glob.0).collect()).unwrap_or_default(),
        types: section.types.map(|types| types.0).unwrap_or_default(),
        when: section.when.unwrap_or_default().0,
        to: sinks.iter().map(|name| SinkName::new(name.value.0.as_str())).collect(),
    };
    Some(RouteDraft { route, sinks })
}

impl Words for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("created", Self::Created),
        ("changed", Self::Changed),
        ("removed", Self::Removed),
        ("renamed", Self::Renamed),
        ("upserted", Self::Upserted),
        ("received", Self::Received),
    ];
}

impl Words for Unrouted {
    const WORDS: &'static [(&'static str, Self)] = &[("degrade", Self::Degrade), ("ignore", Self::Ignore)];
}

impl Setting for Conditions {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let keys = Keys::of_value(at, reading)?;
        let mut conditions = BTreeMap::new();
        for named in keys.entries() {
            let at = keys.at(&named.key, &named.node, Quoting::Value);
            if !named.key.starts_with('/') {
                let rule = format!("{} is not a JSON pointer; write it like \"/data/row/status\"", at.full_key());
                reading.problem(&named.place, rule);
                continue;
            }
            let value = match &named.node.value {
                Value::Text(text) => text.as_str().into(),
                Value::Whole(number) if i64::try_from(*number).is_ok() => i64::try_from(*number).ok().into(),
                Value::Fraction(number) if number.is_finite() => (*number).into(),
                Value::Flag(flag) => (*flag).into(),
                Value::Unknown => continue,
                _ => {
                    reading.reject(&at, "can't be compared with; write a text, a number, true or false");
                    continue;
                }
            };
            let value: serde_json::Value = value;
            let shown = value.as_str().map_or_else(|| value.to_string(), written_text);
            reading.note(&at, shown, None);
            conditions.insert(named.key.clone(), value);
        }
        Some(Self(conditions))
    }

    fn shown(&self) -> Option<String> {
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^/" },
            "additionalProperties": { "type": ["string", "number", "boolean"] }
        })
    }
}
