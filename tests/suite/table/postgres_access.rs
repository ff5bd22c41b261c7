//! Getting into PostgreSQL: every `sslmode`, certificates, refused logins, and what the errors say.

use highwater::error::ErrorKind;
use highwater::net::TlsSettings;
use highwater::setting::Secret;
use highwater::source::settings::PostgresSettings;

use super::postgres::{settings, source};
use super::{Bench, table};
use crate::support::postgres::{Database, PASSWORD, database, server};

fn place() -> Database {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int); INSERT INTO item VALUES (1, 1)");
    place.run("GRANT SELECT ON item TO reader, tls_only, plain_only, certified");
    place
}

/// Polls through `address`: the kind of the error, or none.
fn outcome(settings: &PostgresSettings) -> Result<(), (ErrorKind, String)> {
    let looked = Bench::new(source(settings)).try_poll();
    looked.map(|_| ()).map_err(|e| (e.kind(), e.to_string()))
}

fn through(place: &Database, host: &str, role: &str, more: &str) -> Result<(), (ErrorKind, String)> {
    let address =
        format!("postgres://{role}:{}@{host}:{}/{}?{more}", PASSWORD.replace(' ', "%20"), place.port, place.name);
    outcome(&settings(&address, &table("item", &["at"], &["id"])))
}

#[test]
fn each_sslmode_means_what_libpq_means_by_it() {
    let place = place();
    let ca = server().folder().join("ca.crt");
    let other = server().folder().join("other.crt");
    let with = |mode: &str, ca: &std::path::Path| format!("sslmode={mode}&sslrootcert={}", ca.display());
    let good = [
        ("localhost", "plain_only", "sslmode=disable".to_owned()),
        ("localhost", "plain_only", "sslmode=allow".into()),
        ("localhost", "tls_only", "sslmode=allow".into()),
        ("localhost", "tls_only", "sslmode=prefer".into()),
        ("localhost", "plain_only", "sslmode=prefer".into()),
        ("localhost", "tls_only", "".into()),
        ("127.0.0.1", "tls_only", "sslmode=require".into()),
        ("127.0.0.1", "tls_only", with("require", &ca)),
        ("127.0.0.1", "tls_only", with("verify-ca", &ca)),
        ("localhost", "tls_only", with("verify-full", &ca)),
    ];
    for (host, role, more) in good {
        assert_eq!(through(&place, host, role, &more), Ok(()), "{host} {role} {more}");
    }
    let bad = [
        ("localhost", "tls_only", "sslmode=disable".to_owned()),
        ("localhost", "plain_only", "sslmode=require".into()),
        ("localhost", "tls_only", with("require", &other)),
        ("localhost", "tls_only", with("verify-ca", &other)),
        ("127.0.0.1", "tls_only", with("verify-full", &ca)),
        ("localhost", "tls_only", with("verify-full", &other)),
    ];
    for (host, role, more) in bad {
        let (kind, text) = through(&place, host, role, &more).expect_err(&more);
        assert_eq!(kind, ErrorKind::Denied, "{host} {role} {more}: {text}");
        assert!(text.contains(host) && !text.contains(PASSWORD) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn the_tls_table_checks_names_keys_and_shows_our_certificate() {
    let place = place();
    let folder = server().folder();
    let with = |role: &str, host: &str, tls: TlsSettings| {
        let address = place.address(role).replace("127.0.0.1", host);
        outcome(&PostgresSettings { tls, ..settings(&address, &table("item", &["at"], &["id"])) })
    };
    let ca = Some(folder.join("ca.crt"));
    assert_eq!(with("tls_only", "localhost", TlsSettings { ca: ca.clone(), ..TlsSettings::default() }), Ok(()));
    assert!(with("tls_only", "127.0.0.1", TlsSettings { ca: ca.clone(), ..TlsSettings::default() }).is_err());
    let named = TlsSettings { ca: ca.clone(), server_name: Some("localhost".into()), ..TlsSettings::default() };
    assert_eq!(with("tls_only", "127.0.0.1", named), Ok(()));
    let wrong = TlsSettings { pin: Some(format!("sha256:{}", "0".repeat(64))), ..TlsSettings::default() };
    let (kind, text) = with("tls_only", "localhost", wrong).expect_err("another key");
    assert!(kind == ErrorKind::Denied && text.contains("tls.pin"), "{text}");
    assert!(with("certified", "localhost", TlsSettings { ca: ca.clone(), ..TlsSettings::default() }).is_err());
    let (cert, key) = (Some(folder.join("client.crt")), Some(folder.join("client.key")));
    let certified = TlsSettings { ca, cert, key, ..TlsSettings::default() };
    assert_eq!(with("certified", "localhost", certified), Ok(()));
}

#[test]
fn refusals_are_denied_and_say_what_to_check() {
    let place = place();
    let item = table("item", &["at"], &["id"]);
    let fails = |address: &str, kind: ErrorKind, words: &str| {
        let (found, text) = outcome(&settings(address, &item)).expect_err(words);
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words) && !text.contains("hunter2") && !text.contains('\n'), "{text}");
    };
    let good = place.address("reader");
    fails(&good.replace(PASSWORD, "hunter2"), ErrorKind::Denied, "password");
    fails(&good.replace(&place.name, "nowhere"), ErrorKind::NotFound, "nowhere");
    fails(&good.replace(&format!("port={}", place.port), "port=1"), ErrorKind::Unavailable, "127.0.0.1:1");
    fails(&good.replace("127.0.0.1", "/nowhere"), ErrorKind::NotFound, "/nowhere");
    fails(&place.address("stranger"), ErrorKind::Denied, "SELECT");
}

#[test]
fn of_two_passwords_the_second_is_tried_while_rotating() {
    let place = place();
    let base = std::path::Path::new(".");
    let both = Secret::parse_all(&["hunter2".into(), PASSWORD.into()], base);
    let address = place.address("reader").replace(&format!("password='{PASSWORD}'"), "");
    let settings = PostgresSettings { password: Some(both), ..settings(&address, &table("item", &["at"], &["id"])) };
    assert_eq!(outcome(&settings), Ok(()));
}

#[test]
fn a_unix_socket_needs_no_encryption() {
    let place = place();
    let socket = server().folder().display();
    let address = format!("host={socket} port={} user=postgres dbname={} sslmode=verify-full", place.port, place.name);
    assert_eq!(outcome(&settings(&address, &table("item", &["at"], &["id"]))), Ok(()));
}

#[test]
fn the_binding_names_the_place_without_secrets() {
    let place = place();
    let binding = source(&settings(&place.address("reader"), &table("item", &["at"], &["id"]))).binding();
    assert_eq!(binding.location, format!("postgres://127.0.0.1:{}/{} table item", place.port, place.name));
    assert!(binding.filters.contains("\"at\""), "{}", binding.filters);
}
