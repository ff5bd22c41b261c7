//! An OpenSSH server of our own for the time of one run, on a free port, with keys of its own, for the user who runs this.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::ftp_server::{folder, free_port, program};

/// A running server; it ends with this value.
pub struct SshServer {
    process: Child,
    /// Its configuration and keys.
    _files: tempfile::TempDir,
    pub port: u16,
    /// The account.
    pub user: String,
    /// The key that the account takes.
    pub key: PathBuf,
    /// The host key's, as `SHA256:...`.
    pub fingerprint: String,
}

impl SshServer {
    pub fn start() -> Result<Self> {
        let program = program("sshd").ok_or("sshd is neither in PATH nor in /usr/sbin")?;
        let (files, port) = (folder()?, free_port()?);
        let at = |name: &str| files.path().join(name);
        let written = |error: std::io::Error| format!("prepare sshd in {}: {error}", files.path().display());
        for name in ["host", "client"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(name)))?;
        }
        let told = run(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(at("host.pub")))?;
        let fingerprint = told.split(' ').nth(1).ok_or(format!("no fingerprint in {told}"))?.to_owned();
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nMaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n",
            at("host").display(),
            at("client.pub").display(),
        );
        fs::write(at("sshd_config"), settings).map_err(written)?;
        if rustix::process::geteuid().is_root() {
            // Debian makes this one when the service starts, which it need not have done.
            fs::create_dir_all("/run/sshd").map_err(written)?;
        }
        let log = fs::File::create(at("log")).map_err(written)?;
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let process = process.map_err(|error| format!("start sshd: {error}"))?;
        let user = run(Command::new("id").arg("-un"))?.trim().to_owned();
        let (key, log) = (at("client"), at("log"));
        let mut server = Self { process, _files: files, port, user, key, fingerprint };
        server.wait_until_ready(&log).map(|()| server)
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("sshd ended with {status}: {}", fs::read_to_string(log).unwrap_or_default()));
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("sshd did not get ready within 20 s".into())
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Its output; an error when it fails.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("start {name}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("{name}: {}: {}", done.status, String::from_utf8_lossy(&done.stderr)))
}
