//! A look with every command, for people and for programs: the JSON has every key of the contract, in its order, one
//! value a line, and nothing else is on standard output.

use serde_json::Value;

use crate::support::highwater::Highwater;

/// A folder and a table; one delivery that arrives, one that waits for a retry, one that is dead, one entry that waits.
fn plant() -> Highwater {
    let highwater = Highwater::with_config(
        r#"
[source.orders]
kind = "folder"
path = "in"
include = ["*.csv"]
marker = "{stem}.done"
to = ["good", "bad"]
stable_for = "0s"

[source.items]
kind = "sqlite"
path = "erp.sqlite"
table = "item"
watermark = "at"
key = ["id"]
to = ["gone"]

[sink.good]
kind = "script"
command = ["echo", "got it"]

[sink.bad]
kind = "script"
command = ["false"]
retry = ["1h"]

[sink.gone]
kind = "script"
command = ["sh", "-c", "echo never; exit 65"]
"#,
    );
    for name in ["a.csv", "b.csv", "a.done", "other.txt"] {
        highwater.write(&format!("in/{name}"), format!("{name}\n"));
    }
    let table = rusqlite::Connection::open(highwater.path("erp.sqlite")).expect("open");
    let sql = "CREATE TABLE item (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO item VALUES (7, 1)";
    table.execute_batch(sql).expect("create");
    highwater.run(&["once"]).code(4);
    highwater
}

/// The keys of an object, in their order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Whether a text is a time in UTC to the millisecond at most.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let fraction = text.trim_end_matches('Z').split_once('.').map_or(0, |(_, fraction)| fraction.len());
    highwater::clock::Timestamp::parse_rfc3339(text).is_ok() && text.ends_with('Z') && fraction <= 3
}

fn json(highwater: &Highwater, command: &[&str]) -> Vec<Value> {
    let output = highwater.run(command).code(0);
    assert!(output.stdout.ends_with('\n') && !output.stdout.contains("\n\n"), "{command:?}: {}", output.stdout);
    output.json_lines()
}

const EVENT: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence", "data"];

fn id_of(highwater: &Highwater, source: &str) -> String {
    let event = &json(highwater, &["events", "--source", source, "--json"])[0];
    event["id"].as_str().expect("an id").to_owned()
}

#[test]
fn events_are_cloud_events_of_one_line_each() {
    let highwater = plant();
    let events = json(&highwater, &["events", "--json"]);
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(keys(event), EVENT);
        assert_eq!((&event["specversion"], &event["datacontenttype"]), (&"1.0".into(), &"application/json".into()));
        assert!(is_time(&event["time"]), "{}", event["time"]);
        let id = event["id"].as_str().expect("an id");
        assert!(id.len() == 36 && id.starts_with("evt_"), "{id}");
        assert_eq!(event["sequence"].as_str().map(str::len), Some(20));
    }
    let file = events.iter().find(|event| event["source"] == "/main/orders").expect("the file's");
    assert_eq!((&file["type"], &file["subject"]), (&"highwater.file.created".into(), &"a.csv".into()));
    assert_eq!(keys(&file["data"]), ["path", "name", "size", "modified", "sha256", "revision"]);
    let row = events.iter().find(|event| event["source"] == "/main/items").expect("the row's");
    assert_eq!((&row["type"], &row["subject"]), (&"highwater.row.upserted".into(), &"7".into()));
    assert_eq!(keys(&row["data"]), ["table", "key", "watermark", "row", "sha256", "revision"]);

    let listed = highwater.run(&["events"]).ok();
    let header: Vec<&str> = listed.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["TIME", "SOURCE", "TYPE", "KEY", "REVISION", "ID"]);
    assert_eq!(listed.lines().count(), 3);
    let id = id_of(&highwater, "orders");
    assert!(highwater.run(&["events", "show", &id]).ok().contains(&format!("id        {id}\n")));
    assert_eq!(json(&highwater, &["events", "show", &id, "--body"])[0], *file);
    assert_eq!(highwater.run(&["content", &id]).ok(), "a.csv\n");
}

