//! What a directory source says of one key and of itself, in lines for people. It looks, and changes nothing.

use super::local::LocalFolder;
use super::place::{Directory, Listing, Shape};
use super::tracker::Tracker;
use crate::change::Key;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::setting::Interval;
use crate::source::settings::AfterAction;

impl Tracker {
    /// Whether a key is there, which filter takes it out, and what it waits for.
    pub fn explain(&self, directory: &dyn Directory, key: &Key) -> Result<Vec<String>> {
        let path = key.as_bytes();
        let filters = &self.rules.filters;
        let found = directory.look(path)?;
        let mut lines = vec![match &found {
            None => "it is not there now".to_owned(),
            Some(found) if found.shape == Shape::Folder => {
                "it is a folder; its files have keys of their own".to_owned()
            }
            Some(found) if found.shape == Shape::Other => {
                "it is a link or a special file, which is passed over".to_owned()
            }
            Some(found) => {
                let modified = Timestamp::from_nanos(found.tuple.mtime_ns).whole_millis();
                format!("it is there: {} bytes, modified {modified}", found.tuple.size)
            }
        }];
        let why = match &found {
            Some(found) if found.shape == Shape::Folder => filters.why_not_folder(path),
            _ => filters.why_not_file(path),
        };
        match filters.why_not_above(path).or(why) {
            Some(why) => lines.push(format!("filters take it out: {why}")),
            None => lines.push("filters let it in".to_owned()),
        }
        let place = filters.claim().map(|claim| Key::from(claim.path_of(path)));
        for key in [Some(key), place.as_ref()].into_iter().flatten() {
            if let Some(waits) = self.room.get(key) {
                let why = waits.why.text(self.rules.stable_for());
                lines.push(format!("{} waits since {}: {why}", key.shown(), waits.since));
            }
        }
        if found.is_some_and(|found| found.shape == Shape::File) {
            lines.push(self.demands());
        }
        Ok(lines)
    }

    /// What is asked of a file before it is told.
    fn demands(&self) -> String {
        let settings = &self.rules.settings;
        let mut demands = vec![format!("stand still for {}", Interval::from(self.rules.stable_for()))];
        demands.extend(settings.marker.iter().map(|marker| format!("have the marker {marker}")));
        demands.extend(settings.checksum.iter().map(|checksum| format!("match the checksum in {checksum}")));
        demands.extend(settings.ends_with.iter().map(|ending| format!("end with \"{ending}\"")));
        demands.extend(self.rules.max_size.iter().map(|max| format!("have at most {max}")));
        format!("to be told it must {}", demands.join(", "))
    }

    /// Tries the root, for `check --connect`.
    pub fn probe(&self, directory: &mut LocalFolder) -> Result<Vec<String>> {
        directory.arrive()?;
        let (mut entries, mut taken) = (0_u64, 0_u64);
        let listing = directory.list(b"", &mut |listed| {
            entries += 1;
            let takes = listed.found.shape == Shape::File && self.rules.filters.why_not_file(listed.name).is_none();
            taken += u64::from(takes);
            Ok(())
        })?;
        let path = directory.path().display();
        let mut lines = Vec::new();
        if listing == Listing::Complete {
            lines.push(format!("{path} can be read; entries at its top: {entries}, of them files to be told: {taken}"));
        }
        let settings = &self.rules.settings;
        let acts = [&settings.on_delivered, &settings.on_dead].into_iter().any(|action| *action != AfterAction::Keep);
        if acts && !directory.is_writable() {
            lines.push(format!("{path} may not be written: after-actions will fail; give this user write permission"));
        }
        Ok(lines)
    }
}
