//! A server that stalls, lies, cuts and attacks: nothing is believed that it did not prove, nothing waits for ever, and no
//! memory grows without bound.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use highwater::clock::Stop;
use highwater::error::ErrorKind;
use highwater::setting::Secret;
use highwater::source::directory::ftp::FtpDirectory;
use highwater::source::directory::place::{Directory, Listing, Renamed};
use highwater::source::settings::FtpListing;

use crate::support::ftp::faulty::{FEATURES, FaultyServer, OLD, Talk};
use crate::support::ftp::{Counting, arrived, fetch, list, names, opened};

const FILES: &[(&str, &[u8])] = &[("a", b"AAAA"), ("b", b"BB")];

fn healthy(_: &mut Talk, _: &str, _: &str) -> bool {
    false
}

#[test]
fn a_healthy_server_is_told_only_what_is_needed() {
    let server = FaultyServer::start(FEATURES, FILES, healthy);
    let directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"AAAA"[..]));
    let session = ["USER partner", "PASS secret", "FEAT", "OPTS UTF8 ON", "CWD /in", "PWD", "TYPE I"];
    let transfers = ["EPSV", "MLSD", "MLST /in/a", "EPSV", "RETR /in/a", "MLST /in/a"];
    assert_eq!(server.heard(), [&session[..], &transfers[..]].concat());
}

#[test]
fn a_stall_at_any_step_ends_within_the_deadline_and_says_where() {
    for step in ["", "USER", "PASS", "FEAT", "CWD", "PWD", "TYPE", "EPSV", "MLSD", "MLST", "RETR"] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let stalls = verb == step;
            if stalls {
                talk.stall();
            }
            stalls
        });
        let began = Instant::now();
        let mut directory = opened(&server.settings());
        let done = directory.arrive().and_then(|_| list(&directory, "")).and_then(|_| fetch(&directory, "a"));
        let error = done.expect_err("nothing came");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{step}: {error}");
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", server.port)), "{step}: {error}");
        assert!(began.elapsed() < Duration::from_secs(8), "{step}: {:?}", began.elapsed());
    }
}

#[test]
fn a_request_to_stop_is_noticed_while_waiting() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let stalls = verb == "MLSD";
        if stalls {
            talk.stall();
        }
        stalls
    });
    let mut settings = server.settings();
    settings.server.timeout.reply = highwater::setting::Interval::from_secs(60);
    let directory = arrived(&settings);
    let stop = Stop::new();
    directory.begin(crate::support::ftp::now(), &stop);
    let began = Instant::now();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            crate::support::wait_until("MLSD was heard", || server.count("MLSD") > 0);
            stop.raise();
        });
        assert_eq!(list(&directory, "").expect_err("stopped").kind(), ErrorKind::Stopped);
    });
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn data_that_stalls_ends_within_the_deadline() {
    for step in ["MLSD", "RETR"] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let stalls = verb == step;
            if stalls {
                talk.say("150 soon");
                let mut data = talk.data();
                let _ = data.write_all(b"AA");
                let _ = data.read(&mut [0]);
            }
            stalls
        });
        let directory = arrived(&server.settings());
        let error = if step == "MLSD" { list(&directory, "").map(drop) } else { fetch(&directory, "a").map(drop) };
        assert_eq!(error.expect_err("nothing more came").kind(), ErrorKind::TimedOut, "{step}");
    }
}

#[test]
fn without_the_final_226_nothing_is_complete() {
    for ending in ["426 aborted", "451 local error", "550 gone wrong", ""] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let cuts = matches!(verb, "MLSD" | "RETR");
            if cuts {
                let bytes: &[u8] =
                    if verb == "RETR" { b"AAAA" } else { b"type=file;size=4;modify=20261101120000; a\r\n" };
                talk.send(bytes);
                if ending.is_empty() { talk.hang_up() } else { talk.say(ending) }
            }
            cuts
        });
        let directory = arrived(&server.settings());
        list(&directory, "").expect_err("not proven");
        fetch(&directory, "a").expect_err("not proven");
    }
}

