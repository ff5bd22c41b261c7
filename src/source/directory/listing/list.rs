//! Takes the bytes of an answer to LIST and hands out entries. Formats are in files of their own.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::source::directory::place::{Listed, Listing};
use crate::source::settings::FtpListing;

use super::doubt::Doubts;
use super::format::Format;
use super::lines::{Line, Lines};
use super::row::{Name, Taken, judge_name};
use super::times::Times;
use super::vote::{Ballot, elected, tried};

/// After so many unknown lines in a row another format is thought of.
const LOST_LINES: usize = 16;

/// Takes the bytes of a listing in one of the formats of LIST. It keeps at most a line and what a vote needs.
#[derive(Debug)]
pub struct ListReader {
    lines: Lines,
    reading: Reading,
}

/// Everything behind the cutting of lines.
#[derive(Debug)]
struct Reading {
    times: Times,
    doubts: Doubts,
    /// The format the setting names.
    fixed: Option<FtpListing>,
    /// The format being read; none before the first vote.
    format: Option<Format>,
    /// Lines that wait for the first vote, or that the format did not take, one after the other.
    ballot: Ballot,
    /// Entries handed out since the vote.
    entries: u64,
    /// Whether the lines of a vote are being read: those have had their say.
    voted: bool,
}

/// Takes entries; shorthand.
type Each<'e> = dyn FnMut(Listed<'_>) -> Result<()> + 'e;

impl ListReader {
    /// A reader of listings whose times are those of `zone` (an IANA name), asked for at `now`. `Auto`, `List` and `Mlsd`
    /// leave the format to the vote.
    ///
    /// # Errors
    /// `Config`: there is no such zone.
    pub fn new(format: FtpListing, zone: &str, now: Timestamp) -> Result<Self> {
        let times = Times::new(zone, now)?;
        let fixed = Format::of(format).map(|format| format.names().0);
        let reading = Reading {
            times,
            doubts: Doubts::default(),
            fixed,
            format: None,
            ballot: Ballot::default(),
            entries: 0,
            voted: false,
        };
        Ok(Self { lines: Lines::default(), reading })
    }

    /// Takes the next bytes and hands out the entries that are certain by now.
    ///
    /// # Errors
    /// Only those of `each`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<()> {
        let Self { lines, reading } = self;
        lines.feed(bytes, &mut |line| reading.take(line, each))
    }

    /// Looks for words that the listing is not whole in what the server said at its end.
    pub fn reply(&mut self, text: &[u8]) {
        self.reading.doubts.reply(text);
    }

    /// Decides on the format by the lines that have arrived, and hands out their entries: so that [`Self::format`] is known
    /// before a short listing is finished.
    ///
    /// # Errors
    /// Only those of `each`.
    pub fn settle(&mut self, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<()> {
        if self.reading.format.is_some() { Ok(()) } else { self.reading.settle(each) }
    }

    /// The format that was voted for or set; `None` while there is no vote yet.
    pub fn format(&self) -> Option<FtpListing> {
        self.reading.format.as_ref().map(|format| format.names().0)
    }

    /// How many bytes wait for more.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.lines.kept() + self.reading.ballot.kept() + self.reading.format.as_ref().map_or(0, Format::kept)
    }

    /// Hands out what is left and says how the listing ended.
    ///
    /// # Errors
    /// Only those of `each`.
    pub fn finish(self, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let Self { lines, mut reading } = self;
        if lines.finish(&mut |line| reading.take(line, each))? {
            reading.doubts.notice("the listing ends within a line");
        }
        reading.finish(each)
    }
}

impl Reading {
    fn take(&mut self, line: Line<'_>, each: &mut Each<'_>) -> Result<()> {
        self.doubts.count();
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong(head) => {
                self.doubts.unknown(head);
                return Ok(());
            }
        };
        if self.format.is_some() {
            return self.read(line, each);
        }
        self.ballot.push(line);
        if self.ballot.is_full() { self.settle(each) } else { Ok(()) }
    }

    /// Decides on the format by the lines that wait, and reads them.
    fn settle(&mut self, each: &mut Each<'_>) -> Result<()> {
        let format = match self.fixed.and_then(Format::of) {
            Some(format) => tried(format, &self.ballot, &mut self.times).0,
            None => elected(&self.ballot, &mut self.times).0,
        };
        self.begin(format, each)
    }

    /// Reads the lines that wait with the format they are for.
    fn begin(&mut self, format: Format, each: &mut Each<'_>) -> Result<()> {
        self.format = Some(format);
        let waiting = std::mem::take(&mut self.ballot);
        self.voted = true;
        let read = waiting.lines().try_for_each(|line| self.read(line, each));
        self.voted = false;
        read
    }

    fn read(&mut self, line: &[u8], each: &mut Each<'_>) -> Result<()> {
        let Some(format) = &mut self.format else { return Ok(()) };
        let entries = &mut self.entries;
        let (mut handed, mut bad) = (Ok(()), false);
        let taken = format.take(line, &mut self.times, &mut |row| match judge_name(row.name) {
            Name::Good => {
                *entries += 1;
                if handed.is_ok() {
                    handed = each(Listed { name: row.name, found: row.found });
                }
            }
            Name::Dots => {}
            Name::Bad => bad = true,
        });
        handed?;
        if taken != Taken::Unknown && !bad {
            if taken == Taken::Entry {
                self.give_up();
            }
            return Ok(());
        }
        if self.voted {
            self.doubts.unknown(line);
            return Ok(());
        }
        self.ballot.push(line);
        if self.ballot.len() >= LOST_LINES || self.ballot.is_full() { self.reconsider(each) } else { Ok(()) }
    }

    /// The lines that wait are unknown for good.
    fn give_up(&mut self) {
        for line in self.ballot.lines() {
            self.doubts.unknown(line);
        }
        self.ballot.clear();
    }

    /// Many lines in a row were unknown: when another format takes all of them, or most of them behind a banner, it is
    /// that one from here on.
    fn reconsider(&mut self, each: &mut Each<'_>) -> Result<()> {
        if self.fixed.is_some() {
            self.give_up();
            return Ok(());
        }
        let (next, fit) = elected(&self.ballot, &mut self.times);
        let entries = self.ballot.len() - fit.unknown - fit.passed;
        let is_banner = self.entries == 0 && entries > fit.unknown;
        if entries == 0 || (fit.unknown > 0 && !is_banner) {
            self.give_up();
            return Ok(());
        }
        self.end_format(each)?;
        if self.entries > 0 {
            self.doubts.notice("its format changes in the middle");
        }
        self.entries = 0;
        self.begin(next, each)
    }

    /// Hands out what the format still holds.
    fn end_format(&mut self, each: &mut Each<'_>) -> Result<()> {
        let Some(format) = &mut self.format else { return Ok(()) };
        let (doubts, entries) = (&mut self.doubts, &mut self.entries);
        let mut handed = Ok(());
        let broken = format.end(&mut |row| match judge_name(row.name) {
            Name::Good => {
                *entries += 1;
                handed = each(Listed { name: row.name, found: row.found });
            }
            Name::Dots => {}
            Name::Bad => doubts.unknown(row.name),
        });
        if let Some(line) = broken {
            self.doubts.unknown(&line);
        }
        handed
    }

    fn finish(mut self, each: &mut Each<'_>) -> Result<Listing> {
        if self.format.is_none() {
            self.settle(each)?;
        }
        self.end_format(each)?;
        self.give_up();
        let name = match &self.format {
            Some(format) if self.fixed.is_some() || self.entries > 0 => format.names().1,
            _ => "any listing format",
        };
        Ok(self.doubts.end(name))
    }
}
