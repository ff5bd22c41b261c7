//! The other programs that list and fetch the same from the same server: how each is told to.
//! That one of them is missing or fails is a line in the table, and no failure of ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::ftp_server::{FtpServer, program};
use crate::measure::{Contender, Job};
use crate::report::Target;
use crate::ssh_server::SshServer;

/// A server and the folder in it, as each program wants it written.
pub struct Reached {
    /// `vsftpd`, for file names.
    pub server: &'static str,
    /// For people: server and protocol.
    pub label: String,
    /// Keys of a source of ours, except `connections` and `start`.
    pub source: String,
    /// The smallest program that lists.
    pub list_floor: Option<Vec<String>>,
    /// The smallest program that fetches; the number of connections comes behind.
    pub get_floor: Option<Vec<String>>,
    lftp: String,
    /// Options, and the name that stands for the server.
    rclone: (Vec<String>, &'static str),
    /// Programs that know one of the protocols only.
    alone: Alone,
    /// The folder.
    path: String,
}

enum Alone {
    /// Words up to the address.
    Curl(Vec<String>),
    /// Words up to the address, and this.
    Sftp(Vec<String>),
}

impl Reached {
    /// The root of an FTP server.
    pub fn ftp(server: &FtpServer) -> Self {
        let (user, password, address) = (server.user, server.password, server.address.as_str());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (host, port) = address.split_once(':').unwrap_or((address, "21"));
        let curl = ["-sS", "-o", "/dev/null", "-X", server.listing, "-u", &format!("{user}:{password}")];
        let mut curl = words(&curl);
        curl.push(format!("ftp://{address}/"));
        Self {
            server: server.name,
            label: format!("{} ({})", server.name, server.listing),
            source: format!(
                "kind = \"ftp\"\nurl = \"ftp://{user}@{address}\"\npassword = \"{password}\"\npath = \"/\"\nstable_for = \"0s\""
            ),
            list_floor: Some(words(&["ftp-list", address, user, password, server.listing])),
            get_floor: Some(words(&["ftp-get", address, user, password])),
            lftp: format!("set ftp:ssl-allow no; open -u {user},{password} ftp://{address}"),
            rclone: (
                words(&["--ftp-host", host, "--ftp-port", port, "--ftp-user", user, "--ftp-pass", password]),
                ":ftp:",
            ),
            alone: Alone::Curl(curl),
            path: "/".into(),
        }
    }

    /// A folder of an SSH server.
    pub fn sftp(server: &SshServer, folder: &Path) -> Self {
        let (user, port, path) = (&server.user, server.port.to_string(), folder.display().to_string());
        let key = server.key.display().to_string();
        let host = format!("{user}@127.0.0.1");
        let unknown = "-oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR -oBatchMode=yes";
        let connect = format!("ssh -a -x -i {key} {unknown}");
        let rclone = ["--sftp-host", "127.0.0.1", "--sftp-port", &port, "--sftp-user", user, "--sftp-key-file", &key];
        let rclone = rclone.into_iter().chain(["--sftp-disable-hashcheck"]).map(str::to_owned).collect();
        let sftp =
            unknown.split(' ').chain(["-q", "-P", &port, "-i", &key, "-b", "-", &host]).map(str::to_owned).collect();
        Self {
            server: "openssh",
            label: "OpenSSH (SFTP)".into(),
            source: format!(
                "kind = \"sftp\"\nurl = \"sftp://{user}@127.0.0.1:{port}\"\npath = \"{path}\"\nidentity = \"{key}\"\n\
                 host_key = \"{}\"\nstable_for = \"0s\"",
                server.fingerprint
            ),
            list_floor: None,
            get_floor: None,
            lftp: format!(
                "set sftp:connect-program \"{connect}\"; set sftp:auto-confirm yes; open -u {user},none -p {port} sftp://127.0.0.1"
            ),
            rclone: (rclone, ":sftp:"),
            alone: Alone::Sftp(sftp),
            path,
        }
    }
}

/// Those that list the folder, with size and time of each entry.
pub fn listing(reached: &Reached) -> Result<Vec<Contender<'static>>> {
    let path = &reached.path;
    let mut contenders = vec![lftp(reached, &format!("cls -l {path} > /dev/null"))];
    contenders.push(rclone(reached, &["lsf", "--format", "pst", &format!("{}{path}", reached.rclone.1)])?);
    contenders.push(match &reached.alone {
        Alone::Curl(words) => Contender::new("curl", job("curl", words.clone())).aim(Target::Wall(1.30)),
        Alone::Sftp(words) => sftp(words, &format!("ls -ln {path}")),
    });
    Ok(contenders)
}

/// Those that copy the folder to `copy`, which is empty before each run and complete after it.
pub fn fetching<'a>(reached: &Reached, connections: u64, count: u64, copy: &'a Path) -> Result<Vec<Contender<'a>>> {
    let (path, target, transfers) = (&reached.path, copy.display().to_string(), connections.to_string());
    let from = format!("{}{path}", reached.rclone.1);
    let mut contenders = vec![lftp(reached, &format!("mirror -P {connections} {path} {target}"))];
    contenders.push(rclone(reached, &["copy", &from, &target, "--transfers", &transfers, "--checkers", "1"])?);
    if let (Alone::Sftp(words), 1) = (&reached.alone, connections) {
        contenders.push(sftp(words, &format!("get {path}/* {target}")));
    }
    let empty = move || {
        let _ = fs::remove_dir_all(copy);
        fs::create_dir_all(copy).map_err(|error| format!("make {}: {error}", copy.display()))
    };
    let whole = move || match fs::read_dir(copy).map_or(0, |entries| entries.count() as u64) {
        found if found == count => Ok(()),
        found => Err(format!("it copied {found} files, not {count}")),
    };
    Ok(contenders.into_iter().map(|one| one.around(empty, whole)).collect())
}

/// A run of a program of another, or why there is none.
fn job(name: &str, args: Vec<String>) -> Result<Job> {
    let program = program(name).ok_or(format!("{name} is not in PATH"))?;
    Ok(Job { program, args, ok: &[0] })
}

fn lftp(reached: &Reached, command: &str) -> Contender<'static> {
    Contender::new("lftp", job("lftp", vec!["--norc".into(), "-c".into(), format!("{}; {command}", reached.lftp)]))
}

fn rclone(reached: &Reached, words: &[&str]) -> Result<Contender<'static>> {
    let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for option in &reached.rclone.0 {
        // The password is the one word that rclone wants veiled.
        let word =
            if args.last().is_some_and(|last| last == "--ftp-pass") { obscured(option)? } else { option.clone() };
        args.push(word);
    }
    args.extend(["-q", "--config", "/dev/null"].map(str::to_owned));
    Ok(Contender::new("rclone", job("rclone", args)))
}

fn obscured(password: &str) -> Result<String> {
    let Some(program) = program("rclone") else { return Ok(String::new()) };
    let output = Command::new(program).args(["obscure", password]).output();
    let output = output.map_err(|error| format!("start rclone: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// OpenSSH's own client, which reads its commands from standard input.
fn sftp(words: &[String], command: &str) -> Contender<'static> {
    let client = program("sftp").ok_or("sftp is not in PATH".to_owned());
    let run = client.and_then(|client| {
        let feed = "command=$1; shift; printf '%s\\n' \"$command\" | exec \"$@\"".to_owned();
        let mut args = vec!["-c".into(), feed, "sh".into(), command.to_owned(), client.display().to_string()];
        args.extend(words.iter().cloned());
        job("sh", args)
    });
    Contender::new("sftp of OpenSSH", run)
}
