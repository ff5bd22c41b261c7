//! The `tls` table, the same for every TLS connection. Using it belongs to `net`.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::node::written_text;
use super::reading::{At, Reading, Secrets};
use super::section::{Located, Setting, section};
use super::word::Words;
use crate::net::{TlsSettings, TlsVersion};

section! {
    /// Certificates and names of a TLS connection.
    pub struct TlsSection {
        /// A PEM file of certificate authorities to trust instead of the system's.
        ca: Option<Located<PathBuf>>,
        /// SHA-256 of the server certificate's public key, "sha256:HEX", that must match.
        pin: Option<Pin>,
        /// The name the certificate must carry instead of the host's.
        server_name: Option<String>,
        /// A PEM file with the client certificate.
        cert: Option<Located<PathBuf>>,
        /// A PEM file with the client key.
        key: Option<Located<PathBuf>>,
        /// The oldest TLS version accepted: "1.2" or "1.3".
        min: TlsVersion = "1.2",
    }
}

/// The settings of the section at `path`; files that can't be read and halves of a pair are reported.
pub fn settings(section: TlsSection, path: &str, reading: &mut Reading) -> TlsSettings {
    for (key, file) in [("ca", &section.ca), ("cert", &section.cert), ("key", &section.key)] {
        let Some(file) = file.as_ref().filter(|_| reading.secrets == Secrets::MustBeThere) else { continue };
        if let Err(error) = std::fs::File::open(&file.value) {
            reading.problem(&file.place, format!("{path}.{key}: read {}: {error}", file.value.display()));
        }
    }
    match (&section.cert, &section.key) {
        (Some(cert), None) => {
            reading.missing(&cert.place, format!("{path}.cert needs a key; add key = \"client.key\""))
        }
        (None, Some(key)) => {
            reading.missing(&key.place, format!("{path}.key needs a certificate; add cert = \"client.pem\""))
        }
        _ => {}
    }
    TlsSettings {
        ca: section.ca.map(|file| file.value),
        pin: section.pin.map(|pin| pin.0),
        server_name: section.server_name,
        cert: section.cert.map(|file| file.value),
        key: section.key.map(|file| file.value),
        min: section.min,
    }
}

/// `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin(pub String);

impl Setting for Pin {
    fn read(at: &At<'_>, reading: &mut Reading) -> Option<Self> {
        reading.parsed(at, |text| match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err("is not a pin; write \"sha256:\" and 64 hexadecimal digits".into()),
        })
    }

    fn shown(&self) -> Option<String> {
        Some(written_text(&self.0))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^sha256:[0-9A-Fa-f]{64}$|\\$\\{" })
    }
}

impl Words for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::V1_2), ("1.3", Self::V1_3)];
}
