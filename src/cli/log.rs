//! The log: text on a terminal, JSON otherwise, always on standard error. What is logged belongs to everyone.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::{Clock, SystemClock};

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Nothing.
    Off,
    /// A person must act.
    Error,
    /// Something failed and is tried again.
    Warn,
    /// Something changed.
    Info,
    /// Every entry.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Who says what came of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// The log.
    Logged,
    /// Lines on the same terminal: the log need not repeat them.
    Told,
}

/// Starts the log. Returns where progress bars can be drawn without log lines tearing them, on a terminal only.
pub fn start(level: Level, attempts: Attempts) -> Option<MultiProgress> {
    let targets = targets(level, attempts);
    if io::stderr().is_terminal() {
        let bars = MultiProgress::new();
        let writer = AroundBars { bars: bars.clone() };
        let text = tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_timer(Seconds)
            .with_writer(move || writer.clone());
        tracing_subscriber::registry().with(text.with_filter(targets)).init();
        Some(bars)
    } else {
        let json =
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_timer(Millis).with_writer(io::stderr);
        tracing_subscriber::registry().with(json.with_filter(targets)).init();
        None
    }
}

/// Libraries are heard from `warn` up only: some print passwords at `trace`.
fn targets(level: Level, attempts: Attempts) -> Targets {
    let ours = level.filter();
    let of_attempts = if attempts == Attempts::Told { LevelFilter::OFF } else { ours };
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("highwater", ours)
        .with_target(crate::delivery::ATTEMPTS, of_attempts)
}

/// Times to the second in UTC, for people.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&super::listing::seconds(SystemClock::new().now()))
    }
}

/// Times to the millisecond in UTC, for programs.
struct Millis;

impl FormatTime for Millis {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&super::listing::millis(SystemClock::new().now()))
    }
}

#[derive(Clone)]
struct AroundBars {
    bars: MultiProgress,
}

impl Write for AroundBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level as At;

    #[test]
    fn libraries_are_capped_at_warn_and_never_louder_than_ours() {
        let loud = targets(Level::Trace, Attempts::Logged);
        assert!(loud.would_enable("highwater::poll", &At::TRACE));
        assert!(!loud.would_enable("suppaftp", &At::INFO) && loud.would_enable("suppaftp", &At::WARN));
        let quiet = targets(Level::Error, Attempts::Logged);
        assert!(loud.would_enable(crate::delivery::ATTEMPTS, &At::WARN));
        assert!(!targets(Level::Trace, Attempts::Told).would_enable(crate::delivery::ATTEMPTS, &At::WARN));
        assert!(!quiet.would_enable("rustls", &At::WARN) && quiet.would_enable("highwater", &At::ERROR));
    }
}
