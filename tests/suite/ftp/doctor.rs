//! What `doctor` and `check --connect` say of real servers, and that proxies are passed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use highwater::setting::SourceName;
use highwater::source::directory::ftp::FtpSource;
use highwater::source::settings::{AfterAction, FtpSettings, ProxyKind, ProxySettings};
use highwater::source::{Finding, Source, Verdict};

use crate::support::ftp::faulty::{FEATURES, FaultyServer};
use crate::support::ftp::real::{ALL, FtpServer, Kind, Tls};
use crate::support::ftp::{Counting, arrived, fetch, names};

fn source(settings: &FtpSettings) -> FtpSource {
    FtpSource::new(&SourceName::new("orders"), settings, None, Arc::new(Counting::default())).expect("settings")
}

fn verdict(findings: &[Finding], topic: &str) -> Option<Verdict> {
    findings.iter().find(|finding| finding.topic == topic).map(|finding| finding.verdict)
}

#[test]
fn it_says_what_each_server_can_do() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Explicit);
        server.put("a.csv", "content");
        let findings = source(&server.settings()).examine().expect("findings");
        for topic in ["TLS", "EPSV", "PASV", "listing", "names", "SIZE", "MDTM", "REST", "clock offset"] {
            assert_eq!(verdict(&findings, topic), Some(Verdict::Works), "{kind:?} {topic}: {findings:#?}");
        }
        let facts = if kind == Kind::Vsftpd { Verdict::Absent } else { Verdict::Works };
        assert_eq!(verdict(&findings, "MLSD"), Some(facts), "{kind:?}: {findings:#?}");
        for topic in ["features", "time precision"] {
            assert_eq!(verdict(&findings, topic), Some(Verdict::Note), "{kind:?} {topic}: {findings:#?}");
        }
        if kind != Kind::PureFtpd {
            assert_eq!(verdict(&findings, "session reuse"), Some(Verdict::Works), "{kind:?}: {findings:#?}");
        }
        assert!(findings.iter().all(|finding| !finding.detail.contains("correct")), "{findings:?}");
    }
}

#[test]
fn renames_are_tried_on_scratch_files_where_files_are_taken_away_and_nothing_is_left_behind() {
    for kind in ALL {
        for tls in [Tls::Off, Tls::Explicit] {
            let server = FtpServer::start(kind, tls);
            server.put("a.csv", "content");
            let mut settings = server.settings();
            let findings = source(&settings).examine().expect("findings");
            assert_eq!(verdict(&findings, "rename"), Some(Verdict::Note), "{kind:?}: {findings:#?}");
            settings.directory.on_delivered = AfterAction::Delete;
            let findings = source(&settings).examine().expect("findings");
            assert_eq!(verdict(&findings, "rename"), Some(Verdict::Works), "{kind:?}: {findings:#?}");
            assert_eq!(verdict(&findings, "rename-over"), Some(Verdict::Note), "{kind:?}: {findings:#?}");
            let left = std::fs::read_dir(server.root()).expect("a root").count();
            assert_eq!(left, 1, "{kind:?}");
        }
    }
    // A partner may allow to read and to delete alone.
    let server = FaultyServer::start(FEATURES, &[("a", b"A")], |_, _, _| false);
    let mut settings = server.settings();
    settings.directory.on_delivered = AfterAction::Delete;
    let findings = source(&settings).examine().expect("findings");
    let rename = findings.iter().find(|finding| finding.topic == "rename").expect("a finding");
    assert!(rename.verdict == Verdict::Note && rename.detail.contains("502 unknown"), "{rename:?}");
}

#[test]
fn plain_ftp_is_called_a_problem_and_the_source_is_bound_without_secrets() {
    let server = FtpServer::start(Kind::PureFtpd, Tls::Off);
    server.put("a.csv", "content");
    let mut source = source(&server.settings());
    let findings = source.examine().expect("findings");
    assert_eq!(verdict(&findings, "TLS"), Some(Verdict::Problem), "{findings:#?}");
    let location = source.binding().location;
    assert_eq!(location, format!("ftp://partner@127.0.0.1:{}/{}", server.port, server.root().display()));
    let probe = source.probe().expect("a probe");
    assert!(probe[0].ends_with("can be read; entries at its top: 1, of them files to be told: 1"), "{probe:?}");
    assert!(probe[1].contains("no TLS"), "{probe:?}");
}

#[test]
fn control_and_data_connections_go_through_a_proxy() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit);
    server.put("a", "A");
    for kind in [ProxyKind::Socks5, ProxyKind::Http] {
        let (port, heard) = proxy(kind);
        let mut settings = server.settings();
        settings.server.proxy =
            Some(ProxySettings { kind, host: "127.0.0.1".into(), port, user: None, password: None });
        let directory = arrived(&settings);
        assert_eq!(names(&directory, ""), ["a"]);
        assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"A"[..]));
        drop(directory);
        assert_eq!(heard.lock().expect("held").len(), 3, "one control connection and two for data");
    }
}

type Heard = Arc<std::sync::Mutex<Vec<u16>>>;

/// A proxy that connects to loopback ports only; returns its port, and the ports it was asked for.
fn proxy(kind: ProxyKind) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").port();
    let heard = Heard::default();
    let asked = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let port = match kind {
                ProxyKind::Socks5 => socks5_port(&mut client),
                ProxyKind::Http => connect_port(&mut client),
            };
            asked.lock().expect("held").push(port);
            let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
            for (mut from, mut to) in [
                (client.try_clone().expect("socket"), server.try_clone().expect("socket")),
                (server.try_clone().expect("socket"), client.try_clone().expect("socket")),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (own, heard)
}

fn socks5_port(client: &mut TcpStream) -> u16 {
    let mut ask = [0; 10];
    client.read_exact(&mut ask[..3]).expect("methods");
    client.write_all(&[5, 0]).expect("chosen");
    client.read_exact(&mut ask).expect("an address");
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).expect("connected");
    u16::from_be_bytes([ask[8], ask[9]])
}

fn connect_port(client: &mut TcpStream) -> u16 {
    let mut ask = Vec::new();
    while !ask.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("a request");
        ask.push(byte[0]);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("connected");
    let text = String::from_utf8(ask).expect("text");
    let host = text.split(' ').nth(1).expect("a host");
    host.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}
