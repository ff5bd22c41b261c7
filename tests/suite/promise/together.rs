//! Several processes on one installation: one writes, everybody may read, and commands reach the one that runs.

use super::*;
use crate::support::receiver::Answer;

fn quiet_plant(receiver: &Receiver) -> Highwater {
    plant(&(orders("every = \"1h\"\nwatch = false") + &erp(receiver, "retry = [\"1h\"]")))
}

#[test]
fn a_second_process_is_refused_naming_the_first_and_once_can_wait_for_it() {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    let running = run(&highwater);
    let pid = format!("pid={}", running.pid());
    for second in ["run", "once"] {
        let refused = highwater.run(&[second]).code(5);
        assert!(refused.stderr.contains(&pid) && refused.stderr.contains("command=run"), "{}", refused.stderr);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    }
    let late = highwater.run(&["once", "--wait", "300ms"]).code(5);
    assert!(late.stderr.contains(&pid), "{}", late.stderr);

    put(&highwater, "a.csv", "1");
    let mut waiting = highwater.spawn(&["once", "--wait", "60s"]);
    assert!(waiting.is_running());
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(waiting.wait(), Some(0), "{}", waiting.log());
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn two_runs_of_cron_at_the_same_moment_tell_everything_once() {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    for number in 0..200 {
        put(&highwater, &format!("{number}.csv"), number.to_string());
    }
    let mut both: Vec<Running> = (0..3).map(|_| highwater.spawn(&["once", "--wait", "60s"])).collect();
    for one in &mut both {
        assert_eq!(one.wait(), Some(0), "{}", one.log());
    }
    assert_eq!(receiver.received().len(), 200);
    assert_eq!(ids(&receiver).len(), 200);
}

#[test]
fn everything_that_reads_works_while_run_runs() {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    put(&highwater, "a.csv", "1");
    let running = run(&highwater);
    wait_for_delivered(&highwater, "erp", 1);
    let id = events(&highwater, &[])[0].id.clone();
    let reading: [&[&str]; 12] = [
        &["check"],
        &["check", "--plan"],
        &["check", "--connect"],
        &["config", "show"],
        &["peek", "orders"],
        &["status"],
        &["events"],
        &["events", "show", &id],
        &["deliveries"],
        &["attempts"],
        &["explain", "orders", "a.csv"],
        &["cursor", "orders"],
    ];
    for command in reading {
        highwater.run(command).ok();
    }
    assert_eq!(running.terminate(), Some(0));
}

/// Each command that changes something, through the socket of a running process or under the lock where none runs.
fn steer(is_running: bool) {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    once(&highwater, 0);
    let running = is_running.then(|| run(&highwater));
    // Where nobody runs, a poll or an attempt takes a process of its own.
    let attempt = || {
        if !is_running {
            highwater.run(&["once"]);
        }
    };
    highwater.run(&["pause", "erp", "--reason", "upgrade"]).ok();
    put(&highwater, "a.csv", "1");
    highwater.run(&["poll", "orders"]).ok();
    wait_until("it is told", || events(&highwater, &[]).len() == 1);
    attempt();
    assert_eq!(receiver.received().len(), 0, "the sink is paused");
    assert_eq!(sink_status(&highwater, "erp")["state"], "paused");
    receiver.answers(|_, _| Answer::status(503));
    highwater.run(&["resume", "erp"]).ok();
    attempt();
    wait_until("it waits for a retry", || sink_status(&highwater, "erp")["retrying"] == 1);
    let id = events(&highwater, &[])[0].id.clone();
    highwater.run(&["cancel", &id]).ok();
    assert_eq!(deliveries(&highwater, &[])[0]["state"], "cancelled");
    assert!(highwater.run(&["cancel", &id]).code(2).stderr.contains("no unfinished delivery"));

    highwater.run(&["pause", "orders", "--reason", "wrong files"]).ok();
    put(&highwater, "b.csv", "2");
    highwater.run(&["poll", "orders"]);
    assert_eq!(source_status(&highwater, "orders")["state"], "paused");
    highwater.run(&["resume", "orders"]).ok();
    highwater.run(&["poll", "orders"]).ok();
    wait_until("it is told", || events(&highwater, &[]).len() == 2);
    highwater.run(&["cursor", "orders", "reset"]).ok();
    highwater.run(&["dead", "ack", "--all"]).ok();
    if let Some(running) = running {
        assert_eq!(running.terminate(), Some(0));
    }
    assert_eq!(events(&highwater, &[]).len(), 2);
}

#[test]
fn commands_reach_the_running_process_through_its_socket() {
    steer(true);
}

#[test]
fn commands_take_the_lock_themselves_where_nothing_runs() {
    steer(false);
}

#[test]
fn the_control_socket_is_for_its_owner_alone_and_goes_with_the_process() {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    let running = run(&highwater);
    let socket = highwater.path("highwater.sock");
    let mode = std::fs::symlink_metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::metadata(highwater.path("highwater.db")).expect("a store").permissions().mode() & 0o077, 0);
    assert_eq!(running.terminate(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_poll_asked_for_finds_what_the_schedule_would_find_later() {
    let receiver = Receiver::start();
    let highwater = quiet_plant(&receiver);
    let running = run(&highwater);
    wait_until("the first poll is over", || source_status(&highwater, "orders")["last_poll"].is_string());
    put(&highwater, "a.csv", "1");
    highwater.run(&["poll", "orders"]).ok();
    wait_for_delivered(&highwater, "erp", 1);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_watched_folder_is_looked_at_at_once() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("every = \"1h\"") + &erp(&receiver, "")));
    let running = run(&highwater);
    wait_until("the first poll is over", || source_status(&highwater, "orders")["last_poll"].is_string());
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);
    put(&highwater, "in/deep/b.csv", "2");
    wait_for_delivered(&highwater, "erp", 2);
    put(&highwater, "in/deep/c.csv", "3");
    wait_for_delivered(&highwater, "erp", 3);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn two_stores_never_share_a_spool_and_so_never_clean_up_each_others_content() {
    let receiver = Receiver::start();
    let state = |name: &str| format!("[state]\npath = \"{name}.db\"\n");
    let rest = orders("") + &erp(&receiver, "content = \"raw\"");
    let highwater = plant(&(state("first") + &rest));
    highwater.write("other.toml", state("second") + &rest);
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "down"]).ok();
    put(&highwater, "large.bin", vec![1; 200_000]);
    once(&highwater, 4);
    let refused = highwater.run(&["once", "-c", "other.toml"]).code(2);
    assert!(refused.stderr.contains("first.db") && refused.stderr.contains("state.spool"), "{}", refused.stderr);
    highwater.run(&["resume", "erp"]).ok();
    assert!(once(&highwater, 0).contains("1 delivered"));
    assert_eq!(receiver.received()[0].body.len(), 200_000);
}
