//! What `/proc` says of a process: enough to recognise it again and never to mistake another for it.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rustix::process::Pid;

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// Its process group.
    pub group: i32,
    /// When it started, in clock ticks since boot: with the number and the boot it is unique.
    pub started: u64,
    /// Whether it has ended and is only waited for.
    pub is_ended: bool,
}

impl Process {
    /// The process with this number, if there is one.
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The name in brackets may hold anything, brackets included, so count from the last one (proc(5)).
        let after = stat.iter().rposition(|b| *b == b')')? + 1;
        let fields = std::str::from_utf8(&stat[after..]).ok()?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { pid, group, started, is_ended: matches!(state, "Z" | "X" | "x") })
    }

    /// Every process that has not ended.
    pub fn all() -> Vec<Self> {
        let Ok(listing) = fs::read_dir("/proc") else { return Vec::new() };
        let numbers = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter_map(Pid::from_raw).filter_map(Self::of).filter(|process| !process.is_ended).collect()
    }

    /// Whether it was started with exactly this `NAME=VALUE` in its environment. False where we may not look.
    pub fn has_variable(&self, variable: &[u8]) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid.as_raw_nonzero())).unwrap_or_default();
        environment.split(|b| *b == 0).any(|each| each == variable)
    }
}

/// Distinguishes this boot from every other; empty where the system does not tell. Every start of a script notes it.
pub fn boot() -> &'static str {
    static BOOT: LazyLock<String> = LazyLock::new(|| {
        let id = fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        id.trim().to_owned()
    });
    &BOOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_found_as_it_is() {
        let me = Process::of(rustix::process::getpid()).expect("we run");
        assert!(me.started > 0 && !me.is_ended);
        assert_eq!(me.group, rustix::process::getpgrp().as_raw_nonzero().get());
        assert!(Process::all().contains(&me));
    }
}
