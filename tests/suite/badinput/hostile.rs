//! Names and values that were chosen to break out of where they stand: they arrive as they are, and nothing else happens.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use data_encoding::BASE64;
use rusqlite::Connection;
use serde_json::Value;

use super::{said, script, to_script};
use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;

/// File names that mean something to shells, terminals, URLs, headers, templates or old programs.
fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "plain.csv",
        "with two  spaces .csv",
        "new\nline.csv",
        "\r\nx-evil: 1.csv",
        "; rm -rf victim; .csv",
        "$(touch pwned).csv",
        "`touch pwned`.csv",
        "&& touch pwned &.csv",
        "quote\"'.csv",
        "-rf",
        "--help",
        "*",
        "?.csv",
        "\u{1b}[2J\u{7}.csv",
        "\u{202e}vsc.exe",
        "{name}{file}{id}.csv",
        "${HOME}.csv",
        "%2e%2e%2fetc%2fpasswd",
        "a?b=c&d#e.csv",
        "a..csv",
        "back\\slash.csv",
        "Ünïcödé 文件.csv",
        "e\u{301}.csv",
        "\u{feff}bom.csv",
        "\u{1}\u{7f}.csv",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"caf\xe9.txt".to_vec());
    names.push(b"\xff\xfe".to_vec());
    names.push([vec![b'n'; 251], b".csv".to_vec()].concat());
    names.push("ü".repeat(127).into_bytes());
    names
}

/// Drops a file of each name; its content is its name.
fn drop_all(folder: &Path) {
    std::fs::create_dir_all(folder).expect("make");
    for name in names() {
        std::fs::write(folder.join(OsStr::from_bytes(&name)), &name).expect("write");
    }
}

/// The exact key of an event.
fn key_of(event: &Value) -> Vec<u8> {
    match event["data"]["path_b64"].as_str() {
        Some(exact) => BASE64.decode(exact.as_bytes()).expect("base64"),
        None => event["data"]["path"].as_str().expect("a path").as_bytes().to_vec(),
    }
}

#[test]
fn hostile_file_names_reach_a_script_exactly_and_do_nothing() {
    let highwater = to_script();
    let keep = "#!/bin/sh\nset -eu\ncat > \"got/$HIGHWATER_EVENT_ID.json\"\n\
                printf '%s\\0' \"$@\" \"$HIGHWATER_NAME\" \"$HIGHWATER_PATH\" \"$HIGHWATER_KEY\" > \"got/$HIGHWATER_EVENT_ID.args\"\n\
                cat \"$1\" > \"got/$HIGHWATER_EVENT_ID.content\"\n";
    script(&highwater, "load.sh", keep);
    let config = super::TO_SCRIPT.replace("\"{file}\"]", "\"{file}\", \"--\", \"{name}\", \"x{path}y\"]");
    highwater.configure(&config);
    std::fs::create_dir(highwater.path("got")).expect("make");
    highwater.write("victim", "still here");
    drop_all(&highwater.path("in"));
    let output = highwater.run(&["once"]).code(0);
    let count = names().len();
    assert_eq!(output.stdout, format!("1 source polled, {count} events, {count} delivered\n"));
    assert!(highwater.path("victim").exists() && !highwater.path("pwned").exists());

    let events = highwater.run(&["events", "--json", "--limit", "0"]).json_lines();
    let mut keys: Vec<Vec<u8>> = events.iter().map(key_of).collect();
    for (event, key) in events.iter().zip(&keys) {
        let id = event["id"].as_str().expect("an id");
        let read = |kind: &str| std::fs::read(highwater.path(format!("got/{id}.{kind}"))).expect("the script wrote it");
        let arguments = read("args");
        let arguments: Vec<&[u8]> = arguments.split(|b| *b == 0).collect();
        let (file, rest) = arguments.split_first().expect("the file");
        assert!(file.starts_with(b"/"), "{}", String::from_utf8_lossy(file));
        let copied = Path::new(OsStr::from_bytes(file)).file_name().expect("a name").as_bytes();
        assert!(key.ends_with(copied) && copied.len() >= key.len().min(150), "{}", String::from_utf8_lossy(copied));
        let wrapped = [b"x", &key[..], b"y"].concat();
        assert_eq!(rest, [b"--", &key[..], &wrapped, key, key, key, b""]);
        assert_eq!(read("content"), *key);
        assert_eq!(&serde_json::from_slice::<Value>(&read("json")).expect("JSON"), event);
        assert!(!event["data"]["path"].as_str().expect("text").contains(char::is_control));
    }
    let mut expected = names();
    (keys.sort(), expected.sort());
    assert_eq!(keys, expected);
    for command in [&["events", "--limit", "0"][..], &["deliveries", "--limit", "0"], &["attempts", "--limit", "0"]] {
        let listed = highwater.run(command).ok();
        assert_eq!(listed.lines().count(), count + 1, "a line each below the header:\n{listed}");
        assert!(!listed.contains(['\x1b', '\x07', '\r']), "nothing steers the terminal");
    }
    highwater.run(&["once"]).ok();
    assert_eq!(highwater.run(&["events", "--json", "--limit", "0"]).json_lines().len(), count, "nothing is told twice");
}

