//! The folder source on real folders, through the binary: names, links, rights and files in motion.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::promise::{
    as_nobody, erp, events, kinds, once, orders, plant, put, run, sha256, source_status, told, wait_for_delivered,
};
use crate::support::receiver::{Received, Receiver};
use crate::support::wait_until;

/// The exact path that an event tells.
fn path_of(event: &Value) -> Vec<u8> {
    match event["data"]["path_b64"].as_str() {
        Some(exact) => BASE64.decode(exact.as_bytes()).expect("Base64"),
        None => event["data"]["path"].as_str().expect("a path").as_bytes().to_vec(),
    }
}

/// The events that came in, by their exact paths.
fn by_path(received: &[Received]) -> BTreeMap<Vec<u8>, Value> {
    received.iter().map(Received::json).map(|event| (path_of(&event), event)).collect()
}

#[test]
fn links_pipes_and_sockets_are_passed_over_wherever_they_lead() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let drop = highwater.path("drop");
    put(&highwater, "in/real.csv", "1");
    highwater.write("secret.txt", "not for partners");
    symlink("in/real.csv", drop.join("file.csv")).expect("link");
    symlink("in", drop.join("folder")).expect("link");
    symlink("..", drop.join("in/loop")).expect("link");
    symlink("nowhere", drop.join("dangling.csv")).expect("link");
    symlink(highwater.path("secret.txt"), drop.join("outside.csv")).expect("link");
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, drop.join("pipe.csv"), pipe, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(drop.join("socket.csv")).expect("a socket");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created in/real.csv"]);
    assert_eq!(source_status(&highwater, "orders")["state"], "ok");
    for name in ["outside.csv", "pipe.csv"] {
        let story = highwater.run(&["explain", "orders", name]).ok();
        assert!(story.contains("a link or a special file, which is passed over"), "{story}");
    }

    // What took the place of a link is a file like any other; what a link took the place of is gone.
    std::fs::remove_file(drop.join("file.csv")).expect("remove");
    put(&highwater, "file.csv", "2");
    assert!(once(&highwater, 0).contains("1 event, 1 delivered"));
    std::fs::remove_file(drop.join("file.csv")).expect("remove");
    symlink("in/real.csv", drop.join("file.csv")).expect("link");
    assert!(once(&highwater, 0).contains(" 0 events"));
}

#[test]
fn a_root_that_is_a_link_is_followed_and_told_by_its_own_paths() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("path = \"link\"") + &erp(&receiver, "")));
    symlink("drop", highwater.path("link")).expect("link");
    put(&highwater, "in/a.csv", "1");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created in/a.csv"]);
    let real = highwater.path("drop/in/a.csv").display().to_string();
    assert!(highwater.run(&["explain", &real]).ok().contains("told as revision 1"));
}

#[test]
fn every_name_that_a_file_can_have_is_told_exactly_and_found_again() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("exclude = [\"nothing\"]") + &erp(&receiver, "")));
    let mut names: Vec<Vec<u8>> = [
        "two  spaces .csv",
        "line\nfeed.csv",
        "\ttab\r.csv",
        "-rf",
        "back\\slash",
        "e\u{301}",
        "\u{e9}",
        "[x]*?{}",
        "\u{1b}[2J",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    names.extend([b"caf\xe9.csv".to_vec(), b"\xff\xfe".to_vec(), b"in \xe9/a\nb".to_vec(), vec![b'n'; 255]]);
    for name in &names {
        let path = highwater.path("drop").join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().expect("inside drop")).expect("folders");
        std::fs::write(path, name).expect("write");
    }
    once(&highwater, 0);
    let mut told = by_path(&receiver.received());
    assert_eq!(told.len(), names.len());
    for name in &names {
        let event = told.remove(name).unwrap_or_else(|| panic!("{} is told", name.escape_ascii()));
        assert_eq!(event["data"]["sha256"], sha256(name));
        let is_plain = std::str::from_utf8(name).is_ok_and(|name| !name.contains(char::is_control));
        assert_eq!(event["data"]["path_b64"].is_null(), is_plain, "{event}");
        let mut explain = highwater.command(&["explain", "orders", "--"]);
        let story = explain.arg(OsStr::from_bytes(name)).output().expect("starts").stdout;
        let story = String::from_utf8(story).expect("nothing raw reaches the terminal");
        assert!(story.contains("told as revision 1") && !story.contains('\u{1b}'), "{story}");
    }
    assert!(once(&highwater, 0).contains(" 0 events"), "all of them are known");
}