#[test]
fn bytes_cut_early_are_not_the_file_even_with_226() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let cuts = verb == "RETR";
        if cuts {
            talk.send(b"AA");
            talk.say("226 done");
        }
        cuts
    });
    let directory = arrived(&server.settings());
    // The bytes are as many as came; that they are fewer than announced is the reader's to see.
    assert_eq!(fetch(&directory, "a").expect("read").as_deref(), Some(&b"AA"[..]));
}

#[test]
fn a_file_that_is_longer_than_announced_is_another_version() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let lies = verb == "RETR";
        if lies {
            talk.send(b"AAAAAAAA");
            talk.say("226 done");
        }
        lies
    });
    let directory = arrived(&server.settings());
    let looked = directory.look(b"a").expect("a look").expect("there");
    let mut file = directory.open(b"a").expect("opened").expect("there");
    file.read_exact(&mut [0; 4]).expect("read");
    assert_ne!(file.tuple().expect("a tuple"), looked.tuple);
}

#[test]
fn a_large_fetch_that_was_cut_goes_on_where_it_stopped() {
    let big: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for reply in ["426 cut", ""] {
        let server = FaultyServer::start(FEATURES, &[("big", &big)], move |talk, verb, argument| {
            let cuts = verb == "RETR" && talk.before < 2;
            if cuts {
                let bytes = talk.file(argument).expect("there");
                let from = if talk.before == 0 { 0 } else { 1_500_000 };
                talk.say("150 here");
                let _ = talk.data().write_all(&bytes[from..from + 1_500_000]);
                if reply.is_empty() { talk.hang_up() } else { talk.say(reply) }
            }
            cuts
        });
        let directory = arrived(&server.settings());
        assert_eq!(fetch(&directory, "big").expect("fetched").as_deref(), Some(&big[..]));
        let restarts: Vec<String> = server.heard().into_iter().filter(|line| line.starts_with("REST")).collect();
        assert_eq!(restarts, ["REST 1500000", "REST 3000000"]);
    }
}

#[test]
fn a_large_fetch_is_not_taken_up_again_when_the_file_changed() {
    let big = vec![b'x'; 3_000_000];
    let server = FaultyServer::start(FEATURES, &[("big", &big)], move |talk, verb, argument| {
        let cuts = verb == "RETR" && talk.before == 0;
        let lies = verb == "MLST" && talk.before >= 1;
        if cuts {
            let bytes = talk.file(argument).expect("there");
            talk.send(&bytes[..2_000_000]);
            talk.say("426 cut");
        }
        if lies {
            talk.raw(b"250-x\r\n type=file;size=3000000;modify=20261101120001; big\r\n250 end\r\n");
        }
        cuts || lies
    });
    let directory = arrived(&server.settings());
    assert!(fetch(&directory, "big").expect_err("cut").to_string().contains("426 cut"));
    assert_eq!(server.count("REST"), 0);
}

#[test]
fn a_lost_connection_is_made_anew_once_and_then_told() {
    for goodbye in ["421 idle for too long", ""] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let ends = verb == "MLSD" && talk.before == 0;
            if ends {
                if !goodbye.is_empty() {
                    talk.say(goodbye);
                }
                talk.hang_up();
            }
            ends
        });
        let directory = arrived(&server.settings());
        assert_eq!(names(&directory, ""), ["a", "b"]);
        assert_eq!(server.sessions(), 2);
    }
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let ends = verb == "MLSD";
        if ends {
            talk.say("421 go away");
            talk.hang_up();
        }
        ends
    });
    let directory = arrived(&server.settings());
    let error = list(&directory, "").expect_err("twice lost");
    assert_eq!((error.kind(), server.sessions()), (ErrorKind::Unavailable, 2));
    assert!(error.to_string().contains("421 go away"), "{error}");
}

#[test]
fn a_session_that_was_ended_between_two_polls_costs_no_error() {
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
        if verb == "MLSD" && talk.before == 0 {
            talk.answer(verb, "");
            talk.say("421 timeout");
            talk.hang_up();
            seen.store(true, Ordering::SeqCst);
            return true;
        }
        false
    });
    let mut directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    crate::support::wait_until("the server ended the session", || ended.load(Ordering::SeqCst));
    directory.arrive().expect("a new session");
    assert_eq!(names(&directory, ""), ["a", "b"]);
}

