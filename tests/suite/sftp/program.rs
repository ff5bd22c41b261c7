//! `sftp` sources all the way: the program, its configuration, a real OpenSSH server, a proxy.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::Ordering;

use highwater::setting::Secret;
use highwater::source::Source;
use highwater::source::settings::{HostKey, ProxyKind, ProxySettings};
use russh::MethodKind;

use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;
use crate::support::scripted_sftp::{Script, Scripted};
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

/// A source `orders` at this server, with a receiver of contents as its sink.
fn plant(sshd: &Sshd, receiver: &Receiver, folder: &Path, more: &str) -> Highwater {
    let key = sshd.new_key("ed25519", "");
    Highwater::with_config(&format!(
        "[source.orders]\nkind = \"sftp\"\nurl = \"sftp://{}@127.0.0.1:{}\"\npath = \"{}\"\nidentity = \"{}\"\n\
         host_key = \"{}\"\nto = [\"erp\"]\n{more}\n\n\
         [sink.erp]\nkind = \"http\"\nurl = \"{}\"\ncontent = \"raw\"\n",
        user(),
        sshd.port,
        folder.display(),
        key.display(),
        sshd.fingerprint("ed25519"),
        receiver.url("/hook"),
    ))
}

fn told(highwater: &Highwater) -> Vec<(String, u64)> {
    let events = highwater.run(&["events", "--json"]).code(0).json_lines();
    let told = |event: &serde_json::Value| {
        let data = &event["data"];
        (data["path"].as_str().expect("a path").to_owned(), data["size"].as_u64().expect("a size"))
    };
    let mut told: Vec<_> = events.iter().map(told).collect();
    told.sort();
    told
}

#[test]
fn a_kill_in_the_middle_of_a_download_loses_nothing_and_tells_nothing_twice() {
    let sshd = Sshd::start();
    let (folder, receiver) = (sshd.drop_folder(), Receiver::start());
    let large: Vec<u8> = (0..48_u32 << 20).map(|at| (at % 251) as u8).collect();
    fs::write(folder.join("large"), &large).expect("write");
    let highwater = plant(&sshd, &receiver, &folder, "stable_for = \"0s\"\nclaim = \"work/{name}\"");
    for _ in 0..2 {
        let mut running = highwater.spawn(&["run"]);
        running.wait_for("the file is read", |_| sshd.reads(&folder));
        running.kill();
    }
    highwater.run(&["once"]).code(0);
    highwater.run(&["once"]).code(0);
    assert_eq!(told(&highwater), [("large".to_owned(), large.len() as u64)]);
    let received = receiver.received();
    assert!(received.len() == 1 && received[0].body[..] == large[..], "{} requests", received.len());
}

#[test]
fn a_kill_in_the_middle_of_moves_leaves_every_file_moved_once_and_told_once() {
    const FILES: usize = 60;
    let sshd = Sshd::start();
    let (folder, receiver) = (sshd.drop_folder(), Receiver::start());
    for number in 0..FILES {
        fs::write(folder.join(format!("{number:02}")), format!("content {number}")).expect("write");
    }
    let more = "stable_for = \"0s\"\nevery = \"1s\"\non_delivered = \"move:done\"";
    let highwater = plant(&sshd, &receiver, &folder, more);
    let moved = || fs::read_dir(folder.join("done")).map_or(0, Iterator::count);
    for least in [1, 20] {
        let mut running = highwater.spawn(&["run"]);
        running.wait_for("files are moved", |_| moved() >= least);
        running.kill();
    }
    let mut running = highwater.spawn(&["run"]);
    running.wait_for("all files are moved", |_| moved() == FILES);
    assert_eq!(running.terminate(), Some(0));
    highwater.run(&["once"]).code(0);
    let left: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["done"]);
    for number in 0..FILES {
        let text = fs::read_to_string(folder.join(format!("done/{number:02}"))).expect("moved");
        assert_eq!(text, format!("content {number}"));
    }
    assert_eq!(told(&highwater).len(), FILES);
}

#[test]
fn a_file_uploaded_slowly_is_told_once_and_whole() {
    const PIECES: usize = 12;
    let sshd = Sshd::start();
    let (folder, receiver) = (sshd.drop_folder(), Receiver::start());
    let highwater = plant(&sshd, &receiver, &folder, "stable_for = \"2s\"\nevery = \"250ms\"");
    let mut file = fs::File::create(folder.join("slow")).expect("create");
    file.write_all(&[0; 1_000]).expect("write");
    let mut running = highwater.spawn(&["run"]);
    for piece in 1..PIECES {
        // The pace of the upload is what is tested.
        std::thread::sleep(std::time::Duration::from_millis(500));
        file.write_all(&[piece as u8; 1_000]).expect("write");
        assert!(receiver.received().is_empty(), "told after {piece} pieces");
    }
    running.wait_for("the file is told", |_| !receiver.received().is_empty());
    assert_eq!(running.terminate(), Some(0));
    highwater.run(&["once"]).code(0);
    assert_eq!(told(&highwater), [("slow".to_owned(), 1_000 * PIECES as u64)]);
    assert_eq!(receiver.received()[0].body.len(), 1_000 * PIECES);
}

#[test]
fn a_wrong_password_is_sent_twice_and_never_again_by_whatever_command_or_source() {
    for (methods, asks_again) in [(vec![MethodKind::Password], false), (vec![MethodKind::KeyboardInteractive], true)] {
        let server = Scripted::start(Script { methods, asks_again, ..Script::default() }, &[(b"a.csv", b"A")]);
        let source = |name: &str| {
            format!(
                "[source.{name}]\nkind = \"sftp\"\nurl = \"sftp://partner@127.0.0.1:{}\"\npath = \"/in\"\n\
                 password = \"env:SFTP_PASSWORD\"\nhost_key = \"{}\"\nstable_for = \"0s\"\nto = [\"seen\"]\n\n",
                server.port, server.fingerprint
            )
        };
        let sink = "[sink.seen]\nkind = \"script\"\ncommand = [\"true\"]\n";
        let mut highwater = Highwater::with_config(&(source("one") + &source("two") + sink));
        highwater.set_env("SFTP_PASSWORD", "hunter2");
        let tries: [&[&str]; 6] =
            [&["once"], &["peek", "one"], &["check", "--connect"], &["doctor", "two"], &["once"], &["peek", "two"]];
        for command in tries {
            let said = highwater.run(command);
            let text = format!("{}{}", said.stdout, said.stderr);
            assert!(said.status != Some(0) && !text.contains("hunter2"), "{command:?}: {text}");
        }
        assert_eq!(*server.held.passwords.lock().expect("no panic"), ["hunter2"; 2]);
        assert_eq!(server.held.connections.load(Ordering::Relaxed), 2, "a held account's server is not even called");
        highwater.run(&["resume", "two"]).code(0);
        highwater.run(&["once", "--source", "two"]).code(3);
        assert_eq!(server.held.passwords.lock().expect("no panic").len(), 3);
        highwater.set_env("SFTP_PASSWORD", "good");
        highwater.run(&["once"]).code(0);
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
