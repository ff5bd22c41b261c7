//! Runs programs as separate processes, in turn, and takes wall time, CPU time and peak memory of each.
//! What the figures mean belongs to `report`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A program to be measured.
#[derive(Debug, Clone)]
pub struct Job {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Exit codes that count as success.
    pub ok: &'static [i32],
}

/// What one run took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Run {
    pub wall_us: u64,
    pub cpu_us: u64,
    pub peak_kib: u64,
    exit_code: i32,
}

/// Floor and product, run in turn.
pub struct Pairs {
    pub floor: Vec<Run>,
    pub product: Vec<Run>,
}

impl Job {
    /// A mode of this very program: `bench floor ...`.
    pub fn floor(args: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        let args = std::iter::once("floor").chain(args.iter().copied()).map(str::to_owned).collect();
        Ok(Self { program, args, ok: &[0] })
    }

    /// Runs it once. Its output goes to `log`, and into the error when it fails.
    ///
    /// The job is the only child of a small process of ours: so the peak is its own, not that of what spawned it.
    pub fn run(&self, log: &Path) -> Result<Run> {
        let figures = log.with_extension("figures");
        let this = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        let output = std::fs::File::create(log).map_err(|error| format!("create {}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("share {}: {error}", log.display()))?;
        let status = Command::new(this)
            .arg("measured")
            .arg(&figures)
            .arg(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .status()
            .map_err(|error| format!("start {}: {error}", self.program.display()))?;
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        if !status.success() {
            return Err(format!("measure {}: {status}\n{}", self.program.display(), said()));
        }
        let text = std::fs::read_to_string(&figures).map_err(|error| format!("read the figures: {error}"))?;
        let run: Run = serde_json::from_str(&text).map_err(|error| format!("read the figures: {error}"))?;
        if self.ok.contains(&run.exit_code) {
            return Ok(run);
        }
        let line = format!("{} {}", self.program.display(), self.args.join(" "));
        Err(format!("{line} ended with {}:\n{}", run.exit_code, said()))
    }
}

/// Runs floor and product in turn, twice a round; the first round warms up and is dropped.
/// `before` and `after` are called around each run of the product, outside the measured time.
pub fn in_turn(
    floor: &Job,
    product: &Job,
    rounds: usize,
    log: &Path,
    before: &mut dyn FnMut() -> Result<()>,
    after: &mut dyn FnMut() -> Result<()>,
) -> Result<Pairs> {
    let mut pairs = Pairs { floor: Vec::new(), product: Vec::new() };
    for round in 0..=rounds {
        for _ in 0..2 {
            let bare = floor.run(&log.with_extension("floor.log"))?;
            before()?;
            let ours = product.run(&log.with_extension("product.log"))?;
            after()?;
            if round > 0 {
                pairs.floor.push(bare);
                pairs.product.push(ours);
            }
        }
    }
    Ok(pairs)
}

/// `bench measured FIGURES PROGRAM ARGS...`: runs the program as the only child and writes what it took.
pub fn measured(args: &[String]) -> Result<()> {
    let [figures, program, args @ ..] = args else { return Err("measured FIGURES PROGRAM ARGS...".into()) };
    let began = Instant::now();
    let status = Command::new(program).args(args).status().map_err(|error| format!("start {program}: {error}"))?;
    let wall = began.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let run = Run {
        wall_us: micros(wall),
        cpu_us: u64::try_from(cpu_us).unwrap_or(0),
        peak_kib: u64::try_from(usage.max_rss()).unwrap_or(0),
        exit_code: status.code().unwrap_or(-1),
    };
    let text = serde_json::to_string(&run).map_err(|error| format!("write the figures: {error}"))?;
    std::fs::write(figures, text).map_err(|error| format!("write {figures}: {error}"))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
