//! What the network adapters share: the HTTP client, TLS and signatures.
//! Which address to call and what an answer means belongs to sinks and sources.

pub mod address;
pub mod body;
pub mod client;
pub mod failure;
pub mod proxy;
pub mod signature;
pub mod tls;

use std::path::PathBuf;

/// The `tls` table, the same for every TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the server certificate's public key, `sha256:HEX`, that must match.
    pub pin: Option<String>,
    /// The name the certificate must carry instead of the host's.
    pub server_name: Option<String>,
    /// A PEM file with the client certificate.
    pub cert: Option<PathBuf>,
    /// A PEM file with the client key.
    pub key: Option<PathBuf>,
    /// The oldest TLS version accepted.
    pub min: TlsVersion,
}

/// TLS versions that can be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}
