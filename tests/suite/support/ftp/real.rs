//! Real servers, each test its own, on a free loopback port, ended with the test or with this process, however it ends.
//! Their packages conflict with each other: `scripts/test` unpacks them into `target/servers`.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use highwater::source::settings::{FtpSecurity, FtpSettings};
use tempfile::TempDir;

use super::super::certificates::Authority;

/// SHA-512 crypt of [`PASSWORD`].
const CRYPT: &str =
    "$6$6pjiRSpOdBM4H0iT$fQJEmBhKTpx7qqZfyYvA916MPJ4VGOF1IqlvB67vwZK89mZ7fB3HqE4lbz6BMGBppyVaCL5b7IJtHQkxW4Nir/";

/// The password of the account on every server.
pub const PASSWORD: &str = "correct horse";

/// Whom files of pure-ftpd belong to, which serves no root.
const NOBODY: u32 = 65_534;

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No MLSD; session reuse is demanded.
    Vsftpd,
    /// Session reuse is demanded of the same control connection.
    Proftpd,
    /// Cuts long listings.
    PureFtpd,
}

/// All of them.
pub const ALL: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::PureFtpd];

/// Which TLS a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// None.
    Off,
    /// It demands TLS after AUTH, 1.2 and 1.3, with session reuse where it can.
    Explicit,
    /// The same, no newer than 1.2.
    Explicit12,
    /// From the first byte.
    Implicit,
}

/// A running server.
pub struct FtpServer {
    /// Which.
    pub kind: Kind,
    /// Where it listens.
    pub port: u16,
    /// Its key, as `tls.pin` wants it.
    pub pin: String,
    folder: TempDir,
    tls: Tls,
    running: Child,
}

impl FtpServer {
    /// Starts one, and waits until it greets.
    pub fn start(kind: Kind, tls: Tls) -> Self {
        Self::start_with(kind, tls, "")
    }

    /// Starts one with more configuration: lines of its file, or options of pure-ftpd.
    pub fn start_with(kind: Kind, tls: Tls, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-ftp-").tempdir_in("/tmp").expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        fs::create_dir(folder.path().join("root")).expect("a root");
        let authority = Authority::new("test");
        authority.write(folder.path());
        let identity = authority.issue("127.0.0.1");
        let (cert, key) = identity.write(folder.path());
        let both = fs::read_to_string(&cert).expect("cert") + &fs::read_to_string(&key).expect("key");
        fs::write(folder.path().join("both.pem"), both).expect("write");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let command = match kind {
            Kind::Vsftpd => vsftpd(folder.path(), port, tls, more),
            Kind::Proftpd => proftpd(folder.path(), port, tls, more),
            Kind::PureFtpd => pure_ftpd(folder.path(), port, tls, more),
        };
        let running = guarded(&command, folder.path());
        let server = Self { kind, port, pin: identity.pin, folder, tls, running };
        let out = server.folder.path().join("out");
        let about = || format!("{kind:?} greets; it said {:?}", fs::read_to_string(&out).unwrap_or_default());
        for _ in 0..10_000 {
            if server.greets() {
                return server;
            }
            assert!(!about().to_lowercase().contains("fatal"), "{}", about());
            std::thread::sleep(Duration::from_millis(3));
        }
        panic!("waited in vain until {}", about());
    }

    /// The folder that the account sees, on this machine.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Puts a file there, with the right owner.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let whole = self.root().join(path);
        fs::create_dir_all(whole.parent().expect("a folder")).expect("folders");
        fs::write(&whole, bytes).expect("write");
        self.own();
    }

    /// Gives everything below the root to the account.
    pub fn own(&self) {
        if self.kind == Kind::PureFtpd {
            own_all(&self.root());
        }
    }

    /// Settings that fit it.
    pub fn settings(&self) -> FtpSettings {
        let (user, password) = match self.kind {
            Kind::Vsftpd => ("anonymous", "correct-horse"),
            _ => ("partner", PASSWORD),
        };
        let root = self.root();
        let mut settings = super::settings(self.port, user, password, root.to_str().expect("UTF-8"));
        settings.security = match self.tls {
            Tls::Off => FtpSecurity::Plain,
            Tls::Explicit | Tls::Explicit12 => FtpSecurity::Explicit,
            Tls::Implicit => FtpSecurity::Implicit,
        };
        settings.server.tls.ca = Some(self.folder.path().join("ca.pem"));
        settings
    }

    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        if self.tls == Tls::Implicit {
            return true;
        }
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        matches!(stream.read(&mut [0; 3]), Ok(got) if got > 0)
    }
}

impl Drop for FtpServer {
    fn drop(&mut self) {
        drop(self.running.stdin.take());
        let _ = self.running.wait();
    }
}

fn own_all(path: &Path) {
    // As another user than root the files are the account's already.
    let _ = chown(path, Some(NOBODY), Some(NOBODY));
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            own_all(&entry.path());
        }
    }
}

/// Runs a server below a shell that ends it when our end of a pipe closes.
fn guarded(command: &[String], folder: &Path) -> Child {
    let script = r#""$@" </dev/null >"$0/out" 2>&1 & pid=$!; read -r _; kill "$pid" 2>/dev/null; wait "$pid""#;
    let servers = servers();
    let at = servers.display();
    let libraries = format!("{at}/usr/lib/x86_64-linux-gnu:{at}/lib/x86_64-linux-gnu");
    Command::new("sh")
        .args(["-c", script])
        .arg(folder)
        .args(command)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn servers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers")
}

