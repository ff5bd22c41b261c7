//! What DESIGN section 1 promises, shown on the real binary as an operator uses it: one file per promise. The pieces of
//! configuration and the views of an installation that these tests share are here.

mod actions;
mod disk;
mod dropped;
mod edits;
mod explained;
mod growing;
mod independent;
mod limits;
mod lockout;
mod looking;
mod memory;
mod ordered;
mod postgres;
mod skipped;
mod stopping;
mod together;
mod trouble;
mod twice;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::highwater::{Highwater, Output, Running};
use crate::support::receiver::{Received, Receiver};
use crate::support::wait_until;

/// The keys of one section: what these tests usually say, unless `said` says it, and `said`.
fn section(head: &str, usual: &[(&str, &str)], said: &str) -> String {
    let is_said = |key: &str| said.lines().any(|line| line.split('=').next().is_some_and(|k| k.trim() == key));
    let usual = usual.iter().filter(|(key, _)| !is_said(key)).map(|(key, value)| format!("{key} = {value}\n"));
    format!("[{head}]\n{}{said}\n", usual.collect::<String>())
}

/// `[source.orders]`: the folder `drop`, ready on sight.
fn orders(said: &str) -> String {
    let usual = [
        ("kind", "\"folder\""),
        ("path", "\"drop\""),
        ("stable_for", "\"0s\""),
        ("every", "\"100ms\""),
        ("to", "[\"erp\"]"),
    ];
    section("source.orders", &usual, said)
}

/// `[source.items]`: the table `items` of `erp.sqlite`.
fn items(said: &str) -> String {
    let usual = [
        ("kind", "\"sqlite\""),
        ("path", "\"erp.sqlite\""),
        ("table", "\"items\""),
        ("watermark", "\"updated\""),
        ("key", "[\"id\"]"),
        ("every", "\"100ms\""),
        ("to", "[\"erp\"]"),
    ];
    section("source.items", &usual, said)
}

/// `[sink.erp]`: an HTTP receiver.
fn erp(receiver: &Receiver, said: &str) -> String {
    let url = format!("\"{}\"", receiver.url("/in"));
    section("sink.erp", &[("kind", "\"http\""), ("url", &url), ("retry", "[\"20ms\"]")], said)
}

/// `[sink.load]`: the script `load.sh`.
fn load(said: &str) -> String {
    let usual = [("kind", "\"script\""), ("command", "[\"./load.sh\", \"{file}\"]"), ("retry", "[\"20ms\"]")];
    section("sink.load", &usual, said)
}

/// An installation with a folder `drop` and an empty table `items`.
fn plant(configuration: &str) -> Highwater {
    let highwater = Highwater::with_config(configuration);
    std::fs::create_dir(highwater.path("drop")).expect("a folder");
    let sql = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, updated INTEGER)";
    table(&highwater).execute_batch(sql).expect("a table");
    highwater
}

fn table(highwater: &Highwater) -> Connection {
    let connection = Connection::open(highwater.path("erp.sqlite")).expect("a database");
    connection.busy_timeout(Duration::from_secs(20)).expect("patience");
    connection
}

/// Puts a file into `drop` as careful uploaders do: under another name, then renamed.
fn put(highwater: &Highwater, name: &str, content: impl AsRef<[u8]>) {
    let path = highwater.path("drop").join(name);
    std::fs::create_dir_all(path.parent().expect("inside drop")).expect("folders");
    let file = path.file_name().expect("a name").to_string_lossy().into_owned();
    let under_way = path.with_file_name(format!(".{file}.upload"));
    std::fs::write(&under_way, content).expect("write");
    std::fs::rename(under_way, path).expect("rename");
}

/// Sets a file's modification time to now.
fn touch(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).expect("open");
    file.set_modified(SystemTime::now()).expect("touch");
}

/// Starts `run` and waits until it takes commands.
fn run(highwater: &Highwater) -> Running {
    let mut running = highwater.spawn(&["run"]);
    let socket = highwater.path("highwater.sock");
    running.wait_for("it takes commands", |_| socket.exists());
    running
}

