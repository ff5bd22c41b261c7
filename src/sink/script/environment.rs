//! The environment and the arguments of a script: nothing inherited but PATH HOME LANG TZ, then `env`, then the facts of
//! the event.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use serde::Deserialize;

use crate::change::{Content, Kind, Nature};
use crate::error::Result;
use crate::event::Event;
use crate::setting::{Secret, SinkName, Template};
use crate::sink::mask::{MASKED_BYTES_MIN, is_secret};
use crate::sink::{Attempt, placeholder};

/// The variables that are passed on.
pub const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// PATH where we have none ourselves.
pub const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// Linux takes no single `NAME=VALUE` longer than this, its zero byte included (MAX_ARG_STRLEN).
pub const STRING_BYTES_MAX: usize = 128 * 1024;

/// Variables in the order they are set; later ones win.
pub type Variables = Vec<(OsString, OsString)>;

/// The configured variables with their values, read now, and those of them that must not be seen.
///
/// # Errors
/// A secret that can't be read.
pub fn configured(env: &[(String, Secret)]) -> Result<(Variables, Vec<Vec<u8>>)> {
    let mut variables = Vec::with_capacity(env.len());
    let mut secrets = Vec::new();
    for (name, secret) in env {
        let value = secret.reveal()?;
        if value.len() >= MASKED_BYTES_MIN && is_secret(name, secret) {
            secrets.push(value.clone().into_bytes());
        }
        variables.push((name.into(), value.into()));
    }
    Ok((variables, secrets))
}

/// The facts of an attempt as `HIGHWATER_...` variables. What is too long for the system, or holds a zero byte, is left
/// out: the event file has it.
pub fn facts(attempt: &Attempt<'_>, sink: &SinkName, event_file: &Path, file: Option<&Path>) -> Variables {
    let event = attempt.event;
    let mut variables = Variables::with_capacity(14);
    let mut set = |name: &str, value: Cow<'_, [u8]>| {
        if name.len() + value.len() + 2 <= STRING_BYTES_MAX && !value.contains(&0) {
            variables.push((format!("HIGHWATER_{name}").into(), OsString::from_vec(value.into_owned())));
        }
    };
    let text = |text: String| Cow::Owned(text.into_bytes());
    set("EVENT_ID", text(event.id.to_string()));
    set("EVENT_TYPE", text(event.type_name()));
    set("SOURCE", event.source.as_str().as_bytes().into());
    set("KEY", event.key.as_bytes().into());
    if event.nature == Nature::File {
        set("PATH", event.key.as_bytes().into());
        set("NAME", placeholder::name(event).into());
    }
    if let Some(size) = size(event) {
        set("SIZE", text(size.to_string()));
    }
    if let Some(fingerprint) = &event.fingerprint {
        set("SHA256", text(fingerprint.to_hex()));
    }
    set("REVISION", text(event.revision.to_string()));
    set("ATTEMPT", text(attempt.number.to_string()));
    set("SINK", sink.as_str().as_bytes().into());
    if let Some(file) = file {
        set("FILE", file.as_os_str().as_bytes().into());
    }
    set("EVENT_FILE", event_file.as_os_str().as_bytes().into());
    if attempt.gap {
        set("GAP", Cow::Borrowed(b"true"));
    }
    variables
}

#[derive(Deserialize)]
struct Stated {
    data: StatedData,
}

#[derive(Deserialize)]
struct StatedData {
    size: Option<u64>,
}

/// The announced size of a file; also known where no content was captured.
fn size(event: &Event) -> Option<u64> {
    match &event.content {
        Some(content) => Some(Content::size(content)),
        None if event.nature == Nature::File => serde_json::from_slice::<Stated>(&event.body).ok()?.data.size,
        None => None,
    }
}

