//! What makes a listing doubtful: lines nobody understood, names nobody may use, notices that it is not whole.

use std::fmt::Write;

use crate::source::directory::place::Listing;

/// So much of a line is shown.
const SAMPLE_BYTES: usize = 120;

/// Gathers doubts while a listing is read.
#[derive(Debug, Default)]
pub struct Doubts {
    lines: u64,
    unknown: u64,
    sample: Option<String>,
    notices: Vec<String>,
}

impl Doubts {
    /// One more line was read.
    pub fn count(&mut self) {
        self.lines += 1;
    }

    /// A line was not understood, or has a name that can't be used.
    pub fn unknown(&mut self, line: &[u8]) {
        self.unknown += 1;
        if self.sample.is_none() {
            self.sample = Some(shown(line));
        }
    }

    /// The listing says of itself, or shows, that it is not whole.
    pub fn notice(&mut self, text: &str) {
        if self.notices.len() < 4 && self.notices.iter().all(|known| known != text) {
            self.notices.push(text.to_owned());
        }
    }

    /// Looks for words that say that the listing is not whole in what the server said at its end.
    pub fn reply(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            if says_truncated(line) {
                self.notice(&format!("the server says \"{}\"", shown(line.trim_ascii())));
            }
        }
    }

    /// How the listing ended; `format` names what the lines were read as.
    pub fn end(self, format: &str) -> Listing {
        if self.unknown == 0 && self.notices.is_empty() {
            return Listing::Complete;
        }
        let mut text = self.notices.join("; ");
        if self.unknown > 0 {
            let mark = if text.is_empty() { "" } else { "; " };
            let (unknown, lines) = (self.unknown, self.lines);
            // Writing to a String can't fail.
            let _ = write!(text, "{mark}{unknown} of {lines} lines not understood as {format}");
            let _ = write!(text, ", the first is \"{}\"", self.sample.unwrap_or_default());
        }
        Listing::Doubtful(text)
    }
}

/// pure-ftpd says `226-Output truncated to 2000 matches`; others speak of limits that were reached.
fn says_truncated(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    ["truncated", "incomplete list", "limit reached", "too many files", "too many entries"]
        .iter()
        .any(|words| line.contains(words))
}

/// A line as ASCII on one line, cut where it is long.
fn shown(line: &[u8]) -> String {
    let head = &line[..line.len().min(SAMPLE_BYTES)];
    let mark = if head.len() < line.len() { "..." } else { "" };
    format!("{}{mark}", head.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_lines_are_counted_and_the_first_is_shown_escaped() {
        let mut doubts = Doubts::default();
        (0..5).for_each(|_| doubts.count());
        doubts.unknown(b"caf\xe9 \"x\"\x07");
        doubts.unknown(b"second");
        let text = r#"2 of 5 lines not understood as Unix, the first is "caf\xe9 \"x\"\x07""#;
        assert_eq!(doubts.end("Unix"), Listing::Doubtful(text.into()));
    }

    #[test]
    fn a_notice_of_truncation_in_the_final_reply_makes_a_listing_doubtful() {
        let mut doubts = Doubts::default();
        doubts.reply(b"226-Options: -a -l\r\n226 Output truncated to 2000 matches\r\n");
        let text = "the server says \"226 Output truncated to 2000 matches\"";
        assert_eq!(doubts.end("Unix"), Listing::Doubtful(text.into()));
        let mut quiet = Doubts::default();
        quiet.reply(b"226-Options: -a -l\r\n226 9 matches total\r\n");
        assert_eq!(quiet.end("Unix"), Listing::Complete);
    }

    #[test]
    fn a_long_line_is_cut_where_it_is_shown() {
        assert_eq!(shown(&[b'x'; 200]).len(), SAMPLE_BYTES + 3);
    }
}
