//! Progress of long looks, on a terminal only. How far a look has come is told by the source.

use std::borrow::Cow;
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

/// Prints lines for the person who watches, between the bars; on a terminal cut to its width, so that each event stays
/// one line. A reader that left is no reason to stop delivering.
pub fn say(context: &Context) -> Say {
    let bars = context.bars().cloned();
    Arc::new(move |line: &str| {
        let line = match rustix::termios::tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_col > 0 => fitted(line, usize::from(size.ws_col)),
            _ => line.into(),
        };
        let print = || drop(writeln!(std::io::stdout(), "{line}"));
        match &bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    })
}

/// The line, or as much of it as fits.
fn fitted(line: &str, width: usize) -> Cow<'_, str> {
    if line.chars().count() <= width {
        return line.into();
    }
    let kept: String = line.chars().take(width.saturating_sub(3)).collect();
    format!("{kept}...").into()
}

/// The line of one source's looks on the terminal; there only while a look is long.
#[derive(Debug)]
struct Bar {
    bars: MultiProgress,
    source: SourceName,
    look: Mutex<Option<Look>>,
}

/// A look that goes on.
#[derive(Debug)]
struct Look {
    began: Instant,
    drawn: Option<Instant>,
    bar: Option<ProgressBar>,
    listed: u64,
    read: u64,
    bytes: u64,
}

impl Look {
    fn begin() -> Self {
        Self { began: Instant::now(), drawn: None, bar: None, listed: 0, read: 0, bytes: 0 }
    }

    fn message(&self, source: &SourceName) -> String {
        let (listed, read, bytes) = (HumanCount(self.listed), HumanCount(self.read), HumanBytes(self.bytes));
        format!("{source}: {listed} seen, {read} read, {bytes}")
    }
}

impl Bar {
    fn new(bars: MultiProgress, source: &SourceName) -> Self {
        Self { bars, source: source.clone(), look: Mutex::new(None) }
    }
}

impl Progress for Bar {
    fn advance(&self, listed: u64, read: u64, bytes: u64) {
        let Ok(mut look) = self.look.lock() else { return };
        let look = look.get_or_insert_with(Look::begin);
        look.listed += listed;
        look.read += read;
        look.bytes += bytes;
        let now = Instant::now();
        let early = now.duration_since(look.began) < SHOWN_AFTER;
        if early || look.drawn.is_some_and(|drawn| now.duration_since(drawn) < DRAWN_EVERY) {
            return;
        }
        look.drawn = Some(now);
        let message = look.message(&self.source);
        let bar = look.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").expect("a valid template");
            self.bars.add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(message);
        bar.tick();
    }

    fn end(&self) {
        let look = self.look.lock().ok().and_then(|mut look| look.take());
        if let Some(bar) = look.and_then(|look| look.bar) {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_terminal() {
        assert_eq!(fitted("zwölf Zeichen", 13), "zwölf Zeichen");
        assert_eq!(fitted("zwölf Zeichen", 8), "zwölf...");
    }

    #[test]
    fn a_look_adds_up_and_is_told_in_one_line() {
        let source = SourceName::new("orders");
        let bar = Bar::new(MultiProgress::new(), &source);
        bar.advance(1_200_000, 300, 2 * 1024 * 1024);
        bar.advance(0, 50, 1024 * 1024);
        let line = bar.look.lock().expect("no panic").as_ref().map(|look| look.message(&source));
        assert_eq!(line.as_deref(), Some("orders: 1,200,000 seen, 350 read, 3.00 MiB"));
    }

    #[test]
    fn a_short_look_shows_nothing_and_each_look_begins_at_zero() {
        let bar = Bar::new(MultiProgress::new(), &SourceName::new("orders"));
        bar.advance(1, 1, 1);
        assert!(bar.look.lock().expect("no panic").as_ref().is_some_and(|look| look.bar.is_none()));
        bar.end();
        assert!(bar.look.lock().expect("no panic").is_none());
    }
}
