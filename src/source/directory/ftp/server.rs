//! The server of one source: how a session with it is opened, and what was learned about it. Passwords are sent only
//! after `Accounts` allowed the attempt. How many sessions there may be is the pool's affair.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::control::Control;
use super::dial;
use super::features::Features;
use super::names::to_wire;
use super::refusal;
use super::reply::Reply;
use super::session::Session;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::net::tls;
use crate::source::Accounts;
use crate::source::settings::{FtpMode, FtpSecurity, FtpSettings, Names};
use crate::source::turn::Turn;

/// TLS sessions that one control connection remembers, for its data connections.
const TLS_SESSIONS_MAX: usize = 8;

/// A server, as one source sees it.
#[derive(Debug)]
pub struct Server {
    /// Where it is and how it is spoken to.
    pub settings: FtpSettings,
    /// What was learned.
    pub learned: Learned,
    tls: Option<(ClientConfig, ServerName<'static>)>,
    accounts: Arc<dyn Accounts>,
}

/// What use has shown about a server; the next session need not find it out again.
#[derive(Debug)]
pub struct Learned {
    /// A [`Passive`] as a number.
    passive: AtomicU8,
    /// Which of two passwords was accepted last.
    secret: AtomicUsize,
    /// Whether MLSD was refused although it is announced.
    pub no_facts: std::sync::atomic::AtomicBool,
    /// Whether a rename was carried out.
    pub renames: std::sync::atomic::AtomicBool,
    /// How far MDTM is from UTC, in seconds; `i64::MIN` while nobody knows.
    pub clock_offset: AtomicI64,
}

/// Which command asks for a data port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passive {
    /// EPSV is tried first.
    Unknown,
    /// EPSV works.
    Epsv,
    /// Only PASV works.
    Pasv,
}

impl Learned {
    /// Which command asks for a data port.
    pub fn passive(&self) -> Passive {
        match self.passive.load(Ordering::Relaxed) {
            1 => Passive::Epsv,
            2 => Passive::Pasv,
            _ => Passive::Unknown,
        }
    }

    /// Remembers which command asks for a data port.
    pub fn set_passive(&self, passive: Passive) {
        self.passive.store(passive as u8, Ordering::Relaxed);
    }
}

impl Server {
    /// The server that `settings` name. Certificates are read now, nothing is connected.
    ///
    /// # Errors
    /// `Config` for TLS settings that can't work, and for active mode through a proxy.
    pub fn new(settings: &FtpSettings, accounts: Arc<dyn Accounts>) -> Result<Self> {
        if settings.mode == FtpMode::Active && settings.server.proxy.is_some() {
            let rule =
                "mode = \"active\" can't go through a proxy: the server would have to connect to us; use passive";
            return Err(Error::new(ErrorKind::Config, rule));
        }
        let tls = match settings.security {
            FtpSecurity::Plain => None,
            FtpSecurity::Explicit | FtpSecurity::Implicit => {
                let config = tls::client_config(&settings.server.tls)?;
                Some((config, tls::server_name(&settings.server.tls, &settings.server.host)?))
            }
        };
        let learned = Learned {
            passive: AtomicU8::new(Passive::Unknown as u8),
            secret: AtomicUsize::new(0),
            no_facts: false.into(),
            renames: false.into(),
            clock_offset: AtomicI64::new(i64::MIN),
        };
        Ok(Self { settings: settings.clone(), learned, tls, accounts })
    }