/// Makes folders below `root`, one in the other, until the path is longer than any system call takes; returns the last.
fn deep(root: &Path, names: &[Vec<u8>]) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(root, flags, Mode::empty()).expect("open");
    for name in names {
        rustix::fs::mkdirat(&folder, name.as_slice(), Mode::RWXU).expect("make");
        folder = rustix::fs::openat(&folder, name.as_slice(), flags, Mode::empty()).expect("open");
    }
    folder
}

#[test]
fn a_file_behind_a_path_that_no_system_call_takes_is_delivered_changed_and_removed() {
    let receiver = Receiver::start();
    let events = "events = [\"created\", \"changed\", \"removed\"]";
    let highwater = plant(&(orders(events) + &erp(&receiver, "content = \"raw\"")));
    put(&highwater, "short.csv", "short");
    let names: Vec<Vec<u8>> = (0..25).map(|_| vec![b'd'; 200]).collect();
    let folder = deep(&highwater.path("drop"), &names);
    let write = |content: &[u8]| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let file = rustix::fs::openat(&folder, "a.csv", flags, Mode::RUSR | Mode::WUSR).expect("open");
        std::fs::File::from(file).write_all(content).expect("write");
    };
    write(b"long");
    once(&highwater, 0);
    write(b"longer");
    once(&highwater, 0);
    let bodies: Vec<Vec<u8>> = receiver.received().into_iter().map(|received| received.body).collect();
    assert!(bodies.contains(&b"long".to_vec()) && bodies.contains(&b"longer".to_vec()));
    rustix::fs::unlinkat(&folder, "a.csv", rustix::fs::AtFlags::empty()).expect("remove");
    once(&highwater, 0);
    let told: Vec<(String, usize)> =
        crate::promise::events(&highwater, &[]).into_iter().map(|told| (told.kind, told.key.len())).collect();
    let long = names.len() * 201 + "a.csv".len();
    for kind in ["created", "changed", "removed"] {
        assert!(told.contains(&(kind.into(), long)), "{kind} in {told:?}");
    }
}

#[test]
fn empty_files_and_folders_are_no_trouble() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "content = \"raw\"")));
    std::fs::create_dir_all(highwater.path("drop/empty/in/it")).expect("folders");
    assert!(once(&highwater, 0).contains(" 0 events"));
    put(&highwater, "empty.csv", "");
    once(&highwater, 0);
    let received = receiver.received();
    assert_eq!((received.len(), received[0].body.len()), (1, 0));
    assert_eq!(events(&highwater, &[])[0].sha256, sha256(b""));
    put(&highwater, "empty.csv", "not any more");
    once(&highwater, 0);
    assert_eq!(receiver.received()[1].body, b"not any more");
}

