//! `highwater peek`: what would be reported now, or is filtered out. Changes nothing.

use serde_json::json;

use super::context::{Context, source_named};
use super::exit_code::Exit;
use super::failure::{Failure, Outcome, say};
use super::filter::LIMIT;
use super::listing::{Listing, counted, time};
use super::output::{Out, safe};
use crate::app::{self, Peeked};
use crate::error::Result;

/// Show what a source would report now, or filters out; change nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json each line is a CloudEvent exactly as it would be delivered. Entries that wait or are refused are named on
standard error.

Examples:
  highwater peek orders
  highwater peek orders --ignored          what the filters take out, and which filter
  highwater peek orders --limit 0 --json   everything, for a program")]
pub struct Args {
    /// The source
    source: String,

    /// At most so many; 0 shows all
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,

    /// Show what filters take out instead
    #[arg(long)]
    ignored: bool,

    /// One JSON value per line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        let config = context.config()?;
        let source = source_named(&config, &self.source)?;
        let mut out = Out::stdout();
        let mut shown = Shown::new(&self, &mut out);
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        app::peek(&config, &source, limit, self.ignored, &mut |peeked| shown.one(peeked)).map_err(Failure::Source)?;
        shown.end()?;
        out.flush()?;
        Ok(Exit::CLEAN)
    }
}

struct Shown<'a, 'b> {
    out: &'a mut Out<'b>,
    listing: Option<Listing>,
    ignored: bool,
    limit: usize,
    told: usize,
    waiting: u64,
    refused: u64,
}

impl<'a, 'b> Shown<'a, 'b> {
    fn new(args: &Args, out: &'a mut Out<'b>) -> Self {
        let header: &[&str] = if args.ignored { &["KEY", "WHY"] } else { &["KEY", "TYPE", "REVISION", "TIME", "ID"] };
        let listing = (!args.json).then(|| Listing::new(header, if args.ignored { &[] } else { &[2] }));
        Self { out, listing, ignored: args.ignored, limit: args.limit, told: 0, waiting: 0, refused: 0 }
    }

    fn one(&mut self, peeked: Peeked) -> Result<bool> {
        match peeked {
            Peeked::Event(event) => {
                let cells = || {
                    let time = time(Some(event.time));
                    vec![event.key.shown(), event.type_name(), event.revision.to_string(), time, event.id.to_string()]
                };
                self.tell(cells, &event.body)
            }
            Peeked::Ignored(key, why) => {
                let json = json!({"key": key.shown(), "key_b64": key.exact_base64(), "why": why}).to_string();
                self.tell(|| vec![key.shown(), safe(&why)], json.as_bytes())
            }
            Peeked::Waiting(waiting) => {
                self.waiting += 1;
                let until =
                    waiting.until.map(|at| format!("; looked at again at {}", time(Some(at)))).unwrap_or_default();
                self.note("waits", &waiting.key.shown(), &format!("{}{until}", waiting.reason), self.waiting)
            }
            Peeked::Refused(key, why) => {
                self.refused += 1;
                self.note("refused", &key.shown(), &why, self.refused)
            }
        }
    }

    fn tell(&mut self, cells: impl FnOnce() -> Vec<String>, json: &[u8]) -> Result<bool> {
        self.told += 1;
        match &mut self.listing {
            Some(listing) => listing.row(cells(), self.out),
            None => Ok(self.out.bytes(json)? && self.out.bytes(b"\n")?),
        }
    }

    fn note(&self, what: &str, key: &str, why: &str, count: u64) -> Result<bool> {
        if !self.ignored && (self.limit == 0 || count <= self.limit as u64) {
            say(&format!("{what}: {key}: {}", safe(why)));
        }
        Ok(true)
    }

    fn end(self) -> Result<()> {
        if let Some(listing) = self.listing {
            listing.end(self.out)?;
        }
        self.out.flush()?;
        if self.limit > 0 && self.told >= self.limit {
            say(&format!("the first {} are shown; --limit 0 shows all", self.limit));
        } else if self.told == 0 {
            say(if self.ignored { "nothing is filtered out" } else { "nothing new" });
        }
        if !self.ignored && self.waiting + self.refused > 0 {
            let counts = [(self.waiting, "not ready"), (self.refused, "refused")];
            let told = counts.iter().filter(|(count, _)| *count > 0);
            let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", counted(*count, "entry"))).collect();
            say(&told.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Key;

    #[test]
    fn what_filters_take_out_is_told_with_the_filter() {
        let args = Args { source: "orders".into(), limit: 0, ignored: true, json: true };
        let mut bytes = Vec::new();
        let mut out = Out::to(&mut bytes);
        let mut shown = Shown::new(&args, &mut out);
        shown.one(Peeked::Ignored(Key::from("a.tmp"), "exclude \"*.tmp\"".into())).expect("told");
        shown.end().expect("ends");
        drop(out);
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text, "{\"key\":\"a.tmp\",\"key_b64\":null,\"why\":\"exclude \\\"*.tmp\\\"\"}\n");
    }
}
