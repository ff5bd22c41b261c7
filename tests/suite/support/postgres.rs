//! A real PostgreSQL for tests: made once per test process, in a temporary folder, as a user that is not root, with TLS.
//! It ends with this process, however that ends: a shell waits at the other end of a pipe.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::runtime::Runtime;

use super::wait_until;
use super::writers::Hand;

/// The user the server runs as when the tests run as root.
const USER: &str = "postgres";
/// The password of every role that has one.
pub const PASSWORD: &str = "correct horse";

/// The runtime of all drivers in this process.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub struct Server {
    folder: PathBuf,
    pub port: u16,
    running: Mutex<Option<Child>>,
}

/// A database of its own for one test.
pub struct Database {
    pub name: String,
    pub port: u16,
    client: Client,
}

/// A session that tests write through.
pub struct Client(tokio_postgres::Client);

/// A new database in the server that all tests share.
pub fn database() -> Database {
    SERVER.database()
}

/// The server that all tests share.
pub fn server() -> &'static Server {
    &SERVER
}

impl Server {
    /// Makes a server of one's own, for tests that stop it.
    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("highwater-postgres-").tempdir_in("/tmp").expect("a folder").keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("permissions");
        let data = folder.join("data");
        fs::create_dir(&data).expect("a data folder");
        make_certificates(&folder);
        own(&folder);
        let made = as_user("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        fs::write(data.join("pg_hba.conf"), HBA).expect("pg_hba.conf");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let server = Self { folder, port, running: Mutex::new(None) };
        server.resume();
        let client = server.connect("postgres");
        for role in ROLES {
            client.run(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
        }
        // Once for all: sessions that grant it at the same time get into each other's way.
        client.run("GRANT pg_read_all_data TO reader");
        server
    }

    /// A hot standby of this server.
    pub fn standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-standby-").tempdir_in("/tmp").expect("a folder").keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("permissions");
        make_certificates(&folder);
        own(&folder);
        let made = as_user("pg_basebackup")
            .args([
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-h",
            ])
            .arg(&self.folder)
            .arg("-D")
            .arg(folder.join("data"))
            .output()
            .expect("pg_basebackup runs");
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let server = Self { folder, port, running: Mutex::new(None) };
        server.resume();
        server
    }

    /// A database that is there already.
    pub fn existing(&self, name: &str) -> Database {
        Database { client: self.connect(name), port: self.port, name: name.to_owned() }
    }