/// The arguments with their placeholders replaced; `{file}` is the path of the private copy, and empty for a removal,
/// `{event_file}` the path of the event's JSON.
///
/// # Errors
/// Why this event can't be given to this command.
pub fn arguments(
    command: &[Template],
    event: &Event,
    event_file: &Path,
    file: Option<&Path>,
) -> Result<Vec<OsString>, String> {
    let missing = file.is_none() && event.kind != Kind::Removed;
    if missing && command.iter().any(|argument| argument.mentions("file")) {
        return Err(no_content(event, "{file}"));
    }
    let render = |argument: &Template| {
        let bytes = argument.render_bytes(|hole| match hole.name.as_str() {
            "file" => Cow::Borrowed(file.unwrap_or(Path::new("")).as_os_str().as_bytes()),
            "event_file" => Cow::Borrowed(event_file.as_os_str().as_bytes()),
            _ => placeholder::value(event, hole).unwrap_or_default(),
        });
        match bytes.contains(&0) {
            true => Err(format!("the key {} holds a zero byte, which no argument can carry", event.key)),
            false => Ok(OsString::from_vec(bytes)),
        }
    };
    command.iter().map(render).collect()
}

/// Why `what` can't be had for an event without content.
pub fn no_content(event: &Event, what: &str) -> String {
    match event.nature {
        Nature::File => format!("no content was captured, and the command asks for it with {what}"),
        Nature::Row | Nature::Message => {
            format!("a {} has no content; take the event from stdin instead of {what}", event.nature.as_str())
        }
    }
}

/// One variable of a list.
pub fn find<'v>(variables: &'v Variables, name: &str) -> Option<&'v OsStr> {
    variables.iter().rev().find(|(each, _)| each == name).map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::sink::tests::file_event;

    fn facts_of(event: &Event) -> Variables {
        let attempt = Attempt { event, number: 3, at: Timestamp::default(), gap: false };
        facts(&attempt, &SinkName::new("load"), Path::new("/run/1/event.json"), None)
    }

    #[test]
    fn the_facts_of_a_file_are_its_variables() {
        let event = file_event(b"2026/a\xff.csv", Some(Content::Inline(b"12345".to_vec())));
        let variables = facts_of(&event);
        let get = |name: &str| find(&variables, name).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        assert_eq!(get("HIGHWATER_EVENT_ID"), event.id.to_string().into_bytes());
        assert_eq!(get("HIGHWATER_EVENT_TYPE"), b"highwater.file.created");
        assert_eq!(get("HIGHWATER_SOURCE"), b"orders");
        assert_eq!(get("HIGHWATER_PATH"), b"2026/a\xff.csv");
        assert_eq!(get("HIGHWATER_NAME"), b"a\xff.csv");
        assert_eq!(get("HIGHWATER_SIZE"), b"5");
        assert_eq!((get("HIGHWATER_ATTEMPT"), get("HIGHWATER_REVISION")), (b"3".to_vec(), b"1".to_vec()));
        assert_eq!(get("HIGHWATER_SINK"), b"load");
        assert_eq!(find(&variables, "HIGHWATER_FILE"), None);
        assert_eq!(find(&facts_of(&file_event(b"a", None)), "HIGHWATER_SIZE"), Some(OsStr::new("17")));
    }

    #[test]
    fn what_no_variable_can_carry_is_left_out() {
        let long = "k".repeat(STRING_BYTES_MAX);
        let variables = facts_of(&file_event(long.as_bytes(), None));
        assert_eq!(find(&variables, "HIGHWATER_KEY"), None);
        assert!(find(&variables, "HIGHWATER_EVENT_FILE").is_some());
    }

    #[test]
    fn a_file_that_was_not_captured_can_not_be_an_argument() {
        let command = [Template::parse("{file}", &["file"]).expect("valid")];
        let mut event = file_event(b"a.csv", None);
        let arguments = |event: &Event, file| arguments(&command, event, Path::new("/x/event.json"), file);
        assert!(arguments(&event, None).expect_err("no file").contains("no content was captured"));
        assert_eq!(arguments(&event, Some(Path::new("/x/a.csv"))), Ok(vec!["/x/a.csv".into()]));
        event.kind = Kind::Removed;
        assert_eq!(arguments(&event, None), Ok(vec![OsString::new()]));
    }

    #[test]
    fn values_kept_elsewhere_or_named_like_secrets_are_masked() {
        let literal = |text: &str| Secret::literal(text);
        let env = [
            ("ORACLE_HOME".to_owned(), literal("/u01/app")),
            ("DB_PASSWORD".to_owned(), literal("hunter2")),
            ("PIN_TOKEN".to_owned(), literal("1")),
        ];
        let (variables, secrets) = configured(&env).expect("literals");
        assert_eq!(variables.len(), 3);
        assert_eq!(secrets, [b"hunter2".to_vec()]);
    }
}
