//! Getting into MariaDB: TLS, certificates, refused logins, and what the errors say.

use std::sync::{Arc, Mutex};

use highwater::error::{Error, ErrorKind, Result};
use highwater::net::TlsSettings;
use highwater::setting::{Secret, SourceName};
use highwater::source::Accounts;
use highwater::source::settings::MysqlSettings;
use highwater::source::table::MysqlSource;

use super::mysql::{settings, source};
use super::{Bench, table};
use crate::support::mariadb::{Database, PASSWORD, database, server};
use crate::support::postgres::RUNTIME;

fn place() -> Database {
    let place = database();
    place.run("CREATE TABLE item (id int PRIMARY KEY, at int); INSERT INTO item VALUES (1, 1)");
    place
}

/// Polls through `settings`: the kind of the error, or none.
fn outcome(settings: &MysqlSettings) -> std::result::Result<(), (ErrorKind, String)> {
    let looked = Bench::new(source(settings)).try_poll();
    looked.map(|_| ()).map_err(|e| (e.kind(), e.to_string()))
}

fn through(place: &Database, host: &str, user: &str, more: &str) -> std::result::Result<(), (ErrorKind, String)> {
    let address = format!("{}?{more}", place.address(user).replace("127.0.0.1", host));
    outcome(&settings(&address, &table("item", &["at"], &["id"])))
}

#[test]
fn each_ssl_mode_means_what_mysql_means_by_it() {
    let place = place();
    let ca = format!("ssl-ca={}", server().folder().join("ca.crt").display());
    let other = format!("ssl-ca={}", server().folder().join("other.crt").display());
    for (host, user, more) in [
        ("127.0.0.1", "reader", "ssl-mode=DISABLED".to_owned()),
        ("127.0.0.1", "tls_only", String::new()),
        ("127.0.0.1", "tls_only", "ssl-mode=REQUIRED".into()),
        ("localhost", "tls_only", ca.clone()),
        ("localhost", "tls_only", format!("ssl-mode=VERIFY_IDENTITY&{ca}")),
    ] {
        assert_eq!(through(&place, host, user, &more), Ok(()), "{host} {user} {more}");
    }
    for (host, user, more) in [
        ("127.0.0.1", "tls_only", "ssl-mode=DISABLED".to_owned()),
        ("localhost", "tls_only", other),
        ("127.0.0.1", "tls_only", ca),
        ("localhost", "tls_only", "ssl-mode=VERIFY_IDENTITY".into()),
    ] {
        let (kind, text) = through(&place, host, user, &more).expect_err(&more);
        assert_eq!(kind, ErrorKind::Denied, "{host} {user} {more}: {text}");
        assert!(text.contains(host) && !text.contains(PASSWORD) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn the_tls_table_names_the_authority_and_the_host() {
    let place = place();
    let ca = Some(server().folder().join("ca.crt"));
    let named = TlsSettings { ca, server_name: Some("localhost".into()), ..TlsSettings::default() };
    let item = table("item", &["at"], &["id"]);
    assert_eq!(outcome(&MysqlSettings { tls: named, ..settings(&place.address("tls_only"), &item) }), Ok(()));
}

#[test]
fn refusals_say_what_to_check() {
    let place = place();
    let item = table("item", &["at"], &["id"]);
    let fails = |address: &str, kind: ErrorKind, words: &str| {
        let (found, text) = outcome(&settings(address, &item)).expect_err(words);
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words) && !text.contains("hunter2") && !text.contains('\n'), "{text}");
    };
    let good = place.address("reader");
    fails(&good.replace("correct%20horse", "hunter2"), ErrorKind::Denied, "password");
    fails(&good.replace(&place.name, "nowhere"), ErrorKind::NotFound, "nowhere");
    fails(&good.replace(&format!(":{}/", place.port), ":1/"), ErrorKind::Unavailable, "127.0.0.1:1");
    fails(&format!("{good}?socket=/nowhere"), ErrorKind::NotFound, "/nowhere");
    fails(&place.address("stranger"), ErrorKind::Denied, "database");
    place.run(&format!(
        "CREATE TABLE secret (id int PRIMARY KEY); GRANT SELECT ON {}.secret TO stranger@'%'",
        place.name
    ));
    fails(&place.address("stranger"), ErrorKind::Denied, "SELECT");
}

#[test]
fn of_two_passwords_the_second_is_tried_while_rotating() {
    let place = place();
    let both = Secret::parse_all(&["hunter2".into(), PASSWORD.into()], std::path::Path::new("."));
    let address = place.address("reader").replace(":correct%20horse", "");
    let settings = MysqlSettings { password: Some(both), ..settings(&address, &table("item", &["at"], &["id"])) };
    assert_eq!(outcome(&settings), Ok(()));
}

/// Lets two attempts be made with a refused password, as the store does.
#[derive(Debug, Default)]
struct Twice(Mutex<(u32, u32)>);

impl Accounts for Twice {
    fn attempt(&self, _: &str, _: &[u8], _: &highwater::clock::Stop) -> Result<()> {
        let mut counts = self.0.lock().expect("no test panics here");
        if counts.1 >= 2 {
            return Err(Error::new(ErrorKind::Denied, "auth_refused: refused twice"));
        }
        counts.0 += 1;
        Ok(())
    }

    fn accepted(&self, _: &str, _: &[u8]) {}

    fn unanswered(&self, _: &str, _: &[u8]) {}

    fn refused(&self, _: &str, _: &[u8]) {
        self.0.lock().expect("no test panics here").1 += 1;
    }
}

#[test]
fn a_wrong_password_is_tried_twice_and_no_more() {
    let place = place();
    let accounts = Arc::new(Twice::default());
    let settings = settings(&place.address("reader").replace("correct", "wrong"), &table("item", &["at"], &["id"]));
    let name = SourceName::new("shop");
    let source = MysqlSource::new(&name, &settings, RUNTIME.handle().clone(), accounts.clone()).expect("a source");
    let mut bench = Bench::new(Box::new(source));
    for _ in 0..4 {
        assert_eq!(bench.try_poll().expect_err("refused").kind(), ErrorKind::Denied);
    }
    assert_eq!(*accounts.0.lock().expect("no test panics here"), (2, 2));
}
