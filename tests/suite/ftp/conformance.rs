//! Everything a directory must be able to do, on every server, with TLS and without.

use std::fs;
use std::io::Read;

use highwater::error::ErrorKind;
use highwater::setting::Interval;
use highwater::source::directory::place::{Directory, Listing, Precision, Renamed, Shape};
use highwater::source::settings::{FtpMode, Names};

use crate::support::ftp::real::{ALL, FtpServer, Kind, Tls};
use crate::support::ftp::{arrived, fetch, list, names, opened};

#[test]
fn folders_are_listed_and_files_fetched_on_every_server() {
    for kind in ALL {
        for tls in [Tls::Off, Tls::Explicit] {
            let server = FtpServer::start(kind, tls);
            whole_round(&server);
        }
    }
}

#[test]
fn implicit_tls_protects_data_connections_too() {
    for kind in [Kind::Vsftpd, Kind::Proftpd] {
        whole_round(&FtpServer::start(kind, Tls::Implicit));
    }
}

#[test]
fn tls_1_2_sessions_are_resumed_as_well() {
    whole_round(&FtpServer::start(Kind::Proftpd, Tls::Explicit12));
    whole_round(&FtpServer::start_with(Kind::Vsftpd, Tls::Explicit, "ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384"));
}

fn whole_round(server: &FtpServer) {
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    server.put("big.bin", &big);
    server.put("empty", "");
    server.put("lines.txt", "a\r\nb\nc\r");
    server.put("below/more/deep.csv", "1;2");
    server.put("[x] a  b;.txt", "odd");
    let directory = arrived(&server.settings());
    let about = format!("{:?} at {}", server.kind, server.port);
    assert_eq!(names(&directory, ""), ["[x] a  b;.txt", "below", "big.bin", "empty", "lines.txt"], "{about}");
    assert_eq!(names(&directory, "below/more"), ["deep.csv"], "{about}");
    assert_eq!(list(&directory, "none").map(|(_, listing)| listing).unwrap_or(Listing::Missing), Listing::Missing);
    for _ in 0..4 {
        assert_eq!(fetch(&directory, "big.bin").expect("big").as_deref(), Some(&big[..]), "{about}");
        assert_eq!(fetch(&directory, "lines.txt").expect("lines").as_deref(), Some(&b"a\r\nb\nc\r"[..]), "{about}");
        assert_eq!(fetch(&directory, "empty").expect("empty").as_deref(), Some(&b""[..]), "{about}");
        assert_eq!(fetch(&directory, "[x] a  b;.txt").expect("odd").as_deref(), Some(&b"odd"[..]), "{about}");
        assert_eq!(fetch(&directory, "below/more/deep.csv").expect("deep").as_deref(), Some(&b"1;2"[..]), "{about}");
    }
    assert!(directory.look(b"none").expect("a look").is_none(), "{about}");
    assert!(directory.look(b"below/none").expect("a look").is_none(), "{about}");
    assert!(directory.open(b"none").expect("no error").is_none(), "{about}");
    assert_eq!(directory.look(b"below").expect("a look").map(|found| found.shape), Some(Shape::Folder), "{about}");
}

#[test]
fn times_are_exact_to_the_second_before_a_file_is_fetched() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Off);
        server.put("a", "1");
        let modified = fs::metadata(server.root().join("a")).and_then(|meta| meta.modified()).expect("a time");
        let seconds = modified.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let directory = arrived(&server.settings());
        let (entries, _) = list(&directory, "").expect("a listing");
        let listed = entries[0].1;
        let looked = directory.look(b"a").expect("a look").expect("there");
        assert_eq!(looked.precision, Precision::Second, "{kind:?}");
        assert_eq!(looked.tuple.mtime_ns, seconds as i64 * 1_000_000_000, "{kind:?}");
        let coarse = if kind == Kind::Vsftpd { Precision::Minute } else { Precision::Second };
        assert_eq!(listed.precision, coarse, "{kind:?}");
        if coarse == Precision::Minute {
            assert_eq!(listed.tuple.mtime_ns, (seconds / 60 * 60) as i64 * 1_000_000_000);
        } else {
            assert_eq!(listed, looked, "{kind:?}");
        }
    }
}

