//! Private keys: read from their files at each login, unlocked with the passphrase. What they are shown to belongs to `login`.

use std::path::Path;
use std::sync::Arc;

use russh::keys::PrivateKey;

use crate::error::{Error, ErrorKind, Result};
use crate::setting::Secret;

/// A file of a private key that is longer is none.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Reads a private key: OpenSSH, PKCS#8, PKCS#1, SEC1 or PuTTY.
///
/// # Errors
/// `Config`, with the file and what is wrong with it.
pub fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Arc<PrivateKey>> {
    let doing = format!("read identity {}", path.display());
    let wrong = |rule: &str| Error::new(ErrorKind::Config, format!("{doing}: {rule}"));
    let length = std::fs::metadata(path).map_err(|e| wrong("the file can't be read").because(e))?.len();
    if length > KEY_BYTES_MAX {
        return Err(wrong("this is no private key, it is too long"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong("the file can't be read").because(e))?;
    if is_public(&text) {
        return Err(wrong("this is the public key; name the private one beside it"));
    }
    if !text.contains("PRIVATE KEY-----") && !text.starts_with("PuTTY-User-Key-File-") {
        return Err(wrong("this is no private key; it must be in OpenSSH, PEM or PuTTY format"));
    }
    // Both passphrases count while one is replaced by the other.
    let passphrases = passphrase.map(Secret::reveal_all).transpose()?.unwrap_or_default();
    if let Ok(key) = russh::keys::decode_secret_key(&text, None) {
        return Ok(Arc::new(key));
    }
    if passphrases.is_empty() {
        return Err(wrong("the key is locked or damaged; if it is locked, set passphrase"));
    }
    let opened = passphrases.iter().find_map(|one| russh::keys::decode_secret_key(&text, Some(one)).ok());
    opened.map(Arc::new).ok_or_else(|| wrong("the passphrase does not unlock it, or the key is damaged"))
}

fn is_public(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind)) || text.contains("BEGIN PUBLIC KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locked with `test`.
    const LOCKED: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABD1phlku5
A2G7Q9iP+DcOc9AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/
85O/pkbUFZ6OGIt49PX3nw8iRoXEAAAAkKRF0st5ZI7xxo9g6A4m4l6NarkQre3mycqNXQ
dP3jryYgvsCIBAA5jMWSjrmnOTXhidqcOy4xYCrAttzSnZ/cUadfBenL+DQq6neffw7j8r
0tbCxVGp6yCQlKrgSZf6c0Hy7dNEIU2bJFGxLe6/kWChcUAt/5Ll5rI7DVQPJdLgehLzvv
sJWR7W+cGvJ/vLsw==
-----END OPENSSH PRIVATE KEY-----
";

    fn error(text: &str, passphrase: Option<&str>) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("id");
        std::fs::write(&path, text).expect("write");
        let passphrase = passphrase.map(Secret::literal);
        load(&path, passphrase.as_ref()).expect_err("not usable").to_string()
    }

    #[test]
    fn a_locked_key_is_opened_with_either_passphrase() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("id");
        std::fs::write(&path, LOCKED).expect("write");
        let both = Secret::parse_all(&["wrong".into(), "test".into()], folder.path());
        assert!(load(&path, Some(&both)).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_in_plain_words() {
        assert!(error(LOCKED, None).contains("set passphrase"));
        assert!(error(LOCKED, Some("wrong")).contains("the passphrase does not unlock it"));
        assert!(error("ssh-ed25519 AAAA", None).contains("this is the public key"));
        assert!(error("hello", None).contains("this is no private key"));
        let missing = load(Path::new("/nowhere/id"), None).expect_err("missing");
        assert_eq!(missing.kind(), ErrorKind::Config);
        assert!(missing.to_string().starts_with("read identity /nowhere/id: the file can't be read"), "{missing}");
    }
}
