//! `highwater listen`: a local receiver that verifies and prints, to try a sink against. It keeps nothing.
//! How requests are shown is in `line`; the command line itself is read elsewhere.

mod line;

use std::collections::{HashSet, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::clock::{Clock, Stop, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::net::signature::{Scheme, Signing, WEBHOOK_ID, Why, verify::TOLERANCE};

/// Where it listens unless told otherwise.
pub const ADDR_DEFAULT: &str = "127.0.0.1:9000";

/// A body may have this many bytes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// So many of the last ids are remembered, to tell what came again.
const IDS_MAX: usize = 100_000;

/// A head must be complete within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A failure's status unless told otherwise.
const FAILURE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Where to listen.
    pub addr: SocketAddr,
    /// The secret to verify with; without one nothing is verified.
    pub secret: Option<String>,
    /// How the sink signs.
    pub scheme: Scheme,
    /// Every so many requests one is answered with a failure.
    pub fail_every: Option<u64>,
    /// The answer to every request, or with `fail_every` to those that fail.
    pub status: Option<StatusCode>,
    /// How long to wait before each answer.
    pub delay: Duration,
    /// Prints each event as a line of JSON.
    pub json: bool,
    /// No line per request.
    pub quiet: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 9000)),
            secret: None,
            scheme: Scheme::Standard,
            fail_every: None,
            status: None,
            delay: Duration::ZERO,
            json: false,
            quiet: false,
        }
    }
}

/// Where lines go: data and notes.
pub struct Outputs {
    /// Standard output.
    pub data: Box<dyn Write + Send>,
    /// Standard error.
    pub notes: Box<dyn Write + Send>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { data: Box::new(std::io::stdout()), notes: Box::new(std::io::stderr()) }
    }
}

/// Listens until `stop` is raised, or until nobody reads standard output any more.
///
/// # Errors
/// `Usage` for a secret that is no key; `Conflict` when the port is in use.
pub fn listen(options: ListenOptions, stop: Stop) -> Result<()> {
    listen_to(options, stop, Outputs::default(), |_| {})
}

