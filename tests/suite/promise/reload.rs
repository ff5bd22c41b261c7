//! A reload takes up a new configuration, or leaves the old one at work: never half of both, and never nothing.

use super::*;

/// A reload that is refused, with the exit code of a configuration error; returns what it said.
#[track_caller]
fn refused(highwater: &Highwater) -> String {
    highwater.run(&["reload"]).code(2).stderr
}

/// How often a thread of this name runs in the process.
fn threads(running: &Running, name: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", running.pid())).expect("its threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|thread| thread.trim() == name).count()
}

fn errors(running: &Running) -> Vec<String> {
    running.log().lines().filter(|line| line.contains("\"level\":\"ERROR\"")).map(str::to_owned).collect()
}

#[test]
fn what_the_store_refuses_leaves_the_old_configuration_at_work() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let mut running = run(&highwater);
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);

    let as_a_table = items("").replace("source.items", "source.orders");
    highwater.configure(&(as_a_table + &items("") + &erp(&receiver, "")));
    let said = refused(&highwater);
    assert!(said.contains("source orders was of kind \"folder\" and is now \"sqlite\""), "{said}");
    put(&highwater, "b.csv", "2");
    wait_for_delivered(&highwater, "erp", 2);
    assert!(running.is_running());
    assert_eq!((threads(&running, "source-orders"), threads(&running, "source-items")), (1, 0));
    assert_eq!((threads(&running, "sink-erp"), threads(&running, "keeper")), (1, 1));
    assert_eq!(errors(&running).len(), 1, "{:?}", errors(&running));

    highwater.configure(&(orders("") + &items("") + &erp(&receiver, "")));
    highwater.run(&["reload"]).ok();
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    wait_for_delivered(&highwater, "erp", 3);
    assert_eq!((threads(&running, "source-orders"), threads(&running, "source-items")), (1, 1));
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_sink_that_can_not_be_opened_leaves_the_old_configuration_at_work() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let mut running = run(&highwater);
    highwater.write("ca.pem", "no certificate\n");
    let new = "[sink.new]\nkind = \"http\"\nurl = \"https://127.0.0.1:1/\"\ntls = { ca = \"ca.pem\" }\n";
    highwater.configure(&(orders("to = [\"erp\", \"new\"]") + &erp(&receiver, "") + new));
    let said = refused(&highwater);
    assert!(said.contains("ca.pem") && said.contains("the old one stays in force"), "{said}");
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);
    assert!(running.is_running());
    assert_eq!(events(&highwater, &[]).len(), deliveries(&highwater, &[]).len(), "nothing goes to the new sink");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_limits_of_the_spool_are_taken_up() {
    let receiver = Receiver::start();
    let state = |limits: &str| format!("[state]\n{limits}\n");
    let rest = orders("") + &erp(&receiver, "content = \"raw\"");
    let highwater = plant(&(state("spool_max = \"100KiB\"") + &rest));
    let running = run(&highwater);
    put(&highwater, "a.bin", vec![1; 200_000]);
    wait_until("it is held", || source_status(&highwater, "orders")["held"].to_string().contains("spool_max"));

    highwater.configure(&(state("spool_max = \"10MiB\"\nmin_free = \"9000000GiB\"") + &rest));
    highwater.run(&["reload"]).ok();
    wait_until("it is held", || source_status(&highwater, "orders")["held"].to_string().contains("min_free"));

    highwater.configure(&(state("spool_max = \"10MiB\"") + &rest));
    highwater.run(&["reload"]).ok();
    wait_for_delivered(&highwater, "erp", 1);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn what_needs_a_restart_is_said_and_nothing_of_the_edit_is_taken_up() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let mut running = run(&highwater);
    highwater.configure(&("[state]\ninstance = \"other\"\n".to_owned() + &items("") + &erp(&receiver, "")));
    let said = refused(&highwater);
    assert!(said.contains("state.instance") && said.contains("needs a restart"), "{said}");

    highwater.configure(&("[state]\npath = \"other.db\"\n".to_owned() + &items("") + &erp(&receiver, "")));
    running.hang_up();
    running.wait_for("it says so", |running| errors(running).iter().any(|line| line.contains("state.path")));
    assert!(refused(&highwater).contains("state.path needs a restart"));

    let elsewhere = "[state]\npath = \"elsewhere/highwater.db\"\n".to_owned() + &items("") + &erp(&receiver, "");
    highwater.configure(&elsewhere);
    let said = highwater.run(&["reload"]).code(1).stderr;
    assert!(
        said.contains("elsewhere/highwater.db"),
        "who looks for the process at another place is told where: {said}"
    );

    highwater.configure(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    wait_for_delivered(&highwater, "erp", 1);
    assert_eq!(receiver.received()[0].json()["source"], "/main/orders");
    assert_eq!(running.terminate(), Some(0));
    assert!(!highwater.path("other.db").exists());
}

#[test]
fn sighup_reads_the_configuration_again() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let mut running = run(&highwater);
    highwater.configure(&(orders("evry = \"1s\"") + &erp(&receiver, "method = 7")));
    running.hang_up();
    running.wait_for("it is refused", |running| !errors(running).is_empty());
    let said = errors(&running);
    assert!(said.len() == 1 && said[0].contains("method") && said[0].contains("evry"), "{said:?}");

    highwater.configure(&(orders("") + &items("") + &erp(&receiver, "")));
    table(&highwater).execute_batch("INSERT INTO items VALUES (1, 'a', 1)").expect("insert");
    running.hang_up();
    wait_for_delivered(&highwater, "erp", 1);
    assert!(running.is_running());
    assert_eq!(running.terminate(), Some(0));
}
