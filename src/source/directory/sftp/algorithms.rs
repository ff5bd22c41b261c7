//! Which algorithms are offered, in which order: those that are safe today, plus what an old server was given by name.

use std::borrow::Cow;

use russh::Preferred;
use russh::keys::{Algorithm, HashAlg};
use russh::{cipher, kex, mac};

use crate::error::{Error, ErrorKind, Result};

/// What is offered to a server.
#[derive(Debug, Clone)]
pub struct Offer {
    preferred: Preferred,
    /// Whether RSA keys may sign with SHA-1, because `ssh-rsa` was asked for.
    pub sha1: bool,
}

/// Safe, and offered by servers that know nothing newer: FIPS mode, appliances.
const MORE_KEX: [kex::Name; 3] = [kex::ECDH_SHA2_NISTP256, kex::ECDH_SHA2_NISTP384, kex::ECDH_SHA2_NISTP521];

impl Offer {
    /// The default offer with `added` behind it.
    ///
    /// # Errors
    /// `Config` for a name that is not known, with those that can be added.
    pub fn with(added: &[String]) -> Result<Self> {
        let mut preferred = Preferred::DEFAULT;
        let markers =
            |name: &kex::Name| name.as_ref().starts_with("ext-info") || name.as_ref().starts_with("kex-strict");
        let (marks, mut kex): (Vec<_>, Vec<_>) = preferred.kex.iter().copied().partition(markers);
        kex.extend(MORE_KEX);
        let mut key: Vec<Algorithm> = preferred.key.iter().filter(|one| **one != SSH_RSA).cloned().collect();
        let mut cipher = preferred.cipher.to_vec();
        cipher.push(cipher::AES_128_GCM);
        let mut mac = preferred.mac.to_vec();
        for name in added {
            match Addable::of(name) {
                Some(Addable::Kex(name)) => push(&mut kex, name),
                Some(Addable::Key(name)) => push(&mut key, name),
                Some(Addable::Cipher(name)) => push(&mut cipher, name),
                Some(Addable::Mac(name)) => push(&mut mac, name),
                None => {
                    let names: Vec<&str> = ADDABLE.iter().map(|(name, _)| *name).collect();
                    let rule = format!(
                        "algorithms: \"{name}\" is not known; those that can be added to the defaults are {}",
                        names.join(" ")
                    );
                    return Err(Error::new(ErrorKind::Config, rule));
                }
            }
        }
        let sha1 = key.contains(&SSH_RSA);
        kex.extend(marks);
        (preferred.kex, preferred.key) = (Cow::Owned(kex), Cow::Owned(key));
        (preferred.cipher, preferred.mac) = (Cow::Owned(cipher), Cow::Owned(mac));
        Ok(Self { preferred, sha1 })
    }

    /// The offer with the host key types in `first` (`ssh-ed25519`, `ssh-rsa`) before all others, so that a server with
    /// several keys shows the one we know; and certificates of hosts when an authority is known.
    pub fn preferring(&self, first: &[&str], certificates: bool) -> Preferred {
        let mut preferred = self.preferred.clone();
        preferred.key.to_mut().sort_by_key(|algorithm| !first.contains(&family(algorithm)));
        if certificates {
            preferred.host_key_certificates = preferred.key.clone();
        }
        preferred
    }

    /// The offer with host keys of one type only, as in [`Offer::families`].
    pub fn only(&self, type_of_key: &str) -> Preferred {
        let mut preferred = self.preferred.clone();
        preferred.key.to_mut().retain(|algorithm| family(algorithm) == type_of_key);
        preferred
    }

    /// The types of host keys that are offered: `ssh-ed25519`, `ssh-rsa` for all of RSA and so on.
    pub fn families(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        for algorithm in self.preferred.key.iter() {
            push(&mut all, family(algorithm));
        }
        all
    }
}

/// The type that a key of this algorithm has in known_hosts: RSA keys are `ssh-rsa`, however they sign.
fn family(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ssh-ed25519",
        Algorithm::Rsa { .. } => "ssh-rsa",
        Algorithm::Ecdsa { curve } => match curve {
            russh::keys::EcdsaCurve::NistP256 => "ecdsa-sha2-nistp256",
            russh::keys::EcdsaCurve::NistP384 => "ecdsa-sha2-nistp384",
            russh::keys::EcdsaCurve::NistP521 => "ecdsa-sha2-nistp521",
        },
        _ => "another type",
    }
}

