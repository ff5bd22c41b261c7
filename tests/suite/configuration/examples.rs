//! The examples of the documentation load, and become the settings they describe.

use std::collections::BTreeMap;

use highwater::change::Kind;
use highwater::config::{self, Config};
use highwater::net::signature::Scheme;
use highwater::setting::{ByteCount, Interval};
use highwater::sink::settings::{AfterDead, Content, Ordering, SinkKind, SinkSettings, Stdin};
use highwater::source::settings::{
    AfterAction, Case, DirectorySettings, Empty, Schedule, Settle, SourceKind, SourceSettings, Start, TableFrom,
    Unrouted, Versions,
};

use super::{FOLDER, HTTP, SCRIPT, Setup, TABLE};

const EXAMPLE: &str = r#"
[state]
instance = "plant-7"
path = "state/highwater.db"
spool = "/var/spool/highwater"
spool_max = "20GiB"
min_free = "1GiB"
retention = "14d"

[source.orders]
kind = "folder"
path = "${DROP}/orders"
to = ["erp", "load"]
include = ["/*.csv", "**/*.xml"]
exclude = ["old/**"]
case = "ignore"
recursive = true
stable_for = "5s"
marker = "{name}.done"
checksum = "{name}.sha256"
ends_with = "IEA*"
empty = "wait"
events = ["created", "changed", "removed", "renamed"]
versions = "latest"
on_delivered = "move:archive/{date}"
on_dead = "move:failed"
schedule = "*/5 6-20 * * 1-5"
schedule_timezone = "Europe/Berlin"
watch = false
start = "now"
max_new = "none"
max_size = "2GiB"
poll_timeout = "10m"
was = "order-drop"

[source.customers]
kind = "postgres"
url = "literal:postgres://erp@db/erp"
password = "env:PATH"
table = "sales.customers"
watermark = ["updated_at", "seq"]
key = ["region", "id"]
settle = "overlap:60s"
track = "keys"
every = "${EVERY}"
page = 1_000
start = ["2026-01-01T00:00:00Z", 17]
max_new = 500
to = ["erp"]

[source.articles]
kind = "sqlite"
path = "../articles.sqlite"
query = "SELECT id, at FROM articles"
watermark = "at"
key = "id"
start = 42

[[source.articles.route]]
match = ["A*", "B*"]
types = ["upserted"]
when = { "/data/row/status" = "open", "/data/row/n" = 3 }
to = ["erp"]

[[source.articles.route]]
to = ["load"]

[sink.erp]
kind = "http"
url = "https://erp.example.com/hooks/{source}?key={key}"
method = "PUT"
headers = { X-Plant = "7", X-Shell = "env:PATH" }
bearer = ["new", "old"]
content = "inline"
sign = { scheme = "github", secret = "shared", header = "X-Signature" }
tls = { min = "1.3", server_name = "erp" }
timeout = "10s"
concurrency = 8
ordering = "source"
after_dead = "hold"
rate = "600/m"
retry = ["1s", "1m"]
retry_for = "forever"
max_backlog = 5_000

[sink.load]
kind = "script"
command = ["./load.sh", "{file}", "--event={event_file}"]
stdin = "content"
env = { ORACLE_HOME = "/u01/app/oracle" }
cwd = "work"
timeout = "5m"
concurrency = 2
exit = { ok = [0, 75], dead = [9] }
"#;

fn example() -> (Setup, Config) {
    let setup = Setup::new(EXAMPLE).with("load.sh", "");
    let config = setup.config();
    (setup, config)
}

fn source<'c>(config: &'c Config, name: &str) -> &'c SourceSettings {
    config.sources.iter().find(|source| source.name.as_str() == name).expect(name)
}

fn sink<'c>(config: &'c Config, name: &str) -> &'c SinkSettings {
    config.sinks.iter().find(|sink| sink.name.as_str() == name).expect(name)
}

fn directory(source: &SourceSettings) -> &DirectorySettings {
    let SourceKind::Folder(folder) = &source.kind else { panic!("a folder") };
    &folder.directory
}

fn template(action: &AfterAction) -> &str {
    let AfterAction::Move(target) = action else { panic!("a move") };
    target.as_str()
}

#[test]
fn the_state_is_read() {
    let (setup, config) = example();
    assert_eq!(config.state.instance, "plant-7");
    assert_eq!(config.state.path, setup.path("state/highwater.db"));
    assert_eq!(config.state.spool.to_str(), Some("/var/spool/highwater"));
    assert_eq!(config.state.spool_max, ByteCount(20 << 30));
    assert_eq!(config.state.min_free, ByteCount(1 << 30));
    assert_eq!(config.state.retention, "14d".parse().expect("an interval"));
    assert_eq!(config.files, [setup.path("highwater.toml")]);
}

