//! `sftp` sources all the way: the program, its configuration, a real OpenSSH server, a proxy.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use highwater::setting::Secret;
use highwater::source::Source;
use highwater::source::settings::{HostKey, ProxyKind, ProxySettings};

use crate::support::highwater::Highwater;
use crate::support::sftp::{settings, source, with_key};
use crate::support::sshd::{Sshd, user};

#[test]
fn once_tells_a_file_and_moves_it_and_doctor_and_peek_look_at_the_server() {
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    fs::write(folder.join("orders-17.csv"), "id;amount\n1;9.50\n").expect("write");
    let key = sshd.new_key("ed25519", "");
    let text = format!(
        "[source.orders]\nkind = \"sftp\"\nurl = \"sftp://{}@127.0.0.1:{}\"\npath = \"{}\"\nidentity = \"{}\"\n\
         host_key = \"{}\"\nstable_for = \"0s\"\non_delivered = \"move:done\"\nto = [\"seen\"]\n\n\
         [sink.seen]\nkind = \"script\"\ncommand = [\"cp\", \"{{file}}\", \"told.csv\"]\n",
        user(),
        sshd.port,
        folder.display(),
        key.display(),
        sshd.fingerprint("ed25519"),
    );
    let highwater = Highwater::with_config(&text);
    let doctor = highwater.run(&["doctor", "orders", "--json"]).ok();
    assert!(doctor.contains("OpenSSH_") && doctor.contains("rename-over"), "{doctor}");
    let peek = highwater.run(&["peek", "orders"]).ok();
    assert!(peek.contains("orders-17.csv"), "{peek}");
    highwater.run(&["once"]).ok();
    assert_eq!(fs::read_to_string(highwater.path("told.csv")).expect("told"), "id;amount\n1;9.50\n");
    assert!(folder.join("done/orders-17.csv").exists(), "it was moved on the server");
}

#[test]
fn a_connection_goes_through_socks5_and_http_connect() {
    let sshd = Sshd::start();
    let folder = sshd.drop_folder();
    let known = HostKey::KnownHosts(vec![sshd.known_hosts("ed25519", false)]);
    let mut settings = settings(sshd.port, &user(), &folder.display().to_string(), known);
    settings = with_key(settings, sshd.new_key("ed25519", ""));
    for kind in [ProxyKind::Socks5, ProxyKind::Http] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let goal = sshd.port;
        let proxy = std::thread::spawn(move || serve(&listener, kind, goal));
        let password = Some(Secret::literal("secret"));
        let user = Some("me".to_owned());
        settings.server.proxy = Some(ProxySettings { kind, host: "127.0.0.1".into(), port, user, password });
        source(&settings).probe().unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        let asked = proxy.join().expect("no panic");
        let words = if kind == ProxyKind::Http { "CONNECT 127.0.0.1:" } else { "me\u{6}secret" };
        assert!(asked.contains(words), "{kind:?}: {asked:?}");
    }
}

/// A proxy for one connection; returns what it was asked. It pumps until the connection ends, on threads of its own.
fn serve(listener: &TcpListener, kind: ProxyKind, port: u16) -> String {
    let (mut client, _) = listener.accept().expect("accept");
    let mut asked = Vec::new();
    let mut take = |client: &mut TcpStream, bytes: usize| {
        let mut some = vec![0; bytes];
        client.read_exact(&mut some).expect("read");
        asked.extend_from_slice(&some);
    };
    match kind {
        ProxyKind::Socks5 => {
            take(&mut client, 4);
            client.write_all(b"\x05\x02").expect("write");
            take(&mut client, 1 + 1 + 2 + 1 + 6);
            client.write_all(b"\x01\x00").expect("write");
            take(&mut client, 4 + 4 + 2);
            client.write_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00").expect("write");
        }
        ProxyKind::Http => {
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("read");
                asked.push(byte[0]);
            }
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").expect("write");
        }
    }
    let server = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    for (mut from, mut to) in [(&client, &server), (&server, &client)]
        .map(|(from, to)| (from.try_clone().expect("a second handle"), to.try_clone().expect("a second handle")))
    {
        std::thread::spawn(move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        });
    }
    String::from_utf8_lossy(&asked).into_owned()
}
