//! The HTTP/1.1 client: pooled connections that are reused, deadlines, bounded answers, and no redirect ever followed.
//! What an answer means belongs to the caller; which addresses are allowed to [`super::address`].

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::address;
use super::body::Body;
use super::failure::{Failure, FailureKind, Forbidden, TooLate, Unresolved};
use super::{TlsSettings, tls};
use crate::error::Result;

/// Name, TCP and TLS together may take this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An idle connection is kept this long. Below the 5 s after which common servers (Node, Apache, uvicorn) close theirs:
/// a request that meets such a close has been sent in vain, and nobody can tell whether it was read.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The head of an answer may have this many bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const KEEPALIVE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Whether a client talks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Only `http://` is called; no authorities are loaded.
    Plain,
    /// `https://`.
    Tls,
}

/// How much of an answer's body is read and kept.
#[derive(Debug, Clone, Copy)]
pub struct AnswerLimits {
    /// After this many bytes the connection is given up.
    pub read_bytes_max: usize,
    /// So many of the first bytes are kept.
    pub kept_bytes_max: usize,
}

/// An answer: its head, and as much of its body as the limits allow.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body.
    pub body: Vec<u8>,
    /// Why the body ended early, when it did: cut by a limit, a reset or the deadline. The head is complete.
    pub broken: Option<Failure>,
}

/// A client with its own pool of connections. Cheap to clone; clones share the pool.
#[derive(Debug, Clone)]
pub struct Client {
    inner: legacy::Client<Dial, Body>,
    dial: Dial,
}

impl Client {
    /// A client that keeps up to `idle_max` connections per host ready.
    ///
    /// # Errors
    /// `Config` when the `tls` table can't be followed.
    pub fn new(security: Security, settings: &TlsSettings, idle_max: usize) -> Result<Self> {
        let dial = match security {
            Security::Plain => Dial::Plain(Guard::new()),
            Security::Tls => {
                let mut config: ClientConfig = tls::client_config(settings)?;
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                let settings = settings.clone();
                let name = move |uri: &Uri| tls::server_name(&settings, uri.host().unwrap_or_default());
                Dial::Tls(HttpsConnector::new(Guard::new(), config, true, std::sync::Arc::new(name)))
            }
        };
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            // Repeats a request on a fresh connection only when the pooled one was found closed before the first byte of
            // the request was written (hyper hands the untouched request back in that case alone).
            .retry_canceled_requests(true)
            .build(dial.clone());
        Ok(Self { inner, dial })
    }

    /// Sends `request` and reads its answer, all within `timeout`. A complete head is an answer, whatever happens to its
    /// body.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn exchange(
        &self,
        request: Request<Body>,
        timeout: Duration,
        limits: AnswerLimits,
    ) -> Result<Answer, Failure> {
        let deadline = Instant::now() + timeout;
        let late = || TooLate { waiting_for: "answer", after: timeout };
        let sent = tokio::time::timeout_at(deadline, self.inner.request(request)).await;
        let response = sent.map_err(|_| Failure::of(&late()))?.map_err(|e| Failure::of(&e))?;
        Ok(read(response, deadline, timeout, limits).await)
    }

    /// Connects to the host of `uri`, with TLS where it asks for it, and sends nothing. Returns a line for people.
    ///
    /// # Errors
    /// Why there was no connection.
    pub async fn reach(&self, uri: Uri) -> Result<String, Failure> {
        let stream = self.dial.clone().call(uri).await.map_err(|e| Failure::of(&*e))?;
        let shown = |tcp: &TcpStream| tcp.peer_addr().map_or_else(|_| "the host".into(), |peer| peer.to_string());
        Ok(match &stream {
            MaybeHttpsStream::Http(tcp) => format!("connected to {}", shown(tcp.inner())),
            MaybeHttpsStream::Https(tls) => {
                let (tcp, session) = tls.inner().get_ref();
                let version = session.protocol_version().and_then(|v| v.as_str().map(|v| v.replace('_', ".")));
                let version = version.unwrap_or_else(|| "TLS".into()).replacen("TLSv", "TLS ", 1);
                format!("connected to {} with {version}", shown(tcp.inner().inner()))
            }
        })
    }
}

async fn read(response: Response<Incoming>, deadline: Instant, timeout: Duration, limits: AnswerLimits) -> Answer {
    let (head, mut incoming) = response.into_parts();
    let mut answer = Answer { status: head.status, headers: head.headers, body: Vec::new(), broken: None };
    let mut seen = 0;
    while !hyper::body::Body::is_end_stream(&incoming) {
        let frame = match tokio::time::timeout_at(deadline, incoming.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(e))) => {
                answer.broken = Some(Failure::of(&e));
                break;
            }
            Err(_) => {
                answer.broken = Some(Failure::of(&TooLate { waiting_for: "end of the answer", after: timeout }));
                break;
            }
        };
        let Some(data) = frame.data_ref() else { continue };
        let room = limits.kept_bytes_max - answer.body.len();
        answer.body.extend_from_slice(&data[..data.len().min(room)]);
        seen += data.len();
        if seen > limits.read_bytes_max {
            let rule = format!("only the first {} bytes of the answer were read", limits.read_bytes_max);
            answer.broken = Some(Failure::new(FailureKind::Reset, rule));
            break;
        }
    }
    answer
}

/// Connects within [`CONNECT_TIMEOUT`], by TCP or TLS.
#[derive(Debug, Clone)]
enum Dial {
    Plain(Guard),
    Tls(HttpsConnector<Guard>),
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Plain(guard) => guard.poll_ready(context),
            Self::Tls(tls) => tls.poll_ready(context),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = match self {
            Self::Plain(guard) => {
                let tcp = guard.call(uri);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(tcp.await?)) })
            }
            Self::Tls(tls) => tls.call(uri),
        };
        Box::pin(async move {
            let late = TooLate { waiting_for: "connection", after: CONNECT_TIMEOUT };
            tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late)?
        })
    }
}

/// TCP, but never to a forbidden address, whether it is written in the URL or comes from a name.
#[derive(Debug, Clone)]
struct Guard {
    tcp: HttpConnector<Resolver>,
}

impl Guard {
    fn new() -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { tcp }
    }
}

impl Service<Uri> for Guard {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        // The connector dials an address written in the URL without asking its resolver.
        if let Ok(ip) = host.parse()
            && address::is_forbidden(ip)
        {
            return Box::pin(async move { Err(Forbidden { ip }.into()) });
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// The system's resolver without the forbidden addresses.
#[derive(Debug, Clone, Copy)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let host = name.as_str();
            let unresolved = |why: String| Unresolved { host: host.to_owned(), why };
            let found = tokio::net::lookup_host((host, 0)).await.map_err(|e| unresolved(e.to_string()))?;
            let (forbidden, allowed): (Vec<_>, Vec<_>) = found.partition(|at| address::is_forbidden(at.ip()));
            match (allowed.is_empty(), forbidden.first()) {
                (false, _) => Ok(allowed.into_iter()),
                (true, Some(at)) => Err(Forbidden { ip: at.ip() }.into()),
                (true, None) => Err(unresolved("no address".into()).into()),
            }
        })
    }
}
