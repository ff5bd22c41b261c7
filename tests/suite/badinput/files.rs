//! Configurations that can't be read: one line each, at once, and nothing is started. What is wrong within one is tested
//! with the configuration.

use super::{SECRET, refused, said, to_script};
use crate::support::highwater::Highwater;

const READERS: [&[&str]; 7] =
    [&["run"], &["once"], &["check"], &["status"], &["events"], &["peek", "orders"], &["config", "show"]];

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line_by_every_command() {
    let highwater = Highwater::with_config("[state]\ninstance = \"main\"\n[source.orders\nkind = \"folder\"\n");
    for command in READERS {
        refused(&highwater.run(command), 2, &["highwater.toml:3: this is not TOML"]);
    }
    assert!(!highwater.path("highwater.db").exists(), "nothing was started");
}

#[test]
fn a_file_that_is_missing_a_folder_or_no_text_is_named_with_the_remedy() {
    let highwater = Highwater::without_config();
    std::fs::create_dir(highwater.path("folder.toml")).expect("make");
    highwater.write("binary.toml", b"\xff\xfe\x00[state]");
    refused(&highwater.run(&["run"]), 2, &["highwater.toml: there is no such file", "highwater init", "-c FILE"]);
    for (file, words) in [
        ("nowhere.toml", "there is no such file"),
        ("folder.toml", "is a folder; name the file in it"),
        ("binary.toml", "is not UTF-8 from line 1; save it as UTF-8"),
    ] {
        refused(&highwater.run(&["run", "-c", file]), 2, &[file, words]);
    }
}

#[test]
fn several_problems_are_a_line_each_and_counted() {
    let highwater = Highwater::with_config("[source.a]\nkind = \"folder\"\npth = \"x\"\nto = [\"b\"]\n");
    let output = highwater.run(&["once"]).code(2);
    let lines: Vec<&str> = output.stderr.lines().collect();
    let (last, problems) = lines.split_last().expect("several");
    assert!(problems.len() > 1 && problems.iter().all(|line| line.starts_with("highwater.toml:")), "{lines:?}");
    assert_eq!(*last, format!("highwater: {} problems in the configuration; nothing was started", problems.len()));
    said(&output.stderr, &["unknown key \"pth\"", "did you mean \"path\"?"]);
}

#[test]
fn a_secret_that_is_missing_is_named_and_only_commands_that_need_it_refuse() {
    let highwater = to_script();
    highwater.run(&["once"]).ok();
    let more = format!(
        "[sink.erp]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/\"\nbearer = \"env:NO_SUCH_TOKEN\"\n\
         sign = {{ scheme = \"github\", secret = \"file:nowhere.secret\" }}\nheaders = {{ X-Key = \"{SECRET}\" }}\n"
    );
    highwater.configure(&format!("{}{more}", super::TO_SCRIPT));
    for command in [&["run"][..], &["once"], &["check"]] {
        let output = highwater.run(command).code(2);
        let env = "sink.erp.bearer: secret env:NO_SUCH_TOKEN is not set; export NO_SUCH_TOKEN before starting";
        said(&output.stderr, &[env, "sink.erp.sign.secret", "nowhere.secret; put the secret there"]);
    }
    for command in [&["status"][..], &["events"], &["config", "show"], &["dead", "list"]] {
        let output = highwater.run(command).code(0);
        said(&format!("{}{}", output.stdout, output.stderr), &[]);
    }
}
