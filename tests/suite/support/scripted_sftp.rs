//! An SFTP server of our own for what OpenSSH won't do: passwords without PAM, old algorithms, broken and hostile answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey, run_stream,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Preferred};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::postgres::RUNTIME;
use super::sshd::make_key;

/// What the server does differently from a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Entries come without any attributes.
    NoAttributes,
    /// READ gives at most 1,000 bytes.
    ShortReads,
    /// READ gives more than was asked for.
    LongReads,
    /// The listing breaks off with an error after its first answer.
    ListingBreaks,
    /// The listing never ends, with one entry an answer.
    ListingEndless,
    /// The listing gives answers without entries for ever.
    ListingEmptyAnswers,
    /// The listing has names that no file can have.
    ImpossibleNames,
    /// An answer carries the id of no request.
    WrongId,
    /// An answer is announced with 1 GiB.
    HugePacket,
    /// What a login script prints comes before the protocol.
    Noise,
    /// A rename replaces what is there.
    RenameOverwrites,
    /// Nothing is answered any more after the file was opened.
    StallsAtRead,
    /// The connection is cut when the file is read, the first time.
    CutsAtRead,
}

/// What the server thinks of keys, whichever is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// It knows none.
    Unknown,
    /// It asks for a signature and refuses it.
    RefusedWhenSigned,
    /// A key is good, and the password is wanted besides.
    FirstOfTwo,
}

/// How the server behaves.
#[derive(Clone)]
pub struct Script {
    pub fault: Fault,
    pub methods: Vec<MethodKind>,
    pub keys: Keys,
    /// Passwords that are good.
    pub passwords: Vec<&'static str>,
    /// The only algorithms it knows, where it is an old one.
    pub preferred: Option<Preferred>,
    /// The connection is closed in good order at a wrong password.
    pub closes_at_refusal: bool,
    /// A wrong answer is answered by the same question, as some do, and not by a refusal.
    pub asks_again: bool,
    /// While so many connections are open, further logins are refused, good or not.
    pub logins_max: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            fault: Fault::None,
            methods: vec![MethodKind::Password],
            keys: Keys::Unknown,
            passwords: vec!["good"],
            preferred: None,
            closes_at_refusal: false,
            asks_again: false,
            logins_max: usize::MAX,
        }
    }
}

/// What the server holds and saw.
#[derive(Default)]
pub struct Held {
    /// The files in `/in`, by name, with their contents.
    pub files: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Every password it was sent.
    pub passwords: Mutex<Vec<String>>,
    /// How many keys it was shown, and how many signatures.
    pub keys: AtomicUsize,
    pub signatures: AtomicUsize,
    /// Connections so far, and those open now at most.
    pub connections: AtomicUsize,
    pub reads: AtomicUsize,
    open: AtomicUsize,
    pub open_max: AtomicUsize,
}

