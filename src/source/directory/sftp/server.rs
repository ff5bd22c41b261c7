//! An SFTP server and our account there: connects, checks the host key, logs in and starts the subsystem.
//! How many connections there are, and who uses them, belongs to `slots` and `folder`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::Preferred;
use russh::client::{Config, GexParams, connect_stream};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::account::Account;
use super::algorithms::Offer;
use super::credential::Credentials;
use super::dial::dial;
use super::failure::{of_malformed, of_ssh};
use super::gate::{Gate, Notes, Shut};
use super::host_key::Trust;
use super::login::Login;
use super::packet::{Malformed, Reply, VERSION};
use super::session::Session;
use super::slots::{self, Slot};
use super::waiting::{wait, within};
use super::wire::Wire;
use crate::clock::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::setting::Secret;
use crate::source::Accounts;
use crate::source::settings::{HostKey, RemoteTimeouts, ServerSettings, SftpSettings};
use crate::source::turn::Turn;

/// A connection on which nothing came for this long is asked for a sign of life; after three without one it is dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What a server may send before we have taken it: some 4 MiB keep 64 reads of 32 KiB under way.
const WINDOW_BYTES: u32 = 4 << 20;

/// What there is already when a connection is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The source has none.
    Nothing,
    /// The source has one, and can do without this one.
    Another,
}

/// A server and how it is spoken to.
pub struct SftpServer {
    settings: ServerSettings,
    trust: Arc<Trust>,
    offer: Offer,
    account: Account,
    runtime: Handle,
    /// The type of host key that fits a pinned fingerprint, once it was found.
    family: Mutex<Option<&'static str>>,
    identity: String,
}

