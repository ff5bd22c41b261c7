//! An FTP server of our own that does what real ones won't: it serves a few files from memory, and a test says for each
//! command whether something else happens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use highwater::setting::Interval;
use highwater::source::settings::{FtpSettings, RemoteTimeouts};

/// What every file here was last modified.
const MODIFIED: &str = "20261101120000";

/// What a test does with one command; `false` leaves it to the server.
pub type Fault = dyn Fn(&mut Talk, &str, &str) -> bool + Send + Sync;

/// A running server; it ends with the test process, and takes no more sessions once it is dropped.
pub struct FaultyServer {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    heard: Mutex<Vec<String>>,
    sessions: AtomicUsize,
    ended: AtomicBool,
    features: String,
    fault: Box<Fault>,
}

/// One session, for faults to speak in.
pub struct Talk {
    control: TcpStream,
    passive: Option<TcpListener>,
    rest: usize,
    rename: Option<String>,
    /// How many commands with this verb came before, over all sessions.
    pub before: usize,
    /// Which session this is, from 0.
    pub session: usize,
    /// Whether every reply goes out a byte at a time.
    pub in_bytes: bool,
    alive: bool,
    shared: Arc<Shared>,
}

/// The features of a server that knows all we use.
pub const FEATURES: &str = "211-Features:\r\n MDTM\r\n SIZE\r\n REST STREAM\r\n MLST type*;size*;modify*;unique*;\r\n EPSV\r\n UTF8\r\n211 End\r\n";

/// The features of a server that knows only LIST.
pub const OLD: &str = "211-Features:\r\n MDTM\r\n SIZE\r\n REST STREAM\r\n EPSV\r\n211 End\r\n";

