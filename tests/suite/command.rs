//! The command line itself: help, usage errors, what is printed without a configuration. What commands do with a store
//! belongs to the tests of that.

use std::process::Stdio;

use crate::support::highwater::Highwater;

/// Every command with flags its help must name.
const COMMANDS: [(&[&str], &[&str]); 38] = [
    (&["init"], &["[FILE]"]),
    (&["check"], &["--connect", "--plan"]),
    (&["config", "show"], &["[NAME]"]),
    (&["run"], &["--config", "--log", "--quiet"]),
    (&["once"], &["--source", "--drain", "--deadline", "--wait", "--quiet"]),
    (&["peek"], &["<SOURCE>", "--limit", "--ignored", "--json"]),
    (&["status"], &["--watch", "--check", "--max-age", "--json"]),
    (&["events"], &["--source", "--sink", "--state", "--key", "--since", "--limit", "--json"]),
    (&["events", "show"], &["<EVENT>", "--body"]),
    (&["deliveries"], &["--source", "--sink", "--state", "--key", "--since", "--limit", "--json"]),
    (&["deliveries", "show"], &["<EVENT>", "--output", "--json"]),
    (&["attempts"], &["--source", "--sink", "--state", "--key", "--since", "--limit", "--json", "--output"]),
    (&["attempts", "show"], &["<EVENT>", "--output", "--json"]),
    (&["explain"], &["<SOURCE> <KEY>", "<PATH>"]),
    (&["content"], &["<EVENT>"]),
    (&["tail"], &["--source", "--sink", "--json"]),
    (&["poll"], &["<SOURCE>"]),
    (&["pause"], &["<NAME>", "--for", "--reason"]),
    (&["resume"], &["<NAME>"]),
    (&["reload"], &["--config"]),
    (&["cancel"], &["<EVENT>", "--sink"]),
    (&["dead"], &["list", "retry", "drop", "ack"]),
    (&["dead", "list"], &["--sink", "--source", "--json"]),
    (&["dead", "retry"], &["[EVENT]...", "--sink", "--source", "--all", "--dry-run", "--yes"]),
    (&["dead", "drop"], &["[EVENT]...", "--sink", "--source", "--all", "--dry-run", "--yes"]),
    (&["dead", "ack"], &["[EVENT]...", "--sink", "--source", "--all", "--dry-run", "--yes"]),
    (&["cursor"], &["<SOURCE>", "show", "reset", "set", "accept", "skip", "seen"]),
    (&["cursor", "x", "show"], &["--config"]),
    (&["cursor", "x", "reset"], &["--config"]),
    (&["cursor", "x", "set"], &["<VALUE>"]),
    (&["cursor", "x", "accept"], &["--config"]),
    (&["cursor", "x", "skip"], &["--config"]),
    (&["cursor", "x", "seen"], &["--from"]),
    (&["test"], &["<SINK>", "--event", "--dry-run"]),
    (&["listen"], &["--addr", "--secret", "--fail-every", "--status"]),
    (&["schema"], &["--config"]),
    (&["completions"], &["bash", "zsh", "fish"]),
    (&["man"], &["--folder"]),
];

#[test]
fn the_help_of_every_command_names_its_flags() {
    let highwater = Highwater::without_config();
    for (command, flags) in COMMANDS {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let help = highwater.run(&arguments).ok();
        for flag in flags {
            assert!(help.contains(flag), "{command:?} does not name {flag}:\n{help}");
        }
    }
}

