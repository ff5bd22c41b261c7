//! Servers whose paths have no slashes (z/OS, OpenVMS, IBM i with NAMEFMT 0): folders are entered one by one, and only names
//! are sent. What these servers answer is taken from their listings in fixtures/.

use std::collections::BTreeMap;
use std::sync::Mutex;

use highwater::source::directory::place::{Directory, Listing};
use highwater::source::settings::{Transfer, Verify};

use super::crashing::{plant, sink, source};
use crate::support::ftp::faulty::{FaultyServer, Talk};
use crate::support::ftp::{arrived, fetch, list};
use crate::support::highwater::Highwater;
use crate::support::receiver::Receiver;

const FEATURES: &str = "211-Extensions supported\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 End\r\n";

/// What such a server says.
struct Manners {
    /// The root, as it is configured.
    root: &'static str,
    /// PWD.
    working: &'static str,
    /// SIZE and MDTM.
    no_size: &'static str,
    /// The listing of each folder; the root is `""`.
    folders: &'static [(&'static str, &'static str)],
}

const Z_OS: Manners = Manners {
    root: "'PARTNER.OUT'",
    working: "257 \"'PARTNER.OUT'\" partitioned data set is working directory",
    no_size: "550 command only supported for HFS files",
    folders: &[("", include_str!("../../../fixtures/listings/mvs-members.txt"))],
};

const OPEN_VMS: Manners = Manners {
    root: "DISK$DATA:[PARTNER.OUT]",
    working: "257 \"DISK$DATA:[PARTNER.OUT]\" is current directory.",
    no_size: "500 command not recognized",
    folders: &[
        ("", include_str!("../../../fixtures/listings/vms-ucx.txt")),
        ("ARCHIVE", "OLD.CSV;1    3/6    5-NOV-2026 07:03:00    [PARTNER,BATCH]   (RWED,RWED,RE,)\r\n"),
    ],
};

const IBM_I: Manners = Manners {
    root: "ORDERSLIB",
    working: "257 \"ORDERSLIB\" is current library.",
    no_size: "550 command not valid for database files",
    folders: &[("", include_str!("../../../fixtures/listings/ibm_i-library-namefmt0.txt")), ("OTHERLIB", "")],
};

impl Manners {
    /// Serves `files` by name alone; a path with a slash or a folder in front is refused. `fault` comes first.
    fn serve(
        self,
        files: &[(&str, &[u8])],
        fault: impl Fn(&mut Talk, &str, &str) -> bool + Send + Sync + 'static,
    ) -> FaultyServer {
        let places: Mutex<BTreeMap<usize, &'static str>> = Mutex::default();
        FaultyServer::start(FEATURES, files, move |talk, verb, argument| {
            if fault(talk, verb, argument) {
                return true;
            }
            let mut places = places.lock().expect("held");
            let at = places.entry(talk.session).or_insert("nowhere");
            let below = self.folders.iter().find(|(name, _)| at.is_empty() && *name == argument && !name.is_empty());
            match verb {
                "PWD" => talk.say(self.working),
                "SIZE" | "MDTM" => talk.say(self.no_size),
                "CWD" if argument == self.root => {
                    *at = "";
                    talk.say("250 ok");
                }
                "CWD" => match below {
                    Some((name, _)) => {
                        *at = name;
                        talk.say("250 ok");
                    }
                    None => talk.say("550 no such directory"),
                },
                "CDUP" => {
                    *at = if at.is_empty() { "nowhere" } else { "" };
                    talk.say("250 ok");
                }
                "LIST" => match self.folders.iter().find(|(name, _)| name == at) {
                    Some((_, text)) => {
                        talk.send(text.as_bytes());
                        talk.say("226 done");
                    }
                    None => talk.say("550 no such directory"),
                },
                "RETR" if *at == "nowhere" || argument.contains('/') => talk.say("550 no such file"),
                _ => return false,
            }
            true
        })
    }
}

fn texts(server: &FaultyServer, receiver: &Receiver, root: &str) -> Highwater {
    let more = "stable_for = \"0s\"\ntransfer = \"text\"\nverify = \"twice\"";
    plant(&(source("orders", server.port, "partner", root, more) + &sink(receiver)), "secret")
}

fn fetched(server: &FaultyServer) -> Vec<String> {
    let mut heard: Vec<String> = server.heard().into_iter().filter(|line| line.starts_with("RETR")).collect();
    heard.sort();
    heard
}

