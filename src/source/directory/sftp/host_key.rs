//! Whether a server is the one it must be: by known_hosts, by a pinned fingerprint, or by the first key ever seen.
//! The SSH library has verified by then that the server holds the key it shows.

use std::path::PathBuf;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{HashAlg, PublicKey, PublicKeyBase64, PublicKeyOrCertificate};

use super::known_hosts::{self, Line, Marker};
use crate::change::key::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::HostKey;

/// Whom a server must prove to be.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The rule.
    pub policy: HostKey,
    /// The name it is known under.
    pub host: String,
    /// The port it is known under.
    pub port: u16,
}

/// A server's key that is to be believed, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its type, `ssh-ed25519`.
    pub kind: String,
    /// `SHA256:BASE64`, as ssh-keygen prints it.
    pub fingerprint: String,
}

impl Shown {
    fn of(key: &PublicKey) -> Self {
        Self { kind: key.algorithm().to_string(), fingerprint: key.fingerprint(HashAlg::Sha256).to_string() }
    }
}

impl Trust {
    /// What is known of the host now; read again for each connection.
    ///
    /// # Errors
    /// A file of host keys can't be read.
    pub fn lines(&self) -> Result<Vec<Line>> {
        match &self.policy {
            HostKey::Fingerprints(_) => Ok(Vec::new()),
            HostKey::KnownHosts(files) => known_hosts::lines_for(&files_or_default(files), &self.host, self.port),
            HostKey::FirstUse(file) => known_hosts::lines_for(std::slice::from_ref(file), &self.host, self.port),
        }
    }

    /// Believes the key or does not. A first key that may be believed is written down before this returns.
    ///
    /// # Errors
    /// `Denied` with the fingerprint that was seen and the remedy.
    pub fn check(&self, lines: &[Line], seen: &PublicKeyOrCertificate, now_s: i64) -> Result<Shown> {
        let key = seen.public_key();
        let words = Shown::of(&key);
        let blob = key.public_key_bytes();
        if let Some(line) = lines.iter().find(|line| line.marker == Marker::Revoked && line.blob == blob) {
            return Err(self.refusal(format!("the key {} is revoked in {}", words.fingerprint, line.place)));
        }
        if let HostKey::Fingerprints(pinned) = &self.policy {
            return match pinned.iter().any(|one| is_same_fingerprint(one, &words.fingerprint)) {
                true => Ok(words),
                false => Err(self.not_pinned(&words, pinned)),
            };
        }
        if let PublicKeyOrCertificate::Certificate(certificate) = seen {
            return self.check_certificate(lines, certificate, now_s).map(|()| words);
        }
        let own: Vec<&Line> = lines.iter().filter(|line| line.marker == Marker::Key).collect();
        if own.iter().any(|line| line.blob == blob) {
            return Ok(words);
        }
        match (own.first(), &self.policy) {
            (Some(line), _) => Err(self.changed(&words, line)),
            (None, HostKey::FirstUse(file)) => {
                known_hosts::add(file, &self.host, self.port, &words.kind, &blob)?;
                let (host, fingerprint) = (&self.host, &words.fingerprint);
                tracing::info!(%host, %fingerprint, file = %file.display(), "a host key seen for the first time is trusted from now on");
                Ok(words)
            }
            (None, _) => Err(self.unknown(&words)),
        }
    }

