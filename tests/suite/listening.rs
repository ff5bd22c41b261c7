//! `highwater listen` as a sink sees it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use highwater::clock::{Clock, Stop, SystemClock};
use highwater::error::{ErrorKind, Result};
use highwater::net::TlsSettings;
use highwater::setting::{Secret, Template};
use highwater::sink::http::HttpSink;
use highwater::sink::settings::{Content, HttpSettings, Scheme, SignSettings};
use highwater::sink::{Attempt, Outcome, Report, Sink};
use highwater::web::listen::{ListenOptions, Outputs, listen_to};

use crate::sending::{delivery, spool};
use crate::support::event::file_event;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("page").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().expect("page")).lines().map(str::to_owned).collect()
    }
}

struct Listening {
    addr: SocketAddr,
    data: Page,
    notes: Page,
    stop: Stop,
    ended: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Listening {
    fn start(options: ListenOptions) -> Self {
        let (data, notes, stop) = (Page::default(), Page::default(), Stop::new());
        let outputs = Outputs { data: Box::new(data.clone()), notes: Box::new(notes.clone()) };
        let (tell, told) = mpsc::channel();
        let options = ListenOptions { addr: SocketAddr::from(([127, 0, 0, 1], 0)), ..options };
        let raised = stop.clone();
        let ended = std::thread::spawn(move || {
            listen_to(options, raised, outputs, move |addr| tell.send(addr).expect("the test waits"))
        });
        Self { addr: told.recv().expect("it listens"), data, notes, stop, ended: Some(ended) }
    }

    fn finish(mut self) -> (Vec<String>, Vec<String>) {
        self.stop.raise();
        self.ended.take().expect("once").join().expect("no panic").expect("no error");
        (self.data.lines(), self.notes.lines())
    }

    async fn send(&self, key: &str, secret: Option<&str>) -> Report {
        let settings = HttpSettings {
            url: Template::parse(&format!("http://{}/in", self.addr), &[]).expect("plain"),
            method: "POST".into(),
            headers: Vec::new(),
            bearer: None,
            basic: None,
            content: Content::Reference,
            sign: secret.map(|secret| SignSettings {
                scheme: Scheme::Standard,
                secret: Secret::literal(secret),
                header: None,
            }),
            tls: TlsSettings::default(),
        };
        let sink = HttpSink::new(&settings, &delivery(Duration::from_secs(20)), spool(Path::new("/nowhere")));
        let event = file_event(key, None);
        let attempt = Attempt { event: &event, number: 1, at: SystemClock::new().now(), gap: false };
        sink.expect("valid").attempt(attempt).await.expect("theirs")
    }
}

#[tokio::test]
async fn what_arrives_is_verified_printed_and_told_apart_from_repeats() {
    let listening = Listening::start(ListenOptions { secret: Some("s3cret".into()), ..ListenOptions::default() });
    assert_eq!(listening.send("a.csv", Some("s3cret")).await.code, Some(204));
    assert_eq!(listening.send("a.csv", Some("s3cret")).await.code, Some(204));
    assert_eq!(listening.send("b.csv", Some("wrong")).await.code, Some(401));
    assert_eq!(listening.send("c.csv", None).await.outcome, Outcome::Fault);
    let url = format!("url = \"http://{}/\"", listening.addr);
    let (data, notes) = listening.finish();
    assert!(data[0].contains("POST /in highwater.file.created a.csv evt_"), "{}", data[0]);
    assert!(data[0].ends_with("attempt 1 signature ok 204"), "{}", data[0]);
    assert!(data[1].ends_with("signature ok 204 again"), "{}", data[1]);
    assert!(data[2].contains("signature BAD (made with another secret") && data[2].ends_with("401"), "{}", data[2]);
    assert!(data[3].contains("signature BAD (header webhook-signature is missing)"), "{}", data[3]);
    assert!(notes[0].starts_with("listening on http://127.0.0.1:") && notes.contains(&url), "{notes:?}");
    assert!(
        notes.iter().any(|line| line.starts_with("sign = { scheme = \"standard\""))
            && !notes.concat().contains("s3cret")
    );
}

#[tokio::test]
async fn failures_come_as_asked_for() {
    let listening = Listening::start(ListenOptions { fail_every: Some(2), json: true, ..ListenOptions::default() });
    let mut codes = Vec::new();
    for key in ["a", "b", "c", "d"] {
        codes.push(listening.send(key, None).await.code.expect("answered"));
    }
    assert_eq!(codes, [204, 503, 204, 503]);
    let (data, notes) = listening.finish();
    let events: Vec<serde_json::Value> = data.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.iter().map(|event| &event["subject"]).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!(notes.iter().filter(|line| line.contains("signature none")).count() == 4);

    let status = Some(http::StatusCode::GONE);
    let listening = Listening::start(ListenOptions { status, quiet: true, ..ListenOptions::default() });
    assert_eq!(listening.send("a", None).await.outcome, Outcome::Gone);
    assert_eq!(listening.finish().0, [""; 0]);
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let options = ListenOptions { addr, ..ListenOptions::default() };
    let error = listen_to(options, Stop::new(), Outputs::default(), |_| {}).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains(&format!("{addr} is in use")) && error.to_string().contains("--addr"),
        "{error}"
    );
}
