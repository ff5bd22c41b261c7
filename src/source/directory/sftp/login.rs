//! Logs in: keys first, then the agent's, then the password, as the server lets us. A password is only sent when the
//! accounts' ledger allows another attempt: partners lock accounts.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Asked};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::failure::of_ssh;
use super::gate::{Ended, Gate, Notes};
use super::identity;
use super::server::Account;
use super::waiting::within;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::settings::Identity;

/// Keys of an agent that are shown: servers end the connection after six refusals or so.
const AGENT_KEYS_MAX: usize = 5;

/// Rounds of questions that are answered.
const ROUNDS_MAX: usize = 10;

/// One login on one connection.
pub struct Login<'a> {
    /// The connection.
    pub ssh: &'a mut Handle<Gate>,
    /// What is seen of it.
    pub notes: &'a Notes,
    /// Who we are.
    pub account: &'a Account,
    /// For one answer.
    pub span: Duration,
    /// Ends it early.
    pub stop: &'a Stop,
}

/// How far a login has come.
#[derive(Default)]
struct State {
    /// What the server still takes.
    open: Vec<MethodKind>,
    /// What was tried, for the message.
    tried: Vec<String>,
    /// Why something could not even be tried; the last one counts.
    trouble: Option<Error>,
}

/// What came of showing the server something.
enum Step {
    In,
    Refused,
}

