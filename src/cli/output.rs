//! Standard output: data only. A reader that has seen enough (`| head`) ends a command quietly.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind as Io, IsTerminal, Write};

use serde::Serialize;

use crate::change::key::shown;
use crate::error::{Error, Result};

/// Where data is written. Every method returns whether anybody still reads: listings end when it is false.
pub struct Out<'a> {
    writer: Box<dyn Write + 'a>,
    each_line: bool,
    gone: bool,
}

impl Out<'static> {
    /// Standard output; on a terminal every line appears at once.
    pub fn stdout() -> Self {
        let stdout = std::io::stdout();
        let each_line = stdout.is_terminal();
        Self { writer: Box::new(BufWriter::with_capacity(64 * 1024, stdout)), each_line, gone: false }
    }
}

impl<'a> Out<'a> {
    /// Writes elsewhere.
    pub fn to(writer: impl Write + 'a) -> Self {
        Self { writer: Box::new(writer), each_line: false, gone: false }
    }

    /// One line of text.
    pub fn line(&mut self, text: impl Display) -> Result<bool> {
        let written = writeln!(self.writer, "{text}");
        self.after(written)
    }

    /// One JSON value, on one line.
    pub fn json(&mut self, value: &impl Serialize) -> Result<bool> {
        let text = serde_json::to_string(value).map_err(|e| Error::internal("write JSON").because(e))?;
        self.line(text)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<bool> {
        let written = self.writer.write_all(bytes);
        self.after(written)
    }

    /// Makes everything written so far appear.
    pub fn flush(&mut self) -> Result<bool> {
        let flushed = self.writer.flush();
        self.settle(flushed)
    }

    fn after(&mut self, written: std::io::Result<()>) -> Result<bool> {
        let written = if self.each_line { written.and_then(|()| self.writer.flush()) } else { written };
        self.settle(written)
    }

    fn settle(&mut self, written: std::io::Result<()>) -> Result<bool> {
        match written {
            _ if self.gone => Ok(false),
            Ok(()) => Ok(true),
            Err(e) if e.kind() == Io::BrokenPipe => {
                self.gone = true;
                Ok(false)
            }
            Err(e) => Err(Error::io("write to standard output", e)),
        }
    }
}

/// Text that another side wrote, without line ends and control characters: it must not steer a terminal.
pub fn safe(text: &str) -> String {
    if text.contains(char::is_control) { shown(text.replace(['\n', '\r'], " ").trim().as_bytes()) } else { text.into() }
}

/// Output of several lines that another side wrote, for a terminal: line ends and tabs stay.
pub fn safe_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .flat_map(|c| {
            let plain = !c.is_control() || c == '\n' || c == '\t';
            let escaped = (!plain && c != '\r').then(|| c.escape_default());
            plain.then_some(c).into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(Io::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(Io::BrokenPipe.into())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(Io::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_ends_the_listing_without_an_error() {
        let mut out = Out::to(Closed);
        assert!(!out.line("x").expect("quiet"));
        assert!(!out.flush().expect("quiet"));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let error = Out::to(Full).line("x").expect_err("no room");
        assert_eq!(error.kind(), crate::error::ErrorKind::Full);
    }

    #[test]
    fn text_of_others_can_not_steer_the_terminal() {
        assert_eq!(safe("a\x1b[2Jb\n"), "a\\u{1b}[2Jb");
        assert_eq!(safe("ä b"), "ä b");
        assert_eq!(safe_lines(b"one\r\n\ttwo\x07\n"), "one\n\ttwo\\u{7}\n");
    }
}
