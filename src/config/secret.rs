//! Secrets, and tables of texts that may be secrets (headers, environment). No message repeats such a value.
//! Where a secret is kept and how it is read belongs to `setting::secret`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::{Value, written_text};
use super::reading::{At, Quoting, Reading, Secrets};
use super::section::{Keys, Setting};
use crate::setting::Secret;
use crate::setting::secret::SECRETS_MAX;

impl Setting for Secret {
    const QUOTING: Quoting = Quoting::KeyOnly;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let written = match &at.node.value {
            Value::Text(text) => vec![text.clone()],
            Value::List(list) if list.is_empty() || list.len() > SECRETS_MAX => {
                reading.reject(at, format!("holds {} secrets; write one, or two while rotating", list.len()));
                return None;
            }
            Value::List(list) => {
                let texts = list.iter().map(|node| reading.text(&At { node, ..at.clone() }).map(str::to_owned));
                texts.collect::<Vec<_>>().into_iter().collect::<Option<Vec<String>>>()?
            }
            Value::Unknown => return None,
            _ => {
                reading.reject(at, "is not a secret; write \"env:NAME\", \"file:PATH\" or a text in quotes");
                return None;
            }
        };
        for one in &written {
            if let Some(rule) = form_problem(one) {
                reading.reject(at, rule);
                return None;
            }
        }
        let secret = Self::parse_all(&written, at.node.place.folder());
        let read = if reading.secrets == Secrets::NotNeeded { Ok(Vec::new()) } else { secret.reveal_all() };
        match read {
            Ok(values) if values.iter().any(String::is_empty) => {
                reading.reject(at, format!("is empty ({}); give it a value", secret.origin()));
                None
            }
            Ok(_) => Some(secret),
            Err(error) => {
                reading.problem(&at.node.place, format!("{}: {error}", at.full_key()));
                None
            }
        }
    }

    fn shown(&self) -> Option<String> {
        Some(written_text("***"))
    }

    fn origin(&self) -> Option<String> {
        let origin = Secret::origin(self);
        // A literal's origin is its line, or the variable it came from: both are known where it is noted.
        (!origin.split(", ").all(|one| one == "literal")).then_some(origin)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let about = "A secret: env:NAME, file:PATH, literal text, or a list of two while rotating";
        let one = json_schema!({ "type": "string", "minLength": 1 });
        let more = json_schema!({ "type": "array", "items": one, "minItems": 1, "maxItems": SECRETS_MAX });
        json_schema!({ "description": about, "anyOf": [one, more] })
    }
}

fn form_problem(written: &str) -> Option<&'static str> {
    match written {
        "" => Some("is empty; write \"env:NAME\", \"file:PATH\" or a text"),
        "env:" => Some("names no variable; write \"env:NAME\""),
        "file:" => Some("names no file; write \"file:PATH\""),
        _ => None,
    }
}

/// A table of free keys whose values may be secrets.
#[derive(Debug, Clone, Default)]
pub struct SecretTable(pub Vec<SecretEntry>);

/// One entry of a [`SecretTable`].
#[derive(Debug, Clone)]
pub struct SecretEntry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub place: super::place::Place,
    /// The value.
    pub secret: Secret,
}

impl Setting for SecretTable {
    const QUOTING: Quoting = Quoting::KeyOnly;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let keys = Keys::of_value(at, reading)?;
        let mut entries = Vec::new();
        for named in keys.entries() {
            let at = keys.at(&named.key, &named.node, Quoting::KeyOnly);
            let Some(secret) = Secret::read(&at, reading) else { continue };
            reading.note(&at, written_text("***"), Setting::origin(&secret));
            entries.push(SecretEntry { key: named.key.clone(), place: named.place.clone(), secret });
        }
        Some(Self(entries))
    }

    fn shown(&self) -> Option<String> {
        None
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": Secret::schema(generator) })
    }
}
