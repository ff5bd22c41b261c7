//! Replies of the control connection (RFC 959 section 4.2), of bounded length, however they were cut into packets.
//! What a reply means is decided by whoever sent the command.

use std::io::{self, Read};

use crate::change::key::shown;

/// A whole reply is at most this long; the longest honest ones list features.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Read at once.
const READ_BYTES: usize = 4 * 1024;

/// A text that is quoted in errors is cut here.
const QUOTED_CHARS_MAX: usize = 200;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 100 to 599.
    pub code: u16,
    text: Vec<u8>,
}

impl Reply {
    /// The lines, each without line end; the first and the last without the code.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|byte| *byte == b'\n')
    }

    /// The lines with their newlines between them.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the command succeeded.
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether more is to be sent.
    pub fn is_half(&self) -> bool {
        (300..400).contains(&self.code)
    }

    /// Whether another reply follows.
    pub fn is_begun(&self) -> bool {
        (100..200).contains(&self.code)
    }

    /// Whether the server does not know the command, or not with these arguments.
    pub fn is_unknown_command(&self) -> bool {
        matches!(self.code, 500..=504)
    }

    /// Whether the text contains one of these, in lower case.
    pub fn says(&self, phrases: &[&str]) -> bool {
        let text = String::from_utf8_lossy(&self.text).to_lowercase();
        phrases.iter().any(|phrase| text.contains(phrase))
    }

    /// Code and words on one line, for people.
    pub fn quoted(&self) -> String {
        let words: Vec<String> = self.lines().map(shown).map(|line| line.trim().to_owned()).collect();
        let words = words.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let cut: String = words.chars().take(QUOTED_CHARS_MAX).collect();
        format!("{} {cut}", self.code).trim_end().to_owned()
    }
}

/// Takes replies out of a stream of bytes.
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: Vec<u8>,
}

impl ReplyReader {
    /// Whether bytes were received that no reply was made of yet.
    pub fn holds_bytes(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next reply.
    ///
    /// # Errors
    /// The stream ended or failed, what came is no reply, or it has no end.
    pub fn next(&mut self, stream: &mut impl Read) -> io::Result<Reply> {
        let mut chunk = [0; READ_BYTES];
        loop {
            if let Some((reply, taken)) = parse(&self.buffer)? {
                self.buffer.drain(..taken);
                return Ok(reply);
            }
            if self.buffer.len() > REPLY_BYTES_MAX {
                return Err(invalid(format!("a reply has no end within {REPLY_BYTES_MAX} bytes")));
            }
            match stream.read(&mut chunk)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
                got => self.buffer.extend_from_slice(&chunk[..got]),
            }
        }
    }
}

/// The reply at the start of `bytes` and how long it is; `None` while its end is missing.
fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let Some((first, mut taken)) = line(bytes, 0) else {
        return if looks_like_code(bytes) { Ok(None) } else { Err(no_reply(bytes)) };
    };
    let Some((code, separator)) = head(first) else { return Err(no_reply(first)) };
    let mut text = first.get(4..).unwrap_or_default().to_vec();
    if separator != b'-' {
        return Ok(Some((Reply { code, text }, taken)));
    }
    while let Some((next, end)) = line(bytes, taken) {
        taken = end;
        text.push(b'\n');
        match head(next) {
            Some((same, b' ')) if same == code => {
                text.extend_from_slice(next.get(4..).unwrap_or_default());
                return Ok(Some((Reply { code, text }, taken)));
            }
            Some((same, b'-')) if same == code => text.extend_from_slice(&next[4..]),
            _ => text.extend_from_slice(next),
        }
    }
    Ok(None)
}

/// The line that begins at `from`, without its end, and where the next one begins.
fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = &bytes[from..];
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some((rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), from + end + 1))
}

fn head(line: &[u8]) -> Option<(u16, u8)> {
    let digits = line.get(..3)?;
    if !matches!(digits[0], b'1'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match line.get(3) {
        None => Some((code, b' ')),
        Some(separator @ (b' ' | b'-')) => Some((code, *separator)),
        Some(_) => None,
    }
}

fn looks_like_code(bytes: &[u8]) -> bool {
    bytes.iter().take(3).all(u8::is_ascii_digit)
}

fn no_reply(bytes: &[u8]) -> io::Error {
    let sample: String = shown(&bytes[..bytes.len().min(40)]);
    invalid(format!("what answers does not speak FTP; it begins with \"{sample}\""))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out the bytes in pieces of a given length.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn all(bytes: &[u8], piece: usize) -> Vec<Reply> {
        let (mut reader, mut stream) = (ReplyReader::default(), Pieces(bytes, piece));
        std::iter::from_fn(|| reader.next(&mut stream).ok()).collect()
    }

    #[test]
    fn replies_are_the_same_however_they_are_cut() {
        let bytes =
            b"220-Welcome\r\n220-to\r\n 220 us\r\n220 x\r\n150 data\n226\r\n211-Features:\r\n MDTM\r\n211 End\r\n";
        for piece in 1..bytes.len() {
            let replies = all(bytes, piece);
            assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [220, 150, 226, 211]);
            assert_eq!(replies[0].quoted(), "220 Welcome to 220 us x");
            assert_eq!(replies[3].lines().collect::<Vec<_>>(), [&b"Features:"[..], b" MDTM", b"End"]);
        }
    }

    #[test]
    fn what_is_no_reply_is_told_with_a_sample() {
        let mut reader = ReplyReader::default();
        let error = reader.next(&mut &b"SSH-2.0-OpenSSH\r\n"[..]).expect_err("not FTP");
        assert!(error.to_string().contains("\"SSH-2.0-OpenSSH"), "{error}");
    }

    #[test]
    fn an_endless_reply_is_given_up() {
        for start in [&b"220 "[..], b"220-x\r\n"] {
            let mut endless = start.chain(io::repeat(b'a'));
            let error = ReplyReader::default().next(&mut endless).expect_err("endless");
            assert!(error.to_string().contains("no end"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes: Vec<u8>, piece in 1usize..9) {
            for reply in all(&bytes, piece) {
                prop_assert!((100..600).contains(&reply.code));
            }
        }
    }
}
