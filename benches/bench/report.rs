//! One line per case: ratios of product to floor with their range, peaks, noise, and whether the target is met.

use crate::Result;
use crate::measure::{Pairs, Run};

/// Above this spread of the floor's own wall time, wall ratios say nothing.
const NOISY: f64 = 0.25;

/// What a case should reach: a ratio of the product to its floor.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// CPU time at most this many times the floor's.
    Cpu(f64),
    /// Wall time at most this many times the floor's.
    Wall(f64),
}

/// The middle of several values and how far they lie apart.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(values.len() / 2));
        Self { median, min: at(0), max: at(last) }
    }

    fn shown(self) -> String {
        format!("{:.2} [{:.2}-{:.2}]", self.median, self.min, self.max)
    }
}

/// Prints what the machine is, and the columns' heads.
pub fn head(dir: &std::path::Path) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("kernel {}, {cpus} cpus, load {}", read("/proc/sys/kernel/osrelease").trim(), load());
    println!("data in {} on {}", dir.display(), file_system(dir, &read("/proc/mounts")));
    println!("\n{:<34} {:>20} {:>20} {:>14} {:>7}  target", "product / floor", "wall", "cpu", "peak MiB", "noise");
    Ok(())
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

fn file_system(dir: &std::path::Path, mounts: &str) -> String {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && dir.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map_or("?".into(), |fields| fields[2].to_owned())
}

/// Prints one case.
pub fn line(name: &str, pairs: &Pairs, target: Option<Target>) {
    let ratios = |of: fn(&Run) -> u64| {
        let each = pairs.product.iter().zip(&pairs.floor);
        Spread::of(each.map(|(ours, bare)| of(ours) as f64 / of(bare).max(1) as f64).collect())
    };
    let (wall, cpu) = (ratios(|run| run.wall_us), ratios(|run| run.cpu_us));
    let floor = Spread::of(pairs.floor.iter().map(|run| run.wall_us as f64).collect());
    let noise = (floor.max - floor.min) / floor.median;
    let peak = |runs: &[Run]| runs.iter().map(|run| run.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
    println!(
        "{name:<34} {:>20} {:>20} {:>6.1} /{:>6.1} {:>6.0}%  {}",
        wall.shown(),
        cpu.shown(),
        peak(&pairs.product),
        peak(&pairs.floor),
        noise * 100.0,
        verdict(wall, cpu, noise, target)
    );
    let millis = |runs: &[Run], of: fn(&Run) -> u64| Spread::of(runs.iter().map(|run| of(run) as f64 / 1e3).collect());
    println!(
        "{:<34} product {:.0} ms, floor {:.0} ms; cpu {:.0} ms, {:.0} ms",
        "",
        millis(&pairs.product, |run| run.wall_us).median,
        millis(&pairs.floor, |run| run.wall_us).median,
        millis(&pairs.product, |run| run.cpu_us).median,
        millis(&pairs.floor, |run| run.cpu_us).median,
    );
}

fn verdict(wall: Spread, cpu: Spread, noise: f64, target: Option<Target>) -> String {
    let Some(target) = target else { return "-".into() };
    let (word, reached, limit) = match target {
        Target::Cpu(limit) => ("cpu", cpu.median, limit),
        Target::Wall(limit) => ("wall", wall.median, limit),
    };
    let cpus = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    let judged = match target {
        _ if load() > cpus => "machine too busy to judge",
        Target::Wall(_) if noise > NOISY => "noisy",
        _ if reached <= limit => "met",
        _ => "missed",
    };
    format!("{word} <= {limit:.2}: {judged}")
}
