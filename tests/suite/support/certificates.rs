//! Certificates for receivers, made anew in each test.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// An authority of a test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// Its own certificate.
    pub der: CertificateDer<'static>,
}

/// A certificate with its key.
pub struct Identity {
    /// The certificate alone.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// `sha256:HEX` of its public key.
    pub pin: String,
    pem: (String, String),
}

impl Identity {
    /// Writes certificate and key into `folder`.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join("client.pem"), folder.join("client.key"));
        std::fs::write(&cert, &self.pem.0).expect("write");
        std::fs::write(&key, &self.pem.1).expect("write");
        (cert, key)
    }
}

impl Authority {
    /// A fresh authority that nobody trusts yet.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// Writes its certificate into `folder`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("ca.pem");
        std::fs::write(&path, &self.pem).expect("write");
        path
    }

    /// A certificate for `name`.
    pub fn issue(&self, name: &str) -> Identity {
        self.issue_until(name, 2099)
    }

    /// A certificate for `name` that ended or ends with the beginning of `year`.
    pub fn issue_until(&self, name: &str, year: i32) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        identity(&certificate, &key)
    }
}

/// A certificate for `name` signed by itself.
pub fn self_signed(name: &str) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    identity(&params.self_signed(&key).expect("signed"), &key)
}

fn identity(certificate: &Certificate, key: &KeyPair) -> Identity {
    let digest = Sha256::digest(key.subject_public_key_info());
    let pin = format!("sha256:{}", data_encoding::HEXLOWER.encode(&digest));
    let pem = (certificate.pem(), key.serialize_pem());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity { chain: vec![certificate.der().clone()], key, pin, pem }
}
