//! `highwater status`: sources, sinks and backlog; what is held, why, and the command that ends it.

mod nagios;
mod report;
mod screen;

use std::time::Duration;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::{Failure, Outcome, say};
use super::output::Out;
use crate::clock::Stop;
use crate::config::Config;
use crate::error::Result;
use crate::setting::Interval;
use crate::web::{self, Request};
use report::Report;

/// How long the running process may take to say who it is.
const PING_WAIT: Duration = Duration::from_secs(2);

const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// Show sources, sinks and backlog: what is held, why, and the command that ends it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
--json prints one object:
  {\"sources\":[{\"name\",\"kind\",\"state\",\"held\",\"known\",\"waiting\",\"events\",\"refused\",\"last_poll\",\"last_error\",\"cursor\",
    \"settled\":{\"mode\",\"safe\",\"lag_ms\",\"held_by\",\"late_found\",\"pace\"}}],
   \"sinks\":[{\"name\",\"kind\",\"state\",\"held\",\"pending\",\"retrying\",\"dead\",\"delivered\"}]}
A source is new, ok, degraded, failing, held, paused or gone; a sink is ok, failing, open, held, paused or gone.

--check prints one line and ends with 0 (ok), 1 (warning) or 2 (critical), as Nagios and its relatives expect.

Examples:
  highwater status
  highwater status --watch
  highwater status --check --max-age 15m")]
pub struct Args {
    /// Draw it again each second until Ctrl-C
    #[arg(long, conflicts_with_all = ["check", "json"])]
    watch: bool,

    /// One line and the exit codes of Nagios: 0, 1, 2
    #[arg(long, conflicts_with = "json")]
    check: bool,

    /// With --check: critical when a source was not polled well for so long
    #[arg(long, value_name = "SPAN", requires = "check")]
    max_age: Option<Interval>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self, context: &Context) -> Outcome {
        if self.check {
            return Ok(self.check(context));
        }
        let config = context.config_to_read()?;
        if self.watch {
            return watch(context, &config);
        }
        let mut out = Out::stdout();
        let report = load(context, &config)?;
        if self.json {
            out.json(&report)?;
        } else {
            screen::print(&report, &process(&config), &mut out)?;
        }
        out.flush()?;
        Ok(Exit::CLEAN)
    }

    /// Whatever goes wrong is critical too: a monitor knows no other codes.
    fn check(&self, context: &Context) -> Exit {
        let max_age = self.max_age.map(Interval::duration);
        let checked = context
            .config_to_read()
            .and_then(|config| load(context, &config))
            .map(|report| nagios::check(&report, max_age, context.now()))
            .unwrap_or_else(|failure| nagios::Check::unknown(&failure.lines().join("; ")));
        let mut out = Out::stdout();
        if let Err(error) = out.line(&checked.line).and_then(|_| out.flush()) {
            say(&format!("highwater: {error}"));
        }
        Exit(checked.code)
    }
}

fn load(context: &Context, config: &Config) -> Result<Report, Failure> {
    let records = context.records_if_any(config)?;
    let (sources, sinks) = match &records {
        Some(records) => (records.sources()?, records.sinks()?),
        None => (Vec::new(), Vec::new()),
    };
    Ok(report::of(config, &sources, &sinks, context.now()))
}

/// Who runs, in one line.
fn process(config: &Config) -> String {
    match web::ask(&config.state.path, &Request::Ping, PING_WAIT) {
        Ok(answer) => {
            let fact = |name: &str| answer.value[name].to_string().trim_matches('"').to_owned();
            format!("running: pid {}, version {}, since {}", fact("pid"), fact("version"), fact("since"))
        }
        Err(_) => match crate::store::lock::holder(&config.state.path) {
            Some(note) => format!("running: {note}"),
            None => "not running: \"highwater run\" starts it".into(),
        },
    }
}

fn watch(context: &Context, config: &Config) -> Outcome {
    let stop = Stop::new();
    super::signals::raise(&stop)?;
    let mut out = Out::stdout();
    loop {
        let report = load(context, config)?;
        let mut drawn = Vec::new();
        screen::print(&report, &process(config), &mut Out::to(&mut drawn))?;
        // Home, then clear to the end: clearing first would flicker.
        out.bytes(b"\x1b[H\x1b[J")?;
        out.bytes(&drawn)?;
        if !out.flush()? || stop.wait(REDRAW_EVERY) {
            return Ok(Exit::CLEAN);
        }
    }
}
