//! The cases: which product run stands against which floor, how large, and what it must have done to count.

use std::path::Path;

use crate::measure::{Job, in_turn};
use crate::postgres::Server;
use crate::product::Installation;
use crate::receiver::Receiver;
use crate::report::{self, Target};
use crate::{Options, Result, data, remote, rows, tables};

/// Names that can be asked for.
pub const NAMES: [&str; 8] = ["idle", "hash", "rows", "table", "polls", "http", "script", "remote"];

/// Prepares, measures and prints one case.
type Case = fn(&Options, &Sizes) -> Result<()>;

/// How much of everything.
struct Sizes {
    idle_files: u64,
    big_files: u64,
    big_bytes: u64,
    small_files: u64,
    rows: u64,
    posts: u64,
    starts: u64,
}

const FULL: Sizes = Sizes {
    idle_files: 200_000,
    big_files: 16,
    big_bytes: 256 << 20,
    small_files: 50_000,
    rows: 200_000,
    posts: 20_000,
    starts: 500,
};

const QUICK: Sizes = Sizes {
    idle_files: 5_000,
    big_files: 2,
    big_bytes: 16 << 20,
    small_files: 1_000,
    rows: 5_000,
    posts: 1_000,
    starts: 50,
};

const SMALL_BYTES: u64 = 4 << 10;

/// A sink that takes the event alone, and that is paused or never reached in the cases that only store.
pub const UNUSED_SINK: &str = "kind = \"http\"\nurl = \"http://127.0.0.1:9/\"";

