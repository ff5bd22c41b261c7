//! Scripts that outlived a crash of ours: found by the folders their attempts left, ended before the deliveries are due
//! again, so that no event is worked on twice at the same time.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::process::{Process, boot};
use super::stage::{GROUP_FILE, is_event_file};
use crate::error::{Error, ErrorKind, Result};

const TERM_GRACE: Duration = Duration::from_secs(10);
const KILL_WAIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An attempt that did not come to its end.
struct Remains {
    folder: PathBuf,
    /// What the attempt's processes were started with; none in a folder that was free.
    variable: Option<Vec<u8>>,
    /// The leader, if it was noted.
    leader: Option<(Pid, u64)>,
}

/// Ends what is left of the script attempts below `run_folder` and removes their folders. To be called once at start,
/// under the store's lock, before anything is delivered. Returns how many attempts still had processes.
///
/// A process is ended only if it carries the attempt's event file in its environment, or if it belongs to the group whose
/// leader was noted with the same number, start time and boot.
///
/// # Errors
/// `Unavailable` when even KILL does not end a process; the folder's own errors.
pub fn end_survivors(run_folder: &Path) -> Result<u64> {
    let run_folder = std::path::absolute(run_folder)
        .map_err(|e| Error::io(format!("find the run folder {}", run_folder.display()), e))?;
    let remains = unfinished(&run_folder)?;
    if remains.is_empty() {
        return Ok(0);
    }
    let mut survivors = 0;
    for attempt in &remains {
        let alive = processes(attempt);
        if alive.is_empty() {
            continue;
        }
        survivors += 1;
        let folder = attempt.folder.display();
        tracing::warn!(processes = alive.len(), path = %folder, "a script outlived an earlier run; it is ended now");
        end(attempt, alive)?;
    }
    for attempt in &remains {
        match fs::remove_dir_all(&attempt.folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(format!("remove {}", attempt.folder.display()), e));
            }
            _ => {}
        }
    }
    Ok(survivors)
}

fn unfinished(run_folder: &Path) -> Result<Vec<Remains>> {
    let list_failed = |e| Error::io(format!("list the run folder {}", run_folder.display()), e);
    let listing = match fs::read_dir(run_folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(list_failed)?,
    };
    let boot = boot();
    let mut remains = Vec::new();
    for entry in listing {
        let folder = entry.map_err(list_failed)?.path();
        if !is_attempt(&folder) {
            continue;
        }
        let variable = event_file(&folder).map(|file| [b"HIGHWATER_EVENT_FILE=", file.as_os_str().as_bytes()].concat());
        let noted = fs::read_to_string(folder.join(GROUP_FILE)).unwrap_or_default();
        remains.push(Remains { leader: leader(&noted, boot), folder, variable });
    }
    Ok(remains)
}

fn event_file(folder: &Path) -> Option<PathBuf> {
    let found = fs::read_dir(folder).ok()?.flatten().find(|entry| is_event_file(&entry.file_name()));
    found.map(|entry| entry.path())
}

/// Folders of attempts are named `PROCESS-NUMBER`; nothing else is touched.
fn is_attempt(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.is_some_and(|(process, number)| is_number(process) && is_number(number)) && folder.is_dir()
}

/// Reads `PID STARTED BOOT`; nothing that was noted in another boot still runs.
fn leader(noted: &str, boot: &str) -> Option<(Pid, u64)> {
    let mut fields = noted.split_ascii_whitespace();
    let pid = fields.next()?.parse().ok().and_then(Pid::from_raw)?;
    let started = fields.next()?.parse().ok()?;
    (fields.next().unwrap_or_default() == boot).then_some((pid, started))
}

fn processes(attempt: &Remains) -> Vec<Process> {
    let Some(variable) = &attempt.variable else { return Vec::new() };
    let leader = attempt.leader.filter(|(pid, started)| Process::of(*pid).is_some_and(|p| p.started == *started));
    let in_group = |process: &Process| leader.is_some_and(|(pid, _)| process.group == pid.as_raw_nonzero().get());
    let mine = rustix::process::getpid();
    let all = Process::all().into_iter().filter(|process| process.pid != mine);
    all.filter(|process| in_group(process) || process.has_variable(variable)).collect()
}

fn end(attempt: &Remains, mut alive: Vec<Process>) -> Result<()> {
    signal(&alive, Signal::TERM);
    // The group may grow while it is being ended: whoever comes in addition gets the signal too.
    if is_gone_within(attempt, &mut alive, TERM_GRACE, |newcomers, _| signal(newcomers, Signal::TERM)) {
        return Ok(());
    }
    if is_gone_within(attempt, &mut alive, KILL_WAIT, |_, rest| signal(rest, Signal::KILL)) {
        return Ok(());
    }
    let numbers: Vec<String> = alive.iter().map(|process| process.pid.as_raw_nonzero().to_string()).collect();
    let fact = format!("a script of an earlier run does not end; end process {} by hand", numbers.join(", "));
    Err(Error::new(ErrorKind::Unavailable, fact))
}