impl Login<'_> {
    /// Logs in. Returns the ways the server offered at first, for `doctor`.
    ///
    /// # Errors
    /// `Denied` with what was tried when the server refused everything, or a password was refused too often before.
    pub async fn run(mut self) -> Result<Vec<&'static str>> {
        let mut state = State::default();
        let first = self.ask("none", |ssh, user| Box::pin(ssh.authenticate_none(user))).await?;
        let offered = match &first {
            AuthResult::Success => return Ok(vec!["none"]),
            AuthResult::Failure { remaining_methods, .. } => remaining_methods.iter().map(<&str>::from).collect(),
        };
        self.settle(first, &mut state)?;
        if self.keys(&mut state).await? || self.agent(&mut state).await? || self.passwords(&mut state).await? {
            return Ok(offered);
        }
        Err(self.refused(state, &offered))
    }

    async fn keys(&mut self, state: &mut State) -> Result<bool> {
        for identity in &self.account.identity {
            let Identity::File(path) = identity else { continue };
            let key = match identity::load(path, self.account.passphrase.as_ref()) {
                Ok(key) => key,
                Err(error) => {
                    state.trouble = Some(error);
                    continue;
                }
            };
            for hash in self.hashes(&key).await? {
                if !state.open.contains(&MethodKind::PublicKey) {
                    return Ok(false);
                }
                let signing = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
                state.tried.push(format!("key {} ({})", path.display(), signing.algorithm()));
                let done = self.ask("key", |ssh, user| Box::pin(ssh.authenticate_publickey(user, signing))).await?;
                if let Step::In = self.settle(done, state)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// How an RSA key may sign: as the server says, else with the stronger first; with SHA-1 only where that was asked for.
    async fn hashes(&mut self, key: &PrivateKey) -> Result<Vec<Option<HashAlg>>> {
        if !key.algorithm().is_rsa() {
            return Ok(vec![None]);
        }
        let doing = self.doing("ask for signature algorithms");
        let asked = async { self.ssh.best_supported_rsa_hash().await.map_err(|e| of_ssh(&doing, &e)) };
        let mut hashes = match within(self.stop, self.span, &doing, asked).await? {
            Some(Some(best)) => vec![Some(best)],
            Some(None) => Vec::new(),
            None => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
        };
        if self.account.sha1 {
            hashes.push(None);
        }
        Ok(hashes)
    }

    async fn agent(&mut self, state: &mut State) -> Result<bool> {
        if !self.account.identity.contains(&Identity::Agent) || !state.open.contains(&MethodKind::PublicKey) {
            return Ok(false);
        }
        let listed = async {
            let mut agent = AgentClient::connect_env().await?;
            let keys = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, keys))
        };
        let listed = within(self.stop, self.span, "ask the SSH agent", async { Ok(listed.await) }).await?;
        let (mut agent, keys) = match listed {
            Ok(found) => found,
            Err(error) => {
                let rule = "identity = \"agent\": start ssh-agent, ssh-add the key, and export SSH_AUTH_SOCK";
                state.trouble = Some(Error::new(ErrorKind::Config, rule).because(error));
                return Ok(false);
            }
        };
        for identity in keys.into_iter().take(AGENT_KEYS_MAX) {
            let AgentIdentity::PublicKey { key, comment } = identity else { continue };
            let hash = match key.algorithm().is_rsa() {
                true => Some(HashAlg::Sha512),
                false => None,
            };
            if !state.open.contains(&MethodKind::PublicKey) {
                return Ok(false);
            }
            state.tried.push(format!("the agent's key {}", crate::change::key::shown(comment.as_bytes())));
            let user = self.account.user.clone();
            let doing = self.doing("log in");
            let asked = async { Ok(self.ssh.authenticate_publickey_with(user, key, hash, &mut agent).await) };
            match within(self.stop, self.span, &doing, asked).await? {
                Ok(done) => {
                    if let Step::In = self.settle(done, state)? {
                        return Ok(true);
                    }
                }
                Err(error) => state.trouble = Some(Error::new(ErrorKind::Config, "use the SSH agent").because(error)),
            }
        }
        Ok(false)
    }

    async fn passwords(&mut self, state: &mut State) -> Result<bool> {
        let Some(secret) = &self.account.password else { return Ok(false) };
        let way =
            [MethodKind::Password, MethodKind::KeyboardInteractive].into_iter().find(|way| state.open.contains(way));
        let Some(way) = way else { return Ok(false) };
        let mut passwords = secret.reveal_all()?;
        self.account.good_first(&mut passwords);
        for password in passwords {
            if !state.open.contains(&way) {
                return Ok(false);
            }
            let (name, accounts) = (&self.account.name, &self.account.accounts);
            if let Err(error) = accounts.attempt(name, password.as_bytes()) {
                state.trouble = Some(error);
                continue;
            }
            state.tried.push(<&str>::from(&way).to_owned());
            let asked = match way {
                MethodKind::Password => self.password(&password).await,
                _ => self.questions(&password, state).await,
            };
            let done = match asked {
                Ok(done) => done,
                Err(error) => {
                    accounts.unanswered(name, password.as_bytes());
                    return Err(error);
                }
            };
            let accepted = match &done {
                AuthResult::Success => true,
                AuthResult::Failure { partial_success, .. } => *partial_success,
            };
            if accepted {
                accounts.accepted(name, password.as_bytes());
            } else if let Some(lost) = self.lost(&done) {
                accounts.unanswered(name, password.as_bytes());
                return Err(lost);
            } else {
                accounts.refused(name, password.as_bytes());
            }
            self.account.remember(&password, accepted);
            if let Step::In = self.settle(done, state)? {
                return Ok(true);
            }
            // The server believed this one and wants more: another password would not help.
            if accepted {
                break;
            }
        }
        Ok(false)
    }

    async fn password(&mut self, password: &str) -> Result<AuthResult> {
        let password = password.to_owned();
        self.ask("password", |ssh, user| Box::pin(ssh.authenticate_password(user, password))).await
    }

    /// Hidden answers are the password, every other one is empty: what a person would be asked for is not ours to know. It is
    /// given once: a server that asks again has refused it, and each further answer would count there as one more attempt.
    async fn questions(&mut self, password: &str, state: &mut State) -> Result<AuthResult> {
        let user = self.account.user.clone();
        let doing = self.doing("log in (keyboard-interactive)");
        let talk = async {
            let failed = |e: russh::Error| of_ssh(&doing, &e);
            let mut given = false;
            let mut asked = self.ssh.authenticate_keyboard_interactive_start(user, None).await.map_err(failed)?;
            for _ in 0..ROUNDS_MAX {
                let prompts = match asked {
                    Asked::Success => return Ok(AuthResult::Success),
                    Asked::Failure { remaining_methods, partial_success } => {
                        return Ok(AuthResult::Failure { remaining_methods, partial_success });
                    }
                    Asked::InfoRequest { prompts, .. } => prompts,
                };
                let hidden = prompts.iter().any(|prompt| !prompt.echo);
                if hidden && given {
                    break;
                }
                given |= hidden;
                let answer = |echo: bool| if echo { String::new() } else { password.to_owned() };
                let answers = prompts.iter().map(|prompt| answer(prompt.echo)).collect();
                asked = self.ssh.authenticate_keyboard_interactive_respond(answers).await.map_err(failed)?;
            }
            let fact = "the server asked again after the password: it is wrong, or a code is wanted besides";
            state.trouble = Some(Error::new(ErrorKind::Denied, fact));
            Ok(AuthResult::Failure { remaining_methods: MethodSet::empty(), partial_success: false })
        };
        within(self.stop, self.span, &doing, talk).await
    }

    async fn ask<F>(&mut self, way: &str, begin: F) -> Result<AuthResult>
    where
        F: for<'h> FnOnce(&'h mut Handle<Gate>, String) -> Asking<'h>,
    {
        let doing = self.doing(&format!("log in ({way})"));
        let user = self.account.user.clone();
        let asking = begin(self.ssh, user);
        within(self.stop, self.span, &doing, async { asking.await.map_err(|e| of_ssh(&doing, &e)) }).await
    }

    fn settle(&self, done: AuthResult, state: &mut State) -> Result<Step> {
        if let Some(lost) = self.lost(&done) {
            return Err(lost);
        }
        match done {
            AuthResult::Success => Ok(Step::In),
            AuthResult::Failure { remaining_methods, .. } => {
                // A server that ends the talk offers nothing more; what it said is in the notes.
                state.open = remaining_methods.to_vec();
                Ok(Step::Refused)
            }
        }
    }

    /// The library tells a broken connection as a refusal without any way left. One that the server closed in good order is
    /// taken as its answer: some do that at a wrong password, and no other would ever be counted.
    fn lost(&self, done: &AuthResult) -> Option<Error> {
        let AuthResult::Failure { remaining_methods, partial_success: false } = done else { return None };
        let seen = self.notes.lock().expect("nobody panics while taking notes");
        match (&seen.ended, *remaining_methods == MethodSet::empty()) {
            (Some(Ended::Lost(why)), true) => {
                Some(Error::new(ErrorKind::Unavailable, self.doing("log in")).because(why.clone()))
            }
            (None, true) if self.ssh.is_closed() => {
                Some(Error::new(ErrorKind::Unavailable, self.doing("log in")).because("the connection was lost"))
            }
            _ => None,
        }
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} at {}", self.account.name)
    }

    fn refused(&self, state: State, offered: &[&str]) -> Error {
        let seen = self.notes.lock().expect("nobody panics while taking notes");
        if let (Some(trouble), true) = (&state.trouble, state.tried.is_empty()) {
            return Error::new(trouble.kind(), self.doing("log in")).because(trouble.to_string());
        }
        let user = &self.account.user;
        let tried = match state.tried.as_slice() {
            [] => "nothing that it takes is configured".to_owned(),
            tried => format!("tried {}", tried.join(", ")),
        };
        let mut fact = format!("the server refused user {user}: {tried}; it takes {}", offered.join(", "));
        if let Some(Ended::Told(words)) = &seen.ended {
            fact.push_str(&format!("; it said \"{words}\""));
        }
        if let Some(trouble) = &state.trouble {
            fact.push_str(&format!("; {trouble}"));
        }
        fact.push_str("; check user, identity and password");
        Error::new(ErrorKind::Denied, self.doing("log in")).because(fact)
    }
}

/// An answer under way.
type Asking<'h> = std::pin::Pin<Box<dyn Future<Output = std::result::Result<AuthResult, russh::Error>> + Send + 'h>>;