#[test]
fn a_rename_overwrites_nothing_and_removing_twice_is_fine() {
    for kind in ALL {
        for tls in [Tls::Off, Tls::Explicit] {
            let server = FtpServer::start(kind, tls);
            server.put("a", "A");
            server.put("b", "B");
            let directory = arrived(&server.settings());
            assert_eq!(directory.rename_new(b"a", b"b").expect("asked"), Renamed::Taken, "{kind:?}");
            assert_eq!(directory.rename_new(b"none", b"c").expect("asked"), Renamed::Missing, "{kind:?}");
            directory.make_folder(b"done/2026").expect("made");
            directory.make_folder(b"done/2026").expect("made again");
            assert_eq!(directory.rename_new(b"a", b"done/2026/a").expect("asked"), Renamed::Done, "{kind:?}");
            assert_eq!(fs::read(server.root().join("done/2026/a")).expect("moved"), b"A");
            assert_eq!(directory.rename_new(b"b", b".highwater-b").expect("asked"), Renamed::Done, "{kind:?}");
            assert!(directory.look(b".highwater-b").expect("a look").is_some(), "{kind:?}");
            directory.remove(b".highwater-b").expect("removed");
            directory.remove(b".highwater-b").expect("no error");
            assert!(!server.root().join(".highwater-b").exists());
            let error = directory.make_folder(b"done/2026/a").expect_err("a file has that name");
            assert!(error.to_string().contains("make folder"), "{error}");
        }
    }
}

#[test]
fn names_that_are_no_utf_8_are_listed_and_fetched() {
    use std::os::unix::ffi::OsStrExt;
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Off);
        let path = server.root().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
        fs::write(path, "x").expect("write");
        server.own();
        let directory = arrived(&server.settings());
        let mut seen = Vec::new();
        directory
            .list(b"", &mut |listed| {
                seen.push(listed.name.to_vec());
                Ok(())
            })
            .expect("listed");
        assert_eq!(seen, [b"caf\xe9.txt".to_vec()], "{kind:?}");
        assert!(directory.open(b"caf\xe9.txt").expect("opened").is_some(), "{kind:?}");
        let mut settings = server.settings();
        settings.names = Names::Latin1;
        let directory = arrived(&settings);
        assert_eq!(names(&directory, ""), ["café.txt"], "{kind:?}");
        assert_eq!(fetch(&directory, "café.txt").expect("fetched").as_deref(), Some(&b"x"[..]), "{kind:?}");
    }
}

#[test]
fn the_server_may_open_data_connections_itself() {
    for kind in ALL {
        for tls in [Tls::Off, Tls::Explicit] {
            let server = FtpServer::start(kind, tls);
            server.put("a", "A");
            let mut settings = server.settings();
            settings.mode = FtpMode::Active;
            let directory = arrived(&settings);
            assert_eq!(names(&directory, ""), ["a"], "{kind:?}");
            assert_eq!(fetch(&directory, "a").expect("fetched").as_deref(), Some(&b"A"[..]), "{kind:?}");
        }
    }
}

#[test]
fn a_wrong_password_is_denied_in_plain_words() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Off);
        let mut settings = server.settings();
        settings.server.password = Some(highwater::setting::Secret::literal("wrong"));
        let error = opened(&settings).arrive().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Denied, "{kind:?}");
        let user = &settings.server.user;
        assert!(error.to_string().contains(&format!("the server refused user {user}; check password: 530")), "{error}");
    }
}

#[test]
fn a_server_that_demands_tls_is_never_told_the_password() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Explicit);
        let mut settings = server.settings();
        settings.security = highwater::source::settings::FtpSecurity::Plain;
        let error = opened(&settings).arrive().expect_err("refused");
        assert!(error.to_string().contains("demands TLS: use ftps://"), "{kind:?}: {error}");
    }
}

#[test]
fn a_certificate_of_a_stranger_is_refused() {
    let server = FtpServer::start(Kind::Proftpd, Tls::Explicit);
    let mut settings = server.settings();
    settings.server.tls.ca = Some(crate::support::certificates::Authority::new("other").write(&server.root()));
    let error = opened(&settings).arrive().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("begin TLS with 127.0.0.1"), "{error}");
}