    /// Starts the server again after [`Server::stop`].
    pub fn resume(&self) {
        let log = fs::File::create(self.folder.join("log")).expect("a log");
        let mut command = as_user("postgres");
        command.arg("-D").arg(self.folder.join("data"));
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.display()),
            "fsync=off".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={}", self.folder.join("server.crt").display()),
            format!("ssl_key_file={}", self.folder.join("server.key").display()),
            format!("ssl_ca_file={}", self.folder.join("ca.crt").display()),
            "max_prepared_transactions=5".into(),
            "max_connections=200".into(),
        ] {
            command.arg("-c").arg(setting);
        }
        // When this process ends, the pipe closes, cat ends, and the shell shuts the server down and removes its folder.
        let script = "\"$@\" & server=$!; cat >/dev/null; kill -INT $server; wait $server; [ -e \"$KEEP\" ] || rm -rf \"$FOLDER\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.env("KEEP", self.folder.join("keep")).env("FOLDER", &self.folder);
        let errors = log.try_clone().expect("the log");
        let child = shell.stdin(Stdio::piped()).stdout(log).stderr(errors).spawn().expect("sh runs");
        *self.running.lock().expect("one at a time") = Some(child);
        wait_until("PostgreSQL answers", || self.try_connect("postgres").is_some());
    }

    /// Shuts the server down; its data stays.
    pub fn stop(&self) {
        fs::write(self.folder.join("keep"), "").expect("a mark");
        let child = self.running.lock().expect("one at a time").take();
        if let Some(mut child) = child {
            drop(child.stdin.take());
            child.wait().expect("the shell ends");
        }
        fs::remove_file(self.folder.join("keep")).expect("the mark");
    }

    /// Moves the stopped server's transaction ids on by two epochs, 2^33.
    pub fn skip_transactions(&self) {
        let made = as_user("pg_resetwal").args(["-e", "2", "-D"]).arg(self.folder.join("data")).output();
        let made = made.expect("pg_resetwal runs");
        assert!(made.status.success(), "pg_resetwal: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// A new database.
    pub fn database(&self) -> Database {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.connect("postgres").run(&format!("CREATE DATABASE {name}"));
        Database { client: self.connect(&name), port: self.port, name }
    }

    /// A session of the superuser, through the Unix socket.
    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database).expect("PostgreSQL answers")
    }

    /// The folder with `ca.crt`, `client.crt`, `client.key` and the Unix socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn try_connect(&self, database: &str) -> Option<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.folder).port(self.port).user("postgres").dbname(database);
        let (client, connection) = RUNTIME.block_on(config.connect(tokio_postgres::NoTls)).ok()?;
        RUNTIME.spawn(connection);
        Some(Client(client))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The shell removes the folder of a running server; that of a stopped one is still there.
        if let Some(mut child) = self.running.lock().ok().and_then(|mut running| running.take()) {
            drop(child.stdin.take());
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    /// Runs statements.
    pub fn run(&self, sql: &str) {
        self.client.run(sql);
    }

    /// The first value of the first row, which must be a text.
    pub fn text(&self, sql: &str) -> String {
        self.client.text(sql)
    }

    /// Another session in the same database.
    pub fn connect(&self) -> Client {
        server().connect(&self.name)
    }

    /// A connection string over TCP, for a role of [`ROLES`].
    pub fn address(&self, role: &str) -> String {
        format!("host=127.0.0.1 port={} user={role} password='{PASSWORD}' dbname={}", self.port, self.name)
    }
}

impl Client {
    /// Runs statements.
    pub fn run(&self, sql: &str) {
        RUNTIME.block_on(self.0.batch_execute(sql)).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// The first value of the first row, which must be a text.
    pub fn text(&self, sql: &str) -> String {
        RUNTIME.block_on(self.0.query_one(sql, &[])).unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
    }
}

impl Hand for Client {
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let messages = RUNTIME.block_on(self.0.simple_query(sql)).map_err(|e| e.to_string())?;
        let rows = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect()).collect())
    }
}

/// Roles with [`PASSWORD`]; tests may grant anything to `reader` and nothing to `stranger`. `tls_only` and `plain_only` are
/// let in only so, `certified` by a client certificate alone.
const ROLES: [&str; 5] = ["reader", "stranger", "tls_only", "plain_only", "certified"];

const HBA: &str = "\
local all all trust
local replication all trust
hostssl all certified 127.0.0.1/32 cert
hostnossl all tls_only 127.0.0.1/32 reject
hostssl all plain_only 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
";

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("bin")).filter(|p| p.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("PostgreSQL is not installed; ./scripts/test installs what the tests need")
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_user(program: &str) -> Command {
    let program = programs().join(program);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program);
    command
}

fn own(folder: &Path) {
    if is_root() {
        let status =
            Command::new("chown").arg("-R").arg(format!("{USER}:{USER}")).arg(folder).status().expect("chown runs");
        assert!(status.success(), "chown {}", folder.display());
    }
}

pub fn make_certificates(folder: &Path) {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).expect(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect(name);
    };
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    write("ca.crt", authority.pem());
    for (name, subject, usage) in [
        ("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", "certified", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![subject.to_owned()]).expect("parameters");
        params.distinguished_name.push(rcgen::DnType::CommonName, subject);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.crt"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    let other = rcgen::generate_simple_self_signed(vec!["elsewhere".to_owned()]).expect("another authority");
    write("other.crt", other.cert.pem());
}
