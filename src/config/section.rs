//! A section of the file as a struct: `section!` declares keys with their types, defaults and descriptions once, and
//! makes of that the reading, the check for unknown keys and the schema. What a value means belongs to its type.

use std::rc::Rc;

use schemars::{Schema, SchemaGenerator};

use super::nearest::nearest;
use super::node::{Named, Node, Table, Value, written_key};
use super::place::{ConfigFile, Place};
use super::reading::{At, Quoting, Reading, SectionPath};

/// A type that a key can have.
pub trait Setting: Sized {
    /// Whether messages may repeat the value.
    const QUOTING: Quoting = Quoting::Value;

    /// Reads it; what is wrong is reported, and `None` returned.
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self>;

    /// The effective value as TOML, for `config show`; `None` when its parts are shown one by one.
    fn shown(&self) -> Option<String>;

    /// Where the value is kept, when that is not the file.
    fn origin(&self) -> Option<String> {
        None
    }

    /// What editors are told.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// What stands at a key of a section: a setting with a default, an `Option` without one, or a [`Required`] one.
pub trait Field: Sized {
    /// Reads the value of `key` in `keys`; `fallback` is the default, or for a required one an example, as TOML.
    fn read(keys: &mut Keys<'_>, key: &'static str, fallback: Option<&'static str>, reading: &mut Reading) -> Self;

    /// Whether the key must be there.
    const REQUIRED: bool = false;

    /// What editors are told.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A setting that must be there; `None` when it is not, or is wrong, which was reported.
#[derive(Debug, Clone)]
pub struct Required<T>(pub Option<T>);

/// A setting that knows where it was written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written; the file alone for a default.
    pub place: Place,
}

/// A key of a section, for the schema.
pub struct KeySchema {
    /// The key.
    pub key: &'static str,
    /// Its doc comment.
    pub about: &'static str,
    /// Its value.
    pub schema: Schema,
    /// Whether it must be there.
    pub required: bool,
    /// The default, or an example for a required one, as TOML.
    pub fallback: Option<&'static str>,
}

/// A struct made by `section!`.
pub trait Section: Sized {
    /// Its doc comment.
    const ABOUT: &'static str;

    /// Keys that the design knows and this version does not.
    const LATER: &'static [&'static str];

    /// Reads its keys and no others; [`Keys::finish`] reports those that nobody read.
    fn read_keys(keys: &mut Keys<'_>, reading: &mut Reading) -> Self;

    /// Its keys, for the schema.
    fn keys(generator: &mut SchemaGenerator) -> Vec<KeySchema>;
}

/// The keys of one table while they are read.
pub struct Keys<'n> {
    /// The section the table is, or is in.
    pub section: Rc<SectionPath>,
    /// Where it begins.
    pub place: Place,
    table: &'n Table,
    /// The key of the table within its section, with a dot; empty when it is the section itself.
    prefix: String,
    asked: Vec<&'static str>,
    later: Vec<&'static str>,
}

impl<'n> Keys<'n> {
    /// The keys of the table that is `section` itself.
    pub fn of_section(section: SectionPath, place: &Place, table: &'n Table) -> Self {
        let (asked, later) = (Vec::new(), Vec::new());
        Self { section: Rc::new(section), place: place.clone(), table, prefix: String::new(), asked, later }
    }

    /// The keys of a table below a section; anything but a table is reported.
    pub fn of_value(at: &At<'n>, reading: &mut Reading) -> Option<Self> {
        let Value::Table(table) = &at.node.value else {
            if !matches!(at.node.value, Value::Unknown) {
                let bare = At { quoting: Quoting::KeyOnly, ..at.clone() };
                reading.reject(&bare, "is not a table; write { key = value, ... }");
            }
            return None;
        };
        let prefix = format!("{}.", at.key);
        let section = Rc::clone(&at.section);
        let (asked, later) = (Vec::new(), Vec::new());
        Some(Self { section, place: at.node.place.clone(), table, prefix, asked, later })
    }

    /// The value of `key`, which counts as known from now on.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.table.get(key).map(|named| &named.node)
    }

    /// Whether `key` is there, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// All entries, for tables whose keys are free.
    pub fn entries(&self) -> &'n [Named] {
        &self.table.entries
    }

    /// The path problems name this table by: `source.orders`, `sink.erp.sign`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section.path, self.prefix).trim_end_matches('.').to_owned()
    }

    /// A value of this table, to be read.
    pub fn at<'m>(&self, key: &str, node: &'m Node, quoting: Quoting) -> At<'m> {
        let key = format!("{}{}", self.prefix, written_key(key));
        At { node, section: Rc::clone(&self.section), key, quoting }
    }

    /// Reads the keys of one struct of settings.
    pub fn read<S: Section>(&mut self, reading: &mut Reading) -> S {
        self.later.extend(S::LATER);
        S::read_keys(self, reading)
    }

    /// Reports those of `keys` that are there: they belong to something else, as `rule` says.
    pub fn refuse(&mut self, keys: &[&'static str], rule: &str, reading: &mut Reading) {
        for key in keys {
            if let Some(named) = self.table.get(key) {
                self.asked.push(key);
                reading.problem(&named.place, format!("{}.{key} {rule}", self.path()));
            }
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self, reading: &mut Reading) {
        for Named { key, place, .. } in &self.table.entries {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let path = self.path();
            if self.later.contains(&key.as_str()) {
                reading.problem(place, format!("{path}.{key} is not available in this version; remove it"));
                continue;
            }
            let remedy = match nearest(key, self.asked.iter().copied()) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("known are {}", self.asked.join(", ")),
            };
            reading.missing(place, format!("unknown key {} in {path}; {remedy}", super::reading::quoted_text(key)));
        }
    }

    fn read_value<T: Setting>(&mut self, key: &'static str, reading: &mut Reading) -> Found<T> {
        let Some(node) = self.take(key) else { return Found::Nothing };
        let at = self.at(key, node, T::QUOTING);
        match T::read(&at, reading) {
            Some(value) => {
                if let Some(shown) = value.shown() {
                    reading.note(&at, shown, value.origin());
                }
                Found::Value(value)
            }
            None => Found::Wrong,
        }
    }

    /// Reads `written`, a default, as if it stood in the file.
    fn read_default<T: Setting>(&self, key: &'static str, written: &str, reading: &mut Reading) -> T {
        let place = Place::whole(self.place.file());
        let node = written_default(written, self.place.file());
        let node = Node { place, ..node };
        let at = self.at(key, &node, T::QUOTING);
        let value = T::read(&at, reading).expect("the default of a section is one of its values");
        if let Some(shown) = value.shown() {
            reading.note(&at, shown, None);
        }
        value
    }
}

