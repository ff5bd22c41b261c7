//! `doctor`: tries what a source's place can do and what is safe there, changing nothing that stays.

use super::house::{runtime, visiting};
use super::peek::settings_of;
use crate::config::Config;
use crate::error::Result;
use crate::setting::SourceName;
use crate::source::Finding;

/// What was tried at the place of the source `name`, and how it went.
///
/// # Errors
/// There is no such source, or its place can't be reached.
pub fn doctor(config: &Config, name: &SourceName) -> Result<Vec<Finding>> {
    let settings = settings_of(config, name)?;
    let runtime = runtime()?;
    visiting(config, settings, &runtime)?.examine()
}