fn bodies(receiver: &Receiver) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = receiver.received().into_iter().map(|received| received.body).collect();
    bodies.sort();
    bodies
}

/// Every file is fetched twice as text, told once, and not again.
fn told_once(manners: Manners, files: &[(&str, &[u8])]) {
    let root = manners.root;
    let server = manners.serve(files, |_, _, _| false);
    let receiver = Receiver::start();
    let highwater = texts(&server, &receiver, root);
    highwater.run(&["check", "--connect"]).code(0);
    highwater.run(&["once"]).code(0);
    let mut expected: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    expected.sort();
    assert_eq!(bodies(&receiver), expected, "{root}");
    let mut twice: Vec<String> =
        files.iter().flat_map(|(name, _)| [format!("RETR {name}"), format!("RETR {name}")]).collect();
    twice.sort();
    assert_eq!(fetched(&server), twice, "{root}");
    assert!(server.heard().contains(&"TYPE A".to_owned()), "{root}");
    highwater.run(&["once"]).code(0);
    assert_eq!(receiver.received().len(), files.len(), "{root}");
}

#[test]
fn members_of_z_os_are_fetched_by_name_as_text_twice_and_told_once() {
    told_once(Z_OS, &[("CONFIG01", b"one\r\n"), ("$REPORT", b"two\r\n"), ("NOSTATS", b"three\r\n")]);
}

#[test]
fn files_of_open_vms_are_fetched_by_name_in_their_folder_and_told_once() {
    told_once(
        OPEN_VMS,
        &[
            ("ORDERS.CSV", b"one\r\n"),
            ("A_VERY_LONG_NAME_THAT_DOES_NOT_FIT_THE_COLUMN.CSV", b"two\r\n"),
            ("WITH^ BLANK.TXT", b"three\r\n"),
            ("OLD.CSV", b"four\r\n"),
        ],
    );
}

#[test]
fn files_and_members_of_an_ibm_i_library_are_fetched_by_name_and_told_once() {
    let files: &[(&str, &[u8])] = &[
        ("SAVEFILE", b"one\r\n"),
        ("ORDERS.ORDERS", b"two\r\n"),
        ("ORDERS.NOV26", b"three\r\n"),
        ("LAST", b"four\r\n"),
    ];
    told_once(IBM_I, files);
}

#[test]
fn folders_are_entered_and_left_one_by_one_and_files_found_from_anywhere() {
    let files: &[(&str, &[u8])] = &[("ORDERS.CSV", b"one"), ("OLD.CSV", b"old")];
    let server = OPEN_VMS.serve(files, |_, _, _| false);
    let mut settings = server.settings();
    settings.path = OPEN_VMS.root.into();
    (settings.transfer, settings.verify) = (Transfer::Text, Verify::Twice);
    let directory = arrived(&settings);
    let (entries, listing) = list(&directory, "").expect("listed");
    assert_eq!((entries.len(), listing), (4, Listing::Complete));
    for _ in 0..2 {
        assert_eq!(fetch(&directory, "ARCHIVE/OLD.CSV").expect("fetched").as_deref(), Some(&b"old"[..]));
        assert_eq!(fetch(&directory, "ORDERS.CSV").expect("fetched").as_deref(), Some(&b"one"[..]));
    }
    assert!(directory.look(b"ARCHIVE/NONE.CSV").expect("a look").is_none());
    assert_eq!(list(&directory, "NONE").expect("listed").1, Listing::Missing);
    assert!(server.heard().iter().all(|line| !line.contains('/')), "{:?}", server.heard());
}

#[test]
fn a_text_that_comes_differently_the_second_time_is_told_when_two_fetches_agree() {
    let server =
        Z_OS.serve(&[("CONFIG01", b"whole\r\n"), ("$REPORT", b"r"), ("NOSTATS", b"n")], |talk, verb, argument| {
            let half = verb == "RETR" && argument == "CONFIG01" && talk.file("half").is_none();
            if half {
                talk.put("half", b"");
                talk.send(b"who");
                talk.say("226 done");
            }
            half
        });
    let receiver = Receiver::start();
    let highwater = texts(&server, &receiver, Z_OS.root);
    highwater.run(&["once"]);
    highwater.run(&["once"]).code(0);
    assert_eq!(bodies(&receiver), [&b"n"[..], b"r", b"whole\r\n"]);
}
