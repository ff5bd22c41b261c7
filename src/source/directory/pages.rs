//! Gathers what is to be committed into pages of bounded size, in the order in which it was pushed: a segment is never
//! committed before the entries pushed ahead of it.

use super::mark::{Mark, loose};
use super::segment::LOOSE;
use crate::change::{Content, Entry, Sight};
use crate::error::Result;
use crate::source::{Ledger, PAGE_ENTRIES_MAX, Page, SegmentWrite};

/// A page holds at most this many entries. Tests see every seam between pages with few files.
pub const PAGE_MAX: usize = if cfg!(test) { 64 } else { PAGE_ENTRIES_MAX };

/// A page holds at most about this much inline content.
pub const PAGE_CONTENT_BYTES: usize = 4 << 20;

/// A page holds about this much of segments, unless they must be committed together.
const PAGE_SEGMENT_BYTES: usize = 1 << 20;

/// The page in the making.
#[derive(Debug)]
pub struct Pages {
    page: Page,
    marks: Vec<Mark>,
    /// Loose blocks have ordinals behind this one.
    last_loose: i64,
    content_bytes: usize,
    segment_bytes: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { page: Page::default(), marks: Vec::new(), last_loose: LOOSE, content_bytes: 0, segment_bytes: 0 }
    }
}

impl Pages {
    /// Loose blocks get ordinals behind this one, and behind others that were named before.
    pub fn loose_behind(&mut self, ordinal: i64) {
        self.last_loose = self.last_loose.max(ordinal);
    }

    /// As [`Pages::push`], with marks in known listings that are committed with the entries and not without them.
    pub fn push_marked(&mut self, entries: Vec<Entry>, marks: Vec<Mark>, ledger: &mut dyn Ledger) -> Result<()> {
        self.push(entries, ledger)?;
        self.marks.extend(marks);
        Ok(())
    }

    /// Adds entries that must be committed together; at most a few.
    pub fn push(&mut self, entries: Vec<Entry>, ledger: &mut dyn Ledger) -> Result<()> {
        if self.page.entries.len() + entries.len() > PAGE_MAX || self.content_bytes >= PAGE_CONTENT_BYTES {
            self.flush(ledger)?;
        }
        for entry in entries {
            if let Sight::Version(version) = &entry.sight
                && let Some(Content::Inline(bytes)) = &version.content
            {
                self.content_bytes += bytes.len();
            }
            self.page.entries.push(entry);
        }
        Ok(())
    }

    /// Adds changes of known listings, to be committed together and with or after everything pushed before.
    pub fn push_segments(&mut self, writes: Vec<SegmentWrite>, ledger: &mut dyn Ledger) -> Result<()> {
        for write in &writes {
            if let SegmentWrite::Put { block, .. } = write {
                self.segment_bytes += block.bytes.len();
            }
        }
        self.page.segments.extend(writes);
        if self.segment_bytes >= PAGE_SEGMENT_BYTES { self.flush(ledger) } else { Ok(()) }
    }

    /// Sets the cursor and commits it with whatever is left.
    pub fn push_cursor(&mut self, cursor: String, ledger: &mut dyn Ledger) -> Result<()> {
        self.page.cursor = Some(cursor);
        self.flush(ledger)
    }

    /// Commits whatever is left; nothing when nothing is.
    pub fn flush(&mut self, ledger: &mut dyn Ledger) -> Result<()> {
        let mut page = std::mem::take(&mut self.page);
        page.segments.extend(loose(&std::mem::take(&mut self.marks), &mut self.last_loose));
        (self.content_bytes, self.segment_bytes) = (0, 0);
        if page.entries.is_empty() && page.segments.is_empty() && page.cursor.is_none() {
            return Ok(());
        }
        ledger.commit(page)
    }
}
