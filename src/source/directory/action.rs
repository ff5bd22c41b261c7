//! After-actions: one version of a file is deleted or moved, and no other. Every step can be cut off by a crash and is
//! found again by the next try. When an action is due, and what is journaled before it, is decided by `poll` and `store`.

use sha2::{Digest, Sha256};

use super::coarse::{Coarse, agree, is_exact};
use super::filter::PRIVATE_PREFIX;
use super::place::{Directory, Found, Renamed, Shape, join, split};
use super::reading::fingerprint_now;
use crate::change::key::shown;
use crate::change::{Fingerprint, Tuple};
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Acted, Action, ActionOrder};

/// After so many taken names a move is given up.
const NUMBERS_MAX: u32 = 10_000;

/// Carries out one order on exactly the version it names.
///
/// # Errors
/// A step failed for now; the file is under its own name again, or under its private one, where the next try finds it.
pub fn act(directory: &dyn Directory, order: &ActionOrder) -> Result<Acted> {
    let coarse = Coarse(directory);
    let directory: &dyn Directory = if directory.is_remote() { &coarse } else { directory };
    let target = match &order.action {
        Action::Delete => None,
        Action::Move(path) => match checked(path, order.key.name()) {
            Some(path) => Some(path),
            None => return Ok(Acted::Impossible(format!("\"{}\" is not a path below the root", shown(path)))),
        },
    };
    let acting = Acting { directory, order, private: private_path(order.key.as_bytes(), order.fingerprint), target };
    // A private name is left from a try that was cut off: it goes on from there.
    if let Some(found) = acting.file_at(&acting.private)? {
        let same = (found.tuple.size, found.tuple.mtime_ns) == (order.tuple.size, order.tuple.mtime_ns);
        let timely = same && is_exact(&found.tuple) && is_exact(&order.tuple);
        let ordered = timely || acting.holds(&acting.private)?;
        return if ordered { acting.finish(found.tuple) } else { acting.put_back() };
    }
    let Some(found) = acting.file_at(order.key.as_bytes())? else { return acting.without_source() };
    if !acting.is_ordered(&found)? {
        return Ok(Acted::OtherVersion);
    }
    match directory.rename_new(order.key.as_bytes(), &acting.private)? {
        Renamed::Done => acting.finish(found.tuple),
        Renamed::Missing => acting.without_source(),
        Renamed::Taken | Renamed::OtherDisk => Ok(Acted::OtherVersion),
        Renamed::Forbidden(why) => acting.in_place(found.tuple, &why),
        // It may be our private name that the server does not like: a file can be deleted without it.
        Renamed::Refused(_) if acting.target.is_none() => acting.in_place(found.tuple, ""),
        Renamed::Refused(why) => Err(refused(order.key.as_bytes(), why)),
    }
}

struct Acting<'a> {
    directory: &'a dyn Directory,
    order: &'a ActionOrder,
    private: Vec<u8>,
    target: Option<Vec<u8>>,
}