#[test]
fn a_folder_is_read() {
    let (_, config) = example();
    let orders = source(&config, "orders");
    let SourceKind::Folder(folder) = &orders.kind else { panic!("a folder") };
    assert_eq!(folder.path.to_str(), Some("/srv/drop/orders"));
    assert!(!folder.watch);
    assert_eq!(orders.to.iter().map(|sink| sink.as_str()).collect::<Vec<_>>(), ["erp", "load"]);
    assert_eq!(orders.was.as_ref().map(|was| was.as_str()), Some("order-drop"));
    assert_eq!((orders.max_new, orders.max_size), (None, Some(ByteCount(2 << 30))));
    assert_eq!(orders.poll_timeout, Some(Interval::from_secs(600)));
    let Schedule::Cron { expression, timezone } = &orders.schedule else { panic!("a cron expression") };
    assert_eq!((expression.as_str(), timezone.as_str()), ("*/5 6-20 * * 1-5", "Europe/Berlin"));
}

#[test]
fn what_a_folder_takes_and_tells_is_read() {
    let (_, config) = example();
    let directory = directory(source(&config, "orders"));
    assert_eq!(directory.include, ["/*.csv", "**/*.xml"]);
    for glob in ["old/**", "*.tmp", ".*"] {
        assert!(directory.exclude.iter().any(|known| known == glob), "{glob} in {:?}", directory.exclude);
    }
    assert_eq!((directory.case, directory.recursive), (Case::Ignore, true));
    assert_eq!(directory.stable_for, Interval::from_secs(5));
    assert_eq!(directory.marker.as_ref().map(|marker| marker.as_str()), Some("{name}.done"));
    assert_eq!(directory.checksum.as_ref().map(|sidecar| sidecar.as_str()), Some("{name}.sha256"));
    assert_eq!(directory.ends_with.as_deref(), Some("IEA*"));
    assert_eq!((directory.empty, directory.versions), (Empty::Wait, Versions::Latest));
    assert_eq!(directory.events, [Kind::Created, Kind::Changed, Kind::Removed, Kind::Renamed]);
    assert_eq!(template(&directory.on_delivered), "archive/{date}");
    assert_eq!(template(&directory.on_dead), "failed");
    assert_eq!(directory.start, Start::Now);
}

#[test]
fn a_postgres_table_is_read() {
    let (_, config) = example();
    let customers = source(&config, "customers");
    let SourceKind::Postgres(postgres) = &customers.kind else { panic!("postgres") };
    assert_eq!(postgres.url.reveal().expect("there"), "postgres://erp@db/erp");
    assert_eq!(postgres.password.as_ref().expect("there").origin(), "env:PATH");
    let table = &postgres.table;
    assert_eq!(table.from, TableFrom::Table("sales.customers".into()));
    assert_eq!(table.watermark, ["updated_at", "seq"]);
    assert_eq!(table.key, ["region", "id"]);
    assert_eq!(table.settle, Settle::Overlap(Interval::from_secs(60)));
    assert_eq!((table.page, table.track_keys), (1_000, true));
    assert_eq!(table.start, Start::Value("[\"2026-01-01T00:00:00Z\",17]".into()));
    assert_eq!(customers.max_new, Some(500));
    assert!(matches!(customers.schedule, Schedule::Every(every) if every == Interval::from_secs(7)));
}

#[test]
fn an_sqlite_table_and_its_routes_are_read() {
    let (setup, config) = example();
    let articles = source(&config, "articles");
    let SourceKind::Sqlite(sqlite) = &articles.kind else { panic!("sqlite") };
    let beside = setup.path("").parent().expect("a parent").join("articles.sqlite");
    assert_eq!(sqlite.path, beside);
    assert_eq!(sqlite.table.from, TableFrom::Query("SELECT id, at FROM articles".into()));
    assert_eq!(
        (sqlite.table.watermark.as_slice(), sqlite.table.key.as_slice()),
        (&["at".to_owned()][..], &["id".to_owned()][..])
    );
    assert_eq!(sqlite.table.start, Start::Value("42".into()));
    assert!(articles.to.is_empty() && articles.unrouted == Unrouted::Degrade);
    let [first, second] = &articles.routes[..] else { panic!("two routes") };
    assert_eq!(first.matches, ["A*", "B*"]);
    assert_eq!(first.types, [Kind::Upserted]);
    let when = BTreeMap::from([("/data/row/n".into(), 3.into()), ("/data/row/status".into(), "open".into())]);
    assert_eq!(first.when, when);
    assert_eq!((first.to[0].as_str(), second.to[0].as_str()), ("erp", "load"));
    assert!(second.matches.is_empty() && second.types.is_empty() && second.when.is_empty());
}

#[test]
fn an_http_sink_is_read() {
    let (_, config) = example();
    let SinkKind::Http(http) = &sink(&config, "erp").kind else { panic!("http") };
    assert_eq!(http.url.as_str(), "https://erp.example.com/hooks/{source}?key={key}");
    assert_eq!((http.method.as_str(), http.content), ("PUT", Content::Inline));
    assert_eq!(http.headers[0].0, "X-Plant");
    assert_eq!(http.headers[0].1.reveal().expect("there"), "7");
    assert_eq!(http.headers[1].1.origin(), "env:PATH");
    assert_eq!(http.bearer.as_ref().expect("there").reveal_all().expect("there"), ["new", "old"]);
    let sign = http.sign.as_ref().expect("there");
    assert_eq!((sign.scheme, sign.header.as_deref()), (Scheme::Github, Some("X-Signature")));
    assert_eq!(sign.secret.reveal().expect("there"), "shared");
    assert_eq!((http.tls.min, http.tls.server_name.as_deref()), (highwater::net::TlsVersion::V1_3, Some("erp")));
}