#[test]
fn deliveries_and_attempts_have_exactly_the_keys_of_the_contract() {
    let highwater = plant();
    let deliveries = json(&highwater, &["deliveries", "--json"]);
    assert_eq!(deliveries.len(), 3);
    for delivery in &deliveries {
        assert_eq!(keys(delivery), ["event_id", "sink", "state", "attempts", "next_at", "held", "last"]);
        assert_eq!(delivery["attempts"], 1);
        assert_eq!(delivery["next_at"].is_null(), delivery["state"] != "retrying");
        assert!(delivery["next_at"].is_null() || is_time(&delivery["next_at"]));
    }
    let state = |sink: &str| &deliveries.iter().find(|delivery| delivery["sink"] == sink).expect("one")["state"];
    assert_eq!((state("good"), state("bad"), state("gone")), (&"delivered".into(), &"retrying".into(), &"dead".into()));
    let attempts = json(&highwater, &["attempts", "--json"]);
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts {
        assert_eq!(keys(attempt), ["event_id", "sink", "attempt", "at", "took_ms", "outcome", "code", "summary"]);
        assert!(is_time(&attempt["at"]) && attempt["took_ms"].is_u64(), "{attempt}");
    }
    let with_output = json(&highwater, &["attempts", "--sink", "good", "--json", "--output"]);
    assert_eq!(with_output[0]["output"], "got it\n");

    let id = id_of(&highwater, "orders");
    assert_eq!(json(&highwater, &["deliveries", "show", &id, "--json"]).len(), 2);
    assert_eq!(json(&highwater, &["attempts", "show", &id, "--json"]).len(), 2);
    let listed = highwater.run(&["deliveries"]).ok();
    assert!(listed.starts_with("EVENT ") && listed.lines().count() == 4, "{listed}");
    assert!(highwater.run(&["deliveries", "show", &id, "--output"]).ok().contains("got it"));
    assert!(highwater.run(&["attempts"]).ok().starts_with("AT "));
    assert!(highwater.run(&["attempts", "show", &id, "--output"]).ok().contains("got it\n"));
}

#[test]
fn status_is_one_object_with_exactly_the_keys_of_the_contract() {
    let highwater = plant();
    let status = &json(&highwater, &["status", "--json"])[..];
    assert_eq!((status.len(), keys(&status[0])), (1, vec!["sources", "sinks"]));
    let source_keys =
        ["name", "kind", "state", "held", "known", "waiting", "events", "refused", "last_poll", "last_error", "cursor"];
    let sources = status[0]["sources"].as_array().expect("a list");
    assert_eq!(
        sources.iter().map(|source| source["name"].as_str()).collect::<Vec<_>>(),
        [Some("orders"), Some("items")]
    );
    for source in sources {
        assert_eq!(keys(source), source_keys);
        assert!(is_time(&source["last_poll"]), "{source}");
        assert_eq!((&source["state"], &source["events"]), (&"ok".into(), &1.into()));
    }
    assert_eq!((&sources[0]["waiting"], &sources[1]["waiting"]), (&1.into(), &0.into()));
    let sinks = status[0]["sinks"].as_array().expect("a list");
    for sink in sinks {
        assert_eq!(keys(sink), ["name", "kind", "state", "held", "pending", "retrying", "dead", "delivered"]);
    }
    let counts =
        |sink: &Value| [&sink["pending"], &sink["retrying"], &sink["dead"], &sink["delivered"]].map(Value::as_u64);
    assert_eq!(counts(&sinks[0]), [0, 0, 0, 1].map(Some));
    assert_eq!(counts(&sinks[1]), [0, 1, 0, 0].map(Some));
    assert_eq!(counts(&sinks[2]), [0, 0, 1, 0].map(Some));
    let screen = highwater.run(&["status"]).ok();
    for part in ["not running", "SOURCE ", "SINK ", "last fault", "1 dead; \"highwater dead list --sink gone\""] {
        assert!(screen.contains(part), "no {part:?} in\n{screen}");
    }
    let check = highwater.run(&["status", "--check"]).code(1);
    assert!(check.stdout.starts_with("HIGHWATER WARNING - ") && check.stdout.lines().count() == 1, "{}", check.stdout);
}

#[test]
fn peek_shows_what_would_be_told_what_waits_and_what_is_filtered_out() {
    let highwater = plant();
    let nothing = highwater.run(&["peek", "orders"]).code(0);
    assert_eq!(nothing.stdout, "");
    assert!(nothing.stderr.contains("waits: b.csv") && nothing.stderr.contains("b.done"), "{}", nothing.stderr);
    highwater.write("in/b.done", "");
    let events = json(&highwater, &["peek", "orders", "--json"]);
    assert_eq!((events.len(), keys(&events[0]), &events[0]["subject"]), (1, EVENT.to_vec(), &"b.csv".into()));
    assert!(highwater.run(&["peek", "orders"]).ok().contains("b.csv"));
    let ignored = json(&highwater, &["peek", "orders", "--ignored", "--json"]);
    let other = ignored.iter().find(|one| one["key"] == "other.txt").expect("it is filtered out");
    assert_eq!(keys(other), ["key", "key_b64", "why"]);
    assert!(highwater.run(&["peek", "orders", "--ignored"]).ok().contains("other.txt"));
    highwater.run(&["once"]).code(4);
    let told = json(&highwater, &["events", "--key", "b.csv", "--json"]);
    assert_eq!(told[0]["id"], events[0]["id"], "peek told the truth");
}