/// A running server.
pub struct Scripted {
    pub port: u16,
    pub fingerprint: String,
    pub held: Arc<Held>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// Starts a server with these files in `/in`.
    pub fn start(script: Script, files: &[(&[u8], &[u8])]) -> Self {
        let ssh_rsa = Algorithm::Rsa { hash: None };
        let is_old = script.preferred.as_ref().is_some_and(|preferred| preferred.key.contains(&ssh_rsa));
        let key = host_key(if is_old { "rsa" } else { "ed25519" });
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let mut config = Config {
            keys: vec![key],
            methods: MethodSet::from(&script.methods[..]),
            auth_rejection_time: std::time::Duration::ZERO,
            nodelay: true,
            ..Config::default()
        };
        if let Some(preferred) = &script.preferred {
            config.preferred = preferred.clone();
        }
        let held = Arc::new(Held::default());
        held.files.lock().expect("fresh").extend(files.iter().map(|(name, text)| (name.to_vec(), text.to_vec())));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (config, shared) = (Arc::new(config), Arc::clone(&held));
        let task = RUNTIME.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let open = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
                shared.open_max.fetch_max(open, Ordering::Relaxed);
                let peer = Peer { script: script.clone(), held: Arc::clone(&shared), channel: None };
                let (config, held) = (Arc::clone(&config), Arc::clone(&shared));
                tokio::spawn(async move {
                    if let Ok(running) = run_stream(config, stream, peer).await {
                        drop(running.await);
                    }
                    held.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { port, fingerprint, held, task }
    }
}

fn host_key(kind: &str) -> PrivateKey {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    make_key(&path, kind, "");
    russh::keys::load_secret_key(&path, None).expect("a key")
}

struct Peer {
    script: Script,
    held: Arc<Held>,
    channel: Option<Channel<Msg>>,
}

impl Peer {
    fn judge(&self, password: &str) -> Result<Auth, russh::Error> {
        self.held.passwords.lock().expect("no panic").push(password.to_owned());
        let is_crowded = self.held.open.load(Ordering::Relaxed) > self.script.logins_max;
        if self.script.passwords.contains(&password) && !is_crowded {
            return Ok(Auth::Accept);
        }
        if self.script.closes_at_refusal {
            return Err(russh::Error::Disconnect);
        }
        Ok(self.refusal())
    }

    fn refusal(&self) -> Auth {
        let again = MethodSet::from(&self.script.methods[..]);
        Auth::Reject { proceed_with_methods: Some(again), partial_success: false }
    }
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        self.held.keys.fetch_add(1, Ordering::Relaxed);
        Ok(if self.script.keys == Keys::Unknown { self.refusal() } else { Auth::Accept })
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.held.signatures.fetch_add(1, Ordering::Relaxed);
        if self.script.keys != Keys::FirstOfTwo {
            return Ok(self.refusal());
        }
        let others = self.script.methods.iter().copied().filter(|method| *method != MethodKind::PublicKey);
        let others = MethodSet::from(&others.collect::<Vec<_>>()[..]);
        Ok(Auth::Reject { proceed_with_methods: Some(others), partial_success: true })
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        self.judge(password)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let question = Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: Cow::Owned(vec![("Password: ".into(), false)]),
        };
        match response.and_then(|mut response| response.next().map(|text| text.to_vec())) {
            Some(text) => match self.judge(&String::from_utf8_lossy(&text))? {
                Auth::Reject { .. } if self.script.asks_again => Ok(question),
                judged => Ok(judged),
            },
            None => Ok(question),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channel.take() else { return Err(russh::Error::Inconsistent) };
        session.channel_success(id)?;
        let talk = Talk { fault: self.script.fault, held: Arc::clone(&self.held), listed: 0, opened: Vec::new() };
        tokio::spawn(talk.serve(channel, session.handle(), id));
        Ok(())
    }
}

struct Talk {
    fault: Fault,
    held: Arc<Held>,
    listed: usize,
    /// The files that were opened; the handle is the place in this list.
    opened: Vec<Vec<u8>>,
}

enum Answer {
    Packets(Vec<u8>),
    Nothing,
    Cut,
}

impl Talk {
    async fn serve(mut self, channel: Channel<Msg>, handle: russh::server::Handle, id: ChannelId) {
        let mut stream = channel.into_stream();
        if self.fault == Fault::Noise {
            drop(stream.write_all(b"Welcome to our server\r\n").await);
        }
        while let Ok(length) = stream.read_u32().await {
            let mut packet = vec![0; length as usize];
            if stream.read_exact(&mut packet).await.is_err() {
                return;
            }
            match self.answer(&packet) {
                Answer::Packets(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Answer::Nothing => {}
                Answer::Cut => {
                    let _ = handle.close(id).await;
                    drop(handle.disconnect(russh::Disconnect::ByApplication, "cut".into(), String::new()).await);
                    return;
                }
            }
        }
    }

    fn answer(&mut self, packet: &[u8]) -> Answer {
        let kind = packet[0];
        if kind == 1 {
            return Answer::Packets(framed(&[2, 0, 0, 0, 3]));
        }
        let id = &packet[1..5];
        let mut rest = &packet[5..];
        let first = take(&mut rest).to_vec();
        let body = match kind {
            3 => self.open(&first),
            4 => status(0),
            5 => match self.read(&first, rest) {
                Some(body) => body,
                None if self.fault == Fault::CutsAtRead => return Answer::Cut,
                None => return Answer::Nothing,
            },
            7 | 17 => self.look(&first),
            8 => self.look(&[b"/in/", &self.opened[usize::from(first[0])][..]].concat()),
            11 => {
                self.listed = 0;
                vec![102, 0, 0, 0, 1, b'd']
            }
            12 => self.list(),
            13 => status(if self.files(|files| files.remove(name(&first)).is_some()) { 0 } else { 2 }),
            16 => named(&[(b"/in", None)]),
            18 => self.rename(name(&first), name(take(&mut rest))),
            _ => status(8),
        };
        let id = if self.fault == Fault::WrongId && kind == 12 { &[9, 9, 9, 9] } else { id };
        if self.fault == Fault::HugePacket && kind == 12 {
            return Answer::Packets(vec![0x40, 0, 0, 0, 104]);
        }
        Answer::Packets(framed(&[&body[..1], id, &body[1..]].concat()))
    }

    fn files<T>(&self, work: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>) -> T) -> T {
        work(&mut self.held.files.lock().expect("no panic"))
    }

