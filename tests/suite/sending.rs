//! The HTTP sink against receivers that behave, and that misbehave.

use std::path::Path;
use std::time::{Duration, Instant};

use highwater::change::Content as Captured;
use highwater::clock::Timestamp;
use highwater::error::{ErrorKind, Result};
use highwater::event::{Event, Spool};
use highwater::net::TlsSettings;
use highwater::net::signature::{Signing, verify::TOLERANCE};
use highwater::setting::{Interval, Secret, Template};
use highwater::sink::http::HttpSink;
use highwater::sink::settings::{AfterDead, Content, DeliverySettings, HttpSettings, Ordering, Scheme, SignSettings};
use highwater::sink::{Attempt, Outcome, Report, Sink};

use crate::support::certificates::{Authority, Identity, self_signed};
use crate::support::event::file_event;
use crate::support::receiver::{Answer, Fault, Received, Receiver};

const AT: i64 = 1_795_428_900;

fn settings(url: &str) -> HttpSettings {
    HttpSettings {
        url: Template::parse(url, &[]).expect("placeholders"),
        method: "POST".into(),
        headers: Vec::new(),
        bearer: None,
        basic: None,
        content: Content::Reference,
        sign: None,
        tls: TlsSettings::default(),
    }
}

pub fn delivery(timeout: Duration) -> DeliverySettings {
    DeliverySettings {
        concurrency: 4,
        ordering: Ordering::Key,
        after_dead: AfterDead::Continue,
        rate: None,
        retry: vec![Interval::from_secs(5)],
        retry_for: None,
        max_backlog: 1_000,
        timeout: timeout.into(),
    }
}

pub fn spool(folder: &Path) -> Spool {
    Spool::new(folder.join("spool"), "run1", u64::MAX, 0)
}

fn open(settings: &HttpSettings) -> HttpSink {
    HttpSink::new(settings, &delivery(Duration::from_secs(20)), spool(Path::new("/nowhere"))).expect("valid settings")
}

async fn send(sink: &HttpSink, event: &Event) -> Result<Report> {
    sink.attempt(Attempt { event, number: 1, at: Timestamp::from_millis(AT * 1000), gap: false }).await
}

async fn outcome_of(answer: Answer) -> Report {
    let receiver = Receiver::start();
    receiver.queue([answer]);
    send(&open(&settings(&receiver.url("/"))), &file_event("a.csv", None)).await.expect("theirs")
}

const TRANSIENT: Outcome = Outcome::Transient { retry_after: None };

