//! Configurations shown in guides, completed where they show a part only, must pass `highwater check`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

/// Checks a shown configuration; the error is what the program said.
pub fn check(binary: &str, shown: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = completed(shown)?;
    for text in strings(&whole) {
        provide_file(folder.path(), &text);
    }
    let file = folder.path().join("highwater.toml");
    std::fs::write(&file, &whole).expect("write the example");
    run_check(binary, &file, &whole)
}

/// Checks a configuration file where it is.
pub fn check_file(binary: &str, file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("read: {error}"))?;
    run_check(binary, file, &text)
}

fn run_check(binary: &str, file: &Path, text: &str) -> Result<(), String> {
    let mut command = Command::new(binary);
    command.arg("check").arg("-c").arg(file);
    for name in environment(text) {
        command.env(name, value_named(name));
    }
    let output = command.output().map_err(|error| format!("start {binary}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("highwater check ended with {}:\n{}", output.status, said.trim_end()))
}

/// A value that passes for what a variable or secret file of this name would hold.
fn value_named(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    match name {
        _ if name.contains("shop_url") => "mysql://user:password@127.0.0.1/shop",
        _ if name.contains("url") => "postgres://user:password@127.0.0.1/erp",
        _ if name.contains("secret") => "whsec_aGlnaHdhdGVyLXF1aWNrc3RhcnQta2V5",
        _ => "user:password",
    }
}

/// The shown text plus the sinks it names and the source it lacks.
fn completed(shown: &str) -> Result<String, String> {
    let table: Table = shown.parse().map_err(|error| format!("not valid TOML: {error}"))?;
    let mut whole = shown.to_owned();
    let sinks = table.get("sink").and_then(Value::as_table).cloned().unwrap_or_default();
    let mut wanted = sinks_named(&table);
    if table.get("source").is_none() {
        let to = sinks.keys().next().map_or("receiver", String::as_str);
        whole.push_str(&format!("\n[source.completed]\nkind = \"folder\"\npath = \"completed\"\nto = [\"{to}\"]\n"));
        wanted.push(to.to_owned());
    }
    wanted.sort();
    wanted.dedup();
    for name in wanted.iter().filter(|name| !sinks.contains_key(*name)) {
        whole.push_str(&format!("\n[sink.\"{name}\"]\nkind = \"http\"\nurl = \"http://127.0.0.1:9000/\"\n"));
    }
    Ok(whole)
}

/// Every name in a `to`, at any depth: of sources and of their routes.
fn sinks_named(table: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in table {
        match value {
            Value::Array(list) if key == "to" => names.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
            Value::Array(list) => names.extend(list.iter().filter_map(Value::as_table).flat_map(sinks_named)),
            Value::Table(inner) => names.extend(sinks_named(inner)),
            _ => {}
        }
    }
    names
}

/// The text of every string in a configuration.
fn strings(text: &str) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
            Value::Table(table) => table.values().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let table: Table = text.parse().expect("completed() has parsed it");
    walk(&Value::Table(table), &mut found);
    found
}

/// Makes what an example takes for granted: programs (`./load.sh`), secrets (`file:erp.secret`), keys,
/// certificates, scripts.
fn provide_file(folder: &Path, text: &str) {
    let program = text.strip_prefix("./");
    let named = program.or_else(|| text.strip_prefix("file:"));
    let is_file = text.starts_with("id_") || [".pem", ".sql"].iter().any(|end| text.ends_with(end));
    let Some(name) = named.or_else(|| is_file.then_some(text)) else { return };
    let path = folder.join(name);
    if !path.starts_with(folder) || name.contains("..") {
        return;
    }
    std::fs::create_dir_all(path.parent().expect("it is below the folder")).expect("make the folder");
    let content = if program.is_some() { "#!/bin/sh\n" } else { value_named(name) };
    std::fs::write(&path, content).expect("write the file");
    let mode = if program.is_some() { 0o755 } else { 0o600 };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set the mode");
}

/// Names behind `env:` and in `${...}`.
fn environment(text: &str) -> Vec<&str> {
    let name = |rest: &str| rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let marks = ["env:", "${"].into_iter().flat_map(|mark| text.match_indices(mark));
    marks.map(|(at, mark)| &text[at + mark.len()..]).map(|rest| &rest[..name(rest)]).filter(|n| !n.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_completed_to_a_whole() {
        let source = completed("[source.a]\nto = [\"erp\"]\n[[source.a.route]]\nto = [\"two\"]").expect("valid");
        assert!(source.contains("[sink.\"erp\"]") && source.contains("[sink.\"two\"]"));
        assert!(!source.contains("[source.completed]"));
        let sink = completed("[sink.load]\nkind = \"script\"").expect("valid");
        assert!(sink.contains("to = [\"load\"]") && !sink.contains("[sink.\"receiver\"]"));
        assert!(completed("a = ").is_err());
    }

    #[test]
    fn the_environment_an_example_needs_is_found() {
        assert_eq!(environment("a = \"env:ONE\"\nb = \"x${TWO:-2}\""), ["ONE", "TWO"]);
    }

    #[test]
    fn a_refused_example_tells_what_the_program_said() {
        let said = check("/bin/false", "[sink.a]\n").expect_err("false never succeeds");
        assert!(said.contains("highwater check ended with exit status: 1"), "{said}");
        assert!(check("/bin/true", "[sink.a]\n").is_ok());
    }
}