fn program(path: &str) -> String {
    let path = servers().join(path);
    assert!(path.exists(), "{} is missing; scripts/test unpacks it", path.display());
    path.to_str().expect("UTF-8").to_owned()
}

fn said_by(program: &str, option: &str) -> String {
    let output = Command::new(program).arg(option).output().expect("the program runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn vsftpd(folder: &Path, port: u16, tls: Tls, more: &str) -> Vec<String> {
    let at = folder.display();
    fs::write(folder.join("passwords"), "correct-horse\n").expect("write");
    let mut text = format!(
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nrun_as_launching_user=YES\n\
         anonymous_enable=YES\nlocal_enable=NO\nanon_root={at}/root\nsecure_email_list_enable=YES\n\
         email_password_file={at}/passwords\nwrite_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
         anon_other_write_enable=YES\nanon_world_readable_only=NO\nseccomp_sandbox=NO\nisolate_network=NO\nisolate=NO\n\
         connect_from_port_20=NO\n{more}\n"
    );
    if tls != Tls::Off {
        text += &format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n\
             require_ssl_reuse=YES\nrsa_cert_file={at}/client.pem\nrsa_private_key_file={at}/client.key\nssl_ciphers=HIGH\n\
             implicit_ssl={}\n",
            if tls == Tls::Implicit { "YES" } else { "NO" }
        );
    }
    let file = folder.join("vsftpd.conf");
    fs::write(&file, text).expect("write");
    vec![program("usr/sbin/vsftpd"), file.display().to_string()]
}

fn proftpd(folder: &Path, port: u16, tls: Tls, more: &str) -> Vec<String> {
    let at = folder.display();
    let own = fs::metadata(folder).expect("a folder");
    let (uid, gid) = {
        use std::os::unix::fs::MetadataExt;
        (own.uid(), own.gid())
    };
    let (user, group) = (said_by("id", "-un"), said_by("id", "-gn"));
    let users = folder.join("users");
    fs::write(&users, format!("partner:{CRYPT}:{uid}:{gid}::{at}/root:/bin/false\n")).expect("write");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).expect("permissions");
    let modules = servers().join("usr/lib/proftpd");
    let mut text = format!(
        "ModulePath {}\nServerName test\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {port}\nUseIPv6 off\n\
         User {user}\nGroup {group}\nRootLogin on\nRequireValidShell off\nAuthPAM off\nAuthOrder mod_auth_file.c\n\
         AuthUserFile {at}/users\nAuthFileOptions InsecurePerms\nPidFile {at}/pid\nScoreboardFile {at}/score\n\
         DelayTable none\nUseReverseDNS off\nWtmpLog off\nTransferLog none\nSystemLog {at}/log\nAllowOverwrite on\n\
         AllowRetrieveRestart on\nMaxLoginAttempts 9\n",
        modules.display()
    );
    if tls != Tls::Off {
        let versions = if tls == Tls::Explicit12 { "TLSv1.2" } else { "TLSv1.2 TLSv1.3" };
        text += &format!(
            "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\nTLSProtocol {versions}\nTLSLog {at}/tls.log\n\
             TLSRSACertificateFile {at}/client.pem\nTLSRSACertificateKeyFile {at}/client.key\n\
             TLSECCertificateFile {at}/client.pem\nTLSECCertificateKeyFile {at}/client.key\n{}",
            if tls == Tls::Implicit { "TLSOptions UseImplicitSSL\n" } else { "" }
        );
        // An ECDSA certificate is none for the RSA directives.
        text = text.lines().filter(|line| !line.starts_with("TLSRSA")).map(|line| format!("{line}\n")).collect();
    }
    text += more;
    text.push('\n');
    let file = folder.join("proftpd.conf");
    fs::write(&file, text).expect("write");
    let mut command = vec![program("usr/sbin/proftpd")];
    command.extend(words(&["-n", "-c", file.to_str().expect("UTF-8")]));
    command
}

fn pure_ftpd(folder: &Path, port: u16, tls: Tls, more: &str) -> Vec<String> {
    let at = folder.display();
    let users = folder.join("users");
    fs::write(&users, format!("partner:{CRYPT}:{NOBODY}:{NOBODY}::{at}/root::::::::::::\n")).expect("write");
    own_all(&folder.join("root"));
    let made = Command::new(program("usr/bin/pure-pw"))
        .args(["mkdb", &format!("{at}/users.pdb"), "-f"])
        .arg(&users)
        .status()
        .expect("pure-pw runs");
    assert!(made.success());
    let mut command = vec![program("usr/sbin/pure-ftpd")];
    let (listen, db, pid) = (format!("127.0.0.1,{port}"), format!("puredb:{at}/users.pdb"), format!("{at}/pid"));
    assert!(tls != Tls::Implicit, "pure-ftpd speaks no implicit TLS");
    let cert = format!("{at}/both.pem");
    command.extend(words(&["-S", &listen, "-l", &db, "-H", "-u", "1", "-E", "-g", &pid, "-C", "50", "-Y"]));
    command.extend(if tls == Tls::Off { words(&["0"]) } else { words(&["3", "-2", &cert]) });
    command.extend(more.split_whitespace().map(str::to_owned));
    command
}
