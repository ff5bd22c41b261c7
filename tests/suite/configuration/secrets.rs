//! The value of a secret is in no problem, no warning and no listing, however it is written.

use highwater::config::{self, Secrets};
use proptest::prelude::*;

use super::{FOLDER, HTTP, SCRIPT, Setup, environment};

/// Ways in which a secret can stand in the file, right and wrong; `@` is its value.
const WRITTEN: [&str; 21] = [
    "bearer = \"@\"",
    "bearer = [\"@\", \"@\"]",
    "bearer = [\"@\", \"@\", \"@\"]",
    "bearer = { token = \"@\" }",
    "bearer = \"@\nevery = 5",
    "bearer = \"@\"\nbasic = \"x@\"",
    "basic = \"me:@\"",
    "basic = \"@\"",
    "headers = { Authorization = \"@\", X = \"${DROP}@\" }",
    "headers = { Authorization = \"@\\n\" }",
    "headers = { Authorization = [[\"@\"]] }",
    "headers = \"@\"",
    "headers = [\"@\"]",
    "sign = \"@\"",
    "sign = { scheme = \"standard\", secret = \"@\" }",
    "sign = { scheme = \"stripe\", secret = [\"@\", 7] }",
    "sign = { secret = \"@\", heeder = \"a\" }",
    "sign = { scheme = \"@\nsecret = \"@\" }",
    "retry = [\n\"5s\"\nbearer = \"@\"",
    "bearer = \"@${NONE}\"",
    "bearer = '''@'''\nbearrer = \"@\"",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_secret_is_never_shown(value in "[a-z]{2}[0-9]{6}[a-zA-Z]{4}", way in 0..WRITTEN.len()) {
        let text = format!("{FOLDER}\n{SCRIPT}\n{HTTP}{}\n", WRITTEN[way].replace('@', &value));
        let setup = Setup::new(&text);
        for secrets in [Secrets::MustBeThere, Secrets::NotNeeded] {
            let told = match setup.load_with(&environment, secrets) {
                Ok(config) => format!("{config:?}\n{}\n{:?}", config::show(&config, None), config.warnings),
                Err(problems) => problems.join("\n"),
            };
            prop_assert!(!told.contains(&value), "{text}\n{told}");
        }
    }
}

#[test]
fn the_password_of_an_address_is_not_repeated() {
    let text = format!("{FOLDER}\n{SCRIPT}\n{}", HTTP.replace("localhost", "me:hunter2@localhost"));
    let problems = Setup::new(&text).problems();
    assert!(problems[0].contains("holds a login") && !problems[0].contains("hunter2"), "{problems:#?}");
}

#[test]
fn secrets_are_looked_for_only_where_they_are_needed() {
    let text = format!("{FOLDER}\n{SCRIPT}\n{HTTP}bearer = \"env:HW_NOT_SET\"\nbasic = \"file:none\"\n");
    let setup = Setup::new(&text.replace("basic", "# basic"));
    assert!(setup.load().is_err());
    assert!(setup.load_with(&environment, Secrets::NotNeeded).is_ok());
}

#[test]
fn a_file_that_holds_nothing_is_no_secret() {
    let setup = Setup::new(&format!("{FOLDER}\n{SCRIPT}\n{HTTP}bearer = \"file:token\"\n")).with("token", "\n");
    let problems = setup.problems();
    assert!(problems[0].contains("sink.erp.bearer is empty (file:") && problems[0].contains("token"), "{problems:#?}");
    let setup = setup.with("token", "abc\n");
    assert!(setup.load().is_ok());
}
