//! The cases of remote directories: listings of many entries and fetches of many or large files, against real servers on
//! this machine, beside other programs where they are installed.

use std::path::Path;

use crate::cases::{UNUSED_SINK, store_events};
use crate::ftp_server::{FtpServer, program};
use crate::measure::{Job, in_turn};
use crate::product::Installation;
use crate::report::{self, Target};
use crate::{Options, Result, data};

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

/// Starts a server on a folder; `None` where that is not possible.
type Start = fn(&Path) -> Result<Option<FtpServer>>;

/// The servers that are compared.
const SERVERS: [(&str, Start); 2] = [("vsftpd", FtpServer::vsftpd), ("pure-ftpd", FtpServer::pure_ftpd)];

/// All of them. One that cannot run does not hide the figures of the others.
pub fn run(options: &Options) -> Result<()> {
    let sizes = if options.quick { &QUICK } else { &FULL };
    let mut failures = Vec::new();
    let many = data::flat(&options.dir, "remote-list", sizes.listed, 0)?;
    for (name, start) in SERVERS {
        failures.extend(listing(options, name, start(&many)?, sizes.listed).err());
    }
    for (count, bytes) in [sizes.small, sizes.large] {
        let files = data::flat(&options.dir, "remote-get", count, bytes)?;
        let what = format!("{count} x {} KiB", bytes >> 10);
        for (name, start) in SERVERS {
            for connections in CONNECTIONS {
                let server = start(&files)?;
                failures.extend(fetching(options, name, server, connections, (count, &what)).err());
            }
        }
    }
    failures.dedup();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn left_out(name: &str) {
    println!("{:<34} left out: not root, or {name} is not in PATH", format!("remote: {name}"));
}

fn source(server: &FtpServer, connections: u64, start: &str) -> String {
    format!(
        "kind = \"ftp\"\nurl = \"ftp://{}@{}\"\npassword = \"{}\"\npath = \"/\"\nconnections = {connections}\n\
         stable_for = \"0s\"\nstart = \"{start}\"",
        server.user, server.address, server.password
    )
}

/// A first look that only remembers, and a second in which nothing changed.
fn listing(options: &Options, name: &str, server: Option<FtpServer>, count: u64) -> Result<()> {
    let Some(server) = server else {
        left_out(name);
        return Ok(());
    };
    let drain = Job::floor(&["ftp-list", &server.address, server.user, server.password, server.listing])?;
    let label = |what: &str| format!("remote: {what} {} {} of {count}", server.name, server.listing);
    for peer in list_peers(&server)? {
        beside(options, &label(&peer.name), &drain, &peer)?;
    }
    let ours = Installation::new(options, &format!("remote-list-{name}"), &source(&server, 4, "now"), UNUSED_SINK)?;
    ours.begin_paused()?;
    let (mut before, mut none) = (|| ours.restore(), || ours.expect_events(0));
    let pairs = in_turn(&drain, &ours.once(), options.rounds, &ours.log(), &mut before, &mut none)?;
    report::line(&label("first"), &pairs, None);

    ours.restore()?;
    ours.run_once()?;
    let mut nothing = || Ok(());
    let pairs = in_turn(&drain, &ours.once(), options.rounds, &ours.log(), &mut nothing, &mut none)?;
    report::line(&label("idle"), &pairs, None);
    if let Some(curl) = curl(&server) {
        let pairs = in_turn(&curl, &ours.once(), options.rounds, &ours.log(), &mut nothing, &mut none)?;
        report::line(&label("idle / curl"), &pairs, Some(Target::Wall(1.30)));
    }
    Ok(())
}

/// The first look at files whose content is fetched, hashed, and made durable events.
fn fetching(
    options: &Options,
    name: &str,
    server: Option<FtpServer>,
    connections: u64,
    (count, what): (u64, &str),
) -> Result<()> {
    let Some(server) = server else {
        left_out(name);
        return Ok(());
    };
    let words = ["ftp-get", &server.address, server.user, server.password, &connections.to_string()];
    let floor = Job::floor(&words)?;
    let label = |who: &str| format!("remote: {who}{name} {what}, {connections} at once");
    // The copies of others go to memory, as ours are not written either.
    let target = tempfile::Builder::new().prefix("highwater-bench").tempdir_in("/dev/shm");
    let target = target.map_err(|error| format!("make a folder in /dev/shm: {error}"))?;
    for peer in get_peers(&server, connections, target.path())? {
        beside(options, &label(&format!("{} ", peer.name)), &floor, &peer)?;
    }
    let ours = Installation::new(options, "remote-get", &source(&server, connections, "all"), UNUSED_SINK)?;
    store_events(options, &label(""), &floor, &ours, count, Some(Target::Wall(1.20)))
}

/// Another program that does the same.
struct Peer {
    name: String,
    job: Job,
    /// A folder that is emptied before each run.
    target: Option<std::path::PathBuf>,
}

/// Measures another program against the floor, three rounds at most.
fn beside(options: &Options, label: &str, floor: &Job, peer: &Peer) -> Result<()> {
    let log = options.dir.join("peer.log");
    let mut empty = || match &peer.target {
        Some(target) => {
            let _ = std::fs::remove_dir_all(target);
            std::fs::create_dir_all(target).map_err(|error| format!("make {}: {error}", target.display()))
        }
        None => Ok(()),
    };
    match in_turn(floor, &peer.job, options.rounds.min(3), &log, &mut empty, &mut || Ok(())) {
        Ok(pairs) => report::line(label, &pairs, None),
        // What another program can't do is no failure of ours.
        Err(line) => println!("{label:<34} did not work: {}", line.lines().next().unwrap_or_default()),
    }
    Ok(())
}

fn list_peers(server: &FtpServer) -> Result<Vec<Peer>> {
    let mut peers: Vec<Peer> =
        curl(server).into_iter().map(|job| Peer { name: "curl".into(), job, target: None }).collect();
    peers.extend(lftp(server, "cls -l / > /dev/null", None));
    peers.extend(rclone(server, &["lsf", "--format", "pst", ":ftp:/"], None)?);
    Ok(peers)
}

fn get_peers(server: &FtpServer, connections: u64, target: &Path) -> Result<Vec<Peer>> {
    let (folder, path) = (target.join("copy"), target.join("copy").display().to_string());
    let mut peers: Vec<Peer> =
        lftp(server, &format!("mirror -P {connections} / {path}"), Some(&folder)).into_iter().collect();
    let transfers = connections.to_string();
    let words = ["copy", ":ftp:/", &path, "--transfers", &transfers, "--checkers", "1"];
    peers.extend(rclone(server, &words, Some(&folder))?);
    Ok(peers)
}

fn curl(server: &FtpServer) -> Option<Job> {
    let args = ["-sS", "-o", "/dev/null", "-X", server.listing, "-u"].map(str::to_owned).to_vec();
    let account = format!("{}:{}", server.user, server.password);
    let args = args.into_iter().chain([account, format!("ftp://{}/", server.address)]).collect();
    program("curl").map(|program| Job { program, args, ok: &[0] })
}

fn lftp(server: &FtpServer, command: &str, target: Option<&Path>) -> Option<Peer> {
    let open = format!("open -u {},{} ftp://{}", server.user, server.password, server.address);
    let args = vec!["--norc".into(), "-c".into(), format!("set ftp:ssl-allow no; {open}; {command}")];
    let job = program("lftp").map(|program| Job { program, args, ok: &[0] })?;
    Some(Peer { name: "lftp".into(), job, target: target.map(Path::to_path_buf) })
}

fn rclone(server: &FtpServer, words: &[&str], target: Option<&Path>) -> Result<Option<Peer>> {
    let Some(program) = program("rclone") else { return Ok(None) };
    let obscured = std::process::Command::new(&program).args(["obscure", server.password]).output();
    let obscured = obscured.map_err(|error| format!("start rclone: {error}"))?;
    let password = String::from_utf8_lossy(&obscured.stdout).trim().to_owned();
    let (host, port) = server.address.split_once(':').ok_or("an address has a port")?;
    let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let account = ["--ftp-host", host, "--ftp-port", port, "--ftp-user", server.user, "--ftp-pass", &password, "-q"];
    args.extend(account.map(str::to_owned));
    args.extend(["--config".to_owned(), "/dev/null".to_owned()]);
    let job = Job { program, args, ok: &[0] };
    Ok(Some(Peer { name: "rclone".into(), job, target: target.map(Path::to_path_buf) }))
}
