//! The quick start over HTTP, with `highwater listen` as the receiver that fails now and then.

use std::collections::BTreeMap;
use std::net::TcpListener;

use super::sample::{FILES, ROWS, sample, seen_by_git};
use crate::support::highwater::{Highwater, Running};

const SECRET: &str = "whsec_aGlnaHdhdGVyLXF1aWNrc3RhcnQta2V5";
const RUN: [&str; 3] = ["run", "-c", "config/quickstart-http.toml"];

/// The receiver on a free port, which the sample's configuration is changed to.
fn listen(highwater: &Highwater, more: &[&str]) -> Running {
    let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let config = std::fs::read_to_string(highwater.path("config/quickstart-http.toml")).expect("read");
    assert!(config.contains("http://127.0.0.1:9000/") && config.contains(SECRET));
    highwater.write("config/quickstart-http.toml", config.replace("127.0.0.1:9000", &address));
    let arguments: Vec<&str> = ["listen", "--addr", &address, "--secret", SECRET].iter().chain(more).copied().collect();
    let mut listening = highwater.spawn_apart("listen", &arguments);
    listening.wait_for_log("listening on http://");
    listening
}

#[test]
fn every_event_is_signed_and_arrives_although_every_third_answer_fails() {
    let highwater = sample();
    let mut listening = listen(&highwater, &["--fail-every", "3"]);
    let before = seen_by_git(&highwater);
    let mut running = highwater.spawn(&RUN);
    let arrived = |printed: &str| printed.lines().filter(|line| line.contains(" 204")).count();
    listening.wait_for("everything arrived", |listening| arrived(&listening.printed()) == FILES + ROWS);
    running.wait_for("everything is told", |running| {
        running.printed().lines().filter(|line| line.contains("-> receiver  ok")).count() == FILES + ROWS
    });
    let received = listening.printed();
    let mut by_event: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in received.lines() {
        assert!(line.contains(" POST / highwater.") && line.contains("signature ok"), "{line}");
        let id = line.split(' ').find(|word| word.starts_with("evt_")).expect("an id");
        by_event.entry(id).or_default().push(line);
    }
    assert_eq!(by_event.len(), FILES + ROWS);
    let retried = by_event.values().filter(|lines| lines.len() > 1).count();
    assert!(retried > 0, "some answers were 503:\n{received}");
    for lines in by_event.values() {
        for (number, line) in lines.iter().enumerate() {
            assert!(line.contains(&format!("attempt {} ", number + 1)), "{lines:?}");
            assert_eq!(line.contains(" 204"), number + 1 == lines.len(), "{lines:?}");
        }
    }
    let printed = running.printed();
    assert!(printed.contains("-> receiver  retry in 1 s: 503 Service Unavailable"), "{printed}");
    assert!(printed.contains("-> receiver  ok (attempt 2)"), "{printed}");
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(listening.terminate(), Some(0));
    assert_eq!(seen_by_git(&highwater), before, "git status stays clean");
}

#[test]
fn killed_while_delivering_it_repeats_with_the_same_ids_and_loses_nothing() {
    let highwater = sample();
    let mut listening = listen(&highwater, &["--delay", "300ms"]);
    let running = highwater.spawn(&RUN);
    listening.wait_for("the first event arrived", |listening| listening.printed().contains(" 204"));
    running.kill();
    let mut running = highwater.spawn(&RUN);
    let ids = |printed: &str| {
        let ids = printed.lines().filter_map(|line| line.split(' ').find(|word| word.starts_with("evt_")));
        ids.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    listening.wait_for("everything arrived", |listening| ids(&listening.printed()).len() == FILES + ROWS);
    running.wait_for("everything is stored as delivered", |_| {
        let output = highwater.run(&["deliveries", "--state", "delivered", "--json", RUN[1], RUN[2]]);
        output.json_lines().len() == FILES + ROWS
    });
    let received = listening.printed();
    assert!(received.lines().count() <= FILES + ROWS + 4, "at most what was in flight came again:\n{received}");
    assert!(received.lines().all(|line| line.contains("signature ok")), "{received}");
    let events = highwater.run(&["events", "--json", RUN[1], RUN[2]]).json_lines();
    assert_eq!(events.len(), FILES + ROWS, "what came again was no new event");
    assert_eq!(running.terminate(), Some(0));
}
