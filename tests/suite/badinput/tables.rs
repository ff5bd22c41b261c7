//! Databases that refuse, and tables that change under a source: it fails by name, its cursor stays, and it goes on when
//! all is well again.

use std::net::TcpListener;

use rusqlite::Connection;

use super::{LOAD, SECRET, logged, refused, said, script};
use crate::support::highwater::Highwater;
use crate::support::postgres::{PASSWORD, database};

const SINK: &str = "[sink.load]\nkind = \"script\"\ncommand = [\"./load.sh\"]\n";
const ROWS: &str = "#!/bin/sh\ncat >>rows\n";

fn postgres(url: &str) -> Highwater {
    let highwater = Highwater::with_config(&format!(
        "[source.items]\nkind = \"postgres\"\nurl = \"{url}\"\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n\
         to = [\"load\"]\n{SINK}"
    ));
    script(&highwater, "load.sh", ROWS);
    highwater
}

fn sqlite() -> (Highwater, Connection) {
    let highwater = Highwater::with_config(&format!(
        "[source.items]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n\
         track = \"keys\"\nto = [\"load\"]\n{SINK}"
    ));
    script(&highwater, "load.sh", ROWS);
    let connection = Connection::open(highwater.path("erp.sqlite")).expect("open");
    connection.execute_batch(TABLE).expect("create");
    (highwater, connection)
}

const TABLE: &str =
    "CREATE TABLE item (id INTEGER PRIMARY KEY, at INTEGER, name TEXT); INSERT INTO item VALUES (1, 1, 'a')";

