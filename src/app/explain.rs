//! What a source says of one key now, for `explain`; what is stored of it is told by the command itself.

use super::house::{runtime, visiting};
use super::peek::settings_of;
use super::records;
use crate::change::Key;
use crate::config::Config;
use crate::error::Result;
use crate::setting::SourceName;

/// Lines for people: filters that apply, readiness, whether it is there.
///
/// # Errors
/// There is no such source, or the place can't be looked at.
pub fn explain(config: &Config, name: &SourceName, key: &Key) -> Result<Vec<String>> {
    let settings = settings_of(config, name)?;
    let runtime = runtime()?;
    // Without a store, or while it can't be read, the place itself is all there is to ask.
    let stored = records(config).and_then(|records| records.sources()).unwrap_or_default();
    let cursor = stored.into_iter().find(|record| record.name == *name).and_then(|record| record.cursor);
    visiting(config, settings, &runtime)?.explain_from(key, cursor.as_deref())
}