impl FaultyServer {
    /// Serves these files; `fault` is asked first about every command, and about `""`, the greeting.
    pub fn start(
        features: &str,
        files: &[(&str, &[u8])],
        fault: impl Fn(&mut Talk, &str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            files: Mutex::new(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()),
            heard: Mutex::default(),
            sessions: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            features: features.to_owned(),
            fault: Box::new(fault),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for control in listener.incoming().flatten() {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(control, shared));
            }
        });
        Self { port, shared }
    }

    /// Settings that fit it, with short deadlines.
    pub fn settings(&self) -> FtpSettings {
        let mut settings = super::settings(self.port, "partner", "secret", "/in");
        let short = Interval::from_millis(700);
        settings.server.timeout = RemoteTimeouts { connect: short, reply: short, idle: short };
        settings
    }

    /// Every command it heard, over all sessions.
    pub fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().expect("held").clone()
    }

    /// How often it heard a verb.
    pub fn count(&self, verb: &str) -> usize {
        self.heard().iter().filter(|line| line.split(' ').next() == Some(verb)).count()
    }

    /// How many sessions began.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::SeqCst)
    }

    /// The files it holds.
    pub fn files(&self) -> Vec<String> {
        self.shared.files.lock().expect("held").keys().cloned().collect()
    }

    /// Puts a file there.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.shared.files.lock().expect("held").insert(name.into(), bytes.to_vec());
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(control: TcpStream, shared: Arc<Shared>) {
    let session = shared.sessions.fetch_add(1, Ordering::SeqCst);
    let reading = control.try_clone().expect("a socket");
    let mut talk = Talk {
        control,
        passive: None,
        rest: 0,
        rename: None,
        before: 0,
        session,
        in_bytes: false,
        alive: true,
        shared: Arc::clone(&shared),
    };
    talk.before = session;
    if !(shared.fault)(&mut talk, "", "") {
        talk.say("220 ready");
    }
    let mut lines = BufReader::new(reading);
    let mut line = Vec::new();
    while talk.alive {
        line.clear();
        if !matches!(lines.read_until(b'\n', &mut line), Ok(got) if got > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
        {
            let mut heard = shared.heard.lock().expect("held");
            talk.before = heard.iter().filter(|line| line.split(' ').next() == Some(verb)).count();
            heard.push(text.clone());
        }
        if !(shared.fault)(&mut talk, verb, argument) && talk.alive {
            talk.answer(verb, argument);
        }
    }
}

impl Talk {
    /// Says one line.
    pub fn say(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes());
    }

    /// Says these bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.control.set_nodelay(self.in_bytes);
        let piece = if self.in_bytes { 1 } else { bytes.len().max(1) };
        if !bytes.chunks(piece).all(|piece| self.control.write_all(piece).is_ok()) {
            self.alive = false;
        }
    }

    /// Closes the session.
    pub fn hang_up(&mut self) {
        self.alive = false;
        let _ = self.control.shutdown(std::net::Shutdown::Both);
    }

    /// Says nothing more, and waits until the other side gives up.
    pub fn stall(&mut self) {
        let _ = self.control.read_to_end(&mut Vec::new());
        self.alive = false;
    }

    /// Opens a data port.
    pub fn listen(&mut self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        self.passive = Some(listener);
        port
    }

    /// The data connection.
    pub fn data(&mut self) -> TcpStream {
        self.passive.take().expect("EPSV came first").accept().expect("a data connection").0
    }

    /// Opens a data connection, sends these bytes, closes it.
    pub fn send(&mut self, bytes: &[u8]) {
        self.say("150 here it comes");
        let _ = self.data().write_all(bytes);
    }

    /// A file's bytes.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.files.lock().expect("held").get(name_of(path)).cloned()
    }

    /// Puts a file there.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.shared.files.lock().expect("held").insert(name_of(path).into(), bytes.to_vec());
    }

    /// What the server does when no fault wants otherwise.
    pub fn answer(&mut self, verb: &str, argument: &str) {
        let features = self.shared.features.clone();
        match verb {
            "USER" => self.say("331 password?"),
            "PASS" => self.say("230 welcome"),
            "FEAT" => self.raw(features.as_bytes()),
            "OPTS" | "TYPE" | "NOOP" => self.say("200 ok"),
            "CWD" if argument == "/in" => self.say("250 ok"),
            "CWD" => self.say("550 no such folder"),
            "PWD" => self.say("257 \"/in\""),
            "REST" => {
                self.rest = argument.parse().unwrap_or(0);
                self.say("350 ok");
            }
            "EPSV" => {
                let port = self.listen();
                self.say(&format!("229 ok (|||{port}|)"));
            }
            "MLSD" | "LIST" => {
                let files = self.shared.files.lock().expect("held").clone();
                // Folders are made and can be moved into, but only what lies in the root is listed.
                let listed = files.iter().filter(|(name, _)| !name.contains('/'));
                let lines = listed.map(|(name, bytes)| match verb {
                    "MLSD" => format!("{} {name}\r\n", facts(bytes)),
                    _ => format!("-rw-r--r-- 1 u g {} Nov  1 12:00 {name}\r\n", bytes.len()),
                });
                self.send(lines.collect::<String>().as_bytes());
                self.say("226 done");
            }
            "MLST" | "SIZE" | "MDTM" => match self.file(argument) {
                None => self.say("550 no such file"),
                Some(bytes) if verb == "SIZE" => self.say(&format!("213 {}", bytes.len())),
                Some(_) if verb == "MDTM" => self.say(&format!("213 {MODIFIED}")),
                Some(bytes) => self.raw(format!("250-x\r\n {} {argument}\r\n250 end\r\n", facts(&bytes)).as_bytes()),
            },
            "RETR" => match self.file(argument) {
                None => self.say("550 no such file"),
                Some(bytes) => {
                    let from = std::mem::take(&mut self.rest).min(bytes.len());
                    self.send(&bytes[from..]);
                    self.say("226 done");
                }
            },
            "RNFR" => {
                self.rename = self.file(argument).map(|_| name_of(argument).to_owned());
                self.say(if self.rename.is_some() { "350 to?" } else { "550 no such file" });
            }
            "RNTO" => {
                self.carry_out_rename(argument);
                self.say("250 renamed");
            }
            "DELE" => {
                let gone = self.shared.files.lock().expect("held").remove(name_of(argument));
                self.say(if gone.is_some() { "250 gone" } else { "550 no such file" });
            }
            "MKD" => self.say("257 made"),
            "QUIT" => {
                self.say("221 bye");
                self.hang_up();
            }
            _ => self.say("502 unknown"),
        }
    }

    /// Renames the file that RNFR named.
    pub fn carry_out_rename(&mut self, to: &str) {
        let mut files = self.shared.files.lock().expect("held");
        if let Some(bytes) = self.rename.take().and_then(|from| files.remove(&from)) {
            files.insert(name_of(to).to_owned(), bytes);
        }
    }
}

fn facts(bytes: &[u8]) -> String {
    format!("type=file;size={};modify={MODIFIED};", bytes.len())
}

fn name_of(path: &str) -> &str {
    path.strip_prefix("/in/").unwrap_or(path)
}
