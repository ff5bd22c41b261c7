//! Every default, once.

use highwater::change::Kind;
use highwater::config::Config;
use highwater::net::TlsVersion;
use highwater::setting::{ByteCount, Interval};
use highwater::sink::settings::{AfterDead, Content, ExitCodes, Ordering, SinkKind, Stdin};
use highwater::source::settings::{AfterAction, Case, Empty, Schedule, Settle, SourceKind, Start, Unrouted, Versions};

use super::{FOLDER, HTTP, SCRIPT, Setup, TABLE};

fn plain() -> (Setup, Config) {
    let postgres = "[source.pg]\nkind = \"postgres\"\nurl = \"postgres://db/erp\"\ntable = \"t\"\nwatermark = \"w\"\nkey = \"id\"\nto = [\"load\"]\n";
    let setup = Setup::new(&format!("{FOLDER}{TABLE}{postgres}{SCRIPT}{HTTP}"));
    let config = setup.config();
    (setup, config)
}

#[test]
fn of_the_state() {
    let (setup, config) = plain();
    let state = config.state;
    assert_eq!(state.instance, "main");
    assert_eq!(state.path, setup.path("highwater.db"));
    assert_eq!(state.spool, setup.path("spool"));
    assert_eq!(state.spool_max, ByteCount(50 << 30));
    assert_eq!(state.min_free, ByteCount(512 << 20));
    assert_eq!(state.retention, Interval::from_secs(30 * 86_400));
}

#[test]
fn of_a_folder() {
    let (setup, config) = plain();
    let source = &config.sources[0];
    assert!(matches!(source.schedule, Schedule::Every(every) if every == Interval::from_secs(30)));
    assert_eq!((source.max_new, source.max_size, source.poll_timeout), (Some(100_000), None, None));
    assert!(source.routes.is_empty() && source.unrouted == Unrouted::Degrade && source.was.is_none());
    let SourceKind::Folder(folder) = &source.kind else { panic!("a folder") };
    assert_eq!(folder.path, setup.path("in"));
    assert!(folder.watch);
    let directory = &folder.directory;
    assert!(directory.include.is_empty() && directory.recursive);
    assert_eq!(directory.case, Case::Exact);
    assert_eq!(directory.stable_for, Interval::from_secs(2));
    assert!(directory.marker.is_none() && directory.checksum.is_none() && directory.ends_with.is_none());
    assert_eq!((directory.empty, directory.versions), (Empty::Deliver, Versions::All));
    assert_eq!(directory.events, [Kind::Created, Kind::Changed]);
    assert_eq!((&directory.on_delivered, &directory.on_dead), (&AfterAction::Keep, &AfterAction::Keep));
    assert_eq!(directory.start, Start::All);
}

#[test]
fn of_what_a_folder_leaves_out() {
    let (_, config) = plain();
    let SourceKind::Folder(folder) = &config.sources[0].kind else { panic!("a folder") };
    let names = ".* ~$* *.tmp *.part *.partial *.filepart *.crdownload *.writing *.swp *.lck *~ Thumbs.db desktop.ini";
    assert_eq!(folder.directory.exclude, names.split(' ').collect::<Vec<_>>());
}

#[test]
fn of_a_table() {
    let (_, config) = plain();
    for source in &config.sources[1..] {
        assert!(matches!(source.schedule, Schedule::Every(every) if every == Interval::from_secs(10)));
        assert_eq!(source.max_new, None);
        let table = match &source.kind {
            SourceKind::Sqlite(sqlite) => &sqlite.table,
            SourceKind::Postgres(postgres) => &postgres.table,
            _ => panic!("a table"),
        };
        assert_eq!((table.settle, table.page, table.track_keys), (Settle::Auto, 5_000, false));
        assert_eq!(table.start, Start::All);
    }
    let SourceKind::Sqlite(sqlite) = &config.sources[1].kind else { panic!("sqlite") };
    assert_eq!(sqlite.init, None);
    let SourceKind::Postgres(postgres) = &config.sources[2].kind else { panic!("postgres") };
    assert!(postgres.password.is_none() && postgres.tls == highwater::net::TlsSettings::default());
}

#[test]
fn of_every_sink() {
    let (_, config) = plain();
    for sink in &config.sinks {
        let delivery = &sink.delivery;
        assert_eq!((delivery.ordering, delivery.after_dead), (Ordering::Key, AfterDead::Continue));
        assert_eq!((delivery.rate, delivery.max_backlog), (None, 1_000_000));
        let waits: Vec<String> = delivery.retry.iter().map(ToString::to_string).collect();
        assert_eq!(waits, ["5s", "30s", "2m", "10m", "30m", "1h"]);
        assert_eq!(delivery.retry_for, Some(Interval::from_secs(72 * 3_600)));
    }
}

#[test]
fn of_a_script() {
    let (setup, config) = plain();
    let sink = &config.sinks[0];
    assert_eq!((sink.delivery.timeout, sink.delivery.concurrency), (Interval::from_secs(60), 1));
    let SinkKind::Script(script) = &sink.kind else { panic!("a script") };
    assert_eq!((script.stdin, &script.exit), (Stdin::Event, &ExitCodes::default()));
    assert!(script.env.is_empty());
    assert_eq!(script.cwd, setup.path("").components().collect::<std::path::PathBuf>());
}

#[test]
fn of_an_http_sink() {
    let (_, config) = plain();
    let sink = &config.sinks[1];
    assert_eq!((sink.delivery.timeout, sink.delivery.concurrency), (Interval::from_secs(30), 4));
    let SinkKind::Http(http) = &sink.kind else { panic!("http") };
    assert_eq!((http.method.as_str(), http.content), ("POST", Content::Reference));
    assert!(http.headers.is_empty() && http.bearer.is_none() && http.basic.is_none() && http.sign.is_none());
    assert_eq!(http.tls.min, TlsVersion::V1_2);
}
