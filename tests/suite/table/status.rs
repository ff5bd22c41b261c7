//! What an operator is told of a table: how far it has settled, who keeps it from settling, and how; by the binary.

use serde_json::Value;

use crate::support::highwater::Highwater;
use crate::support::{mariadb, postgres};

/// A folder with one table source of this kind, and a sink that swallows.
fn watching(kind: &str, place: &str, more: &str) -> Highwater {
    Highwater::with_config(&format!(
        "[source.items]\nkind = \"{kind}\"\n{place}\ntable = \"item\"\nwatermark = \"at\"\nkey = [\"id\"]\n{more}\nto = [\"out\"]\n\n\
         [sink.out]\nkind = \"script\"\ncommand = [\"true\"]\n"
    ))
}

fn settled(highwater: &Highwater) -> Value {
    let status = highwater.run(&["status", "--json"]).json_lines().remove(0);
    status["sources"][0]["settled"].clone()
}

fn held_by(settled: &Value) -> String {
    let lines = settled["held_by"].as_array().expect("a list");
    lines.iter().map(|line| line.as_str().expect("a text")).collect::<Vec<_>>().join("\n")
}

/// A PostgreSQL table with one row, and the folder that watches it.
fn postgres_items(server: &postgres::Server, more: &str) -> (postgres::Database, Highwater) {
    let place = server.database();
    place.run("GRANT pg_read_all_data TO reader");
    place.run("CREATE TABLE item (id int PRIMARY KEY, at timestamptz DEFAULT now(), name text); CREATE INDEX ON item (at, id)");
    place.run("INSERT INTO item VALUES (1, '2020-01-01', 'a')");
    let highwater = watching("postgres", &format!("url = \"{}\"", place.address("reader")), more);
    (place, highwater)
}

#[test]
fn an_idle_writer_is_named_by_status_and_explain_in_both_ways_postgres_settles() {
    // Transactions of all databases of a server count.
    let server = postgres::Server::start();
    for (more, mode) in [("", "row-version"), ("settle = \"fence\"", "fence")] {
        let (place, highwater) = postgres_items(&server, more);
        place.run("GRANT pg_read_all_stats TO reader");
        highwater.run(&["once"]).ok();
        let writer = server.connect(&place.name);
        writer.run("SET application_name = 'month end'; BEGIN; INSERT INTO item VALUES (2, '2020-01-02', 'b')");
        let pid = writer.text("SELECT pg_backend_pid()::text");
        place.run("INSERT INTO item VALUES (3, '2020-01-03', 'c')");
        highwater.run(&["once"]).ok();
        // A fence has to see the writer once more: it waits for those that were there when row 3 was seen.
        highwater.run(&["once"]).ok();
        let settled = settled(&highwater);
        assert_eq!(settled["mode"], mode, "{settled}");
        assert!(settled["safe"].is_string() && settled["lag_ms"].is_u64(), "{settled}");
        let line = format!("pid {pid}, user postgres, application month end");
        assert!(held_by(&settled).contains(&line), "{settled}");
        for command in [vec!["status"], vec!["explain", "items", "3"]] {
            let said = highwater.run(&command).ok();
            assert!(said.contains(&format!("settling waits for {line}")), "{said}");
        }
        writer.run("COMMIT");
        highwater.run(&["once"]).ok();
        highwater.run(&["once"]).ok();
        assert_eq!(held_by(&self::settled(&highwater)), "", "{mode}");
    }
}

#[test]
fn a_prepared_transaction_is_named_in_row_version_mode() {
    let server = postgres::Server::start();
    let (place, highwater) = postgres_items(&server, "");
    highwater.run(&["once"]).ok();
    let writer = server.connect(&place.name);
    writer.run("BEGIN; INSERT INTO item VALUES (2, '2020-01-02', 'b'); PREPARE TRANSACTION 'transfer 7'");
    highwater.run(&["once"]).ok();
    let held = held_by(&settled(&highwater));
    assert!(held.contains("prepared transaction transfer 7"), "{held}");
    writer.run("ROLLBACK PREPARED 'transfer 7'");
}

#[test]
fn an_idle_writer_of_mariadb_is_named_as_far_as_the_user_may_know() {
    for (user, words) in [("watcher", "connection "), ("reader", "GRANT PROCESS")] {
        let (place, _alone) = mariadb::quiet_database();
        place.run("CREATE TABLE item (id int PRIMARY KEY, at datetime(6) NOT NULL, name text, KEY (at, id))");
        place.run("INSERT INTO item VALUES (1, '2020-01-01', 'a')");
        let more = "watermark_timezone = \"UTC\"";
        let highwater = watching("mysql", &format!("url = \"{}\"", place.address(user)), more);
        highwater.run(&["once"]).ok();
        let writer = place.connect();
        writer.run("BEGIN; INSERT INTO item VALUES (2, '2020-01-02', 'b')");
        let id = writer.text("SELECT CAST(CONNECTION_ID() AS CHAR)");
        place.run("INSERT INTO item VALUES (3, '2020-01-03', 'c')");
        highwater.run(&["once"]).ok();
        let settled = settled(&highwater);
        assert_eq!(settled["mode"], "dirty-read", "{settled}");
        assert!(settled["lag_ms"].as_u64().is_some_and(|lag| lag > 1_000_000), "{settled}");
        let held = held_by(&settled);
        assert!(held.contains(words), "{settled}");
        assert!(user == "reader" || held.contains(&format!("connection {id}, ")), "{settled}");
        writer.run("COMMIT");
        highwater.run(&["once"]).ok();
        assert_eq!(held_by(&self::settled(&highwater)), "", "{user}");
    }
}

#[test]
fn check_says_which_way_rows_settle_and_what_stands_against_it() {
    let (place, highwater) = postgres_items(postgres::server(), "");
    let said = highwater.run(&["check", "--connect"]).ok();
    for line in [
        "source items: connected: PostgreSQL 1",
        "source items: round trip: the newest watermark, as text, finds its row again",
        "source items: settle: row-version: safe, whatever the watermark is",
        "source items: fence: safe for watermarks that are drawn inside the writing transaction",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("warning"), "{said}");
    place.run(
        "DROP TABLE item; CREATE TABLE item (id int, at timestamp, name text); INSERT INTO item VALUES (1, NULL, 'a')",
    );
    place.run("INSERT INTO item VALUES (2, '2020-01-01', 'a'); CREATE SEQUENCE s CACHE 20 OWNED BY item.at");
    place.run(&format!("ALTER DATABASE {} SET TimeZone = 'Europe/Berlin'", place.name));
    let toml = std::fs::read_to_string(highwater.path("highwater.toml")).expect("there");
    highwater.configure(&toml.replace("to = [\"out\"]", "settle = \"overlap:60s\"\nto = [\"out\"]"));
    let said = highwater.run(&["check", "--connect"]).ok();
    for line in [
        "warning: nulls: 1 row has no watermark",
        "warning: index: no index serves the order (at, id): every poll reads all rows; CREATE INDEX \"item_by_watermark\" ON \"item\" (\"at\", \"id\")",
        "warning: sequence: at is drawn from sequence",
        "warning: time zone: at has no time zone, the server's is Europe/Berlin",
        "key: id: not kept unique by an index",
        "fence: settle = \"fence\" can't be used with table item",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}