#[test]
fn files_and_folders_that_come_and_go_during_looks_are_told_right_or_not_at_all() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("every = \"20ms\"") + &erp(&receiver, "content = \"inline\"")));
    let running = run(&highwater);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let churn = |folder: &'static str| {
            let (stop, root) = (&stop, highwater.path("drop").join(folder));
            move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let inner = root.join(format!("{}", round % 7));
                    std::fs::create_dir_all(&inner).expect("folders");
                    for number in 0..5 {
                        let name = format!("{folder}-{round}-{number}");
                        // Whole under its name at once, as whatever is told must be.
                        let hidden = inner.join(format!(".{name}"));
                        std::fs::write(&hidden, &name).expect("write");
                        std::fs::rename(hidden, inner.join(&name)).expect("rename");
                    }
                    std::fs::remove_dir_all(&root).expect("remove");
                }
            }
        };
        scope.spawn(churn("a"));
        scope.spawn(churn("b"));
        for number in 0..20 {
            put(&highwater, &format!("stays-{number}.csv"), format!("stays-{number}.csv"));
            wait_until("what stays is told", || {
                told(&receiver.received()).iter().any(|told| told.key == format!("stays-{number}.csv"))
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    wait_until("it is well", || source_status(&highwater, "orders")["state"] == "ok");
    assert_eq!(running.terminate(), Some(0));
    for event in receiver.received().iter().map(Received::json) {
        let name = event["data"]["name"].as_str().expect("a name");
        assert_eq!(event["data"]["sha256"], sha256(name.as_bytes()), "{event}");
    }
}

#[test]
fn a_file_that_is_kept_open_and_appended_waits_and_says_so_while_others_go_on() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("stable_for = \"3s\"") + &erp(&receiver, "content = \"raw\"")));
    let mut log = std::fs::File::create(highwater.path("drop/grows.log")).expect("create");
    let running = run(&highwater);
    let mut lines = 0;
    let mut append = || {
        writeln!(log, "line").expect("write");
        lines += 1;
    };
    wait_until("it is seen to change", || {
        append();
        highwater.run(&["explain", "orders", "grows.log"]).stdout.contains("still changing")
    });
    put(&highwater, "whole.csv", "whole");
    wait_until("the whole one is delivered", || {
        append();
        !receiver.received().is_empty()
    });
    append();
    assert_eq!(source_status(&highwater, "orders")["waiting"], 1);
    assert_eq!(receiver.received()[0].body, b"whole");
    wait_for_delivered(&highwater, "erp", 2);
    assert_eq!(receiver.received()[1].body.len(), lines * "line\n".len());
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn an_unreadable_folder_degrades_the_source_by_name_and_nothing_in_it_counts_as_removed() {
    let receiver = Receiver::start();
    let kinds_told = "events = [\"created\", \"changed\", \"removed\"]";
    let highwater = plant(&(orders(kinds_told) + &erp(&receiver, "")));
    for name in ["in/a.csv", "in/deep/b.csv", "c.csv", "d.csv", "e.csv"] {
        put(&highwater, name, name);
    }
    let once = || {
        let ended = as_nobody(&highwater, &["once"]).output().expect("starts");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&ended.stderr));
        said
    };
    once();
    let folder = highwater.path("drop/in");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o000)).expect("chmod");
    put(&highwater, "new.csv", "new");
    std::fs::remove_file(highwater.path("drop/c.csv")).expect("remove");
    let said = once();
    assert!(said.contains("degraded") && said.contains("drop/in"), "{said}");
    let removed = || kinds(&receiver).into_iter().filter(|kind| kind.starts_with("removed")).collect::<Vec<_>>();
    assert_eq!((receiver.received().len(), removed()), (7, vec!["removed c.csv".to_owned()]), "others go on");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let said = once();
    assert!(!said.contains("degraded"), "{said}");
    assert_eq!(receiver.received().len(), 7, "nothing in it is told anew");
}

#[test]
fn times_of_any_year_are_told_as_they_are() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    let year = Duration::from_secs(31_556_952);
    let times = [("past.csv", SystemTime::UNIX_EPOCH - year), ("future.csv", SystemTime::UNIX_EPOCH + year * 200)];
    for (name, time) in times {
        put(&highwater, name, name);
        let file = std::fs::File::options().append(true).open(highwater.path("drop").join(name)).expect("open");
        file.set_modified(time).expect("a time");
    }
    once(&highwater, 0);
    let told = by_path(&receiver.received());
    let modified = |name: &[u8]| told[name]["data"]["modified"].as_str().expect("a time").to_owned();
    assert!(modified(b"past.csv").starts_with("1969-") || modified(b"past.csv").starts_with("1968-"));
    assert!(modified(b"future.csv").starts_with("2169-") || modified(b"future.csv").starts_with("2170-"));
    assert!(once(&highwater, 0).contains(" 0 events"));
}

#[test]
fn a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file_are_followed() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "")));
    put(&highwater, "one", "a file");
    put(&highwater, "two/inner.csv", "inner");
    once(&highwater, 0);
    std::fs::remove_file(highwater.path("drop/one")).expect("remove");
    std::fs::remove_dir_all(highwater.path("drop/two")).expect("remove");
    put(&highwater, "one/inner.csv", "inner");
    put(&highwater, "two", "a file");
    once(&highwater, 0);
    assert_eq!(kinds(&receiver), ["created one", "created one/inner.csv", "created two", "created two/inner.csv"]);
    assert!(once(&highwater, 0).contains(" 0 events"));
}