/// The source fails for these reasons, wherever one asks, and no password is told.
#[track_caller]
fn fails(highwater: &Highwater, words: &[&str]) {
    let output = highwater.run(&["once"]).code(3);
    let logged = logged(&output, "source could not be polled; it is tried again");
    let logged = logged[0]["error"].as_str().expect("a text");
    said(&output.stdout, &["; items: "]);
    for text in [&output.stdout, logged, &highwater.run(&["status"]).ok()] {
        said(text, words);
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    refused(&highwater.run(&["peek", "items"]), 3, words);
}

fn told(highwater: &Highwater) -> Vec<String> {
    let rows = std::fs::read_to_string(highwater.path("rows")).unwrap_or_default();
    let subject = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["subject"].to_string();
    rows.lines().map(subject).collect()
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let highwater = postgres(&format!("postgres://reader:{SECRET}@127.0.0.1:{port}/erp"));
    fails(&highwater, &["127.0.0.1", &port.to_string(), "refused"]);
    said(&highwater.run(&["check", "--connect"]).code(3).stdout, &["source items: FAILED"]);
    said(&highwater.run(&["config", "show"]).ok(), &["***"]);
}

#[test]
fn a_refused_login_holds_the_source_and_resume_tries_again() {
    let database = database();
    database.run("CREATE TABLE item (id int PRIMARY KEY, at int); INSERT INTO item VALUES (1, 1)");
    database.run("GRANT SELECT ON item TO reader");
    let wrong = format!("postgres://reader:{SECRET}@127.0.0.1:{}/{}", database.port, database.name);
    let highwater = postgres(&wrong);
    fails(&highwater, &["password authentication failed"]);
    let status = highwater.run(&["once"]).code(3).stdout;
    said(&status, &["items: "]);
    let right = wrong.replace(SECRET, &PASSWORD.replace(' ', "%20"));
    let config = std::fs::read_to_string(highwater.path("highwater.toml")).expect("read").replace(&wrong, &right);
    highwater.configure(&config);
    highwater.run(&["resume", "items"]).ok();
    highwater.run(&["once"]).ok();
    assert_eq!(told(&highwater), ["\"1\""]);
}

#[test]
fn a_table_without_permission_dropped_or_changed_is_named_and_nothing_is_told_twice() {
    let database = database();
    database.run("CREATE TABLE item (id int PRIMARY KEY, at int); INSERT INTO item VALUES (1, 1)");
    let password = PASSWORD.replace(' ', "%20");
    let highwater = postgres(&format!("postgres://stranger:{password}@127.0.0.1:{}/{}", database.port, database.name));
    fails(&highwater, &["permission denied"]);
    database.run("GRANT SELECT ON item TO stranger");
    highwater.run(&["once"]).ok();
    database.run("ALTER TABLE item RENAME COLUMN at TO changed_at");
    fails(&highwater, &["\"at\"", "changed_at"]);
    database.run("ALTER TABLE item RENAME TO old_item");
    fails(&highwater, &["item"]);
    database.run("ALTER TABLE old_item RENAME TO item; ALTER TABLE item RENAME COLUMN changed_at TO at");
    database.run("INSERT INTO item VALUES (2, 2)");
    highwater.run(&["once"]).ok();
    assert_eq!(told(&highwater), ["\"1\"", "\"2\""]);
}

#[test]
fn an_sqlite_table_that_is_dropped_or_changed_is_named_and_nothing_is_told_twice() {
    let (highwater, connection) = sqlite();
    highwater.run(&["once"]).ok();
    let run = |sql: &str| connection.execute_batch(sql).expect(sql);
    run("ALTER TABLE item RENAME COLUMN at TO changed_at");
    fails(&highwater, &["there is no column \"at\" in ", "the columns are id, changed_at, name"]);
    run("ALTER TABLE item RENAME TO old_item");
    fails(&highwater, &["item", "erp.sqlite"]);
    run("ALTER TABLE old_item RENAME TO item; ALTER TABLE item RENAME COLUMN changed_at TO at");
    run("INSERT INTO item VALUES (2, 2, 'b')");
    highwater.run(&["once"]).ok();
    assert_eq!(told(&highwater), ["\"1\"", "\"2\""]);
}

#[test]
fn a_file_that_is_missing_or_no_database_is_named() {
    let (highwater, connection) = sqlite();
    drop(connection);
    std::fs::remove_file(highwater.path("erp.sqlite")).expect("remove");
    fails(&highwater, &["erp.sqlite"]);
    highwater.write("erp.sqlite", "this is no database, but long enough to be looked at. ".repeat(40));
    fails(&highwater, &["erp.sqlite", "not a database"]);
    assert!(std::fs::read(highwater.path("erp.sqlite")).expect("read").starts_with(b"this is no database"));
}

#[test]
fn a_cursor_that_can_not_be_is_refused_before_it_is_stored() {
    let (highwater, _connection) = sqlite();
    highwater.run(&["once"]).ok();
    let before = highwater.run(&["cursor", "items"]).ok();
    for wrong in ["", " ", "{\"at\":1}"] {
        let words = ["no cursor of items; write a value of the watermark, or the whole cursor as \"show\" prints it"];
        refused(&highwater.run(&["cursor", "items", "set", wrong]), 2, &words);
    }
    assert_eq!(highwater.run(&["cursor", "items"]).ok(), before);
    let told = highwater.run(&["cursor", "items", "set", "0"]).ok();
    said(&told, &["items goes on behind 0; it was at '", before.trim()]);
    highwater.configure(&format!("[source.items]\nkind = \"folder\"\npath = \"in\"\nto = [\"load\"]\n{SINK}"));
    refused(&highwater.run(&["cursor", "items", "set", "5"]), 2, &["items holds files", "\"reset\""]);
}

#[test]
fn a_script_for_files_can_not_take_rows_and_says_what_to_do() {
    let (highwater, _connection) = sqlite();
    script(&highwater, "load.sh", LOAD);
    let config = std::fs::read_to_string(highwater.path("highwater.toml")).expect("read");
    highwater.configure(&config.replace("[\"./load.sh\"]", "[\"./load.sh\", \"{file}\"]"));
    said(&highwater.run(&["check"]).ok(), &["warning: highwater.toml:", "takes {file}, and a row has none"]);
    highwater.run(&["once"]).code(4);
    said(
        &highwater.run(&["dead", "list"]).ok(),
        &["a row has no content; take the event from stdin instead of {file}"],
    );
}