/// As [`listen`], with its outputs given; `ready` is told the address once it listens (port 0 finds a free one).
///
/// # Errors
/// As [`listen`].
pub fn listen_to(
    options: ListenOptions,
    stop: Stop,
    outputs: Outputs,
    ready: impl FnOnce(SocketAddr) + Send,
) -> Result<()> {
    let secret = options.secret.as_deref().map(|secret| Signing::new(options.scheme, None, &[secret.to_owned()]));
    let signing = secret.transpose().map_err(|e| Error::new(ErrorKind::Usage, "--secret").because(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("start the receiver", e))?;
    runtime.block_on(async {
        let listener = bind(options.addr).await?;
        let addr = listener.local_addr().map_err(|e| Error::io("ask for the port", e))?;
        let desk = Desk { signing, clock: SystemClock::new(), stop: stop.clone(), state: Mutex::default(), options };
        desk.greet(addr, outputs);
        ready(addr);
        desk.serve(listener).await;
        Ok(())
    })
}

async fn bind(addr: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(addr).await.map_err(|e| {
        if e.kind() == std::io::ErrorKind::AddrInUse {
            let next = SocketAddr::new(addr.ip(), addr.port().checked_add(1).unwrap_or(9000));
            let fact = format!("{addr} is in use by another program; stop it, or choose another with --addr {next}");
            return Error::new(ErrorKind::Conflict, fact);
        }
        Error::io(format!("listen on {addr}"), e)
    })
}

/// One request and what was found out about it.
pub(crate) struct Seen {
    at: Timestamp,
    method: String,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    signature: Signature,
    is_again: bool,
    status: StatusCode,
}

/// What is said of a signature.
pub(crate) enum Signature {
    /// It is right.
    Good,
    /// It is not.
    Bad(Why),
    /// There was no secret to check it with.
    Unchecked,
}

/// Takes requests, answers and prints.
struct Desk {
    options: ListenOptions,
    signing: Option<Signing>,
    clock: SystemClock,
    stop: Stop,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outputs: Option<Outputs>,
    requests: u64,
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Desk {
    fn greet(&self, addr: SocketAddr, mut outputs: Outputs) {
        let secret = match (&self.options.secret, self.options.scheme) {
            (None, _) => String::new(),
            (Some(_), scheme) => {
                format!("sign = {{ scheme = \"{}\", secret = \"...\" }}   # as given with --secret\n", scheme.as_str())
            }
        };
        let example = format!("[sink.try]\nkind = \"http\"\nurl = \"http://{addr}/\"\n{secret}");
        // Nobody may be listening to the notes; that is no reason not to receive.
        let _ = writeln!(outputs.notes, "listening on http://{addr}/ ; a sink for it:\n\n{example}");
        self.state.lock().expect("no holder of the desk panics").outputs = Some(outputs);
    }

    async fn serve(self, listener: TcpListener) {
        let (stop, desk) = (self.stop.clone(), Arc::new(self));
        let stopped = tokio::task::spawn_blocking(move || while !stop.wait(Duration::from_secs(3600)) {});
        let accept = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of descriptors, most likely; they come back.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let desk = desk.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let desk = desk.clone();
                        async move { Ok::<_, std::convert::Infallible>(desk.answer(request).await) }
                    });
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                    // A connection that breaks off concerns its sender alone.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        };
        tokio::select! {
            _ = stopped => {}
            () = accept => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let at = self.clock.now();
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return response(StatusCode::PAYLOAD_TOO_LARGE),
        };
        let signature = match &self.signing {
            None => Signature::Unchecked,
            Some(signing) => match signing.verify(&head.headers, &body, at, TOLERANCE) {
                Ok(_) => Signature::Good,
                Err(why) => Signature::Bad(why),
            },
        };
        let status = self.status(&signature);
        let id = head.headers.get(&WEBHOOK_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let is_again = self.is_again(id, status);
        let (method, target) = (head.method.to_string(), head.uri.to_string());
        if !self.options.delay.is_zero() {
            tokio::time::sleep(self.options.delay).await;
        }
        self.print(&Seen { at, method, target, headers: head.headers, body, signature, is_again, status });
        response(status)
    }

    fn status(&self, signature: &Signature) -> StatusCode {
        let mut state = self.state.lock().expect("no holder of the desk panics");
        state.requests += 1;
        let fails = match self.options.fail_every {
            Some(every) => every > 0 && state.requests.is_multiple_of(every),
            None => self.options.status.is_some(),
        };
        match (fails, signature) {
            (true, _) => self.options.status.unwrap_or(FAILURE),
            (false, Signature::Bad(_)) => StatusCode::UNAUTHORIZED,
            (false, _) => StatusCode::NO_CONTENT,
        }
    }

    /// Whether this id was taken before; one that is taken now is remembered.
    fn is_again(&self, id: String, status: StatusCode) -> bool {
        let mut state = self.state.lock().expect("no holder of the desk panics");
        if id.is_empty() || state.known.contains(&id) {
            return !id.is_empty();
        }
        if status.is_success() {
            if state.order.len() == IDS_MAX
                && let Some(oldest) = state.order.pop_front()
            {
                state.known.remove(&oldest);
            }
            state.known.insert(id.clone());
            state.order.push_back(id);
        }
        false
    }

    fn print(&self, seen: &Seen) {
        let mut state = self.state.lock().expect("no holder of the desk panics");
        let Some(Outputs { data, notes }) = &mut state.outputs else { return };
        let line = (!self.options.quiet).then(|| line::compact(seen));
        let written = match (self.options.json, line) {
            (true, line) => {
                if let Some(line) = line {
                    let _ = writeln!(notes, "{line}");
                }
                writeln!(data, "{}", line::event(seen))
            }
            (false, Some(line)) => writeln!(data, "{line}"),
            (false, None) => Ok(()),
        };
        if written.and_then(|()| data.flush()).is_err() {
            // The reader of our output is gone (`listen | head`).
            self.stop.raise();
        }
    }
}

fn response(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
