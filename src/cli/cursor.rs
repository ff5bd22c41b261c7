//! `highwater cursor`: where a source has got to, and what an operator may do about it.

use std::path::PathBuf;

use super::context::{Context, source_named};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome};
use super::output::{Out, safe};
use crate::config::Config;
use crate::setting::SourceName;
use crate::store::Operation;
use crate::web::Request;

/// Show or change where a source has got to; accept what holds it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater cursor orders                 where it has got to
  highwater cursor orders accept          what holds it is wanted: the next poll goes on
  highwater cursor customers set 2026-11-01    rows with a higher watermark are looked at
  highwater cursor orders seen --from done.txt    what another tool has processed is not told")]
pub struct Args {
    /// The source
    source: String,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Where it has got to, in the source's own words; the default
    Show,
    /// Forget cursor and listing; unchanged entries are still not told again, but rows of a table without `track`
    Reset,
    /// Go on from this cursor
    Set {
        /// A value of the watermark; or the whole cursor, as `show` prints it
        value: String,
    },
    /// What holds the source is wanted: the next poll goes on
    Accept,
    /// What holds the source is not wanted: it is remembered without being told
    Skip,
    /// These keys were processed already: the version found first is remembered without being told
    Seen {
        /// A file with one key a line (a path below the folder, a row's key), or each ended by a NUL; - is standard input
        #[arg(long, value_name = "LIST")]
        from: PathBuf,
    },
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let name = source_named(&config, &self.source)?;
        let source = self.source;
        let (operation, done) = match self.action.unwrap_or(Action::Show) {
            Action::Show => return show(context, &config, &name),
            Action::Seen { from } => return super::seen::hand_over(&config, &name, &from),
            Action::Reset => {
                let told = match config.sources.iter().find(|each| each.name == name).and_then(|each| each.kind.table())
                {
                    // Of rows that are settled nothing is kept.
                    Some(table) if !table.track_keys => "rows that are settled are told again, under their old ids",
                    _ => "what is known stays known",
                };
                (Operation::CursorReset { source }, format!("{name} begins anew; {told}"))
            }
            Action::Set { value } => {
                check_value(&config, &name, &value)?;
                let before = cursor_of(context, &config, &name)?
                    .map_or_else(|| "nowhere".to_owned(), |cursor| format!("'{}'", safe(&cursor)));
                let done = format!("{name} goes on behind {}; it was at {before}", safe(&value));
                (Operation::CursorSet { source, cursor: value }, done)
            }
            Action::Accept => {
                (Operation::CursorAccept { source }, format!("accepted; the next poll of {name} goes on"))
            }
            Action::Skip => {
                (Operation::CursorSkip { source }, format!("skipped; the next poll of {name} only remembers it"))
            }
        };
        super::answering::ask(&config, Request::Operate(operation), &done)
    }
}

/// Only tables have a place to go on from; a cursor that a poll could not read is refused here.
fn check_value(config: &Config, name: &SourceName, value: &str) -> Result<(), Failure> {
    let settings = config.sources.iter().find(|source| source.name == *name);
    if settings.is_some_and(|source| source.kind.table().is_none()) {
        let rule =
            "holds files: what is known of each file decides, not a place; \"reset\" has all of them looked at anew";
        return Err(Failure::usage(format!("{name} {rule}")));
    }
    let json: Option<serde_json::Value> = serde_json::from_str(value).ok();
    let is_unreadable = json.is_some_and(|json| json.is_object() && json.get("v").is_none());
    if value.trim().is_empty() || is_unreadable {
        let rule = "write a value of the watermark, or the whole cursor as \"show\" prints it";
        return Err(Failure::usage(format!("no cursor of {name}; {rule}")));
    }
    Ok(())
}

fn cursor_of(context: &Context, config: &Config, name: &SourceName) -> Result<Option<String>, Failure> {
    let Some(records) = context.records_if_any(config)? else { return Ok(None) };
    let record = records.sources()?.into_iter().find(|source| source.name == *name);
    Ok(record.and_then(|record| record.cursor))
}

fn show(context: &Context, config: &Config, name: &SourceName) -> Outcome {
    let mut out = Out::stdout();
    match cursor_of(context, config, name)? {
        Some(cursor) => out.line(cursor)?,
        None => {
            super::failure::say(&format!("{name} has no cursor yet"));
            true
        }
    };
    out.flush()?;
    Ok(Exit::CLEAN)
}
