//! Whom an FTPS source believes, and how it shows who it is: authority, pin, name, client certificate, version of TLS.

use highwater::error::ErrorKind;
use highwater::net::TlsVersion;
use highwater::source::directory::place::Directory;
use highwater::source::settings::FtpSettings;

use crate::support::certificates::Authority;
use crate::support::ftp::real::{ALL, FtpServer, Kind, Tls};
use crate::support::ftp::{arrived, fetch, names, opened};

fn refused(settings: &FtpSettings) -> String {
    let error = opened(settings).arrive().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    error.to_string()
}

#[test]
fn a_client_certificate_is_shown_where_the_server_demands_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("plant");
    let ca = authority.write(folder.path());
    let (cert, key) = authority.issue("highwater").write(folder.path());
    let vsftpd = format!("ssl_request_cert=YES\nrequire_cert=YES\nvalidate_cert=YES\nca_certs_file={}", ca.display());
    let proftpd = format!("TLSVerifyClient on\nTLSCACertificateFile {}", ca.display());
    for (kind, demand) in [(Kind::Vsftpd, vsftpd), (Kind::Proftpd, proftpd)] {
        let server = FtpServer::start_with(kind, Tls::Explicit, &demand);
        server.put("a", "A");
        let mut settings = server.settings();
        opened(&settings).arrive().expect_err("no certificate was shown");
        settings.server.tls.cert = Some(cert.clone());
        settings.server.tls.key = Some(key.clone());
        let directory = arrived(&settings);
        // Data connections show it too.
        assert_eq!(names(&directory, ""), ["a"], "{kind:?}");
        assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"A"[..]), "{kind:?}");
    }
}

#[test]
fn a_pinned_key_is_believed_without_an_authority_and_no_other() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Explicit);
        server.put("a", "A");
        let mut settings = server.settings();
        settings.server.tls.ca = None;
        settings.server.tls.pin = Some(server.pin.clone());
        let directory = arrived(&settings);
        assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"A"[..]), "{kind:?}");
        settings.server.tls.pin = Some(format!("sha256:{}", "00".repeat(32)));
        assert!(refused(&settings).contains(&server.pin), "{kind:?}: the key that was seen is named");
    }
}

#[test]
fn the_name_in_the_certificate_is_the_hosts_or_the_one_that_was_written() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit);
    server.put("a", "A");
    let mut settings = server.settings();
    settings.server.host = "localhost".into();
    assert!(refused(&settings).contains("localhost"));
    settings.server.tls.server_name = Some("127.0.0.1".into());
    assert_eq!(names(&arrived(&settings), ""), ["a"]);
}

#[test]
fn a_server_that_is_older_than_the_oldest_tls_allowed_is_refused() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit12);
    let mut settings = server.settings();
    settings.server.tls.min = TlsVersion::V1_3;
    let error = opened(&settings).arrive().expect_err("too old").to_string();
    assert!(error.contains("begin TLS with 127.0.0.1"), "{error}");
}