#[test]
fn a_cut_listing_of_pure_ftpd_is_doubtful() {
    let server = FtpServer::start_with(Kind::PureFtpd, Tls::Off, "-L 20:5");
    for number in 0..40 {
        server.put(&format!("f{number}"), "x");
    }
    let directory = arrived(&server.settings());
    let (entries, listing) = list(&directory, "").expect("a listing");
    assert!(entries.len() <= 21, "{}", entries.len());
    assert!(matches!(&listing, Listing::Doubtful(why) if why.contains("truncated")), "{listing:?}");
}

#[test]
fn a_missing_root_is_named() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Off);
        let mut settings = server.settings();
        settings.path += "/none";
        let error = opened(&settings).arrive().expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{kind:?}: {error}");
        assert!(error.to_string().contains("/none on 127.0.0.1"), "{error}");
    }
}

#[test]
fn more_sources_than_connections_take_turns() {
    let server = FtpServer::start_with(Kind::Proftpd, Tls::Off, "MaxClientsPerHost 2");
    for number in 0..20 {
        server.put(&format!("f{number}"), vec![b'x'; 100_000]);
    }
    let settings = server.settings();
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let directory = arrived(&settings);
                for number in 0..20 {
                    assert_eq!(
                        fetch(&directory, &format!("f{number}")).expect("fetched").map(|b| b.len()),
                        Some(100_000)
                    );
                }
            });
        }
    });
}

#[test]
fn a_source_waits_for_the_only_connection_as_long_as_another_one_uses_it() {
    let server = FtpServer::start(Kind::Vsftpd, Tls::Off);
    server.put("large", vec![b'x'; 5_000_000]);
    let mut settings = server.settings();
    settings.server.connections = 1;
    settings.server.timeout.idle = Interval::from_millis(200);
    let first = arrived(&settings);
    let mut file = first.open(b"large").expect("opened").expect("there");
    let waiting = std::thread::spawn({
        let mut settings = settings.clone();
        settings.server.timeout.reply = Interval::from_millis(200);
        move || opened(&settings).arrive().map(drop)
    });
    // Longer than a server may be silent for the one that waits.
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(!waiting.is_finished(), "it gave up");
    file.read_to_end(&mut Vec::new()).expect("read");
    drop(file);
    waiting.join().expect("no panic").expect("its turn came");
}

#[test]
fn a_server_that_allows_fewer_connections_is_given_fewer() {
    let server = FtpServer::start_with(Kind::PureFtpd, Tls::Off, "-c 2");
    for number in 0..30 {
        server.put(&format!("f{number}"), vec![b'x'; 10_000]);
    }
    let mut settings = server.settings();
    settings.server.connections = 6;
    let directory = arrived(&settings);
    std::thread::scope(|threads| {
        for thread in 0..6 {
            let directory = &directory;
            threads.spawn(move || {
                for number in 0..5 {
                    let fetched = fetch(directory, &format!("f{}", thread * 5 + number)).expect("fetched");
                    assert_eq!(fetched.map(|b| b.len()), Some(10_000));
                }
            });
        }
    });
}

#[test]
fn a_file_that_grows_or_vanishes_meanwhile_is_no_whole_one() {
    for kind in ALL {
        let server = FtpServer::start(kind, Tls::Off);
        server.put("a", vec![b'x'; 5_000_000]);
        let directory = arrived(&server.settings());
        let looked = directory.look(b"a").expect("a look").expect("there");
        let mut file = directory.open(b"a").expect("opened").expect("there");
        let mut buffer = vec![0; 100_000];
        file.read_exact(&mut buffer).expect("read");
        server.put("a", vec![b'y'; 6_000_000]);
        let mut rest = Vec::new();
        let _ = file.read_to_end(&mut rest);
        assert!(file.tuple().map_or(true, |tuple| tuple != looked.tuple), "{kind:?}");
        drop(file);
        fs::remove_file(server.root().join("a")).expect("removed");
        assert!(directory.open(b"a").expect("no error").is_none(), "{kind:?}");
    }
}
