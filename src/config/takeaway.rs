//! `on_delivered` and `on_dead`: keep, delete or move. Doing it belongs to the sources, when to do it to `delivery`.

use std::path::{Component, Path};

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::written_text;
use super::reading::{At, Reading};
use super::section::Setting;
use crate::setting::Template;
use crate::source::settings::AfterAction;

/// What is done with a delivered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDelivered(pub AfterAction);

/// What is done with a file that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDead(pub AfterAction);

fn parse(text: &str, known: &str) -> Result<AfterAction, String> {
    match text {
        "keep" => Ok(AfterAction::Keep),
        "delete" => Ok(AfterAction::Delete),
        _ => match text.strip_prefix("move:") {
            Some(folder) => move_target(folder).map(AfterAction::Move),
            None => Err(format!("is none of {known}; write one of them, like \"move:archive/{{date}}\"")),
        },
    }
}

/// A move target begins with a fixed folder, which is then left out of the source: else what was moved would be found
/// again under its new name.
fn move_target(folder: &str) -> Result<Template, String> {
    let template = Template::parse(folder, &[])?;
    let fixed = Path::new(template.fixed_prefix());
    if fixed.components().any(|part| matches!(part, Component::Normal(_) | Component::ParentDir | Component::RootDir)) {
        Ok(template)
    } else {
        Err("begins with no folder of its own; write one that begins with a fixed name, like \"move:archive/{date}\""
            .into())
    }
}

fn written(action: &AfterAction) -> String {
    match action {
        AfterAction::Keep => written_text("keep"),
        AfterAction::Delete => written_text("delete"),
        AfterAction::Move(folder) => written_text(&format!("move:{folder}")),
    }
}

impl Setting for OnDelivered {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| parse(text, "\"keep\", \"delete\", \"move:DIR\"").map(Self))
    }

    fn shown(&self) -> Option<String> {
        Some(written(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let other = json_schema!({ "type": "string", "pattern": "^move:.|\\$\\{" });
        json_schema!({ "anyOf": [{ "enum": ["keep", "delete"] }, other] })
    }
}

impl Setting for OnDead {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match parse(text, "\"keep\", \"move:DIR\"")? {
            AfterAction::Delete => Err("would lose what nobody received; write \"keep\" or \"move:failed\"".into()),
            action => Ok(Self(action)),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let other = json_schema!({ "type": "string", "pattern": "^move:.|\\$\\{" });
        json_schema!({ "anyOf": [{ "enum": ["keep"] }, other] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_target_begins_with_a_fixed_folder() {
        for good in ["archive", "archive/{date}", "../done", "/srv/done/{name}", "done-{date}"] {
            assert!(move_target(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "./", "{date}", "{date}/done"] {
            assert!(move_target(bad).expect_err(bad).contains("fixed name"), "{bad}");
        }
    }
}
