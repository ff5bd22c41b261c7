//! A real OpenSSH server for tests: on a free loopback port, as the user who runs the tests, with keys of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::wait_until;

/// A running server; it ends when this is dropped.
pub struct Sshd {
    folder: tempfile::TempDir,
    pub port: u16,
    running: Option<Child>,
    /// Lines of its settings that come before all others: the first one counts.
    settings: String,
}

impl Sshd {
    /// A server with an ed25519 and an RSA host key, whose `authorized_keys` is empty.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with settings of its own, lines of sshd_config; `{folder}` stands for its folder.
    pub fn start_with(settings: &str) -> Self {
        let mut sshd = Self::prepared();
        sshd.resume_with(settings);
        sshd
    }

    /// Everything there, not yet running: for what must be made from its keys first.
    pub fn prepared() -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-sshd-").tempdir_in("/tmp").expect("a folder");
        for kind in ["ed25519", "rsa"] {
            make_key(&folder.path().join(format!("host_{kind}")), kind, "");
        }
        fs::write(folder.path().join("authorized_keys"), "").expect("write");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        Self { folder, port, running: None, settings: String::new() }
    }

    /// Starts the server with other settings.
    pub fn resume_with(&mut self, settings: &str) {
        self.settings = settings.replace("{folder}", &self.folder.path().display().to_string());
        self.resume();
    }

    /// Where its own files are: `host_ed25519.pub`, and what a test puts there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the server again, on the same port.
    pub fn resume(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let settings = format!(
            "{}\nListenAddress 127.0.0.1\nPort {}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n",
            self.settings,
            self.port,
            at("host_ed25519"),
            at("host_rsa"),
            at("authorized_keys"),
        );
        fs::write(self.folder.path().join("sshd_config"), settings).expect("write");
        if rustix::process::geteuid().is_root() {
            // Debian makes this one when the service starts, which it need not have done.
            fs::create_dir_all("/run/sshd").expect("the folder for privilege separation");
        }
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        // A full path: sshd starts itself again for each connection.
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.expect("openssh-server is installed"));
        command.args(["-D", "-e", "-f"]).arg(self.folder.path().join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(command.spawn().expect("sshd runs"));
        wait_until("sshd listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Kills the server and what it started for its connections, as `kill -9` does.
    pub fn kill(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        // Stopped first, so that it starts nobody while its family is counted.
        signal(child.id(), rustix::process::Signal::STOP);
        for pid in family(child.id()) {
            signal(pid, rustix::process::Signal::KILL);
        }
        child.wait().expect("sshd ends");
    }

    /// Whether the server has a file of this folder open.
    pub fn reads(&self, folder: &Path) -> bool {
        let family = self.running.as_ref().map(|child| family(child.id())).unwrap_or_default();
        let open_files = |pid| fs::read_dir(format!("/proc/{pid}/fd")).ok();
        let mut open = family.into_iter().filter_map(open_files).flatten().flatten();
        open.any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(folder)))
    }

    /// A new key of ours that the server lets in: `ed25519`, `ecdsa`, `rsa`.
    pub fn new_key(&self, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.folder.path().join(format!("id_{kind}_{:x}", fastrand::u32(..)));
        make_key(&path, kind, passphrase);
        let public = fs::read_to_string(path.with_extension("pub")).expect("the public key");
        let file = self.folder.path().join("authorized_keys");
        let text = fs::read_to_string(&file).expect("read") + &public;
        fs::write(&file, text).expect("write");
        path
    }

    /// Replaces a host key by another one; in force when the server is started again.
    pub fn change_host_key(&self, kind: &str) {
        let path = self.folder.path().join(format!("host_{kind}"));
        fs::remove_file(&path).expect("remove");
        fs::remove_file(path.with_extension("pub")).expect("remove");
        make_key(&path, kind, "");
    }

    /// The host key as ssh-keygen -l tells it: `SHA256:...`.
    pub fn fingerprint(&self, kind: &str) -> String {
        let path = self.folder.path().join(format!("host_{kind}.pub"));
        let told = run(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(path));
        told.split(' ').nth(1).expect("bits and fingerprint").to_owned()
    }

    /// A known_hosts file with a host key, hashed or not.
    pub fn known_hosts(&self, kind: &str, hashed: bool) -> PathBuf {
        let public = fs::read_to_string(self.folder.path().join(format!("host_{kind}.pub"))).expect("read");
        let file = self.folder.path().join(format!("known_hosts_{:x}", fastrand::u32(..)));
        let key: Vec<&str> = public.split(' ').take(2).collect();
        fs::write(&file, format!("[127.0.0.1]:{} {}\n", self.port, key.join(" "))).expect("write");
        if hashed {
            run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file));
        }
        file
    }

    /// A folder of its own for one test.
    pub fn drop_folder(&self) -> PathBuf {
        let folder = self.folder.path().join(format!("drop_{:x}", fastrand::u32(..)));
        fs::create_dir(&folder).expect("make");
        folder
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An agent that holds one key; it ends when this is dropped.
pub struct Agent {
    _folder: tempfile::TempDir,
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    /// Starts an agent with the key at `key`.
    pub fn with(key: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-agent-").tempdir_in("/tmp").expect("a folder");
        let socket = folder.path().join("socket");
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let child = command.spawn().expect("ssh-agent runs");
        wait_until("ssh-agent listens", || socket.exists());
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket));
        Self { _folder: folder, socket, child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().expect("ssh-agent is there");
        self.child.wait().expect("ssh-agent ends");
    }
}

/// The user who runs the tests.
pub fn user() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// A new key pair, as ssh-keygen makes it.
pub fn make_key(path: &Path, kind: &str, passphrase: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(path));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
}

/// Runs a program of OpenSSH and returns what it prints.
pub fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().expect("openssh-client is installed");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

/// A process and all that come from it.
fn family(first: u32) -> Vec<u32> {
    let mut family = vec![first];
    for at in 0.. {
        let Some(parent) = family.get(at).copied() else { break };
        family.extend(children(parent));
    }
    family
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        // One of the server's own may have ended meanwhile.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        behind_name.split(' ').nth(1) == Some(parent.to_string().as_str())
    })
    .collect()
}
