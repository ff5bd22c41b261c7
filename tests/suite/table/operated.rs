//! The commands an operator has for tables, by the binary: the same on every kind of database.

#[cfg(feature = "odbc")]
use super::odbc::driver;
use crate::support::highwater::Highwater;
use crate::support::{mariadb, postgres};

type Run = Box<dyn Fn(&Highwater, &str)>;

/// A table `item` somewhere, and a way to write to it.
struct Place {
    kind: &'static str,
    toml: String,
    run: Run,
}

fn on_postgres() -> Place {
    let place = postgres::database();
    place.run("GRANT pg_read_all_data TO reader");
    place.run(
        "CREATE TABLE item (id int PRIMARY KEY, at timestamptz NOT NULL, name text); CREATE INDEX ON item (at, id)",
    );
    let toml = format!("url = \"{}\"", place.address("reader"));
    Place { kind: "postgres", toml, run: Box::new(move |_, sql| place.run(sql)) }
}

fn on_mariadb() -> Place {
    let place = mariadb::database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at datetime(6) NOT NULL, name text, KEY (at, id))");
    let toml = format!("url = \"{}\"\nwatermark_timezone = \"UTC\"", place.address("reader"));
    Place { kind: "mysql", toml, run: Box::new(move |_, sql| place.run(sql)) }
}

fn on_sqlite() -> Place {
    let run = |highwater: &Highwater, sql: &str| {
        let database = rusqlite::Connection::open(highwater.path("erp.sqlite")).expect("a database");
        let table = "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, at TEXT NOT NULL, name TEXT)";
        database.execute_batch(&format!("{table}; {sql}")).expect(sql);
    };
    Place { kind: "sqlite", toml: "path = \"erp.sqlite\"".into(), run: Box::new(run) }
}

#[cfg(feature = "odbc")]
fn by_odbc() -> Place {
    let place = postgres::database();
    place.run("GRANT pg_read_all_data TO reader");
    place
        .run("CREATE TABLE item (id int PRIMARY KEY, at timestamp NOT NULL, name text); CREATE INDEX ON item (at, id)");
    let (driver, helper) = (driver("psqlodbcw.so"), env!("CARGO_BIN_EXE_highwater-odbc"));
    let connection =
        format!("Driver={driver};Servername=127.0.0.1;Port={};Database={};UID=reader", place.port, place.name);
    let password = postgres::PASSWORD;
    let toml = format!("connection = \"{connection}\"\npassword = \"literal:{password}\"\nhelper = \"{helper}\"");
    Place { kind: "odbc", toml, run: Box::new(move |_, sql| place.run(sql)) }
}

fn config(place: &Place, more: &str) -> String {
    let Place { kind, toml, .. } = place;
    format!(
        "[source.items]\nkind = \"{kind}\"\n{toml}\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n{more}\nto = [\"out\"]\n\n\
         [sink.out]\nkind = \"script\"\ncommand = [\"true\"]\n"
    )
}

impl Place {
    fn write(&self, highwater: &Highwater, rows: &[u32]) {
        for id in rows {
            let sql = format!("INSERT INTO item VALUES ({id}, '2020-01-{id:02} 10:00:00', 'row {id}')");
            (self.run)(highwater, &sql);
        }
    }
}

/// The keys of all events so far, in order.
fn told(highwater: &Highwater) -> Vec<String> {
    let events = highwater.run(&["events", "--json", "--limit", "0"]);
    let mut events: Vec<(String, String)> = events
        .json_lines()
        .iter()
        .map(|event| {
            let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
            (text(&event["sequence"]), text(&event["subject"]))
        })
        .collect();
    events.sort();
    events.into_iter().map(|(_, key)| key).collect()
}

fn said(highwater: &Highwater, command: &[&str]) -> String {
    let output = highwater.run(command);
    output.stdout + &output.stderr
}

fn polled(highwater: &Highwater) -> Vec<String> {
    highwater.run(&["once"]).ok();
    told(highwater)
}

fn commands_do_what_they_say(place: &Place) {
    let highwater = Highwater::with_config(&config(place, ""));
    place.write(&highwater, &[1, 2]);
    looking_changes_nothing(&highwater, place);
    moving_the_cursor_tells_what_lies_beyond_it(&highwater, place);
    what_holds_is_accepted_or_skipped(&highwater, place);
    let checked = highwater.run(&["check", "--connect"]).ok();
    assert!(checked.contains("round trip: the newest watermark, as text, finds its row again"), "{checked}");
    assert!(checked.contains("source items: settle: "), "{checked}");
    let tried = highwater.run(&["doctor", "items", "--json"]).json_lines();
    let topics: Vec<&str> = tried.iter().filter_map(|finding| finding["topic"].as_str()).collect();
    assert!(["server", "key", "index", "round trip", "ties", "settle"].iter().all(|topic| topics.contains(topic)));
}

