//! What may be shown to a server to prove who we are, gathered before the server is called: keys of files, those of the
//! agent, passwords. Showing them, and counting that, belongs to `login`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKey, PublicKey, PublicKeyBase64};
use sha2::{Digest, Sha256};
use tokio::net::UnixStream;

use super::account::Account;
use super::identity;
use super::waiting::within;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::Identity;

/// Failed tries after which OpenSSH ends a connection (MaxAuthTries). What the settings name comes first.
const TRIES_MAX: usize = 6;

/// Keys of an agent that are shown at most.
const AGENT_KEYS_MAX: usize = 5;

/// All that an account has to show, in the order in which it is shown.
pub struct Credentials {
    /// Keys of files.
    pub keys: Vec<FileKey>,
    /// The agent, where it is to be asked and has keys.
    pub agent: Option<Agent>,
    /// Passwords, the one that was good last in front.
    pub passwords: Vec<String>,
    /// Why something could not be had; the last one counts.
    pub trouble: Option<Error>,
}

/// A key of a file.
pub struct FileKey {
    /// The file.
    pub path: PathBuf,
    /// The key.
    pub key: Arc<PrivateKey>,
}

/// An SSH agent that can be asked to sign.
pub struct Agent {
    /// The connection to it.
    pub client: AgentClient<UnixStream>,
    /// Keys that it holds, with their comments; as many as may be shown.
    pub keys: Vec<(PublicKey, String)>,
}

impl FileKey {
    /// What attempts with it are counted under: another key in the same file is another secret.
    pub fn secret(&self) -> Vec<u8> {
        named("key", [self.key.public_key().public_key_bytes()])
    }
}

impl Agent {
    /// What attempts with it are counted under: all that is shown together, because a server asks to be shown the next key
    /// when it does not know one. Another key in the agent is another secret.
    pub fn secret(&self) -> Vec<u8> {
        let mut blobs: Vec<_> = self.keys.iter().map(|(key, _)| key.public_key_bytes()).collect();
        blobs.sort();
        named("agent", blobs)
    }
}

impl Credentials {
    /// Reads keys and passwords now, and asks the agent, within `span`.
    ///
    /// # Errors
    /// A password can't be read; `Stopped`. Keys that can't be had are only noted: others may do.
    pub async fn gather(account: &Account, span: Duration, stop: &Stop) -> Result<Self> {
        let mut passwords =
            account.password.as_ref().map(|secret| secret.reveal_all()).transpose()?.unwrap_or_default();
        account.good_first(&mut passwords);
        let mut all = Self { keys: Vec::new(), agent: None, passwords, trouble: None };
        for identity in &account.identity {
            let Identity::File(path) = identity else { continue };
            match identity::load(path, account.passphrase.as_ref()) {
                Ok(key) => all.keys.push(FileKey { path: path.clone(), key }),
                Err(error) => all.trouble = Some(error),
            }
        }
        if account.identity.contains(&Identity::Agent) {
            all.ask_agent(span, stop).await?;
        }
        Ok(all)
    }

    async fn ask_agent(&mut self, span: Duration, stop: &Stop) -> Result<()> {
        let listed = async {
            let mut client = AgentClient::connect_env().await?;
            let keys = client.request_identities().await?;
            Ok::<_, russh::keys::Error>((client, keys))
        };
        match within(stop, span, "ask the SSH agent", async { Ok(listed.await) }).await? {
            Ok((client, found)) => {
                let others = self.keys.len() + self.passwords.len();
                let shown_max = TRIES_MAX.saturating_sub(others).clamp(1, AGENT_KEYS_MAX);
                let keys = found.into_iter().filter_map(|identity| match identity {
                    AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
                    AgentIdentity::Certificate { .. } => None,
                });
                let keys: Vec<_> = keys.take(shown_max).collect();
                if keys.is_empty() {
                    let rule = "identity = \"agent\": the SSH agent holds no key; ssh-add it";
                    self.trouble = Some(Error::new(ErrorKind::Config, rule));
                } else {
                    self.agent = Some(Agent { client, keys });
                }
            }
            Err(error) => {
                let rule = "identity = \"agent\": start ssh-agent, ssh-add the key, and export SSH_AUTH_SOCK";
                self.trouble = Some(Error::new(ErrorKind::Config, rule).because(error));
            }
        }
        Ok(())
    }

    /// What attempts are counted under, of everything there is.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let keys = self.keys.iter().map(FileKey::secret);
        let passwords = self.passwords.iter().map(|password| password.clone().into_bytes());
        keys.chain(self.agent.as_ref().map(Agent::secret)).chain(passwords).collect()
    }

    /// Tells apart what may be shown at two times.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for secret in self.secrets() {
            hash.update((secret.len() as u64).to_be_bytes());
            hash.update(secret);
        }
        hash.finalize().into()
    }
}

/// No password looks like this.
fn named(kind: &str, blobs: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut secret = format!("\0ssh {kind}\0").into_bytes();
    blobs.into_iter().for_each(|blob| secret.extend(blob));
    secret
}
