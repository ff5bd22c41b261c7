//! A running script with its process group: waited for, ended, and never left behind.
//!
//! As long as the leader has not been reaped its number can't be given to another process, so signals to the group reach
//! the group or nobody. Therefore the leader is reaped last.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use super::process::{Process, boot};
use super::stage::Stage;

/// Between TERM and KILL for a script that is out of time.
pub const TERM_GRACE: Duration = Duration::from_secs(10);

/// Between TERM and KILL for what a script that has ended left behind in its group.
pub const REST_GRACE: Duration = Duration::from_secs(2);

/// After KILL the system itself can take this long (a process within a stuck file system).
const KILL_WAIT: Duration = Duration::from_secs(5);

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running script. Dropped before [`Group::finish`], its group gets TERM, and KILL after [`TERM_GRACE`]; should this
/// process end before, the next start does it.
#[derive(Debug)]
pub struct Group {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    leader: Pid,
    child: Child,
    /// Readable once the leader has ended. None before Linux 5.3; then the leader is reaped when it ends.
    ended: Option<AsyncFd<OwnedFd>>,
    stage: Option<Stage>,
}

impl Group {
    /// Starts `command` as the leader of a new group that works in `stage`.
    ///
    /// # Errors
    /// The system's; the stage is removed.
    pub fn start(mut command: Command, stage: Stage) -> io::Result<Self> {
        command.process_group(0);
        let child = command.spawn()?;
        drop(command);
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = number.and_then(Pid::from_raw).ok_or_else(|| io::Error::other("a child without a number"))?;
        let ended = watch(leader);
        let started = Process::of(leader).map_or(0, |process| process.started);
        let recorded = stage.record(&format!("{} {started} {}\n", leader.as_raw_nonzero(), boot()));
        if let Err(error) = recorded {
            tracing::warn!(%error, "a script's process group was not noted; after a crash it would not be ended");
        }
        Ok(Self { running: Some(Running { leader, child, ended, stage: Some(stage) }) })
    }

    /// Waits until the leader has ended.
    pub async fn ended(&mut self) {
        if let Some(running) = &mut self.running {
            running.ended().await;
        }
    }

    /// Ends the group: TERM, up to [`TERM_GRACE`], KILL. Returns when the leader has ended.
    pub async fn end(&mut self) {
        if let Some(running) = &mut self.running {
            running.end().await;
        }
    }

    /// Ends what is left of the group after its leader, reaps it, and hands out its folder. No status comes from a leader
    /// that even KILL did not end.
    pub async fn finish(mut self) -> (Option<ExitStatus>, Option<Stage>) {
        let Some(running) = &mut self.running else { return (None, None) };
        let status = running.finish().await;
        let stage = running.stage.take();
        self.running = None;
        (status, stage)
    }
}

impl Running {
    async fn ended(&mut self) {
        match &self.ended {
            Some(ended) => {
                let _ = ended.readable().await;
            }
            None => {
                let _ = self.child.wait().await;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // The group may be gone already.
        let _ = kill_process_group(self.leader, signal);
    }

    async fn end(&mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(TERM_GRACE, self.ended()).await.is_err() {
            self.signal(Signal::KILL);
            let _ = tokio::time::timeout(KILL_WAIT, self.ended()).await;
        }
    }

    /// Whether anyone of the group still runs. Ended ones that nobody reaps don't count (a container without an init).
    fn has_rest(&self) -> bool {
        let group = self.leader.as_raw_nonzero().get();
        test_kill_process_group(self.leader).is_ok() && Process::all().iter().any(|process| process.group == group)
    }

    async fn finish(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        let reaped = tokio::time::timeout(KILL_WAIT, self.child.wait()).await;
        // The number stays taken while the group has members, so what still answers is the rest of this group.
        let started = tokio::time::Instant::now();
        let mut is_killed = false;
        while self.has_rest() {
            if !is_killed && started.elapsed() >= REST_GRACE {
                self.signal(Signal::KILL);
                is_killed = true;
            } else if started.elapsed() >= REST_GRACE + KILL_WAIT {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        reaped.ok()?.ok()
    }
}

/// Something that becomes readable when the process ends.
fn watch(leader: Pid) -> Option<AsyncFd<OwnedFd>> {
    let fd = pidfd_open(leader, PidfdFlags::empty()).ok()?;
    // Its successor is `unsafe`, against types whose descriptor changes; an OwnedFd's does not.
    #[allow(deprecated)]
    AsyncFd::with_interest(fd, Interest::READABLE).ok()
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.signal(Signal::TERM);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                running.end().await;
                running.finish().await;
                let stage = running.stage.take();
                let _ = tokio::task::spawn_blocking(move || drop(stage)).await;
            });
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not seen to its end: the folder stays, so that the next start knows what to end.
        if let Some(stage) = self.stage.take() {
            stage.leave();
        }
    }
}