fn looking_changes_nothing(highwater: &Highwater, place: &Place) {
    for _ in 0..2 {
        let peeked = said(highwater, &["peek", "items"]);
        assert_eq!(peeked.matches("row.upserted").count(), 2, "{peeked}");
    }
    assert!(said(highwater, &["cursor", "items"]).contains("items has no cursor yet"));
    let story = said(highwater, &["explain", "items", "1"]);
    let row = "the row is there with watermark 2020-01-01 10:00:00";
    assert!(story.contains(row) && story.contains("the source has no cursor yet"), "{story}");
    assert_eq!(polled(highwater), ["1", "2"]);
    assert!(said(highwater, &["cursor", "items", "show"]).starts_with("{\"v\":"));
    assert!(said(highwater, &["peek", "items"]).contains("nothing new"));
    let story = said(highwater, &["explain", "items", "1"]);
    assert!(story.contains("SAFE: it was passed") || story.contains("or later are read"), "{story}");
    assert!(said(highwater, &["explain", "items", "99"]).contains("no row of item has the key 99 now"));
    place.write(highwater, &[3]);
    let peeked = highwater.run(&["peek", "items", "--json"]).json_lines();
    assert_eq!(peeked.iter().map(|event| &event["subject"]).collect::<Vec<_>>(), ["3"]);
    assert_eq!(polled(highwater), ["1", "2", "3"]);
}

fn moving_the_cursor_tells_what_lies_beyond_it(highwater: &Highwater, place: &Place) {
    let before = told(highwater).len();
    highwater.run(&["cursor", "items", "set", "2020-01-03 10:00:00"]).ok();
    assert_eq!(polled(highwater).len(), before, "nothing lies beyond the newest row");
    assert!(
        said(highwater, &["cursor", "items"]).starts_with("{\"v\":"),
        "a cursor takes the place of what was written"
    );
    place.write(highwater, &[4]);
    assert_eq!(polled(highwater).last().map(String::as_str), Some("4"));
    if place.kind != "sqlite" {
        // In SQLite any text is a value of a column of texts.
        highwater.run(&["cursor", "items", "set", "nonsense"]).ok();
        let failed = highwater.run(&["once"]).code(3).stdout;
        assert!(failed.contains("nonsense"), "{failed}");
    }
    let reset = highwater.run(&["cursor", "items", "reset"]).ok();
    assert!(reset.contains("rows that are settled are told again, under their old ids"), "{reset}");
    let after = polled(highwater);
    assert!(after.len() > before && after.len() <= 2 * (before + 1), "{after:?}");
    let ids = highwater.run(&["events", "--json", "--limit", "0"]).json_lines();
    let ids: std::collections::BTreeSet<String> = ids.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "what is told again keeps its id");
}

fn what_holds_is_accepted_or_skipped(highwater: &Highwater, place: &Place) {
    highwater.configure(&config(place, "max_new = 1"));
    place.write(highwater, &[5, 6]);
    let before = told(highwater).len();
    for (rows, command, more) in [(&[7_u32][..], "accept", 3), (&[8, 9][..], "skip", 0)] {
        place.write(highwater, rows);
        let held = highwater.run(&["once"]).code(3).stdout;
        assert!(held.contains("held (max_new)"), "{held}");
        highwater.run(&["cursor", "items", command]).ok();
        let first = told(highwater).len();
        assert_eq!(polled(highwater).len(), first + more, "{command}");
    }
    place.write(highwater, &[10]);
    let after = polled(highwater);
    assert_eq!(after[before..], ["5", "6", "7", "10"]);
    let refused = highwater.run(&["cursor", "items", "accept"]).code(2).stderr;
    assert!(refused.contains("not held"), "{refused}");
}

#[test]
fn commands_do_what_they_say_on_postgres() {
    commands_do_what_they_say(&on_postgres());
}

#[test]
fn commands_do_what_they_say_on_mariadb() {
    commands_do_what_they_say(&on_mariadb());
}

#[test]
fn commands_do_what_they_say_on_sqlite() {
    commands_do_what_they_say(&on_sqlite());
}

#[cfg(feature = "odbc")]
#[test]
fn commands_do_what_they_say_by_odbc() {
    commands_do_what_they_say(&by_odbc());
}
