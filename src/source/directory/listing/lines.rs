//! Cuts the bytes of a data connection into lines, however they arrive. What a line means is the formats' affair.

use crate::error::Result;

/// A longer line is not kept.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// So much of a line that is too long is kept to be shown.
const HEAD_BYTES: usize = 256;

/// One line of a listing, without its CR LF or LF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// The beginning of one longer than [`LINE_BYTES_MAX`].
    TooLong(&'a [u8]),
}

/// The part of a line that has arrived so far.
#[derive(Debug, Default)]
pub struct Lines {
    part: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Hands every line that is complete by now to `each`.
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<()> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if self.part.is_empty() && !self.too_long {
                each(line(&bytes[..end]))?;
            } else {
                self.keep(&bytes[..end]);
                self.hand_out(each)?;
            }
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        Ok(())
    }

    /// Hands out what is left when nothing more will come; returns whether that was a line without an end.
    pub fn finish(mut self, each: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<bool> {
        let cut = self.too_long || !self.part.is_empty();
        if cut {
            self.hand_out(each)?;
        }
        Ok(cut)
    }

    /// How many bytes wait for the end of their line.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.part.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long {
            return;
        }
        let room = LINE_BYTES_MAX - self.part.len();
        self.part.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            self.too_long = true;
            self.part.truncate(HEAD_BYTES);
        }
    }

    fn hand_out(&mut self, each: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<()> {
        let cut = if self.too_long { Line::TooLong(&self.part) } else { line(&self.part) };
        let handed = each(cut);
        self.part.clear();
        self.part.shrink_to(HEAD_BYTES);
        self.too_long = false;
        handed
    }
}

fn line(bytes: &[u8]) -> Line<'_> {
    if bytes.len() > LINE_BYTES_MAX {
        return Line::TooLong(&bytes[..HEAD_BYTES]);
    }
    Line::Whole(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut seen = Vec::new();
        let mut each = |line: Line<'_>| {
            seen.push(match line {
                Line::Whole(bytes) => bytes.to_vec(),
                Line::TooLong(bytes) => [b"too long: ", &bytes[..3]].concat(),
            });
            Ok(())
        };
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.feed(chunk, &mut each).expect("each takes all");
        }
        let open = lines.finish(&mut each).expect("each takes all");
        (seen, open)
    }

    #[test]
    fn a_line_ends_with_lf_or_cr_lf_however_it_arrives() {
        let whole = (vec![b"one".to_vec(), b"two ".to_vec(), b"".to_vec(), b"\rx".to_vec()], false);
        assert_eq!(cut(&[b"one\ntwo \r\n\r\n\rx\n"]), whole);
        assert_eq!(cut(&[b"on", b"e", b"\ntwo \r", b"\n\r\n\rx", b"\n"]), whole);
    }

    #[test]
    fn a_last_line_without_an_end_is_told() {
        assert_eq!(cut(&[b"one\ntw", b"o"]), (vec![b"one".to_vec(), b"two".to_vec()], true));
        assert_eq!(cut(&[]), (vec![], false));
    }

    #[test]
    fn a_line_of_64_kib_is_whole_and_one_byte_more_is_too_long() {
        let most = vec![b'x'; LINE_BYTES_MAX];
        let more = [&most[..], b"x"].concat();
        for chunk in [1_000, LINE_BYTES_MAX, LINE_BYTES_MAX + 2] {
            let text = [&most[..], b"\n", &more, b"\nend\n"].concat();
            let (lines, _) = cut(&text.chunks(chunk).collect::<Vec<_>>());
            assert_eq!(lines, [most.clone(), b"too long: xxx".to_vec(), b"end".to_vec()], "pieces of {chunk}");
        }
    }
}
