//! Odd places: hostile names, links, rights, files that change under our hands, and random histories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use crate::error::ErrorKind;
use crate::source::Scope;
use crate::source::directory::place::{Directory, Renamed, join};
use crate::source::directory::testing::Play;

#[test]
fn odd_names_are_keys_like_any_other() {
    let mut play = Play::new();
    let names: [&[u8]; 6] = [b" lead", b"trail ", b"new\nline", b"not\xffutf8", "ümläut".as_bytes(), b"[x]*?{}"];
    for name in names {
        play.write(name, name);
    }
    play.poll();
    let mut keys: Vec<_> = play.ledger.told.iter().map(|told| told.key.as_bytes().to_vec()).collect();
    keys.sort();
    let mut expected = names.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(keys, expected);
    play.taken();
    play.assert_idle();
}

#[test]
fn links_and_pipes_are_passed_over_and_a_loop_ends() {
    let mut play = Play::new();
    play.write("real/file", "x");
    symlink("real", play.path("folder-link")).expect("link");
    symlink("real/file", play.path("file-link")).expect("link");
    symlink("..", play.path("real/loop")).expect("link");
    symlink("nowhere", play.path("dangling")).expect("link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        play.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    assert_eq!(play.told(), ["created real/file 1"]);
    play.assert_idle();
}

#[test]
fn a_file_behind_a_path_of_five_thousand_bytes_is_told() {
    let mut play = Play::new();
    play.write("short", "S");
    play.directory.arrive().expect("arrive");
    let mut deep = Vec::new();
    while deep.len() < 5_000 {
        deep = join(&deep, &[b'd'; 200]);
    }
    play.directory.make_folder(&deep).expect("make");
    let file = join(&deep, b"file");
    assert_eq!(play.directory.rename_new(b"short", &file).expect("rename"), Renamed::Done);
    play.poll();
    assert_eq!(play.ledger.told[0].key.as_bytes(), file);
    assert_eq!(play.taken().len(), 1);
    play.assert_idle();
}

#[test]
fn a_root_that_is_a_link_is_followed() {
    let mut play = Play::new();
    play.write("a", "A");
    let link = play.folder.path().join("link");
    symlink(play.path(""), &link).expect("link");
    play.directory = crate::source::directory::local::LocalFolder::new(link);
    assert_eq!(play.told(), ["created a 1"]);
}

#[test]
fn what_can_not_be_read_does_not_stop_the_rest() {
    if rustix::process::geteuid().is_root() {
        return as_nobody_would("what_can_not_be_read_does_not_stop_the_rest");
    }
    let mut play = Play::telling_all();
    for name in ["closed/a", "open/b", "secret"] {
        play.write(name, name);
    }
    play.poll();
    play.taken();
    fs::set_permissions(play.path("closed"), fs::Permissions::from_mode(0o000)).expect("chmod");
    play.write("secret", "changed");
    fs::set_permissions(play.path("secret"), fs::Permissions::from_mode(0o000)).expect("chmod");
    play.write("open/c", "C");
    let looked = play.poll();
    assert!(!looked.complete);
    let degraded = looked.degraded.expect("degraded");
    assert!(degraded.contains("1 folders could not be listed") && degraded.contains("1 files"), "{degraded}");
    assert_eq!(play.taken(), ["created open/c 1"]);
    assert!(play.ledger.refused[&"secret".into()].contains("cannot be read"));
    let commits = play.ledger.commits;
    play.poll();
    assert_eq!(play.ledger.commits, commits, "it is refused once");
    fs::set_permissions(play.path("closed"), fs::Permissions::from_mode(0o700)).expect("chmod");
    fs::set_permissions(play.path("secret"), fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(play.told(), ["changed secret 2"]);
    play.assert_idle();
}

/// Rights do not bind root, so the test runs itself again as another user.
fn as_nobody_would(test: &str) {
    use std::os::unix::process::CommandExt;
    let test = format!("source::directory::tests::odd::{test}");
    let program = tempfile::NamedTempFile::new().expect("a file");
    fs::copy(std::env::current_exe().expect("this program"), program.path()).expect("copy");
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let program = program.into_temp_path();
    let mut command = std::process::Command::new(&program);
    command.args([&test, "--exact"]).env("TMPDIR", std::env::temp_dir()).uid(65_534).gid(65_534);
    let ended = command.output().expect("the test runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
fn a_stopped_poll_ends_and_the_next_one_goes_on() {
    let mut play = Play::new();
    play.write("a", "A");
    play.stop.raise();
    assert_eq!(play.try_look(Scope::Everything).expect_err("stopped").kind(), ErrorKind::Stopped);
    play.stop = crate::clock::Stop::new();
    assert_eq!(play.told(), ["created a 1"]);
}

#[test]
fn a_full_spool_ends_the_poll_and_loses_nothing() {
    let mut play = Play::new();
    play.write("a", "A");
    play.write("b", vec![1; 200_000]);
    let spool = play.folder.path().join("spool");
    play.ledger.limit_spool(&spool, 10);
    assert_eq!(play.try_look(Scope::Everything).expect_err("full").kind(), ErrorKind::Full);
    play.ledger.limit_spool(&spool, u64::MAX);
    play.poll();
    assert_eq!(play.taken(), ["created a 1", "created b 1"]);
    play.assert_idle();
}

#[test]
fn a_file_that_turns_into_a_folder_and_back_is_followed() {
    let mut play = Play::telling_all();
    for n in 0..6 {
        play.write(format!("f{n}"), format!("{n}"));
    }
    play.poll();
    play.taken();
    play.remove("f0");
    play.write("f0/inside", "another size");
    assert_eq!(play.told(), ["created f0/inside 1", "removed f0 2"]);
    fs::remove_dir_all(play.path("f0")).expect("remove");
    play.write("f0", "again a file of its own");
    assert_eq!(play.told(), ["created f0 3", "removed f0/inside 2"]);
    play.assert_idle();
}

#[derive(Debug, Clone)]
enum Edit {
    Write(u8, u8),
    Remove(u8),
    Rename(u8, u8),
    DropFolder(u8),
}

fn edits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    let edit = prop_oneof![
        4 => (0u8..30, 0u8..4).prop_map(|(name, content)| Edit::Write(name, content)),
        3 => (0u8..30).prop_map(Edit::Remove),
        2 => (0u8..30, 0u8..30).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => (0u8..3).prop_map(Edit::DropFolder),
    ];
    prop::collection::vec(prop::collection::vec(edit, 0..12), 1..8)
}

fn name(number: u8) -> String {
    if number.is_multiple_of(2) { format!("f{number}") } else { format!("d{}/f{number}", number % 3) }
}

/// The naive way: every file read, compared with what was read before.
fn contents(play: &Play) -> BTreeMap<String, Vec<u8>> {
    let files = (0..30).map(name).filter_map(|name| Some((name.clone(), fs::read(play.path(name)).ok()?)));
    files.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_told_is_what_a_naive_comparison_of_contents_says(history in edits()) {
        let mut play = Play::with(|settings| settings.events.push(crate::change::Kind::Removed));
        play.accepted.removals = true;
        let mut before = BTreeMap::new();
        for step in history {
            for edit in step {
                match edit {
                    Edit::Write(file, content) => play.write(name(file), [content; 3]),
                    Edit::Remove(file) => drop(fs::remove_file(play.path(name(file)))),
                    Edit::Rename(from, to) if play.path(name(from)).exists() => play.rename(name(from), name(to)),
                    Edit::Rename(..) => {}
                    Edit::DropFolder(folder) => drop(fs::remove_dir_all(play.path(format!("d{folder}")))),
                }
            }
            let now = contents(&play);
            let mut expected: Vec<String> = Vec::new();
            for (key, content) in &now {
                match before.get(key) {
                    None => expected.push(format!("created {key}")),
                    Some(old) if old != content => expected.push(format!("changed {key}")),
                    Some(_) => {}
                }
            }
            expected.extend(before.keys().filter(|key| !now.contains_key(*key)).map(|key| format!("removed {key}")));
            expected.sort();
            let told = play.told();
            let told: Vec<&str> = told.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
            prop_assert_eq!(told, expected);
            play.assert_idle();
            before = now;
        }
    }
}
