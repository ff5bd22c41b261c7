//! Who is believed, and what is said to an operator otherwise.

use super::*;

const OLD: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const NEW: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE";

fn key(base64: &str) -> PublicKeyOrCertificate {
    russh::keys::parse_public_key_base64(base64).expect("a key").into()
}

fn fingerprint(base64: &str) -> String {
    Shown::of(&key(base64).public_key()).fingerprint
}

fn trust(policy: HostKey) -> Trust {
    Trust { policy, host: "ftp.example.com".into(), port: 2222 }
}

fn with_file(text: &str) -> (tempfile::TempDir, Trust) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, text).expect("write");
    (folder, trust(HostKey::KnownHosts(vec![file])))
}

fn check(trust: &Trust, shown: &str) -> Result<Shown> {
    trust.check(&trust.lines()?, &key(shown), 0)
}

#[test]
fn a_known_key_is_believed_and_a_revoked_one_never() {
    let (_folder, known) = with_file(&format!("[ftp.example.com]:2222 ssh-ed25519 {OLD}\n"));
    assert_eq!(check(&known, OLD).expect("known").kind, "ssh-ed25519");
    let (_folder, revoked) = with_file(&format!("* ssh-ed25519 {OLD}\n@revoked * ssh-ed25519 {OLD}\n"));
    let error = check(&revoked, OLD).expect_err("revoked");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("is revoked in"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_its_fingerprint_and_both_remedies() {
    let (_folder, trust) = with_file("other ssh-ed25519 AAAA\n");
    let error = check(&trust, NEW).expect_err("unknown");
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(text.starts_with("host key of ftp.example.com:2222: the server shows a key that is not known"), "{text}");
    assert!(text.contains(&format!("host_key = \"{}\"", fingerprint(NEW))), "{text}");
    assert!(text.contains("ssh-keyscan -p 2222 -t ed25519 ftp.example.com >> "), "{text}");
}

#[test]
fn a_changed_key_is_refused_loudly() {
    let (_folder, trust) = with_file(&format!("\nftp.example.com ssh-ed25519 {OLD}\n"));
    let text = check(&trust, NEW).expect_err("changed").to_string();
    assert!(text.contains("THE KEY HAS CHANGED") && text.contains("known_hosts:2 has ssh-ed25519"), "{text}");
    assert!(text.contains(&fingerprint(OLD)) && text.contains(&fingerprint(NEW)), "{text}");
    assert!(text.contains("ssh-keygen -R \"[ftp.example.com]:2222\" -f "), "{text}");
}

#[test]
fn a_pinned_fingerprint_is_all_that_counts() {
    let pinned = |text: String| trust(HostKey::Fingerprints(vec!["SHA256:other".into(), text]));
    assert!(check(&pinned(fingerprint(OLD)), OLD).is_ok());
    assert!(check(&pinned(format!("{}=", fingerprint(OLD))), OLD).is_ok());
    let text = check(&pinned(fingerprint(OLD)), NEW).expect_err("another").to_string();
    assert!(text.contains(&format!("write host_key = \"{}\"", fingerprint(NEW))), "{text}");
}

#[test]
fn the_first_key_is_written_down_and_must_be_the_same_ever_after() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trust = trust(HostKey::FirstUse(folder.path().join("hosts")));
    check(&trust, OLD).expect("the first one");
    check(&trust, OLD).expect("the same one");
    assert!(check(&trust, NEW).expect_err("another").to_string().contains("THE KEY HAS CHANGED"));
    let text = std::fs::read_to_string(folder.path().join("hosts")).expect("written");
    assert_eq!(text, format!("[ftp.example.com]:2222 ssh-ed25519 {OLD}\n"));
}
