//! `claim`: a file is renamed on its server before it is fetched, so that nobody writes to it or fetches it twice. The
//! rename is the journal: what lies in the claim folder and was not told is told from there, under the name it had before.
//! What was told is known by `mark`.

use super::action::private_path;
use super::coarse::{agree, is_exact};
use super::place::{Directory, Renamed, split};
use super::tracker::Tracker;
use crate::change::{Key, Tuple};
use crate::error::{Error, ErrorKind, Result};
use crate::setting::Template;
use crate::source::{Acted, ActionOrder};

/// Where claimed files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    folder: Vec<u8>,
    ending: Vec<u8>,
}

impl Claim {
    /// Takes a template like `work/{name}` apart. A file of a folder below keeps that folder below the claim folder.
    ///
    /// # Errors
    /// `Config` when it is not a folder of its own and the file's name in it.
    pub fn new(template: &Template) -> Result<Self> {
        const MARK: char = '\u{f8f0}';
        let marked = template.render(|hole| match hole.name.as_str() {
            "name" | "path" | "key" => MARK.to_string(),
            _ => "/".to_owned(),
        });
        let parts = marked.split_once(MARK).and_then(|(before, ending)| Some((before.strip_suffix('/')?, ending)));
        match parts {
            Some((folder, ending)) if !folder.is_empty() && !folder.contains('/') && !ending.contains(['/', MARK]) => {
                Ok(Self { folder: folder.into(), ending: ending.into() })
            }
            _ => {
                let rule = format!(
                    "claim = \"{template}\" is not a folder and the file's name in it; write \"work/{{name}}\""
                );
                Err(Error::new(ErrorKind::Config, rule))
            }
        }
    }

    /// Where the file `key` is once it is claimed.
    pub fn path_of(&self, key: &[u8]) -> Vec<u8> {
        [&self.folder[..], b"/", key, &self.ending].concat()
    }

    /// The key of what lies at `path`; `None` when that is no claimed file.
    pub fn key_of<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let key = self.below(path)?.strip_suffix(&self.ending[..])?;
        (!split(key).1.is_empty()).then_some(key)
    }

    /// What `path` is below the claim folder; `None` when it is not there. The folder itself is `""`.
    pub fn below<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        match path.strip_prefix(&self.folder[..])? {
            [] => Some(&[]),
            [b'/', below @ ..] => Some(below),
            _ => None,
        }
    }
}

/// Why `claim` can't work on a server.
pub(super) const FORBIDDEN: &str = "the server carries out no renames, so claim can't work there; remove it";

/// How a file is claimed before it is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Claiming {
    /// It goes to this place, which holds nothing that was told.
    To(Vec<u8>),
    /// An earlier version that was not told yet lies there: it goes first.
    Occupied,
    /// The place could not be prepared, for this reason.
    Failed(String),
}

/// How a claim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The file is ours.
    Ours,
    /// It is not there any more.
    Vanished,
    /// Another file lies at its place.
    Occupied,
}

/// Claims the file at `path`, which becomes `to`.
///
/// # Errors
/// The server refused the rename.
pub fn take(directory: &dyn Directory, path: &[u8], to: &[u8]) -> Result<Claimed> {
    let renamed = match directory.rename_new(path, to) {
        // The folder may not be there yet. Servers have no error of their own for that.
        Err(_) | Ok(Renamed::Forbidden(_) | Renamed::Refused(_)) => {
            directory.make_folder(split(to).0)?;
            directory.rename_new(path, to)?
        }
        Ok(renamed) => renamed,
    };
    match renamed {
        Renamed::Done => Ok(Claimed::Ours),
        Renamed::Missing => Ok(Claimed::Vanished),
        Renamed::Taken => Ok(Claimed::Occupied),
        Renamed::OtherDisk => {
            Err(Error::new(ErrorKind::Invalid, "claim is on another disk than the file; write another"))
        }
        Renamed::Refused(why) => Err(Error::new(ErrorKind::Denied, "the server refused the rename").because(why)),
        Renamed::Forbidden(why) => Err(Error::new(ErrorKind::Denied, FORBIDDEN).because(why)),
    }
}

/// Whether the claimed file at `place` is surely the version told last. A time to the minute can't tell it from one written a
/// moment later: where a look at the file alone knows no more, its content must be compared.
///
/// # Errors
/// The file could not be looked at.
pub fn is_told(directory: &dyn Directory, place: &[u8], listed: &Tuple, told: &Tuple) -> Result<bool> {
    if !is_exact(told) || is_exact(listed) || !agree(told, listed) {
        return Ok(is_exact(told) && agree(told, listed));
    }
    Ok(directory.look(place)?.is_some_and(|found| is_exact(&found.tuple) && agree(&found.tuple, told)))
}

impl Tracker {
    /// The same, with files claimed before they are fetched.
    ///
    /// # Errors
    /// `Config` when the template makes no sense.
    pub fn claiming(mut self, claim: Option<&Template>) -> Result<Self> {
        if let Some(template) = claim {
            self.rules = self.rules.claiming(Claim::new(template)?)?;
        }
        Ok(self)
    }

    /// Carries out an after-action where the file is by now: where it was claimed, or under its own name.
    ///
    /// # Errors
    /// As [`super::action::act`].
    pub fn act(&self, directory: &dyn Directory, order: &ActionOrder) -> Result<Acted> {
        let Some(claim) = self.rules.filters.claim() else { return super::action::act(directory, order) };
        let key = Key::from(claim.path_of(order.key.as_bytes()));
        let private = private_path(key.as_bytes(), order.fingerprint);
        let claimed = ActionOrder { key, ..order.clone() };
        let is_there = |path: &[u8]| directory.look(path).map(|found| found.is_some());
        let is_claimed = is_there(claimed.key.as_bytes())? || is_there(&private)?;
        if !is_claimed && is_there(order.key.as_bytes())? {
            return super::action::act(directory, order);
        }
        super::action::act(directory, &claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(text: &str) -> Result<Claim> {
        Claim::new(&Template::parse(text, &[]).expect("a template"))
    }

    #[test]
    fn the_key_of_a_claimed_file_is_found_again() {
        let claim = claim("work/{name}.busy").expect("a claim");
        for key in ["a.csv", "deep/er/a.csv", "work"] {
            let path = claim.path_of(key.as_bytes());
            assert_eq!(claim.key_of(&path), Some(key.as_bytes()), "{key}");
        }
        for other in ["a.csv", "work", "work/a.csv", "work/.busy", "workers/a.busy", "work/a/.busy"] {
            assert_eq!(claim.key_of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(
            (claim.below(b"work"), claim.below(b"work/a"), claim.below(b"workers")),
            (Some(&b""[..]), Some(&b"a"[..]), None)
        );
    }

    #[test]
    fn what_is_no_folder_and_name_is_refused() {
        for bad in
            ["{name}", "work", "a/b/{name}", "work/{date}/{name}", "/work/{name}", "work/{name}/x", "work/x{name}"]
        {
            assert!(claim(bad).is_err_and(|error| error.to_string().contains("work/{name}")), "{bad}");
        }
    }
}
