//! The cases of remote directories: listings of many entries, and fetches of many or large files, from real servers on
//! this machine, beside other programs. How those are called belongs to `peers`, the servers to `ftp_server` and `ssh_server`.

use std::path::Path;

use crate::cases::UNUSED_SINK;
use crate::ftp_server::FtpServer;
use crate::measure::{Contender, Job, side_by_side};
use crate::peers::{self, Reached};
use crate::product::Installation;
use crate::report::{self, Target};
use crate::ssh_server::SshServer;
use crate::{Options, Result, data};

/// Parts that can be asked for: listings and fetches over FTP, both over SFTP.
pub const PARTS: [&str; 3] = ["list", "fetch", "sftp"];

/// How much of everything.
struct Sizes {
    listed: u64,
    small: (u64, u64),
    large: (u64, u64),
}

const FULL: Sizes = Sizes { listed: 100_000, small: (5_000, 10 << 10), large: (20, 100 << 20) };
const QUICK: Sizes = Sizes { listed: 2_000, small: (100, 10 << 10), large: (2, 4 << 20) };

/// Connections that are compared.
const CONNECTIONS: [u64; 3] = [1, 4, 8];

/// Starts a server on a folder; the error says why it can't be.
type Start = fn(&Path) -> Result<Server>;

/// A server of either kind; it ends with this value.
struct Server {
    _running: Box<dyn std::any::Any>,
    reached: Reached,
}

/// All parts, or those asked for. One that cannot run does not hide the figures of the others.
pub fn run(options: &Options) -> Result<()> {
    let sizes = if options.quick { &QUICK } else { &FULL };
    let mut failures = Vec::new();
    let mut take = |part: &str, name: &str, start: Start, work: Work, sizes: &Sizes| {
        if options.wants_part(part)
            && let Err(line) = work(options, start, sizes)
        {
            println!("remote {part}, {name}: not taken: {line}");
            failures.push(format!("{part} {name}"));
        }
    };
    take("list", "vsftpd", vsftpd, listing, sizes);
    take("list", "pure-ftpd", pure_ftpd, listing, sizes);
    take("fetch", "vsftpd", vsftpd, fetching, sizes);
    take("sftp", "OpenSSH, list", openssh, listing, sizes);
    take("sftp", "OpenSSH, fetch", openssh, fetching, sizes);
    if failures.is_empty() { Ok(()) } else { Err(format!("not taken: {}", failures.join("; "))) }
}

/// Measures and prints one part with one server.
type Work = fn(&Options, Start, &Sizes) -> Result<()>;

fn vsftpd(root: &Path) -> Result<Server> {
    let server = FtpServer::vsftpd(root)?;
    let reached = Reached::ftp(&server);
    Ok(Server { _running: Box::new(server), reached })
}

fn pure_ftpd(root: &Path) -> Result<Server> {
    let server = FtpServer::pure_ftpd(root)?;
    let reached = Reached::ftp(&server);
    Ok(Server { _running: Box::new(server), reached })
}

fn openssh(root: &Path) -> Result<Server> {
    let server = SshServer::start()?;
    let reached = Reached::sftp(&server, root);
    Ok(Server { _running: Box::new(server), reached })
}

/// A first look that only remembers, a second in which nothing changed, and the same listing by others.
fn listing(options: &Options, start: Start, sizes: &Sizes) -> Result<()> {
    let many = data::flat(&options.dir, "remote-list", sizes.listed, 0)?;
    let server = start(&many)?;
    let reached = &server.reached;
    let source = format!("{}\nconnections = 4\nstart = \"now\"", reached.source);
    let ours = Installation::new(options, &format!("remote-list-{}", reached.server), &source, UNUSED_SINK)?;
    ours.begin_paused()?;
    let none = || ours.expect_events(0);
    let mut contenders = Vec::new();
    if let Some(floor) = &reached.list_floor {
        contenders.push(Contender::new("floor", Ok(Job::floor(floor)?)).aim(Target::Wall(1.30)));
    }
    // The second look begins with what the first one has left.
    contenders.push(Contender::new("highwater, first look", Ok(ours.once())).around(|| ours.restore(), none));
    contenders.push(Contender::new(report::OURS, Ok(ours.once())).around(|| Ok(()), none));
    contenders.extend(peers::listing(reached)?);
    let figures = side_by_side(contenders, options.rounds, &ours.log());
    report::table(&format!("{}: idle look at {} entries", reached.label, sizes.listed), &figures)
}

/// The first look at files whose content is fetched, hashed, and made durable events, and copies by others.
fn fetching(options: &Options, start: Start, sizes: &Sizes) -> Result<()> {
    for (count, bytes) in [sizes.small, sizes.large] {
        let files = data::flat(&options.dir, "remote-get", count, bytes)?;
        // So that the first of all does not read from the disk what the others find in memory.
        let path = files.to_str().ok_or(format!("{} is not UTF-8", files.display()))?;
        Job::floor(&["hash", path])?.run(&options.dir.join("warm.log"))?;
        for connections in CONNECTIONS {
            let server = start(&files)?;
            let what = format!("{}: {count} x {}, {connections} at once", server.reached.label, size(bytes));
            fetched(options, &server.reached, connections, count, &what)?;
        }
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

fn fetched(options: &Options, reached: &Reached, connections: u64, count: u64, label: &str) -> Result<()> {
    // The copies of others go to memory, as ours are not written either.
    let target = tempfile::Builder::new().prefix("highwater-bench").tempdir_in("/dev/shm");
    let target = target.map_err(|error| format!("make a folder in /dev/shm: {error}"))?;
    let copy = target.path().join("copy");
    let source = format!("{}\nconnections = {connections}\nstart = \"all\"", reached.source);
    let ours = Installation::new(options, "remote-get", &source, UNUSED_SINK)?;
    ours.begin_paused()?;
    let mut contenders = Vec::new();
    if let Some(floor) = &reached.get_floor {
        let words: Vec<String> = floor.iter().cloned().chain([connections.to_string()]).collect();
        contenders.push(Contender::new("floor", Ok(Job::floor(&words)?)).aim(Target::Wall(1.20)));
    }
    let our_run = Contender::new(report::OURS, Ok(ours.once()));
    contenders.push(our_run.around(|| ours.restore(), || ours.expect_events(count)));
    contenders.extend(peers::fetching(reached, connections, count, &copy)?);
    let figures = side_by_side(contenders, options.rounds, &ours.log());
    report::table(label, &figures)
}