    /// `ftp.example.com:21`, for errors.
    pub fn place(&self) -> String {
        let host = &self.settings.server.host;
        let port = self.settings.server.port;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The account, as it is counted: over all sources, whatever folder they look at.
    fn account(&self) -> String {
        format!("ftp://{}@{}", self.settings.server.user, self.place())
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// `Unavailable` and `TimedOut` when the server can't serve now, `Denied` when it refuses who we are or how we come.
    pub fn open(&self, stop: &Stop) -> Result<Session> {
        let secrets = match &self.settings.server.password {
            None => Vec::new(),
            Some(secret) => secret.reveal_all()?,
        };
        let first = self.learned.secret.load(Ordering::Relaxed).min(secrets.len().saturating_sub(1));
        let order = (0..secrets.len()).map(|n| (n + first) % secrets.len());
        let (mut held, mut refused) = (None, None);
        for number in order {
            let secret = secrets[number].as_str();
            // A held secret must not keep the other one from being tried. Where all are held nobody is even called.
            if let Err(error) = self.accounts.check(&self.account(), secret.as_bytes()) {
                held = Some(error);
                continue;
            }
            match self.open_with(Some(secret), stop) {
                Ok(session) => {
                    self.learned.secret.store(number, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(Opening::Refused(error)) => refused = Some(error),
                Err(Opening::Failed(error)) => return Err(error),
            }
        }
        match refused.or(held) {
            Some(error) => Err(error),
            None => self.open_with(None, stop).map_err(|(Opening::Refused(error) | Opening::Failed(error))| error),
        }
    }

    fn open_with(&self, secret: Option<&str>, stop: &Stop) -> Result<Session, Opening> {
        let server = &self.settings.server;
        let wire = dial::control(server, stop)?;
        let mut control = Control::new(wire, self.place(), server.timeout.reply.duration())?;
        let tls = self.tls.as_ref().map(|(config, name)| (self.own_sessions(config), name.clone()));
        let limit = server.timeout.connect.duration();
        if let (FtpSecurity::Implicit, Some((config, name))) = (self.settings.security, &tls) {
            control.begin_tls(Arc::clone(config), name.clone(), limit)?;
        }
        let greeting = self.greeting(&mut control)?;
        if let (FtpSecurity::Explicit, Some((config, name))) = (self.settings.security, &tls) {
            let reply = control.command(b"AUTH TLS")?;
            if reply.code != 234 {
                let fact = format!("{} offers no TLS on this port (AUTH TLS: {})", self.place(), reply.quoted());
                let remedy = "try ftps+implicit://, or ftp:// where nothing else is possible";
                return Err(Error::new(ErrorKind::Denied, format!("{fact}; {remedy}")).into());
            }
            control.begin_tls(Arc::clone(config), name.clone(), limit)?;
        }
        self.log_in(&mut control, secret, stop)?;
        Ok(self.prepare(control, greeting, tls)?)
    }

    /// A configuration with sessions of its own: servers demand that a data connection resumes the session of its control
    /// connection, and ProFTPD refuses that of another one.
    fn own_sessions(&self, config: &ClientConfig) -> Arc<ClientConfig> {
        let mut config = config.clone();
        config.resumption = Resumption::in_memory_sessions(TLS_SESSIONS_MAX);
        Arc::new(config)
    }

    fn greeting(&self, control: &mut Control) -> Result<Reply> {
        loop {
            let reply = control.reply()?;
            if reply.is_done() {
                return Ok(reply);
            }
            if !reply.is_begun() {
                control.break_off();
                return Err(if refusal::is_crowded(&reply) {
                    refusal::ended(&self.place(), &reply)
                } else if refusal::wants_tls(&reply) {
                    refusal::demands_tls(&self.place(), &reply)
                } else {
                    refusal::refused(format!("{} takes no sessions", self.place()), &reply)
                });
            }
        }
    }

    fn log_in(&self, control: &mut Control, secret: Option<&str>, stop: &Stop) -> Result<(), Opening> {
        let (user, place) = (&self.settings.server.user, self.place());
        let name = to_wire(self.settings.names, user.as_bytes())?;
        let reply = control.command(&[b"USER ", name.as_ref()].concat())?;
        if reply.is_done() {
            return Ok(());
        }
        if refusal::is_crowded(&reply) {
            return Err(refusal::ended(&place, &reply).into());
        }
        if refusal::wants_tls(&reply) {
            return Err(refusal::demands_tls(&place, &reply).into());
        }
        if reply.code != 331 {
            let fact = format!("{place} refused user {user}; check user");
            return Err(refusal::refused(fact, &reply).into());
        }
        let reply = match secret {
            Some(secret) => self.judged(control, secret, stop)?,
            // RFC 1635: guests name themselves.
            None if user == "anonymous" || user == "ftp" => control.command(b"PASS highwater@")?,
            None => {
                let fact = format!("{place} asks for the password of user {user}; set password");
                return Err(Error::new(ErrorKind::Denied, fact).into());
            }
        };
        if reply.is_done() {
            return Ok(());
        }
        if reply.code == 332 {
            let fact = format!("{place} asks user {user} for an account (ACCT), which is not supported");
            return Err(Error::new(ErrorKind::Denied, fact).into());
        }
        let fact = format!("{place}: the server refused user {user}; check password");
        Err(Opening::Refused(Error::new(ErrorKind::Denied, fact).because(reply.quoted())))
    }

    /// Sends a password and returns the reply in which the server judged it, good or bad.
    fn judged(&self, control: &mut Control, secret: &str, stop: &Stop) -> Result<Reply, Opening> {
        let account = self.account();
        let _turn = Turn::take(&account, stop)?;
        self.accounts.attempt(&account, secret.as_bytes(), stop).map_err(|error| match error.kind() {
            ErrorKind::Denied => Opening::Refused(error),
            _ => Opening::Failed(error),
        })?;
        let unanswered = |error: Error| {
            self.accounts.unanswered(&account, secret.as_bytes());
            Opening::Failed(error)
        };
        let encoded = to_wire(self.settings.names, secret.as_bytes()).map_err(|_| {
            // The error must not quote the password.
            let rule = "the password holds a line break, or a character that `names` has not";
            unanswered(Error::new(ErrorKind::Config, rule))
        })?;
        let reply = control.command(&[b"PASS ", encoded.as_ref()].concat()).map_err(unanswered)?;
        // With 332 the password is right, and the server wants something besides (RFC 959 section 5.4).
        if reply.is_done() || reply.code == 332 {
            self.accounts.accepted(&account, secret.as_bytes());
        } else if refusal::is_crowded(&reply) {
            return Err(unanswered(refusal::ended(&self.place(), &reply)));
        } else if refusal::wants_tls(&reply) {
            return Err(unanswered(refusal::demands_tls(&self.place(), &reply)));
        } else if reply.code < 500 && reply.code != 430 {
            return Err(unanswered(refusal::refused(format!("log in to {}", self.place()), &reply)));
        } else {
            self.accounts.refused(&account, secret.as_bytes());
        }
        Ok(reply)
    }

    fn prepare(
        &self,
        mut control: Control,
        greeting: Reply,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Session> {
        if tls.is_some() {
            // After the login: some servers know these only then. Implicit FTPS needs them just as well.
            control.command(b"PBSZ 0")?;
            let reply = control.command(b"PROT P")?;
            if !reply.is_done() {
                let fact = format!("{} does not protect data connections (PROT P: {})", self.place(), reply.quoted());
                return Err(Error::new(ErrorKind::Denied, format!("{fact}; files would be readable on the way")));
            }
        }
        let features = Features::of(&control.command(b"FEAT")?);
        if self.settings.names == Names::Utf8 && features.has("UTF8") {
            // Refused by servers that speak UTF-8 anyway.
            control.command(b"OPTS UTF8 ON")?;
        }
        if let Some(wanted) = features.facts_wanted() {
            control.command(wanted.as_bytes())?;
        }
        for command in &self.settings.login {
            let encoded = to_wire(self.settings.names, command.as_bytes())?;
            let reply = control.command(&encoded)?;
            if !reply.is_done() {
                let fact = format!("{} refused login command \"{command}\"", self.place());
                return Err(refusal::refused(fact, &reply));
            }
        }
        Ok(Session::new(control, features, greeting, tls))
    }
}

/// Why a session could not be opened.
enum Opening {
    /// This secret was refused, or is held: another one may do.
    Refused(Error),
    /// Another secret would not help.
    Failed(Error),
}

impl From<Error> for Opening {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
