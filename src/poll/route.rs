//! Which sinks an event goes to, and behind which others it waits. Pure, apart from parsing the globs once.

use std::collections::HashMap;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;

use crate::change::{Key, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::{SinkName, SourceName};
use crate::sink::settings::Ordering;
use crate::source::settings::{Route, SourceSettings, Unrouted};
use crate::store::NewDelivery;

/// What a route needs to know of a sink.
#[derive(Debug, Clone, Copy)]
pub struct SinkFacts {
    /// What must go one after the other.
    pub ordering: Ordering,
    /// Whether deliveries carry the content.
    pub takes_content: bool,
    /// The sources that name it pause at this backlog.
    pub max_backlog: u64,
}

/// The sinks of one source.
#[derive(Debug)]
pub struct Routes {
    source: SourceName,
    to: Vec<SinkName>,
    routes: Vec<CompiledRoute>,
    unrouted: Unrouted,
    sinks: HashMap<SinkName, SinkFacts>,
}

#[derive(Debug)]
struct CompiledRoute {
    globs: Option<GlobSet>,
    route: Route,
}

/// Where one event goes.
#[derive(Debug)]
pub enum Destination {
    /// To these sinks.
    Sinks(Vec<NewDelivery>),
    /// No route takes it, which degrades the source.
    Nowhere,
    /// No route takes it, as configured.
    Ignored,
}

/// What a route looks at.
#[derive(Debug, Clone, Copy)]
pub struct Routed<'a> {
    /// The entry's key.
    pub key: &'a Key,
    /// The key before (renamed).
    pub from: Option<&'a Key>,
    /// What happened.
    pub kind: Kind,
    /// The event's JSON.
    pub body: &'a [u8],
}

impl Routes {
    /// The routes of `settings`, with the facts of every sink they name.
    pub fn new(settings: &SourceSettings, sinks: &HashMap<SinkName, SinkFacts>) -> Result<Self> {
        let compile = |route: &Route| -> Result<CompiledRoute> {
            Ok(CompiledRoute { globs: compile_globs(&route.matches)?, route: route.clone() })
        };
        Ok(Self {
            source: settings.name.clone(),
            to: settings.to.clone(),
            routes: settings.routes.iter().map(compile).collect::<Result<_>>()?,
            unrouted: settings.unrouted,
            sinks: sinks.clone(),
        })
    }

    /// Every sink this source can reach.
    pub fn all_sinks(&self) -> impl Iterator<Item = (&SinkName, SinkFacts)> {
        let routed = self.routes.iter().flat_map(|r| &r.route.to);
        self.to.iter().chain(routed).filter_map(|name| self.sinks.get(name).map(|facts| (name, *facts)))
    }

    /// Whether any sink it can reach takes content.
    pub fn takes_content(&self) -> bool {
        self.all_sinks().any(|(_, facts)| facts.takes_content)
    }

    /// Where one event goes: `to`, or the first route that matches.
    pub fn destination(&self, event: Routed<'_>) -> Destination {
        if self.routes.is_empty() {
            return Destination::Sinks(self.deliveries(&self.to, event));
        }
        let parsed = std::cell::OnceCell::new();
        let body = || parsed.get_or_init(|| serde_json::from_slice::<Value>(event.body).unwrap_or(Value::Null));
        match self.routes.iter().find(|r| r.takes(event, &body)) {
            Some(found) => Destination::Sinks(self.deliveries(&found.route.to, event)),
            None if self.unrouted == Unrouted::Ignore => Destination::Ignored,
            None => Destination::Nowhere,
        }
    }

    fn deliveries(&self, to: &[SinkName], event: Routed<'_>) -> Vec<NewDelivery> {
        let one = |name: &SinkName| {
            let ordering = self.sinks.get(name).map_or(Ordering::Key, |facts| facts.ordering);
            NewDelivery {
                sink: name.clone(),
                order: order_key(ordering, &self.source, event.key),
                order_also: event
                    .from
                    .filter(|_| ordering == Ordering::Key)
                    .and_then(|k| order_key(ordering, &self.source, k)),
            }
        };
        to.iter().map(one).collect()
    }
}

