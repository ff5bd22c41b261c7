//! The commands an operator has for tables, by the binary: the same on every kind of database.

#[cfg(feature = "odbc")]
use super::odbc::driver;
use crate::support::highwater::Highwater;
use crate::support::{mariadb, postgres};

/// A table `item` somewhere, with rows 1 and 2, and a way to write to it.
struct Place {
    kind: &'static str,
    toml: String,
    run: Box<dyn Fn(&Highwater, &str)>,
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
    println!("$ highwater {} -> {:?}\n{}{}", command.join(" "), output.status, output.stdout, output.stderr);
    output.stdout + &output.stderr
}

fn commands_do_what_they_say(place: &Place) {
    let highwater = Highwater::with_config(&config(place, ""));
    place.write(&highwater, &[1, 2]);
    for _ in 0..2 {
        let peeked = said(&highwater, &["peek", "items"]);
        assert_eq!(peeked.matches("row.upserted").count(), 2, "{peeked}");
    }
    assert!(said(&highwater, &["cursor", "items"]).contains("items has no cursor yet"));
    let story = said(&highwater, &["explain", "items", "1"]);
    assert!(story.contains("the row is there with watermark 2020-01-01 10:00:00") && story.contains("no cursor yet"));
    highwater.run(&["once"]).ok();
    assert_eq!(told(&highwater), ["1", "2"]);
    assert!(said(&highwater, &["cursor", "items", "show"]).starts_with("{\"v\":"));
    assert!(said(&highwater, &["peek", "items"]).contains("nothing new"));
    let story = said(&highwater, &["explain", "items", "1"]);
    assert!(
        story.contains("beyond SAFE") || story.contains("SAFE") || story.contains("rows of transaction"),
        "{story}"
    );
    assert!(said(&highwater, &["explain", "items", "99"]).contains("no row of item has the key 99 now"));
    place.write(&highwater, &[3]);
    let peeked = highwater.run(&["peek", "items", "--json"]).json_lines();
    assert_eq!(peeked.iter().map(|event| &event["subject"]).collect::<Vec<_>>(), ["3"]);
    highwater.run(&["once"]).ok();
    assert_eq!(told(&highwater), ["1", "2", "3"]);
    said(&highwater, &["cursor", "items", "reset"]);
    highwater.run(&["once"]).ok();
    println!("after reset: {:?}", told(&highwater));
    said(&highwater, &["cursor", "items", "set", "2020-01-02 10:00:00"]);
    said(&highwater, &["once"]);
    println!("after set: {:?}", told(&highwater));
    said(&highwater, &["cursor", "items", "set", "nonsense"]);
    said(&highwater, &["once"]);
    said(&highwater, &["status"]);
    said(&highwater, &["cursor", "items", "set", "2020-01-03 10:00:00"]);
    said(&highwater, &["once"]);
    highwater.configure(&config(place, "max_new = 1"));
    place.write(&highwater, &[4, 5]);
    said(&highwater, &["once"]);
    said(&highwater, &["cursor", "items", "accept"]);
    said(&highwater, &["once"]);
    println!("after accept: {:?}", told(&highwater));
    place.write(&highwater, &[6, 7]);
    said(&highwater, &["once"]);
    said(&highwater, &["cursor", "items", "skip"]);
    said(&highwater, &["once"]);
    place.write(&highwater, &[8]);
    said(&highwater, &["once"]);
    println!("after skip: {:?}", told(&highwater));
    said(&highwater, &["check", "--connect"]);
    said(&highwater, &["doctor", "items"]);
    said(&highwater, &["status"]);
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
