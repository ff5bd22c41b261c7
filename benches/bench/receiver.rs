//! The local HTTP server that product and floor both send to: a process of its own, which counts requests and ids.

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;

use crate::Result;

/// A running receiver; it ends with this value.
pub struct Receiver {
    process: Child,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
}

impl Receiver {
    /// Starts one on a free port.
    pub fn start() -> Result<Self> {
        let failed = |error: std::io::Error| format!("start the receiver: {error}");
        let this = std::env::current_exe().map_err(failed)?;
        let mut process =
            Command::new(this).arg("receive").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let output = process.stdout.take().ok_or("the receiver has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).map_err(failed)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// Forgets what was counted.
    pub fn reset(&self) -> Result<()> {
        self.ask("DELETE").map(drop)
    }

    /// How many requests came, and how many different `webhook-id`s they had.
    pub fn seen(&self) -> Result<(u64, u64)> {
        let text = self.ask("GET")?;
        let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0));
        Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
    }

    fn ask(&self, method: &str) -> Result<String> {
        let failed = |error: std::io::Error| format!("ask the receiver: {error}");
        let mut stream = TcpStream::connect(&self.address).map_err(failed)?;
        let request = format!("{method} /seen HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or(format!("the receiver said {answer}"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Seen {
    requests: u64,
    ids: HashSet<Vec<u8>>,
}

/// `bench receive`: prints its address and serves on one thread until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let failed = |error: std::io::Error| format!("receive: {error}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        println!("{}", listener.local_addr().map_err(failed)?);
        let seen = Rc::new(RefCell::new(Seen::default()));
        loop {
            let (stream, _) = listener.accept().await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            let seen = Rc::clone(&seen);
            let answer = service_fn(move |request| answer(request, Rc::clone(&seen)));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::task::spawn_local(async move {
                // A client that hangs up is no failure of the receiver.
                let _ = connection.await;
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    seen: Rc<RefCell<Seen>>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let id = request.headers().get("webhook-id").map(|id| id.as_bytes().to_vec());
    let method = request.method().clone();
    let whole = request.into_body().collect().await.is_ok();
    let mut seen = seen.borrow_mut();
    let text = match method {
        Method::POST if whole => {
            seen.requests += 1;
            seen.ids.extend(id);
            String::new()
        }
        Method::DELETE => {
            *seen = Seen::default();
            String::new()
        }
        _ => format!("{} {}", seen.requests, seen.ids.len()),
    };
    Ok(Response::new(Full::new(text.into())))
}
