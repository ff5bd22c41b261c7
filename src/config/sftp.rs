//! `kind = "sftp"`: the keys of a directory on an SFTP server. What they do belongs to `source::directory`.

use std::path::PathBuf;

use super::folder::{DirectorySection, directory};
use super::ftp::FTP_KEYS;
use super::list::OneOrMore;
use super::reading::Reading;
use super::remote::{Remote, RemoteSection};
use super::section::{Keys, Located};
use super::server::{self, HostKeyText, IdentityText, ServerSection, SshSection};
use super::source::KindDraft;
use crate::net::TlsSettings;
use crate::source::settings::{HostKey, Identity, SftpSettings, SourceKind};

/// Known host keys of everyone on this machine.
const KNOWN_HOSTS_SYSTEM: &str = "/etc/ssh/ssh_known_hosts";

/// Reads the keys of a directory on an SFTP server.
pub fn read(keys: &mut Keys<'_>, remote: &Remote<'_>, reading: &mut Reading) -> KindDraft {
    keys.refuse(&FTP_KEYS, "is for FTP alone; remove it", reading);
    let section: RemoteSection = keys.read(reading);
    let server: ServerSection = keys.read(reading);
    let ssh: SshSection = keys.read(reading);
    let files: DirectorySection = keys.read(reading);
    let takes_away = Some((files.on_delivered.clone(), files.on_dead.clone()));
    let host_key = host_key(&ssh, keys, reading);
    let (every, max_new) = (section.every.clone(), section.max_new.0);
    let address = remote.address(keys, &section, reading);
    let kind = address.zip(host_key).and_then(|(url, host_key)| {
        remote.check(keys, &url, &server, reading);
        check_login(&ssh, &server, &url.place, keys, reading);
        let path = remote.path(&section, &url.value, keys, reading);
        if url.value.user.is_none() {
            let rule = "names no user; write it like \"sftp://user@host\"";
            reading.problem(&url.place, format!("{}.url {rule}", keys.path()));
            return None;
        }
        let identity = ssh.identity.into_iter().flat_map(|identity| identity.value.0);
        Some(SourceKind::Sftp(SftpSettings {
            server: server::settings(url.value, server, TlsSettings::default()),
            path,
            claim: section.claim.map(|claim| claim.value.0),
            host_key,
            identity: identity.map(Identity::from).collect(),
            passphrase: ssh.passphrase.map(|secret| secret.value),
            algorithms: ssh.algorithms.into_iter().map(|algorithm| algorithm.0).collect(),
            directory: directory(files, section.stable_for.0),
        }))
    });
    reading.mark_inherited(&keys.section, &remote.inherited.keys);
    KindDraft { kind, every, max_new, takes_away }
}

fn check_login(
    ssh: &SshSection,
    server: &ServerSection,
    place: &super::place::Place,
    keys: &Keys<'_>,
    reading: &mut Reading,
) {
    let path = keys.path();
    // Silent when one of them was there and wrong: that was reported.
    if !keys.has("password") && !keys.has("identity") {
        let rule = "has nothing to log in with; add identity = \"id_ed25519\", identity = \"agent\" or a password";
        reading.missing(place, format!("{path} {rule}"));
    }
    let has_file = ssh.identity.iter().flat_map(|list| &list.value.0).any(|one| matches!(one, IdentityText::File(_)));
    if let (Some(passphrase), false) = (&ssh.passphrase, has_file || keys.has("identity") && ssh.identity.is_none()) {
        let hint = if server.password.is_some() { "" } else { "; the account's own is password" };
        let text = format!("{path}.passphrase has no effect without a private key in identity; remove it{hint}");
        reading.problem(&passphrase.place, text);
    }
}

/// `None` when what is written can't be used, which was reported.
fn host_key(ssh: &SshSection, keys: &Keys<'_>, reading: &mut Reading) -> Option<HostKey> {
    let path = keys.path();
    let files = known_hosts(ssh.known_hosts.as_ref());
    let Some(written) = &ssh.host_key else {
        return (!keys.has("host_key")).then_some(HostKey::KnownHosts(files));
    };
    let mut fingerprints = Vec::new();
    for key in &written.value.0 {
        match key {
            HostKeyText::Fingerprint(text) => fingerprints.push(text.clone()),
            HostKeyText::FirstUse if written.value.0.len() > 1 => {
                let rule = "holds \"first-use\" beside other keys; write it alone, or leave it out";
                reading.problem(&written.place, format!("{path}.host_key {rule}"));
                return None;
            }
            HostKeyText::FirstUse => return files.into_iter().next().map(HostKey::FirstUse),
        }
    }
    if let Some(known) = &ssh.known_hosts {
        let rule = "has no effect where host_key names the key; remove one of them";
        reading.problem(&known.place, format!("{path}.known_hosts {rule}"));
    }
    Some(HostKey::Fingerprints(fingerprints))
}

fn known_hosts(written: Option<&Located<OneOrMore<PathBuf>>>) -> Vec<PathBuf> {
    match written {
        Some(files) => files.value.0.clone(),
        None => {
            let own = std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".ssh/known_hosts"));
            own.into_iter().chain([PathBuf::from(KNOWN_HOSTS_SYSTEM)]).collect()
        }
    }
}

impl From<IdentityText> for Identity {
    fn from(text: IdentityText) -> Self {
        match text {
            IdentityText::Agent => Self::Agent,
            IdentityText::File(path) => Self::File(path),
        }
    }
}
