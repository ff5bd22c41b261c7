//! The JSON Schema of the file, made from the same sections that read it, so that editors complete and check.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::file::ConfigSection;
use super::folder::{DirectorySection, FolderSection};
use super::ftp::FtpSection;
use super::http::HttpSection;
use super::mysql::MysqlSection;
use super::odbc::OdbcSection;
use super::remote::RemoteSection;
use super::route::RouteSection;
use super::schedule::CalendarSection;
use super::script::ScriptSection;
use super::section::{KeySchema, Section};
use super::server::{CertificateSection, NamedServerSection, ServerSection, SshSection};
use super::sink::SinkSection;
use super::source::SourceSection;
use super::state::StateSection;
use super::table::{PostgresSection, SqliteSection, TableSection};

/// The schema (JSON Schema 2020-12) of `highwater.toml`, as indented JSON.
pub fn json() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    serde_json::to_string_pretty(&schema).expect("a schema is JSON")
}

/// The schema of a table with these keys and no others.
pub fn object(about: &[&str], keys: Vec<KeySchema>) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let mut schema = key.schema;
        schema.insert("description".into(), key.about.trim().into());
        if let Some(fallback) = key.fallback {
            let value = json_of(fallback);
            match key.required {
                true => schema.insert("examples".into(), json!([value])),
                false => schema.insert("default".into(), value),
            };
        }
        if key.required {
            required.push(key.key);
        }
        properties.insert(key.key.into(), schema.to_value());
    }
    let about: Vec<&str> = about.iter().map(|text| text.trim()).collect();
    let mut schema = json_schema!({
        "type": "object",
        "description": about.join(" "),
        "properties": properties,
        "additionalProperties": false
    });
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema
}

/// A default or example, which is TOML, as JSON.
fn json_of(written: &str) -> Value {
    let table: toml::Table = toml::from_str(&format!("it = {written}")).expect("a default is TOML");
    serde_json::to_value(&table["it"]).expect("TOML without dates is JSON")
}

/// The whole file.
struct File;

impl JsonSchema for File {
    fn schema_name() -> Cow<'static, str> {
        "highwater.toml".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$" });
        let source = json!({ "oneOf": [
            generator.subschema_for::<FolderSource>(),
            generator.subschema_for::<FtpSource>(),
            generator.subschema_for::<SftpSource>(),
            generator.subschema_for::<SqliteSource>(),
            generator.subschema_for::<PostgresSource>(),
            generator.subschema_for::<MysqlSource>(),
            generator.subschema_for::<OdbcSource>(),
        ] });
        let sink = json!({ "oneOf": [
            generator.subschema_for::<HttpSink>(),
            generator.subschema_for::<ScriptSink>(),
        ] });
        let server = object(&[NamedServerSection::ABOUT], server_keys(generator));
        json_schema!({
            "description": "The configuration of Highwater.",
            "type": "object",
            "properties": {
                "config": object(&[ConfigSection::ABOUT], ConfigSection::keys(generator)),
                "state": object(&[StateSection::ABOUT], StateSection::keys(generator)),
                "server": { "description": "Servers that sources share, by name.", "type": "object", "propertyNames": name,
                    "additionalProperties": server },
                "source": { "description": "The sources, by name.", "type": "object", "propertyNames": name,
                    "additionalProperties": source },
                "sink": { "description": "The sinks, by name.", "type": "object", "propertyNames": name,
                    "additionalProperties": sink },
            },
            "additionalProperties": false
        })
    }
}

/// Declares the schema of one kind: its word, what it is, and the sections its keys are in.
macro_rules! kind_schema {
    ($name:ident, $id:literal, $kind:literal, $routes:literal, [$($section:ty),+]) => {
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $id.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let mut keys = vec![kind_key($kind)];
                $( keys.extend(<$section>::keys(generator)); )+
                if $routes {
                    keys.push(routes_key(generator));
                }
                object(&[$(<$section>::ABOUT),+][..1], keys)
            }
        }
    };
}

kind_schema!(
    FolderSource,
    "folder_source",
    "folder",
    true,
    [FolderSection, DirectorySection, SourceSection, CalendarSection]
);
kind_schema!(
    FtpSource,
    "ftp_source",
    "ftp",
    true,
    [FtpSection, RemoteSection, ServerSection, CertificateSection, DirectorySection, SourceSection, CalendarSection]
);
kind_schema!(
    SftpSource,
    "sftp_source",
    "sftp",
    true,
    [RemoteSection, ServerSection, SshSection, DirectorySection, SourceSection, CalendarSection]
);
kind_schema!(
    SqliteSource,
    "sqlite_source",
    "sqlite",
    true,
    [SqliteSection, TableSection, SourceSection, CalendarSection]
);
kind_schema!(
    PostgresSource,
    "postgres_source",
    "postgres",
    true,
    [PostgresSection, TableSection, SourceSection, CalendarSection]
);
kind_schema!(MysqlSource, "mysql_source", "mysql", true, [MysqlSection, TableSection, SourceSection, CalendarSection]);
kind_schema!(OdbcSource, "odbc_source", "odbc", true, [OdbcSection, TableSection, SourceSection, CalendarSection]);
kind_schema!(HttpSink, "http_sink", "http", false, [HttpSection, SinkSection]);
kind_schema!(ScriptSink, "script_sink", "script", false, [ScriptSection, SinkSection]);

fn server_keys(generator: &mut SchemaGenerator) -> Vec<KeySchema> {
    let mut keys = NamedServerSection::keys(generator);
    keys.extend(ServerSection::keys(generator));
    keys.extend(CertificateSection::keys(generator));
    keys.extend(SshSection::keys(generator));
    keys
}

fn kind_key(kind: &'static str) -> KeySchema {
    let schema = json_schema!({ "const": kind });
    KeySchema { key: "kind", about: "What it is.", schema, required: true, fallback: None }
}

fn routes_key(generator: &mut SchemaGenerator) -> KeySchema {
    let route = object(&[RouteSection::ABOUT], RouteSection::keys(generator));
    let schema = json_schema!({ "type": "array", "items": route });
    let about = "Routes, instead of `to`: the first that matches decides which sinks an event goes to.";
    KeySchema { key: "route", about, schema, required: false, fallback: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_key() {
        let schema: Value = serde_json::from_str(&json()).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for kind in [
            "folder_source",
            "ftp_source",
            "sftp_source",
            "sqlite_source",
            "postgres_source",
            "mysql_source",
            "odbc_source",
            "http_sink",
            "script_sink",
        ] {
            let properties = schema["$defs"][kind]["properties"].as_object().expect(kind);
            for (key, about) in properties {
                assert!(about["description"].as_str().is_some_and(|text| text.len() > 8), "{kind}.{key}");
            }
        }
        let every = &schema["$defs"]["folder_source"]["properties"]["every"];
        assert_eq!(every["default"], "30s");
        assert_eq!(schema["$defs"]["script_sink"]["required"], json!(["kind", "command"]));
    }
}
