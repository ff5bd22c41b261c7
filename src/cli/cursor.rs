//! `highwater cursor`: where a source has got to, and what an operator may do about it.

use super::context::{Context, source_named};
use super::exit_code::Exit;
use super::failure::Outcome;
use super::output::{Out, safe};
use crate::setting::SourceName;
use crate::store::Operation;
use crate::web::Request;

/// Show or change where a source has got to; accept what holds it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  highwater cursor orders                 where it has got to
  highwater cursor orders accept          what holds it is wanted: the next poll goes on
  highwater cursor customers set '{\"updated_at\":\"2026-11-01T00:00:00Z\"}'")]
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
    /// Forget cursor and listing; unchanged entries are still not told again
    Reset,
    /// Go on from this cursor
    Set {
        /// The cursor in the source's own words, as `show` prints it
        value: String,
    },
    /// What holds the source is wanted: the next poll goes on
    Accept,
    /// What holds the source is not wanted: it is remembered without being told
    Skip,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let name = source_named(&config, &self.source)?;
        let source = self.source;
        let (operation, done) = match self.action.unwrap_or(Action::Show) {
            Action::Show => return show(context, &config, &name),
            Action::Reset => {
                (Operation::CursorReset { source }, format!("{name} begins anew; what is known stays known"))
            }
            Action::Set { value } => {
                let done = format!("{name} goes on from {}", safe(&value));
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

fn show(context: &Context, config: &crate::config::Config, name: &SourceName) -> Outcome {
    let record = match context.records_if_any(config)? {
        Some(records) => records.sources()?.into_iter().find(|source| source.name == *name),
        None => None,
    };
    let mut out = Out::stdout();
    match record.and_then(|record| record.cursor) {
        Some(cursor) => out.line(cursor)?,
        None => {
            super::failure::say(&format!("{name} has no cursor yet"));
            true
        }
    };
    out.flush()?;
    Ok(Exit::CLEAN)
}