#[test]
fn a_listing_of_garbage_is_never_complete() {
    for features in [FEATURES, OLD] {
        let server = FaultyServer::start(features, FILES, |talk, verb, _| {
            let lists = matches!(verb, "MLSD" | "LIST");
            if lists {
                talk.send(b"\x00\xff\xfe garbage\r\nmore of it\n\n;;;\r\ntype=file;size=x;modify=1; q\r\n");
                talk.say("226 done");
            }
            lists
        });
        let directory = arrived(&server.settings());
        let listed = list(&directory, "");
        assert!(!matches!(listed, Ok((_, Listing::Complete))), "{listed:?}");
    }
}

#[test]
fn hostile_names_never_leave_the_folder_nor_end_a_command() {
    let long = "x".repeat(4_096);
    let lines = ["../up", "/etc/passwd", "..", ".", "a/b", "nul\0", &long, "good"]
        .map(|name| format!("type=file;size=1;modify=20261101120000; {name}\r\n"))
        .concat();
    let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
        let lists = verb == "MLSD";
        if lists {
            talk.send(lines.as_bytes());
            talk.say("226 done");
        }
        lists
    });
    let directory = arrived(&server.settings());
    let (entries, listing) = list(&directory, "").expect("listed");
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["good", &long[..]]);
    assert!(matches!(listing, Listing::Doubtful(_)));
    for bad in [&b"a\r\nDELE b"[..], b"a\nb", b"a\0b"] {
        assert_eq!(directory.look(bad).expect_err("refused").kind(), ErrorKind::Invalid);
        assert_eq!(directory.rename_new(b"a", bad).expect_err("refused").kind(), ErrorKind::Invalid);
    }
    assert_eq!(server.count("DELE"), 0);
}

#[test]
fn an_endless_listing_is_handed_out_and_ends_when_it_is_stopped() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let lists = verb == "MLSD";
        if lists {
            talk.say("150 here");
            let mut data = talk.data();
            let lines = "type=file;size=1;modify=20261101120000; a\r\n".repeat(1_000);
            while data.write_all(lines.as_bytes()).is_ok() {}
            talk.say("426 cut");
        }
        lists
    });
    let directory = arrived(&server.settings());
    let mut seen = 0_u64;
    let stopped = directory.list(b"", &mut |_| {
        seen += 1;
        if seen < 200_000 { Ok(()) } else { Err(highwater::error::Error::new(ErrorKind::Stopped, "enough")) }
    });
    assert_eq!((stopped.expect_err("stopped").kind(), seen), (ErrorKind::Stopped, 200_000));
    // The session of the cut listing is not used again.
    assert!(directory.look(b"a").expect("a look").is_some());
    assert_eq!(server.sessions(), 2);
}

#[test]
fn an_endless_reply_is_given_up() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let endless = verb == "FEAT";
        if endless {
            talk.raw(b"211-");
            for _ in 0..100 {
                talk.raw(&[b'x'; 1_000]);
            }
            talk.stall();
        }
        endless
    });
    let error = opened(&server.settings()).arrive().expect_err("endless");
    assert!(error.to_string().contains("no end within 65536 bytes"), "{error}");
}

#[test]
fn mlsd_that_is_announced_and_unknown_is_replaced_by_list() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let broken = matches!(verb, "MLSD" | "MLST");
        if broken {
            talk.say("500 what?");
        }
        broken
    });
    let directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!((server.count("MLSD"), server.count("LIST")), (1, 2));
    let mut settings = server.settings();
    settings.listing = FtpListing::Mlsd;
    let error = list(&arrived(&settings), "").expect_err("asked for MLSD");
    assert!(error.to_string().contains("set listing = \"auto\""), "{error}");
}

#[test]
fn epsv_that_is_unknown_is_replaced_by_pasv_on_the_servers_own_host() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| match verb {
        "EPSV" => {
            talk.say("500 what?");
            true
        }
        "PASV" => {
            let port = talk.listen();
            talk.say(&format!("227 Entering Passive Mode (10,9,8,7,{},{})", port >> 8, port & 255));
            true
        }
        _ => false,
    });
    let directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"AAAA"[..]));
    assert_eq!((server.count("EPSV"), server.count("PASV")), (1, 2));
}

