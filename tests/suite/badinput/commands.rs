//! Command lines that ask for what there is not: one line with the nearest name or the place where names are listed.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use super::{TO_SCRIPT, refused, said, to_script};
use crate::support::highwater::{Highwater, Output};

const ID: &str = "evt_wgakhpz5zdyvhd5ozrouyfl3feamdqp4";

/// A configuration with a store that knows nothing yet.
fn empty() -> Highwater {
    let highwater = to_script();
    highwater.run(&["once"]).ok();
    highwater
}

#[test]
fn a_source_that_nobody_has_is_answered_with_the_nearest_name_by_every_command() {
    let highwater = empty();
    let commands: [&[&str]; 16] = [
        &["once", "--source", "ordrs"],
        &["peek", "ordrs"],
        &["poll", "ordrs"],
        &["events", "--source", "ordrs"],
        &["deliveries", "--source", "ordrs"],
        &["attempts", "--source", "ordrs"],
        &["tail", "--source", "ordrs"],
        &["dead", "list", "--source", "ordrs"],
        &["dead", "retry", "--source", "ordrs"],
        &["dead", "drop", "--source", "ordrs", "--yes"],
        &["cursor", "ordrs"],
        &["cursor", "ordrs", "reset"],
        &["pause", "ordrs", "--reason", "x"],
        &["resume", "ordrs"],
        &["explain", "ordrs", "a.csv"],
        &["config", "show", "ordrs"],
    ];
    for command in commands {
        refused(&highwater.run(command), 2, &["\"ordrs\"", "did you mean \"orders\"?"]);
    }
}

#[test]
fn a_sink_that_nobody_has_is_answered_with_the_nearest_name_by_every_command() {
    let highwater = empty();
    let commands: [&[&str]; 9] = [
        &["events", "--sink", "laod"],
        &["deliveries", "--sink", "laod"],
        &["attempts", "--sink", "laod"],
        &["tail", "--sink", "laod"],
        &["dead", "list", "--sink", "laod"],
        &["dead", "ack", "--sink", "laod"],
        &["cancel", ID, "--sink", "laod"],
        &["test", "laod"],
        &["pause", "laod", "--reason", "x"],
    ];
    for command in commands {
        refused(&highwater.run(command), 2, &["\"laod\"", "did you mean \"load\"?"]);
    }
}

#[test]
fn an_event_that_is_not_stored_is_a_usage_error_that_says_where_events_are_listed() {
    let highwater = empty();
    let commands: [&[&str]; 8] = [
        &["events", "show", ID],
        &["deliveries", "show", ID],
        &["content", ID],
        &["cancel", ID],
        &["dead", "retry", ID],
        &["dead", "drop", ID],
        &["test", "load", "--event", ID],
        &["test", "load", "--event", ID, "--dry-run"],
    ];
    for command in commands {
        refused(&highwater.run(command), 2, &[ID, "highwater events"]);
    }
    refused(&highwater.run(&["attempts", "show", ID]), 2, &[ID, "highwater deliveries show"]);
    for command in [&["content", "17"][..], &["events", "show", "evt_UPPER"], &["cancel", ""]] {
        refused(&highwater.run(command), 2, &["ids look like evt_ and 32 of a-z 2-7"]);
    }
}

#[test]
fn commands_and_options_that_do_not_exist_are_answered_with_the_nearest() {
    let highwater = empty();
    for (command, words) in [
        (&["evnts"][..], "'events'"),
        (&["dead", "lst"], "'list'"),
        (&["run", "--quite"], "'--quiet'"),
        (&["man", "stauts"], "did you mean \"status\"?"),
        (&["completions", "bsh"], "'bash'"),
        (&["explain", "nowhere/x"], "nowhere/x is below no source's folder; write SOURCE KEY"),
        (&["explain", "orders"], "which file or row of orders? write its key behind the source"),
        (&["listen", "--addr", "9000"], "write an address of this machine and a port, like 127.0.0.1:9000"),
        (&["listen", "--secret", "env:NO_SUCH_SECRET"], "export NO_SUCH_SECRET"),
        (&["listen", "--secret", "whsec_x"], "behind \"whsec_\" the secret is not base64"),
    ] {
        refused(&highwater.run(command), 2, &[words]);
    }
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = Highwater::without_config().run(&["listen", "--addr", &address]);
    refused(&output, 1, &[&format!("{address} is in use"), "--addr"]);
}

#[test]
fn arguments_that_are_no_text_are_refused_where_text_is_asked_for_and_taken_where_bytes_are() {
    let highwater = empty();
    let odd = OsStr::from_bytes(b"caf\xe9.txt");
    let run = |arguments: &[&str]| {
        let ended = highwater.command(arguments).arg(odd).stdin(Stdio::null()).output().expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { status: ended.status.code(), stdout: text(ended.stdout), stderr: text(ended.stderr) }
    };
    for text_wanted in [&["peek"][..], &["once", "--source"], &["events", "show"], &["pause", "--reason", "x"], &[]] {
        let output = run(text_wanted);
        assert_eq!(output.status, Some(2), "{text_wanted:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{text_wanted:?}: {}", output.stderr);
        said(&output.stderr, &["highwater: "]);
    }
    refused(&run(&["status", "-c"]), 2, &["caf", "there is no such file"]);
    said(&run(&["events", "--key"]).code(0).stderr, &["no event fits"]);
    std::fs::write(highwater.path("in").join(odd), "odd").expect("write");
    highwater.run(&["once"]).ok();
    assert_eq!(run(&["events", "--json", "--key"]).json_lines().len(), 1);
    said(&run(&["explain", "orders"]).code(0).stdout, &["delivered"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let highwater = to_script();
    for number in 0..300 {
        highwater.write(&format!("in/{number}.csv"), number.to_string());
    }
    highwater.configure(&TO_SCRIPT.replace("concurrency = 1", "concurrency = 4"));
    highwater.run(&["once"]).ok();
    for command in [
        &["events", "--limit", "0"][..],
        &["events", "--json", "--limit", "0"],
        &["deliveries"],
        &["peek", "orders"],
        &["status"],
    ] {
        let mut child = highwater.command(command);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("our own child");
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), stderr.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn a_full_standard_output_is_an_error_with_its_reason() {
    let highwater = to_script();
    highwater.write("in/a.csv", "a");
    highwater.run(&["once"]).ok();
    for command in [&["events"][..], &["status", "--json"], &["content", ID], &["schema"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let ended = highwater.command(command).stdout(full).stdin(Stdio::null()).output().expect("runs");
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_ne!(ended.status.code(), Some(0), "{command:?}");
        assert_eq!(stderr.lines().count(), 1, "{command:?}: {stderr}");
        said(&stderr, &["highwater: "]);
    }
}
