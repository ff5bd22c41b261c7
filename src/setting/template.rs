//! Placeholder templates: `{name} {stem} {path} {key} {source} {type} {id} {date} {date:%Y%m%d}`, the same everywhere.
//! What a placeholder stands for, and how it is escaped, is given by the caller at each rendering.

use std::fmt;

/// Text with placeholders, parsed once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Hole(Placeholder),
}

/// One placeholder: its name and, for `{date:%Y}`, the format behind the colon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Placeholder {
    /// The word before the colon.
    pub name: String,
    /// The text behind the colon, where there is one.
    pub format: Option<String>,
}

/// The placeholders known everywhere; adapters may allow further ones (a script's `{file}`).
pub const PLACEHOLDERS: [&str; 8] = ["name", "stem", "path", "key", "source", "type", "id", "date"];

impl Template {
    /// Parses `text`, accepting the common placeholders and those in `further`. `{{` and `}}` stand for braces.
    /// The error is rule and remedy, to be put behind "key = value".
    pub fn parse(text: &str, further: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("has a \"}\" without \"{\"; write \"}}\" for a brace".into());
            }
            let end = rest.find('}').ok_or("has a \"{\" without \"}\"; write \"{{\" for a brace")?;
            let hole = parse_hole(&rest[..end], further)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Hole(hole));
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text with each placeholder replaced by what `value` answers; the caller escapes in `value`.
    pub fn render(&self, mut value: impl FnMut(&Placeholder) -> String) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Hole(hole) => out.push_str(&value(hole)),
            }
        }
        out
    }

    /// As [`Template::render`], for places that take bytes: names of files need not be UTF-8.
    pub fn render_bytes<V: AsRef<[u8]>>(&self, mut value: impl FnMut(&Placeholder) -> V) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Hole(hole) => out.extend_from_slice(value(hole).as_ref()),
            }
        }
        out
    }

    /// Whether it has no placeholder at all.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether the placeholder `name` occurs.
    pub fn mentions(&self, name: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Hole(hole) if hole.name == name))
    }

    /// The text before the first placeholder.
    pub fn fixed_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn parse_hole(inside: &str, further: &[&str]) -> Result<Placeholder, String> {
    let (name, format) = match inside.split_once(':') {
        Some((name, format)) => (name, Some(format.to_owned())),
        None => (inside, None),
    };
    if !PLACEHOLDERS.contains(&name) && !further.contains(&name) {
        let mut known: Vec<String> = PLACEHOLDERS.iter().chain(further).map(|n| format!("{{{n}}}")).collect();
        known.dedup();
        return Err(format!("has the unknown placeholder {{{inside}}}; known are {}", known.join(" ")));
    }
    if format.is_some() && name != "date" && !further.contains(&name) {
        return Err(format!("has a format on {{{name}}}; only {{date:...}} takes one"));
    }
    Ok(Placeholder { name: name.to_owned(), format })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_doubled_braces_kept() {
        let template = Template::parse("a{{b}}/{name}-{date:%Y}", &[]).expect("valid");
        let shown = template.render(|hole| format!("<{}{}>", hole.name, hole.format.as_deref().unwrap_or("")));
        assert_eq!(shown, "a{b}/<name>-<date%Y>");
        assert!(template.mentions("date") && !template.is_plain());
        assert_eq!(template.fixed_prefix(), "a{b}/");
    }

    #[test]
    fn an_unknown_placeholder_is_refused_with_the_known_ones() {
        assert!(Template::parse("{file}", &[]).expect_err("unknown").contains("{name}"));
        assert!(Template::parse("{file}", &["file"]).is_ok());
        assert!(Template::parse("{name", &[]).is_err());
        assert!(Template::parse("name}", &[]).is_err());
        assert!(Template::parse("{name:%Y}", &[]).is_err());
    }
}
