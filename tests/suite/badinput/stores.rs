//! Stores and spools that are none, newer, closed or someone else's: told in one line, and left as they are.

use rusqlite::Connection;

use super::{chmod, refused, run_as_mortal, said, to_script};
use crate::support::highwater::Highwater;

/// Commands that write, and commands that read.
const ALL: [&[&str]; 6] =
    [&["once"], &["run"], &["pause", "load", "--reason", "x"], &["status"], &["events"], &["tail"]];

/// Every command is refused with these words, and the store stays as it is.
#[track_caller]
fn refused_by_all(highwater: &Highwater, words: &[&str]) {
    let read = || std::fs::read(highwater.path("highwater.db")).ok();
    let before = read();
    for command in ALL {
        refused(&highwater.run(command), 1, words);
    }
    assert!(before == read(), "the file was changed");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let highwater = to_script();
    highwater.write("highwater.db", "this is not a database, but long enough to be looked at. ".repeat(30));
    let remedy = "it is no store, or damaged: restore it from a backup, or choose another state.path";
    refused_by_all(&highwater, &["highwater.db", remedy]);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let highwater = to_script();
    let connection = Connection::open(highwater.path("highwater.db")).expect("open");
    connection.execute_batch("CREATE TABLE customers (id INTEGER PRIMARY KEY)").expect("create");
    drop(connection);
    refused_by_all(&highwater, &["highwater.db", "not a Highwater store; choose another state.path"]);
    assert!(!highwater.path("highwater.db-wal").exists());
}

#[test]
fn a_newer_store_is_refused_by_an_older_program() {
    let highwater = to_script();
    highwater.run(&["once"]).ok();
    let connection = Connection::open(highwater.path("highwater.db")).expect("open");
    connection.execute_batch("PRAGMA user_version = 4711; PRAGMA wal_checkpoint(TRUNCATE)").expect("mark");
    drop(connection);
    refused_by_all(&highwater, &["highwater.db", "has version 4711, this program knows ", "use the newer highwater"]);
}

#[test]
fn a_store_that_is_a_folder_is_named() {
    let highwater = to_script();
    std::fs::create_dir(highwater.path("highwater.db")).expect("make");
    refused_by_all(&highwater, &["highwater.db is not a file; name a file in state.path"]);
}

#[test]
fn a_damaged_store_is_never_taken_for_an_empty_one() {
    let highwater = to_script();
    for number in 0..200 {
        highwater.write(&format!("in/{number}.csv"), "x".repeat(2_000));
    }
    highwater.run(&["once"]).ok();
    let path = highwater.path("highwater.db");
    let mut bytes = std::fs::read(&path).expect("read");
    let (from, to) = (100, bytes.len());
    bytes[from..to].fill(0x55);
    std::fs::write(&path, &bytes).expect("write");
    for command in [&["once"][..], &["status"], &["events"]] {
        let output = highwater.run(command).code(1);
        said(&output.stderr, &["highwater.db"]);
    }
    assert_eq!(std::fs::read(&path).expect("read").len(), bytes.len());
}

#[test]
fn a_store_of_somebody_else_is_not_taken_for_none() {
    let highwater = to_script();
    highwater.run(&["once"]).ok();
    chmod(&highwater.path("highwater.db"), 0o000);
    for command in [&["status"][..], &["events"], &["once"]] {
        let words = ["highwater.db; run as the user that owns it", "Permission denied"];
        refused(&run_as_mortal(&highwater, command), 1, &words);
    }
    chmod(&highwater.path("highwater.db"), 0o600);
    run_as_mortal(&highwater, &["status"]).ok();
}

#[test]
fn a_spool_that_is_a_file_is_named() {
    let highwater = to_script();
    highwater.write("spool", "not a folder");
    for command in [&["once"][..], &["run"]] {
        refused(&highwater.run(command), 1, &["list spool", "name a folder of our own in state.spool"]);
    }
    std::fs::remove_file(highwater.path("spool")).expect("remove");
    highwater.write("in/large.bin", vec![7; 300_000]);
    highwater.run(&["once"]).ok();
    assert_eq!(std::fs::metadata(highwater.path("out/large.bin")).expect("delivered").len(), 300_000);
}

#[test]
fn before_the_first_run_commands_say_that_there_is_no_store_yet() {
    let highwater = to_script();
    let none = ["there is no store at ", "highwater.db yet; `highwater run` or `once` makes it"];
    for command in [&["events"][..], &["deliveries"], &["attempts"], &["tail"]] {
        refused(&highwater.run(command), 1, &none);
    }
    said(&highwater.run(&["status"]).ok(), &["not running", "orders", "new"]);
    said(&highwater.run(&["explain", "orders", "a.csv"]).ok(), &["there is no store yet"]);
}
