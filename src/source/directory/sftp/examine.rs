//! What a server announces and what of it really works, for `doctor`. A scratch file is only written where after-actions
//! or `claim` write anyway, and is removed again.

use std::time::{Duration, Instant};

use super::folder::SftpFolder;
use super::packet::{CREATE_NEW, READ, Reply, Request, Status, WRITE};
use super::session::Session;
use crate::change::key::shown;
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::source::directory::place::{Directory, Listing, Renamed, Shape};
use crate::source::{Finding, Verdict};

/// Extensions that are of use to us.
const USEFUL: [&str; 4] =
    ["posix-rename@openssh.com", "statvfs@openssh.com", "limits@openssh.com", "fsync@openssh.com"];

/// Looks at the server and the folder, which was arrived at.
///
/// # Errors
/// The connection was lost.
pub fn examine(folder: &SftpFolder, writes: bool) -> Result<Vec<Finding>> {
    let lease = folder.pool().lease(folder.stop())?;
    let session = lease.session();
    let mut found = announced(session);
    found.push(round_trip(folder, session)?);
    found.extend(listing(folder)?);
    if writes {
        found.extend(scratch(folder, session)?);
    } else {
        let why = "not tried: nothing is moved or deleted here, so no scratch file is written";
        found.push(Finding::new("rename", Verdict::Note, why));
    }
    Ok(found)
}

fn announced(session: &Session) -> Vec<Finding> {
    let seen = &session.seen;
    let mut found = vec![Finding::new("server", Verdict::Note, seen.version.trim_start_matches("SSH-2.0-"))];
    if let Some(key) = &seen.host_key {
        found.push(Finding::new("host key", Verdict::Works, format!("{} {}", key.kind, key.fingerprint)));
    }
    let weak = ["sha1", "cbc"].iter().any(|weak| seen.algorithms.contains(weak));
    let verdict = if weak { Verdict::Problem } else { Verdict::Works };
    let advice = if weak { "; this is weak, ask the partner for a newer server" } else { "" };
    found.push(Finding::new("algorithms", verdict, format!("{}{advice}", seen.algorithms)));
    found.push(Finding::new("login", Verdict::Works, format!("offered: {}", session.offered.join(", "))));
    if !seen.banner.is_empty() {
        found.push(Finding::new("greeting", Verdict::Note, seen.banner.clone()));
    }
    let names: Vec<String> = session.extensions.iter().map(|name| shown(name)).collect();
    let announced = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    found.push(Finding::new("extensions", Verdict::Note, announced));
    for name in USEFUL {
        let verdict = if session.has(name) { Verdict::Works } else { Verdict::Absent };
        found.push(Finding::new(name, verdict, if session.has(name) { "announced" } else { "not announced" }));
    }
    found
}

fn round_trip(folder: &SftpFolder, session: &Session) -> Result<Finding> {
    let (root, doing) = (folder.absolute(b"")?, folder.doing("look at", b""));
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        session.ask(folder.stop(), &doing, Request::stat(&root))?;
        best = best.min(began.elapsed());
    }
    Ok(Finding::new("round trip", Verdict::Note, format!("{:.1} ms", best.as_secs_f64() * 1e3)))
}

fn listing(folder: &SftpFolder) -> Result<Vec<Finding>> {
    let (mut files, mut folders, mut others, mut odd, mut first) = (0_u64, 0_u64, 0_u64, 0_u64, None);
    let listed = folder.list(b"", &mut |listed| {
        match listed.found.shape {
            Shape::File => files += 1,
            Shape::Folder => folders += 1,
            Shape::Other => others += 1,
        }
        odd += u64::from(std::str::from_utf8(listed.name).is_err());
        if listed.found.shape == Shape::File && first.is_none() {
            first = Some((listed.name.to_vec(), listed.found));
        }
        Ok(())
    });
    let counts = format!("files {files}, folders {folders}, others {others}");
    let mut found = vec![match listed {
        Ok(Listing::Complete) => Finding::new("listing", Verdict::Works, counts),
        Ok(Listing::Doubtful(why)) => Finding::new("listing", Verdict::Problem, format!("{counts}; {why}")),
        Ok(Listing::Missing) => Finding::new("listing", Verdict::Problem, "the folder is not there"),
        Err(error) => Finding::new("listing", Verdict::Problem, error.to_string()),
    }];
    found.push(Finding::new("time precision", Verdict::Note, "one second, as in all of SFTP version 3; UTC"));
    if odd > 0 {
        let fact = format!("{odd} names are not UTF-8; they are read and told exactly (path_b64)");
        found.push(Finding::new("names", Verdict::Note, fact));
    }
    if let Some((name, listed)) = first {
        let looked = folder.look(&name)?;
        let verdict = if looked == Some(listed) { Verdict::Works } else { Verdict::Problem };
        let fact = match verdict {
            Verdict::Works => "READDIR and LSTAT say the same of a file".to_owned(),
            _ => format!("READDIR and LSTAT differ on {}: {listed:?} and {looked:?}", shown(&name)),
        };
        found.push(Finding::new("attributes", verdict, fact));
    }
    Ok(found)
}

