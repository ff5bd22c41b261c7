//! Progress of long looks, on a terminal only. How far a look has come is told by the source.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use super::context::Context;
use crate::app::{ProgressOf, Say};
use crate::setting::SourceName;
use crate::source::{NoProgress, Progress};

/// A look shorter than this shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// How often a bar is drawn again.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Makes the progress of each look, as `app` asks for it.
pub fn of(context: &Context) -> ProgressOf {
    match context.bars().cloned() {
        Some(bars) => {
            Arc::new(move |source: &SourceName| Arc::new(Bar::new(bars.clone(), source)) as Arc<dyn Progress>)
        }
        None => Arc::new(|_: &SourceName| Arc::new(NoProgress) as Arc<dyn Progress>),
    }
}

/// Prints lines for the person who watches, between the bars. A reader that left is no reason to stop delivering.
pub fn say(context: &Context) -> Say {
    let bars = context.bars().cloned();
    Arc::new(move |line: &str| {
        let print = || drop(writeln!(std::io::stdout(), "{line}"));
        match &bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    })
}

/// One look's line on the terminal; gone when it is dropped.
#[derive(Debug)]
struct Bar {
    bars: MultiProgress,
    source: SourceName,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    began: Instant,
    drawn: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Bar {
    fn new(bars: MultiProgress, source: &SourceName) -> Self {
        let shown = Shown { began: Instant::now(), drawn: None, bar: None };
        Self { bars, source: source.clone(), shown: Mutex::new(shown) }
    }
}

impl Progress for Bar {
    fn advance(&self, listed: u64, read: u64, bytes: u64) {
        let Ok(mut shown) = self.shown.lock() else { return };
        let now = Instant::now();
        let early = now.duration_since(shown.began) < SHOWN_AFTER;
        if early || shown.drawn.is_some_and(|drawn| now.duration_since(drawn) < DRAWN_EVERY) {
            return;
        }
        shown.drawn = Some(now);
        let message = message(&self.source, listed, read, bytes);
        let bar = shown.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").expect("a valid template");
            self.bars.add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(message);
        bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let bar = self.shown.get_mut().ok().and_then(|shown| shown.bar.take());
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
}

fn message(source: &SourceName, listed: u64, read: u64, bytes: u64) -> String {
    format!("{source}: {} seen, {} read, {}", HumanCount(listed), HumanCount(read), HumanBytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_told_in_one_line() {
        let line = message(&SourceName::new("orders"), 1_200_000, 350, 3 * 1024 * 1024);
        assert_eq!(line, "orders: 1,200,000 seen, 350 read, 3.00 MiB");
    }

    #[test]
    fn a_short_look_shows_nothing() {
        let bar = Bar::new(MultiProgress::new(), &SourceName::new("orders"));
        bar.advance(1, 1, 1);
        assert!(bar.shown.lock().expect("no panic").bar.is_none());
    }
}
