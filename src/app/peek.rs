//! `peek`: what a source would report now. Works beside a running process, and before there is any store.

use std::sync::Arc;

use super::house::{facts_of, runtime, visiting};
use super::{Peeked, records};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{self, SourcePlan};
use crate::setting::SourceName;
use crate::source::settings::SourceSettings;
use crate::store::sqlite::SqliteStore;
use crate::store::{Records, SourceRegistration, Store};

/// Hands at most `limit` things that would be reported to `each`; with `ignored`, what filters take out instead.
///
/// # Errors
/// The place can't be looked at.
pub fn peek(
    config: &Config,
    name: &SourceName,
    limit: usize,
    ignored: bool,
    each: &mut dyn FnMut(Peeked) -> Result<bool>,
) -> Result<()> {
    let settings = settings_of(config, name)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let scratch = tempfile::tempdir().map_err(|e| Error::io("make a temporary folder", e))?;
    let records = match records(config) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::NotFound => blank(scratch.path(), settings, &*clock)?,
        Err(error) => return Err(error),
    };
    let lease = match records.lease(name, clock.now()) {
        Ok(lease) => lease,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            blank(scratch.path(), settings, &*clock)?.lease(name, clock.now())?
        }
        Err(error) => return Err(error),
    };
    let runtime = runtime()?;
    let mut source = visiting(config, settings, &runtime)?;
    let plan = SourcePlan::new(settings, &config.state.instance, &facts_of(config))?;
    let wanted = if ignored { usize::MAX } else { limit };
    let looked = poll::peek(&mut *source, &plan, &*records, lease, &*clock, wanted, &mut |peeked| match peeked {
        _ if ignored => Ok(true),
        poll::Peeked::Event(event) => each(Peeked::Event(event)),
        poll::Peeked::Refused(key, reason) => each(Peeked::Refused(key, reason)),
    })?;
    if ignored {
        for (key, why) in looked.ignored_shown.into_iter().take(limit) {
            if !each(Peeked::Ignored(key, why))? {
                break;
            }
        }
        return Ok(());
    }
    for waiting in looked.waiting_shown {
        if !each(Peeked::Waiting(waiting))? {
            break;
        }
    }
    Ok(())
}

/// The settings of a source by name.
pub fn settings_of<'a>(config: &'a Config, name: &SourceName) -> Result<&'a SourceSettings> {
    let missing = || Error::new(ErrorKind::Usage, format!("there is no source \"{name}\" in the configuration"));
    config.sources.iter().find(|s| s.name == *name).ok_or_else(missing)
}

/// An empty store in a temporary folder: for a source that was never polled.
fn blank(folder: &std::path::Path, settings: &SourceSettings, clock: &dyn Clock) -> Result<Box<dyn Records>> {
    let store = SqliteStore::open(&folder.join("blank.db"))?;
    let registration = SourceRegistration { name: settings.name.clone(), was: None, kind: settings.kind.as_str() };
    store.register(&[registration], &[], clock.now())?;
    store.records()
}
