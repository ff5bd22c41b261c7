//! A look at one path: MLST where the server has it, else SIZE and MDTM, else the listing of its folder. Listing whole
//! folders is `listing`.

use std::sync::atomic::Ordering;

use super::refusal;
use super::reply::Reply;
use super::session::{Session, Type};
use super::site::Site;
use crate::change::Tuple;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::listing::parse_mlst;
use crate::source::directory::place::{Found, Listing, Precision, Shape, split};
use crate::source::settings::FtpListing;

/// Words of a refusal that mean more than "there is no such file".
const FORBIDDEN: &[&str] = &["permission", "denied", "not allowed", "prohibited", "forbidden"];

impl Site {
    /// What is at `path`; `None` when nothing is.
    ///
    /// # Errors
    /// The server does not say, or the connection is lost.
    pub fn look_with(&self, session: &mut Session, path: &[u8]) -> Result<Option<Found>> {
        if path.is_empty() {
            self.enter(session, path)?;
            return Ok(Some(FOLDER));
        }
        if self.has_facts(session) {
            let written = self.written(session, path)?;
            let reply = session.ask("MLST", &written)?;
            if reply.is_done() {
                return self.facts_in(&reply, path).map(Some);
            }
            if !matches!(reply.code, 500 | 502 | 504) {
                return self.absence(path, &reply);
            }
            self.server.learned.no_facts.store(true, Ordering::Relaxed);
        }
        self.look_by_size(session, path)
    }

    /// Whether entries are told as facts, as far as anybody knows.
    pub fn has_facts(&self, session: &Session) -> bool {
        matches!(self.server.settings.listing, FtpListing::Auto | FtpListing::Mlsd)
            && session.features.has_facts()
            && !self.server.learned.no_facts.load(Ordering::Relaxed)
    }

    fn facts_in(&self, reply: &Reply, path: &[u8]) -> Result<Found> {
        let found = reply.lines().find_map(parse_mlst).map(|(_, found)| found);
        found.ok_or_else(|| {
            let fact = format!("{} told no facts of {}", self.server.place(), self.shown(path));
            Error::new(ErrorKind::Invalid, fact).because(reply.quoted())
        })
    }

    /// What a refused look means: nothing is there, unless the words say otherwise.
    fn absence(&self, path: &[u8], reply: &Reply) -> Result<Option<Found>> {
        if matches!(reply.code, 550 | 553) && !reply.says(FORBIDDEN) {
            return Ok(None);
        }
        Err(refusal::refused(format!("look at {}", self.shown(path)), reply))
    }

    fn look_by_size(&self, session: &mut Session, path: &[u8]) -> Result<Option<Found>> {
        session.set_type(Type::Image)?;
        let written = self.written(session, path)?;
        let (size, time) = session.ask_both(["SIZE", "MDTM"], &written)?;
        if let Some(bytes) = size_in(&size) {
            let mtime = if time.code == 213 { time_in(&time) } else { None };
            return match mtime {
                Some(seconds) => Ok(Some(self.file(bytes, seconds))),
                // Without a time from MDTM the listing's is all there is.
                None => self.look_in_listing(session, path),
            };
        }
        match size.code {
            550 | 553 if size.says(FORBIDDEN) => Err(refusal::refused(format!("look at {}", self.shown(path)), &size)),
            550 | 553 if self.takes_paths() => {
                let reply = session.ask("CWD", &written)?;
                if reply.is_done() {
                    session.folder = Some(path.to_vec());
                    return Ok(Some(FOLDER));
                }
                // z/OS and IBM i refuse SIZE of files that are there; they take no paths.
                Ok(None)
            }
            _ => self.look_in_listing(session, path),
        }
    }

    fn look_in_listing(&self, session: &mut Session, path: &[u8]) -> Result<Option<Found>> {
        let (folder, name) = split(path);
        let mut sought = None;
        let listing = self.list_with(session, folder, &mut |listed| {
            if listed.name == name {
                sought = Some(listed.found);
            }
            Ok(())
        })?;
        match (sought, listing) {
            (None, Listing::Doubtful(why)) => {
                let fact = format!("look for {} in a listing that may not be whole", self.shown(path));
                Err(Error::new(ErrorKind::Unavailable, fact).because(why))
            }
            (sought, _) => Ok(sought),
        }
    }

    fn file(&self, size: u64, seconds: i64) -> Found {
        let offset = match self.server.learned.clock_offset.load(Ordering::Relaxed) {
            i64::MIN => 0,
            offset => offset,
        };
        let mtime_ns = (seconds - offset).saturating_mul(1_000_000_000);
        let tuple = Tuple { size, mtime_ns, ctime_ns: 0, inode: 0 };
        Found { shape: Shape::File, tuple, precision: Precision::Second }
    }
}

const FOLDER: Found = Found {
    shape: Shape::Folder,
    tuple: Tuple { size: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 },
    precision: Precision::Exact,
};

/// The number in `213 1048576`.
pub fn size_in(reply: &Reply) -> Option<u64> {
    if reply.code != 213 {
        return None;
    }
    let line = reply.lines().next()?.trim_ascii();
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The moment in `213 20261123101500.123`, whole seconds since the epoch (RFC 3659 section 2.3: in UTC).
pub fn time_in(reply: &Reply) -> Option<i64> {
    let line = reply.lines().next()?.trim_ascii();
    let digits = std::str::from_utf8(line.get(..14)?).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || line.get(14).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let small = |from: usize| digits[from..from + 2].parse::<i8>().ok();
    let second = small(12)?.min(59);
    let at =
        jiff::civil::DateTime::new(digits[..4].parse().ok()?, small(4)?, small(6)?, small(8)?, small(10)?, second, 0);
    Some(at.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory::ftp::reply::ReplyReader;

    fn reply(line: &str) -> Reply {
        ReplyReader::default().next(&mut format!("{line}\r\n").as_bytes()).expect("a reply")
    }

    #[test]
    fn sizes_and_times_are_read_and_nothing_else_is() {
        assert_eq!(size_in(&reply("213 1048576")), Some(1_048_576));
        assert_eq!(size_in(&reply("213 -1")), None);
        assert_eq!(size_in(&reply("550 1")), None);
        assert_eq!(time_in(&reply("213 20261123101500")), Some(1_795_428_900));
        assert_eq!(time_in(&reply("213 20261123101500.250")), Some(1_795_428_900));
        for bad in ["213 2026112310150", "213 20261323101500", "213 191001231015000", "213 "] {
            assert_eq!(time_in(&reply(bad)), None, "{bad}");
        }
    }
}
