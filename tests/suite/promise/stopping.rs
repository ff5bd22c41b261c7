//! A clean stop: no new attempts, what is in flight is finished and stored, exit code 0.

use std::time::Duration;

use super::*;
use crate::support::receiver::Answer;

#[test]
fn term_finishes_what_is_in_flight_and_leaves_the_rest_for_the_next_start() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(204).after(Duration::from_millis(1_500)));
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 2")));
    for number in 0..6 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let running = run(&highwater);
    receiver.wait_for(2);
    assert_eq!(running.terminate(), Some(0));
    let begun = receiver.received().len();
    assert_eq!(deliveries(&highwater, &["--state", "delivered"]).len(), begun, "what had begun was finished");
    assert_eq!(deliveries(&highwater, &["--state", "pending"]).len(), 6 - begun, "nothing else was begun");

    receiver.answers(|_, _| Answer::status(204));
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 6, "none of them arrived twice");
}

#[test]
fn a_script_that_runs_gets_to_its_end() {
    let highwater = plant(&(orders("to = [\"load\"]") + &load("command = [\"./load.sh\"]")));
    highwater.write_script(
        "load.sh",
        "cat >/dev/null; echo $$ >begun; while [ ! -e goon ]; do sleep 0.05; done; echo yes >finished",
    );
    put(&highwater, "a.csv", "1");
    let mut running = run(&highwater);
    wait_until("the script runs", || highwater.path("begun").exists());
    running.ask_to_end();
    running.wait_for("it is stopping", |_| !highwater.path("highwater.sock").exists());
    assert!(!highwater.path("finished").exists());
    highwater.write("goon", "");
    assert_eq!(running.wait(), Some(0));
    assert_eq!(std::fs::read_to_string(highwater.path("finished")).expect("finished"), "yes\n");
    assert_eq!(deliveries(&highwater, &[])[0]["state"], "delivered");
}

#[test]
fn a_script_that_was_under_way_at_a_kill_is_ended_before_its_delivery_is_made_again() {
    let highwater = plant(&(orders("to = [\"load\"]") + &load("command = [\"./load.sh\"]")));
    highwater.write_script(
        "load.sh",
        "cat >/dev/null; echo $$ >>begun; [ $HIGHWATER_ATTEMPT = 1 ] && sleep 600; echo $HIGHWATER_EVENT_ID >>finished",
    );
    put(&highwater, "a.csv", "1");
    let running = run(&highwater);
    let begun = || std::fs::read_to_string(highwater.path("begun")).unwrap_or_default();
    wait_until("the script runs", || begun().lines().count() == 1);
    running.kill();
    let pid = begun().trim().to_owned();
    once(&highwater, 0);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the first one is gone: {stat}");
    assert_eq!(begun().lines().count(), 2);
    let attempts = highwater.run(&["attempts", "--json"]).code(0).json_lines();
    let outcomes: BTreeSet<&str> =
        attempts.iter().map(|attempt| attempt["outcome"].as_str().expect("a word")).collect();
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["delivered", "unknown"]);
}

#[test]
fn once_ends_at_its_deadline_with_everything_kept_that_was_committed() {
    let receiver = Receiver::start();
    receiver.answers(|_, _| Answer::status(204).after(Duration::from_millis(400)));
    let highwater = plant(&(orders("") + &erp(&receiver, "concurrency = 1")));
    for number in 0..10 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let output = highwater.run(&["once", "--deadline", "1s"]).code(4);
    assert!(output.stdout.contains("10 events"), "{}", output.stdout);
    let begun = receiver.received().len();
    assert!(begun < 10);
    assert_eq!(deliveries(&highwater, &["--state", "delivered"]).len(), begun);
    receiver.answers(|_, _| Answer::status(204));
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 10);
}

#[test]
fn an_idle_process_logs_nothing_and_a_stopped_one_leaves_nothing_open() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("every = \"20ms\"") + &items("every = \"20ms\"") + &erp(&receiver, "")));
    let running = run(&highwater);
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);
    let last_poll = || source_status(&highwater, "orders")["last_poll"].clone();
    let (log, polled) = (running.log(), last_poll());
    let _ = polled;
    for _ in 0..5 {
        highwater.run(&["status"]).ok();
    }
    assert_eq!(running.log(), log);
    assert_eq!(running.terminate(), Some(0));
    assert!(once(&highwater, 0).contains(" 0 events"));
}

#[test]
fn a_stop_in_the_middle_of_a_poll_is_no_failure_of_the_source() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    // It takes a while to be read, and no room.
    let large = std::fs::File::create(highwater.path("drop/large.bin")).expect("create");
    large.set_len(8 << 30).expect("sparse");
    let mut running = run(&highwater);
    running.wait_for("it is being read", |running| {
        let files = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).into_iter().flatten();
        files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).any(|file| file.ends_with("large.bin"))
    });
    assert_eq!(running.terminate(), Some(0));
    let source = source_status(&highwater, "orders");
    assert_eq!((&source["last_error"], &source["state"]), (&Value::Null, &"new".into()), "{source}");
    highwater.run(&["status", "--check"]).ok();
}
