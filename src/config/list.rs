//! Lists of settings: any number, at least one, or one written without brackets.
//! What an item is belongs to its type.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::Value;
use super::reading::{At, Quoting, Reading};
use super::section::Setting;

/// A list longer than this is a mistake.
pub const ITEMS_MAX: usize = 1_000;

impl<T: Setting> Setting for Vec<T> {
    const QUOTING: Quoting = T::QUOTING;

    /// Every wrong item is reported at its own line.
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let list = match &at.node.value {
            Value::List(list) => list,
            Value::Unknown => return None,
            Value::Table(_) => {
                reading.reject(at, "is not a list; write it in brackets");
                return None;
            }
            _ => {
                reading.reject(at, "is not a list; put it in brackets: [\"...\"]");
                return None;
            }
        };
        if list.len() > ITEMS_MAX {
            reading.reject(at, format!("has {} items; at most {ITEMS_MAX} are allowed", list.len()));
            return None;
        }
        let items: Vec<Option<T>> = list.iter().map(|node| T::read(&At { node, ..at.clone() }, reading)).collect();
        items.into_iter().collect()
    }

    fn shown(&self) -> Option<String> {
        let items: Option<Vec<String>> = self.iter().map(Setting::shown).collect();
        // Lists of tables are shown part by part.
        if self.is_empty() { Some("[]".into()) } else { items.map(|items| format!("[{}]", items.join(", "))) }
    }

    fn origin(&self) -> Option<String> {
        let origins: Vec<String> = self.iter().filter_map(Setting::origin).collect();
        (!origins.is_empty()).then(|| origins.join(", "))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator), "maxItems": ITEMS_MAX })
    }
}

/// A list that must not be empty.
#[derive(Debug, Clone)]
pub struct AtLeastOne<T>(pub Vec<T>);

impl<T: Setting> Setting for AtLeastOne<T> {
    const QUOTING: Quoting = T::QUOTING;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let items = Vec::read(at, reading)?;
        if items.is_empty() {
            reading.reject(at, "is empty; name at least one, or remove the key");
            return None;
        }
        Some(Self(items))
    }

    fn shown(&self) -> Option<String> {
        self.0.shown()
    }

    fn origin(&self) -> Option<String> {
        self.0.origin()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<T>::schema(generator);
        schema.insert("minItems".into(), 1.into());
        schema
    }
}

/// A list that must not be empty, and of which a single item may stand without brackets.
#[derive(Debug, Clone)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T: Setting> Setting for OneOrMore<T> {
    const QUOTING: Quoting = T::QUOTING;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        match &at.node.value {
            Value::List(_) => AtLeastOne::read(at, reading).map(|list| Self(list.0)),
            _ => T::read(at, reading).map(|one| Self(vec![one])),
        }
    }

    fn shown(&self) -> Option<String> {
        match &self.0[..] {
            [one] => one.shown(),
            more => {
                more.iter().map(Setting::shown).collect::<Option<Vec<_>>>().map(|all| format!("[{}]", all.join(", ")))
            }
        }
    }

    fn origin(&self) -> Option<String> {
        self.0.origin()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, more) = (T::schema(generator), AtLeastOne::<T>::schema(generator));
        json_schema!({ "anyOf": [one, more] })
    }
}
