//! Receivers that refuse, redirect, answer with pages or with other people's certificates: named, retried, never followed.

use std::net::TcpListener;

use super::{SECRET, logged, said};
use crate::support::certificates::{Authority, self_signed};
use crate::support::highwater::{Highwater, Output};
use crate::support::receiver::{Answer, Receiver};

fn to_http(url: &str, more: &str) -> Highwater {
    let highwater = Highwater::with_config(&config(url, more));
    highwater.write("in/a.csv", "a");
    highwater
}

fn config(url: &str, more: &str) -> String {
    format!(
        "[source.orders]\nkind = \"folder\"\npath = \"in\"\nstable_for = \"0s\"\nto = [\"erp\"]\n\
         [sink.erp]\nkind = \"http\"\nurl = \"{url}\"\nretry = [\"50ms\"]\nbearer = \"{SECRET}\"\n{more}\n"
    )
}

/// The delivery waits for a retry for this reason, wherever one asks.
#[track_caller]
fn waits(highwater: &Highwater, output: Output, words: &[&str]) {
    let output = output.code(4);
    assert_eq!(output.stdout, "1 source polled, 1 event, 0 delivered, 1 waiting for a retry\n");
    said(&output.stderr, &[]);
    said(logged(&output, "delivery refused")[0]["answer"].as_str().expect("a text"), words);
    let delivery = &highwater.run(&["deliveries", "--json"]).json_lines()[0];
    assert_eq!(delivery["state"], "retrying");
    said(delivery["last"].as_str().expect("a text"), words);
    said(&highwater.run(&["status"]).ok(), words);
    said(&highwater.run(&["explain", "in/a.csv"]).ok(), words);
}

#[test]
fn a_refused_connection_is_named_and_delivered_when_somebody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let highwater = to_http(&format!("http://127.0.0.1:{port}/in"), "");
    let output = highwater.run(&["once"]);
    waits(&highwater, output, &[&format!("127.0.0.1:{port}: connection refused")]);
    let check = highwater.run(&["check", "--connect"]).code(4);
    said(&check.stdout, &["sink erp: FAILED", "connection refused"]);
    let receiver = Receiver::start();
    highwater.configure(&config(&receiver.url("/in"), ""));
    highwater.run(&["once", "--drain", "--deadline", "20s"]).ok();
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(receiver.received()[0].header("highwater-attempt"), Some("2"));
}

#[test]
fn a_page_of_a_proxy_is_quoted_by_its_title_and_is_no_delivery() {
    let receiver = Receiver::start();
    let page = "<!DOCTYPE html><html><head><title>Bad\nGateway &amp; more</title></head><body>\x1b[2J</body></html>";
    receiver.queue([Answer::html(502, page)]);
    let highwater = to_http(&receiver.url("/"), "");
    let output = highwater.run(&["once"]);
    waits(&highwater, output, &["502 Bad Gateway: Bad Gateway"]);
    highwater.run(&["once", "--drain", "--deadline", "20s"]).ok();
    assert_eq!(receiver.counts()[0].1, 2, "the same event, twice");
}

#[test]
fn a_redirect_is_not_followed_and_says_what_to_do() {
    let (other, receiver) = (Receiver::start(), Receiver::start());
    receiver.answers({
        let location = other.url("/login");
        move |_, _| Answer::redirect(&location)
    });
    let highwater = to_http(&receiver.url("/"), "");
    let output = highwater.run(&["once"]);
    waits(&highwater, output, &["302 Found to ", "/login; not followed, set the sink's url"]);
    assert!(other.received().is_empty(), "the token went nowhere else");
}

#[test]
fn certificates_that_are_not_to_be_trusted_are_named_with_the_remedy() {
    let authority = Authority::new("plant");
    let table = [
        (self_signed("localhost"), "the certificate's issuer is unknown; give its authority as tls.ca"),
        (authority.issue_until("localhost", 2001), "the certificate has expired"),
        (authority.issue("other.example"), "the certificate is for another name"),
    ];
    for (identity, words) in table {
        let receiver = Receiver::start_tls(identity.chain, identity.key);
        let url = format!("https://localhost:{}/", receiver.port());
        let highwater = to_http(&url, "tls = { ca = \"ca.pem\" }");
        authority.write(&highwater.path(""));
        let output = highwater.run(&["once"]);
        waits(&highwater, output, &[&format!("localhost:{}: TLS: ", receiver.port()), words]);
        assert!(receiver.received().is_empty());
    }
}

#[test]
fn a_tls_file_that_is_missing_or_no_certificate_is_a_problem_of_the_configuration() {
    let highwater = to_http("https://localhost:1/", "tls = { ca = \"ca.pem\" }");
    let missing = highwater.run(&["once"]).code(2);
    said(&missing.stderr, &["ca.pem"]);
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
    highwater.write("ca.pem", "no certificate");
    let wrong = highwater.run(&["once"]).code(2);
    said(&wrong.stderr, &["ca.pem", "certificate"]);
    assert_eq!(wrong.stderr.lines().count(), 1, "{}", wrong.stderr);
}

#[test]
fn a_receiver_that_quotes_our_secret_does_not_get_it_into_what_we_show() {
    let receiver = Receiver::start();
    receiver.answers(|request, _| {
        let said = request.header("authorization").unwrap_or_default().to_owned();
        Answer::status(401).body(format!("refused: {said}"))
    });
    let highwater = to_http(&receiver.url("/"), "");
    let output = highwater.run(&["once"]);
    assert_eq!(receiver.received()[0].header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    waits(&highwater, output, &["401 Unauthorized: refused: Bearer "]);
    let event = receiver.received()[0].id.clone();
    said(&highwater.run(&["attempts", "show", &event, "--output"]).ok(), &["refused: Bearer "]);
    said(&highwater.run(&["test", "erp"]).code(4).stdout, &["NOT delivered"]);
    said(&highwater.run(&["config", "show"]).ok(), &["***"]);
}