#[tokio::test]
async fn an_event_arrives_as_it_is_stored_with_the_headers_of_the_contract() {
    let receiver = Receiver::start();
    let mut settings = settings(&receiver.url("/hooks?n={name}"));
    settings.headers = vec![("X-Plant".into(), Secret::literal("7"))];
    settings.bearer = Some(Secret::literal("t0ken"));
    let event = file_event("2026/a b.csv", None);
    let attempt = Attempt { event: &event, number: 3, at: Timestamp::from_millis(AT * 1000), gap: true };

    let report = open(&settings).attempt(attempt).await.expect("theirs");

    assert_eq!(
        (report.outcome, report.code, report.summary.as_str()),
        (Outcome::Delivered, Some(204), "204 No Content")
    );
    let [request]: [Received; 1] = receiver.received().try_into().expect("one request");
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hooks?n=a%20b.csv"));
    assert_eq!(request.body, event.body);
    let id = event.id.to_string();
    for (name, expected) in [
        ("content-type", "application/cloudevents+json"),
        ("user-agent", concat!("highwater/", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", id.as_str()),
        ("idempotency-key", id.as_str()),
        ("webhook-timestamp", &AT.to_string()),
        ("highwater-attempt", "3"),
        ("highwater-gap", "true"),
        ("x-plant", "7"),
        ("authorization", "Bearer t0ken"),
        ("content-length", &event.body.len().to_string()),
    ] {
        assert_eq!(request.header(name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn signatures_of_every_scheme_verify_at_the_receiver() {
    for (scheme, secrets) in
        [(Scheme::Standard, &["new", "old"][..]), (Scheme::Github, &["s3cret"]), (Scheme::Stripe, &["whsec_x"])]
    {
        let receiver = Receiver::start();
        let mut settings = settings(&receiver.url("/"));
        let written: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        settings.sign =
            Some(SignSettings { scheme, secret: Secret::parse_all(&written, Path::new(".")), header: None });
        send(&open(&settings), &file_event("a.csv", None)).await.expect("sent");
        let request = &receiver.wait_for(1)[0];
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.parse().expect("name"), value.parse().expect("value")))
            .collect();
        let signing = Signing::new(scheme, None, &written[written.len() - 1..]).expect("secrets");
        // Github carries the current secret's signature alone.
        assert!(signing.verify(&headers, &request.body, Timestamp::from_millis(AT * 1000), TOLERANCE).is_ok());
    }
}

#[tokio::test]
async fn raw_content_is_streamed_with_its_length_and_the_attributes_as_headers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spool = spool(folder.path());
    let bytes: Vec<u8> = (0..1_000_000).map(|i| (i % 251) as u8).collect();
    let mut writer = spool.writer();
    writer.write(&bytes).expect("write");
    let large = writer.finish().expect("finish");
    for (content, expected) in
        [(large, &bytes[..]), (Captured::Inline(b"small".to_vec()), b"small"), (Captured::Inline(Vec::new()), b"")]
    {
        let receiver = Receiver::start();
        let mut settings = settings(&receiver.url("/"));
        settings.content = Content::Raw;
        settings.sign = Some(SignSettings { scheme: Scheme::Github, secret: Secret::literal("s"), header: None });
        let sink = HttpSink::new(&settings, &delivery(Duration::from_secs(20)), spool.clone()).expect("valid");
        let event = file_event("ü.csv", Some(content));
        assert_eq!(send(&sink, &event).await.expect("sent").outcome, Outcome::Delivered);
        let request = &receiver.wait_for(1)[0];
        assert!(request.body == expected, "the bytes as they were captured");
        assert_eq!(request.header("content-length"), Some(expected.len().to_string().as_str()));
        assert_eq!(request.header("content-type"), Some("application/octet-stream"));
        assert_eq!(request.header("ce-subject"), Some("%C3%BC.csv"));
        assert_eq!(request.header("ce-id"), Some(event.id.to_string().as_str()));
        let signing = Signing::new(Scheme::Github, None, &["s".into()]).expect("secret");
        let expected = signing.sign("", 0, expected)[0].1.clone();
        assert_eq!(request.header("x-hub-signature-256"), expected.to_str().ok());
    }
}

#[tokio::test]
async fn content_that_is_gone_or_cut_is_our_error_and_content_never_captured_a_dead_letter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spool = spool(folder.path());
    std::fs::create_dir_all(spool.folder()).expect("make");
    std::fs::write(spool.path_of("cut.bin"), vec![1; 70_000]).expect("write");
    let receiver = Receiver::start();
    let mut settings = settings(&receiver.url("/"));
    settings.content = Content::Raw;
    let sink = HttpSink::new(&settings, &delivery(Duration::from_secs(20)), spool).expect("valid");
    for (name, kind) in [("gone.bin", ErrorKind::NotFound), ("cut.bin", ErrorKind::Internal)] {
        let event = file_event("a.csv", Some(Captured::Spooled { name: name.into(), size: 80_000 }));
        assert_eq!(send(&sink, &event).await.expect_err("ours").kind(), kind, "{name}");
    }
    let report = send(&sink, &file_event("a.csv", None)).await.expect("a report");
    assert_eq!(report.outcome, Outcome::Dead);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn misbehaviour_has_the_outcome_of_the_contract_and_a_line_that_says_what_happened() {
    for (fault, outcome, words) in [
        (Fault::ResetBeforeHead, TRANSIENT, "connection"),
        (Fault::Garbage, Outcome::Fault, "not HTTP"),
        (Fault::EndlessHead, Outcome::Fault, "not HTTP"),
    ] {
        let report = outcome_of(Answer::fault(fault)).await;
        assert_eq!(report.outcome, outcome, "{fault:?}: {}", report.summary);
        assert!(report.summary.contains(words), "{fault:?}: {}", report.summary);
    }
}

#[tokio::test]
async fn answers_that_only_inform_are_passed_over() {
    let report = outcome_of(Answer::fault(Fault::InformFirst).body("done")).await;
    assert_eq!((report.outcome, report.code, report.output), (Outcome::Delivered, Some(200), b"done".to_vec()));
}

#[tokio::test]
async fn a_complete_head_is_an_answer_whatever_happens_to_its_body() {
    for fault in [Fault::ResetAfterHead, Fault::ShortBody, Fault::EndlessBody] {
        let report = outcome_of(Answer::fault(fault).body("hello")).await;
        assert_eq!(report.outcome, Outcome::Delivered, "{fault:?}: {}", report.summary);
        assert!(report.output.len() <= 16 * 1024, "{fault:?}");
        assert!(report.summary.starts_with("200 OK ("), "{fault:?}: {}", report.summary);
    }
}

#[tokio::test]
async fn the_whole_attempt_ends_with_the_sinks_timeout() {
    for answer in [Answer::status(200).after(Duration::from_secs(20)), Answer::fault(Fault::SilentWithinHead)] {
        let receiver = Receiver::start();
        receiver.queue([answer]);
        let short = delivery(Duration::from_millis(200));
        let sink = HttpSink::new(&settings(&receiver.url("/")), &short, spool(Path::new("/nowhere"))).expect("valid");
        let started = Instant::now();
        let report = send(&sink, &file_event("a.csv", None)).await.expect("theirs");
        assert!(started.elapsed() < Duration::from_secs(10));
        let said = format!("127.0.0.1:{}: no answer within 200ms", receiver.port());
        assert_eq!((report.outcome, report.summary), (TRANSIENT, said));
    }
}

#[tokio::test]
async fn a_redirect_is_a_fault_that_names_where_it_leads_and_is_not_followed() {
    let other = Receiver::start();
    let receiver = Receiver::start();
    receiver.queue([Answer::redirect(&other.url("/login"))]);
    let report = send(&open(&settings(&receiver.url("/"))), &file_event("a.csv", None)).await.expect("theirs");
    assert_eq!(report.outcome, Outcome::Fault);
    assert!(report.summary.contains(&other.url("/login")), "{}", report.summary);
    assert_eq!((receiver.received().len(), other.connections()), (1, 0));
}

#[tokio::test]
async fn answers_are_judged_and_quoted() {
    let busy = outcome_of(Answer::status(503).header("Retry-After", "7").body("later")).await;
    assert_eq!(busy.outcome, Outcome::Transient { retry_after: Some(Duration::from_secs(7)) });
    assert_eq!((busy.code, busy.output.as_slice()), (Some(503), &b"later"[..]));
    let proxy = outcome_of(Answer::html(407, "<html><head><title>Log in</title>")).await;
    assert_eq!((proxy.outcome, proxy.summary.as_str()), (Outcome::Fault, "407 Proxy Authentication Required: Log in"));
    assert_eq!(outcome_of(Answer::status(410)).await.outcome, Outcome::Gone);
    assert_eq!(outcome_of(Answer::status(422)).await.outcome, Outcome::Rejected);
}

#[tokio::test]
async fn connections_are_reused_and_a_closed_one_is_replaced_without_a_second_request() {
    let receiver = Receiver::start();
    let sink = open(&settings(&receiver.url("/")));
    for number in 0..20 {
        assert_eq!(
            send(&sink, &file_event(format!("{number}"), None)).await.expect("sent").outcome,
            Outcome::Delivered
        );
    }
    assert_eq!(receiver.connections(), 1);
    receiver.queue([Answer::fault(Fault::CloseAfter)]);
    for number in 20..23 {
        let report = send(&sink, &file_event(format!("{number}"), None)).await.expect("sent");
        // The close may be noticed a moment late; then the request may have been read, and only the schedule may repeat it.
        assert!(matches!(report.outcome, Outcome::Delivered | TRANSIENT), "{}", report.summary);
    }
    assert!(receiver.counts().iter().all(|(_, count)| *count == 1));
}

#[tokio::test]
async fn addresses_that_cannot_be_reached_say_why() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    for (url, outcome, words) in [
        (format!("http://127.0.0.1:{port}/"), TRANSIENT, "connection refused"),
        ("http://no-such-host.invalid/".into(), TRANSIENT, "can't be resolved"),
        ("http://169.254.169.254/latest/meta-data".into(), Outcome::Fault, "metadata address"),
        ("http://[::ffff:169.254.169.254]/".into(), Outcome::Fault, "metadata address"),
        ("http://2852039166/".into(), Outcome::Fault, "metadata address"),
        ("http://[fe80::1]:9/".into(), Outcome::Fault, "link-local"),
    ] {
        let sink = open(&settings(&url));
        let report = send(&sink, &file_event("a.csv", None)).await.expect("theirs");
        assert!(report.summary.contains(words), "{url}: {}", report.summary);
        assert_eq!(report.outcome, outcome, "{url}: {}", report.summary);
        assert!(sink.probe().await.expect_err("unreachable").to_string().contains(words));
    }
}

fn tls_settings(receiver: &Receiver, tls: TlsSettings) -> HttpSettings {
    let mut settings = settings(&format!("https://localhost:{}/", receiver.port()));
    settings.tls = tls;
    settings
}

fn serve(identity: &Identity) -> Receiver {
    Receiver::start_tls(identity.chain.clone(), identity.key.clone_key())
}

#[tokio::test]
async fn tls_is_verified_and_a_bad_certificate_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new("plant");
    let namesake = Authority::new("plant");
    let ca = Some(authority.write(folder.path()));
    let trusting = TlsSettings { ca, ..TlsSettings::default() };
    let renamed = TlsSettings { server_name: Some("erp.example.com".into()), ..trusting.clone() };
    let event = file_event("a.csv", None);
    for (identity, tls, words) in [
        (authority.issue("localhost"), trusting.clone(), None),
        (authority.issue("erp.example.com"), renamed, None),
        (authority.issue("erp.example.com"), trusting.clone(), Some("for another name")),
        (authority.issue_until("localhost", 2020), trusting.clone(), Some("has expired")),
        (authority.issue("localhost"), TlsSettings::default(), Some("issuer is unknown")),
        (self_signed("localhost"), trusting.clone(), Some("issuer is unknown")),
        (namesake.issue("localhost"), trusting.clone(), Some("authority of the same name")),
    ] {
        let receiver = serve(&identity);
        let sink = open(&tls_settings(&receiver, tls));
        let report = send(&sink, &event).await.expect("theirs");
        match words {
            None => {
                assert_eq!(report.outcome, Outcome::Delivered, "{}", report.summary);
                assert!(sink.probe().await.expect("reachable").contains("TLS 1.3"));
            }
            Some(words) => {
                assert_eq!(report.outcome, Outcome::Fault, "{}", report.summary);
                assert!(report.summary.contains(words), "{}", report.summary);
                assert!(receiver.received().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_receiver_asks_for_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new("plant");
    let ca = Some(authority.write(folder.path()));
    let (cert, key) = authority.issue("highwater").write(folder.path());
    let without = TlsSettings { ca, ..TlsSettings::default() };
    let with = TlsSettings { cert: Some(cert), key: Some(key), ..without.clone() };
    let server = authority.issue("localhost");
    let event = file_event("a.csv", None);
    for (tls, outcome, words) in [(with, Outcome::Delivered, "204"), (without, Outcome::Fault, "client certificate")] {
        let receiver = Receiver::start_mutual_tls(server.chain.clone(), server.key.clone_key(), authority.der.clone());
        let report = send(&open(&tls_settings(&receiver, tls)), &event).await.expect("theirs");
        assert_eq!(report.outcome, outcome, "{}", report.summary);
        assert!(report.summary.contains(words), "{}", report.summary);
    }
}

#[tokio::test]
async fn a_pinned_key_is_trusted_and_no_other() {
    let event = file_event("a.csv", None);
    let (pinned, other) = (self_signed("old-plc"), self_signed("old-plc"));
    let tls = TlsSettings { pin: Some(pinned.pin.clone()), ..TlsSettings::default() };
    let good = send(&open(&tls_settings(&serve(&pinned), tls.clone())), &event).await.expect("theirs");
    assert_eq!(good.outcome, Outcome::Delivered, "{}", good.summary);
    let bad = send(&open(&tls_settings(&serve(&other), tls)), &event).await.expect("theirs");
    assert_eq!(bad.outcome, Outcome::Fault);
    assert!(bad.summary.contains(&other.pin), "{}", bad.summary);
}

#[tokio::test]
async fn a_port_without_tls_is_named() {
    let plain = Receiver::start();
    let pin = Some(format!("sha256:{}", "00".repeat(32)));
    let sink = open(&tls_settings(&plain, TlsSettings { pin, ..TlsSettings::default() }));
    plain.answers(|_, _| Answer::status(400));
    let report = tokio::time::timeout(Duration::from_secs(15), send(&sink, &file_event("a.csv", None))).await;
    let report = report.expect("bounded").expect("theirs");
    assert!(matches!(report.outcome, Outcome::Fault | TRANSIENT), "{}", report.summary);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let refused = |change: &dyn Fn(&mut HttpSettings)| {
        let mut settings = settings("https://h/");
        settings.tls.pin = Some(format!("sha256:{}", "00".repeat(32)));
        change(&mut settings);
        let made = HttpSink::new(&settings, &delivery(Duration::from_secs(1)), spool(Path::new("/nowhere")));
        let error = made.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        error.to_string()
    };
    let header = |name: &str| vec![(name.to_owned(), Secret::literal("hunter2"))];
    assert!(refused(&|s| s.headers = header("Content-Length")).contains("made by highwater"));
    assert!(refused(&|s| s.headers = header("no good")).contains("is not a name"));
    assert!(refused(&|s| s.method = "PO ST".into()).contains("not a method"));
    assert!(
        refused(&|s| s.sign =
            Some(SignSettings { scheme: Scheme::Standard, secret: Secret::literal("whsec_hunter2"), header: None }))
        .contains("whsec_")
    );
    assert!(
        refused(&|s| {
            s.bearer = Some(Secret::literal("hunter2"));
            s.basic = Some(Secret::literal("hunter2"));
        })
        .contains("exclude each other")
    );
}

#[tokio::test]
async fn a_header_value_with_a_line_break_is_never_sent() {
    let receiver = Receiver::start();
    let mut settings = settings(&receiver.url("/"));
    settings.headers = vec![("X-Plant".into(), Secret::literal("7\r\nX-Admin: yes"))];
    let error = send(&open(&settings), &file_event("a.csv", None)).await.expect_err("ours");
    assert!(error.to_string().contains("x-plant holds a line break"), "{error}");
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_dry_run_is_a_curl_command_without_secrets() {
    let mut settings = settings("https://erp.example.com/in");
    settings.tls.pin = Some(format!("sha256:{}", "00".repeat(32)));
    settings.headers = vec![
        ("X-Token".into(), Secret::literal("hunter2")),
        ("X-Other".into(), Secret::parse("env:ERP_TOKEN", Path::new("."))),
    ];
    settings.sign = Some(SignSettings { scheme: Scheme::Standard, secret: Secret::literal("hunter2"), header: None });
    let event = file_event("it's.csv", None);
    let attempt = Attempt { event: &event, number: 1, at: Timestamp::from_millis(AT * 1000), gap: false };
    let shown = open(&settings).dry_run(attempt).expect("shown");
    assert!(!shown.contains("hunter2"), "{shown}");
    for part in [
        "curl -sS -i -X POST 'https://erp.example.com/in'",
        "-H 'webhook-signature: v1,",
        "-H \"x-token: ***\"",
        "-H \"x-other: $ERP_TOKEN\"",
        "it'\\''s.csv",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
