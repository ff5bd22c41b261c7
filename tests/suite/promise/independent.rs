//! A source never waits for a sink, a sink never for another sink, and one bad item never for the rest.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::support::receiver::Answer;

/// The URL of a port that refuses connections.
fn refused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/", listener.local_addr().expect("bound"))
}

fn gone() -> String {
    format!("[sink.gone]\nkind = \"http\"\nurl = \"{}\"\nretry = [\"50ms\"]\n", refused_url())
}

#[test]
fn a_sink_that_refuses_connections_holds_up_neither_the_source_nor_the_other_sink() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("to = [\"gone\", \"erp\"]") + &erp(&receiver, "") + &gone()));
    let running = run(&highwater);
    for number in 0..60 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
        if number % 20 == 19 {
            wait_for_delivered(&highwater, "erp", number + 1);
        }
    }
    let gone = sink_status(&highwater, "gone");
    assert_eq!(gone["pending"].as_u64().expect("a number") + gone["retrying"].as_u64().expect("a number"), 60);
    assert_eq!((&gone["delivered"], &gone["dead"]), (&0.into(), &0.into()));
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
    wait_until("the breaker is open", || {
        let held = sink_status(&highwater, "gone")["held"].as_str().unwrap_or_default().to_owned();
        held.contains("open") && held.contains("highwater resume gone")
    });
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_slow_sink_holds_up_no_other() {
    let (quick, slow) = (Receiver::start(), Receiver::start());
    slow.answers(|_, _| Answer::status(204).after(Duration::from_millis(1_500)));
    let second = format!("[sink.slow]\nkind = \"http\"\nurl = \"{}\"\nconcurrency = 1\n", slow.url("/"));
    let highwater = plant(&(orders("to = [\"slow\", \"erp\"]") + &erp(&quick, "") + &second));
    for number in 0..100 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let running = run(&highwater);
    wait_for_delivered(&highwater, "erp", 100);
    assert!(slow.received().len() < 90, "the slow one is far behind");
    running.kill();
}

#[test]
fn a_missing_folder_and_a_missing_table_are_their_own_sources_trouble_alone() {
    let receiver = Receiver::start();
    let lost = "[source.lost]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"nowhere\"\nwatermark = \"w\"\nkey = [\"id\"]\nevery = \"100ms\"\nto = [\"erp\"]\n";
    let highwater = plant(&(orders("") + &items("") + lost + &erp(&receiver, "")));
    std::fs::remove_dir(highwater.path("drop")).expect("remove");
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    let summary = once(&highwater, 3);
    assert!(summary.contains("1 delivered") && summary.contains("drop") && summary.contains("nowhere"), "{summary}");
    for name in ["orders", "lost"] {
        let status = source_status(&highwater, name);
        assert_eq!(status["state"], "failing", "{status}");
        assert!(status["last_error"].is_string(), "{status}");
    }
    assert_eq!(source_status(&highwater, "items")["state"], "ok");

    // The folder comes back while it runs: nobody has to do anything.
    let running = run(&highwater);
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 2);
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_folder_that_vanishes_removes_nothing_and_is_well_again_when_it_is_back() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("events = [\"created\", \"changed\", \"removed\"]") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    put(&highwater, "b.csv", "2");
    once(&highwater, 0);
    std::fs::rename(highwater.path("drop"), highwater.path("unmounted")).expect("rename");
    let summary = once(&highwater, 3);
    assert!(summary.contains("drop"), "{summary}");
    std::fs::rename(highwater.path("unmounted"), highwater.path("drop")).expect("rename");
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn an_entry_that_is_refused_stops_none_of_the_others() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("max_size = \"1KiB\"") + &erp(&receiver, "")));
    put(&highwater, "5-large.csv", vec![b'x'; 1_025]);
    for number in 0..20 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let summary = once(&highwater, 0);
    assert!(summary.contains("20 events, 20 delivered") && summary.contains("1 refused"), "{summary}");
    assert_eq!(source_status(&highwater, "orders")["refused"], 1);
}

#[test]
fn a_row_without_a_watermark_is_counted_and_stops_none_of_the_others() {
    let receiver = Receiver::start();
    let highwater = plant(&(items("") + &erp(&receiver, "")));
    table(&highwater)
        .execute_batch("INSERT INTO items VALUES (1, 'a', 1), (2, 'no mark', NULL), (3, 'c', 3)")
        .expect("insert");
    let summary = once(&highwater, 0);
    assert!(summary.contains("2 delivered") && summary.contains("no watermark"), "{summary}");
    assert_eq!(source_status(&highwater, "items")["state"], "degraded");
}

#[test]
fn a_delivery_that_fails_again_and_again_blocks_its_own_key_alone() {
    let receiver = Receiver::start();
    receiver.answers(|received, _| match received.json()["subject"].as_str() {
        Some("bad.csv") => Answer::status(500),
        _ => Answer::status(204),
    });
    let highwater = plant(&(orders("") + &erp(&receiver, "retry = [\"1h\"]")));
    put(&highwater, "bad.csv", "1");
    let running = run(&highwater);
    receiver.wait_for(1);
    put(&highwater, "bad.csv", "2");
    wait_until("the second version is told", || events(&highwater, &["--key", "bad.csv"]).len() == 2);
    put(&highwater, "good.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);
    let keys: Vec<String> = told(&receiver.received()).into_iter().map(|told| told.key).collect();
    assert_eq!(keys, ["bad.csv", "good.csv"], "the second version waits behind the first");
    assert_eq!(running.terminate(), Some(0));
}
