//! `config show` and the schema: what is in effect, where it comes from, and what editors are told.

use highwater::config::{self, Config};
use serde_json::Value;

use super::{FOLDER, HTTP, SCRIPT, Setup, TABLE};

fn shown(setup: &Setup, config: &Config, name: Option<&str>) -> String {
    let folder = setup.path("");
    config::show(config, name).replace(&folder.display().to_string(), "")
}

fn assert_line(text: &str, key: &str, value: &str, origin: &str) {
    let line =
        text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_else(|| panic!("{key} in\n{text}"));
    let (shown, comment) = line.split_once("  # ").expect("an origin");
    assert_eq!(shown.trim_end(), format!("{key} = {value}"), "{text}");
    assert_eq!(comment, origin, "{text}");
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let text =
        format!("{SCRIPT}{FOLDER}every = \"${{EVERY}}\"\ninclude = [\"*.csv\"]\n").replace("\"in\"", "\"${DROP}/in\"");
    let setup = Setup::new(&text);
    let shown = shown(&setup, &setup.config(), Some("orders"));
    assert!(shown.starts_with("[source.orders]\n"), "{shown}");
    assert_line(&shown, "kind", "\"folder\"", "highwater.toml:5");
    assert_line(&shown, "path", "\"/srv/drop/in\"", "${DROP} at highwater.toml:6");
    assert_line(&shown, "every", "\"7s\"", "${EVERY} at highwater.toml:8");
    assert_line(&shown, "include", "[\"*.csv\"]", "highwater.toml:9");
    assert_line(&shown, "stable_for", "\"2s\"", "default");
    assert_line(&shown, "events", "[\"created\", \"changed\"]", "default");
    assert!(!shown.contains("sink.load"));
}

#[test]
fn secrets_are_shown_as_stars_with_their_place() {
    let text = format!(
        "{FOLDER}{SCRIPT}{HTTP}bearer = \"env:PATH\"\nheaders = {{ X = \"abc\", Y = \"file:token\" }}\nsign = {{ scheme = \"github\", secret = [\"env:PATH\", \"b\"] }}\n"
    );
    let setup = Setup::new(&text).with("token", "t");
    let shown = shown(&setup, &setup.config(), Some("erp"));
    assert_line(&shown, "bearer", "\"***\"", "env:PATH at highwater.toml:11");
    assert_line(&shown, "headers.X", "\"***\"", "highwater.toml:12");
    assert_line(&shown, "headers.Y", "\"***\"", "file:token at highwater.toml:12");
    assert_line(&shown, "sign.secret", "\"***\"", "env:PATH, literal at highwater.toml:13");
    assert_line(&shown, "sign.scheme", "\"github\"", "highwater.toml:13");
    assert_line(&shown, "tls.min", "\"1.2\"", "default");
}

#[test]
fn what_is_shown_is_a_configuration_with_the_same_effect() {
    let routed = FOLDER.replace("to = [\"load\"]\n", "schedule = \"0 6 * * *\"\n");
    let route = "[[source.orders.route]]\nmatch = \"*\"\nwhen = { \"/type\" = \"a\" }\nto = [\"load\"]\n";
    let text = format!(
        "[state]\nspool_max = \"1024MiB\"\n{SCRIPT}exit = {{ ok = [3] }}\n{TABLE}start = 5\n{routed}{route}{route}"
    );
    let first = Setup::new(&text);
    let shown = config::show(&first.config(), None);
    assert!(shown.contains("spool_max = \"1GiB\""), "{shown}");
    assert!(!shown.contains("\nevery = \"30s\""), "a schedule leaves no room for every:\n{shown}");
    let second = Setup::new(&shown).config();
    let dropped = |config: &Config| format!("{:?}{:?}{:?}", config.state, config.sources, config.sinks);
    let base = |text: String, setup: &Setup| text.replace(&setup.path("").display().to_string(), "");
    let (first_text, second_text) = (dropped(&first.config()), dropped(&second));
    // A script's base is the folder of the file it is written in.
    let first_base = first.path("").components().collect::<std::path::PathBuf>();
    let normal = |text: String| {
        let at = text.find("base: ").expect("a script");
        let end = at + text[at..].find(" }").expect("its end");
        format!("{}{}", &text[..at], &text[end..])
    };
    assert_eq!(normal(base(first_text, &first)), normal(base(second_text, &first)));
    assert!(first_base.is_absolute());
}

#[test]
fn an_unknown_name_shows_nothing() {
    let setup = Setup::new(&format!("{FOLDER}{SCRIPT}"));
    assert_eq!(config::show(&setup.config(), Some("nobody")), "");
    assert!(config::show(&setup.config(), Some("state")).starts_with("[state]\n"));
}

fn schema() -> Value {
    serde_json::from_str(&config::schema::json()).expect("the schema is JSON")
}

/// Every key of `table` is a property of `schema`.
fn assert_known(schema: &Value, table: &toml::Table, path: &str) {
    let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("{path} has properties"));
    for (key, value) in table {
        let below = properties.get(key).unwrap_or_else(|| panic!("{path}.{key} is in the schema"));
        if let (Some(table), true) = (value.as_table(), below["properties"].is_object()) {
            assert_known(below, table, &format!("{path}.{key}"));
        }
    }
}

#[test]
fn the_schema_knows_every_key_that_is_read() {
    let schema = schema();
    let servers = "[server.p]\nurl = \"ftps://u@h\"\n[server.q]\nurl = \"sftp://u@h\"\npassword = \"x\"\n[source.f]\nkind = \"ftp\"\nurl = \"ftps://h\"\nto = [\"load\"]\n[source.s]\nkind = \"sftp\"\nserver = \"q\"\nto = [\"load\"]\n";
    let everything = Setup::new(&format!(
        "{servers}{FOLDER}{TABLE}{SCRIPT}{HTTP}sign = {{ scheme = \"github\", secret = \"x\" }}\n"
    ));
    let shown: toml::Table = toml::from_str(&config::show(&everything.config(), None)).expect("TOML");
    assert_known(&schema["properties"]["state"], &shown["state"].as_table().expect("a table").clone(), "state");
    for server in shown["server"].as_table().expect("a table").values() {
        let server_schema = &schema["properties"]["server"]["additionalProperties"];
        assert_known(server_schema, server.as_table().expect("a table"), "server");
    }
    for (group, kinds) in [("source", "source"), ("sink", "sink")] {
        for (name, value) in shown[group].as_table().expect("a table") {
            let table = value.as_table().expect("a table");
            let kind = table["kind"].as_str().expect("a kind");
            assert_known(&schema["$defs"][format!("{kind}_{kinds}")], table, &format!("{group}.{name}"));
        }
    }
}

#[test]
fn the_schema_tells_kinds_apart() {
    let schema = schema();
    let kinds = |group: &str| {
        let one_of = schema["properties"][group]["additionalProperties"]["oneOf"].as_array().expect("a list");
        one_of.iter().map(|kind| kind["$ref"].as_str().expect("a reference").to_owned()).collect::<Vec<_>>()
    };
    let kinds_there = ["folder", "ftp", "sftp", "sqlite", "postgres", "mysql", "odbc"];
    let sources = kinds_there.map(|kind| format!("#/$defs/{kind}_source"));
    assert_eq!(kinds("source"), sources);
    assert_eq!(kinds("sink"), ["#/$defs/http_sink", "#/$defs/script_sink"]);
    assert_eq!(schema["$defs"]["folder_source"]["properties"]["kind"]["const"], "folder");
    assert_eq!(schema["$defs"]["http_sink"]["additionalProperties"], false);
}