/// Looks until no process of the attempt is left; `at_each_look` gets those that were not in `alive`, and all. Those in
/// `alive` are followed by number and start time: once their leader is gone, nothing else tells that they belong together.
fn is_gone_within(
    attempt: &Remains,
    alive: &mut Vec<Process>,
    wait: Duration,
    mut at_each_look: impl FnMut(&[Process], &[Process]),
) -> bool {
    let deadline = Instant::now() + wait;
    loop {
        alive.retain(is_running);
        let mut newcomers = processes(attempt);
        newcomers.retain(|process| !alive.iter().any(|known| known.pid == process.pid));
        alive.extend(&newcomers);
        if alive.is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        at_each_look(&newcomers, alive);
        thread::sleep(LOOK_AGAIN);
    }
}

fn is_running(process: &Process) -> bool {
    Process::of(process.pid).is_some_and(|now| now.started == process.started && !now.is_ended)
}

fn signal(processes: &[Process], signal: Signal) {
    for process in processes {
        // Looked at again just before: the number must still be this very process's.
        if is_running(process) {
            let _ = kill_process(process.pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const EVENT_FILE: &str = "event-7.json";

    fn attempt_folder(run_folder: &Path, name: &str) -> PathBuf {
        let folder = run_folder.join(name);
        fs::create_dir_all(&folder).expect("make");
        fs::write(folder.join(EVENT_FILE), "{}").expect("write");
        folder
    }

    fn start(script: &str, folder: Option<&Path>) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).stdout(Stdio::piped());
        if let Some(folder) = folder {
            command.env("HIGHWATER_EVENT_FILE", folder.join(EVENT_FILE));
        }
        let mut child = command.spawn().expect("sh starts");
        // The script says when its traps are set.
        let mut word = [0; 3];
        io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut word).expect("it speaks");
        child
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not zero")
    }

    /// Reaps a child in the background, as init does with orphans.
    fn reap(mut child: Child) -> thread::JoinHandle<std::process::ExitStatus> {
        thread::spawn(move || child.wait().expect("our child"))
    }

    #[test]
    fn processes_of_an_unfinished_attempt_are_ended_and_its_folder_removed() {
        let run_folder = tempfile::tempdir().expect("a temporary folder");
        let folder = attempt_folder(run_folder.path(), "1-1");
        let by_variable = reap(start("echo up; sleep 1000 & wait", Some(&folder)));
        let other = attempt_folder(run_folder.path(), "1-2");
        let child = start("echo up; exec sleep 1000", None);
        let started = Process::of(pid(&child)).expect("it runs").started;
        fs::write(other.join(GROUP_FILE), format!("{} {started} {}\n", child.id(), boot())).expect("write");
        let by_group = reap(child);
        attempt_folder(run_folder.path(), "1-3");
        fs::write(run_folder.path().join("not-ours"), "x").expect("write");

        assert_eq!(end_survivors(run_folder.path()).expect("ended"), 2);

        assert!(!by_variable.join().expect("reaped").success());
        assert!(!by_group.join().expect("reaped").success());
        let left: Vec<_> = fs::read_dir(run_folder.path()).expect("list").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["not-ours"]);
        assert_eq!(end_survivors(run_folder.path()).expect("nothing left"), 0);
    }

    #[test]
    fn what_a_finished_attempt_left_running_on_purpose_is_not_ended() {
        let run_folder = tempfile::tempdir().expect("a temporary folder");
        let folder = attempt_folder(run_folder.path(), "1-1");
        let mut daemon = start("echo up; exec sleep 1000", Some(&folder));
        fs::rename(folder.join(EVENT_FILE), folder.join("event-8.json")).expect("the next attempt in this folder");
        assert_eq!(end_survivors(run_folder.path()).expect("nothing to end"), 0);
        assert!(daemon.try_wait().expect("our child").is_none(), "it still runs");
        daemon.kill().expect("kill");
        daemon.wait().expect("reap");
    }

    #[test]
    fn a_number_that_was_given_to_another_process_is_not_ended() {
        let run_folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = start("echo up; exec sleep 1000", None);
        let started = Process::of(pid(&child)).expect("it runs").started;
        for (name, noted) in [
            ("1-1", format!("{} {} {}\n", child.id(), started + 1, boot())),
            ("1-2", format!("{} {started} another-boot\n", child.id())),
            ("1-3", "nonsense".to_owned()),
        ] {
            fs::write(attempt_folder(run_folder.path(), name).join(GROUP_FILE), noted).expect("write");
        }
        assert_eq!(end_survivors(run_folder.path()).expect("nothing to end"), 0);
        assert!(child.try_wait().expect("our child").is_none(), "it still runs");
        child.kill().expect("kill");
        child.wait().expect("reap");
    }
}