/// Runs `once`, asserts its exit code and returns its summary.
#[track_caller]
fn once(highwater: &Highwater, code: i32) -> String {
    highwater.run(&["once"]).code(code).stdout
}

/// A command run by somebody without privileges: by the user `nobody`, to whom the installation then belongs, where the
/// tests run as root.
fn as_nobody(highwater: &Highwater, arguments: &[&str]) -> Command {
    let plain = highwater.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return plain;
    }
    let binary = highwater.copy_binary();
    give_away(&highwater.path(""));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary).args(arguments);
    command.current_dir(highwater.path(""));
    command
}

fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).expect("root may");
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

/// An event as a receiver got it, from its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    id: String,
    source: String,
    kind: String,
    key: String,
    sequence: u64,
    revision: u64,
    sha256: String,
}

impl Told {
    fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&event["type"]).rsplit('.').next().unwrap_or_default().to_owned();
        Self {
            id: text(&event["id"]),
            source: text(&event["source"]).rsplit('/').next().unwrap_or_default().to_owned(),
            kind,
            key: text(&event["subject"]),
            sequence: text(&event["sequence"]).parse().expect("a number"),
            revision: event["data"]["revision"].as_u64().expect("a number"),
            sha256: text(&event["data"]["sha256"]),
        }
    }
}

/// What came in, in order of arrival.
fn told(received: &[Received]) -> Vec<Told> {
    received.iter().map(|received| Told::of(&received.json())).collect()
}

/// The ids that came in, each once.
fn ids(receiver: &Receiver) -> BTreeSet<String> {
    receiver.received().into_iter().map(|received| received.id).collect()
}

/// `kind key` of what came in, sorted.
fn kinds(receiver: &Receiver) -> Vec<String> {
    let mut kinds: Vec<String> =
        told(&receiver.received()).into_iter().map(|told| format!("{} {}", told.kind, told.key)).collect();
    kinds.sort();
    kinds
}

/// `status --json`.
fn status(highwater: &Highwater) -> Value {
    let text = highwater.run(&["status", "--json"]).ok();
    serde_json::from_str(&text).expect("one JSON object")
}

/// What `status --json` says of one source.
#[track_caller]
fn source_status(highwater: &Highwater, name: &str) -> Value {
    named(&status(highwater)["sources"], name)
}

/// What `status --json` says of one sink.
#[track_caller]
fn sink_status(highwater: &Highwater, name: &str) -> Value {
    named(&status(highwater)["sinks"], name)
}

#[track_caller]
fn named(list: &Value, name: &str) -> Value {
    let found = list.as_array().and_then(|list| list.iter().find(|each| each["name"] == name));
    found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
}

/// `deliveries --json`, narrowed by further arguments.
fn deliveries(highwater: &Highwater, further: &[&str]) -> Vec<Value> {
    listing(highwater, "deliveries", further).json_lines()
}

/// `events --json`, narrowed by further arguments.
fn events(highwater: &Highwater, further: &[&str]) -> Vec<Told> {
    listing(highwater, "events", further).json_lines().iter().map(Told::of).collect()
}

fn listing(highwater: &Highwater, command: &str, further: &[&str]) -> Output {
    let arguments: Vec<&str> = [command, "--json", "--limit", "0"].iter().chain(further).copied().collect();
    highwater.run(&arguments).code(0)
}

/// Waits until the sink has delivered so many.
fn wait_for_delivered(highwater: &Highwater, sink: &str, count: u64) {
    wait_until(&format!("{sink} has delivered {count}"), || sink_status(highwater, sink)["delivered"] == count);
}

/// The contents in the spool.
fn spooled(highwater: &Highwater) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(highwater.path("spool")) else { return Vec::new() };
    let names = listing.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name != ".store").collect()
}

/// The SHA-256 of some bytes, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}
