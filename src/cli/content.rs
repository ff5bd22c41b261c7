//! `highwater content`: the captured bytes of an event, to standard output.

use std::fs::File;
use std::io::Read;

use super::context::Context;
use super::events::stored;
use super::exit_code::Exit;
use super::failure::Outcome;
use super::filter::event_id;
use super::output::Out;
use crate::change::Content;
use crate::error::{Error, ErrorKind};
use crate::event::EventId;

/// Print the captured bytes of an event
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  highwater content evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4 > orders-17.csv")]
pub struct Args {
    /// The event's id
    #[arg(value_name = "EVENT", value_parser = event_id)]
    event: EventId,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config_to_read()?;
        let records = context.records(&config)?;
        let record = stored(&*records, self.event)?;
        let mut out = Out::stdout();
        match records.content(record.seq)? {
            Some(Content::Inline(bytes)) => {
                out.bytes(&bytes)?;
            }
            Some(Content::Spooled { name, .. }) => {
                let path = config.state.spool.join(name);
                let doing = || format!("read content {}", path.display());
                let mut file = File::open(&path).map_err(|e| Error::io(doing(), e))?;
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let read = file.read(&mut buffer).map_err(|e| Error::io(doing(), e))?;
                    if read == 0 || !out.bytes(&buffer[..read])? {
                        break;
                    }
                }
            }
            None => {
                let why = if record.content_size.is_some() {
                    "its content is not kept any more: every delivery has ended"
                } else {
                    "it has no captured content: no sink takes it, or it is not about a file's content"
                };
                return Err(Error::new(ErrorKind::NotFound, format!("content of {}: {why}", self.event)).into());
            }
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}
