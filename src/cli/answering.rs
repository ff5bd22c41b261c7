//! Asking for a change: through the running process or under the lock, as `app` decides; and telling what came of it.

use super::exit_code::Exit;
use super::failure::Outcome;
use super::output::Out;
use crate::app;
use crate::config::Config;
use crate::web::{Answer, Request};

/// Asks, and tells the lines of the answer; `done` is told when it has none.
pub fn ask(config: &Config, request: Request, done: &str) -> Outcome {
    tell(&app::command(config, request)?, done)
}

/// Tells the lines of an answer; `done` when it has none.
pub fn tell(answer: &Answer, done: &str) -> Outcome {
    let mut out = Out::stdout();
    if answer.lines.is_empty() {
        out.line(done)?;
    }
    for line in &answer.lines {
        out.line(super::output::safe(line))?;
    }
    out.flush()?;
    Ok(Exit::CLEAN)
}