enum Found<T> {
    Nothing,
    Wrong,
    Value(T),
}

/// A default, which is TOML, as a node without a place.
fn written_default(written: &str, file: &std::sync::Arc<ConfigFile>) -> Node {
    let nowhere = ConfigFile {
        index: file.index,
        shown: file.shown.clone(),
        folder: file.folder.clone(),
        broken_lines: Vec::new(),
    };
    let (_, table) = super::node::parse(nowhere, &format!("it = {written}"), &|_| None, &mut Vec::new());
    let mut node = table.entries.into_iter().next().expect("a default is TOML").node;
    forget_lines(&mut node, &Place::whole(file));
    node
}

fn forget_lines(node: &mut Node, place: &Place) {
    node.place = place.clone();
    if let Value::List(list) = &mut node.value {
        for one in list {
            forget_lines(one, place);
        }
    }
}

impl<T: Setting> Field for T {
    fn read(keys: &mut Keys<'_>, key: &'static str, fallback: Option<&'static str>, reading: &mut Reading) -> Self {
        match keys.read_value(key, reading) {
            Found::Value(value) => value,
            // A wrong value was reported, so nothing will be started with the default in its place.
            Found::Nothing | Found::Wrong => {
                keys.read_default(key, fallback.expect("a key that is not optional has a default"), reading)
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Setting> Field for Option<T> {
    fn read(keys: &mut Keys<'_>, key: &'static str, _: Option<&'static str>, reading: &mut Reading) -> Self {
        match keys.read_value(key, reading) {
            Found::Value(value) => Some(value),
            Found::Nothing | Found::Wrong => None,
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Setting> Field for Required<T> {
    const REQUIRED: bool = true;

    fn read(keys: &mut Keys<'_>, key: &'static str, fallback: Option<&'static str>, reading: &mut Reading) -> Self {
        match keys.read_value(key, reading) {
            Found::Value(value) => Self(Some(value)),
            Found::Wrong => Self(None),
            Found::Nothing => {
                let example = fallback.expect("a required key has an example");
                let path = keys.path();
                reading.missing(&keys.place, format!("{path} has no \"{key}\"; add for example {key} = {example}"));
                Self(None)
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Setting> Setting for Located<T> {
    const QUOTING: Quoting = T::QUOTING;

    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        Some(Self { value: T::read(at, reading)?, place: at.node.place.clone() })
    }

    fn shown(&self) -> Option<String> {
        self.value.shown()
    }

    fn origin(&self) -> Option<String> {
        self.value.origin()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// A section that is the value of a key of another: `sign = { ... }`.
#[derive(Debug, Clone)]
pub struct Nested<S>(pub S);

impl<S: Section> Setting for Nested<S> {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        let mut keys = Keys::of_value(at, reading)?;
        let section = keys.read(reading);
        keys.finish(reading);
        Some(Self(section))
    }

    fn shown(&self) -> Option<String> {
        None
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        super::schema::object(&[S::ABOUT], S::keys(generator))
    }
}

/// Declares a section: a struct of settings from which reading and schema are made. `key: Type = default` takes the
/// default as TOML; a [`Required`] one takes an example there. `field as "key"` is for keys that are words of Rust, and
/// `later [...]` names the keys that the design knows and this version does not.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident $(later [$($later:literal),+])? {
            $( $(#[doc = $doc:literal])+ $field:ident $(as $key:literal)? : $type:ty $(= $fallback:expr)?, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type, )+ }

        impl $crate::config::section::Section for $name {
            const ABOUT: &'static str = concat!($($about),+);

            const LATER: &'static [&'static str] = &[$($($later),+)?];

            fn read_keys(
                keys: &mut $crate::config::section::Keys<'_>,
                reading: &mut $crate::config::reading::Reading,
            ) -> Self {
                Self { $( $field: <$type as $crate::config::section::Field>::read(
                    keys,
                    section!(@key $field $($key)?),
                    section!(@fallback $($fallback)?),
                    reading,
                ), )+ }
            }

            fn keys(generator: &mut schemars::SchemaGenerator) -> Vec<$crate::config::section::KeySchema> {
                vec![ $( $crate::config::section::KeySchema {
                    key: section!(@key $field $($key)?),
                    about: concat!($($doc),+),
                    schema: <$type as $crate::config::section::Field>::schema(generator),
                    required: <$type as $crate::config::section::Field>::REQUIRED,
                    fallback: section!(@fallback $($fallback)?),
                }, )+ ]
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@fallback) => { None };
    (@fallback $fallback:expr) => { Some(stringify!($fallback)) };
}
pub(super) use section;
