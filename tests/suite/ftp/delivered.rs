//! Files of real servers, all the way through the program: told once, delivered whole, taken away on the server.

use std::fs;

use crate::support::ftp::real::{FtpServer, Kind, Tls};
use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;

fn plant(server: &FtpServer, receiver: &Receiver, more: &str) -> Highwater {
    let settings = server.settings();
    let user = &settings.server.user;
    let tls = settings.server.tls.ca.expect("an authority");
    let config = format!(
        "[source.orders]\nkind = \"ftp\"\nurl = \"ftps://{user}@127.0.0.1:{}\"\npassword = \"env:FTP_PASSWORD\"\n\
         path = \"{}\"\ntls = {{ ca = \"{}\" }}\nstable_for = \"0s\"\nto = [\"erp\"]\n{more}\n\
         [sink.erp]\nkind = \"http\"\nurl = \"{}\"\ncontent = \"raw\"\n",
        server.port,
        settings.path,
        tls.display(),
        receiver.url("/hook"),
    );
    let mut highwater = Highwater::with_config(&config);
    let password = settings.server.password.expect("a password").reveal().expect("a literal");
    highwater.set_env("FTP_PASSWORD", &password);
    highwater
}

#[test]
fn files_are_told_once_delivered_whole_and_moved_on_the_server() {
    for kind in [Kind::Vsftpd, Kind::Proftpd, Kind::PureFtpd] {
        let server = FtpServer::start(kind, Tls::Explicit);
        let receiver = Receiver::start();
        server.put("a.csv", "first");
        server.put("below/b.csv", "second");
        let highwater = plant(&server, &receiver, "on_delivered = \"move:done\"");
        highwater.run(&["check", "--connect"]).code(0);
        highwater.run(&["once"]).code(0);
        let mut bodies: Vec<Vec<u8>> = receiver.received().into_iter().map(|request| request.body.to_vec()).collect();
        bodies.sort();
        assert_eq!(bodies, [b"first".to_vec(), b"second".to_vec()], "{kind:?}");
        assert_eq!(fs::read(server.root().join("done/a.csv")).expect("moved"), b"first", "{kind:?}");
        assert!(!server.root().join("a.csv").exists() && server.root().join("done/b.csv").exists(), "{kind:?}");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 2, "{kind:?}");
        server.put("a.csv", "another");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 3, "{kind:?}");
        assert_eq!(fs::read(server.root().join("done/a-2.csv")).expect("numbered"), b"another", "{kind:?}");
    }
}

#[test]
fn files_are_claimed_by_a_rename_before_they_are_fetched() {
    for kind in [Kind::Vsftpd, Kind::Proftpd, Kind::PureFtpd] {
        let server = FtpServer::start(kind, Tls::Explicit);
        let receiver = Receiver::start();
        server.put("a.csv", "first");
        let highwater = plant(&server, &receiver, "claim = \"work/{name}\"\non_delivered = \"delete\"");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 1, "{kind:?}");
        let left: Vec<_> = fs::read_dir(server.root()).expect("a root").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["work"], "{kind:?}");
        assert_eq!(fs::read_dir(server.root().join("work")).expect("a folder").count(), 0, "{kind:?}");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 1, "{kind:?}");
    }
}

#[test]
fn texts_are_fetched_twice_with_the_line_ends_of_the_network() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit);
    let receiver = Receiver::start();
    server.put("a.txt", "one\ntwo\n");
    let highwater = plant(&server, &receiver, "transfer = \"text\"");
    highwater.run(&["once"]).code(0);
    assert_eq!(receiver.received()[0].body, b"one\r\ntwo\r\n"[..]);
    highwater.run(&["once"]).code(0);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_file_is_removed_only_after_two_complete_listings() {
    for kind in [Kind::Vsftpd, Kind::Proftpd, Kind::PureFtpd] {
        let server = FtpServer::start(kind, Tls::Explicit);
        let receiver = Receiver::start();
        for name in ["a", "b", "c"] {
            server.put(name, name);
        }
        let highwater = plant(&server, &receiver, "events = [\"created\", \"changed\", \"removed\"]");
        highwater.run(&["once"]).code(0);
        fs::remove_file(server.root().join("b")).expect("removed");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 3, "{kind:?}");
        highwater.run(&["once"]).code(0);
        assert_eq!(receiver.received().len(), 4, "{kind:?}");
    }
}

#[test]
fn the_doctor_and_a_wrong_password_speak_plainly() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit);
    server.put("a.csv", "first");
    let receiver = Receiver::start();
    let mut highwater = plant(&server, &receiver, "");
    let told = highwater.run(&["doctor", "orders"]).code(0).stdout;
    assert!(told.contains("session reuse") && told.contains("MLSD"), "{told}");
    highwater.set_env("FTP_PASSWORD", "wrong");
    let failed = highwater.run(&["once"]).code(3);
    let text = format!("{}{}", failed.stdout, failed.stderr);
    assert!(text.contains("the server refused user partner; check password: 530"), "{text}");
    assert!(!text.contains("wrong\""), "{text}");
}
