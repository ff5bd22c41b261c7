//! Bad input and bad company: each problem is one clear line with what, where and what to do, the exit codes are those of
//! the contract, and nothing is lost.

use super::*;
use crate::support::receiver::Answer;

/// The one line that a command ends with.
#[track_caller]
fn last_line(output: &Output) -> &str {
    output.stderr.lines().last().unwrap_or_default()
}

#[test]
fn a_missing_secret_is_named_with_key_and_variable_before_anything_starts() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "bearer = \"env:ERP_TOKEN\"")));
    put(&highwater, "a.csv", "1");
    for command in ["check", "once", "run"] {
        let output = highwater.run(&[command]).code(2);
        assert!(output.stderr.contains("sink.erp.bearer") && output.stderr.contains("ERP_TOKEN"), "{}", output.stderr);
    }
    assert!(!highwater.path("highwater.db").exists());
    assert!(receiver.received().is_empty());
}

#[test]
fn the_page_of_a_proxy_in_place_of_an_answer_is_a_failed_attempt_that_says_so() {
    let receiver = Receiver::start();
    let page = "<html><head><title>Login required</title></head><body>Welcome</body></html>";
    receiver.queue([Answer::html(502, page), Answer::redirect("http://login.example.com/"), Answer::html(407, page)]);
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    let attempts = highwater.run(&["attempts", "--json", "--output"]).code(0).json_lines();
    let codes: Vec<i64> = attempts.iter().rev().map(|attempt| attempt["code"].as_i64().expect("a status")).collect();
    assert_eq!(codes, [502, 302, 407, 204]);
    assert_eq!(attempts[3]["output"], page);
    assert!(
        attempts[2]["summary"].as_str().is_some_and(|summary| summary.contains("login.example.com")),
        "{attempts:?}"
    );
    assert_eq!(ids(&receiver).len(), 1, "a redirect is not followed");
}

#[test]
fn a_dropped_table_and_a_renamed_column_degrade_the_source_and_it_goes_on_when_they_are_back() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("") + &erp(&receiver, "")));
    let sql = |text: &str| table(&highwater).execute_batch(text).expect("a statement");
    sql("INSERT INTO items VALUES (1, 'a', 1)");
    once(&highwater, 0);
    sql("ALTER TABLE items RENAME COLUMN updated TO changed");
    let summary = once(&highwater, 3);
    assert!(summary.contains("updated"), "{summary}");
    sql("ALTER TABLE items RENAME COLUMN changed TO updated");
    sql("ALTER TABLE items RENAME TO items_old");
    let summary = once(&highwater, 3);
    assert!(summary.contains("items"), "{summary}");
    sql("ALTER TABLE items_old RENAME TO items");
    sql("INSERT INTO items VALUES (2, 'b', 2)");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["upserted 1", "upserted 2"]);
}

#[test]
fn a_script_that_is_missing_or_not_executable_is_the_sinks_fault_and_loses_nothing() {
    let highwater = plant(&(orders("to = [\"load\"]") + &load("")));
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    let last = deliveries(&highwater, &[])[0]["last"].as_str().expect("a reason").to_owned();
    assert!(last.contains("load.sh"), "{last}");
    highwater.write("load.sh", "#!/bin/sh\ncat \"$1\" >loaded\n");
    highwater.run(&["once", "--drain", "--deadline", "1s"]).code(4);
    let last = deliveries(&highwater, &[])[0]["last"].as_str().expect("a reason").to_owned();
    assert!(last.contains("chmod +x"), "{last}");
    let probed = highwater.run(&["check", "--connect"]).code(4);
    assert!(probed.stdout.contains("chmod +x"), "{}", probed.stdout);
    highwater.write_script("load.sh", "cat \"$1\" >loaded");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    assert_eq!(std::fs::read_to_string(highwater.path("loaded")).expect("loaded"), "1");
}

#[test]
fn a_receiver_that_asks_for_time_gets_it_and_loses_no_attempt() {
    let receiver = Receiver::start();
    receiver.queue([Answer::status(429).header("Retry-After", "1")]);
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 1")));
    put(&highwater, "a.csv", "1");
    put(&highwater, "b.csv", "2");
    once(&highwater, 4);
    let held = sink_status(&highwater, "erp")["held"].as_str().expect("a reason").to_owned();
    assert!(held.contains("asked to wait") && held.contains("highwater resume erp"), "{held}");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!((received[1].at - received[0].at).as_millis() >= 1_000);
}