impl Acting<'_> {
    fn file_at(&self, path: &[u8]) -> Result<Option<Found>> {
        Ok(self.directory.look(path)?.filter(|found| found.shape == Shape::File))
    }

    /// Whether a file is the ordered version: by its tuple, or, when only its rights or times were touched, by its content.
    fn is_ordered(&self, found: &Found) -> Result<bool> {
        let ordered = &self.order.tuple;
        // A time to the minute can't tell the version from one written a moment later: its content must.
        if agree(&found.tuple, ordered) && is_exact(&found.tuple) && is_exact(ordered) {
            return Ok(true);
        }
        Ok(found.tuple.size == self.order.tuple.size && self.holds(self.order.key.as_bytes())?)
    }

    /// Whether the file at `path` has the ordered content.
    fn holds(&self, path: &[u8]) -> Result<bool> {
        let now = fingerprint_now(self.directory, path, &Stop::new())?;
        Ok(now.is_some_and(|(_, fingerprint)| fingerprint == self.order.fingerprint))
    }

    /// The file is not under its name: taken away by an earlier try, or by somebody else.
    fn without_source(&self) -> Result<Acted> {
        let Some(target) = &self.target else { return Ok(Acted::Done(None)) };
        for path in numbered(target) {
            match self.file_at(&path)? {
                Some(found) if found.tuple.size == self.order.tuple.size && self.holds(&path)? => {
                    return Ok(Acted::Done(Some(path)));
                }
                Some(_) => {}
                None if self.directory.look(&path)?.is_some() => {}
                None => return Ok(Acted::Gone),
            }
        }
        Ok(Acted::Gone)
    }

    /// The file has its private name: looked at again, then deleted or moved.
    fn finish(&self, before: Tuple) -> Result<Acted> {
        let folder = split(self.order.key.as_bytes()).0;
        let Some(found) = self.file_at(&self.private)? else { return self.without_source() };
        // The rename itself changes the ctime. A writer that still had the file open shows in size and mtime.
        let same = |t: &Tuple| (t.size, t.mtime_ns, t.inode);
        if same(&found.tuple) != same(&before) || found.tuple.size != self.order.tuple.size {
            return self.put_back();
        }
        let done = match &self.target {
            None => self.directory.remove(&self.private).map(|()| None),
            Some(target) => self.move_to(target).map(Some),
        };
        match done {
            Ok(Some(None)) => {
                self.put_back()?;
                Ok(Acted::Impossible(format!("{NUMBERS_MAX} names like {} are taken", self.shown_target())))
            }
            Ok(place) => {
                // The store is told that it is done: that must not be undone by a power cut.
                self.directory.sync_folder(folder)?;
                Ok(Acted::Done(place.flatten()))
            }
            Err(error) => {
                self.put_back()?;
                Err(error)
            }
        }
    }

    /// Where nothing can be renamed: looked at once more under its own name, then deleted. What is written between the
    /// two is deleted with it; nothing less than a rename closes that window.
    fn in_place(&self, before: Tuple, why: &str) -> Result<Acted> {
        if self.target.is_some() {
            let remedy = "let the account rename there, or use \"delete\" or \"keep\"";
            return Ok(Acted::Impossible(format!("the server carries out no renames: {why}; {remedy}")));
        }
        let key = self.order.key.as_bytes();
        let Some(found) = self.file_at(key)? else { return self.without_source() };
        if found.tuple != before {
            return Ok(Acted::OtherVersion);
        }
        self.directory.remove(key)?;
        self.directory.sync_folder(split(key).0)?;
        Ok(Acted::Done(None))
    }

    fn shown_target(&self) -> String {
        self.target.as_deref().map(shown).unwrap_or_default()
    }

    /// The file goes back to its name; a new file under that name is not overwritten, it becomes a numbered neighbour.
    fn put_back(&self) -> Result<Acted> {
        for path in numbered(self.order.key.as_bytes()) {
            match self.directory.rename_new(&self.private, &path)? {
                Renamed::Taken => {}
                Renamed::Forbidden(why) => return Err(forbidden(&self.private, why)),
                Renamed::Refused(why) => return Err(refused(&self.private, why)),
                Renamed::Done | Renamed::Missing | Renamed::OtherDisk => break,
            }
        }
        Ok(Acted::OtherVersion)
    }

    /// Moves the private file to `target` or a numbered name beside it; `None` when all are taken.
    fn move_to(&self, target: &[u8]) -> Result<Option<Vec<u8>>> {
        let folder = split(target).0;
        self.directory.make_folder(folder)?;
        let mut from = self.private.clone();
        for path in numbered(target) {
            let mut renamed = self.directory.rename_new(&from, &path)?;
            if renamed == Renamed::OtherDisk {
                from = self.copy_beside(folder)?;
                renamed = self.directory.rename_new(&from, &path)?;
            }
            match renamed {
                Renamed::Forbidden(why) => return Err(forbidden(&from, why)),
                Renamed::Refused(why) => return Err(refused(&from, why)),
                _ => {}
            }
            let taken = renamed == Renamed::Taken;
            let same = taken && self.file_at(&path)?.is_some_and(|f| f.tuple.size == self.order.tuple.size);
            if taken && !(same && self.holds(&path)?) {
                continue;
            }
            self.directory.sync_folder(folder)?;
            // It is there now, or was already: by an earlier try, or as a file of the same content.
            self.directory.remove(&from)?;
            self.directory.remove(&self.private)?;
            return Ok(Some(path));
        }
        if from != self.private {
            self.directory.remove(&from)?;
        }
        Ok(None)
    }

    /// A copy on the target's disk, under a private name there.
    fn copy_beside(&self, folder: &[u8]) -> Result<Vec<u8>> {
        let copy = join(folder, &[split(&self.private).1, b"-copy"].concat());
        self.directory.remove(&copy)?;
        self.directory.copy_new(&self.private, &copy)?;
        Ok(copy)
    }
}

/// A rename that was refused halfway, where others were carried out.
fn forbidden(from: &[u8], why: String) -> Error {
    Error::new(ErrorKind::Denied, format!("rename {}: the server carries out no renames", shown(from))).because(why)
}

/// A rename that was refused, for this file or this name.
fn refused(from: &[u8], why: String) -> Error {
    Error::new(ErrorKind::Denied, format!("rename {}", shown(from))).because(why)
}

/// The name a file has while it is acted upon. The same order finds it again after a crash.
pub(super) fn private_path(path: &[u8], fingerprint: Fingerprint) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(path);
    hash.update(fingerprint.0);
    let hex = Fingerprint(hash.finalize().into()).to_hex();
    join(split(path).0, &[PRIVATE_PREFIX, &hex.as_bytes()[..24]].concat())
}

/// `name.ext`, `name-2.ext`, `name-3.ext` and so on.
fn numbered(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (folder, name) = split(path);
    let (folder, name) = (folder.to_vec(), name.to_vec());
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0).unwrap_or(name.len());
    (1..=NUMBERS_MAX).map(move |number| match number {
        1 => join(&folder, &name),
        _ => join(&folder, &[&name[..dot], format!("-{number}").as_bytes(), &name[dot..]].concat()),
    })
}

/// A target path in plain form; `None` when it leads out of the root. One that ends with `/` is a folder to move into.
fn checked(path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if path.starts_with(b"/") || path.contains(&0) {
        return None;
    }
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|p| !matches!(*p, b"" | b".")).collect();
    if path.is_empty() || path.ends_with(b"/") {
        parts.push(name);
    }
    (!parts.contains(&&b".."[..])).then(|| parts.join(&b'/'))
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
