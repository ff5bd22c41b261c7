//! What the common placeholders stand for in an event. Escaping belongs to where they stand: URL, argv, folder.

use std::borrow::Cow;

use crate::change::Nature;
use crate::event::Event;
use crate::setting::template::Placeholder;

/// `{date}` without a format of its own.
pub const DATE_FORMAT: &str = "%Y-%m-%d";

/// The bytes a placeholder stands for; `None` for one that is not common to all adapters.
pub fn value<'e>(event: &'e Event, hole: &Placeholder) -> Option<Cow<'e, [u8]>> {
    let owned = |text: String| Cow::Owned(text.into_bytes());
    Some(match hole.name.as_str() {
        "name" => Cow::Borrowed(name(event)),
        "stem" => Cow::Borrowed(stem(name(event))),
        "path" | "key" => Cow::Borrowed(event.key.as_bytes()),
        "source" => Cow::Borrowed(event.source.as_str().as_bytes()),
        "type" => owned(event.type_name()),
        "id" => owned(event.id.to_string()),
        "date" => {
            let format = hole.format.as_deref().unwrap_or(DATE_FORMAT);
            owned(event.time.strftime(format).unwrap_or_default())
        }
        _ => return None,
    })
}

/// The last component of a file's path; the whole key of anything else, in which a slash means nothing.
pub fn name(event: &Event) -> &[u8] {
    if event.nature == Nature::File { event.key.name() } else { event.key.as_bytes() }
}

fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        None | Some(0) => name,
        Some(dot) => &name[..dot],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_the_name_without_its_last_extension() {
        for (name, expected) in [("a.csv", "a"), ("a.tar.gz", "a.tar"), (".env", ".env"), ("README", "README")] {
            assert_eq!(stem(name.as_bytes()), expected.as_bytes());
        }
    }
}
