//! What sources and sinks say of each other must fit: names exist, nothing is moved away from under a reference.
//! What a section says of itself is checked where it is read.

use std::collections::BTreeMap;
use std::path::Path;

use super::nearest::nearest;
use super::place::Place;
use super::reading::{Reading, quoted_text};
use super::sink::SinkDraft;
use super::source::SourceDraft;
use crate::sink::settings::{Content, SinkKind};
use crate::source::settings::{AfterAction, SourceKind};
use crate::store::settings::StateSettings;

/// Whether all of every file could be read: else a name that seems unknown may stand in the part that could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Some of it is not TOML.
    Partial,
}

/// Reports whatever does not fit together.
pub fn check(sources: &[SourceDraft], sinks: &[SinkDraft], extent: Extent, reading: &mut Reading) {
    let known: BTreeMap<&str, &SinkDraft> = sinks.iter().map(|sink| (sink.name.as_str(), sink)).collect();
    for source in sources {
        if extent == Extent::Whole {
            check_names(source, &known, reading);
        }
        check_repeats(source, reading);
        check_was(source, sources, reading);
        check_takes_away(source, &known, reading);
        warn_of_rows_as_files(source, &known, reading);
    }
}

/// Warns of a configuration that does nothing.
pub fn warn_of_idleness(sources: &[SourceDraft], sinks: &[SinkDraft], main: &Place, reading: &mut Reading) {
    if sources.is_empty() {
        reading.warn(main, "there is no source, so nothing is looked at; add a [source.NAME]");
    }
    if sinks.is_empty() {
        reading.warn(main, "there is no sink, so nothing is delivered; add a [sink.NAME]");
    }
}

/// Warns of a store that its own source looks at: each write of it would be seen as a change.
pub fn warn_of_echo(sources: &[SourceDraft], state: &StateSettings, reading: &mut Reading) {
    for source in sources {
        let Some(SourceKind::Folder(folder)) = source.settings.as_ref().map(|settings| &settings.kind) else {
            continue;
        };
        let takes_all = folder.directory.include.is_empty();
        let holds = |path: &Path| match path.strip_prefix(&folder.path) {
            Ok(below) => folder.directory.recursive || below.components().count() == 1,
            Err(_) => false,
        };
        if takes_all && (holds(&state.path) || holds(&state.spool)) {
            let rule = "holds Highwater's own store, whose changes it would report; move state.path, or set include";
            reading.warn(&source.place, format!("source.{} {rule}", source.name));
        }
    }
}

fn check_names(source: &SourceDraft, known: &BTreeMap<&str, &SinkDraft>, reading: &mut Reading) {
    for (key, sink) in &source.sinks {
        let name = sink.value.0.as_str();
        if known.contains_key(name) {
            continue;
        }
        let remedy = match nearest(name, known.keys().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if known.is_empty() => format!("there is none; add a [sink.{name}]"),
            None => {
                format!("known are {}; or add a [sink.{name}]", known.keys().copied().collect::<Vec<_>>().join(", "))
            }
        };
        reading.problem(&sink.place, format!("{key} = {} is not the name of a sink; {remedy}", quoted_text(name)));
    }
}

fn check_repeats(source: &SourceDraft, reading: &mut Reading) {
    for (index, (key, sink)) in source.sinks.iter().enumerate() {
        if source.sinks[..index].iter().any(|(other, before)| other == key && before.value == sink.value) {
            let text = format!("{key} names {} twice; name each sink once", quoted_text(&sink.value.0));
            reading.problem(&sink.place, text);
        }
    }
}

fn check_was(source: &SourceDraft, sources: &[SourceDraft], reading: &mut Reading) {
    let Some(was) = &source.was else { return };
    let key = format!("source.{}.was = {}", source.name, quoted_text(&was.value.0));
    if let Some(other) = sources.iter().find(|other| other.name == was.value.0) {
        let text = format!("{key} is still the name of a source (at {}); name one that is gone", other.place);
        reading.problem(&was.place, text);
    }
    let heirs = sources.iter().take_while(|other| other.name != source.name);
    let first = heirs.filter_map(|other| other.was.as_ref()).find(|other| other.value == was.value);
    if let Some(first) = first {
        reading.problem(&was.place, format!("{key} is claimed at {} already; only one can take it over", first.place));
    }
}

/// A row has no file.
fn warn_of_rows_as_files(source: &SourceDraft, known: &BTreeMap<&str, &SinkDraft>, reading: &mut Reading) {
    let kind = source.settings.as_ref().map(|settings| &settings.kind);
    if kind.and_then(SourceKind::table).is_none() {
        return;
    }
    for (key, named) in &source.sinks {
        let sink = known.get(named.value.0.as_str()).and_then(|sink| sink.settings.as_ref());
        let Some(SinkKind::Script(script)) = sink.map(|settings| &settings.kind) else { continue };
        if script.command.iter().any(|argument| argument.mentions("file")) {
            let rule = "takes {file}, and a row has none: its events would be dead; let it read standard input";
            reading.warn(&named.place, format!("{key} names {}, which {rule}", quoted_text(&named.value.0)));
        }
    }
}

/// A reference says where the file is. A receiver that gets only that must find it there.
fn check_takes_away(source: &SourceDraft, known: &BTreeMap<&str, &SinkDraft>, reading: &mut Reading) {
    let Some((on_delivered, on_dead)) = &source.takes_away else { return };
    let takes_reference = |sink: &&SinkDraft| match sink.settings.as_ref().map(|settings| &settings.kind) {
        Some(SinkKind::Http(http)) => http.content == Content::Reference,
        _ => false,
    };
    let named = source.sinks.iter().filter_map(|(_, sink)| known.get(sink.value.0.as_str()).copied());
    let Some(sink) = named.into_iter().find(takes_reference) else { return };
    let path = format!("source.{}", source.name);
    let rule = format!("takes files away that sink {} is only told about", quoted_text(&sink.name));
    let remedy = format!("write content = \"inline\" or \"raw\" there (at {}), or keep the files", sink.place);
    if on_delivered.value.0 != AfterAction::Keep {
        reading.problem(&on_delivered.place, format!("{path}.on_delivered {rule}; {remedy}"));
    }
    if on_dead.value.0 != AfterAction::Keep {
        reading.warn(&on_dead.place, format!("{path}.on_dead {rule}; {remedy}"));
    }
}
