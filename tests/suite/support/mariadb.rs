//! A real MariaDB for tests: made once per test process, in a temporary folder, as a user that is not root, with TLS.
//! It ends with this process, however that ends: a shell waits at the other end of a pipe.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

use super::postgres::{RUNTIME, is_root, make_certificates};
use super::wait_until;
use super::writers::Hand;

/// The user the server runs as when the tests run as root.
const USER: &str = "mysql";
/// The password of every user that has one.
pub const PASSWORD: &str = "correct horse";

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
/// One on which nobody else is at work: for tests of what is in flight on the whole server.
static QUIET: LazyLock<(Server, Mutex<()>)> = LazyLock::new(|| (Server::start(), Mutex::new(())));
/// One whose transactions go on for ever: apart from tests that wait until everything is settled.
static RESTLESS: LazyLock<Server> = LazyLock::new(Server::start);
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
    server: &'static Server,
    client: Client,
}

/// A session that tests write through.
pub struct Client(Mutex<Conn>);

/// A new database in the server that all tests share.
pub fn database() -> Database {
    server().database()
}

/// A new database in a server that no other test uses until the guard is dropped.
pub fn quiet_database() -> (Database, MutexGuard<'static, ()>) {
    let guard = QUIET.1.lock().unwrap_or_else(PoisonError::into_inner);
    (QUIET.0.database(), guard)
}

/// A new database in a server for writers that hold transactions open.
pub fn restless_database() -> Database {
    RESTLESS.database()
}

/// The server that all tests share.
pub fn server() -> &'static Server {
    &SERVER
}

impl Server {
    fn database(&'static self) -> Database {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.connect("mysql").run(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        Database { client: self.connect(&name), port: self.port, server: self, name }
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("highwater-mariadb-").tempdir_in("/tmp").expect("a folder").keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("permissions");
        make_certificates(&folder);
        own(&folder);
        let made = as_user("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", folder.join("data").display()))
            .output()
            .expect("mariadb-install-db runs");
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let server = Self { folder, port, running: Mutex::new(None) };
        server.run();
        let client = server.connect("mysql");
        for user in USERS {
            client
                .run(&format!("CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON *.* TO {user}@'%'"));
        }
        client.run("GRANT PROCESS ON *.* TO watcher@'%'; ALTER USER tls_only@'%' REQUIRE SSL");
        client.run(&format!("CREATE USER stranger@'%' IDENTIFIED BY '{PASSWORD}'"));
        server
    }

    fn run(&self) {
        let log = fs::File::create(self.folder.join("log")).expect("a log");
        let mut command = as_user("mariadbd");
        command.arg("--no-defaults");
        let path = |name: &str| self.folder.join(name).display().to_string();
        for setting in [
            format!("--datadir={}", path("data")),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={}", self.port),
            format!("--socket={}", path("socket")),
            format!("--pid-file={}", path("pid")),
            format!("--ssl-ca={}", path("ca.crt")),
            format!("--ssl-cert={}", path("server.crt")),
            format!("--ssl-key={}", path("server.key")),
            "--innodb-flush-log-at-trx-commit=0".into(),
            "--innodb-autoinc-lock-mode=2".into(),
            "--max-connections=300".into(),
            "--skip-name-resolve".into(),
        ] {
            command.arg(setting);
        }
        // When this process ends, the pipe closes, cat ends, and the shell shuts the server down and removes its folder.
        let script = "\"$@\" & server=$!; cat >/dev/null; kill -TERM $server; wait $server; rm -rf \"$FOLDER\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.env("FOLDER", &self.folder);
        let errors = log.try_clone().expect("the log");
        let child = shell.stdin(Stdio::piped()).stdout(log).stderr(errors).spawn().expect("sh runs");
        *self.running.lock().expect("one at a time") = Some(child);
        wait_until("MariaDB answers", || self.try_connect("mysql").is_some());
    }

    /// A session of the superuser, through the Unix socket.
    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database).expect("MariaDB answers")
    }

    /// The folder with `ca.crt`, `other.crt` and the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn try_connect(&self, database: &str) -> Option<Client> {
        let socket = self.folder.join("socket").display().to_string();
        let opts = OptsBuilder::default().socket(Some(socket)).user(Some("root")).db_name(Some(database));
        RUNTIME.block_on(Conn::new(opts)).ok().map(|conn| Client(Mutex::new(conn)))
    }
}

impl Database {
    /// Runs statements.
    pub fn run(&self, sql: &str) {
        self.client.run(sql);
    }

    /// The first value of the first row, as a text.
    pub fn text(&self, sql: &str) -> String {
        self.client.text(sql)
    }

    /// Another session in the same database.
    pub fn connect(&self) -> Client {
        self.server.connect(&self.name)
    }

    /// A URL over TCP, for a user of [`USERS`].
    pub fn address(&self, user: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!("mysql://{user}:{password}@127.0.0.1:{}/{}", self.port, self.name)
    }
}

impl Client {
    /// Runs statements.
    pub fn run(&self, sql: &str) {
        let mut conn = self.0.lock().expect("one at a time");
        RUNTIME.block_on(conn.query_drop(sql)).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// The first value of the first row, as a text.
    pub fn text(&self, sql: &str) -> String {
        let mut conn = self.0.lock().expect("one at a time");
        let found: Option<String> = RUNTIME.block_on(conn.query_first(sql)).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        found.unwrap_or_default()
    }
}

impl Hand for Client {
    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let mut conn = self.0.lock().expect("one at a time");
        let rows: Vec<mysql_async::Row> = RUNTIME.block_on(conn.query(sql)).map_err(|e| e.to_string())?;
        let text = |value| match value {
            mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }
}

/// Users with [`PASSWORD`] that may read everything; `watcher` has PROCESS besides, `tls_only` is let in only so.
const USERS: [&str; 3] = ["reader", "watcher", "tls_only"];

fn as_user(program: &str) -> Command {
    let known = [format!("/usr/sbin/{program}"), format!("/usr/bin/{program}")];
    let found = known.iter().find(|path| Path::new(path).exists());
    let program = found.expect("MariaDB is not installed; ./scripts/test installs what the tests need");
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program);
    command
}

fn own(folder: &Path) {
    if is_root() {
        let owner = format!("{USER}:{USER}");
        let status = Command::new("chown").arg("-R").arg(owner).arg(folder).status().expect("chown runs");
        assert!(status.success(), "chown {}", folder.display());
    }
}
