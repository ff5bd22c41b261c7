//! Partners lock accounts: a refused login is tried at most twice with one secret, whoever asks and however often.

use super::postgres::customers;
use super::*;
use crate::support::postgres::{PASSWORD, database};

const WRONG: &str = "hunter2";

fn with_password(url: &str, password: &str) -> String {
    url.replace(PASSWORD, password)
}

#[test]
fn a_refused_login_is_not_tried_a_third_time_until_resume_or_another_secret() {
    let database = database();
    database.run("CREATE TABLE items (id bigint PRIMARY KEY, updated timestamptz NOT NULL DEFAULT now())");
    database.run("GRANT SELECT ON items TO reader");
    let receiver = Receiver::start();
    let url = database.address("reader");
    let config = customers(&with_password(&url, WRONG), "") + &erp(&receiver, "");
    let highwater = plant(&config);
    let connect = highwater.run(&["check", "--connect"]).code(3);
    assert!(connect.stdout.contains("check user and password"), "{}", connect.stdout);
    highwater.run(&["peek", "items"]).code(3);
    for command in [&["once"][..], &["peek", "items"], &["check", "--connect"], &["once"]] {
        let said = highwater.run(command).code(3);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(
            text.contains("auth_refused") && text.contains("the login as postgres://reader@"),
            "{command:?}: {text}"
        );
        assert!(text.contains("highwater resume items") && !text.contains(WRONG), "{command:?}: {text}");
    }
    assert_eq!(source_status(&highwater, "items")["state"], "held");
    let held = source_status(&highwater, "items")["held"].as_str().expect("held").to_owned();
    assert!(held.starts_with("auth_refused: "), "{held}");
    // The other secret is right, and is let in although the first one is spent.
    highwater.configure(&(customers(&url, "") + &erp(&receiver, "")));
    once(&highwater, 0);
    assert_eq!(source_status(&highwater, "items")["held"], Value::Null);
    // The spent one stays spent, until the operator lets it be tried.
    highwater.configure(&config);
    once(&highwater, 3);
    highwater.run(&["resume", "items"]).code(0);
    let tried = highwater.run(&["once"]).code(3);
    let text = format!("{}{}", tried.stdout, tried.stderr);
    assert!(!text.contains("auth_refused"), "{text}");
}
