//! Keeping secrets out of what receivers and scripts say: which values are secret, and how they are made unreadable.

use crate::setting::Secret;

/// Shorter values are not looked for: they would be found in half of all words.
pub const MASKED_BYTES_MIN: usize = 4;

/// Words in a name that make even a literal value a secret.
const SECRET_WORDS: [&str; 7] = ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"];

/// Whether the value of a variable or header is to be kept out of sight: it is kept elsewhere, or its name says so.
pub fn is_secret(name: &str, secret: &Secret) -> bool {
    let name = name.to_ascii_uppercase();
    secret.origin() != "literal" || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Overwrites each secret with stars of the same length, so that positions stay.
pub fn mask(text: &mut [u8], secrets: &[Vec<u8>]) {
    for secret in secrets.iter().filter(|secret| secret.len() >= MASKED_BYTES_MIN) {
        let mut at = 0;
        while at + secret.len() <= text.len() {
            if text[at..].starts_with(secret) {
                text[at..at + secret.len()].fill(b'*');
                at += secret.len();
            } else {
                at += 1;
            }
        }
    }
}

/// [`mask`] for a text.
pub fn masked(text: String, secrets: &[Vec<u8>]) -> String {
    let mut bytes = text.into_bytes();
    mask(&mut bytes, secrets);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_stars_and_short_words_stay() {
        let secrets = [b"hunter2".to_vec(), b"no".to_vec()];
        assert_eq!(masked("no hunter2, hunter2hunter2 ü".into(), &secrets), "no *******, ************** ü");
        assert_eq!(masked("hunter".into(), &secrets), "hunter");
    }

    #[test]
    fn values_kept_elsewhere_or_named_like_secrets_are_secret() {
        let literal = Secret::literal("x");
        assert!(is_secret("DB_PASSWORD", &literal) && is_secret("authorization", &literal));
        assert!(!is_secret("ORACLE_HOME", &literal));
        assert!(is_secret("ORACLE_HOME", &Secret::parse("env:X", std::path::Path::new("."))));
    }
}
