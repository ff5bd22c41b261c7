//! FTP servers of our own for the time of one run: vsftpd and pure-ftpd, each serving one folder on a free port.
//! Both want to be started by root.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// The account on every server; vsftpd takes any password.
const PASSWORD: &str = "bench";
/// The same as crypt(3) has it, cheaply: what `pure-pw useradd` makes takes seconds at each login.
const PASSWORD_HASH: &str = "$1$bench$IDaFocGqo.f39hZ5dc3P7.";

/// A running server; it ends with this value.
pub struct FtpServer {
    process: Child,
    /// Its configuration.
    _files: tempfile::TempDir,
    /// `vsftpd`, `pure-ftpd`.
    pub name: &'static str,
    /// `127.0.0.1:PORT`
    pub address: String,
    /// The account.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
    /// The listing command that it is measured with.
    pub listing: &'static str,
}

impl FtpServer {
    /// vsftpd, which has LIST alone.
    pub fn vsftpd(root: &Path) -> Result<Self> {
        let program = server_program("vsftpd")?;
        let files = folder()?;
        let (port, config) = (free_port()?, files.path().join("vsftpd.conf"));
        let empty = files.path().join("empty");
        fs::create_dir(&empty).map_err(|error| format!("make {}: {error}", empty.display()))?;
        let text = format!(
            "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
             no_anon_password=YES\nanon_root={}\nftp_username=daemon\nsecure_chroot_dir={}\nseccomp_sandbox=NO\n\
             xferlog_enable=NO\nconnect_from_port_20=NO\nuse_localtime=NO\nmax_per_ip=0\nmax_clients=0\n",
            root.display(),
            empty.display()
        );
        fs::write(&config, text).map_err(|error| format!("write {}: {error}", config.display()))?;
        let mut command = Command::new(program);
        command.arg(&config);
        Self::start(command, files, port, ("vsftpd", "anonymous", "LIST"))
    }

    /// pure-ftpd, which has MLSD; it wants its `pure-pw` too.
    pub fn pure_ftpd(root: &Path) -> Result<Self> {
        let (server, accounts) = (server_program("pure-ftpd")?, server_program("pure-pw")?);
        let (files, port) = (folder()?, free_port()?);
        let (passwd, database) = (files.path().join("passwd"), files.path().join("pure.pdb"));
        let account = format!("bench:{PASSWORD_HASH}:65534:65534::{}/./::::::::::::\n", root.display());
        fs::write(&passwd, account).map_err(|error| format!("write {}: {error}", passwd.display()))?;
        let made = Command::new(accounts).arg("mkdb").arg(&database).arg("-f").arg(&passwd).output();
        let made = made.map_err(|error| format!("start pure-pw: {error}"))?;
        if !made.status.success() {
            return Err(format!("pure-pw: {}: {}", made.status, String::from_utf8_lossy(&made.stderr)));
        }
        let mut command = Command::new(server);
        command
            .args(["-S", &format!("127.0.0.1,{port}"), "-l", &format!("puredb:{}", database.display())])
            // Without a limit it truncates listings at 10,000 entries.
            .args(["-L", "10000000:1", "-H", "-A", "-E", "-u", "1", "-C", "64", "-g"])
            .arg(files.path().join("pid"));
        Self::start(command, files, port, ("pure-ftpd", "bench", "MLSD"))
    }

    fn start(
        mut command: Command,
        files: tempfile::TempDir,
        port: u16,
        (name, user, listing): (&'static str, &'static str, &'static str),
    ) -> Result<Self> {
        let log = fs::File::create(files.path().join("log")).map_err(|error| format!("make a log: {error}"))?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let process = process.map_err(|error| format!("start {name}: {error}"))?;
        let address = format!("127.0.0.1:{port}");
        let mut server = Self { process, _files: files, name, address, user, password: PASSWORD, listing };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                let said = fs::read_to_string(self._files.path().join("log")).unwrap_or_default();
                return Err(format!("{} ended with {status}: {said}", self.name));
            }
            let mut greeting = [0; 3];
            let greeted = TcpStream::connect(&self.address).and_then(|mut stream| stream.read_exact(&mut greeting));
            if greeted.is_ok() && &greeting == b"220" {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} did not get ready within 20 s", self.name))
    }
}

impl Drop for FtpServer {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

pub fn folder() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("highwater-bench-ftp").tempdir().map_err(|error| format!("make a folder: {error}"))
}

pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("find a free port: {error}"))
}

/// A server's program; an error where it is missing, or this is not root.
fn server_program(name: &str) -> Result<PathBuf> {
    let found = program(name).ok_or(format!("{name} is neither in PATH nor unpacked by scripts/test"))?;
    if rustix::process::geteuid().is_root() { Ok(found) } else { Err(format!("{name} wants to be started by root")) }
}

/// A program in PATH, where Debian puts servers, or where scripts/test unpacks them.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/usr");
    let others = ["/usr/sbin".into(), "/usr/bin".into(), unpacked.join("sbin"), unpacked.join("bin")];
    std::env::split_paths(&path).chain(others).map(|folder| folder.join(name)).find(|file| file.is_file())
}