impl SftpServer {
    /// A server from its settings. Nothing is connected or read yet.
    ///
    /// # Errors
    /// `Config` for an algorithm that is not known.
    pub fn new(settings: &SftpSettings, accounts: Arc<dyn Accounts>, runtime: Handle) -> Result<Self> {
        let server = settings.server.clone();
        let offer = Offer::with(&settings.algorithms)?;
        let name = format!("sftp://{}@{}:{}", server.user, bracketed(&server.host), server.port);
        let mut account = Account::new(name, &server.user, accounts);
        account.password = server.password.clone();
        account.identity = settings.identity.clone();
        account.passphrase = settings.passphrase.clone();
        account.sha1 = offer.sha1;
        let trust = Trust { policy: settings.host_key.clone(), host: server.host.clone(), port: server.port };
        let origin = |secret: &Option<Secret>| secret.as_ref().map(Secret::origin);
        // Literal secrets are told apart by their digest: two sources share a connection only if they would log in alike.
        let identity = format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            account.name,
            settings.host_key,
            settings.identity,
            settings.algorithms,
            server.proxy,
            origin(&server.password),
            origin(&settings.passphrase),
            digest_of(&server.password),
        );
        Ok(Self {
            settings: server,
            trust: Arc::new(trust),
            offer,
            account,
            runtime,
            family: Mutex::default(),
            identity,
        })
    }

    /// `sftp://user@host:port`, without secrets.
    pub fn name(&self) -> &str {
        &self.account.name
    }

    /// Two servers of the same text may use each other's connections.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Host and port, by which connections are counted.
    pub fn place(&self) -> (&str, u16) {
        (&self.settings.host, self.settings.port)
    }

    /// The most connections.
    pub fn connections(&self) -> usize {
        self.settings.connections.max(1)
    }

    /// How long is waited for what.
    pub fn timeouts(&self) -> RemoteTimeouts {
        self.settings.timeout
    }

    /// Where connections live.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Opens a connection, logs in and starts SFTP on it.
    ///
    /// # Errors
    /// `Denied`: host key or login; `Unavailable`, `TimedOut`: worth a retry; `Config`: a key or file of ours.
    pub fn connect(&self, slot: Slot, beside: Beside, stop: &Stop) -> Result<Session> {
        let span = self.settings.timeout.reply.duration();
        let credentials = self.runtime.block_on(Credentials::gather(&self.account, span, stop))?;
        self.account.check(&credentials)?;
        let lines = self.trust.lines()?;
        let known: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
        let authority = lines.iter().any(|line| line.marker == super::known_hosts::Marker::Authority);
        let family = *self.family.lock().expect("nobody panics while looking for a host key");
        let preferred = match family {
            Some(family) => self.offer.only(family),
            None => self.offer.preferring(&known, authority),
        };
        let mut greeted = self.greet(preferred, &lines, stop);
        if family.is_none() && matches!(self.trust.policy, HostKey::Fingerprints(_)) {
            // A server with several keys shows one of them; the pinned one may be another.
            for family in self.offer.families() {
                let Err(error) = &greeted else { break };
                if error.kind() != ErrorKind::Denied {
                    break;
                }
                if let Ok(found) = self.greet(self.offer.only(family), &lines, stop) {
                    *self.family.lock().expect("nobody panics while looking for a host key") = Some(family);
                    greeted = Ok(found);
                }
            }
        }
        let (ssh, notes) = greeted?;
        // Those that are under way count as refused, and a good secret must not be held by them.
        let _turn = Turn::take(&self.account.name, stop)?;
        if beside == Beside::Another && slots::is_barred(self) {
            let fact = format!("{}: a further login was refused before", self.account.name);
            return Err(Error::new(ErrorKind::Unavailable, fact));
        }
        let entered = self.enter(ssh, notes, credentials, slot, stop);
        if beside == Beside::Another && entered.as_ref().is_err_and(|error| error.kind() == ErrorKind::Denied) {
            slots::bar(self);
        }
        entered
    }

    /// Connects and exchanges keys.
    fn greet(
        &self,
        preferred: Preferred,
        lines: &[super::known_hosts::Line],
        stop: &Stop,
    ) -> Result<(russh::client::Handle<Gate>, Notes)> {
        let span = self.settings.timeout.connect.duration();
        let name = &self.account.name;
        let doing = format!("connect to {name}");
        let stream = wait(&self.runtime, stop, span, &doing, dial(&self.settings))?;
        let notes = Notes::default();
        let gate = Gate::new(Arc::clone(&self.trust), lines.to_vec(), Arc::clone(&notes));
        let config = Arc::new(Config {
            preferred,
            window_size: WINDOW_BYTES,
            keepalive_interval: Some(KEEPALIVE),
            // The groups of old servers have 2,048 bits; those of 8,192 take a second to compute.
            gex: GexParams::new(2048, 3072, 8192).map_err(|e| of_ssh(&doing, &e))?,
            nodelay: true,
            ..Config::default()
        });
        let shaking = async {
            connect_stream(config, stream, gate).await.map_err(|shut| match shut {
                Shut::Refused(error) => error,
                Shut::Ssh(error) => of_ssh(&doing, &error),
            })
        };
        let ssh = wait(&self.runtime, stop, span, &doing, shaking)?;
        Ok((ssh, notes))
    }

    /// Logs in and starts SFTP.
    fn enter(
        &self,
        mut ssh: russh::client::Handle<Gate>,
        notes: Notes,
        credentials: Credentials,
        slot: Slot,
        stop: &Stop,
    ) -> Result<Session> {
        let span = self.settings.timeout.reply.duration();
        let name = self.account.name.as_str();
        self.runtime.block_on(async {
            let login = Login { ssh: &mut ssh, notes: &notes, account: &self.account, span, stop };
            let offered = login.run(credentials).await?;
            let doing = format!("start SFTP at {name}");
            let starting =
                async {
                    let channel = ssh.channel_open_session().await.map_err(|e| of_ssh(&doing, &e))?;
                    channel.request_subsystem(true, "sftp").await.map_err(|e| of_ssh(&doing, &e))?;
                    let wire = Wire::new(channel, name, &self.runtime);
                    let reply = wire.init().await?.reply().await.map_err(|e| {
                        let remedy = "the server started no SFTP; is it allowed for this account?";
                        Error::new(e.kind(), format!("{doing}: {remedy}")).because(e)
                    })?;
                    match reply {
                        Reply::Version(version, extensions) if version >= VERSION => Ok((wire, extensions)),
                        Reply::Version(version, _) => Err(Error::new(ErrorKind::Invalid, &doing)
                            .because(format!("it speaks SFTP {version}, we need 3"))),
                        _ => Err(of_malformed(name, Malformed("something else than its version"))),
                    }
                };
            let (wire, extensions) = within(stop, span, &doing, starting).await?;
            let seen = notes.lock().expect("nobody panics while taking notes").clone();
            let timeouts = self.settings.timeout;
            let extensions = extensions.into_iter().map(|(name, _)| name).collect();
            let (place, runtime) = (name.to_owned(), self.runtime.clone());
            Ok(Session { wire, seen, offered, extensions, timeouts, place, runtime, _ssh: ssh, _slot: slot })
        })
    }
}

fn digest_of(secret: &Option<Secret>) -> String {
    let values = secret.as_ref().and_then(|secret| secret.reveal_all().ok()).unwrap_or_default();
    data_encoding::HEXLOWER.encode(&Sha256::digest(values.join("\0").as_bytes())[..8])
}

/// An IPv6 address in brackets, as it stands in a URL.
pub fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
