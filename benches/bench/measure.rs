//! Runs programs as separate processes, in turn, and takes wall time, CPU time and peak memory of each.
//! What the figures mean belongs to `report`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::report::Target;

/// A run that takes longer is ended, and counts as failed.
const RUN_MAX: Duration = Duration::from_secs(120);

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

/// One of several that do the same work.
pub struct Contender<'a> {
    name: &'static str,
    /// What is run, or why it can't be.
    job: Result<Job>,
    before: Step<'a>,
    after: Step<'a>,
    aim: Option<Target>,
}

/// What is done around a run, outside the measured time.
type Step<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// What one of them took, in every round, or why that is not known.
pub struct Figure {
    pub name: &'static str,
    pub runs: Result<Vec<Run>>,
    /// What the product should reach, against this one.
    pub aim: Option<Target>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, job: Result<Job>) -> Self {
        Self { name, job, before: Box::new(|| Ok(())), after: Box::new(|| Ok(())), aim: None }
    }

    /// Prepares each run, and checks what it has done.
    pub fn around(self, before: impl FnMut() -> Result<()> + 'a, after: impl FnMut() -> Result<()> + 'a) -> Self {
        Self { before: Box::new(before), after: Box::new(after), ..self }
    }

    pub fn aim(self, target: Target) -> Self {
        Self { aim: Some(target), ..self }
    }

    fn run(&mut self, log: &Path) -> Result<Run> {
        let job = self.job.clone()?;
        (self.before)()?;
        let run = job.run(log)?;
        (self.after)().map(|()| run)
    }
}

/// Runs all of them in turn, once a round. One that fails is not tried again.
pub fn side_by_side(mut contenders: Vec<Contender<'_>>, rounds: usize, log: &Path) -> Vec<Figure> {
    let new = |one: &Contender<'_>| Figure { name: one.name, runs: Ok(Vec::new()), aim: one.aim };
    let mut figures: Vec<Figure> = contenders.iter().map(new).collect();
    for _ in 0..rounds.max(1) {
        for (one, figure) in contenders.iter_mut().zip(&mut figures) {
            let Ok(runs) = &mut figure.runs else { continue };
            match one.run(log) {
                Ok(run) => runs.push(run),
                Err(line) => figure.runs = Err(line),
            }
        }
    }
    figures
}

/// Floor and product, run in turn.
pub struct Pairs {
    pub floor: Vec<Run>,
    pub product: Vec<Run>,
}

impl Job {
    /// A mode of this very program: `bench floor ...`.
    pub fn floor(args: &[impl AsRef<str>]) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        let args = std::iter::once("floor").chain(args.iter().map(AsRef::as_ref)).map(str::to_owned).collect();
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
    // A process group of its own, so that what it started ends with it.
    let child = Command::new(program).args(args).process_group(0).spawn();
    let mut child = child.map_err(|error| format!("start {program}: {error}"))?;
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let (ended, wait) = mpsc::channel::<()>();
    let limit = std::thread::spawn(move || {
        let is_over = wait.recv_timeout(RUN_MAX) == Err(RecvTimeoutError::Timeout);
        if let Some(pid) = pid.filter(|_| is_over) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        is_over
    });
    let status = child.wait().map_err(|error| format!("wait for {program}: {error}"))?;
    let wall = began.elapsed();
    drop(ended);
    if limit.join().unwrap_or(false) {
        return Err(format!("{program} did not end within {} s", RUN_MAX.as_secs()));
    }
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
