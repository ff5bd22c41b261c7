//! A signing key, as each scheme makes it from the secret's text.
//!
//! `standard`: behind `whsec_` stands base64 of 16 to 64 bytes, padding optional (the standard asks senders for 24 to 64,
//! published examples have 18); text without that prefix is the key itself, byte for byte. `github` and `stripe`: the
//! text as it is written, `whsec_` included (stripe-python does the same).

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Scheme;

/// The prefix of a Standard Webhooks secret.
pub const SECRET_PREFIX: &str = "whsec_";

/// The fewest and the most bytes behind [`SECRET_PREFIX`].
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// An HMAC-SHA256 key, already expanded. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Makes the key of `scheme` from a secret's text. The error is rule and remedy and does not repeat the secret.
    pub fn parse(scheme: Scheme, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the secret is empty".into());
        }
        match (scheme, text.strip_prefix(SECRET_PREFIX)) {
            (Scheme::Standard, Some(encoded)) => Self::decode(encoded),
            _ => Ok(Self::from_bytes(text.as_bytes())),
        }
    }

    /// A key of exactly these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes a key of any length"))
    }

    fn decode(encoded: &str) -> Result<Self, String> {
        let bytes = BASE64_NOPAD
            .decode(encoded.trim_end_matches('=').as_bytes())
            .or_else(|_| BASE64.decode(encoded.as_bytes()))
            .map_err(|_| "behind \"whsec_\" the secret is not base64; write the secret as the other side shows it")?;
        if KEY_BYTES.contains(&bytes.len()) {
            Ok(Self::from_bytes(&bytes))
        } else {
            let (least, most) = (KEY_BYTES.start(), KEY_BYTES.end());
            Err(format!("behind \"whsec_\" the secret has {} bytes; a key has {least} to {most}", bytes.len()))
        }
    }

    /// A fresh HMAC under this key.
    pub(super) fn begin(&self) -> Hmac<Sha256> {
        self.0.clone()
    }

    /// The HMAC of the parts, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.begin();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_optional_and_plain_text_is_the_key_itself() {
        let padded = Key::parse(Scheme::Standard, "whsec_AAECAwQFBgcICQoLDA0ODxA=").expect("17 bytes");
        let bare = Key::parse(Scheme::Standard, "whsec_AAECAwQFBgcICQoLDA0ODxA").expect("17 bytes");
        assert_eq!(padded.mac(&[b"x"]), bare.mac(&[b"x"]));
        let plain = Key::parse(Scheme::Standard, "correct horse").expect("plain");
        assert_eq!(plain.mac(&[b"x"]), Key::from_bytes(b"correct horse").mac(&[b"x"]));
    }

    #[test]
    fn stripe_and_github_take_the_secret_as_it_is_written() {
        for scheme in [Scheme::Stripe, Scheme::Github] {
            let key = Key::parse(scheme, "whsec_abc").expect("text");
            assert_eq!(key.mac(&[b"x"]), Key::from_bytes(b"whsec_abc").mac(&[b"x"]));
        }
    }

    #[test]
    fn a_secret_that_is_no_key_is_refused_without_being_shown() {
        for bad in ["whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", ""] {
            let rule = Key::parse(Scheme::Standard, bad).expect_err(bad);
            assert!(bad.len() < 7 || !rule.contains(&bad[6..]), "{rule}");
        }
    }
}
