//! A PostgreSQL server of our own for the time of one run: a fresh cluster, a free port, nobody's data.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// A running server; it ends with this value.
pub struct Server {
    process: Child,
    data: tempfile::TempDir,
    /// `postgres://bench@127.0.0.1:PORT/postgres`
    pub url: String,
}

/// A user without privileges: PostgreSQL refuses to run as root.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Starts one; `None` when PostgreSQL is not installed.
    pub fn start() -> Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let user = if rustix::process::geteuid().is_root() { Some(unprivileged()?) } else { None };
        let failed = |error: std::io::Error| format!("start postgres: {error}");
        let data = tempfile::Builder::new().prefix("highwater-bench-pg").tempdir().map_err(failed)?;
        if let Some(user) = user {
            chown(data.path(), Some(user.uid), Some(user.gid)).map_err(failed)?;
        }
        let made = command(&programs.join("initdb"), user, data.path())
            .args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(data.path())
            .output()
            .map_err(failed)?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let port = free_port().map_err(failed)?;
        let process = command(&programs.join("postgres"), user, data.path())
            .arg("-D")
            .arg(data.path())
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-c", "shared_buffers=512MB"])
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut server = Self { process, data, url: format!("postgres://bench@127.0.0.1:{port}/postgres") };
        server.wait_until_ready(&programs, port)?;
        Ok(Some(server))
    }

    fn wait_until_ready(&mut self, programs: &Path, port: u16) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("postgres ended with {status} in {}", self.data.path().display()));
            }
            let ready = Command::new(programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("postgres did not get ready within 60 s".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown.
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.process.wait();
    }
}

fn command(program: &Path, user: Option<User>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// The folder with `initdb`: the newest of Debian's, or one in PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    debian.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    })
}

fn unprivileged() -> Result<User> {
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| format!("read /etc/passwd: {error}"))?;
    let find = |name: &str| {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|f: &Vec<&str>| f[0] == name)?;
        Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    find("postgres").or_else(|| find("nobody")).ok_or("there is no user postgres or nobody".into())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