#[test]
fn how_a_sink_delivers_is_read() {
    let (_, config) = example();
    let delivery = &sink(&config, "erp").delivery;
    assert_eq!((delivery.concurrency, delivery.timeout), (8, Interval::from_secs(10)));
    assert_eq!((delivery.ordering, delivery.after_dead), (Ordering::Source, AfterDead::Hold));
    let rate = delivery.rate.expect("there");
    assert_eq!((rate.count, rate.per), (600, Interval::from_secs(60)));
    assert_eq!(delivery.retry, [Interval::from_secs(1), Interval::from_secs(60)]);
    assert_eq!((delivery.retry_for, delivery.max_backlog), (None, 5_000));
}

#[test]
fn a_script_is_read_and_a_written_exit_code_wins_over_a_default() {
    let (setup, config) = example();
    let SinkKind::Script(script) = &sink(&config, "load").kind else { panic!("a script") };
    let command: Vec<&str> = script.command.iter().map(|argument| argument.as_str()).collect();
    assert_eq!(command, ["./load.sh", "{file}", "--event={event_file}"]);
    assert_eq!(script.stdin, Stdin::Content);
    assert_eq!(
        (script.env[0].0.as_str(), script.env[0].1.reveal().expect("there").as_str()),
        ("ORACLE_HOME", "/u01/app/oracle")
    );
    assert_eq!((script.cwd.clone(), script.base.clone()), (setup.path("work"), setup.path("").components().collect()));
    assert_eq!(script.exit.ok, [0, 75]);
    assert_eq!((script.exit.retry.as_slice(), script.exit.dead.as_slice()), (&[][..], &[9][..]));
    assert_eq!(script.exit.fault, [126, 127]);
}

#[test]
fn the_starter_loads_as_it_is_written() {
    let setup = Setup::new(config::starter());
    assert_eq!(setup.warnings(), Vec::<String>::new());
    assert_eq!((setup.config().sources.len(), setup.config().sinks.len()), (1, 1));
}

#[test]
fn every_commented_example_of_the_starter_is_right() {
    // Keys that exclude each other stand there as alternatives; the others must load when the comment marks go.
    let alternatives = ["schedule", "[[source.inbox", "match = ", "# to = [\"log\"]", "files = "];
    let open = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if alternatives.iter().any(|word| line.contains(word)) => format!("# {rest}"),
        Some(rest) if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
            rest.replace("\"env:ERP_URL\"", "\"postgres://db/erp\"").replace("env:", "literal:")
        }
        _ => line.to_owned(),
    };
    let text: Vec<String> = config::starter().lines().map(open).collect();
    let config = Setup::new(&text.join("\n")).config();
    assert_eq!((config.sources.len(), config.sinks.len()), (4, 2));
}

#[test]
fn init_writes_the_starter_and_never_overwrites() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = config::init(folder.path()).expect("written");
    assert_eq!(file, folder.path().join("highwater.toml"));
    assert_eq!(std::fs::read_to_string(&file).expect("there"), config::starter());
    std::fs::write(&file, "mine").expect("write");
    let error = config::init(&file).expect_err("there already");
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "mine");
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    assert_eq!(Setup::new("").warnings().len(), 2);
    let text = format!("{FOLDER}\n{SCRIPT}\n{HTTP}").replace("localhost", "erp.example.com");
    assert!(
        Setup::new(&text).warnings()[0].contains("sink.erp.url to erp.example.com sends events and secrets in clear")
    );
    let raw =
        format!("{FOLDER}\n{SCRIPT}\n{HTTP}content = \"raw\"\nsign = {{ scheme = \"standard\", secret = \"x\" }}\n");
    assert!(Setup::new(&raw).warnings()[0].contains("content = \"raw\" is signed by scheme \"standard\""));
    let missing = format!("{FOLDER}\n{SCRIPT}").replace("\"cat\"", "\"./none.sh\"");
    assert!(Setup::new(&missing).warnings()[0].contains("there is no file"));
    let echo = format!("{FOLDER}\n{SCRIPT}").replace("\"in\"", "\".\"");
    assert!(Setup::new(&echo).warnings()[0].contains("source.orders holds Highwater's own store"));
    let row = format!("{TABLE}\n{SCRIPT}").replace("\"cat\"", "\"cat\", \"{file}\"");
    assert!(
        Setup::new(&row).warnings()[0]
            .contains("source.rows.to names \"load\", which takes {file}, and a row has none")
    );
    let fine = format!("{FOLDER}\n{TABLE}\n{SCRIPT}\n{HTTP}");
    assert_eq!(Setup::new(&fine).warnings(), Vec::<String>::new());
}