#[test]
fn a_wrong_password_is_never_tried_a_third_time() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, _| {
        let refused = verb == "PASS";
        if refused {
            talk.say("530 Login incorrect");
        }
        refused
    });
    let accounts = Arc::new(Counting::default());
    for _ in 0..3 {
        let mut directory = FtpDirectory::new(&server.settings(), accounts.clone()).expect("settings");
        for _ in 0..3 {
            assert_eq!(directory.arrive().expect_err("refused").kind(), ErrorKind::Denied);
        }
    }
    assert_eq!((server.count("PASS"), accounts.refused("secret")), (2, 2));
    assert_eq!(accounts.accounts(), [format!("ftp://partner@127.0.0.1:{}", server.port)]);
}

#[test]
fn while_passwords_rotate_the_second_is_tried_after_the_first_was_refused() {
    let server = FaultyServer::start(FEATURES, FILES, |talk, verb, argument| {
        let refused = verb == "PASS" && argument == "new";
        if refused {
            talk.say("530 Login incorrect");
        }
        refused
    });
    let accounts = Arc::new(Counting::default());
    let mut settings = server.settings();
    let written = ["new".to_owned(), "secret".to_owned()];
    settings.server.password = Some(Secret::parse_all(&written, std::path::Path::new(".")));
    let mut directory = FtpDirectory::new(&settings, accounts.clone()).expect("settings");
    directory.arrive().expect("the second password is good");
    let passwords: Vec<String> = server.heard().into_iter().filter(|line| line.starts_with("PASS")).collect();
    assert_eq!(passwords, ["PASS new", "PASS secret"]);
    assert_eq!((accounts.refused("new"), accounts.refused("secret")), (1, 0));
}

#[test]
fn a_login_that_was_not_judged_does_not_count() {
    for answer in ["421 too many", "530 Sorry, the maximum number of clients is connected", ""] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, _| {
            let unjudged = verb == "PASS";
            if unjudged {
                if !answer.is_empty() {
                    talk.say(answer);
                }
                talk.hang_up();
            }
            unjudged
        });
        let accounts = Arc::new(Counting::default());
        let mut directory = FtpDirectory::new(&server.settings(), accounts.clone()).expect("settings");
        for _ in 0..3 {
            assert_eq!(directory.arrive().expect_err("not now").kind(), ErrorKind::Unavailable, "{answer}");
        }
        assert_eq!((accounts.refused("secret"), server.count("PASS")), (0, 3));
    }
}

#[test]
fn a_rename_whose_reply_was_lost_is_found_out() {
    for carried_out in [true, false] {
        let server = FaultyServer::start(FEATURES, FILES, move |talk, verb, argument| {
            let lost = verb == "RNTO";
            if lost {
                if carried_out {
                    talk.carry_out_rename(argument);
                }
                talk.hang_up();
            }
            lost
        });
        let directory = arrived(&server.settings());
        let renamed = directory.rename_new(b"a", b"c");
        if carried_out {
            assert_eq!(renamed.expect("done"), Renamed::Done);
            assert_eq!(server.files(), ["b", "c"]);
        } else {
            assert_eq!(renamed.expect_err("not done").kind(), ErrorKind::Unavailable);
            assert_eq!(server.files(), ["a", "b"]);
        }
        assert_eq!(server.count("RNTO"), 1);
    }
}

#[test]
fn an_old_server_is_looked_at_with_size_and_mdtm_in_one_go() {
    let server = FaultyServer::start(OLD, FILES, healthy);
    let directory = arrived(&server.settings());
    assert_eq!(names(&directory, ""), ["a", "b"]);
    assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"AAAA"[..]));
    assert_eq!((server.count("SIZE"), server.count("LIST"), server.count("MLST")), (2, 1, 0));
    assert!(directory.look(b"none").expect("a look").is_none());
}

#[test]
fn mdtm_in_local_time_is_noticed_and_corrected() {
    let server = FaultyServer::start(OLD, FILES, |talk, verb, _| {
        let local = verb == "MDTM";
        if local {
            talk.say("213 20261101130000");
        }
        local
    });
    let directory = arrived(&server.settings());
    let (entries, _) = list(&directory, "").expect("listed");
    let looked = directory.look(b"a").expect("a look").expect("there");
    assert_eq!(looked.tuple.mtime_ns, entries[0].1.tuple.mtime_ns);
}
