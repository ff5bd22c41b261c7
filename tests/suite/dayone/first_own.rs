//! `init`, `check`, `run` in an empty folder: the starter file works as it is written.

use crate::support::highwater::Highwater;

#[test]
fn the_starter_file_is_sound_and_delivers_the_first_file_that_is_dropped() {
    let highwater = Highwater::without_config();
    let told = highwater.run(&["init"]).code(0).stderr;
    for word in ["wrote highwater.toml", "inbox", "highwater check --connect", "highwater run"] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(highwater.run(&["check"]).ok().lines().next(), Some("the configuration is sound: 1 source, 1 sink"));
    let missing = highwater.run(&["check", "--connect"]).code(3).stdout;
    assert!(missing.contains("inbox is not there; make it"), "{missing}");
    let mut running = highwater.spawn(&["run"]);
    running.wait_for_log("source could not be polled");
    highwater.write("inbox/first.csv", "id;amount\n1;9.50\n");
    running.wait_for("the first event is told", |running| running.printed().contains("first.csv"));
    let line = std::fs::read_to_string(highwater.path("events.jsonl")).expect("the starter's sink wrote it");
    let event: serde_json::Value = serde_json::from_str(&line).expect("one event");
    assert_eq!(event["data"]["sha256"], "c2e03b1802492dea5ffbf9d9c8f1e9266dd738833d8fd53be7f891925b82d538");
    assert_eq!(event["source"], "/main/inbox");
    assert_eq!(highwater.run(&["check", "--connect"]).ok().lines().count(), 3);
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(highwater.run(&["status", "--check"]).ok().lines().count(), 1);
}

#[test]
fn a_script_of_the_guide_runs_as_it_is_printed() {
    let highwater = Highwater::with_config(
        "[source.orders]\nkind = \"folder\"\npath = \"in\"\nstable_for = \"0s\"\nto = [\"load\"]\n\
         [sink.load]\nkind = \"script\"\ncommand = [\"cat\", \"{event_file}\", \"{file}\"]\nstdin = \"none\"\n",
    );
    highwater.write("in/a.csv", "the content");
    highwater.run(&["once"]).ok();
    let event = &highwater.run(&["events", "--json"]).json_lines()[0];
    let id = event["id"].as_str().expect("an id");
    let output = highwater.run(&["attempts", "show", id, "--output"]).ok();
    assert!(output.ends_with(&format!("{event}\nthe content\n")), "{output}");
    // What `test` prints can be copied into a shell.
    let printed = highwater.run(&["test", "load", "--dry-run"]).ok();
    let ran = std::process::Command::new("sh").arg("-c").arg(&printed).output().expect("sh runs");
    let ran = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.contains("\"subject\":\"test.csv\"") && ran.ends_with("1;a test delivery of highwater\n"), "{ran}");
}
