//! Names between the server's encoding and our keys, which are UTF-8 wherever the server's names can be turned into it.
//! With `utf-8` bytes stay as they are, so that a name that is no UTF-8 can still be fetched.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::Names;

/// The upper half of code page 850.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// A name from the wire, as a key.
pub fn from_wire(names: Names, bytes: &[u8]) -> Cow<'_, [u8]> {
    if names == Names::Utf8 || bytes.is_ascii() {
        return Cow::Borrowed(bytes);
    }
    let text: String = match names {
        Names::Latin1 | Names::Utf8 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Names::Cp1252 => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
        Names::Cp850 => bytes.iter().map(|byte| cp850(*byte)).collect(),
    };
    Cow::Owned(text.into_bytes())
}

/// A key, or a part of one, as the server wants it.
///
/// # Errors
/// `Invalid` when it holds a character that the server's encoding has not, or that would end the command.
pub fn to_wire(names: Names, key: &[u8]) -> Result<Cow<'_, [u8]>> {
    if key.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        let rule = "has a line break or NUL in it, which no FTP command can carry; rename it on the server";
        return Err(Error::new(ErrorKind::Invalid, format!("\"{}\" {rule}", shown(key))));
    }
    if names == Names::Utf8 || key.is_ascii() {
        return Ok(Cow::Borrowed(key));
    }
    let encoded = std::str::from_utf8(key).ok().and_then(|text| match names {
        Names::Latin1 | Names::Utf8 => text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>(),
        Names::Cp1252 => {
            let (bytes, _, lossy) = WINDOWS_1252.encode(text);
            (!lossy).then(|| bytes.into_owned())
        }
        Names::Cp850 => text.chars().map(to_cp850).collect(),
    });
    encoded.map(Cow::Owned).ok_or_else(|| {
        let rule = format!("can't be written in {}; correct names", word(names));
        Error::new(ErrorKind::Invalid, format!("\"{}\" {rule}", shown(key)))
    })
}

/// The word in the configuration.
pub fn word(names: Names) -> &'static str {
    match names {
        Names::Utf8 => "utf-8",
        Names::Latin1 => "latin1",
        Names::Cp1252 => "cp1252",
        Names::Cp850 => "cp850",
    }
}

fn cp850(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(high) => CP850.chars().nth(usize::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

fn to_cp850(c: char) -> Option<u8> {
    if c.is_ascii() {
        return u8::try_from(c).ok();
    }
    let high = CP850.chars().position(|known| known == c)?;
    u8::try_from(high + 0x80).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_as_it_was() {
        for names in [Names::Utf8, Names::Latin1, Names::Cp1252, Names::Cp850] {
            for byte in (1..=255u8).filter(|byte| !matches!(byte, b'\r' | b'\n')) {
                let wire = [b'a', byte];
                let key = from_wire(names, &wire).into_owned();
                assert_eq!(to_wire(names, &key).expect("a known character").as_ref(), wire, "{names:?} {byte:#x}");
                assert!(names == Names::Utf8 || std::str::from_utf8(&key).is_ok());
            }
        }
    }

    #[test]
    fn names_are_the_characters_they_show() {
        assert_eq!(from_wire(Names::Cp850, b"M\x81ller \x9c").as_ref(), "Müller £".as_bytes());
        assert_eq!(from_wire(Names::Cp1252, b"5 \x80").as_ref(), "5 €".as_bytes());
        assert_eq!(from_wire(Names::Latin1, b"caf\xe9").as_ref(), "café".as_bytes());
        assert_eq!(from_wire(Names::Utf8, b"caf\xe9").as_ref(), b"caf\xe9");
    }

    #[test]
    fn nothing_that_ends_a_command_is_ever_sent() {
        for bad in [&b"a\r\nDELE b"[..], b"a\nb", b"a\0b"] {
            assert_eq!(to_wire(Names::Utf8, bad).expect_err("refused").kind(), ErrorKind::Invalid);
        }
        let error = to_wire(Names::Latin1, "日".as_bytes()).expect_err("no such character");
        assert!(error.to_string().contains("can't be written in latin1"), "{error}");
    }
}
