//! Logs in: keys first, then the agent's, then the password, as the server lets us. Each is only shown when the accounts'
//! ledger allows another attempt: partners lock accounts.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Asked};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::account::Account;
use super::credential::{Agent, Credentials, FileKey};
use super::failure::of_ssh;
use super::gate::{Ended, Gate, Notes};
use super::waiting::within;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::source::AUTH_REFUSED;

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
    /// Secrets that were not shown because they are held, and the last one's text.
    held: Vec<Vec<u8>>,
    hold: Option<Error>,
    /// Whether the server refused something.
    refused: bool,
    /// Why something could not even be tried; the last one counts.
    trouble: Option<Error>,
}

/// What came of showing the server something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// We are in.
    In,
    /// The server believes it and wants something besides.
    More,
    /// The server does not believe it.
    Refused,
}

impl Login<'_> {
    /// Logs in. Returns the ways the server offered at first, for `doctor`.
    ///
    /// # Errors
    /// `Denied` with what was tried when the server refused everything, or what it wants was refused too often before.
    pub async fn run(mut self, credentials: Credentials) -> Result<Vec<&'static str>> {
        let digest = credentials.digest();
        let mut state = State { trouble: credentials.trouble, ..State::default() };
        let first = self.ask("none", |ssh, user| Box::pin(ssh.authenticate_none(user))).await?;
        let offered = match &first {
            AuthResult::Success => return Ok(vec!["none"]),
            AuthResult::Failure { remaining_methods, .. } => remaining_methods.iter().map(<&str>::from).collect(),
        };
        self.settle(first, &mut state)?;
        for key in &credentials.keys {
            if self.key(key, &mut state).await? == Some(Step::In) {
                return Ok(offered);
            }
        }
        if let Some(agent) = credentials.agent
            && self.agent(agent, &mut state).await?
        {
            return Ok(offered);
        }
        if self.passwords(&credentials.passwords, &mut state).await? {
            return Ok(offered);
        }
        if !state.refused && !state.held.is_empty() {
            self.account.stuck(digest, &state.held);
        }
        Err(self.refused(state, &offered))
    }

    /// Shows the key of a file, in every way in which it can sign; `None` when it can't be shown.
    async fn key(&mut self, file: &FileKey, state: &mut State) -> Result<Option<Step>> {
        if !state.open.contains(&MethodKind::PublicKey) {
            return Ok(None);
        }
        let (hashes, secret) = (self.hashes(&file.key).await?, file.secret());
        if hashes.is_empty() || !self.may_show(&secret, state)? {
            return Ok(None);
        }
        let mut done = Err(Error::internal("a key that can sign in no way"));
        for hash in hashes {
            let signing = PrivateKeyWithHashAlg::new(Arc::clone(&file.key), hash);
            state.tried.push(format!("key {} ({})", file.path.display(), signing.algorithm()));
            done = self.ask("key", |ssh, user| Box::pin(ssh.authenticate_publickey(user, signing))).await;
            match &done {
                Ok(AuthResult::Failure { remaining_methods, partial_success: false })
                    if remaining_methods.contains(&MethodKind::PublicKey) => {}
                _ => break,
            }
        }
        self.judge(&secret, done, state).map(Some)
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

    /// Shows the agent's keys, which count together: until the server asks for a signature none of them was tried.
    async fn agent(&mut self, mut agent: Agent, state: &mut State) -> Result<bool> {
        let secret = agent.secret();
        if !state.open.contains(&MethodKind::PublicKey) || !self.may_show(&secret, state)? {
            return Ok(false);
        }
        let mut last = None;
        for (key, comment) in &agent.keys {
            let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
            state.tried.push(format!("the agent's key {}", crate::change::key::shown(comment.as_bytes())));
            let (user, doing) = (self.account.user.clone(), self.doing("log in"));
            let asked =
                async { Ok(self.ssh.authenticate_publickey_with(user, key.clone(), hash, &mut agent.client).await) };
            let done = match within(self.stop, self.span, &doing, asked).await {
                Ok(Err(error)) => {
                    // The server knows the key; the agent did not sign.
                    state.trouble = Some(Error::new(ErrorKind::Config, "use the SSH agent").because(error));
                    continue;
                }
                Ok(Ok(done)) => Ok(done),
                Err(error) => Err(error),
            };
            let goes_on = matches!(&done, Ok(AuthResult::Failure { remaining_methods, partial_success: false })
                if remaining_methods.contains(&MethodKind::PublicKey));
            last = Some(done);
            if !goes_on {
                break;
            }
        }
        match last {
            Some(done) => Ok(self.judge(&secret, done, state)? == Step::In),
            None => {
                self.account.unanswered(&secret);
                Ok(false)
            }
        }
    }

    async fn passwords(&mut self, passwords: &[String], state: &mut State) -> Result<bool> {
        let ways = [MethodKind::Password, MethodKind::KeyboardInteractive];
        let Some(way) = ways.into_iter().find(|way| state.open.contains(way)) else { return Ok(false) };
        for password in passwords {
            if !state.open.contains(&way) {
                return Ok(false);
            }
            if !self.may_show(password.as_bytes(), state)? {
                continue;
            }
            state.tried.push(<&str>::from(&way).to_owned());
            let done = match way {
                MethodKind::Password => self.password(password).await,
                _ => self.questions(password, state).await,
            };
            match self.judge(password.as_bytes(), done, state)? {
                Step::In => return Ok(true),
                // Another password would not help.
                Step::More => break,
                Step::Refused => {}
            }
        }
        Ok(false)
    }

    /// Counts an attempt with a secret, if one may be made.
    fn may_show(&self, secret: &[u8], state: &mut State) -> Result<bool> {
        let hold = self.account.attempt(secret, self.stop)?;
        let may = hold.is_none();
        if !may {
            state.held.push(secret.to_vec());
            state.hold = hold;
        }
        Ok(may)
    }

    /// Notes what the server thought of a secret.
    fn judge(&self, secret: &[u8], done: Result<AuthResult>, state: &mut State) -> Result<Step> {
        let lost = done.as_ref().ok().and_then(|done| self.lost(done)).map_or(Ok(()), Err);
        let done = done.and_then(|done| lost.map(|()| done)).inspect_err(|_| self.account.unanswered(secret))?;
        let step = self.settle(done, state)?;
        if step == Step::Refused {
            state.refused = true;
            self.account.refused(secret);
        } else {
            self.account.accepted(secret);
        }
        Ok(step)
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
            AuthResult::Failure { remaining_methods, partial_success } => {
                // A server that ends the talk offers nothing more; what it said is in the notes.
                state.open = remaining_methods.to_vec();
                Ok(if partial_success { Step::More } else { Step::Refused })
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
        // Where the server refused nothing itself, what is held is all that is in the way.
        if let (Some(hold), false) = (&state.hold, state.refused) {
            return Error::new(hold.kind(), self.doing("log in")).because(hold.to_string());
        }
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
        for more in [&state.trouble, &state.hold].into_iter().flatten() {
            // The account is not held as a whole.
            fact.push_str(&format!("; {}", more.to_string().replace(AUTH_REFUSED, "")));
        }
        fact.push_str("; check user, identity and password");
        Error::new(ErrorKind::Denied, self.doing("log in")).because(fact)
    }
}

/// An answer under way.
type Asking<'h> = std::pin::Pin<Box<dyn Future<Output = std::result::Result<AuthResult, russh::Error>> + Send + 'h>>;