fn push<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

#[derive(Clone)]
enum Addable {
    Kex(kex::Name),
    Key(Algorithm),
    Cipher(cipher::Name),
    Mac(mac::Name),
}

impl Addable {
    /// What a name of an algorithm that the SSH library has stands for; `none` is not among them.
    fn of(name: &str) -> Option<Self> {
        ADDABLE.iter().find(|(known, _)| *known == name).map(|(_, addable)| addable.clone())
    }
}

const SSH_RSA: Algorithm = Algorithm::Rsa { hash: None };

/// What can be added: everything the SSH library has beyond the defaults, except to do without.
static ADDABLE: [(&str, Addable); 13] = [
    ("ssh-rsa", Addable::Key(SSH_RSA)),
    ("rsa-sha2-256", Addable::Key(Algorithm::Rsa { hash: Some(HashAlg::Sha256) })),
    ("diffie-hellman-group14-sha1", Addable::Kex(kex::DH_G14_SHA1)),
    ("diffie-hellman-group-exchange-sha1", Addable::Kex(kex::DH_GEX_SHA1)),
    ("diffie-hellman-group1-sha1", Addable::Kex(kex::DH_G1_SHA1)),
    ("aes128-cbc", Addable::Cipher(cipher::AES_128_CBC)),
    ("aes192-cbc", Addable::Cipher(cipher::AES_192_CBC)),
    ("aes256-cbc", Addable::Cipher(cipher::AES_256_CBC)),
    ("aes128-gcm@openssh.com", Addable::Cipher(cipher::AES_128_GCM)),
    ("hmac-sha1", Addable::Mac(mac::HMAC_SHA1)),
    ("hmac-sha1-etm@openssh.com", Addable::Mac(mac::HMAC_SHA1_ETM)),
    ("hmac-sha2-256", Addable::Mac(mac::HMAC_SHA256)),
    ("hmac-sha2-512", Addable::Mac(mac::HMAC_SHA512)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names<T: AsRef<str>>(all: &[T]) -> Vec<&str> {
        all.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn nothing_that_rests_on_sha1_or_cbc_is_offered_by_default() {
        let offer = Offer::with(&[]).expect("the defaults");
        let Preferred { kex, key, cipher, mac, .. } = &offer.preferred;
        let all = [names(kex), names(cipher), names(mac)].concat();
        assert!(all.iter().all(|name| !name.contains("sha1") && !name.contains("cbc") && *name != "none"), "{all:?}");
        assert!(!key.contains(&SSH_RSA) && !offer.sha1);
        assert!(kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT) && kex[0] == kex::MLKEM768X25519_SHA256);
    }

    #[test]
    fn an_old_servers_algorithms_are_added_behind_by_name_and_unknown_names_are_refused() {
        let added = ["ssh-rsa", "diffie-hellman-group14-sha1", "aes128-cbc", "hmac-sha1"].map(String::from);
        let offer = Offer::with(&added).expect("known names");
        assert!(offer.sha1 && offer.preferred.key.last() == Some(&SSH_RSA));
        assert_eq!(offer.preferred.cipher.last(), Some(&cipher::AES_128_CBC));
        let error = Offer::with(&["none".into()]).expect_err("never");
        assert!(error.to_string().contains("\"none\" is not known; those that can be added"), "{error}");
    }

    #[test]
    fn known_types_of_host_keys_come_first() {
        let offer = Offer::with(&[]).expect("the defaults");
        let preferred = offer.preferring(&["ssh-rsa"], false);
        assert!(matches!(preferred.key[0], Algorithm::Rsa { hash: Some(HashAlg::Sha512) }), "{:?}", preferred.key);
        assert!(preferred.key.contains(&Algorithm::Ed25519) && preferred.host_key_certificates.is_empty());
        assert_eq!(offer.only("ssh-ed25519").key.as_ref(), [Algorithm::Ed25519]);
        assert_eq!(offer.families().len(), 5);
    }
}