#[test]
fn hostile_file_names_reach_http_escaped_for_where_they_stand() {
    for content in ["reference", "inline", "raw"] {
        let receiver = Receiver::start();
        let highwater = Highwater::with_config(&format!(
            "[source.orders]\nkind = \"folder\"\npath = \"in\"\nstable_for = \"0s\"\nto = [\"erp\"]\n[sink.erp]\n\
             kind = \"http\"\nurl = \"{}\"\ncontent = \"{content}\"\n",
            receiver.url("/files/{path}?name={name}&end=1")
        ));
        drop_all(&highwater.path("in"));
        highwater.run(&["once"]).ok();
        let events = highwater.run(&["events", "--json", "--limit", "0"]).json_lines();
        let by_id: HashMap<&str, &Value> = events.iter().map(|e| (e["id"].as_str().expect("an id"), e)).collect();
        let received = receiver.received();
        assert_eq!((received.len(), by_id.len()), (names().len(), names().len()), "{content}");
        for request in received {
            let event = by_id[request.id.as_str()];
            let key = key_of(event);
            let target = request.target.strip_prefix("/files/").and_then(|rest| rest.strip_suffix("&end=1"));
            let (path, name) = target.and_then(|rest| rest.split_once("?name=")).expect("the url's own parts");
            assert_eq!(
                (percent_decoded(path), percent_decoded(name)),
                (key.clone(), key.clone()),
                "{}",
                request.target
            );
            assert!(request.header("x-evil").is_none());
            if content == "raw" {
                assert_eq!(request.body, key);
                let subject = percent_decoded(request.header("ce-subject").expect("raw has it"));
                assert_eq!(String::from_utf8_lossy(&subject), event["subject"].as_str().expect("text"));
            } else {
                assert_eq!(request.json()["data"]["path"], event["data"]["path"]);
            }
        }
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        match escaped.and_then(|hex| data_encoding::HEXUPPER_PERMISSIVE.decode(hex).ok()) {
            Some(byte) => {
                out.extend(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[test]
fn hostile_rows_reach_a_script_exactly_and_do_nothing() {
    let highwater = Highwater::with_config(
        "[source.items]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"item\"\nwatermark = \"at\"\n\
         key = [\"id\"]\ntrack = \"keys\"\nto = [\"load\"]\n[sink.load]\nkind = \"script\"\n\
         command = [\"./load.sh\", \"--\", \"{key}\", \"{name}\"]\n",
    );
    let keep = "#!/bin/sh\nset -eu\ncat > \"got/$HIGHWATER_EVENT_ID.json\"\nprintf '%s\\0' \"$@\" > \"got/$HIGHWATER_EVENT_ID.args\"\n";
    script(&highwater, "load.sh", keep);
    std::fs::create_dir(highwater.path("got")).expect("make");
    let texts: Vec<String> = names()
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .chain(["".into(), "\u{10ffff}".into()])
        .collect();
    let connection = Connection::open(highwater.path("erp.sqlite")).expect("open");
    connection.execute_batch("CREATE TABLE item (id TEXT PRIMARY KEY, at INTEGER, text TEXT)").expect("create");
    for (at, text) in texts.iter().enumerate() {
        connection.execute("INSERT INTO item VALUES (?1, ?2, ?1)", (text, at as i64)).expect("insert");
    }
    let output = highwater.run(&["once"]).code(0);
    said(&output.stdout, &[&format!("{0} events, {0} delivered", texts.len())]);
    assert!(!highwater.path("pwned").exists());
    let events = highwater.run(&["events", "--json", "--limit", "0"]).json_lines();
    let mut arrived = Vec::new();
    for event in &events {
        let id = event["id"].as_str().expect("an id");
        let read = |kind: &str| std::fs::read(highwater.path(format!("got/{id}.{kind}"))).expect("the script wrote it");
        let text = event["data"]["row"]["text"].as_str().expect("a text").to_owned();
        assert_eq!(event["data"]["key"]["id"], text);
        assert_eq!(read("args"), [b"--\0", text.as_bytes(), b"\0", text.as_bytes(), b"\0"].concat());
        assert_eq!(&serde_json::from_slice::<Value>(&read("json")).expect("JSON"), event);
        arrived.push(text);
    }
    let mut texts = texts;
    (arrived.sort(), texts.sort());
    assert_eq!(arrived, texts);
}

#[test]
fn a_key_that_no_argument_can_carry_is_a_dead_letter_that_says_so_and_holds_up_no_other() {
    let highwater = Highwater::with_config(
        "[source.items]\nkind = \"sqlite\"\npath = \"erp.sqlite\"\ntable = \"item\"\nwatermark = \"at\"\n\
         key = [\"id\"]\nto = [\"load\"]\n[sink.load]\nkind = \"script\"\ncommand = [\"./load.sh\", \"{key}\"]\n",
    );
    script(&highwater, "load.sh", "#!/bin/sh\ncat >/dev/null\nprintf '%s\\n' \"$1\" >> got\n");
    let connection = Connection::open(highwater.path("erp.sqlite")).expect("open");
    connection.execute_batch("CREATE TABLE item (id TEXT PRIMARY KEY, at INTEGER)").expect("create");
    for (at, key) in ["a", "nul\0byte", "b"].iter().enumerate() {
        connection.execute("INSERT INTO item VALUES (?1, ?2)", (key, at as i64)).expect("insert");
    }
    let output = highwater.run(&["once"]).code(4);
    said(&output.stdout, &["3 events, 2 delivered, 1 dead"]);
    said(&highwater.run(&["dead", "list"]).ok(), &["nul", "holds a zero byte, which no argument can carry"]);
    assert_eq!(std::fs::read_to_string(highwater.path("got")).expect("written"), "a\nb\n");
}