#[test]
fn the_overview_groups_every_command_and_names_the_exit_codes() {
    let highwater = Highwater::without_config();
    for flag in ["-h", "--help"] {
        let help = highwater.run(&[flag]).ok();
        for group in ["Set up:", "Run:", "Look:", "Steer:", "Repair:", "Try out:", "Options:"] {
            assert!(help.contains(group), "{flag} lacks {group}:\n{help}");
        }
        assert!(help.contains("5 another process holds the store"), "{help}");
    }
    let version = highwater.run(&["--version"]).ok();
    assert_eq!(version.trim(), format!("highwater {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_one_line_that_helps() {
    let highwater = Highwater::without_config();
    let wrong: [(&[&str], &str); 14] = [
        (&["stauts"], "'status'"),
        (&["events", "--sorce", "x"], "'--source'"),
        (&["events", "--state", "lost"], "possible values: pending, in_flight, delivered"),
        (&["events", "--since", "yesterday"], "2h"),
        (&["events", "show", "17"], "evt_"),
        (&["pause", "erp"], "--reason"),
        (&["once", "--deadline", "5"], "has no unit; write \"5s\" or \"5m\""),
        (&["peek"], "<SOURCE>"),
        (&["status", "--watch", "--json"], "cannot be used with"),
        (&["dead", "retry", "--all", "--sink", "erp"], "cannot be used with"),
        (&["listen", "--status", "99"], "200"),
        (&["listen", "--fail-every", "0"], "0"),
        (&["completions", "cmd.exe"], "bash"),
        (&["man", "stauts"], "did you mean \"status\"?"),
    ];
    for (arguments, expected) in wrong {
        let output = highwater.run(arguments).code(2);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.starts_with("highwater: "), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn without_a_command_the_overview_is_shown_and_the_code_is_2() {
    let output = Highwater::without_config().run(&[]).code(2);
    assert!(output.stderr.contains("Set up:"), "{}", output.stderr);
}

#[test]
fn completions_are_printed_for_every_shell() {
    let highwater = Highwater::without_config();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = highwater.run(&["completions", shell]).ok();
        assert!(script.contains("deliveries") && script.contains("fail-every"), "{shell}");
    }
}

#[test]
fn the_manual_is_printed_and_written() {
    let highwater = Highwater::without_config();
    let page = highwater.run(&["man"]).ok();
    assert!(page.contains(".TH") && page.contains("explain"), "{page}");
    let page = highwater.run(&["man", "once"]).ok();
    assert!(page.contains("drain") && page.contains(".TH"), "{page}");
    std::fs::create_dir(highwater.path("man1")).expect("create");
    highwater.run(&["man", "--folder", "man1"]).ok();
    assert!(highwater.path("man1/highwater-dead-retry.1").exists());
}

#[test]
fn the_schema_is_json() {
    let schema = Highwater::without_config().run(&["schema"]).ok();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert!(schema.is_object());
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let highwater = Highwater::without_config();
    let mut child = highwater.command(&["completions", "zsh"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("our own child");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn init_writes_a_file_that_is_sound_and_never_writes_over_one() {
    let highwater = Highwater::without_config();
    let output = highwater.run(&["init"]).code(0);
    assert!(output.stderr.contains("highwater check --connect"), "{}", output.stderr);
    let written = std::fs::read(highwater.path("highwater.toml")).expect("written");
    let again = highwater.run(&["init"]).code(2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(std::fs::read(highwater.path("highwater.toml")).expect("still there"), written);
    let checked = highwater.run(&["check"]).ok();
    assert!(checked.starts_with("the configuration is sound: "), "{checked}");
    highwater.run(&["init", "other.toml"]).ok();
    highwater.run(&["check", "-c", "other.toml"]).ok();
}

#[test]
fn every_problem_of_a_configuration_is_a_line_and_nothing_is_started() {
    let highwater =
        Highwater::with_config("[source.orders]\nkind = \"folder\"\nevry = \"5s\"\n[sink.erp]\nkind = \"htp\"\n");
    let (checked, run) = (highwater.run(&["check"]).code(2), highwater.run(&["run"]).code(2));
    for output in [&checked, &run] {
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert!(lines.len() > 2, "{}", output.stderr);
        let (last, problems) = lines.split_last().expect("several");
        assert!(problems.iter().all(|line| line.starts_with("highwater.toml:")), "{}", output.stderr);
        assert!(last.starts_with("highwater: ") && last.ends_with("nothing was started"), "{last}");
    }
    assert!(!highwater.path("highwater.db").exists());
}

#[test]
fn a_missing_configuration_is_named_with_the_remedy() {
    let output = Highwater::without_config().run(&["status"]).code(2);
    assert!(output.stderr.contains("highwater.toml"), "{}", output.stderr);
}

#[test]
fn names_that_nobody_has_are_usage_errors_with_the_nearest_one() {
    let highwater = Highwater::without_config();
    highwater.run(&["init"]).ok();
    let shown = highwater.run(&["config", "show"]).ok();
    let name = |group: &str| {
        let header = shown.lines().find_map(|line| line.strip_prefix(&format!("[{group}."))).expect("a section");
        header.trim_end_matches(']').to_owned()
    };
    let (source, sink) = (name("source"), name("sink"));
    let (wrong_source, wrong_sink) = (format!("{source}x"), format!("{sink}x"));
    let wrong: [(&[&str], &str); 9] = [
        (&["peek", &wrong_source], &source),
        (&["poll", &wrong_source], &source),
        (&["once", "--source", &wrong_source], &source),
        (&["cursor", &wrong_source, "accept"], &source),
        (&["explain", &wrong_source, "a.csv"], &source),
        (&["test", &wrong_sink], &sink),
        (&["pause", &wrong_sink, "--reason", "x"], &sink),
        (&["resume", &wrong_source], &source),
        (&["config", "show", &wrong_sink], &sink),
    ];
    for (arguments, nearest) in wrong {
        let output = highwater.run(arguments).code(2);
        assert!(output.stderr.contains(&format!("did you mean \"{nearest}\"?")), "{arguments:?}: {}", output.stderr);
    }
}
