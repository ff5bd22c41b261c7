//! Whether files can be renamed here, and what becomes of a file that has the new name already: tried on scratch files
//! with hidden names, for `doctor`, only where after-actions or `claim` rename anyway.

use super::data::{self, Begun};
use super::reply::Reply;
use super::site::Site;
use crate::error::Result;
use crate::source::directory::place::Renamed;
use crate::source::{Finding, Verdict};

/// Makes two empty files, renames one over the other and to a third name, and removes what is left.
///
/// # Errors
/// The connection was lost, or a scratch file can't be removed.
pub fn examine(site: &Site) -> Result<Vec<Finding>> {
    let stem = format!(".highwater-doctor-{:016x}", fastrand::u64(..));
    let names = ["a", "b", "c"].map(|end| format!("{stem}-{end}").into_bytes());
    let tried = try_names(site, &names);
    // All of them are tried before the first failure counts.
    let removed: Vec<_> = names.iter().map(|name| site.delete(name)).collect();
    let tried = tried?;
    removed.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(tried)
}

fn try_names(site: &Site, [a, b, c]: &[Vec<u8>; 3]) -> Result<Vec<Finding>> {
    for name in [a, b] {
        let reply = store_empty(site, name)?;
        if !reply.is_done() {
            let fact = format!("not tried: no scratch file can be made here ({})", reply.quoted());
            return Ok(vec![Finding::new("rename", Verdict::Note, fact)]);
        }
    }
    let (first, second) = site.with(|session| {
        let (from, to) = (site.written(session, a)?, site.written(session, b)?);
        let first = session.ask("RNFR", &from)?;
        let second = if first.is_half() { Some(session.ask("RNTO", &to)?) } else { None };
        Ok((first, second))
    })?;
    let Some(second) = second else {
        let fact = format!("is refused: {}; files can be deleted, but neither moved nor claimed", first.quoted());
        return Ok(vec![Finding::new("rename", Verdict::Problem, fact)]);
    };
    let replaced = second.is_done() && site.with(|session| site.look_with(session, a))?.is_none();
    let over = match replaced {
        true => Finding::new(
            "rename-over",
            Verdict::Note,
            "a rename replaces what is there, as on most FTP servers: we look first, and a file that comes in between is lost",
        ),
        false => Finding::new("rename-over", Verdict::Works, "a rename over a file is refused, as it should be"),
    };
    let renamed = site.rename(if replaced { b } else { a }, c)?;
    let plain = match renamed {
        Renamed::Done => Finding::new("rename", Verdict::Works, "to a new name"),
        other => Finding::new("rename", Verdict::Problem, format!("to a new name: {}", words(other))),
    };
    Ok(vec![over, plain])
}

/// What came of a rename that was not done.
fn words(renamed: Renamed) -> String {
    match renamed {
        Renamed::Done => "done".into(),
        Renamed::Taken => "the new name is said to be taken, which it is not".into(),
        Renamed::Missing => "the file just made is said not to be there".into(),
        Renamed::OtherDisk => "the new name is said to be on another disk".into(),
        Renamed::Forbidden(said) | Renamed::Refused(said) => said,
    }
}

/// The final reply to an upload of nothing.
fn store_empty(site: &Site, name: &[u8]) -> Result<Reply> {
    site.with(|session| {
        let written = site.written(session, name)?;
        let command = [b"STOR ", &written[..]].concat();
        match data::begin(session, &site.server, &command, 0, &site.stop())? {
            Begun::Started(transfer) => data::end(session, transfer),
            Begun::Refused(reply) => Ok(reply),
        }
    })
}
