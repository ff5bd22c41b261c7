//! `kind = "script"`: the keys of a script sink. Running it belongs to `sink::script`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::{Schema, SchemaGenerator, json_schema};

use super::list::AtLeastOne;
use super::node::written_text;
use super::reading::{At, Reading};
use super::secret::{SecretEntry, SecretTable};
use super::section::{Keys, Located, Nested, Required, Setting, section};
use super::sink::{Concurrency, KindDraft};
use super::value::{Wait, Whole};
use super::word::Words;
use crate::setting::Template;
use crate::sink::settings::{ExitCodes, ScriptSettings, SinkKind, Stdin};

section! {
    /// A program started for each event.
    pub struct ScriptSection {
        /// The program and its arguments, without a shell: `{file}` is the file's path, `{event_file}` the event's.
        command: Required<Located<AtLeastOne<Argument>>> = ["./load.sh", "{file}"],
        /// What it reads on standard input: the "event", the "content", or "none".
        stdin: Stdin = "event",
        /// Further environment variables. Their values are secrets: "env:NAME", "file:PATH" or the text itself.
        env: Option<SecretTable>,
        /// The folder it runs in, relative to this file's own.
        cwd: PathBuf = ".",
        /// What its exit codes mean; any other is tried again.
        exit: Nested<ExitSection> = {},
        /// Deadline of one run.
        timeout: Wait = "60s",
        /// How many may run at once.
        concurrency: Concurrency = 1,
    }
}

section! {
    /// What exit codes mean.
    pub struct ExitSection {
        /// Delivered.
        ok: Located<Vec<ExitCode>> = [0],
        /// Try again.
        retry: Located<Vec<ExitCode>> = [75],
        /// Give up at once.
        dead: Located<Vec<ExitCode>> = [65, 77, 78, 100],
        /// The sink itself is broken: try again, and alert.
        fault: Located<Vec<ExitCode>> = [126, 127],
    }
}

type ExitCode = Whole<0, 255>;

/// Reads the keys of a script.
pub fn read(keys: &mut Keys<'_>, reading: &mut Reading) -> KindDraft {
    let section: ScriptSection = keys.read(reading);
    let path = keys.path();
    let exit = exit_codes(&section.exit.0, &path, reading);
    let env = section.env.map(|table| variables(table.0, &path, reading)).unwrap_or_default();
    let base = keys.place.folder().to_path_buf();
    if let Some(command) = &section.command.0 {
        check_program(command, &base, &path, reading);
    }
    let kind = section.command.0.map(|command| {
        SinkKind::Script(Box::new(ScriptSettings {
            command: command.value.0.into_iter().map(|argument| argument.0).collect(),
            stdin: section.stdin,
            env,
            cwd: section.cwd,
            exit,
            base,
        }))
    });
    KindDraft { kind, concurrency: section.concurrency, timeout: section.timeout }
}

/// The program itself is fixed; one that is not there is worth a warning, as it may come later.
fn check_program(command: &Located<AtLeastOne<Argument>>, base: &Path, path: &str, reading: &mut Reading) {
    let Some(program) = command.value.0.first() else { return };
    let written = program.0.as_str();
    if written.is_empty() {
        reading.problem(&command.place, format!("{path}.command begins with an empty text; name a program"));
    } else if !program.0.is_plain() {
        let rule = "begins with a placeholder, but the program must be fixed; put placeholders into its arguments";
        reading.problem(&command.place, format!("{path}.command {rule}"));
    } else if written.contains('/') && !base.join(written).is_file() {
        let where_to: std::path::PathBuf = base.join(written).components().collect();
        reading.warn(&command.place, format!("{path}.command: there is no file {}", where_to.display()));
    }
}

fn variables(entries: Vec<SecretEntry>, path: &str, reading: &mut Reading) -> Vec<(String, crate::setting::Secret)> {
    let mut fine = Vec::new();
    for SecretEntry { key, place, secret } in entries {
        let full = format!("{path}.env.{}", super::node::written_key(&key));
        if key.is_empty() || key.contains(['=', '\0']) {
            reading.problem(&place, format!("{full} is not the name of a variable; use letters, digits and \"_\""));
        } else if key.starts_with("HIGHWATER_") {
            reading.problem(&place, format!("{full} is set by Highwater itself; choose another name"));
        } else {
            fine.push((key, secret));
        }
    }
    fine
}

/// A code has one meaning. What is written wins over the defaults of the other lists.
fn exit_codes(section: &ExitSection, path: &str, reading: &mut Reading) -> ExitCodes {
    let lists = [("ok", &section.ok), ("retry", &section.retry), ("dead", &section.dead), ("fault", &section.fault)];
    let mut written = BTreeSet::new();
    for (key, list) in lists.iter().filter(|(_, list)| list.place.is_written()) {
        for code in &list.value {
            if !written.insert(code.0) {
                let text =
                    format!("{path}.exit.{key} holds {}, which has a meaning already; name each code once", code.0);
                reading.problem(&list.place, text);
            }
        }
    }
    if section.ok.value.is_empty() {
        reading.problem(&section.ok.place, format!("{path}.exit.ok is empty; name the codes of success, like [0]"));
    }
    let codes = |list: &Located<Vec<ExitCode>>| {
        let codes = list.value.iter().filter(|code| list.place.is_written() || !written.contains(&code.0));
        codes.map(|code| i32::try_from(code.0).expect("the range of an exit code fits")).collect()
    };
    ExitCodes {
        ok: codes(&section.ok),
        retry: codes(&section.retry),
        dead: codes(&section.dead),
        fault: codes(&section.fault),
    }
}

/// One argument, with the common placeholders, `{file}` and `{event_file}`.
#[derive(Debug, Clone)]
pub struct Argument(pub Template);

/// Placeholders that only a script has.
pub const PLACEHOLDERS: [&str; 2] = ["file", "event_file"];

impl Setting for Argument {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text {
            text if text.contains('\0') => Err("holds a NUL, which no argument can".into()),
            text => Template::parse(text, &PLACEHOLDERS).map(Self),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(self.0.as_str()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Words for Stdin {
    const WORDS: &'static [(&'static str, Self)] =
        &[("event", Self::Event), ("content", Self::Content), ("none", Self::None)];
}
