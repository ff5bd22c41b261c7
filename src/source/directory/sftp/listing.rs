//! Lists one folder: several READDIR are under way at once, entries are handed out as they come, and what the server left
//! out of an entry is asked for. What becomes of the entries is the tracker's affair.

use std::collections::VecDeque;

use super::failure::of_status;
use super::packet::{Named, Reply, Request, Status};
use super::session::Session;
use super::wire::Pending;
use crate::change::key::shown;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::directory::place::{Listed, Listing, Shape, join};

/// READDIR requests under way at once.
const AHEAD: usize = 6;

/// LSTAT requests under way at once, for entries of which the server said too little.
const LOOKS: usize = 64;

/// So many answers without a single entry are no listing any more.
const EMPTY_MAX: usize = 100;

/// A longer name is none.
const NAME_BYTES_MAX: usize = 16 * 1024;

/// A folder being listed.
pub struct Folder<'a> {
    /// The connection.
    pub session: &'a Session,
    /// Ends it early.
    pub stop: &'a Stop,
    /// What is being done, for messages.
    pub doing: &'a str,
    /// The folder on the server.
    pub path: &'a [u8],
}

impl Folder<'_> {
    /// Hands out every entry but `.` and `..`; [`Listing::Missing`] when no folder is there.
    ///
    /// # Errors
    /// The server broke off, or `each` failed: nothing may be concluded from what was handed out.
    pub fn list(&self, each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let Self { session, stop, doing, path } = self;
        // The look is sent along, so that a link is not followed to where it points.
        let [mut look, mut open] = session.send(stop, doing, [Request::lstat(path), Request::opendir(path)])?;
        let found = session.attributes(doing, session.reply(stop, doing, &mut look)?)?.map(|found| found.found());
        let opened = session.handle(session.reply(stop, doing, &mut open)?)?;
        let handle = match (found, opened) {
            (None, _) => return Ok(Listing::Missing),
            (Some(found), opened) if found.shape != Shape::Folder => {
                if let Ok(handle) = opened {
                    session.close(stop, &handle);
                }
                return Ok(Listing::Missing);
            }
            (Some(_), Err(status)) if status.code == Status::NO_SUCH_FILE => return Ok(Listing::Missing),
            (Some(_), Err(status)) => return Err(of_status(*doing, &status)),
            (Some(_), Ok(handle)) => handle,
        };
        let listed = self.entries(&handle, each);
        session.close(stop, &handle);
        listed
    }

    fn entries(&self, handle: &[u8], each: &mut dyn FnMut(Listed<'_>) -> Result<()>) -> Result<Listing> {
        let Self { session, stop, doing, .. } = self;
        let mut ahead: VecDeque<Pending> = VecDeque::new();
        let (mut ended, mut empty, mut odd) = (false, 0, None);
        loop {
            stop.check()?;
            while !ended && ahead.len() < AHEAD {
                let [pending] = session.send(stop, doing, [Request::readdir(handle)])?;
                ahead.push_back(pending);
            }
            let Some(mut next) = ahead.pop_front() else { break };
            match session.reply(stop, doing, &mut next)? {
                Reply::Names(names) => {
                    empty = if names.is_empty() { empty + 1 } else { 0 };
                    if empty > EMPTY_MAX {
                        return Err(
                            Error::new(ErrorKind::Invalid, *doing).because("answers without an entry, again and again")
                        );
                    }
                    self.hand_out(names, &mut odd, each)?;
                }
                Reply::Status(status) if status.code == Status::EOF => ended = true,
                // Behind the end a server may say what it likes.
                Reply::Status(_) if ended => {}
                Reply::Status(status) => return Err(of_status(*doing, &status)),
                _ => return Err(session.surprise()),
            }
        }
        Ok(odd.map_or(Listing::Complete, Listing::Doubtful))
    }

    fn hand_out(
        &self,
        mut names: Vec<Named>,
        odd: &mut Option<String>,
        each: &mut dyn FnMut(Listed<'_>) -> Result<()>,
    ) -> Result<()> {
        names.retain(|one| !matches!(&one.name[..], b"." | b".."));
        names.retain(|one| {
            let possible = !one.name.is_empty() && !one.name.contains(&b'/') && one.name.len() <= NAME_BYTES_MAX;
            if !possible {
                // No file can have this name: the server lies or is broken, and what else it left out nobody knows.
                let start = &one.name[..one.name.len().min(80)];
                odd.get_or_insert_with(|| {
                    format!("{}: the server lists an impossible name, \"{}\"", self.doing, shown(start))
                });
            }
            possible
        });
        for some in names.chunks_mut(LOOKS) {
            let gone = self.complete(some, odd)?;
            for (at, Named { name, attributes }) in some.iter().enumerate() {
                if !gone.contains(&at) {
                    each(Listed { name, found: attributes.found() })?;
                }
            }
        }
        Ok(())
    }

    /// Asks for what the server left out; returns which entries are gone by now.
    fn complete(&self, some: &mut [Named], odd: &mut Option<String>) -> Result<Vec<usize>> {
        let Self { session, stop, doing, path } = self;
        let (mut asked, mut gone) = (Vec::new(), Vec::new());
        for (at, named) in some.iter().enumerate().filter(|(_, named)| !named.attributes.are_whole()) {
            let [pending] = session.send(stop, doing, [Request::lstat(&join(path, &named.name))])?;
            asked.push((at, pending));
        }
        for (at, mut pending) in asked {
            match session.reply(stop, doing, &mut pending)? {
                Reply::Attributes(attributes) => some[at].attributes = attributes,
                Reply::Status(status) if status.code == Status::NO_SUCH_FILE => gone.push(at),
                Reply::Status(status) => {
                    let name = shown(&some[at].name);
                    odd.get_or_insert_with(|| of_status(format!("{doing}: look at {name}"), &status).to_string());
                    gone.push(at);
                }
                _ => return Err(session.surprise()),
            }
        }
        Ok(gone)
    }
}
