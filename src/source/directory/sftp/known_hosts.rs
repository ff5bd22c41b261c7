//! Files of host keys in the format of OpenSSH (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain and hashed names, patterns,
//! `@revoked` and `@cert-authority`. What is said about a key that is not there belongs to `host_key`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::error::{Error, ErrorKind, Result};

/// The port that is not written in front of a name.
const SSH_PORT: u16 = 22;

/// A file of host keys that is longer is none.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A line that speaks of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file and the line's number in it, for messages: `/etc/ssh/ssh_known_hosts:3`.
    pub place: String,
    /// What the line is for.
    pub marker: Marker,
    /// The key's type, `ssh-ed25519`.
    pub kind: String,
    /// The public key as it goes over the wire.
    pub blob: Vec<u8>,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The key of the host.
    Key,
    /// The key of an authority that signs the keys of hosts.
    Authority,
    /// A key that must never be believed.
    Revoked,
}

/// The lines of all files that speak of a host, in their order. A file that is missing has none.
///
/// # Errors
/// A file can't be read, or a `@revoked` line can't be understood: then nothing may be believed.
pub fn lines_for(files: &[PathBuf], host: &str, port: u16) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for file in files {
        match read(file) {
            Ok(text) => all.push((file, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(format!("read known_hosts {}", file.display()), error)),
        }
    }
    let mut found = Vec::new();
    let names = Names::of(host, port);
    for (file, text) in &all {
        collect(file, text, &names.exact, &mut found)?;
    }
    // Like OpenSSH: a host on another port is also known by a line for its name alone.
    if let Some(bare) = names.bare.filter(|_| found.iter().all(|line| line.marker == Marker::Revoked)) {
        for (file, text) in &all {
            collect(file, text, &bare, &mut found)?;
        }
    }
    Ok(found)
}

/// Adds a line for a host to a file, which is replaced as a whole: no reader sees half of it.
///
/// # Errors
/// The file can't be written.
pub fn add(file: &Path, host: &str, port: u16, kind: &str, blob: &[u8]) -> Result<()> {
    static ONE_WRITER: Mutex<()> = Mutex::new(());
    let _one_writer = ONE_WRITER.lock().expect("no writer of known_hosts panics");
    let failed = |e: io::Error| Error::io(format!("add the host key to {}", file.display()), e);
    let mut text = match read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    let line = format!("{} {kind} {}\n", Names::of(host, port).exact, BASE64.encode(blob));
    text.extend_from_slice(line.as_bytes());
    // Behind a link, the file itself is replaced and not the link.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    if let Ok(metadata) = fs::metadata(&file) {
        fresh.as_file().set_permissions(metadata.permissions()).map_err(failed)?;
    }
    fresh.write_all(&text).and_then(|()| fresh.as_file().sync_all()).map_err(failed)?;
    fresh.persist(&file).map_err(|e| failed(e.error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than any file of host keys"));
    }
    fs::read(file)
}

/// The names under which a host is looked for.
struct Names {
    /// `host`, or `[host]:port`.
    exact: String,
    /// `host` where the port is another one than SSH's.
    bare: Option<String>,
}

impl Names {
    fn of(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        match port {
            SSH_PORT => Self { exact: host, bare: None },
            _ => Self { exact: format!("[{host}]:{port}"), bare: Some(host) },
        }
    }
}

fn collect(file: &Path, text: &[u8], host: &str, found: &mut Vec<Line>) -> Result<()> {
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let place = || format!("{}:{}", file.display(), number + 1);
        match Parsed::of(&line) {
            Some(parsed) if parsed.names(host) => {
                let Parsed { marker, kind, blob, .. } = parsed;
                found.push(Line { place: place(), marker, kind: kind.to_owned(), blob });
            }
            Some(_) => {}
            None if line.trim_start().starts_with("@revoked") => {
                let rule = format!("{} revokes a key that can't be read; correct or remove that line", place());
                return Err(Error::new(ErrorKind::Denied, rule));
            }
            None => {}
        }
    }
    Ok(())
}

struct Parsed<'a> {
    marker: Marker,
    hosts: &'a str,
    kind: &'a str,
    blob: Vec<u8>,
}

impl<'a> Parsed<'a> {
    /// `[@marker] hosts type key [comment]`, with any white space between; `None` for a comment and what is no line.
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().peekable();
        let marker = match words.peek()? {
            word if word.starts_with('#') => return None,
            &"@revoked" => Marker::Revoked,
            &"@cert-authority" => Marker::Authority,
            word if word.starts_with('@') => return None,
            _ => Marker::Key,
        };
        if marker != Marker::Key {
            words.next();
        }
        let (hosts, kind) = (words.next()?, words.next()?);
        let blob = BASE64.decode(words.next()?.as_bytes()).ok()?;
        // The key itself begins with its type; a line that contradicts itself is none.
        let named = blob.get(4..4 + kind.len()).is_some_and(|inside| inside == kind.as_bytes());
        let length = blob.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize);
        (named && length == Some(kind.len())).then_some(Self { marker, hosts, kind, blob })
    }

    /// Whether the line speaks of `host`, which is in lower case.
    fn names(&self, host: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return is_hash_of(hashed, host);
        }
        let mut named = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                Some(not) if fits(not, host) => return false,
                Some(_) => {}
                None => named |= fits(pattern, host),
            }
        }
        named
    }
}

/// `salt|hash` in base64, the hash being HMAC-SHA1 of the name.
fn is_hash_of(hashed: &str, host: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (BASE64.decode(salt.as_bytes()), BASE64.decode(hash.as_bytes())) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(host.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// Whether a pattern with `*` and `?` fits the whole of a name, without regard to case.
fn fits(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase().into_bytes(), host.as_bytes());
    let (mut p, mut h) = (0, 0);
    // Where the last star stood, and how far it reaches by now.
    let mut star = None;
    while h < host.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, h));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == host[h] => {
                p += 1;
                h += 1;
            }
            _ => match &mut star {
                Some((at, reach)) => {
                    *reach += 1;
                    (p, h) = (*at + 1, *reach);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
