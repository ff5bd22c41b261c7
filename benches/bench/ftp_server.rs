//! FTP servers of our own for the time of one run: vsftpd and pure-ftpd, each serving one folder on a free port.
//! Both want to be started by root; whichever is not in PATH is left out.

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
    /// vsftpd, which has LIST alone; `None` where it is not installed or this is not root.
    pub fn vsftpd(root: &Path) -> Result<Option<Self>> {
        let Some(program) = program("vsftpd").filter(|_| rustix::process::geteuid().is_root()) else { return Ok(None) };
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
        Self::start(command, files, port, ("vsftpd", "anonymous", "LIST")).map(Some)
    }

    /// pure-ftpd, which has MLSD; `None` where it and its `pure-pw` are not installed or this is not root.
    pub fn pure_ftpd(root: &Path) -> Result<Option<Self>> {
        let programs = program("pure-ftpd").zip(program("pure-pw"));
        let Some((server, accounts)) = programs.filter(|_| rustix::process::geteuid().is_root()) else {
            return Ok(None);
        };
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
        Self::start(command, files, port, ("pure-ftpd", "bench", "MLSD")).map(Some)
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

fn folder() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("highwater-bench-ftp").tempdir().map_err(|error| format!("make a folder: {error}"))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("find a free port: {error}"))
}

/// A program in PATH, or where Debian puts servers.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}
