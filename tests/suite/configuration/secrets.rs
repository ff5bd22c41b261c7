//! The value of a secret is in no problem, no warning and no listing, however it is written.

use highwater::config::{self, Secrets};
use proptest::prelude::*;

use super::{FOLDER, HTTP, SCRIPT, Setup, environment};

/// Ways in which a secret can stand in the file, right and wrong; `VALUE` is the secret. The section comes first.
const WRITTEN: [(&str, &str); 30] = [
    (HTTP, "bearer = \"VALUE\""),
    (HTTP, "bearer = [\"VALUE\", \"VALUE\"]"),
    (HTTP, "bearer = [\"VALUE\", \"VALUE\", \"VALUE\"]"),
    (HTTP, "bearer = { token = \"VALUE\" }"),
    (HTTP, "bearer = \"VALUE\nevery = 5"),
    (HTTP, "bearer = \"VALUE\"\nbasic = \"xVALUE\""),
    (HTTP, "bearer = \"VALUE${NONE}\""),
    (HTTP, "bearer = \"VALUE${OPEN\""),
    (HTTP, "bearer = '''VALUE'''\nbearrer = \"VALUE\""),
    (HTTP, "bearer = VALUE"),
    (HTTP, "basic = \"me:VALUE\""),
    (HTTP, "basic = \"VALUE\""),
    (HTTP, "headers = { Authorization = \"VALUE\", X = \"${DROP}VALUE\" }"),
    (HTTP, "headers = { Authorization = \"VALUE\\n\" }"),
    (HTTP, "headers = { Authorization = [[\"VALUE\"]] }"),
    (HTTP, "headers = \"VALUE\""),
    (HTTP, "headers = [\"VALUE\"]"),
    (HTTP, "sign = \"VALUE\""),
    (HTTP, "sign = { scheme = \"standard\", secret = \"VALUE\" }"),
    (HTTP, "sign = { scheme = \"stripe\", secret = [\"VALUE\", 7] }"),
    (HTTP, "sign = { secret = \"VALUE\", heeder = \"a\" }"),
    (HTTP, "sign = { scheme = \"VALUE\nsecret = \"VALUE\""),
    (HTTP, "retry = [\n\"5s\"\nbearer = \"VALUE\""),
    (SCRIPT, "env = { A = \"VALUE\", \"A=B\" = \"VALUE\" }"),
    (SCRIPT, "env = { A = \"VALUE\", B = \"env:PATH\" }"),
    (POSTGRES, "url = \"postgres://me:VALUE@db/erp\"\npassword = \"VALUE\""),
    (POSTGRES, "url = \"VALUE\""),
    (ODBC, "connection = \"Driver=x;UID=me;PWD=VALUE\"\npassword = \"VALUE\""),
    (ODBC, "connection = \"VALUE\""),
    (POSTGRES, "url = [\"VALUE\", 5]\npassword = { a = \"VALUE\" }"),
];

const ODBC: &str = "[source.o]\nkind = \"odbc\"\ntable = \"t\"\nwatermark = \"at\"\nkey = \"id\"\nto = [\"load\"]\n";

const POSTGRES: &str =
    "[source.pg]\nkind = \"postgres\"\ntable = \"t\"\nwatermark = \"at\"\nkey = \"id\"\nto = [\"load\"]\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn a_secret_is_never_shown(value in "[a-z]{2}[0-9]{6}[a-zA-Z]{4}") {
        for (section, written) in WRITTEN {
            let others = [SCRIPT, HTTP].into_iter().filter(|other| *other != section);
            let text = format!("{FOLDER}{}{section}{written}\n", others.collect::<String>()).replace("VALUE", &value);
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