    fn look(&self, path: &[u8]) -> Vec<u8> {
        if path == b"/in" {
            return attributes(None, 0o040_755);
        }
        match self.files(|files| files.get(name(path)).map(Vec::len)) {
            Some(length) => attributes(Some(length), 0o100_644),
            None => status(2),
        }
    }

    fn open(&mut self, path: &[u8]) -> Vec<u8> {
        if !self.files(|files| files.contains_key(name(path))) {
            return status(2);
        }
        self.opened.push(name(path).to_vec());
        vec![102, 0, 0, 0, 1, (self.opened.len() - 1) as u8]
    }

    fn read(&mut self, handle: &[u8], mut rest: &[u8]) -> Option<Vec<u8>> {
        let reads = self.held.reads.fetch_add(1, Ordering::Relaxed);
        if self.fault == Fault::StallsAtRead || (self.fault == Fault::CutsAtRead && reads == 0) {
            return None;
        }
        let offset = u64::from_be_bytes(rest[..8].try_into().expect("8 bytes")) as usize;
        rest = &rest[8..];
        let mut wanted = u32::from_be_bytes(rest[..4].try_into().expect("4 bytes")) as usize;
        match self.fault {
            Fault::ShortReads => wanted = wanted.min(1_000),
            Fault::LongReads => wanted += 1,
            _ => {}
        }
        let name = &self.opened[usize::from(handle[0])];
        let bytes = self.files(|files| files.get(name).cloned().unwrap_or_default());
        if offset >= bytes.len() {
            return Some(status(1));
        }
        let mut some = bytes[offset..bytes.len().min(offset + wanted)].to_vec();
        if self.fault == Fault::LongReads {
            some.resize(wanted, 0);
        }
        Some([&[103][..], &text(&some)].concat())
    }

    fn list(&mut self) -> Vec<u8> {
        self.listed += 1;
        let names = self.files(|files| files.iter().map(|(name, text)| (name.clone(), text.len())).collect::<Vec<_>>());
        let told = |length| if self.fault == Fault::NoAttributes { None } else { Some(length) };
        match (self.fault, self.listed) {
            (Fault::ListingEmptyAnswers, _) => named(&[]),
            (Fault::ListingEndless, count) => named(&[(format!("{count:09}").as_bytes(), Some(1))]),
            (_, 1) => {
                let mut entries: Vec<(&[u8], Option<usize>)> =
                    names.iter().map(|(name, length)| (name.as_slice(), told(*length))).collect();
                entries.extend([(&b"."[..], None), (b"..", None)]);
                if self.fault == Fault::ImpossibleNames {
                    entries.extend([(&b"../../etc/passwd"[..], Some(1)), (b"/etc/passwd", Some(1)), (b"", Some(1))]);
                }
                named(&entries)
            }
            (Fault::ListingBreaks, _) => status(4),
            _ => status(1),
        }
    }

    fn rename(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        self.files(|files| {
            if files.contains_key(to) && self.fault != Fault::RenameOverwrites {
                return status(4);
            }
            match files.remove(from) {
                Some(text) => {
                    files.insert(to.to_vec(), text);
                    status(0)
                }
                None => status(2),
            }
        })
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    framed(bytes)
}

fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = u32::from_be_bytes(rest[..4].try_into().expect("4 bytes")) as usize;
    let (taken, left) = rest[4..].split_at(length);
    *rest = left;
    taken
}

fn name(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/in/").unwrap_or(path)
}

fn status(code: u32) -> Vec<u8> {
    [&[101][..], &code.to_be_bytes(), &text(b"as the script says"), &text(b"")].concat()
}

fn attributes(size: Option<usize>, mode: u32) -> Vec<u8> {
    [&[105][..], &told(size, mode)].concat()
}

fn told(size: Option<usize>, mode: u32) -> Vec<u8> {
    let mut bytes = (0x0c_u32 | u32::from(size.is_some())).to_be_bytes().to_vec();
    bytes.extend(size.map(|size| (size as u64).to_be_bytes()).into_iter().flatten());
    bytes.extend(mode.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0x60, 0, 0, 0]);
    bytes
}

fn named(entries: &[(&[u8], Option<usize>)]) -> Vec<u8> {
    let mut bytes = vec![104];
    bytes.extend((entries.len() as u32).to_be_bytes());
    for (name, size) in entries {
        bytes.extend(text(name));
        bytes.extend(text(b"ignored"));
        match size {
            Some(size) => bytes.extend(told(Some(*size), 0o100_644)),
            None => bytes.extend([0; 4]),
        }
    }
    bytes
}