#[test]
fn an_open_breaker_survives_a_restart_spends_no_attempts_and_closes_by_resume() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(503));
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 1\nretry = [\"10ms\"]")));
    for number in 0..5 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    once(&highwater, 4);
    assert_eq!(receiver.received().len(), 5);
    assert_eq!(sink_status(&highwater, "erp")["state"], "open");
    once(&highwater, 4);
    assert_eq!(receiver.received().len(), 5, "nothing is sent while it is open");
    receiver.answers(|_, _| Answer::status(204));
    highwater.run(&["resume", "erp"]).ok();
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    assert_eq!(ids(&receiver).len(), 5);
    assert_eq!(sink_status(&highwater, "erp")["state"], "ok");
}

#[test]
fn a_damaged_store_is_refused_with_a_clear_line_and_left_as_it_is() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let garbage = "this is not a database, whatever its name says. ".repeat(100);
    highwater.write("highwater.db", &garbage);
    for command in ["once", "status"] {
        let output = highwater.run(&[command]).code(1);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(last_line(&output).contains("highwater.db"), "{}", output.stderr);
    }
    assert_eq!(std::fs::read_to_string(highwater.path("highwater.db")).expect("still there"), garbage);
}

#[test]
fn a_store_of_another_program_and_one_of_a_newer_version_are_refused() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let other = "[state]\npath = \"erp.sqlite\"\n".to_owned() + &orders("") + &erp(&receiver, "");
    highwater.configure(&other);
    let output = highwater.run(&["once"]).code(1);
    assert!(last_line(&output).contains("erp.sqlite"), "{}", output.stderr);
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'still mine', 1)").expect("untouched");

    highwater.configure(&(orders("") + &erp(&receiver, "")));
    once(&highwater, 0);
    let store = Connection::open(highwater.path("highwater.db")).expect("open");
    store.pragma_update(None, "user_version", 1_000).expect("a version");
    drop(store);
    for command in ["once", "status"] {
        let output = highwater.run(&[command]).code(1);
        assert!(last_line(&output).contains("newer"), "{}", output.stderr);
    }
}

#[test]
fn odd_names_arrive_exactly_and_can_be_asked_for() {
    use std::os::unix::ffi::OsStrExt;
    let receiver = Receiver::start();
    let highwater = plant(&(orders("to = [\"erp\", \"load\"]") + &erp(&receiver, "") + &load("")));
    highwater.write_script(
        "load.sh",
        "cat >/dev/null; cmp -s \"$1\" \"drop/$HIGHWATER_KEY\" || exit 65; basename \"$1\" >>seen",
    );
    let names: [&[u8]; 6] = [
        b"two words.csv",
        b"line\nfeed.csv",
        "Pr\u{fc}fbericht \u{20ac}.csv".as_bytes(),
        b"latin-\xe9.csv",
        b"-rf",
        b"quote's \"and\" $HOME;`x`.csv",
    ];
    for name in names {
        std::fs::write(highwater.path("drop").join(std::ffi::OsStr::from_bytes(name)), name).expect("write");
    }
    std::fs::write(highwater.path("drop").join("n".repeat(255)), "long").expect("write");
    let summary = once(&highwater, 0);
    assert!(summary.contains("7 events, 14 delivered"), "{summary}");
    let data = |name: &[u8]| {
        let digest = sha256(name);
        let found =
            receiver.received().into_iter().find(|received| received.json()["data"]["sha256"] == digest.as_str());
        found.expect("told").json()["data"].clone()
    };
    assert_eq!(data(b"line\nfeed.csv")["path_b64"], data_encoding::BASE64.encode(b"line\nfeed.csv"));
    assert_eq!(data(b"latin-\xe9.csv")["path_b64"], data_encoding::BASE64.encode(b"latin-\xe9.csv"));
    assert!(data(b"two words.csv")["path_b64"].is_null());
    for name in names {
        let mut explain = highwater.command(&["explain", "orders", "--"]);
        let said = explain.arg(std::ffi::OsStr::from_bytes(name)).output().expect("starts");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("to load: delivered"), "{said}");
    }
}