    fn check_certificate(&self, lines: &[Line], certificate: &russh::keys::Certificate, now_s: i64) -> Result<()> {
        let authority = PublicKey::from(certificate.signature_key().clone());
        let words = Shown::of(&authority);
        let blob = authority.public_key_bytes();
        let says = |marker| lines.iter().any(|line| line.marker == marker && line.blob == blob);
        let fingerprint = authority.fingerprint(HashAlg::Sha256);
        let now = u64::try_from(now_s).unwrap_or_default();
        // One without names would be good for every host of the authority; OpenSSH's ssh-keygen warns of it.
        let names = certificate.valid_principals();
        let wrong = if says(Marker::Revoked) {
            "its authority is revoked".to_owned()
        } else if !says(Marker::Authority) {
            "no @cert-authority line has its authority".to_owned()
        } else if certificate.cert_type() != CertType::Host {
            "it is not for a host".to_owned()
        } else if !names.iter().any(|name| name.eq_ignore_ascii_case(&self.host)) {
            let names = shown(names.join(", ").as_bytes());
            format!("it is for other hosts ({names}) than {}; ask for one with this name", self.host)
        } else if !certificate.critical_options().is_empty() {
            "it demands what is not understood".to_owned()
        } else if now < certificate.valid_after() {
            "it is not valid yet; check the clocks".to_owned()
        } else if now >= certificate.valid_before() {
            "it has expired; its operator must have a new one signed".to_owned()
        } else if certificate.validate_at(now, [&fingerprint]).is_err() {
            "its signature is wrong".to_owned()
        } else {
            return Ok(());
        };
        let authority = words.fingerprint;
        Err(self.refusal(format!("it shows a certificate of the authority {authority}, and {wrong}")))
    }

    fn refusal(&self, why: String) -> Error {
        let place = format!("host key of {}", self.place());
        Error::new(ErrorKind::Denied, place).because(format!("{why}; nothing was sent to it"))
    }

    fn place(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    fn unknown(&self, shown: &Shown) -> Error {
        let Shown { kind, fingerprint } = shown;
        let Self { host, port, .. } = self;
        self.refusal(format!(
            "the server shows a key that is not known, {kind} {fingerprint}; once its operator has confirmed this fingerprint, \
             write host_key = \"{fingerprint}\", or run: ssh-keyscan -p {port} -t {} {host} >> {}",
            scan_type(kind),
            self.first_file().display(),
        ))
    }

    fn changed(&self, shown: &Shown, line: &Line) -> Error {
        let Shown { kind, fingerprint } = shown;
        let known = PublicKey::from_bytes(&line.blob).map(|key| Shown::of(&key).fingerprint).unwrap_or_default();
        let (file, _) = line.place.rsplit_once(':').unwrap_or((&line.place, ""));
        let Self { host, port, .. } = self;
        let name = if *port == 22 { host.clone() } else { format!("[{host}]:{port}") };
        self.refusal(format!(
            "THE KEY HAS CHANGED: the server shows {kind} {fingerprint}, but {} has {} {known}; somebody may be in \
             between. Ask its operator; if the new key is right, run: ssh-keygen -R \"{name}\" -f {file}; \
             then: ssh-keyscan -p {port} -t {} {host} >> {file}",
            line.place,
            line.kind,
            scan_type(kind),
        ))
    }

    fn not_pinned(&self, shown: &Shown, pinned: &[String]) -> Error {
        let Shown { kind, fingerprint } = shown;
        self.refusal(format!(
            "the server shows {kind} {fingerprint}, but host_key is {}; somebody may be in between. Ask its operator; if \
             the new key is right, write host_key = \"{fingerprint}\"",
            pinned.join(", ")
        ))
    }

    fn first_file(&self) -> PathBuf {
        match &self.policy {
            HostKey::KnownHosts(files) => files_or_default(files).into_iter().next().unwrap_or_default(),
            HostKey::FirstUse(file) => file.clone(),
            HostKey::Fingerprints(_) => PathBuf::new(),
        }
    }
}

/// The user's and the system's files, where none are named.
fn files_or_default(files: &[PathBuf]) -> Vec<PathBuf> {
    if !files.is_empty() {
        return files.to_vec();
    }
    let own = std::env::home_dir().map(|home| home.join(".ssh/known_hosts"));
    own.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect()
}

/// The name that ssh-keyscan has for a type.
fn scan_type(kind: &str) -> &str {
    match kind {
        "ssh-ed25519" => "ed25519",
        _ if kind.starts_with("ecdsa-") => "ecdsa",
        _ => "rsa",
    }
}

fn is_same_fingerprint(pinned: &str, seen: &str) -> bool {
    pinned.trim().trim_end_matches('=') == seen.trim_end_matches('=')
}

#[cfg(test)]
#[path = "host_key_tests.rs"]
mod tests;