impl CompiledRoute {
    fn takes<'v>(&self, event: Routed<'_>, body: &impl Fn() -> &'v Value) -> bool {
        let key = event.key.shown();
        let kind_fits = self.route.types.is_empty() || self.route.types.contains(&event.kind);
        let key_fits = self.globs.as_ref().is_none_or(|globs| globs.is_match(&key) || globs.is_match(name_of(&key)));
        kind_fits && key_fits && self.route.when.iter().all(|(pointer, wanted)| body().pointer(pointer) == Some(wanted))
    }
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn compile_globs(patterns: &[String]) -> Result<Option<GlobSet>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let bad = |e: globset::Error| Error::new(ErrorKind::Config, "a route's match is not a glob").because(e);
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob: Glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(bad)?;
        set.add(glob);
    }
    set.build().map(Some).map_err(bad)
}

/// The number that deliveries with a common order share. FNV-1a over the parts that must agree; two different keys that
/// meet in one number only wait for each other.
fn order_key(ordering: Ordering, source: &SourceName, key: &Key) -> Option<u64> {
    let hash = |parts: [&[u8]; 2]| {
        let bytes = parts.into_iter().flat_map(|part| part.iter().copied().chain([0xff]));
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    match ordering {
        Ordering::None => None,
        Ordering::Sink => Some(0),
        Ordering::Source => Some(hash([source.as_str().as_bytes(), b""])),
        Ordering::Key => Some(hash([source.as_str().as_bytes(), key.as_bytes()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::settings::{FolderSettings, Schedule, SourceKind};
    use std::collections::BTreeMap;

    fn route(matches: &[&str], types: &[Kind], when: &[(&str, Value)], to: &str) -> Route {
        Route {
            matches: matches.iter().map(|m| (*m).to_owned()).collect(),
            types: types.to_vec(),
            when: when.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<BTreeMap<_, _>>(),
            to: vec![SinkName::new(to)],
        }
    }

    fn routes(list: Vec<Route>, unrouted: Unrouted) -> Routes {
        let settings = SourceSettings {
            name: SourceName::new("orders"),
            was: None,
            to: Vec::new(),
            routes: list,
            unrouted,
            schedule: Schedule::Every("5s".parse().expect("valid")),
            max_new: None,
            poll_timeout: None,
            max_size: None,
            kind: SourceKind::Folder(FolderSettings::sample("/tmp")),
        };
        let facts = SinkFacts { ordering: Ordering::Key, takes_content: false, max_backlog: 1 };
        let sinks = ["a", "b"].map(|n| (SinkName::new(n), facts)).into();
        Routes::new(&settings, &sinks).expect("valid globs")
    }

    fn to(routes: &Routes, key: &str, kind: Kind, body: &str) -> Option<String> {
        match routes.destination(Routed { key: &Key::from(key), from: None, kind, body: body.as_bytes() }) {
            Destination::Sinks(deliveries) => deliveries.first().map(|d| d.sink.to_string()),
            Destination::Nowhere => None,
            Destination::Ignored => Some("ignored".into()),
        }
    }

    #[test]
    fn the_first_route_that_matches_wins() {
        let open = ("/data/row/status", Value::from("open"));
        let all = routes(
            vec![route(&["*.csv"], &[Kind::Created], &[], "a"), route(&[], &[], &[open], "b")],
            Unrouted::Degrade,
        );
        assert_eq!(to(&all, "x/1.csv", Kind::Created, "{}").as_deref(), Some("a"));
        assert_eq!(to(&all, "1.csv", Kind::Changed, r#"{"data":{"row":{"status":"open"}}}"#).as_deref(), Some("b"));
        assert_eq!(to(&all, "1.xml", Kind::Created, r#"{"data":{"row":{"status":"done"}}}"#), None);
    }

    #[test]
    fn entries_without_a_route_may_be_ignored() {
        let none = routes(vec![route(&["*.csv"], &[], &[], "a")], Unrouted::Ignore);
        assert_eq!(to(&none, "1.xml", Kind::Created, "{}").as_deref(), Some("ignored"));
    }

    #[test]
    fn what_must_be_ordered_shares_a_number() {
        let (orders, other) = (SourceName::new("orders"), SourceName::new("other"));
        let (k1, k2) = (Key::from("1"), Key::from("2"));
        let key = |s: &SourceName, k: &Key| order_key(Ordering::Key, s, k);
        assert_eq!(key(&orders, &k1), key(&orders, &k1));
        assert_ne!(key(&orders, &k1), key(&orders, &k2));
        assert_ne!(key(&orders, &k1), key(&other, &k1));
        assert_eq!(order_key(Ordering::Source, &orders, &k1), order_key(Ordering::Source, &orders, &k2));
        assert_eq!(order_key(Ordering::Sink, &orders, &k1), order_key(Ordering::Sink, &other, &k2));
        assert_eq!(order_key(Ordering::None, &orders, &k1), None);
    }
}
