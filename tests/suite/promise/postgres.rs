//! The promises on a real PostgreSQL: commits that come late, a process that is killed, a server that goes away.

use fastrand::Rng;

use super::*;
use crate::support::postgres::{Database, PASSWORD, Server, database};
use crate::support::receiver::Answer;

const CREATE: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text, amount numeric(12, 2), \
                      updated timestamptz NOT NULL DEFAULT now())";

pub fn customers(url: &str, said: &str) -> String {
    let url = format!("\"{url}\"");
    let usual = [
        ("kind", "\"postgres\""),
        ("url", url.as_str()),
        ("table", "\"items\""),
        ("watermark", "\"updated\""),
        ("key", "[\"id\"]"),
        ("every", "\"50ms\""),
        ("to", "[\"erp\"]"),
    ];
    section("source.items", &usual, said)
}

fn with_table() -> Database {
    let database = database();
    database.run(CREATE);
    database.run("GRANT SELECT ON items TO reader");
    database
}

#[test]
fn rows_that_commit_late_and_a_process_that_is_killed_lose_nothing() {
    let database = with_table();
    let receiver = Receiver::start();
    receiver.answers(|_, number| if number % 11 == 3 { Answer::status(503) } else { Answer::status(204) });
    let url = database.address("reader");
    let highwater = plant(&(customers(&url, "page = 20\nsettle = \"overlap:10m\"") + &erp(&receiver, "")));
    let mut rng = Rng::with_seed(23);
    let mut open = Vec::new();
    for round in 0..10_u32 {
        let target = ids(&receiver).len() + rng.usize(0..8);
        let mut running = highwater.spawn(&["run"]);
        for number in 0..20 {
            let id = round * 20 + number;
            let client = database.connect();
            // now() is the start of the transaction: some commit long after others that began later.
            client.run(&format!("BEGIN; INSERT INTO items VALUES ({id}, 'name {id}', {id}.50)"));
            if rng.u8(..4) == 0 { open.push(client) } else { client.run("COMMIT") }
        }
        running.wait_for("some arrive", |_| ids(&receiver).len() >= target);
        running.kill();
        if round % 3 == 2 {
            open.drain(..).for_each(|client| client.run("COMMIT"));
        }
    }
    open.into_iter().for_each(|client| client.run("COMMIT"));
    let running = run(&highwater);
    wait_for_delivered(&highwater, "erp", 200);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(ids(&receiver).len(), 200, "each row under one id");
    assert_eq!(told(&receiver.received()).iter().map(|told| &told.key).collect::<BTreeSet<_>>().len(), 200);
    let row = receiver.received()[0].json()["data"]["row"].clone();
    let expected = format!("{}.50", row["id"]);
    assert_eq!(row["amount"], expected, "no digit is lost");
}

#[test]
fn a_wrong_password_and_a_server_that_goes_away_are_the_sources_trouble_and_end_by_themselves() {
    let server = Server::start();
    let database = server.database();
    database.run(CREATE);
    database.run("GRANT SELECT ON items TO reader; INSERT INTO items VALUES (1, 'a', 1)");
    let receiver = Receiver::start();
    let well = database.address("reader");
    let wrong = well.replace(PASSWORD, "wrong-horse");
    let highwater = plant(&(orders("") + &customers(&wrong, "") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    let refused = highwater.run(&["once"]).code(3);
    assert!(refused.stdout.contains("1 delivered"), "{}", refused.stdout);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("wrong-horse"), "the password is never shown");
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");

    highwater.configure(&(orders("") + &customers(&well, "") + &erp(&receiver, "")));
    once(&highwater, 0);
    drop(database);
    server.stop();
    let gone = once(&highwater, 3);
    assert!(gone.contains("127.0.0.1"), "{gone}");
    let running = run(&highwater);
    wait_until("it is noticed", || source_status(&highwater, "items")["state"] == "failing");
    server.resume();
    wait_until("it is well again", || source_status(&highwater, "items")["state"] == "ok");
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(ids(&receiver).len(), 2);
}
