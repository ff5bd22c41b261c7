//! `highwater cursor NAME seen --from LIST`: hands a list of keys over, in parts that the control socket takes.
//! What becomes of them belongs to the store and the next poll.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::exit_code::Exit;
use super::explain::place::key_below;
use super::failure::{Failure, Outcome};
use super::output::Out;
use crate::app;
use crate::change::Key;
use crate::config::Config;
use crate::error::Error;
use crate::setting::SourceName;
use crate::source::settings::SourceKind;
use crate::store::Operation;
use crate::web::Request;

/// Keys handed over at once have together this many characters of Base64, or one key more: requests are limited.
const PART_CHARS: usize = 40_000;

/// An entry of a list is no longer than this: no path or key is.
const ENTRY_BYTES_MAX: u64 = 16 * 1024;

/// Hands over the keys listed in the file `from`, or on standard input for `-`.
pub fn hand_over(config: &Config, name: &SourceName, from: &Path) -> Outcome {
    let mut list = List::open(from)?;
    let root = root_of(config, name);
    let (mut listed, mut changed, mut part) = (0_u64, 0_u64, Vec::new());
    let mut chars = 0;
    while let Some(entry) = list.next_entry()? {
        let key = key_of(root, &entry).map_err(|rule| Failure::usage(format!("{} {rule}", list.place())))?;
        let encoded = data_encoding::BASE64.encode(key.as_bytes());
        chars += encoded.len() + 3;
        part.push(encoded);
        listed += 1;
        if chars >= PART_CHARS {
            changed += send(config, name, std::mem::take(&mut part))?;
            chars = 0;
        }
    }
    if listed == 0 {
        return Err(Failure::usage(format!("{} names nothing; write one key a line", list.name)));
    }
    changed += send(config, name, part)?;
    let mut out = Out::stdout();
    let keys = |count: u64| if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
    let known = match listed - changed {
        0 => String::new(),
        1 => "; 1 was known already".into(),
        more => format!("; {more} were known already"),
    };
    let what = "the version found first is remembered and not told";
    out.line(format_args!("{} of {name} named as seen: {what}{known}", keys(changed)))?;
    out.flush()?;
    Ok(Exit::CLEAN)
}

fn send(config: &Config, name: &SourceName, keys_b64: Vec<String>) -> Result<u64, Failure> {
    if keys_b64.is_empty() {
        return Ok(0);
    }
    let operation = Operation::CursorSeen { source: name.to_string(), keys_b64 };
    Ok(app::command(config, Request::Operate(operation))?.count.unwrap_or_default())
}

fn root_of<'c>(config: &'c Config, name: &SourceName) -> Option<&'c Path> {
    match &config.sources.iter().find(|source| source.name == *name)?.kind {
        SourceKind::Folder(folder) => Some(&folder.path),
        SourceKind::Ftp(ftp) => Some(Path::new(&ftp.path)),
        SourceKind::Sftp(sftp) => Some(Path::new(&sftp.path)),
        _ => None,
    }
}

/// A file may be named by its key, or as `find` and `ls` print it: with `./` before it, or absolute.
fn key_of(root: Option<&Path>, entry: &[u8]) -> Result<Key, String> {
    use std::os::unix::ffi::OsStrExt;
    let Some(root) = root else { return Ok(Key::from(entry)) };
    let relative = entry.strip_prefix(b"./").unwrap_or(entry);
    if !relative.starts_with(b"/") {
        return Ok(Key::from(relative));
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(relative));
    key_below(root, path).ok_or_else(|| {
        let (path, root) = (Key::from(relative).shown(), root.display());
        format!("({path}) is not below {root}; write paths relative to it; what stands before it is taken already")
    })
}

/// A list of keys: one a line; or each ended by a NUL, as `find -print0` writes them, for names with line feeds.
struct List {
    reader: Box<dyn BufRead>,
    name: String,
    separator: u8,
    number: u64,
}

impl List {
    fn open(from: &Path) -> Result<Self, Error> {
        let (reader, name): (Box<dyn BufRead>, String) = if from == Path::new("-") {
            (Box::new(BufReader::new(std::io::stdin())), "standard input".into())
        } else {
            let name = from.display().to_string();
            let file = File::open(from).map_err(|e| Error::io(format!("read list {name}"), e))?;
            (Box::new(BufReader::new(file)), name)
        };
        let mut list = Self { reader, name, separator: b'\n', number: 0 };
        let begin = list.reader.fill_buf().map_err(|e| Error::io(format!("read list {}", list.name), e))?;
        if begin.contains(&0) {
            list.separator = 0;
        }
        Ok(list)
    }

    fn next_entry(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let mut entry = Vec::new();
            let mut limited = std::io::Read::take(&mut *self.reader, ENTRY_BYTES_MAX + 1);
            let read = limited.read_until(self.separator, &mut entry);
            if read.map_err(|e| Error::io(format!("read list {}", self.name), e))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if entry.len() as u64 > ENTRY_BYTES_MAX {
                let rule = format!("is longer than {ENTRY_BYTES_MAX} bytes; write one key a line");
                return Err(Failure::usage(format!("{} {rule}", self.place())));
            }
            entry.pop_if(|last| *last == self.separator);
            if self.separator == b'\n' {
                entry.pop_if(|last| *last == b'\r');
            }
            if !entry.is_empty() {
                return Ok(Some(entry));
            }
        }
    }

    fn place(&self) -> String {
        format!("{}: entry {}", self.name, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("list");
        std::fs::write(&path, bytes).expect("write");
        let mut list = List::open(&path).expect("open");
        let next = || list.next_entry().unwrap_or_else(|_| panic!("no entry")).map(|e| Key::from(&e[..]).shown());
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn entries_stand_one_a_line_or_end_with_a_nul() {
        assert_eq!(entries(b"a\r\n\n b \nc"), ["a", " b ", "c"]);
        assert_eq!(entries(b"a\nb\0c\r\0"), ["a\\nb", "c\\r"]);
        assert!(entries(b"").is_empty());
    }

    #[test]
    fn files_are_named_by_key_or_as_find_prints_them() {
        let key = |entry: &str| key_of(Some(Path::new("/srv/drop")), entry.as_bytes()).map(|key| key.shown());
        for entry in ["in/a.csv", "./in/a.csv", "/srv/drop/in/a.csv"] {
            assert_eq!(key(entry), Ok("in/a.csv".into()));
        }
        assert!(key("/srv/other/a.csv").expect_err("elsewhere").contains("/srv/drop"));
        assert_eq!(key_of(None, b"/7").map(|key| key.shown()), Ok("/7".into()), "a row's key is as it is");
    }
}
