//! Order, and how often something may arrive again: per key, per source, per sink, through retries, renames and kills.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::support::receiver::Answer;

const CONCURRENCY: usize = 4;

/// Answers 503 to the first attempt of every third event, and 204 to everything else.
fn flaky() -> Receiver {
    let receiver = Receiver::start();
    let seen = std::sync::Mutex::new(BTreeSet::new());
    receiver.answers(move |received, _| {
        let first = seen.lock().expect("seen").insert(received.id.clone());
        let sequence = Told::of(&received.json()).sequence;
        if first && sequence.is_multiple_of(3) { Answer::status(503) } else { Answer::status(204) }
    });
    receiver
}

/// Keys and sequences of what was accepted: the last arrival of each id, in the order of first acceptance.
fn accepted(receiver: &Receiver) -> Vec<Told> {
    let all = told(&receiver.received());
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut accepted = Vec::new();
    for told in &all {
        let time = times.entry(&told.id).or_default();
        *time += 1;
        if told.sequence % 3 != 0 || *time == 2 {
            accepted.push(told.clone());
        }
    }
    accepted
}

fn versions_of_ten_files(highwater: &Highwater) {
    once(highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "gather"]).ok();
    for version in 0..6 {
        for number in 0..10 {
            put(highwater, &format!("{number}.csv"), format!("{number} {version}"));
        }
        table(highwater).execute("INSERT INTO items VALUES (?1, 'a', ?1)", [version]).expect("insert");
        once(highwater, 4);
    }
    highwater.run(&["resume", "erp"]).ok();
    highwater.run(&["once", "--drain", "--deadline", "100s"]).code(0);
}

#[test]
fn events_of_one_key_arrive_in_sequence_through_retries() {
    let receiver = flaky();
    let highwater = plant(&(orders("") + &items("") + &erp(&receiver, "concurrency = 8")));
    versions_of_ten_files(&highwater);
    let mut by_key: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for told in accepted(&receiver) {
        by_key.entry((told.source, told.key)).or_default().push(told.sequence);
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 66);
    assert!(by_key.values().all(|sequences| sequences.is_sorted()), "{by_key:?}");
}

#[test]
fn with_order_by_source_or_sink_nothing_overtakes_a_retry() {
    for ordering in ["source", "sink"] {
        let receiver = flaky();
        let sink = erp(&receiver, &format!("concurrency = 8\nordering = \"{ordering}\""));
        let highwater = plant(&(orders("") + &items("") + &sink));
        versions_of_ten_files(&highwater);
        let accepted = accepted(&receiver);
        assert_eq!(accepted.len(), 66, "{ordering}");
        for source in ["orders", "items"] {
            let sequences: Vec<u64> =
                accepted.iter().filter(|told| told.source == source).map(|told| told.sequence).collect();
            assert!(sequences.is_sorted(), "{ordering} {source}: {sequences:?}");
        }
        if ordering == "sink" {
            let arrivals: Vec<String> = receiver.received().into_iter().map(|received| received.id).collect();
            let mut runs = arrivals.clone();
            runs.dedup();
            assert_eq!(runs.len(), 66, "each event is tried until it is accepted, before the next one: {arrivals:?}");
        }
    }
}

#[test]
fn a_renamed_file_is_told_under_its_new_name_behind_what_its_old_name_still_waits_for() {
    let receiver = Receiver::start();
    receiver.queue([Answer::status(503)]);
    let kinds = "events = [\"created\", \"changed\", \"removed\", \"renamed\"]";
    let highwater = plant(&(orders(kinds) + &erp(&receiver, "retry = [\"300ms\"]")));
    for name in ["a.csv", "stays.csv"] {
        put(&highwater, name, name);
    }
    once(&highwater, 4);
    std::fs::rename(highwater.path("drop/a.csv"), highwater.path("drop/b.csv")).expect("rename");
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    let story: Vec<String> = told(&receiver.received())
        .into_iter()
        .filter(|told| told.key != "stays.csv")
        .map(|told| format!("{} {}", told.kind, told.key))
        .collect();
    // The other file's retry may come in behind it.
    let all: Vec<_> = receiver.received().iter().map(|received| received.json()).collect();
    let last = all.iter().rfind(|event| event["type"] == "highwater.file.renamed").expect("one");
    assert_eq!(story.last().map(String::as_str), Some("renamed b.csv"), "{story:?}");
    assert!(story.iter().rev().skip(1).all(|told| told == "created a.csv"), "{story:?}");
    assert_eq!(last["data"]["from"], "a.csv");
}

#[test]
fn after_a_kill_no_more_than_twice_the_concurrency_arrives_again_under_the_same_ids() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(204).after(Duration::from_millis(3)));
    let highwater = plant(&(orders("") + &erp(&receiver, &format!("concurrency = {CONCURRENCY}"))));
    for number in 0..400 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let kills = 5;
    for kill in 1..=kills {
        let mut running = highwater.spawn(&["run"]);
        running.wait_for("some arrive", |_| ids(&receiver).len() >= kill * 60);
        running.kill();
    }
    once(&highwater, 0);
    let (arrived, distinct) = (receiver.received().len(), ids(&receiver).len());
    assert_eq!(distinct, 400);
    assert!(arrived - distinct <= kills * 2 * CONCURRENCY, "{} came again", arrived - distinct);
}

#[test]
fn reloads_in_the_middle_of_everything_lose_nothing_and_repeat_nothing() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(204).after(Duration::from_millis(10)));
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 4")));
    let running = run(&highwater);
    for round in 0..8 {
        for number in 0..20 {
            put(&highwater, &format!("{round}-{number}.csv"), number.to_string());
        }
        highwater.configure(&(orders("") + &erp(&receiver, &format!("concurrency = {}", 2 + round % 3))));
        wait_until("the last reload is over", || highwater.run(&["reload"]).status == Some(0));
    }
    wait_until("everything arrives", || ids(&receiver).len() == 160);
    wait_for_delivered(&highwater, "erp", 160);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(receiver.received().len(), 160);
}
