//! `sftp` sources against a real OpenSSH that is set up strictly: certificates of hosts, two keys for one login, no renames,
//! keys exchanged again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use highwater::error::ErrorKind;
use highwater::source::settings::{AfterAction, HostKey, Identity, SftpSettings};
use highwater::source::{Acted, Action, ActionOrder, Source, Verdict};
use sha2::{Digest, Sha256};

use crate::support::sftp::{settings, source, with_key};
use crate::support::sshd::{Sshd, make_key, run, user};
use crate::support::watched::FileLedger;

fn pinned(sshd: &Sshd, folder: &Path) -> SftpSettings {
    let host_key = HostKey::Fingerprints(vec![sshd.fingerprint("ed25519")]);
    settings(sshd.port, &user(), &folder.display().to_string(), host_key)
}

/// An authority, and the server's key signed by it.
fn certify(sshd: &Sshd, principals: &str, validity: &str) -> PathBuf {
    let authority = sshd.file("authority");
    if !authority.exists() {
        make_key(&authority, "ed25519", "");
    }
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-I", "test", "-h", "-n", principals, "-V", validity, "-s"]).arg(&authority);
    run(sign.arg(sshd.file("host_ed25519.pub")));
    authority.with_extension("pub")
}

fn key_of(public: &Path) -> String {
    let text = fs::read_to_string(public).expect("a public key");
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

const CERTIFIED: &str = "HostCertificate {folder}/host_ed25519-cert.pub";

#[test]
fn a_host_whose_key_an_authority_has_signed_is_believed_without_knowing_the_key() {
    let mut sshd = Sshd::prepared();
    let authority = key_of(&certify(&sshd, "localhost,127.0.0.1", "-5m:+1h"));
    sshd.resume_with(CERTIFIED);
    let (folder, hosts) = (sshd.drop_folder(), sshd.file("hosts"));
    let key = sshd.new_key("ed25519", "");
    let known = HostKey::KnownHosts(vec![hosts.clone()]);
    let settings = with_key(settings(sshd.port, &user(), &folder.display().to_string(), known), key);
    for names in ["*".to_owned(), format!("[127.0.0.1]:{}", sshd.port), "127.0.0.1".to_owned()] {
        fs::write(&hosts, format!("@cert-authority {names} {authority}\n")).expect("write");
        source(&settings).probe().unwrap_or_else(|e| panic!("{names}: {e}"));
    }
}

#[test]
fn a_certificate_that_does_not_fit_is_refused_with_the_reason() {
    let mut sshd = Sshd::prepared();
    let (folder, hosts) = (sshd.drop_folder(), sshd.file("hosts"));
    let key = sshd.new_key("ed25519", "");
    make_key(&sshd.file("stranger"), "ed25519", "");
    let stranger = key_of(&sshd.file("stranger.pub"));
    for (principals, validity, lines, words) in [
        (
            "ftp.example.com",
            "-5m:+1h",
            "@cert-authority * CA\n",
            "it is for other hosts (ftp.example.com) than 127.0.0.1",
        ),
        ("127.0.0.1", "20200101:20200201", "@cert-authority * CA\n", "it has expired"),
        ("127.0.0.1", "20990101:20990201", "@cert-authority * CA\n", "it is not valid yet"),
        ("127.0.0.1", "-5m:+1h", "@cert-authority * CA\n@revoked * CA\n", "its authority is revoked"),
        ("127.0.0.1", "-5m:+1h", "@cert-authority * STRANGER\n", "no @cert-authority line has its authority"),
    ] {
        let authority = key_of(&certify(&sshd, principals, validity));
        sshd.resume_with(CERTIFIED);
        fs::write(&hosts, lines.replace("CA", &authority).replace("STRANGER", &stranger)).expect("write");
        let known = HostKey::KnownHosts(vec![hosts.clone()]);
        let settings = settings(sshd.port, &user(), &folder.display().to_string(), known);
        let error = source(&with_key(settings, key.clone())).probe().expect_err(words);
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("nothing was sent to it"), "{words}: {text}");
        sshd.kill();
    }
}

#[test]
fn a_server_that_wants_two_keys_gets_both() {
    let sshd = Sshd::start_with("AuthenticationMethods publickey,publickey");
    let folder = sshd.drop_folder();
    fs::write(folder.join("a"), "A").expect("write");
    let mut settings = pinned(&sshd, &folder);
    let keys = [sshd.new_key("ed25519", ""), sshd.new_key("rsa", "")];
    settings.identity = vec![Identity::File(keys[0].clone())];
    let error = source(&settings).probe().expect_err("one is not enough");
    assert!(error.to_string().contains("the server refused user"), "{error}");
    settings.identity = keys.map(Identity::File).to_vec();
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source(&settings)).expect("a poll");
    assert_eq!(ledger.take_keys(), ["a"]);
}

#[test]
fn where_renames_are_forbidden_doctor_and_a_move_say_so_and_a_delete_is_carried_out() {
    let sshd = Sshd::start_with("ForceCommand internal-sftp -P rename,posix-rename");
    let folder = sshd.drop_folder();
    for name in ["a.csv", "b.csv"] {
        fs::write(folder.join(name), name).expect("write");
    }
    let mut settings = with_key(pinned(&sshd, &folder), sshd.new_key("ed25519", ""));
    settings.directory.on_delivered = AfterAction::Delete;
    let mut source = source(&settings);
    let found = source.examine().expect("examined");
    let rename = found.iter().find(|finding| finding.topic == "rename").expect("told");
    assert_eq!(rename.verdict, Verdict::Problem, "{found:?}");
    assert!(rename.detail.contains("the server carries out no renames") && rename.detail.contains("permission denied"));
    assert_eq!(fs::read_dir(&folder).expect("there").count(), 2, "nothing is left behind");
    let mut ledger = FileLedger::default();
    ledger.poll(&mut source).expect("a poll");
    let order = |name: &str, action| {
        let known = &ledger.known[&name.into()];
        let (tuple, fingerprint) = (known.tuple.expect("a file"), known.fingerprint.expect("read"));
        ActionOrder { key: name.into(), tuple, fingerprint, action }
    };
    let moved = source.act(&order("a.csv", Action::Move(b"done/a.csv".to_vec()))).expect("judged");
    let Acted::Impossible(why) = moved else { panic!("{moved:?}") };
    assert!(why.contains("the server carries out no renames") && why.contains("let the account rename there"), "{why}");
    assert!(folder.join("a.csv").exists());
    assert_eq!(source.act(&order("b.csv", Action::Delete)).expect("deleted"), Acted::Done(None));
    assert!(!folder.join("b.csv").exists());
}

#[test]
fn keys_exchanged_in_the_middle_of_a_download_change_nothing() {
    let sshd = Sshd::start_with("RekeyLimit 1M\nLogLevel DEBUG1");
    let folder = sshd.drop_folder();
    let large: Vec<u8> = (0..5_u32 << 20).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.join("large.bin"), &large).expect("write");
    let settings = with_key(pinned(&sshd, &folder), sshd.new_key("ed25519", ""));
    let mut ledger = FileLedger::default();
    let looked = ledger.poll(&mut source(&settings)).expect("a poll");
    assert!(looked.degraded.is_none(), "{looked:?}");
    let told = ledger.told[0].fingerprint.expect("read");
    assert_eq!(told.0, <[u8; 32]>::from(Sha256::digest(&large)));
    let exchanges = sshd.log().matches("SSH2_MSG_NEWKEYS received").count();
    assert!(exchanges > 10, "{exchanges} key exchanges");
}
