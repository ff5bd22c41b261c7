//! No room and no right to write: a clear line, an exit code, and nothing lost. Once there is room, everything is told.

use std::path::PathBuf;
use std::process::Command;

use super::*;

const STATE: &str = "[state]\npath = \"state/highwater.db\"\nspool = \"state/spool\"\nmin_free = \"0B\"\n";

/// A file system of a few MiB at `state`, gone when this is dropped; `None` where nothing may be mounted.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(highwater: &Highwater) -> Option<Self> {
        let at = highwater.path("state");
        std::fs::create_dir_all(&at).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=3m,mode=0755", "tmpfs"]).arg(&at);
        let mounted = mount.output().is_ok_and(|ended| ended.status.success());
        mounted.then_some(Self { at })
    }

    fn grow(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,size=64m"]).arg(&self.at);
        assert!(mount.status().expect("mount runs").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// Runs `once` where no file may grow beyond 2 MiB: works everywhere, without any right.
fn once_within_2_mib(highwater: &Highwater) -> Output {
    let once = highwater.command(&["once"]);
    let mut shell = Command::new("sh");
    // A write beyond the limit is an error instead of a signal. dash and bash count in other units: both are below 2 MiB.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$@\"", "sh"]).arg(once.get_program()).args(once.get_args());
    let ended = shell.current_dir(once.get_current_dir().expect("set")).output().expect("sh runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { status: ended.status.code(), stdout: text(&ended.stdout), stderr: text(&ended.stderr) }
}

fn fill(highwater: &Highwater, size: usize) {
    for number in 0..100_u8 {
        put(highwater, &format!("{number}.bin"), vec![number; size]);
    }
}

fn all_is_told_once(highwater: &Highwater, receiver: &Receiver) {
    let mut tries = 0;
    while highwater.run(&["once"]).status != Some(0) {
        tries += 1;
        assert!(tries < 5, "{:?}", highwater.run(&["once"]));
    }
    let digests: BTreeSet<String> = receiver.received().iter().map(|received| sha256(&received.body)).collect();
    assert_eq!(digests.len(), 100);
    assert_eq!(ids(receiver).len(), 100, "each under one id");
    assert!(deliveries(highwater, &[]).iter().all(|delivery| delivery["state"] == "delivered"));
}

#[track_caller]
fn is_a_clear_end(output: &Output) {
    assert!(matches!(output.status, Some(1 | 3)), "{output:?}");
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("disk") || said.contains("spool"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_full_disk_ends_with_a_clear_line_and_loses_nothing() {
    for (what, size) in [("store", 60 * 1024), ("spool", 200 * 1024)] {
        let receiver = Receiver::start();
        let highwater = plant(&(STATE.to_owned() + &orders("") + &erp(&receiver, "content = \"raw\"")));
        let disk = SmallDisk::mount(&highwater);
        fill(&highwater, size);
        let once = || if disk.is_some() { highwater.run(&["once"]) } else { once_within_2_mib(&highwater) };
        let first = once();
        if disk.is_some() || what == "store" {
            is_a_clear_end(&first);
            is_a_clear_end(&once());
        }
        if let Some(disk) = &disk {
            disk.grow();
        }
        all_is_told_once(&highwater, &receiver);
    }
}

#[test]
fn a_file_that_may_not_grow_ends_with_a_clear_line_and_loses_nothing() {
    let receiver = Receiver::start();
    let highwater = plant(&(STATE.to_owned() + &orders("") + &erp(&receiver, "content = \"raw\"")));
    fill(&highwater, 60 * 1024);
    is_a_clear_end(&once_within_2_mib(&highwater));
    is_a_clear_end(&once_within_2_mib(&highwater));
    all_is_told_once(&highwater, &receiver);
}

#[test]
fn a_run_on_a_full_disk_goes_on_by_itself_when_there_is_room() {
    let receiver = Receiver::start();
    let highwater = plant(&(STATE.to_owned() + &orders("") + &erp(&receiver, "content = \"raw\"")));
    let Some(disk) = SmallDisk::mount(&highwater) else {
        // Without the right to mount, the limit of a process stands in: it can't be lifted while that runs.
        fill(&highwater, 60 * 1024);
        is_a_clear_end(&once_within_2_mib(&highwater));
        return all_is_told_once(&highwater, &receiver);
    };
    fill(&highwater, 60 * 1024);
    let mut running = highwater.spawn(&["run"]);
    running.wait_for("it says so", |running| running.log().contains("full"));
    assert!(running.is_running() || running.wait() == Some(1));
    disk.grow();
    if running.is_running() {
        wait_until("all of them arrive", || ids(&receiver).len() == 100);
        assert_eq!(running.terminate(), Some(0));
    }
    all_is_told_once(&highwater, &receiver);
}

#[test]
fn a_store_that_may_not_be_written_ends_with_a_clear_line_and_can_still_be_read() {
    let receiver = Receiver::start();
    let highwater = plant(&(STATE.to_owned() + &orders("") + &erp(&receiver, "")));
    put(&highwater, "a.csv", "1");
    let nobody = |arguments: &[&str]| {
        let ended = as_nobody(&highwater, arguments).output().expect("starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output { status: ended.status.code(), stdout: text(&ended.stdout), stderr: text(&ended.stderr) }
    };
    nobody(&["once"]).code(0);
    let set_mode = |path: &str, mode: u32| {
        std::fs::set_permissions(highwater.path(path), std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    for (folder, file) in [(0o555, 0o600), (0o555, 0o444), (0o755, 0o444)] {
        set_mode("state", folder);
        set_mode("state/highwater.db", file);
        let refused = nobody(&["once"]).code(1);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("highwater.db"), "{folder:o} {file:o}: {}", refused.stderr);
        let read = nobody(&["status"]);
        assert_eq!(read.status, Some(0), "{folder:o} {file:o}: {}", read.stderr);
        assert!(read.stdout.contains("orders"), "{}", read.stdout);
        set_mode("state", 0o755);
        set_mode("state/highwater.db", 0o600);
    }
    put(&highwater, "b.csv", "2");
    nobody(&["once"]).code(0);
    assert_eq!(kinds(&receiver), ["created a.csv", "created b.csv"]);
}
