//! Files beside a data file: the marker that says it is complete, the checksum it must have. Where they are for a given
//! file, which names are theirs, and what a checksum file says. When they are asked for is decided by `readiness`.

use data_encoding::HEXLOWER_PERMISSIVE;
use globset::GlobMatcher;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::filter::compile_glob;
use super::place::{join, split};
use crate::change::Fingerprint;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::Template;
use crate::source::settings::Case;

/// A template for paths beside a data file. Paths stay bytes.
#[derive(Debug)]
pub struct Sidecar {
    text: String,
    parts: Vec<Part>,
    /// Which names are sidecars; `None` when the template says nothing but placeholders.
    names: Option<GlobMatcher>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Name,
    Stem,
    Path,
}

/// Stands for a placeholder while the template is taken apart; no configuration holds it.
const HOLES: [(char, &str); 4] =
    [('\u{f8f1}', "name"), ('\u{f8f2}', "stem"), ('\u{f8f3}', "path"), ('\u{f8f3}', "key")];

impl Sidecar {
    /// Takes a template apart.
    ///
    /// # Errors
    /// `Config` when it uses a placeholder that says nothing about a file.
    pub fn new(template: &Template) -> Result<Self> {
        let mut unknown = None;
        let marked = template.render(|hole| match HOLES.iter().find(|(_, name)| *name == hole.name) {
            Some((mark, _)) => mark.to_string(),
            None => {
                unknown = Some(hole.name.clone());
                String::new()
            }
        });
        if let Some(name) = unknown {
            let rule =
                format!("\"{template}\" has {{{name}}}, which names no sidecar; use {{name}}, {{stem}} or {{path}}");
            return Err(Error::new(ErrorKind::Config, rule));
        }
        let mut parts = Vec::new();
        let mut glob = String::from("**/");
        for piece in marked.split_inclusive(|c| HOLES.iter().any(|(mark, _)| *mark == c)) {
            let mark = piece.chars().last().filter(|c| HOLES.iter().any(|(mark, _)| mark == c));
            let text = mark.map_or(piece, |mark| piece.trim_end_matches(mark));
            if !text.is_empty() {
                parts.push(Part::Text(text.as_bytes().to_vec()));
                glob.push_str(&globset::escape(text));
            }
            let Some(mark) = mark else { continue };
            glob.push('*');
            parts.push(match mark {
                '\u{f8f1}' => Part::Name,
                '\u{f8f2}' => Part::Stem,
                _ => Part::Path,
            });
        }
        let says_something = parts.iter().any(|part| matches!(part, Part::Text(_)));
        let names = says_something.then(|| compile_glob(&glob, Case::Exact)).transpose();
        let names = names.map_err(|e| Error::internal(format!("glob for {template}")).because(e.to_string()))?;
        Ok(Self { text: template.as_str().to_owned(), parts, names })
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names one file for a whole folder.
    pub fn is_shared(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether the file at `path` is a sidecar by its name.
    pub fn is_named(&self, path: &[u8]) -> bool {
        self.names.as_ref().is_some_and(|names| names.is_match(Path::new(OsStr::from_bytes(path))))
    }

    /// Where the sidecar of the file at `path` is.
    pub fn path_for(&self, path: &[u8]) -> Vec<u8> {
        let (folder, name) = split(path);
        let stem = match name.iter().rposition(|byte| *byte == b'.') {
            Some(dot) if dot > 0 => &name[..dot],
            _ => name,
        };
        let mut own = Vec::new();
        for part in &self.parts {
            own.extend_from_slice(match part {
                Part::Text(text) => text,
                Part::Name => name,
                Part::Stem => stem,
                Part::Path => path,
            });
        }
        join(folder, &own)
    }
}

/// A checksum a sidecar asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256(Fingerprint),
    /// MD5.
    Md5([u8; 16]),
}

/// What a checksum file says of `name`: a bare `HEX`, or lines `HEX  name`, `HEX *name`, `SHA256 (name) = HEX`.
/// `None` when it says nothing of it.
pub fn parse_checksum(text: &[u8], name: &[u8]) -> Option<Checksum> {
    let lines = || text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let named = lines().filter_map(split_line).find(|(_, said)| split(said).1 == name);
    let (hex, _) = match named {
        Some(found) => found,
        None => {
            let mut bare = lines().filter_map(split_line).filter(|(_, said)| said.is_empty());
            bare.next().filter(|_| lines().count() == 1)?
        }
    };
    let bytes = HEXLOWER_PERMISSIVE.decode(hex).ok()?;
    match bytes.len() {
        32 => Fingerprint::from_slice(&bytes).map(Checksum::Sha256),
        16 => bytes.try_into().ok().map(Checksum::Md5),
        _ => None,
    }
}

/// The hex digits and the name of a line, which may be empty.
fn split_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(open) = line.iter().position(|byte| *byte == b'(')
        && let Some(close) = line.iter().rposition(|byte| *byte == b')')
        && let Some(hex) = line.get(close + 1..).map(<[u8]>::trim_ascii).and_then(|rest| rest.strip_prefix(b"="))
    {
        return Some((hex.trim_ascii(), line.get(open + 1..close)?));
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let name = line[end..].trim_ascii();
    Some((&line[..end], name.strip_prefix(b"*").unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(text: &str) -> Sidecar {
        Sidecar::new(&Template::parse(text, &[]).expect("a template")).expect("a sidecar")
    }

    #[test]
    fn a_sidecar_is_beside_its_file_and_known_by_its_name() {
        let done = sidecar("{name}.done");
        assert_eq!(done.path_for(b"x/a\xff.csv"), b"x/a\xff.csv.done");
        assert!(done.is_named(b"x/a.csv.done") && !done.is_named(b"x/a.csv") && !done.is_shared());
        let sum = sidecar("sums/{stem}.md5");
        assert_eq!(sum.path_for(b"x/a.csv"), b"x/sums/a.md5");
        assert!(sum.is_named(b"x/sums/a.md5") && !sum.is_named(b"x/a.md5"));
        let ready = sidecar("READY");
        assert_eq!(ready.path_for(b"x/a.csv"), b"x/READY");
        assert!(ready.is_shared() && ready.is_named(b"READY") && ready.is_named(b"x/READY"));
        assert!(Sidecar::new(&Template::parse("{date}", &[]).expect("a template")).is_err());
    }

    #[test]
    fn checksum_files_are_read_in_the_usual_forms() {
        let sha = Fingerprint::of(b"x");
        let (hex, expected) = (sha.to_hex(), Some(Checksum::Sha256(sha)));
        for text in [
            format!("{hex}\n"),
            format!("{}  a.csv\n", hex.to_uppercase()),
            format!("{hex} *dir/a.csv"),
            format!("SHA256 (a.csv) = {hex}"),
            format!("{}  b.csv\n{hex}  a.csv\r\n", Fingerprint::of(b"b")),
        ] {
            assert_eq!(parse_checksum(text.as_bytes(), b"a.csv"), expected, "{text}");
        }
        let md5 = parse_checksum(b"d41d8cd98f00b204e9800998ecf8427e  a.csv", b"a.csv");
        assert!(matches!(md5, Some(Checksum::Md5(_))));
        for text in [format!("{hex}  b.csv"), "nothing".into(), String::new(), "abcd".into()] {
            assert_eq!(parse_checksum(text.as_bytes(), b"a.csv"), None, "{text}");
        }
    }
}