/// Runs what was asked for, and prints a line for each.
pub fn run(options: &Options) -> Result<()> {
    let mut sizes = if options.quick { QUICK } else { FULL };
    if options.million {
        sizes.idle_files = 1_000_000;
    }
    let dir = &options.dir;
    std::fs::create_dir_all(dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
    report::head(dir)?;
    let cases: [(&str, Case); 8] = [
        ("idle", idle),
        ("hash", hash),
        ("rows", table_rows),
        ("table", |options, _| tables::load(options)),
        ("polls", |options, _| tables::polls(options)),
        ("http", http),
        ("script", script),
        ("remote", |options, _| remote::run(options)),
    ];
    let mut failed = Vec::new();
    for (name, case) in cases.into_iter().filter(|(name, _)| options.wants(name)) {
        // One case that cannot run does not hide the figures of the others.
        if let Err(line) = case(options, &sizes) {
            println!("{name:<34} FAILED: {line}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(" "))) }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or(format!("{} is not UTF-8", path.display()))
}

fn folder_source(tree: &Path, start: &str) -> String {
    format!("kind = \"folder\"\npath = \"{}\"\nstable_for = \"0s\"\nwatch = false\nstart = \"{start}\"", tree.display())
}

/// A second look at a tree in which nothing changed.
fn idle(options: &Options, sizes: &Sizes) -> Result<()> {
    let tree = data::tree(&options.dir, "idle", sizes.idle_files, 0)?;
    let ours = Installation::new(options, "idle", &folder_source(&tree, "now"), UNUSED_SINK)?;
    let news = tree.join("0000/news.dat");
    let _ = std::fs::remove_file(&news);
    ours.run_once()?;
    let floor = Job::floor(&["walk", text(&tree)?])?;
    let mut nothing = || Ok(());
    let mut none = || ours.expect_events(0);
    let pairs = in_turn(&floor, &ours.once(), options.rounds, &ours.log(), &mut nothing, &mut none)?;
    // That it looked at all is seen when something does change.
    std::fs::write(&news, "new").map_err(|error| format!("write {}: {error}", news.display()))?;
    ours.run_once()?;
    std::fs::remove_file(&news).map_err(|error| format!("remove {}: {error}", news.display()))?;
    ours.expect_events(1)?;
    let name = format!("idle: rescan of {} files", sizes.idle_files);
    report::line(&name, &pairs, Some(Target::Cpu(1.10)));
    Ok(())
}

/// The first look at files whose content must be read: hashed, and a durable event and delivery of each.
fn hash(options: &Options, sizes: &Sizes) -> Result<()> {
    let mebibytes = (sizes.big_files * sizes.big_bytes) >> 20;
    let big = format!("hash: {mebibytes} MiB in {} files", sizes.big_files);
    let small = format!("hash: {} files of 4 KiB, events", sizes.small_files);
    let kinds = [
        (big, sizes.big_files, sizes.big_bytes, Some(Target::Wall(1.25))),
        (small, sizes.small_files, SMALL_BYTES, Some(Target::Cpu(1.18))),
    ];
    for (name, count, size, target) in kinds {
        let tree = data::tree(&options.dir, "hash", count, size)?;
        let floor = Job::floor(&["hash", text(&tree)?])?;
        let ours = Installation::new(options, "hash", &folder_source(&tree, "all"), UNUSED_SINK)?;
        store_events(options, &name, &floor, &ours, count, target)?;
    }
    Ok(())
}

/// Rows of a table to committed events.
fn table_rows(options: &Options, sizes: &Sizes) -> Result<()> {
    let table = format!(
        "table = \"items\"\nwatermark = \"updated_at\"\nkey = [\"id\"]\npage = {}\nstart = \"all\"",
        rows::PAGE
    );
    let database = rows::sqlite(&options.dir, sizes.rows)?;
    let floor = Job::floor(&["rows-sqlite", text(&database)?])?;
    let source = format!("kind = \"sqlite\"\npath = \"{}\"\n{table}", database.display());
    let ours = Installation::new(options, "rows-sqlite", &source, UNUSED_SINK)?;
    store_events(options, &format!("rows: {} of SQLite, events", sizes.rows), &floor, &ours, sizes.rows, None)?;

    let name = format!("rows: {} of PostgreSQL, events", sizes.rows);
    let Some(server) = Server::start()? else {
        println!("{name:<34} left out: PostgreSQL is not installed");
        return Ok(());
    };
    rows::postgres(&server.url, sizes.rows)?;
    let floor = Job::floor(&["rows-postgres", &server.url])?;
    let source = format!("kind = \"postgres\"\nurl = \"{}\"\n{table}", server.url);
    let ours = Installation::new(options, "rows-postgres", &source, UNUSED_SINK)?;
    store_events(options, &name, &floor, &ours, sizes.rows, None)
}

/// A first poll with the sink paused, from an empty store each time.
pub fn store_events(
    options: &Options,
    name: &str,
    floor: &Job,
    ours: &Installation,
    count: u64,
    target: Option<Target>,
) -> Result<()> {
    ours.begin_paused()?;
    let mut before = || ours.restore();
    let mut after = || ours.expect_events(count);
    let pairs = in_turn(floor, &ours.once(), options.rounds, &ours.log(), &mut before, &mut after)?;
    report::line(name, &pairs, target);
    Ok(())
}

/// A source with `count` events to deliver; its own poll finds nothing more.
fn delivered_source(options: &Options, count: u64) -> Result<String> {
    let database = rows::sqlite(&options.dir, count)?;
    let table = "table = \"items\"\nwatermark = \"updated_at\"\nkey = [\"id\"]\nstart = \"all\"";
    Ok(format!("kind = \"sqlite\"\npath = \"{}\"\n{table}", database.display()))
}

/// Stored events to a local HTTP server, one POST each, 16 at once.
fn http(options: &Options, sizes: &Sizes) -> Result<()> {
    let receiver = Receiver::start()?;
    let source = delivered_source(options, sizes.posts)?;
    let sink = format!("kind = \"http\"\nurl = \"http://{}/\"\nconcurrency = 16", receiver.address);
    let ours = Installation::new(options, "http", &source, &sink)?;
    ours.begin_full()?;
    let floor = Job::floor(&["post", &receiver.address, &sizes.posts.to_string(), "16"])?;
    let mut before = || ours.restore().and_then(|()| receiver.reset());
    let mut after = || {
        let (requests, distinct) = receiver.seen()?;
        if (requests, distinct) != (sizes.posts, sizes.posts) {
            return Err(format!("a wrong run: {requests} requests with {distinct} ids, not {}", sizes.posts));
        }
        ours.expect_delivered(sizes.posts)
    };
    let pairs = in_turn(&floor, &ours.once(), options.rounds, &ours.log(), &mut before, &mut after)?;
    let name = format!("http: {} events, 16 at once", sizes.posts);
    report::line(&name, &pairs, Some(Target::Wall(1.67)));
    Ok(())
}

/// Stored events to a script, one start each.
fn script(options: &Options, sizes: &Sizes) -> Result<()> {
    let source = delivered_source(options, sizes.starts)?;
    let ours = Installation::new(options, "script", &source, "kind = \"script\"\ncommand = [\"/bin/true\"]")?;
    ours.begin_full()?;
    let floor = Job::floor(&["spawn", "/bin/true", &sizes.starts.to_string()])?;
    let mut before = || ours.restore();
    let mut after = || ours.expect_delivered(sizes.starts);
    let pairs = in_turn(&floor, &ours.once(), options.rounds, &ours.log(), &mut before, &mut after)?;
    let name = format!("script: {} starts, one at a time", sizes.starts);
    report::line(&name, &pairs, Some(Target::Wall(1.11)));
    Ok(())
}