/// Writes, renames and removes scratch files with hidden names.
fn scratch(folder: &SftpFolder, session: &Session) -> Result<Vec<Finding>> {
    let names = ["a", "b"].map(|end| format!(".highwater-doctor-{:016x}-{end}", fastrand::u64(..)).into_bytes());
    let tried = try_scratch(folder, session, &names);
    for name in &names {
        folder.remove(name)?;
    }
    tried
}

fn try_scratch(folder: &SftpFolder, session: &Session, [a, b]: &[Vec<u8>; 2]) -> Result<Vec<Finding>> {
    let (stop, doing) = (folder.stop(), folder.doing("write a scratch file in", b""));
    let before = SystemClock::new().now();
    for name in [a, b] {
        let opened = session.ask(stop, &doing, Request::open(&folder.absolute(name)?, READ | WRITE | CREATE_NEW))?;
        match session.handle(opened)? {
            Ok(handle) => session.close(stop, &handle),
            Err(status) => {
                let fact = format!("no file can be made here ({}): after-actions will fail", status.message);
                return Ok(vec![Finding::new("write", Verdict::Problem, fact)]);
            }
        }
    }
    let mut found = vec![Finding::new("write", Verdict::Works, "files can be made and removed")];
    if let Some(made) = folder.look(a)? {
        let offset_s = made.tuple.mtime_ns / 1_000_000_000 - before.seconds();
        let verdict = if offset_s.abs() <= 2 { Verdict::Works } else { Verdict::Note };
        let fact = format!("the server's clock is {offset_s} s ahead of ours; readiness does not depend on it");
        found.push(Finding::new("clock", verdict, fact));
    }
    let reply = session.ask(stop, &doing, Request::rename(&folder.absolute(a)?, &folder.absolute(b)?))?;
    found.push(match reply {
        Reply::Status(status) if status.code == Status::OK => Finding::new(
            "rename-over",
            Verdict::Problem,
            "a rename replaces what is there: we look first, and a file that comes in between is lost",
        ),
        Reply::Status(status) if matches!(status.code, Status::PERMISSION_DENIED | Status::UNSUPPORTED) => {
            Finding::new("rename-over", Verdict::Note, "not known: the rename was not permitted at all")
        }
        _ => Finding::new("rename-over", Verdict::Works, "a rename over a file is refused, as it must be"),
    });
    if session.has("posix-rename@openssh.com") && folder.look(a)?.is_some() {
        let (a, b) = (folder.absolute(a)?, folder.absolute(b)?);
        let worked = session.try_do(stop, &doing, Request::rename_over(&a, &b))?.is_none();
        let verdict = if worked { Verdict::Works } else { Verdict::Problem };
        found.push(Finding::new("posix-rename", verdict, "renames over a file when asked to; not used by us"));
    }
    let (from, to) = if folder.look(a)?.is_some() { (a, b) } else { (b, a) };
    folder.remove(to)?;
    found.push(match folder.rename_new(from, to)? {
        Renamed::Done => Finding::new("rename", Verdict::Works, "to a new name"),
        Renamed::Forbidden(why) => {
            let fact = "move and claim can't work here, and \"delete\" also takes what is written at that very moment";
            Finding::new("rename", Verdict::Problem, format!("the server carries out no renames: {why}; {fact}"))
        }
        renamed => Finding::new("rename", Verdict::Problem, format!("to a new name: {renamed:?}")),
    });
    Ok(found)
}
