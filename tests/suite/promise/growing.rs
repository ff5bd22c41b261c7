//! Nothing that still grows is delivered, and what is delivered are the bytes that were announced.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_file_that_is_written_slowly_is_told_once_and_whole() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("stable_for = \"1500ms\"") + &erp(&receiver, "content = \"raw\"")));
    let path = highwater.path("drop/slow.csv");
    let mut file = File::create(&path).expect("create");
    file.write_all(b"begin\n").expect("write");
    put(&highwater, "quick.csv", "quick");
    let running = run(&highwater);
    // The other file is not held up by the one that grows: it arrives while that is still written.
    let until = Instant::now() + Duration::from_secs(3);
    let mut number = 0;
    while Instant::now() < until || receiver.received().is_empty() {
        assert!(Instant::now() < until + Duration::from_secs(20), "the quick one never came");
        writeln!(file, "line {number}").expect("write");
        number += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(receiver.received()[0].body, b"quick");
    assert_eq!(receiver.received().len(), 1, "nothing that grows is told");
    file.write_all(&vec![b'x'; 300_000]).expect("write");
    drop(file);

    wait_for_delivered(&highwater, "erp", 2);
    assert_eq!(running.terminate(), Some(0));
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(sha256(&received[1].body), sha256(&std::fs::read(&path).expect("the file")));
    assert_eq!(events(&highwater, &["--key", "slow.csv"]).len(), 1);
}

#[test]
fn once_leaves_a_file_that_still_grows_for_the_next_run_and_names_it() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("stable_for = \"1s\"") + &erp(&receiver, "")));
    let mut file = File::create(highwater.path("drop/slow.csv")).expect("create");
    let mut child = highwater.command(&["once"]).stdout(std::process::Stdio::piped()).spawn().expect("starts");
    while child.try_wait().expect("our child").is_none() {
        file.write_all(b"more\n").expect("write");
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = child.wait_with_output().expect("our child");
    let summary = String::from_utf8(ended.stdout).expect("text");
    assert_eq!(ended.status.code(), Some(0), "{summary}");
    assert!(summary.contains("1 waiting (slow.csv)"), "{summary}");
    assert!(receiver.received().is_empty());
    drop(file);
    assert!(once(&highwater, 0).contains("1 event, 1 delivered"));
}

#[test]
fn an_announced_version_is_delivered_although_the_file_has_changed_and_gone_since() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("to = [\"erp\", \"load\"]") + &erp(&receiver, "content = \"raw\"") + &load("")));
    highwater.write_script("load.sh", "cat >/dev/null; cp \"$1\" \"taken-$HIGHWATER_NAME-$HIGHWATER_REVISION\"");
    for sink in ["erp", "load"] {
        once(&highwater, 0);
        highwater.run(&["pause", sink, "--reason", "down"]).ok();
    }
    let version = |number: u8, size: usize| vec![b'0' + number; size];
    for number in 1..=2 {
        put(&highwater, "small.csv", version(number, 100));
        put(&highwater, "large.bin", version(number, 200_000));
        once(&highwater, 4);
    }
    std::fs::remove_file(highwater.path("drop/small.csv")).expect("remove");
    std::fs::remove_file(highwater.path("drop/large.bin")).expect("remove");
    once(&highwater, 4);
    for sink in ["erp", "load"] {
        highwater.run(&["resume", sink]).ok();
    }
    assert!(once(&highwater, 0).contains("8 delivered"));

    let mut bodies: Vec<String> = receiver.received().iter().map(|received| sha256(&received.body)).collect();
    let mut expected: Vec<String> =
        (1..=2).flat_map(|number| [100, 200_000].map(|size| sha256(&version(number, size)))).collect();
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected);
    for number in 1..=2 {
        for (name, size) in [("small.csv", 100), ("large.bin", 200_000)] {
            let taken = std::fs::read(highwater.path(format!("taken-{name}-{number}"))).expect("the script's copy");
            assert_eq!(sha256(&taken), sha256(&version(number, size)), "{name} {number}");
        }
    }
    assert_eq!(spooled(&highwater), Vec::<String>::new());
}

#[test]
fn a_captured_content_can_be_printed_while_it_waits() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("") + &erp(&receiver, "content = \"raw\"")));
    once(&highwater, 0);
    highwater.run(&["pause", "erp", "--reason", "down"]).ok();
    put(&highwater, "large.txt", "x".repeat(100_000));
    once(&highwater, 4);
    put(&highwater, "large.txt", "another");
    let id = events(&highwater, &[])[0].id.clone();
    assert_eq!(highwater.run(&["content", &id]).ok(), "x".repeat(100_000));
}

#[test]
fn a_marker_releases_one_version_and_never_another() {
    let receiver = Receiver::start();
    let highwater = plant(&(orders("marker = \"{name}.done\"") + &erp(&receiver, "content = \"raw\"")));
    put(&highwater, "a.csv", "one");
    assert!(once(&highwater, 0).contains("1 waiting (a.csv)"));
    put(&highwater, "a.csv.done", "");
    once(&highwater, 0);
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(receiver.received()[0].body, b"one", "the marker itself is not told");

    put(&highwater, "a.csv", "two");
    assert!(once(&highwater, 0).contains("1 waiting (a.csv)"));
    put(&highwater, "a.csv.done", "");
    once(&highwater, 0);
    let bodies: Vec<Vec<u8>> = receiver.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, [b"one", b"two"]);
}

#[test]
fn a_checksum_that_does_not_fit_and_an_end_that_is_missing_keep_a_file_waiting() {
    let receiver = Receiver::start();
    let both = "checksum = \"{name}.sha256\"\nends_with = \"IEA*\"";
    let highwater = plant(&(orders(both) + &erp(&receiver, "")));
    let whole = "ISA~GS~ST~SE~GE~IEA*1*000000001~\n";
    put(&highwater, "x12.edi", &whole[..20]);
    put(&highwater, "x12.edi.sha256", format!("{}  x12.edi\n", sha256(whole.as_bytes())));
    assert!(once(&highwater, 0).contains("1 waiting (x12.edi)"));
    let waits = highwater.run(&["explain", "orders", "x12.edi"]).ok();
    assert!(waits.contains("checksum"), "{waits}");

    put(&highwater, "x12.edi", whole.replace("ISA", "isa"));
    assert!(once(&highwater, 0).contains("1 waiting (x12.edi)"), "whole, and yet not what was sent");
    put(&highwater, "x12.edi", whole);
    assert!(once(&highwater, 0).contains("1 event, 1 delivered"));
    assert_eq!(told(&receiver.received())[0].sha256, sha256(whole.as_bytes()));
}

#[test]
fn an_empty_file_is_delivered_waits_or_is_ignored_as_configured() {
    for (empty, summary) in [
        ("deliver", "1 event, 1 delivered"),
        ("wait", "0 events, 0 delivered; orders: 1 waiting (e.csv)"),
        ("ignore", "0 events, 0 delivered"),
    ] {
        let receiver = Receiver::start();
        let highwater = plant(&(orders(&format!("empty = \"{empty}\"")) + &erp(&receiver, "content = \"raw\"")));
        put(&highwater, "e.csv", "");
        let said = once(&highwater, 0);
        assert!(said.trim().ends_with(summary), "{empty}: {said}");
        put(&highwater, "e.csv", "content");
        once(&highwater, 0);
        assert_eq!(receiver.received().last().expect("one").body, b"content");
    }
}
