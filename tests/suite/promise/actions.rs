//! After-actions: a file is taken away when its deliveries are final, exactly the version that was delivered, and never
//! lost, whenever the process is killed.

use std::time::Duration;

use fastrand::Rng;

use super::*;
use crate::support::receiver::Answer;

/// Names and contents of all files below a folder of the installation.
fn files_below(highwater: &Highwater, folder: &str) -> Vec<(String, String)> {
    let root = highwater.path(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(listing) = std::fs::read_dir(&folder) else { continue };
        for entry in listing.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

fn names(files: &[(String, String)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_delivered_file_is_moved_into_the_archive_and_not_told_as_removed() {
    let receiver = Receiver::start();
    let said = "on_delivered = \"move:archive\"\nevents = [\"created\", \"changed\", \"removed\"]";
    let highwater = plant(&(orders(said) + &erp(&receiver, "content = \"raw\"")));
    put(&highwater, "a.csv", "1");
    put(&highwater, "in/b.csv", "2");
    once(&highwater, 0);
    assert_eq!(names(&files_below(&highwater, "drop")), ["archive/a.csv", "archive/b.csv"]);
    assert!(once(&highwater, 0).contains(" 0 events"));
    assert_eq!(receiver.received().len(), 2);

    // The same name again is told again; another content under a taken name gets a number.
    put(&highwater, "a.csv", "another");
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 3);
    let files = files_below(&highwater, "drop");
    assert_eq!(files.len(), 3, "{files:?}");
    let contents: BTreeSet<&str> = files.iter().map(|(_, content)| content.as_str()).collect();
    assert_eq!(contents.into_iter().collect::<Vec<_>>(), ["1", "2", "another"]);
}

#[test]
fn a_file_is_taken_away_only_when_every_sink_has_it() {
    let receiver = Receiver::start();
    receiver.queue([Answer::status(503)]);
    let highwater = plant(
        &(orders("on_delivered = \"delete\"\nto = [\"erp\", \"load\"]")
            + &erp(&receiver, "content = \"raw\"")
            + &load("")),
    );
    highwater.write_script("load.sh", "cat >/dev/null; cat \"$1\" >>loaded");
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    assert_eq!(names(&files_below(&highwater, "drop")), ["a.csv"]);
    highwater.run(&["once", "--drain", "--deadline", "20s"]).code(0);
    assert_eq!(files_below(&highwater, "drop"), []);
    assert_eq!(std::fs::read_to_string(highwater.path("loaded")).expect("loaded"), "1");
}

#[test]
fn a_version_that_came_meanwhile_stays_and_is_told() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("on_delivered = \"delete\"") + &erp(&receiver, "content = \"raw\"")));
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "down"]).ok();
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    put(&highwater, "a.csv", "2");
    highwater.run(&["pause", "orders", "--reason", "not yet"]).ok();
    highwater.run(&["resume", "erp"]).ok();
    highwater.run(&["once"]);
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(files_below(&highwater, "drop"), [("a.csv".to_owned(), "2".to_owned())]);
    highwater.run(&["resume", "orders"]).ok();
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(files_below(&highwater, "drop"), []);
}

#[test]
fn a_file_whose_delivery_is_dead_is_moved_aside_and_its_late_delivery_archives_it() {
    let highwater =
        plant(&(orders("to = [\"load\"]\non_dead = \"move:failed\"\non_delivered = \"move:archive\"") + &load("")));
    highwater.write_script("load.sh", "cat >/dev/null; [ -e bad ] && exit 65; cat \"$1\" >>loaded");
    highwater.write("bad", "");
    put(&highwater, "a.csv", "1");
    once(&highwater, 4);
    assert_eq!(names(&files_below(&highwater, "drop")), ["failed/a.csv"]);
    let story = highwater.run(&["explain", "orders", "a.csv"]).ok();
    for words in ["to load: dead", "moved to failed/a.csv", "taken away by its after-action"] {
        assert!(story.contains(words), "{story}");
    }
    std::fs::remove_file(highwater.path("bad")).expect("remove");
    highwater.run(&["dead", "retry", "--all"]).ok();
    once(&highwater, 0);
    assert_eq!(std::fs::read_to_string(highwater.path("loaded")).expect("loaded"), "1");
    assert_eq!(files_below(&highwater, "drop").len(), 1, "it is never lost");
}

/// Kills a run again and again while files come, are delivered and taken away.
fn killed_between(action: &str, receiver: &Receiver) -> Highwater {
    let mut rng = Rng::with_seed(5);
    let said =
        format!("on_delivered = \"{action}\"\nevery = \"30ms\"\nevents = [\"created\", \"changed\", \"removed\"]");
    let highwater = plant(&(orders(&said) + &erp(receiver, "content = \"raw\"")));
    for round in 0..12 {
        for number in 0..5 {
            put(&highwater, &format!("{round}-{number}.csv"), format!("content {round} {number}"));
        }
        let mut running = highwater.spawn(&["run"]);
        let target = 5 * round + rng.usize(0..6);
        running.wait_for("some are delivered", |_| ids(receiver).len() >= target);
        std::thread::sleep(Duration::from_millis(rng.u64(0..60)));
        running.kill();
    }
    once(&highwater, 0);
    once(&highwater, 0);
    highwater
}

fn expected() -> Vec<String> {
    let mut all: Vec<String> =
        (0..12).flat_map(|round| (0..5).map(move |number| format!("content {round} {number}"))).collect();
    all.sort();
    all
}

fn delivered_contents(receiver: &Receiver) -> Vec<String> {
    let bodies: BTreeSet<(String, Vec<u8>)> =
        receiver.received().into_iter().map(|received| (received.id, received.body)).collect();
    let mut contents: Vec<String> =
        bodies.into_iter().map(|(_, body)| String::from_utf8(body).expect("text")).collect();
    contents.sort();
    contents
}

#[test]
fn killed_while_files_are_moved_each_is_delivered_under_one_id_and_is_in_the_archive() {
    let receiver = Receiver::start();
    let highwater = killed_between("move:archive", &receiver);
    assert_eq!(delivered_contents(&receiver), expected());
    let files = files_below(&highwater, "drop");
    assert!(files.iter().all(|(name, _)| name.starts_with("archive/")), "{:?}", names(&files));
    let mut archived: Vec<String> = files.into_iter().map(|(_, content)| content).collect();
    archived.sort();
    assert_eq!(archived, expected(), "each once, none lost");
}

#[test]
fn killed_while_files_are_deleted_each_is_delivered_under_one_id_and_gone() {
    let receiver = Receiver::start();
    let highwater = killed_between("delete", &receiver);
    assert_eq!(delivered_contents(&receiver), expected());
    assert_eq!(files_below(&highwater, "drop"), []);
}
