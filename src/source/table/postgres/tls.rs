//! TLS to PostgreSQL as `sslmode` means it: what of the server's certificate is checked, and who we say we are.
//! Which mode applies is read in `address`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, Mode};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{TlsSettings, TlsVersion};

/// Makes TLS connections, under another name than the host's where the settings say so.
#[derive(Clone)]
pub struct Connector {
    inner: MakeRustlsConnect,
    server_name: Option<String>,
}

impl Connector {
    /// Reads the certificates that `address` names.
    ///
    /// # Errors
    /// A file that can't be read or holds no certificate or key, by name.
    pub fn new(address: &Address) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = &address.tls;
        let versions: &[&rustls::SupportedProtocolVersion] = match tls.min {
            TlsVersion::V1_2 => rustls::ALL_VERSIONS,
            TlsVersion::V1_3 => &[&rustls::version::TLS13],
        };
        let internal = |e: rustls::Error| Error::internal("set up TLS").because(e);
        let verifier = Arc::new(Verifier::new(address, &provider)?);
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(internal)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match (&tls.cert, &tls.key) {
            (Some(cert), key) => {
                let key = key.as_deref().unwrap_or(cert);
                let chain = certificates(cert)?;
                let private = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable("client key", key, &e))?;
                builder.with_client_auth_cert(chain, private).map_err(|e| unreadable("client certificate", cert, &e))?
            }
            (None, _) => builder.with_no_client_auth(),
        };
        Ok(Self { inner: MakeRustlsConnect::new(config), server_name: tls.server_name.clone() })
    }
}

impl<S> MakeTlsConnect<S> for Connector
where
    MakeRustlsConnect: MakeTlsConnect<S>,
{
    type Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<S>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> std::result::Result<Self::TlsConnect, Self::Error> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        self.inner.make_tls_connect(&name)
    }
}

/// What of a server's certificate is checked.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// SHA-256 of the public key it must have.
    pin: Option<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Trust {
    /// Anything: the connection is encrypted, no more.
    Anyone,
    /// A chain to one of these authorities; the name too where `full`.
    Roots { store: Arc<RootCertStore>, given: Vec<CertificateDer<'static>>, full: bool },
    /// Whatever the system trusts, name included.
    System(Arc<dyn ServerCertVerifier>),
}

impl Verifier {
    fn new(address: &Address, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let pin = address.tls.pin.as_deref().map(parse_pin).transpose()?;
        let full = address.mode == Mode::VerifyFull;
        let trust = match (address.mode, root_file(&address.tls, address.system_roots)) {
            (Mode::VerifyCa | Mode::VerifyFull, Some(path)) => {
                let given = certificates(&path)?;
                let mut store = RootCertStore::empty();
                for root in &given {
                    store.add(root.clone()).map_err(|e| unreadable("certificate authority", &path, &e))?;
                }
                Trust::Roots { store: Arc::new(store), given, full }
            }
            (Mode::VerifyCa | Mode::VerifyFull, None) => Trust::System(system(provider)?),
            _ => Trust::Anyone,
        };
        Ok(Self { trust, pin, provider: provider.clone() })
    }

    fn check_pin(&self, certificate: &CertificateDer<'_>) -> std::result::Result<(), rustls::Error> {
        let Some(pin) = &self.pin else { return Ok(()) };
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        if Sha256::digest(key.as_ref()).as_slice() == pin.as_slice() {
            Ok(())
        } else {
            Err(rustls::Error::General("the server's public key is not the pinned one (tls.pin)".into()))
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.check_pin(certificate)?;
        match &self.trust {
            Trust::Anyone => {}
            Trust::System(system) => {
                return system.verify_server_cert(certificate, intermediates, name, ocsp, now);
            }
            Trust::Roots { store, given, full } => {
                let parsed = ParsedCertificate::try_from(certificate)?;
                // A self-signed server certificate that is itself given as the root is common with PostgreSQL; webpki
                // refuses an authority's certificate as a server's, OpenSSL does not.
                if !given.iter().any(|root| root == certificate) {
                    let algorithms = self.provider.signature_verification_algorithms.all;
                    verify_server_cert_signed_by_trust_anchor(&parsed, store, intermediates, now, algorithms)?;
                }
                if *full {
                    verify_server_name(&parsed, name)?;
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_indifferent() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_indifferent() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Verifier {
    /// Whoever accepts any key gains nothing from its signature, and old certificates (X.509 v1) could not be parsed.
    fn is_indifferent(&self) -> bool {
        matches!(self.trust, Trust::Anyone) && self.pin.is_none()
    }
}

fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    match rustls_platform_verifier::Verifier::new(provider.clone()) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => {
            let fact = "the system has no certificate authorities to verify the server with; name them in tls.ca";
            Err(Error::new(ErrorKind::Config, fact).because(error))
        }
    }
}

/// The file with the authorities: `tls.ca`, `sslrootcert`, or libpq's own place for it.
fn root_file(tls: &TlsSettings, system_roots: bool) -> Option<PathBuf> {
    if system_roots {
        return None;
    }
    tls.ca.clone().or_else(|| {
        let standard = std::env::home_dir()?.join(".postgresql/root.crt");
        standard.exists().then_some(standard)
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let found = read.map_err(|e| unreadable("certificates", path, &e))?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("{} holds no certificate in PEM", path.display())));
    }
    Ok(found)
}

fn unreadable(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("read the {what} in {}", path.display())).because(error.to_string())
}

fn parse_pin(text: &str) -> Result<Vec<u8>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "");
    match HEXLOWER_PERMISSIVE.decode(hex.as_bytes()) {
        Ok(bytes) if bytes.len() == 32 => Ok(bytes),
        _ => Err(Error::new(ErrorKind::Config, "tls.pin must be sha256: and the 64 hex digits of the public key")),
    }
}
