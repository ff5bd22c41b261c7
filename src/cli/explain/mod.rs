//! `highwater explain`: the whole story of one file or row, also of one never seen.

pub mod place;
mod story;

use std::ffi::OsString;
use std::path::Path;

use super::context::{Context, source_named};
use super::exit_code::{Ending, Exit};
use super::failure::{Failure, Outcome};
use super::filter::key;
use super::output::{Out, safe};
use crate::app;
use crate::change::Key;
use crate::config::Config;
use crate::setting::SourceName;
use crate::source::settings::SourceKind;

/// Tell the whole story of one file or row, also of one never seen
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Says what the source makes of it now, what is known of it, its events with their deliveries and attempts, what holds them,
and when they are tried again.

Examples:
  highwater explain orders 2026/orders-17.csv
  highwater explain /srv/drop/orders/2026/orders-17.csv
  highwater explain customers 4711")]
#[command(override_usage = "highwater explain [OPTIONS] <SOURCE> <KEY>\n       highwater explain [OPTIONS] <PATH>")]
pub struct Args {
    /// The source; or the path of a file, when no key follows
    #[arg(value_name = "SOURCE|PATH")]
    first: OsString,

    /// The key: a path below the source's root, or a row's key
    #[arg(value_name = "KEY")]
    key: Option<OsString>,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let wanted = self.wanted(&config)?;
        let records = context.records_if_any(&config)?;
        let mut out = Out::stdout();
        let mut ending = Ending::Clean;
        for (source, key) in wanted {
            out.line(format_args!("source {source}, key {}", key.shown()))?;
            let now = app::explain(&config, &source, &key);
            match &now {
                Ok(lines) => story::print("now", lines.iter().map(|line| safe(line)), &mut out)?,
                Err(error) => {
                    story::print("now", [format!("can't be looked at: {}", safe(&error.to_string()))], &mut out)?;
                    ending = Ending::SourceTrouble;
                }
            }
            match &records {
                Some(records) => story::tell(&**records, &source, &key, context.now(), &mut out)?,
                None => story::print("known", ["nothing: there is no store yet"], &mut out)?,
            }
        }
        out.flush()?;
        Ok(Exit::from(ending))
    }

    /// The source and key meant. A path may belong to several sources.
    fn wanted(&self, config: &Config) -> Result<Vec<(SourceName, Key)>, Failure> {
        if let Some(typed) = &self.key {
            let name = self.first.to_string_lossy();
            let source = source_named(config, &name)?;
            let root = config.sources.iter().find(|each| each.name == source).and_then(|each| root_of(&each.kind));
            let path = Path::new(typed);
            let below = root.filter(|_| path.is_absolute()).and_then(|root| place::key_below(root, path));
            return Ok(vec![(source, below.unwrap_or_else(|| key(typed)))]);
        }
        let path = Path::new(&self.first);
        let roots = config.sources.iter().filter_map(|source| Some((source, root_of(&source.kind)?)));
        let below = roots.filter_map(|(source, root)| Some((source.name.clone(), place::key_below(root, path)?)));
        let wanted: Vec<_> = below.collect();
        if wanted.is_empty() {
            let name = self.first.to_string_lossy();
            if source_named(config, &name).is_ok() {
                return Err(Failure::usage(format!("which file or row of {name}? write its key behind the source")));
            }
            let path = path.display();
            return Err(Failure::usage(format!("{path} is below no source's folder; write SOURCE KEY")));
        }
        Ok(wanted)
    }
}

fn root_of(kind: &SourceKind) -> Option<&Path> {
    match kind {
        SourceKind::Folder(folder) => Some(&folder.path),
        _ => None,
    }
}
