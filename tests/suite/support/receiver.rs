//! An HTTP receiver that answers, or misbehaves, as it is told per request. Plain sockets and threads, so that every
//! byte is in its hands. What was received is kept and can be waited for.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// `webhook-id`, or empty.
    pub id: String,
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
}

impl Received {
    /// The value of one header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    fault: Option<Fault>,
}

/// How to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Reset the connection instead of an answer.
    ResetBeforeHead,
    /// Reset it behind the head, within the body.
    ResetAfterHead,
    /// A body that never ends.
    EndlessBody,
    /// Announce more than is sent, then close.
    ShortBody,
    /// A head that never ends, a header at a time.
    EndlessHead,
    /// Begin the head and stay silent.
    SilentWithinHead,
    /// Something that is not HTTP.
    Garbage,
    /// Answer, then close the kept-alive connection.
    CloseAfter,
    /// Say "100 Continue" and "103 Early Hints" first, unasked.
    InformFirst,
}

impl Answer {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO, fault: None }
    }

    /// 204, or misbehaviour in place of it.
    pub fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::status(200) }
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("Location", location)
    }

    /// A page, as proxies and login portals send it.
    pub fn html(status: u16, page: &str) -> Self {
        Self::status(status).header("Content-Type", "text/html").body(page)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before answering.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Rule = Arc<dyn Fn(&Received, usize) -> Answer + Send + Sync>;

/// A running receiver; it stops taking connections when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    queue: VecDeque<Answer>,
    rule: Option<Rule>,
    connections: usize,
    is_stopped: bool,
}

impl Receiver {
    /// Starts on a free port of 127.0.0.1 and answers 204 to everything.
    pub fn start() -> Self {
        Self::listen("http", None)
    }

    /// The same with TLS under this certificate chain.
    pub fn start_tls(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate and key fit");
        Self::listen("https", Some(Arc::new(config)))
    }

    /// The same, for clients alone that show a certificate of `authority`.
    pub fn start_mutual_tls(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).expect("an authority");
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_client_cert_verifier(clients.build().expect("a root is there"))
            .with_single_cert(chain, key)
            .expect("certificate and key fit");
        Self::listen("https", Some(Arc::new(config)))
    }

    fn listen(scheme: &'static str, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let inner = Arc::new(Inner { state: Mutex::default(), changed: Condvar::new() });
        let taken = inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                {
                    let mut state = taken.state.lock().expect("state");
                    if state.is_stopped {
                        return;
                    }
                    state.connections += 1;
                }
                let (inner, tls) = (taken.clone(), tls.clone());
                thread::spawn(move || inner.serve(stream, tls));
            }
        });
        Self { address, scheme, inner }
    }

    /// The address of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The port, for URLs with another host name.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers by a rule from now on; the number counts requests from 0.
    pub fn answers(&self, rule: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) {
        self.inner.state.lock().expect("state").rule = Some(Arc::new(rule));
    }

    /// Gives these answers first, one each.
    pub fn queue(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner.state.lock().expect("state").queue.extend(answers);
    }

    /// Every complete request so far, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.inner.state.lock().expect("state").received.clone()
    }

    /// How often each `webhook-id` came, in order of first arrival.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for received in self.received() {
            let place = *places.entry(received.id.clone()).or_insert_with(|| {
                counts.push((received.id, 0));
                counts.len() - 1
            });
            counts[place].1 += 1;
        }
        counts
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.inner.state.lock().expect("state").connections
    }

    /// Waits until at least `count` requests are complete, at most 30 s.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let state = self.inner.state.lock().expect("state");
        let (state, waited) = self
            .inner
            .changed
            .wait_timeout_while(state, super::LIMIT, |state| state.received.len() < count)
            .expect("state");
        assert!(!waited.timed_out(), "{} of {count} requests came within 30 s", state.received.len());
        state.received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.state.lock().expect("state").is_stopped = true;
        let _ = TcpStream::connect(self.address);
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Inner {
    fn serve(&self, tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) {
        let Ok(raw) = tcp.try_clone() else { return };
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => {
                let session = rustls::ServerConnection::new(config).expect("a valid configuration");
                Box::new(rustls::StreamOwned::new(session, tcp))
            }
        };
        let mut stream = BufReader::new(stream);
        while let Some(received) = read_request(&mut stream) {
            let answer = self.note(received);
            thread::sleep(answer.delay);
            if !send(stream.get_mut(), &raw, &answer) {
                return;
            }
        }
    }

    fn note(&self, received: Received) -> Answer {
        let mut state = self.state.lock().expect("state");
        let number = state.received.len();
        state.received.push(received.clone());
        self.changed.notify_all();
        if let Some(answer) = state.queue.pop_front() {
            return answer;
        }
        let rule = state.rule.clone();
        drop(state);
        rule.map_or_else(|| Answer::status(204), |rule| rule(&received, number))
    }
}

fn read_request(stream: &mut BufReader<Box<dyn Stream>>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let find = |name: &str| headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.clone());
    let length = find("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let id = find("webhook-id").unwrap_or_default();
    Some(Received { id, method, target, headers, body, at: Instant::now() })
}

/// Sends the answer; false when the connection is over.
fn send(stream: &mut Box<dyn Stream>, raw: &TcpStream, answer: &Answer) -> bool {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match answer.fault {
        Some(Fault::ResetAfterHead | Fault::EndlessBody) => "Transfer-Encoding: chunked\r\n\r\n".into(),
        Some(Fault::ShortBody) => format!("Content-Length: {}\r\n\r\n", answer.body.len() + 100),
        _ if answer.status == 204 || answer.status == 304 => "\r\n".into(),
        _ => format!("Content-Length: {}\r\n\r\n", answer.body.len()),
    };
    let mut put = |bytes: &[u8]| stream.write_all(bytes).and_then(|()| stream.flush()).is_ok();
    let whole = [head.as_bytes(), length.as_bytes(), &answer.body].concat();
    match answer.fault {
        Some(Fault::ResetBeforeHead) => reset(raw),
        Some(Fault::Garbage) => {
            put(b"220 mail.example.com ESMTP ready\r\n\r\n");
            false
        }
        Some(Fault::SilentWithinHead) => put(head.as_bytes()) && wait_for_close(raw),
        Some(Fault::EndlessHead) => {
            put(head.as_bytes());
            while put(format!("X-More: {}\r\n", "x".repeat(1000)).as_bytes()) {}
            false
        }
        Some(Fault::ResetAfterHead) => {
            put(format!("{head}{length}5\r\nhello\r\n").as_bytes());
            reset(raw)
        }
        Some(Fault::EndlessBody) => {
            put(format!("{head}{length}").as_bytes());
            while put(format!("2000\r\n{}\r\n", "x".repeat(0x2000)).as_bytes()) {}
            false
        }
        Some(Fault::ShortBody | Fault::CloseAfter) => {
            put(&whole);
            false
        }
        Some(Fault::InformFirst) => {
            let first = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
            put(&[first.as_slice(), &whole].concat())
        }
        None => put(&whole),
    }
}

fn reset(raw: &TcpStream) -> bool {
    // Closing with a linger time of zero sends a reset (socket(7)).
    let _ = rustix::net::sockopt::set_socket_linger(raw, Some(Duration::ZERO));
    false
}

fn wait_for_close(raw: &TcpStream) -> bool {
    let mut rest = [0; 64];
    let mut raw = raw;
    while raw.read(&mut rest).is_ok_and(|read| read > 0) {}
    false
}