#[test]
fn dead_letters_and_refused_entries_are_listed_with_their_reasons() {
    let highwater = plant();
    let dead = json(&highwater, &["dead", "list", "--json"]);
    assert_eq!(dead.len(), 1);
    assert_eq!(keys(&dead[0]), ["kind", "event_id", "source", "key", "sink", "attempts", "reason", "last", "at"]);
    assert_eq!((&dead[0]["kind"], &dead[0]["sink"]), (&"dead".into(), &"gone".into()));
    assert!(is_time(&dead[0]["at"]));
    let listed = highwater.run(&["dead", "list"]).ok();
    assert!(listed.contains("items") && listed.contains("exit code 65: never"), "{listed}");
    let would = highwater.run(&["dead", "retry", "--all", "--dry-run"]).ok();
    assert_eq!(would, "1 record would be delivered again\n");
}

#[test]
fn explain_tells_the_whole_story_also_of_what_waits_and_what_was_never_seen() {
    let highwater = plant();
    let id = id_of(&highwater, "orders");
    let absolute = highwater.path("in/a.csv");
    for command in
        [&["explain", "orders", "a.csv"][..], &["explain", "in/a.csv"], &["explain", absolute.to_str().expect("text")]]
    {
        let story = highwater.run(command).ok();
        for part in
            [&id, "created, revision 1", "to good: delivered", "to bad: retrying", "exit code 1", "tried again at"]
        {
            assert!(story.contains(part), "no {part:?} in\n{story}");
        }
        let long_fraction =
            |line: &str| line.split(['.', 'Z']).any(|part| part.len() == 9 && part.bytes().all(|b| b.is_ascii_digit()));
        assert!(!story.lines().any(long_fraction), "nobody reads nine digits:\n{story}");
    }
    assert!(highwater.run(&["explain", "orders", "b.csv"]).ok().contains("b.done"));
    assert!(highwater.run(&["explain", "orders", "other.txt"]).ok().contains("no include matches"));
    assert!(highwater.run(&["explain", "orders", "never.csv"]).ok().contains("never told"));
    let row = highwater.run(&["explain", "items", "7"]).ok();
    assert!(row.contains("the row is there") && row.contains("to gone: dead"), "{row}");
}

#[test]
fn what_steers_and_what_describes_prints_what_it_says() {
    let highwater = plant();
    let cursor = json(&highwater, &["cursor", "items"]);
    assert_eq!(cursor[0]["v"], 2);
    assert_eq!(json(&highwater, &["cursor", "items", "show"]), cursor);
    let tested = highwater.run(&["test", "good"]).ok();
    assert!(tested.ends_with("delivered: exit code 0\ngot it\n"), "{tested}");
    assert!(highwater.run(&["test", "bad"]).code(4).stdout.contains("NOT delivered: exit code 1"));
    let dry = highwater.run(&["test", "good", "--dry-run"]).ok();
    assert!(dry.contains("'got it'") && !dry.contains("delivered"), "{dry}");
    let id = id_of(&highwater, "orders");
    assert!(highwater.run(&["test", "good", "--event", &id]).ok().contains(&id));
    assert_eq!(json(&highwater, &["events", "--json"]).len(), 2, "a test leaves nothing behind");

    let schema = highwater.run(&["schema"]).ok();
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert!(schema["properties"]["source"].is_object() && schema["properties"]["sink"].is_object());
    assert!(highwater.run(&["completions", "bash"]).ok().contains("highwater"));
    assert!(highwater.run(&["man"]).ok().contains(".TH"));
    let shown = highwater.run(&["config", "show", "orders"]).ok();
    assert!(shown.starts_with("[source.orders]\n") && shown.contains("# default"), "{shown}");
    highwater.write("shown.toml", highwater.run(&["config", "show"]).ok());
    assert!(
        highwater
            .run(&["check", "-c", "shown.toml"])
            .ok()
            .starts_with("the configuration is sound: 2 sources, 3 sinks")
    );
}

#[test]
fn tail_tells_a_line_each_of_what_happens_from_now_on() {
    let highwater = plant();
    let mut people = highwater.spawn_apart("people", &["tail"]);
    let mut programs = highwater.spawn_apart("programs", &["tail", "--json"]);
    // What was there before is not told: drop files until both have begun to look.
    let mut number = 0;
    for tail in [&mut people, &mut programs] {
        tail.wait_for("an event and its attempts are told", |tail| {
            number += 1;
            highwater.write(&format!("in/t{number}.done"), "");
            highwater.write(&format!("in/t{number}.csv"), format!("{number}\n"));
            highwater.run(&["once"]);
            tail.printed().contains("t1.csv") || tail.printed().lines().count() >= 3
        });
    }
    let printed = people.printed();
    assert!(printed.contains("  orders  ") && printed.contains("-> good  delivered: exit code 0"), "{printed}");
    for line in programs.printed().lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert!(keys(&line) == EVENT || keys(&line)[..3] == ["event_id", "sink", "attempt"], "{line}");
    }
    assert_eq!((people.terminate(), programs.terminate()), (Some(0), Some(0)));
}
