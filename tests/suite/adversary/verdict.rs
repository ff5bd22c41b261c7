//! What must hold when the writers have gone: every last version told, none twice, none that was never committed, revisions
//! in order, and everything received as it was told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::support::highwater::Output;
use crate::support::receiver::Received;
use crate::support::writers::Committed;

/// One event about one row.
struct Told {
    id: String,
    sequence: String,
    version: String,
    watermark: String,
    revision: u64,
    body: Value,
}

/// All stored events: by source, then by key, in the order they were told.
pub struct Events(BTreeMap<String, BTreeMap<String, Vec<Told>>>);

/// All that is needed to judge.
pub struct Verdict<'a> {
    pub committed: &'a Committed,
    /// Key and version of every row in the end.
    pub rows: &'a [(String, String)],
    pub events: &'a Events,
    pub received: &'a [Received],
}

impl Events {
    pub fn parse(listed: &Output) -> Self {
        let mut events = Self(BTreeMap::new());
        for body in listed.json_lines() {
            let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} of {body}")).to_owned();
            let told = Told {
                id: text("id"),
                sequence: text("sequence"),
                version: body["data"]["row"]["version"].as_str().expect("a version").to_owned(),
                watermark: body["data"]["watermark"].to_string(),
                revision: body["data"]["revision"].as_u64().expect("a revision"),
                body: body.clone(),
            };
            events.0.entry(text("source")).or_default().entry(text("subject")).or_default().push(told);
        }
        for told in events.0.values_mut().flat_map(BTreeMap::values_mut) {
            told.sort_by(|a, b| a.sequence.cmp(&b.sequence));
        }
        events
    }

    pub fn count(&self) -> usize {
        self.all().count()
    }

    /// Each source with the number of its events.
    pub fn sources(&self) -> Vec<String> {
        let count = |keys: &BTreeMap<String, Vec<Told>>| keys.values().map(Vec::len).sum::<usize>();
        let name = |source: &str| source.rsplit('/').next().unwrap_or_default().to_owned();
        self.0.iter().map(|(source, keys)| format!("{} {}", name(source), count(keys))).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Told> {
        self.0.values().flat_map(BTreeMap::values).flatten()
    }
}

impl Verdict<'_> {
    pub fn check(&self) {
        assert!(!self.events.0.is_empty(), "something was told");
        let ids: HashSet<&str> = self.events.all().map(|told| told.id.as_str()).collect();
        assert_eq!(ids.len(), self.events.count(), "every event has an id of its own");
        for (source, keys) in &self.events.0 {
            self.check_nothing_is_lost(source, keys);
            self.check_nothing_is_told_twice(source, keys);
            self.check_nothing_is_made_up(source, keys);
            check_revisions(source, keys);
        }
        self.check_everything_was_received();
    }

    /// The last that was told of every row is what it is now.
    fn check_nothing_is_lost(&self, source: &str, keys: &BTreeMap<String, Vec<Told>>) {
        let lost: Vec<String> = self
            .rows
            .iter()
            .filter_map(|(key, version)| {
                let told: Vec<&str> = keys.get(key).into_iter().flatten().map(|told| told.version.as_str()).collect();
                (told.last() != Some(&version.as_str())).then(|| format!("{key} is {version}, told {told:?}"))
            })
            .collect();
        assert!(
            lost.is_empty(),
            "{source} lost {} of {}: {:#?}",
            lost.len(),
            self.rows.len(),
            &lost[..lost.len().min(20)]
        );
    }

    fn check_nothing_is_told_twice(&self, source: &str, keys: &BTreeMap<String, Vec<Told>>) {
        for (key, told) in keys {
            let versions: BTreeSet<&str> = told.iter().map(|told| told.version.as_str()).collect();
            let bodies: Vec<&Value> = told.iter().map(|told| &told.body).collect();
            assert_eq!(versions.len(), told.len(), "{source} told a version of {key} twice: {bodies:#?}");
        }
    }

    /// What was rolled back, or never written, was never told.
    fn check_nothing_is_made_up(&self, source: &str, keys: &BTreeMap<String, Vec<Told>>) {
        for (key, told) in keys {
            for told in told {
                let known = self.committed.versions.contains(&(key.clone(), told.version.clone()));
                assert!(known, "{source} told {} of {key}, which was never committed", told.version);
            }
        }
    }

    /// At least once, and always with the same bytes under one id.
    fn check_everything_was_received(&self) {
        let mut bodies: HashMap<&str, &[u8]> = HashMap::new();
        for request in self.received {
            let before = bodies.insert(&request.id, &request.body);
            assert!(before.is_none_or(|before| before == request.body), "{} has two bodies", request.id);
        }
        let missing = self.events.all().filter(|told| !bodies.contains_key(told.id.as_str())).count();
        assert_eq!((missing, bodies.len()), (0, self.events.count()), "what was told and what was received");
    }
}

/// They count a key's events; without key tracking, its events at one watermark, from 1 again once that is settled.
fn check_revisions(source: &str, keys: &BTreeMap<String, Vec<Told>>) {
    for (key, told) in keys {
        let mut last: HashMap<&str, u64> = HashMap::new();
        for told in told {
            let tracked = told.body["type"] != "highwater.row.upserted";
            let at = if tracked { "" } else { told.watermark.as_str() };
            let next = last.insert(at, told.revision).unwrap_or_default() + 1;
            let fits = told.revision == next || (!tracked && told.revision == 1);
            assert!(fits, "{source}: {} of {key} has revision {}, not {next}", told.version, told.revision);
        }
    }
}
