//! A script's run as a command line, for people to copy. Secrets stand in it as the place they are kept.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::environment;
use crate::change::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::setting::{Secret, SinkName};
use crate::sink::mask::is_secret;
use crate::sink::settings::{ScriptSettings, Stdin};
use crate::sink::{Attempt, placeholder};

/// Where the command line puts the content and the event.
const FOLDER: &str = "/tmp/highwater-test";

/// A content of up to so many bytes is written out.
const WRITTEN_BYTES_MAX: usize = 1024;

/// The lines that would deliver `attempt` by hand.
pub fn command_line(settings: &ScriptSettings, attempt: &Attempt<'_>, sink: &SinkName) -> Result<String> {
    let event = attempt.event;
    let event_file = Path::new(FOLDER).join("event.json");
    let file: Option<PathBuf> =
        event.content.as_ref().map(|_| Path::new(FOLDER).join(OsStr::from_bytes(placeholder::name(event))));
    let arguments = environment::arguments(&settings.command, event, &event_file, file.as_deref());
    let arguments = arguments.map_err(|why| Error::new(ErrorKind::Invalid, why))?;
    let mut lines = vec![
        format!("mkdir -p {FOLDER}"),
        format!("printf '%s\\n' {} > {}", quoted(&event.body), quoted(event_file.as_os_str().as_bytes())),
    ];
    if let (Some(file), Some(content)) = (&file, &event.content) {
        lines.push(format!("{} > {}", printed(content, event), quoted(file.as_os_str().as_bytes())));
    }
    lines.push(format!("cd {}", quoted(settings.cwd.as_os_str().as_bytes())));
    let mut run = vec!["env -i \"PATH=$PATH\" \"HOME=$HOME\" \"LANG=$LANG\" \"TZ=$TZ\"".to_owned()];
    run.extend(settings.env.iter().map(|(name, secret)| variable(name, secret)));
    for (name, value) in environment::facts(attempt, sink, &event_file, file.as_deref()) {
        run.push(format!("{}={}", name.to_string_lossy(), quoted(value.as_bytes())));
    }
    let mut command: Vec<String> = arguments.iter().map(|argument| quoted(argument.as_bytes())).collect();
    let program = Path::new(&arguments[0]);
    if arguments[0].as_bytes().contains(&b'/') {
        command[0] = quoted(settings.base.join(program).components().collect::<PathBuf>().as_os_str().as_bytes());
    }
    let input = match (settings.stdin, &file) {
        (Stdin::Event, _) => event_file,
        (Stdin::Content, Some(file)) => file.clone(),
        _ => "/dev/null".into(),
    };
    run.push(format!("{} < {}", command.join(" "), quoted(input.as_os_str().as_bytes())));
    lines.push(run.join(" \\\n  "));
    Ok(lines.join("\n"))
}

/// A command that prints the content: a short text itself, as the event may be made up; else what is stored.
fn printed(content: &Content, event: &Event) -> String {
    match content {
        Content::Inline(bytes) if bytes.len() <= WRITTEN_BYTES_MAX && is_plain(bytes) => {
            format!("printf '%s' {}", quoted(bytes))
        }
        _ => format!("highwater content {}", event.id),
    }
}

fn is_plain(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\n'))
}

fn variable(name: &str, secret: &Secret) -> String {
    match secret.reveal() {
        Ok(value) if !is_secret(name, secret) => format!("{name}={}", quoted(value.as_bytes())),
        _ => format!("{name}='*** ({})'", secret.origin()),
    }
}

/// Bytes as one word of a POSIX shell; what is not UTF-8 is shown lossily.
fn quoted(bytes: &[u8]) -> String {
    format!("'{}'", String::from_utf8_lossy(bytes).replace('\'', "'\\''"))
}
