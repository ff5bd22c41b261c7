//! TLS for clients: rustls with aws-lc-rs, the system's authorities or those of the `tls` table, and pinned keys.
//! Connections are made by whoever has the socket: the HTTP client, FTP, databases.

use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{TlsSettings, TlsVersion};
use crate::error::{Error, ErrorKind, Result};

const PIN_PREFIX: &str = "sha256:";

/// A client configuration that follows `settings`. Certificates are read from their files now.
///
/// A server is trusted when its chain ends at `ca`, or at the system's authorities where there is no `ca`, and its name
/// fits. With `pin` the server's public key must have that SHA-256; a pin without `ca` is trusted by itself, so that
/// self-signed certificates of old servers can be used safely.
///
/// # Errors
/// `Config` for files that can't be read or hold no certificate, and for a malformed pin.
pub fn client_config(settings: &TlsSettings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = verifier(settings, &provider)?;
    let versions: &[&SupportedProtocolVersion] = match settings.min {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| Error::internal("set the TLS versions").because(e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&settings.cert, &settings.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let key_pem = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable("tls.key", key, e))?;
            builder.with_client_auth_cert(certificates("tls.cert", cert)?, key_pem).map_err(|e| {
                config(format!("tls.cert and tls.key do not fit: {} {}", cert.display(), key.display()), e)
            })
        }
        _ => Err(Error::new(ErrorKind::Config, "tls.cert and tls.key belong together; give both or neither")),
    }
}

/// The name a server's certificate must carry: `tls.server_name`, else `host` (an IPv6 address without brackets).
///
/// # Errors
/// `Config` for a name that can be no certificate's.
pub fn server_name(settings: &TlsSettings, host: &str) -> Result<ServerName<'static>> {
    let name = settings.server_name.as_deref().unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).map_err(|e| config(format!("\"{name}\" can't be a server's name"), e))
}

/// Reads a pin, `sha256:HEX`.
///
/// # Errors
/// Rule and remedy, to be put behind "key = value".
pub fn parse_pin(text: &str) -> Result<[u8; 32], String> {
    let hex = text.strip_prefix(PIN_PREFIX).unwrap_or_default().replace(':', "");
    let digest = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| {
        "is not a pin; write \"sha256:\" and the 64 hex digits of the SHA-256 of the server's public key".into()
    })
}

fn verifier(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let pin = settings.pin.as_deref().map(parse_pin).transpose();
    let pin = pin.map_err(|rule| Error::new(ErrorKind::Config, format!("tls.pin {rule}")))?;
    let chain: Option<Arc<dyn ServerCertVerifier>> = match (&settings.ca, pin) {
        (Some(ca), _) => Some(own_authorities(ca, provider)?),
        (None, Some(_)) => None,
        (None, None) => Some(Arc::new(
            rustls_platform_verifier::Verifier::new(provider.clone())
                .map_err(|e| config("load the system's certificate authorities; install ca-certificates", e))?,
        )),
    };
    Ok(match (chain, pin) {
        (Some(chain), None) => chain,
        (chain, Some(pin)) => Arc::new(Pinned { pin, chain, provider: provider.clone() }),
        (None, None) => return Err(Error::internal("a TLS server that nothing checks")),
    })
}

fn own_authorities(ca: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls.ca", ca)? {
        roots.add(certificate).map_err(|e| config(format!("tls.ca {} holds no usable authority", ca.display()), e))?;
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    Ok(built.map_err(|e| config(format!("use tls.ca {}", ca.display()), e))?)
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read = read.map_err(|e| unreadable(key, path, e))?;
    if read.is_empty() {
        let rule = format!("{key} {} holds no certificate; it must be a PEM file", path.display());
        return Err(Error::new(ErrorKind::Config, rule));
    }
    Ok(read)
}

fn unreadable(key: &str, path: &Path, cause: rustls::pki_types::pem::Error) -> Error {
    config(format!("read {key} {}", path.display()), cause)
}

fn config(doing: impl Into<String>, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Config, doing).because(cause)
}

/// Trusts one public key, and beside it the chain where an authority is configured.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    chain: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        let seen: [u8; 32] = Sha256::digest(ParsedCertificate::try_from(end_entity)?.subject_public_key_info()).into();
        if bool::from(seen.ct_eq(&self.pin)) {
            Ok(ServerCertVerified::assertion())
        } else {
            let seen = data_encoding::HEXLOWER.encode(&seen);
            Err(rustls::Error::General(format!("the server's public key is {PIN_PREFIX}{seen}, not the pinned one")))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_the_hex_of_a_sha_256() {
        let hex = "ab".repeat(32);
        assert_eq!(parse_pin(&format!("sha256:{hex}")), Ok([0xab; 32]));
        assert_eq!(parse_pin(&format!("sha256:{}", ["AB"; 32].join(":"))), Ok([0xab; 32]));
        for bad in ["", "sha256:", "sha256:abcd", &hex, "sha1:abcd"] {
            assert!(parse_pin(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_at_the_start() {
        let lone = TlsSettings { cert: Some("client.pem".into()), ..TlsSettings::default() };
        assert!(client_config(&TlsSettings { pin: Some("sha256:00".into()), ..TlsSettings::default() }).is_err());
        let missing = TlsSettings { ca: Some("/nowhere/ca.pem".into()), ..TlsSettings::default() };
        let error = client_config(&missing).expect_err("no such file");
        assert!(error.to_string().contains("tls.ca /nowhere/ca.pem"), "{error}");
        let pin = Some(format!("{PIN_PREFIX}{}", "00".repeat(32)));
        assert!(client_config(&TlsSettings { pin, ..lone }).expect_err("half").to_string().contains("tls.key"));
    }
}
